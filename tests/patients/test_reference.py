"""The reference of each stored result."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from patients import reference
from patients.models import Laboratory, LabResult, ReferenceRange
from tests import factories

pytestmark = pytest.mark.django_db


def a_laboratory(code: str = "GE-LAB") -> Laboratory:
    with factories.by_the_software():
        return Laboratory.objects.create(code=code, name=f"Laboratory {code}")


def a_range(laboratory: Laboratory, high: str, **fields: Any) -> ReferenceRange:
    given: dict[str, Any] = {
        "analyte": "alt",
        "valid_from": date(2024, 1, 1),
        "low": Decimal(5),
        "high": Decimal(high),
        "typed_unit": "U/L",
    }
    with factories.by_the_software():
        return ReferenceRange.objects.create(laboratory=laboratory, **(given | fields))


def results(measured_by: Laboratory | None, *days: date) -> list[LabResult]:
    patient = factories.a_patient()
    for week, day in zip((0, 1, 4, 12), days, strict=False):
        factories.a_visit(patient, week, day, alt="45", ast="30")
    with factories.by_the_software():
        LabResult.objects.filter(patient=patient).update(laboratory=measured_by)
    return list(LabResult.objects.filter(patient=patient, analyte="alt").order_by("visit__week"))


def test_the_range_of_the_day_the_blood_was_drawn_is_used() -> None:
    laboratory = a_laboratory()
    a_range(laboratory, "40", valid_to=date(2024, 2, 29))
    a_range(laboratory, "50", valid_from=date(2024, 3, 1))
    before, after = results(laboratory, date(2024, 2, 29), date(2024, 3, 1))
    found = reference.references_for([before, after])
    assert [found[r.pk].limits.high for r in (before, after)] == [Decimal(40), Decimal(50)]
    assert [found[r.pk].flag(r.value) for r in (before, after)] == ["high", ""]
    assert found[after.pk].laboratory == "Laboratory GE-LAB"


def test_a_voided_range_and_an_unknown_laboratory_leave_the_protocols_range() -> None:
    laboratory = a_laboratory()
    voided = a_range(laboratory, "400")
    with factories.by_the_software():
        ReferenceRange.objects.filter(pk=voided.pk).update(voided_at="2024-05-01T00:00Z")
    (measured,) = results(laboratory, date(2024, 3, 1))
    (unknown,) = results(None, date(2024, 3, 1))
    found = reference.references_for([measured, unknown])
    assert all(found[r.pk].is_protocols and found[r.pk].limits.high == 50 for r in (measured, unknown))


def test_the_number_of_queries_does_not_depend_on_the_number_of_results() -> None:
    laboratory = a_laboratory()
    a_range(laboratory, "40")
    days = (date(2024, 3, 1), date(2024, 3, 8), date(2024, 3, 28), date(2024, 5, 28))
    few, many = [r.pk for r in results(laboratory, days[0])], []
    for _subject in range(3):
        many += [r.pk for r in results(laboratory, *days)]

    def queries(wanted: list[int]) -> int:
        with CaptureQueriesContext(connection) as caught:
            assert len(reference.references_for(list(LabResult.objects.filter(pk__in=wanted)))) == len(wanted)
        return len(caught)

    assert queries(few) == queries(many) <= 5


def test_the_bands_of_a_subject_step_with_the_range() -> None:
    laboratory = a_laboratory()
    a_range(laboratory, "40", valid_to=date(2024, 2, 29))
    a_range(laboratory, "50", valid_from=date(2024, 3, 1))
    patient = results(laboratory, date(2024, 2, 1), date(2024, 3, 8))[0].patient
    with CaptureQueriesContext(connection) as caught:
        found = reference.bands(patient, "alt")
    assert [(first, last, limits.high) for first, last, limits in found[1:]] == [
        (date(2024, 1, 1), date(2024, 2, 29), Decimal(40)),
        (date(2024, 3, 1), None, Decimal(50)),
    ]
    assert len(caught) == 2


def test_a_draw_that_is_not_stored_yet_has_references_too() -> None:
    laboratory = a_laboratory()
    a_range(laboratory, "44", sex="M")
    patient = factories.a_patient()
    found = reference.references(patient, laboratory=laboratory, day=date(2024, 3, 1))
    assert found["alt"].limits.high == 44
    assert found["ast"].is_protocols
    assert reference.references(patient, laboratory=None, day=None)["alt"].limits.high == 50
