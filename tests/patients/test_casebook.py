"""What a signature covers: deterministic, sensitive to every signed field, deaf to everything else."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from django.apps import apps

from patients import casebook, casebook_rows
from patients.models import LabResult, Visit
from tests import factories
from tests.trial import study_rows
from trial.models import User

SAMPLE: dict[str, list[dict[str, Any]]] = {
    name: [{field: f"{field} 1" for field in fields}, {field: f"{field} 2" for field in fields}]
    for name, fields in casebook.SIGNED.items()
}


def digest_of(tables: dict[str, list[dict[str, Any]]], *, is_visit: bool = False) -> str:
    return casebook.digest(casebook.document("GE-001", tables, is_visit=is_visit))


def test_the_text_is_what_the_documentation_says() -> None:
    visit = {"week": 4, "visited_on": date(2024, 3, 1), "not_done": "", "note": "ß 肝"}
    signed = casebook.document("GE-001", {"patients_visit": [visit]}, is_visit=True)
    text = casebook.canonical(signed)
    assert text == (
        '{"format":"cordline casebook 1","scope":"visit","subject":"GE-001","tables":{"patients_labresult":[],'
        '"patients_visit":[{"not_done":"","note":"ß 肝","visited_on":"2024-03-01","week":4}]}}'
    )
    assert casebook.digest(signed) == hashlib.sha256(text.encode()).hexdigest()
    assert json.loads(text)["format"] == casebook.FORMAT


def test_the_order_of_rows_does_not_matter() -> None:
    turned = {name: rows[::-1] for name, rows in SAMPLE.items()}
    assert digest_of(SAMPLE) == digest_of(turned)


@pytest.mark.parametrize(
    ("table", "field"), [(t, f) for t, fields in casebook.SIGNED.items() for f in fields]
)
def test_every_field_matters(table: str, field: str) -> None:
    changed = {**SAMPLE, table: [{**SAMPLE[table][0], field: "other"}, SAMPLE[table][1]]}
    assert digest_of(changed) != digest_of(SAMPLE)
    assert (digest_of(changed, is_visit=True) != digest_of(SAMPLE, is_visit=True)) == (
        table in casebook.OF_A_VISIT
    )


def test_a_row_more_or_less_matters() -> None:
    for table in casebook.SIGNED:
        assert digest_of({**SAMPLE, table: SAMPLE[table][:1]}) != digest_of(SAMPLE)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("171.00000000"), "171"),
        (Decimal("0.0500"), "0.05"),
        (Decimal(55000000), "55000000"),
        (Decimal("1E+3"), "1000"),
        (Decimal("-0.00"), "0"),
        (time(9, 5), "09:05:00"),
        (datetime(2024, 3, 1, 8, 0, tzinfo=timezone(timedelta(hours=8))), "2024-03-01T00:00:00+00:00"),
        (datetime(2024, 3, 1, 0, 0, tzinfo=UTC), "2024-03-01T00:00:00+00:00"),
    ],
)
def test_equal_values_have_one_text(value: object, text: str) -> None:
    assert casebook.plain(value) == text


@pytest.mark.parametrize("value", [1.5, datetime(2024, 3, 1), b"x", {"a": 1}])
def test_what_has_no_exact_text_is_not_signed(value: object) -> None:
    with pytest.raises(TypeError):
        casebook.plain(value)


def test_every_column_is_signed_or_said_to_mean_nothing() -> None:
    models = {model._meta.db_table: model for model in apps.get_models()}
    for table, fields in casebook.SIGNED.items():
        columns = {field.name for field in models[table]._meta.local_concrete_fields}
        assert columns - casebook.UNSIGNED == set(fields), table


@pytest.mark.django_db
@pytest.mark.parametrize("table", sorted(set(casebook.SIGNED) - {"patients_patient"}))
def test_a_stored_change_moves_the_digest_of_the_casebook(table: str) -> None:
    sample = study_rows.SAMPLES[table]
    row: Any = study_rows.saved(sample.make())
    before = casebook_rows.read(row.patient).digest()
    assert casebook_rows.read(row.patient).digest() == before
    with factories.by_the_software():
        type(row)._default_manager.filter(pk=row.pk).update(**{sample.column: sample.value})
    assert casebook_rows.read(row.patient).digest() != before


@pytest.mark.django_db
def test_a_visit_is_deaf_to_other_visits_versions_and_locks(coordinator: User) -> None:
    patient = factories.a_patient(site=coordinator.site)
    visit = factories.a_visit(patient, 4, tbil="171")
    before = casebook_rows.read(patient, only_visits=True).digest(visit.pk)
    factories.a_visit(patient, 12, tbil="60")
    with factories.by_the_software():
        LabResult.objects.filter(visit=visit).update(version=9)
        Visit.objects.filter(pk=visit.pk).update(locked_at=study_rows.NOON, version=9)
    assert casebook_rows.read(patient).digest(visit.pk) == before
    with factories.by_the_software():
        Visit.objects.filter(pk=visit.pk).update(locked_at=None)
        Visit.objects.filter(pk=visit.pk).update(voided_at=study_rows.NOON)
    assert casebook_rows.read(patient).digest(visit.pk) != before
