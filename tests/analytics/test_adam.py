"""ADSL, ADLB and ADTTE say what the analysis says, value by value."""

from __future__ import annotations

import io
import random
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from analytics import adlb, followed, frames, refresh
from analytics.adam import ADSL, ADTTE
from analytics.adlb import ADLB, PARAMETER_CODES
from analytics.datasets import DATASETS
from analytics.declarations import Dataset
from analytics.follow_up import courses, follow
from analytics.samples import MISSING
from analytics.study_arrays import places_of
from patients import ctcae, grading, selectors
from patients.ctcae import Baseline
from patients.models import Outcome, Patient
from tests import factories
from trial import audit, protocol
from trial.protocol import Limits, Population

pytestmark = pytest.mark.django_db


def rows(dataset: Dataset, *, identified: bool = True, population: str = "") -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(dataset.query(identified=identified, population=population))
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def test_the_datasets_of_a_study_are_those_of_the_analysis() -> None:
    call_command("seed_demo", patients=24, stdout=io.StringIO(), stderr=io.StringIO())
    audit.settle()
    # what makes the rules of baselines and ranges matter
    laboratory = factories.a_laboratory("ADAM-LAB")
    factories.a_range(laboratory, "tbil", "3", "15", sex="F")
    factories.a_range(laboratory, "alt", None, "33", age_from=40)
    there = Patient.objects.filter(infusions__isnull=False, outcomes__isnull=True)
    dead = list(there.distinct().order_by("recruited_on", "pk")[:3])
    for subject in dead:
        factories.measured_by(laboratory, subject)
    last = [selectors.last_seen_on(subject) or date.max for subject in dead]
    factories.an_outcome(dead[0], "transplant", last[0])
    factories.an_outcome(dead[0], "death", last[0])
    factories.an_outcome(
        dead[1], "withdrawal", dead[1].infusions.earliest("given_on").given_on + timedelta(20)
    )
    factories.an_outcome(dead[1], "death", last[1])
    with factories.by_the_software():
        Patient.objects.filter(pk=dead[2].pk).update(birth_date=None, age_at_recruitment=Decimal("91.5"))
    refresh.forget()
    refresh.refresh()

    _adsl_is_the_subjects()
    _adtte_is_the_survival_analysis()
    found = rows(ADLB)
    _adlb_holds_every_value_and_says_which_count(found)
    _adlb_grades_as_the_ward_does(found)
    for dataset in (ADSL, ADLB, ADTTE):
        hidden = dataset.query(identified=False)
        assert not [c.name for c in dataset.shown(identified=False) if c.name.endswith("DT")], hidden
        assert all(len(c.name) <= 8 and len(c.label) <= 40 for c in dataset.columns)


def _adsl_is_the_subjects() -> None:
    subjects = {row["subject_id"]: row for row in rows(DATASETS["subjects"])}
    found = {row["SUBJID"]: row for row in rows(ADSL)}
    assert found.keys() == subjects.keys()
    for code, row in found.items():
        mine = subjects[code]
        assert (row["AGE"], row["GRPCD"], row["NINF"], row["TRTSDT"], row["RECRDT"]) == (
            mine["age"], mine["group"], mine["infusions"], mine["first_infusion_on"], mine["recruited_on"]
        )  # fmt: skip
        flags = [row[flag] == "Y" for flag in ("TRTFL", "ELIGFL", "LANDFL")]
        assert flags == [mine["treated"], mine["eligible"], mine["landmark"]]
        ended = mine["outcome"]
        assert (row["EOSSTT"] == "DISCONTINUED") == (ended is not None), code
        assert row["TRTSDY"] == (1 if row["NINF"] else None)
    ends = Outcome.objects.filter(voided_at=None, kind="death")
    assert sum(row["DTHFL"] == "Y" for row in found.values()) == ends.count() >= 2
    pooled = {row["SUBJID"]: row["AGE"] for row in rows(ADSL, identified=False)}
    assert pooled == {code: row["AGE"] and min(row["AGE"], 90) for code, row in found.items()}
    assert max(row["AGE"] or 0 for row in found.values()) == Decimal("91.5")
    assert {r["SUBJID"] for r in rows(ADSL, population="eligible")} == {
        code for code, row in subjects.items() if row["eligible"]
    }


def _adtte_is_the_survival_analysis() -> None:
    found = rows(ADTTE)
    everybody = courses()
    for landmark, suffix in ((False, ""), (True, "L")):
        want = follow(everybody, Population.TREATED, landmark=landmark)
        for code, days, events in (
            (f"DTHLTX{suffix}", want.days, want.ends != 0),
            (f"DTH{suffix}", want.alive_days, want.died),
        ):
            mine = [
                (r["SUBJID"], r["GRPCD"], r["AVAL"], not r["CNSR"]) for r in found if r["PARAMCD"] == code
            ]
            assert mine == list(
                zip(want.subject_ids, want.group.tolist(), days.tolist(), events.tolist(), strict=True)
            )
            assert any(event for *_, event in mine)
    for row in found:
        assert (row["ADT"] - row["STARTDT"]).days == row["AVAL"]
        assert (row["CNSR"] == 0) == (row["EVNTDESC"] in {"DEATH", "TRANSPLANT"})
    assert "WITHDRAWAL" in {row["EVNTDESC"] for row in found}


def _adlb_holds_every_value_and_says_which_count(found: list[dict[str, Any]]) -> None:
    code_of = {word: code for code, word in PARAMETER_CODES.items()}
    labs = {
        (row["subject_id"], row["week"], row["visit_date"], row["analyte"]): row
        for row in rows(DATASETS["labs_long"])
    }
    scores = {
        (row["subject_id"], row["week"], row["visit_date"], row["score"]): row
        for row in rows(DATASETS["scores"])
    }
    mine = {(r["SUBJID"], r["AVISITN"], r["ADT"], code_of[r["PARAMCD"]]): r for r in found}
    assert len(mine) == len(found)
    assert mine.keys() == labs.keys() | scores.keys()
    for key, source in (labs | scores).items():
        row = mine[key]
        assert row["AVAL"] == source["value"]
        if key in labs:
            assert (row["LBREASND"], row["LBORRES"], row["LBORRESU"], row["LBLOINC"]) == (
                source["missing"], source["typed"], source["typed_unit"], source["loinc"]
            )  # fmt: skip
            assert row["AVALC"] == (
                f"{source['comparator']}{source['value']}" if source["comparator"] else None
            )
        assert (row["POSTFL"] == "Y") == source["after_end"]

    study = frames.study()
    after_plasma = followed.after_plasma_mask(study)
    want, clean = {}, {}
    for code, values in study.values.items():
        for place, subject in enumerate(study.subject_ids):
            for at, week in enumerate(protocol.WEEKS):
                if values[place, at] != MISSING:
                    value = Decimal(int(values[place, at])).scaleb(-places_of(code))
                    want[subject, week, code] = value
                    if not after_plasma[place, at]:
                        clean[subject, week, code] = value
    counted = {(s, w, c): r for (s, w, _d, c), r in mine.items() if r["ANL01FL"] == "Y"}
    assert {key: row["AVAL"] for key, row in counted.items()} == want
    assert {key for key, row in counted.items() if row["ANL02FL"] == "Y"} == clean.keys()
    assert 0 < len(clean) < len(want) < len(found)
    for (subject, week, code), row in counted.items():
        base = mine_base(mine, subject, code)
        assert row["BASE"] == base
        change = None if week == 0 or base is None else row["AVAL"] - base
        assert row["CHG"] == change, (subject, week, code)
        assert (row["ABLFL"] == "Y") == (week == 0)


def mine_base(mine: dict[Any, dict[str, Any]], subject: str, code: str) -> Decimal | None:
    found = [row["AVAL"] for (s, week, _day, c), row in mine.items() if (s, week, c) == (subject, 0, code)]
    return found[0] if found else None


def _adlb_grades_as_the_ward_does(found: list[dict[str, Any]]) -> None:
    code_of = {word: code for code, word in PARAMETER_CODES.items()}
    mine = {(r["SUBJID"], code_of[r["PARAMCD"]], r["AVISITN"], r["ADT"]): r for r in found}
    everybody = list(Patient.objects.filter(merged_into=None).select_related("site"))
    want = grading.every_grade(everybody)
    for one in want:
        result = one.result
        key = (result.patient.subject_id, result.analyte, result.visit.week, result.visit.visited_on)
        row = mine[key]
        got = (row["ATOXGR"], row["BTOXGR"], Limits(row["ANRLO"], row["ANRHI"]))
        assert got == (one.grade.grade, one.baseline_grade, one.reference.limits), key
        assert row["ATOXDSC"] == one.term
    assert sum(row["ATOXGR"] is not None for row in found) == sum(one.grade.grade is not None for one in want)
    assert not all(one.reference.is_protocols for one in want)
    assert {row["ANRIND"] for row in found} >= {"LOW", "NORMAL", "HIGH", None}


def test_the_grades_in_sql_are_those_of_the_criteria() -> None:
    chance = random.Random(7)
    cases = []
    for code in adlb.GRADES:
        limits = protocol.ANALYTES[code].reference[protocol.Sex.MALE]
        ends = [end for end in (limits.low, limits.high) if end is not None]
        marks = [end * Decimal(f) for end in ends for f in ("1", "1.5", "3", "5", "6", "10", "20")]
        marks += [Decimal(n) for n in ("1.2", "2.5", "20", "25", "30", "50", "75", "120", "125", "130")]
        for _case in range(150):
            low, high = (chance.choice([end, end, end, None]) for end in (limits.low, limits.high))
            base = chance.choice([None, *marks])
            # on the bound, and on either side of it
            value = chance.choice([*marks, *([base * 3, base * Decimal("1.5"), base] if base else [])])
            value += chance.choice([Decimal(0), Decimal("0.001"), Decimal("-0.001")])
            cases.append(
                (code, value, chance.choice(["", "", "<", ">"]), low, high, base, chance.choice([high, None]),
                 chance.choice(["", ">"]))
            )  # fmt: skip
    with connection.cursor() as cursor:
        values = ", ".join(
            f"({place}, %s, %s::numeric, %s, %s::numeric, %s::numeric, %s::numeric, %s::numeric, %s)"
            for place in range(len(cases))
        )
        cursor.execute(
            f"SELECT {adlb.GRADE} FROM (VALUES {values}) x (place, analyte, value, comparator, low, high, base,"
            " base_high, base_comparator) ORDER BY place",
            [each for case in cases for each in case],
        )
        got = [grade for (grade,) in cursor.fetchall()]
    want = []
    for code, value, comparator, low, high, base, base_high, base_comparator in cases:
        baseline = None if base is None else Baseline(base, Limits(None, base_high), base_comparator)
        grade = ctcae.propose(code, value, Limits(low, high), baseline, comparator=comparator)
        want.append(None if grade is None else grade.grade)
    assert got == want
    assert {0, 1, 2, 3, 4, None} == set(want)
