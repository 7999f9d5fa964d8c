"""Revisions in words: the sentences of the history, and the lines of a diff."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import translation

from trial import story
from trial import trail_words as words
from trial.diff import Line, RowDiff, build
from trial.models import AuditEntry
from trial.trail_words import Names

VISIT = {"id": 5, "patient_id": 1, "week": 12, "visited_on": "2026-03-17", "version": 1, "voided_at": None}
DRAW = {"id": 6, "patient_id": 1, "week": None, "visited_on": "2026-02-16", "version": 1, "voided_at": None}
PATIENT = {
    "id": 1,
    "subject_id": "GE-031",
    "site_id": 3,
    "sex": "F",
    "diagnosis": "cirrhosis",
    "planned_course": "standard",
    "birth_date": "1974-03-02",
    "status": "enrolled",
    "version": 1,
}
NAMES = Names(
    {
        ("patients_patient", 1): PATIENT,
        ("patients_visit", 5): VISIT,
        ("patients_visit", 6): DRAW,
        ("infusions_celllot", 9): {"id": 9, "code": "UC-2604-D"},
        ("trial_site", 3): {"id": 3, "code": "GE"},
        ("patients_screening", 7): {"id": 7, "screened_on": "2026-01-05"},
    }
)


def result(analyte: str = "tbil", value: str | None = "171.000000", **fields: Any) -> dict[str, Any]:
    return {
        "id": 100,
        "patient_id": 1,
        "visit_id": 5,
        "analyte": analyte,
        "value": None if value is None else Decimal(value),
        "comparator": "",
        "typed_text": value or "",
        "typed_unit": "umol/L",
        "missing_reason": "",
        "sampled_at": None,
        "version": 1,
    } | fields


def entry(
    table: str, old: dict[str, Any] | None, new: dict[str, Any] | None, *, row: int | None = None
) -> AuditEntry:
    op = "U" if old and new else "I" if new else "D"
    now = new or old or {}
    return AuditEntry(
        table=table, op=op, row=row or now["id"], patient_id=now.get("patient_id"), old=old, new=new
    )


def told(*entries: AuditEntry, **how: Any) -> list[str]:
    return [str(one) for one in story.tell(entries, NAMES, **how)]


INFUSION = {
    "id": 8,
    "patient_id": 1,
    "number": 8,
    "given_on": "2026-02-09",
    "cells": 55_000_000,
    "weight_kg": Decimal("55.0"),
    "lot_id": 9,
    "reaction": "",
    "voided_at": None,
    "version": 1,
}

SENTENCES = [
    pytest.param(
        [entry("patients_labresult", result(), result(value="17.100000"))],
        ["W12 TBIL 171 → 17.1 µmol/L"],
        id="a_correction",
    ),
    pytest.param(
        [
            entry("patients_labresult", result(), result(value="17.1", typed_text="17.1")),
            entry("patients_visit", VISIT, VISIT | {"version": 2}),
        ],
        ["W12 TBIL 171 → 17.1 µmol/L"],
        id="what_was_typed_and_the_counter_of_the_visit_say_nothing_more",
    ),
    pytest.param(
        [entry("patients_labresult", result("afp", "5"), result("afp", "5", comparator="<"))],
        ["W12 AFP 5 → <5 ng/mL"],
        id="a_comparator",
    ),
    pytest.param(
        [entry("patients_labresult", result(), result(value=None, missing_reason="not_drawn"))],
        ["W12 TBIL 171 → not drawn"],
        id="a_value_that_was_none",
    ),
    pytest.param(
        [entry("patients_labresult", result("inr", "1.21"), result("inr", "1.210"), row=100)],
        ["W12 INR 1.21 → 1.210 ratio"],
        id="a_trailing_zero",
    ),
    pytest.param(
        [entry("patients_labresult", result(visit_id=6), result(visit_id=6, value="1"))],
        ["2026-02-16 TBIL 171 → 1 µmol/L"],
        id="an_unscheduled_draw",
    ),
    pytest.param(
        [entry("patients_labresult", result("old_marker"), result("old_marker", "2"))],
        ["W12 old_marker 171 → 2"],
        id="an_analyte_that_left_the_panel",
    ),
    pytest.param(
        [
            entry("patients_labresult", result(a), result(a, sampled_at="2026-03-17T01:00:00+00:00"))
            for a in ("tbil", "alt")
        ],
        ["W12 time of draw added"],
        id="a_time_of_draw_is_told_once",
    ),
    pytest.param(
        [entry("patients_labresult", result(a), result(a, "2")) for a in ("tbil", "alt", "ast", "inr", "pta")],
        ["5 lab results changed"],
        id="many_corrections_are_counted",
    ),
    pytest.param(
        [
            entry("patients_visit", None, VISIT),
            *(entry("patients_labresult", None, result(a)) for a in ("tbil", "alt")),
            entry("patients_labresult", None, result("afp", None, missing_reason="refused")),
        ],
        ["W12 entered: 3 analytes"],
        id="a_visit_with_its_results",
    ),
    pytest.param(
        [entry("patients_labresult", None, result(a)) for a in ("tbil", "alt")],
        ["W12 added: TBIL, ALT"],
        id="results_added_to_a_visit",
    ),
    pytest.param(
        [entry("patients_screeningfact", None, {"id": 1003, "patient_id": 1, "screening_id": 7, "fact": "hbsag_first_on"})],
        ["Fact of the screening HBsAg first positive entered"],
        id="a_fact_is_named",
    ),
    pytest.param(
        [entry("patients_visit", None, VISIT)], ["Visit of week 12 recorded"], id="a_visit_without_results"
    ),
    pytest.param(
        [entry("patients_visit", VISIT, VISIT | {"voided_at": "2026-03-18T00:00:00+00:00"})],
        ["W12 voided"],
        id="a_visit_voided",
    ),
    pytest.param(
        [entry("patients_visit", VISIT, VISIT | {"visited_on": "2026-03-18"})],
        ["W12: date of visit 2026-03-17 → 2026-03-18"],
        id="another_day",
    ),
    pytest.param(
        [entry("patients_visit", VISIT | {"visited_on": None}, VISIT)], ["W12: day added"], id="a_day_added"
    ),
    pytest.param(
        [entry("infusions_infusion", None, INFUSION)],
        ["Infusion 8 given, lot UC-2604-D, 55.0 × 10⁶ cells"],
        id="an_infusion",
    ),
    pytest.param(
        [entry("infusions_infusion", INFUSION, INFUSION | {"weight_kg": Decimal("56.5")})],
        ["Infusion 8: weight, kg 55 → 56.5"],
        id="a_weight_corrected",
    ),
    pytest.param(
        [entry("infusions_infusion", INFUSION, INFUSION | {"number": 7})],
        ["Infusion 7: infusion 8 → 7"],
        id="a_number_corrected",
    ),
    pytest.param(
        [entry("infusions_infusion", INFUSION | {"voided_at": "2026-03-18T00:00:00+00:00"}, INFUSION)],
        ["Infusion 8 restored"],
        id="an_infusion_restored",
    ),
    pytest.param([entry("patients_patient", None, PATIENT)], ["GE-031 registered"], id="a_subject"),
    pytest.param(
        [entry("patients_patient", PATIENT, PATIENT | {"status": "screen_failed"})],
        ["Subject: status enrolled → screen failure"],
        id="a_status",
    ),
    pytest.param(
        [
            entry("patients_screening", None, {"id": 7, "screened_on": "2026-01-05", "verdict": "eligible"}),
            *(
                entry(
                    "patients_screeninganswer",
                    None,
                    {"id": n, "screening_id": 7, "criterion": "inclusion_a", "answer": "yes"},
                )
                for n in range(11)
            ),
        ],
        ["Screening of 2026-01-05: eligible"],
        id="a_screening_with_its_answers",
    ),
    pytest.param(
        [
            entry(
                "patients_screeninganswer",
                {"id": 2, "screening_id": 7, "criterion": "exclusion_h", "answer": "unknown"},
                {"id": 2, "screening_id": 7, "criterion": "exclusion_h", "answer": "no"},
            )
        ],
        ["Criterion exclusion H: answer unknown → no"],
        id="an_answer",
    ),
    pytest.param(
        [entry("patients_outcome", None, {"id": 4, "kind": "death", "happened_on": "2026-04-01"})],
        ["Outcome recorded: died on 2026-04-01"],
        id="an_outcome",
    ),
    pytest.param(
        [entry("infusions_celllot", None, {"id": 9, "code": "UC-1"})], ["Lot UC-1 entered"], id="a_lot"
    ),
    pytest.param(
        [entry("trial_user", {"id": 2, "username": "li.min", "role": "monitor"},
               {"id": 2, "username": "li.min", "role": "data_manager"})],
        ["Account li.min: role Monitor → Data manager"],
        id="a_role",
    ),
    pytest.param(
        [entry("trial_user", {"id": 2, "username": "li.min", "is_active": True},
               {"id": 2, "username": "li.min", "is_active": False})],
        ["Account li.min: active yes → no"],
        id="an_account_closed",
    ),
    pytest.param([entry("patients_labresult", result(), None)], ["Lab result week 12 · TBIL deleted"], id="one_deleted"),
    pytest.param(
        [entry("patients_labresult", result(a), None) for a in ("tbil", "alt")],
        ["2 lab results deleted"],
        id="two_deleted",
    ),
    pytest.param(
        [entry("patients_forgotten", None, {"id": 3, "x": 1})], ["patients_forgotten 3 entered"], id="a_table_of_the_past"
    ),
]  # fmt: skip


@pytest.mark.parametrize(("entries", "sentences"), SENTENCES)
def test_revision_is_told(entries: list[AuditEntry], sentences: list[str]) -> None:
    assert told(*entries) == sentences


def test_facts_stand_beside_the_sentence() -> None:
    [one] = story.tell([entry("infusions_infusion", None, INFUSION | {"reaction": "fever 38.4 °C"})], NAMES)
    assert one.note == "55 kg · fever 38.4 °C"
    [one] = story.tell(
        [entry("patients_visit", None, VISIT), entry("patients_labresult", None, result(value=None))], NAMES
    )
    assert one.note == "1 without a value"


@pytest.mark.parametrize(
    ("sees", "sentences"),
    [
        (False, ["Subject: date of birth changed", "Identity: telephone changed"]),
        (True, ["Subject: date of birth 1974-03-02 → 1974-03-12", "Identity: telephone changed"]),
    ],
)
def test_identity_is_told_only_to_those_who_may_see_it(sees: bool, sentences: list[str]) -> None:
    identity = {"id": 1, "patient_id": 1, "name": "王芳", "hospital_number": "H-1", "phone": "138"}
    changes = [
        entry("patients_patient", PATIENT, PATIENT | {"birth_date": "1974-03-12"}),
        entry("patients_patientidentity", identity, identity | {"phone": "139"}),
    ]
    assert told(*changes, sees_identity=sees) == sentences
    text = str(build(changes, NAMES, sees_identity=sees))
    for birth_date in ("1974-03-02", "1974-03-12"):
        assert (birth_date in text) is sees
    for secret in ("王芳", "138", "139", "H-1"):
        assert secret not in text, "only on the page whose every view is logged"


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        ([("patients_patient", "I", 312), ("patients_visit", "I", 1266)], "1,266 visits, 312 subjects entered"),
        ([("patients_labresult", "U", 1), ("patients_labresult", "I", 2)], "2 lab results entered; 1 lab result changed"),
        ([("infusions_celllot", "D", 3)], "3 lots deleted"),
    ],
)  # fmt: skip
def test_large_revision_is_told_in_numbers(counts: list[tuple[str, str, int]], sentence: str) -> None:
    assert str(story.tell_in_numbers(counts)) == sentence
    assert str(story.tell_in_numbers(counts, at_least=True)) == f"at least {sentence}"


# --- the diff -------------------------------------------------------------------------------


def diff(*entries: AuditEntry, zone: ZoneInfo | None = None) -> list[RowDiff]:
    return [row for table in build(entries, NAMES, sees_identity=True, zone=zone) for row in table.rows]


def test_diff_shows_before_and_after_and_what_stayed() -> None:
    [row] = diff(
        entry("patients_labresult", result(typed_text="171"), result(value="17.1", typed_text="17.1"))
    )
    assert (row.title, row.note, row.verb, row.subject) == (
        "Lab result · week 12 · TBIL",
        "visit of 2026-03-17",
        "changed",
        "GE-031",
    )
    assert row.lines == (
        Line("value", "171.0 µmol/L", "17.1 µmol/L", "changed", "standard unit"),
        Line("as typed", "171", "17.1", "changed"),
        Line("unit as typed", "µmol/L", "µmol/L", "same"),
    )


def test_diff_shows_a_difference_that_rounds_away() -> None:
    [row] = diff(entry("patients_labresult", result(value="17.1"), result(value="17.10")))
    assert row.lines[0] == Line("value", "17.1", "17.10", "changed", "standard unit")


def test_diff_of_a_visit_has_a_line_per_analyte() -> None:
    results = [
        entry("patients_labresult", None, result(a, typed_text="9", typed_unit="mg/dL"))
        for a in ("tbil", "alt")
    ]
    [row] = diff(*results)
    assert row.title == "2 lab results · week 12"
    assert [(line.label, line.after, line.note) for line in row.lines] == [
        ("TBIL", "171.0 µmol/L", "typed 9 mg/dL"),
        ("ALT", "171 U/L", "typed 9 mg/dL"),
    ]


def test_diff_of_many_rows_has_a_line_per_row() -> None:
    lots = [entry("infusions_celllot", None, {"id": n, "code": f"L-{n}", "passage": n}) for n in range(1, 6)]
    [row] = diff(*lots)
    assert row.title == "5 lots"
    assert row.lines[0] == Line("L-1", "", "passage 1", "row")
    assert len(diff(*lots[:4])) == 4, "a few are shown in full"


def test_diff_of_a_counter_is_empty() -> None:
    [row] = diff(entry("patients_visit", VISIT, VISIT | {"version": 2}))
    assert row.lines == ()


def test_diff_shows_moments_in_the_time_of_the_reader() -> None:
    voided = entry("patients_visit", VISIT, VISIT | {"voided_at": "2026-03-18T16:30:00.5+00:00"})
    [row] = diff(voided, zone=ZoneInfo("Asia/Shanghai"))
    assert row.lines[0].after == "2026-03-19 00:30:00"


def test_tables_come_in_the_order_of_the_ward() -> None:
    mixed = [entry("patients_patient", None, PATIENT), entry("patients_labresult", None, result())]
    assert [table.label for table in build(mixed, NAMES, sees_identity=True)] == ["Lab result", "Subject"]


# --- words ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [("17.100000", 1, "17.1"), ("171.000000", 1, "171.0"), ("0.100001", 1, "0.100001"), ("5", 0, "5"),
     ("1E+2", 0, "100"), ("-0.50", 0, "-0.5"), ("100", 0, "100")],
)  # fmt: skip
def test_numbers_keep_every_digit_that_says_something(value: str, decimals: int, text: str) -> None:
    assert words.exact_text(Decimal(value), decimals) == text


@pytest.mark.parametrize(
    ("cells", "text"),
    [(55_000_000, "55.0 × 10⁶"), (54_500_000, "54.5 × 10⁶"), (54_512_345, "54,512,345"), (900, "900")],
)
def test_cells_are_printed_in_millions_where_that_is_exact(cells: int, text: str) -> None:
    assert words.cells_text(cells) == text


@pytest.mark.parametrize(
    ("reason", "parts"),
    [
        ("", ("", "")),
        ("typing slip corrected", ("typing slip corrected", "")),
        ("typing slip corrected: a note; of mine: here", ("typing slip corrected", "a note; of mine: here")),
        ("typing slip corrected earlier", ("typing slip corrected earlier", "")),
        ("my own words", ("my own words", "")),
    ],
)
def test_reason_and_note_are_told_apart(reason: str, parts: tuple[str, str]) -> None:
    assert words.reason_parts(reason) == parts


def test_every_study_table_has_a_name() -> None:
    from trial.triggers import audited

    assert {model._meta.db_table for model in audited()} <= set(words.TABLES)
    for table in words.TABLES:
        assert words.counted(table, 2).startswith("2 ")
        assert table not in words.counted(table, 1)


def test_every_column_that_points_elsewhere_is_known() -> None:
    from trial.triggers import audited

    for model in audited():
        pointing = {f.column for f in model._meta.local_concrete_fields if f.remote_field}
        assert pointing <= set(words.REFERENCES), f"{model._meta.label}: say in REFERENCES where they point"


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_words_are_asked_for_when_they_are_shown(language: str) -> None:
    """Nothing is fixed in the language of whoever came first."""
    with translation.override(language):
        assert "17.1" in told(entry("patients_labresult", result(), result(value="17.1")))[0]


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [(None, 1, ["GE-077 merged into GE-031"]), (1, None, ["GE-077 parted from GE-031 again"]), (1, 1, [])],
)
def test_a_merge_is_told_by_both_codes(was: int | None, now: int | None, said: list[str]) -> None:
    given_up = PATIENT | {"id": 2, "subject_id": "GE-077"}
    joined = entry("patients_patient", given_up | {"merged_into_id": was}, given_up | {"merged_into_id": now})
    stays = entry("patients_patient", PATIENT, PATIENT | {"version": 2})
    assert [line.text for line in story.tell_merges([joined, stays], NAMES)] == said
    assert told(joined, stays) == said


@pytest.mark.parametrize(
    ("table", "row", "column", "said"),
    [
        ("patients_visit", VISIT, "locked_at", ["W12 locked", "W12 unlocked"]),
        ("patients_patient", PATIENT, "locked_at", ["Subject locked", "Subject unlocked"]),
        ("trial_site", {"id": 3, "code": "GE"}, "frozen_at", ["Site GE frozen", "Site GE unfrozen"]),
    ],
)
def test_a_lock_is_told_without_its_instant(
    table: str, row: dict[str, Any], column: str, said: list[str]
) -> None:
    opened, shut = row | {column: None}, row | {column: "2026-03-19T02:42:07+00:00"}
    assert told(entry(table, opened, shut)) + told(entry(table, shut, opened)) == said


def test_a_signature_is_told_by_what_was_signed_and_verifications_by_their_number() -> None:
    signed = {"id": 4, "patient_id": 1, "visit_id": 5, "meaning": "reviewed"}
    ticked = {"id": 218, "patient_id": 1, "voided_at": None}
    assert told(entry("patients_signature", None, signed)) == ["W12 signed"]
    assert told(entry("patients_signature", None, signed | {"visit_id": None})) == ["Casebook signed"]
    assert told(entry("patients_verification", None, ticked)) == ["1 verification entered"]
    back = entry("patients_verification", ticked, ticked | {"voided_at": "2026-03-19T02:42:07+00:00"})
    assert told(back) == ["1 verification voided"]


# --- queries --------------------------------------------------------------------------------

QUERY = {"id": 41, "patient_id": 1, "topic": "visit", "visit_id": 5, "field": "inr", "state": "open"}
ASKED = Names({**NAMES.rows, ("patients_dataquery", 41): QUERY})


def message(step: str, text: str, values: str = "") -> AuditEntry:
    row = {"id": 77, "patient_id": 1, "query_id": 41, "step": step, "text": text, "values": values}
    return entry("patients_querymessage", None, row, row=77)


def test_a_step_of_a_query_is_one_sentence() -> None:
    moved = entry("patients_dataquery", QUERY, QUERY | {"state": "answered"}, row=41)
    told = story.tell([moved, message("answered", "as on the report")], ASKED)
    assert [line.text for line in told] == ["Query on W12 INR answered: as on the report"]


def test_a_check_that_asks_is_told_with_its_values() -> None:
    said = message("opened", "%(value)s is rare.", '{"values": {"value": "9.9"}}')
    told = story.tell([entry("patients_dataquery", None, QUERY, row=41), said], ASKED)
    assert [line.text for line in told] == ["Query on W12 INR opened: 9.9 is rare."]


def test_a_step_without_a_word_ends_after_what_it_is_about() -> None:
    told = story.tell([message("closed", "")], ASKED)
    assert [line.text for line in told] == ["Query on W12 INR closed"]
