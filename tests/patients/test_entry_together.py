"""Two coordinators on the same visits at the same instant, and one form sent many times at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from functools import partial

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from patients import actions
from patients.entries import LabEntry
from patients.models import LabResult, Patient, Visit
from tests import factories
from trial import audit, protocol
from trial.models import AuditEntry, Revision, User
from trial.refusals import Conflict

pytestmark = pytest.mark.committed

ROUNDS = 300
SUBJECTS = 4


def together(*tasks: Callable[[], None]) -> None:
    """Run the tasks at the same instant, each in a thread and a database connection of its own."""
    start = threading.Barrier(len(tasks), timeout=30)
    failed: list[BaseException] = []

    def run(task: Callable[[], None]) -> None:
        try:
            start.wait()
            task()
        except BaseException as error:  # noqa: BLE001  told below, in the test's own thread
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if failed:
        raise failed[0]


def test_three_hundred_rounds_of_two_coordinators_lose_nothing(coordinator: User, data_manager: User) -> None:
    """In each round both save the same visit: TBIL collides, ALT and AST do not."""
    patients = [factories.a_patient(site=coordinator.site) for _ in range(SUBJECTS)]
    visits = [
        factories.a_visit(patient, week, tbil="100", alt="100", ast="100")
        for patient in patients
        for week in protocol.WEEKS
    ]
    first_revision = audit.latest_revision()
    said: dict[int, list[tuple[str, str]]] = {visit.pk: [] for visit in visits}
    saves = 0

    for number in range(ROUNDS):
        visit = visits[number % len(visits)]
        version = Visit.objects.get(pk=visit.pk).version
        collides = number % 3 != 2
        outcomes: dict[str, str] = {}

        def save(
            by: User,
            own: str,
            value: str,
            visit: Visit = visit,
            version: int = version,
            collides: bool = collides,
            outcomes: dict[str, str] = outcomes,
        ) -> None:
            entries = [LabEntry(analyte=own, value=Decimal(value), typed_text=value)]
            if collides:
                entries.append(LabEntry(analyte="tbil", value=Decimal(value), typed_text=value))
            try:
                actions.record_labs(
                    visit=visit, entries=entries, by=by, reason="checked against the source", version=version
                )
                outcomes[own] = "saved"
            except Conflict as conflict:
                assert [clash.field for clash in conflict.clashes] == ["tbil"]
                outcomes[own] = "asked"

        mine, theirs = str(101 + 2 * number), str(102 + 2 * number)
        together(partial(save, coordinator, "alt", mine), partial(save, data_manager, "ast", theirs))

        assert sorted(outcomes.values()) == (["asked", "saved"] if collides else ["saved", "saved"])
        stored = dict(LabResult.objects.filter(visit=visit).values_list("analyte", "typed_text"))
        for own, value in (("alt", mine), ("ast", theirs)):
            if outcomes[own] == "saved":
                saves += 1
                said[visit.pk].append((own, value))
                assert stored[own] == value
                if collides:
                    said[visit.pk].append(("tbil", value))
                    assert stored["tbil"] == value
            else:
                assert stored[own] != value

    # one revision a save, and the trail holds exactly what was saved, each change from the one before it
    assert audit.latest_revision() == first_revision + saves
    for visit in visits:
        rows = {row.pk: row.analyte for row in LabResult.objects.filter(visit=visit)}
        steps = AuditEntry.objects.filter(
            table=LabResult._meta.db_table, row__in=rows, op="U", revision__number__gt=first_revision
        )
        told = []
        last: dict[int, str] = {}
        for step in steps.order_by("id"):
            assert step.old is not None and step.new is not None
            assert step.old["typed_text"] == last.get(step.row, "100")
            last[step.row] = step.new["typed_text"]
            told.append((rows[step.row], step.new["typed_text"]))
        assert sorted(told) == sorted(said[visit.pk])


def post(client: Client, address: str, form: dict[str, str], answers: list[tuple[int, str]]) -> None:
    response = client.post(address, form)
    answers.append((response.status_code, response.url))


@pytest.mark.parametrize("posts", [2, 3, 5, 8])
def test_one_key_posted_many_times_at_once_is_one_change(
    posts: int, coordinator: User, signed_in: Callable[[User], Client]
) -> None:
    patient = factories.a_patient(site=coordinator.site)
    address = reverse("patients:enter_visit", args=[patient.subject_id, 4])
    clients = [signed_in(coordinator) for _ in range(posts)]
    before = audit.latest_revision()
    day = (patient.recruited_on + timedelta(days=35)).isoformat()
    for number in range(3):
        version = Visit.objects.filter(patient=patient).values_list("version", flat=True).first() or 0
        form = {
            "visited_on": day,
            "version": str(version),
            "tbil": str(140 + number),
            "reason": "typing_slip",
            "submission_key": f"key-{posts}-{number}",
        }
        answers: list[tuple[int, str]] = []
        together(*(partial(post, client, address, form, answers) for client in clients))
        assert answers == [(302, f"{address}?saved=1")] * posts
        assert Patient.objects.get(pk=patient.pk).lab_results.get().value == 140 + number
        assert audit.latest_revision() == before + number + 1
        assert Revision.objects.filter(request_id__startswith=f"key-{posts}-{number}.").count() == 1
