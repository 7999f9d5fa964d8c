"""Taking a revision back: everything it did, nothing of what others did since."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from infusions.models import CellLot
from patients.models import LabResult, Visit
from tests import factories
from trial import audit, replay
from trial.models import Revision, User
from trial.refusals import Refused
from trial.undo import undo

pytestmark = pytest.mark.django_db


def last() -> Revision:
    return Revision.objects.exclude(number=None).latest("number")


def taken_back(revision: Revision, by: User) -> tuple[int, int, int, int]:
    done = undo(revision=revision, by=by, reason="imported by mistake")
    factories.settle()
    return done.restored, done.voided, done.deleted, done.brought_back


def test_a_change_becomes_what_it_was_and_the_version_goes_on(coordinator: User) -> None:
    visit = factories.a_visit(factories.a_patient(), 4, tbil="171.0")
    with audit.revision(by=coordinator, reason="unit corrected"):
        LabResult.objects.filter(visit=visit).update(value=Decimal("17.1"), typed_text="17.1", version=2)
    factories.settle()
    assert taken_back(last(), coordinator) == (1, 0, 0, 0)
    result = LabResult.objects.get(visit=visit)
    assert (result.value, result.typed_text, result.version) == (Decimal(171), "171.0", 3)
    assert replay.verify().is_clean


def test_what_was_entered_is_voided_or_deleted_where_it_cannot_be(coordinator: User) -> None:
    patient = factories.a_patient()
    visit = factories.a_visit(patient, 4, tbil="171", alt="40")
    assert taken_back(last(), coordinator) == (0, 1, 2, 0)
    assert Visit.objects.get(pk=visit.pk).voided_at is not None
    assert not LabResult.objects.filter(visit=visit).exists()


def test_what_was_deleted_comes_back_to_the_digit(coordinator: User) -> None:
    with audit.revision(by=coordinator):
        lot = CellLot.objects.create(code="L-1", viability_percent=Decimal("91.20"))
    factories.settle()
    with audit.revision(by=coordinator, reason="entered twice"):
        CellLot.objects.filter(pk=lot.pk).delete()
    factories.settle()
    assert taken_back(last(), coordinator) == (0, 0, 0, 1)
    assert CellLot.objects.get(pk=lot.pk).viability_percent == Decimal("91.20")


def test_taking_back_twice_gives_the_first_state(coordinator: User) -> None:
    visit = factories.a_visit(factories.a_patient(), 4, tbil="171")
    with audit.revision(by=coordinator, reason="unit corrected"):
        LabResult.objects.filter(visit=visit).update(value=Decimal("17.1"))
    factories.settle()
    taken_back(last(), coordinator)
    taken_back(last(), coordinator)
    assert LabResult.objects.get(visit=visit).value == Decimal("17.1")


def test_what_somebody_changed_since_is_named_and_nothing_is_undone(
    coordinator: User, data_manager: User
) -> None:
    patient = factories.a_patient()
    visits = [factories.a_visit(patient, week, tbil="171") for week in (4, 12)]
    with audit.revision(by=coordinator, reason="unit corrected"):
        LabResult.objects.filter(visit__in=visits).update(value=Decimal("17.1"))
    factories.settle()
    first = last()
    with audit.revision(by=data_manager, reason="checked"):
        LabResult.objects.filter(visit=visits[0]).update(value=Decimal("17.2"))
    factories.settle()
    with pytest.raises(Refused) as refused:
        undo(revision=first, by=coordinator, reason="by mistake")
    [problem] = refused.value.problems
    assert (problem.field, problem.rule) == ("patients_labresult", "changed_since")
    assert f"revision {last().number}" in str(problem)
    values = LabResult.objects.filter(visit__in=visits).order_by("visit").values_list("value", flat=True)
    assert list(values) == [Decimal("17.2"), Decimal("17.1")]


def test_another_column_changed_since_does_not_hinder(coordinator: User) -> None:
    patient = factories.a_patient()
    visit = factories.a_visit(patient, 4, date(2024, 2, 10), tbil="171")
    with audit.revision(by=coordinator, reason="checked"):
        Visit.objects.filter(pk=visit.pk).update(visited_on=date(2024, 2, 11))
    factories.settle()
    first = last()
    with audit.revision(by=coordinator, reason="noted"):
        Visit.objects.filter(pk=visit.pk).update(note="came late", version=7)
    factories.settle()
    taken_back(first, coordinator)
    visit.refresh_from_db()
    assert (visit.visited_on, visit.note, visit.version) == (date(2024, 2, 10), "came late", 8)


def test_no_reason_no_undoing(coordinator: User) -> None:
    factories.a_patient()
    with pytest.raises(Refused, match="reason"):
        undo(revision=last(), by=coordinator, reason=" ")
