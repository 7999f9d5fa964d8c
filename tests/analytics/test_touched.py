"""What an audit entry can have moved; no database."""

from __future__ import annotations

import pytest
from django.apps import apps

from analytics.cells import CellKey, all_keys
from analytics.touched import EVERYTHING, FIELDS, IRRELEVANT, NOTHING, Entry, Touched, touched
from trial import protocol
from trial.triggers import audited

MELD = {score.code for score in protocol.SCORES}
LAB = {
    "id": 9, "patient_id": 1, "visit_id": 5, "analyte": "alt", "value": 40, "comparator": "",
    "missing_reason": "", "sampled_at": None, "typed_text": "40", "version": 1,
}  # fmt: skip
VISIT = {"id": 5, "patient_id": 1, "week": 4, "visited_on": "2024-02-12", "voided_at": None, "version": 1}
WEEKS = {5: 4, 6: 12, 7: None}


def lab(old: dict | None, new: dict | None) -> Entry:
    return Entry("patients_labresult", old, new)


def test_an_entered_value_touches_its_column() -> None:
    assert touched([lab(None, LAB)], WEEKS) == Touched(frozenset({1}), frozenset({("alt", 4)}))


def test_an_input_of_meld_touches_the_scores_it_enters() -> None:
    found = touched([lab(None, LAB | {"analyte": "sodium"})], WEEKS)

    assert found.columns == {("sodium", 4), ("meld_na_optn2016", 4), ("meld_3_0", 4)}


def test_a_moved_result_touches_both_places() -> None:
    found = touched([lab(LAB, LAB | {"visit_id": 6, "patient_id": 2})], WEEKS)

    assert found == Touched(frozenset({1, 2}), frozenset({("alt", 4), ("alt", 12)}))


@pytest.mark.parametrize("field", ["typed_text", "version"])
def test_what_is_only_written_beside_a_value_touches_nothing(field: str) -> None:
    assert touched([lab(LAB, LAB | {field: "7"})], WEEKS) == NOTHING


def test_a_draw_outside_the_schedule_touches_a_score_but_no_cell() -> None:
    assert touched([lab(None, LAB | {"visit_id": 7})], WEEKS) == Touched(frozenset({1}), frozenset())


def test_a_result_of_an_unknown_visit_may_have_been_at_any_week() -> None:
    found = touched([lab(LAB, None)], {})

    assert found.columns == {("alt", week) for week in protocol.WEEKS}


def test_a_visit_touches_every_quantity_of_its_weeks() -> None:
    found = touched([Entry("patients_visit", VISIT, VISIT | {"week": 12})], WEEKS)

    assert found.columns == {(code, week) for code in protocol.MEASURED for week in (4, 12)}


def test_a_visit_that_is_only_counted_up_touches_nothing() -> None:
    assert touched([Entry("patients_visit", VISIT, VISIT | {"version": 2})], WEEKS) == NOTHING


@pytest.mark.parametrize(
    ("table", "row", "change"),
    [
        ("patients_patient", {"id": 1, "diagnosis": "cirrhosis"}, {"diagnosis": "liver_failure"}),
        ("infusions_infusion", {"patient_id": 1, "voided_at": None}, {"voided_at": "2024-05-01"}),
        ("patients_outcome", {"patient_id": 1, "happened_on": "2024-05-01"}, {"happened_on": "2024-05-02"}),
        ("patients_screening", {"patient_id": 1, "verdict": "pending"}, {"verdict": "eligible"}),
    ],
)
def test_who_belongs_where_touches_all_cells_but_one_patient(table: str, row: dict, change: dict) -> None:
    assert touched([Entry(table, row, row | change)], WEEKS) == Touched(frozenset({1}), None)


def test_identity_and_answers_touch_nothing() -> None:
    entries = [Entry(table, None, {"patient_id": 1}) for table in sorted(IRRELEVANT)]

    assert touched(entries, WEEKS) == NOTHING


TREATMENT = {
    "id": 3, "patient_id": 1, "kind": "dialysis", "agent": "", "dose": "", "started_on": "2024-02-10", "started_at": None,
    "ended_on": None, "ended_at": None, "note": "", "voided_at": None, "version": 1,
}  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (None, TREATMENT),
        (TREATMENT, TREATMENT | {"started_on": "2024-02-03"}),
        (TREATMENT, TREATMENT | {"voided_at": "2024-05-01"}),
        (TREATMENT, TREATMENT | {"kind": "plasma"}),
        (TREATMENT | {"kind": "plasma"}, TREATMENT | {"kind": "cvvhd"}),
    ],
)
def test_dialysis_touches_the_scores_that_creatinine_enters(old: dict | None, new: dict) -> None:
    found = touched([Entry("patients_treatment", old, new)], WEEKS)

    scores = {score.code for score in protocol.SCORES if "creatinine" in score.inputs}
    assert found == Touched(
        frozenset({1}), frozenset((score, week) for score in scores for week in protocol.WEEKS)
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (None, TREATMENT | {"kind": "plasma"}),
        (TREATMENT | {"kind": "albumin"}, TREATMENT | {"kind": "albumin", "ended_on": "2024-03-01"}),
        (TREATMENT, TREATMENT | {"agent": "other machine", "note": "tired", "version": 2}),
    ],
)
def test_other_treatment_touches_nothing(old: dict | None, new: dict) -> None:
    assert touched([Entry("patients_treatment", old, new)], WEEKS) == NOTHING


def test_an_unknown_table_touches_everything() -> None:
    assert (
        touched([lab(None, LAB), Entry("patients_unheard_of", None, {"patient_id": 1})], WEEKS) == EVERYTHING
    )


def test_every_table_with_a_trail_is_judged() -> None:
    """A new study table is either read by the analysis or declared to be without influence."""
    tables = {model._meta.db_table for model in audited()}

    assert tables - set(FIELDS) - IRRELEVANT == {"trial_site"}, "its time zone moves days: everything"
    assert tables >= IRRELEVANT


@pytest.mark.parametrize("table", sorted(FIELDS))
def test_fields_exist_and_those_left_out_are_known(table: str) -> None:
    model = next(m for m in apps.get_models() if m._meta.db_table == table)
    columns = {field.column for field in model._meta.concrete_fields}
    without_influence = {
        "patients_patient": {"id", "locked_at", "planned_course", "status", "version"},
        "patients_screening": {"id", "protocol_version", "rule_set", "version"},
        "infusions_infusion": {
            "id", "number", "started_at", "stopped_at", "weight_kg", "cells", "volume_ml", "lot_id", "reaction",
            "version", "vein", "bag", "checked_by", "observed_until", "reaction_grade", "interruption",
        },
        "patients_outcome": {"id", "note", "version"},
        "patients_visit": {"id", "ascites", "encephalopathy", "locked_at", "not_done", "note", "version"},
        "patients_treatment": {"id", "agent", "dose", "note", "version"},
        "patients_labresult": {"id", "laboratory_id", "typed_text", "typed_unit", "version"},
    }[table]  # fmt: skip
    without_influence |= {column for column in columns if column.startswith("deviation")}

    assert FIELDS[table] | without_influence == columns


def test_cells_of_touched_columns() -> None:
    now = Touched(frozenset({1}), frozenset({("alt", 4)}))
    keys = [key for key in all_keys() if now.cell(key)]

    assert all(key.analyte == "alt" and 4 in key.weeks for key in keys)
    assert CellKey("treated", "level", "A", "", "alt", 0, 24) in keys, (
        "the comparison of all weeks needs week 4"
    )
    assert CellKey("treated", "interval", "A", "B", "alt", 4, 12) in keys
    assert CellKey("treated", "interval", "A", "B", "alt", 12, 24) not in keys


def test_freezing_a_site_computes_nothing_again() -> None:
    site = {"id": 1, "code": "GE", "name": "East", "time_zone": "Asia/Shanghai", "frozen_at": None}
    frozen = {**site, "frozen_at": "2026-03-01T00:00:00+00:00"}
    assert touched([Entry("trial_site", site, frozen)], {}) == NOTHING
    assert touched([Entry("trial_site", site, {**site, "time_zone": "Asia/Urumqi"})], {}) == EVERYTHING
    assert touched([Entry("trial_site", None, site)], {}) == EVERYTHING
