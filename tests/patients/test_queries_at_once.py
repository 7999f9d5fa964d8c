"""Several people on one query, at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from patients.actions import queries
from patients.edit_checks import Doubt
from patients.models import DataQuery, Patient
from tests import factories
from trial import audit
from trial.models import User
from trial.refusals import Conflict
from trial.sentences import Sentence


def at_once(works: list[Callable[[], object]]) -> list[object]:
    """Run everything at the same moment, each on a connection of its own; return results or errors."""
    start, ends = threading.Barrier(len(works)), [None] * len(works)  # type: list[object]

    def run(place: int, work: Callable[[], object]) -> None:
        try:
            start.wait(timeout=20)
            ends[place] = work()
        except (Conflict, IntegrityError) as error:
            ends[place] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=item) for item in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    return ends


@pytest.mark.committed
def test_two_saves_at_once_ask_once(coordinator: User) -> None:
    patient = factories.a_patient(site=coordinator.site)
    visit = factories.a_visit(patient, 4, tbil="8.2")
    doubt = Doubt(
        "tbil", "outside_usual", Sentence("%(value)s is rare.", {"value": "8.2"}), Sentence("Look.")
    )

    def save() -> None:
        with audit.revision(by=coordinator, source="visit entry"):
            queries.sync_check_queries(patient=patient, visit=visit, doubts=[doubt], by=coordinator)

    assert at_once([save] * 4) == [None] * 4
    assert DataQuery.objects.count() == 1
    assert DataQuery.objects.get().messages.count() == 1


@pytest.mark.committed
def test_of_two_answers_at_once_the_second_is_told(
    coordinator: User, hepatologist: User, monitor: User
) -> None:
    query = factories.a_query(factories.a_patient(site=coordinator.site), by=monitor)
    ends = at_once(
        [
            lambda by=by: queries.answer_query(query=query, text=by.username, by=by, version=1).state
            for by in (coordinator, hepatologist)
        ]
    )
    assert sorted(type(end).__name__ for end in ends) == [Conflict.__name__, "str"]
    assert [message.step for message in query.messages.all()] == ["opened", "answered"]


@pytest.mark.django_db
def test_the_database_itself_knows_no_second_question_of_a_check(coordinator: User) -> None:
    patient: Patient = factories.a_patient(site=coordinator.site)

    def ask(state: str) -> None:
        with transaction.atomic(), audit.revision(by=coordinator):
            DataQuery.objects.create(
                patient=patient,
                topic="subject",
                check_code="group_and_weeks",
                state=state,
                opened_by=coordinator,
                opened_at=timezone.now(),
            )

    ask("closed")
    ask("open")
    with pytest.raises(IntegrityError, match="one_open_query_per_check_and_field"):
        ask("answered")


@pytest.mark.django_db
def test_what_is_closed_changes_only_by_being_opened_again(coordinator: User, monitor: User) -> None:
    query = factories.a_query(factories.a_patient(site=coordinator.site), by=monitor)
    closed = queries.close_query(query=query, text="found it", by=monitor)
    audit.settle()

    def change(**fields: object) -> None:
        with transaction.atomic(), audit.revision(by=monitor, reason="made for a test"):
            DataQuery.objects.filter(pk=closed.pk).update(**fields)

    for fields in ({"state": "answered"}, {"assigned_to": coordinator}, {"field": "tbil"}):
        with pytest.raises(DatabaseError, match="never changed"):
            change(**fields)
    change(state="open", assigned_to=coordinator)
