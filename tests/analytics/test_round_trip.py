"""What is taken away comes back: export, import into an empty database, export again, byte by byte.

What files do not say is listed with its reasons in :mod:`tests.analytics.test_carried`.
"""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection

from analytics.exports import bundle
from infusions.actions import give_infusion, register_lot, void_infusion
from infusions.vitals import MOMENTS, Vitals
from patients import actions
from patients.actions import AnswerEntry, EventEntry, LabEntry, TreatmentEntry
from patients.facts import FACTS, Fact, FactEntry, Kind
from patients.models import LabResult, Patient
from patients.rules import analyte_of
from tests import factories
from tests.analytics import reference
from tests.analytics.test_carried import CARRIED
from tests.conftest import _create_service_account
from trial import audit, protocol, vocabulary
from trial.protocol import Answer

pytestmark = pytest.mark.committed

FILES = (
    ("subjects", "subjects"),
    ("screening", "screening"),
    ("infusions", "infusions"),
    ("visits", "visits"),
    ("labs_long", "visits"),
    ("events", "events"),
)
"""The files of an export and the kind as which each comes in, in order."""
SHOWN = (*dict(FILES), "labs_wide")


def export(directory: Path) -> dict[str, bytes]:
    bundle.write(directory, bundle.chosen(SHOWN), identified=True)
    return {name: (directory / f"{name}.csv").read_bytes() for name in SHOWN}


def bring_in(directory: Path, files: Any = FILES) -> dict[str, dict[str, int]]:
    counts = {}
    for name, kind in files:
        report = directory / f"{name}.json"
        refused = io.StringIO()
        try:
            call_command(
                "import_data",
                directory / f"{name}.csv",
                kind=kind,
                report=report,
                stdout=io.StringIO(),
                stderr=refused,
            )
        except SystemExit:
            pytest.fail(f"{name}: {refused.getvalue()}")
        counts[name] = json.loads(report.read_text(encoding="utf-8"))["counts"]
    return counts


_NAMED_BY = {
    "patient": ["patient__subject_id"],
    "site": ["site__code"],
    "screening": ["screening__screened_on"],
    "visit": ["visit__week", "visit__visited_on"],
    "laboratory": ["laboratory__code"],
    "lot": ["lot__code"],
    "infusion": ["infusion__number"],
    "lab_result": ["lab_result__analyte", "lab_result__visit__week", "lab_result__visit__visited_on"],
}
"""By what a file names a record of another table."""
_OWNERS = ("infusion", "screening", "visit")
_ONLY: Mapping[str, dict[str, Any]] = {
    "infusions.CellLot": {"infusions__isnull": False, "infusions__voided_at": None},
    "patients.Laboratory": {"results__isnull": False},
    "trial.Site": {"patient__isnull": False},
}
"""What a file names only where something was given, measured or recruited."""


def stored() -> dict[str, list[tuple[Any, ...]]]:
    """Return every carried field of every valid row, without the numbers of this database."""
    found = {}
    for label, of_model in CARRIED.items():
        model = apps.get_model(label)
        names = {field.name for field in model._meta.concrete_fields}
        valid = {f"{owner}__voided_at": None for owner in _OWNERS if owner in names} | _ONLY.get(label, {})
        if "voided_at" in names:
            valid["voided_at"] = None
        columns = [path for field in of_model for path in _NAMED_BY.get(field, [field])]
        found[label] = sorted(model.objects.filter(**valid).values_list(*columns).distinct(), key=repr)
    return found


def empty_the_database() -> None:
    """Begin anew, as a hospital with a fresh database does."""
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
    call_command("flush", interactive=False, verbosity=0, inhibit_post_migrate=True, reset_sequences=False)
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = origin")
    _create_service_account()


def assert_it_comes_back(tmp_path: Path, *, twice: bool = True) -> dict[str, bytes]:
    before, kept = export(tmp_path / "first"), stored()
    empty_the_database()
    assert not Patient.objects.exists()
    counts = bring_in(tmp_path / "first")
    others = {name: count for name, count in counts.items() if sum(count.values()) != count["new"]}
    assert not others
    after = export(tmp_path / "second")
    for name in SHOWN:
        assert after[name] == before[name], name
    for label, rows in stored().items():
        assert rows == kept[label], label
    if twice:
        again = bring_in(tmp_path / "second")
        assert {name: count["same"] for name, count in again.items()} == {
            name: count["new"] for name, count in counts.items()
        }, "the same files once more change nothing"
    return before


def test_the_demonstration_comes_back(tmp_path: Path) -> None:
    call_command("seed_demo", patients=30, stdout=io.StringIO(), stderr=io.StringIO())
    files = assert_it_comes_back(tmp_path)
    assert all(b"\r\n" in file and len(file) > 2000 for file in files.values())
    assert b"GE-LAB" in files["labs_long"]
    assert b"unscheduled" in files["labs_long"]
    bedside = {"vein", "bag", "observed_until", "checked_by", "m15_pulse", "h24_temperature_c"}
    assert not empty_columns(files["infusions"]) & bedside
    assert not empty_columns(files["screening"]) & {"fact_tbil", "fact_tbil_on", "fact_hbsag_first_on"}
    assert not empty_columns(files["events"]) & {"lab_analyte", "lab_week", "lab_date"}


def test_a_real_cohort_comes_back(tmp_path: Path) -> None:
    for kind in ("subjects", "infusions", "visits"):
        call_command(
            "import_data",
            reference.HERE / f"{kind}.csv",
            kind=kind,
            stdout=io.StringIO(),
            stderr=io.StringIO(),
        )
    files = assert_it_comes_back(tmp_path, twice=False)
    assert files["subjects"].count(b"\r\n") == 313
    assert b"58.77" in files["subjects"]


# --- a study that nobody would wish for -----------------------------------------------------

PIECES = (
    "=1+1", "-3", "'=SUM(A1)", "''=x", "'quoted'", '"', '""', "a,b;c", "line\nbreak", "tab\there", "@cmd", "+49 170",
    "发热 38.5 °C", "ｆｕｌｌ　ｗｉｄｔｈ", "NA", "N/A", "  ", "\\N", "\\", "%s %(x)s", "{}", "<b>&amp;</b>", "total", "0", "é",
)  # fmt: skip
TYPED = (
    ("tbil", "171"), ("tbil", "<5.10"), ("tbil", "171,5"), ("creatinine", "88.400"), ("inr", "1.70"), ("alt", ">1000"),
    ("ast", "0040"), ("pta", "38.25"), ("albumin", "３１"),
)  # fmt: skip


def a_text(chance: random.Random) -> str:
    return " ".join(chance.choice(PIECES) for _piece in range(chance.randrange(3))).strip()


def an_entry(code: str, text: str, chance: random.Random) -> LabEntry:
    analyte = protocol.ANALYTES[code]
    if chance.random() < 0.2:
        reason = chance.choice(protocol.MISSING_REASONS).code
        return LabEntry(
            analyte=code, value=None, comparator="", typed_text="", typed_unit="", missing_reason=reason
        )
    number = text.translate(str.maketrans("３１,", "31.")).lstrip("<>")
    return LabEntry(
        analyte=code, value=Decimal(number), comparator=text[0] if text[0] in "<>" else "", typed_text=text,
        typed_unit=analyte.unit,
    )  # fmt: skip


def a_subject(place: int, chance: random.Random) -> Patient:
    born = date(1970 + place, 2, 28)
    known = {"birth_date": born} if chance.random() < 0.5 else {"age": Decimal("33.123456") + place}
    recruited = date(2024, 1, 1) + timedelta(days=chance.randrange(40))
    is_enrolled = chance.random() < 0.8
    return factories.a_patient(
        site=factories.a_site(code=chance.choice(("GE", "GS"))),
        subject_id=f"N{place:02}{chance.choice('._-')}X",
        sex=chance.choice("FM"),
        diagnosis=chance.choice([d.value for d in protocol.Diagnosis]),
        recruited_on=recruited if is_enrolled else None,
        planned_course=chance.choice(("", "standard", "prolonged")) if is_enrolled else "",
        status="enrolled" if is_enrolled else "screening",
        **({"birth_date": None} if "age" in known else {}),
        **known,
    )


def a_nasty_study(seed: int) -> None:
    chance, by = random.Random(seed), audit.service_account()
    laboratories = {
        code: factories.a_laboratory(f"{code}-LAB", site=factories.a_site(code=code)) for code in ("GE", "GS")
    }
    lot = register_lot(code="L-1", by=by)
    for place in range(12):
        patient = a_subject(place, chance)
        first = (patient.recruited_on or date(2024, 2, 1)) + timedelta(days=7)
        actions.record_screening(
            patient=patient,
            screened_on=first - timedelta(days=20),
            answers={
                c.code: AnswerEntry(
                    chance.choice(list(Answer)),
                    f"seen {a_text(chance)}",
                    chance.choice((None, date(2023, 12, 1))),
                )
                for c in protocol.CRITERIA
                if chance.random() < 0.6
            },
            facts={
                f.code: a_fact(f, first - timedelta(days=25), chance) for f in FACTS if chance.random() < 0.8
            },
            by=by,
            reason="test",
        )
        for number in range(1, chance.randrange(1, 5)):
            given_on = first + timedelta(days=7 * (number - 1))
            given = give_infusion(
                patient=patient, number=number, given_on=given_on, by=by,
                weight_kg=chance.choice((None, Decimal("61.5"))), cells=chance.choice((None, Decimal(61_500_000))),
                started_at=chance.choice((None, time(9, 5))), stopped_at=chance.choice((None, time(9, 50))),
                volume_ml=chance.choice((None, Decimal("99.5"))), lot=chance.choice((None, lot)),
                deviation="other", deviation_note=f"because {a_text(chance)}", **a_bedside(given_on, chance),
            )  # fmt: skip
            if number == 3:
                void_infusion(infusion=given.infusion, by=by, reason="belonged to another subject or visit")
        for week in protocol.WEEKS:
            what = chance.random()
            day = first + timedelta(days=7 * week)
            if what < 0.2:
                actions.mark_not_done(
                    by=by,
                    patient=patient,
                    week=week,
                    why=chance.choice(vocabulary.NOT_DONE_REASONS).code,
                    note=f"x {a_text(chance)}",
                )
            elif what < 0.8:
                code = patient.site.code
                actions.record_labs(
                    patient=patient, week=week, visited_on=day, by=by,
                    entries=[an_entry(*typed, chance) for typed in dict(chance.sample(TYPED, 4)).items()],
                    laboratory=chance.choice((None, laboratories[code])),
                    sampled_at=chance.choice((None, datetime.combine(day, time(1, 2, 3), UTC))),
                    findings={"ascites": chance.choice(("", "severe")), "encephalopathy": chance.choice(("", "0", "2"))},
                )  # fmt: skip
        actions.record_labs(
            patient=patient,
            visited_on=first + timedelta(days=2),
            by=by,
            entries=[an_entry("tbil", "12.345678", random.Random(1))],
        )
        events_of(patient, first, chance)


def a_bedside(given_on: date, chance: random.Random) -> dict[str, Any]:
    """Return what is recorded of an infusion besides the dose; a subject is watched into the next day."""
    reaction = a_text(chance)
    systolic = chance.randrange(90, 140)
    signs = Vitals(
        temperature_c=Decimal(f"36.{chance.randrange(10)}"), pulse=chance.choice((None, 72)), systolic=systolic,
        diastolic=systolic - 40, respiration=16, saturation=chance.choice((None, 98)),
    )  # fmt: skip
    return {
        "reaction": reaction,
        "reaction_grade": chance.choice((None, 0, 1, 5)) if reaction else None,
        "vein": chance.choice(("", *vocabulary.codes(vocabulary.VEINS))),
        "bag": a_text(chance)[:24].strip(),
        "interruption": a_text(chance),
        "checked_by": a_text(chance)[:80],
        "observed_until": chance.choice(
            (None, datetime.combine(given_on + timedelta(days=1), time(4, 5), UTC))
        ),
        "vitals": {moment: signs for moment in MOMENTS if chance.random() < 0.7},
    }


def a_fact(fact: Fact, day: date, chance: random.Random) -> FactEntry:
    """Return a fact as a form hands it in, typed in whatever way."""
    source = chance.choice([term.code for term in vocabulary.FACT_SOURCES])
    if fact.kind is Kind.SIGN:
        value = chance.choice((0, 1))
        return FactEntry(
            fact=fact.code,
            value=Decimal(value),
            typed_text=("no", "yes")[value],
            happened_on=day,
            source=source,
        )
    if fact.kind is Kind.GRADE:
        return FactEntry(
            fact=fact.code, value=Decimal(2), typed_text=chance.choice(("2", "2.0", "２")), source=source
        )
    if fact.kind is Kind.SINCE and chance.random() < 0.4:
        return FactEntry(fact=fact.code, value=Decimal(0), typed_text="0", source=source)
    if not fact.has_value:
        return FactEntry(fact=fact.code, happened_on=day, source=source)
    unit = chance.choice(fact.units)
    if fact.kind is Kind.LAB:
        analyte = protocol.ANALYTES[analyte_of(fact.code)]
        value = {"inr": "1.70", "pta": "38.250"}.get(fact.code) or str(
            (Decimal("31.70") / analyte.in_standard_unit(Decimal(1), unit)).quantize(Decimal("0.00001"))
        )
    else:
        value = "12.50"
    sign = chance.choice(("", "<", "≥")) if fact.kind is Kind.LAB else ""
    comparator = {"≥": ">"}.get(sign, sign)
    return FactEntry(
        fact=fact.code, value=Decimal(value), comparator=comparator, typed_text=f"{sign}{value}", typed_unit=unit,
        happened_on=day, source=source,
    )  # fmt: skip


def events_of(patient: Patient, first: date, chance: random.Random) -> None:
    by = audit.service_account()
    results = LabResult.objects.filter(patient=patient, value__isnull=False).order_by("pk")
    known = datetime.combine(first + timedelta(days=3), time(4, 5, 6), UTC)
    for term in (
        f"something {a_text(chance)}"[:120],
        "Fever",
    ):  # a set would deal other texts in every process
        is_serious = chance.random() < 0.5
        event = actions.record_event(
            patient=patient, by=by,
            entry=EventEntry(
                term=term, grade=chance.randrange(1, 6), onset_on=first + timedelta(days=2),
                onset_at=chance.choice((None, time(22, 30))), ended_on=chance.choice((None, first + timedelta(days=9))),
                serious="hospitalisation" if is_serious else "", aware_at=known if is_serious else None,
                relation=chance.choice(("", "possible")), result=chance.choice(("", "fatal")), note=a_text(chance),
                action=chance.choice(("", "postponed")), lab_result_id=chance.choice([None, *results.values_list("pk", flat=True)]),
            ),
        )  # fmt: skip
        if is_serious:
            actions.report_event(event=event, by=by, at=known + timedelta(hours=5, seconds=7))
    for kind, hour in (("antiviral", None), ("plasma", time(9, 0)), ("plasma", time(15, 0)), ("other", None)):
        ended_on = chance.choice((None, first))
        actions.record_treatment(
            patient=patient, by=by,
            entry=TreatmentEntry(
                kind=kind, started_on=first, started_at=hour, agent=f"drug {a_text(chance)}"[:80], dose=a_text(chance)[:80],
                note=a_text(chance), ended_on=ended_on, ended_at=time(16, 20) if ended_on and hour else None,
            ),
        )  # fmt: skip
    if chance.random() < 0.6 and patient.recruited_on:
        kind = chance.choice(("transplant", "lost", "withdrawal"))
        # values after a transplant stay in the study and leave the analysis
        actions.record_outcome(
            patient=patient, kind=kind, happened_on=first + timedelta(days=30), by=by, note=a_text(chance)
        )


def columns_of(file: bytes) -> dict[str, set[str]]:
    """Return what stands in each column of a file."""
    header, *rows = csv.reader(io.StringIO(file.decode("utf-8-sig"), newline=""))
    return {name: {row[place] for row in rows} for place, name in enumerate(header)}


def empty_columns(file: bytes) -> set[str]:
    return {name for name, values in columns_of(file).items() if values <= {""}}


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.exhaustive)])
def test_quotation_marks_formulas_and_chinese_come_back(seed: int, tmp_path: Path) -> None:
    a_nasty_study(seed)
    files = assert_it_comes_back(tmp_path)
    empty = {f"{name}.{column}" for name in dict(FILES) for column in empty_columns(files[name])}
    assert not empty, "the study says nothing there, so that nothing is proved"
    assert "发热".encode() in b"".join(files.values())


LEFT_OUT = {
    "infusions": {"vein", "observed_until", "m15_pulse"},
    "screening": {"fact_inr_source", "inclusion_a_on", "fact_histology", "fact_histology_on", "fact_histology_source"},
    "visits": {"ascites"},
    "labs_long": {"drawn_at"},
    "events": {"lab_analyte", "lab_week", "lab_date", "action"},
}  # fmt: skip


@pytest.mark.exhaustive
def test_a_column_that_is_left_out_is_missed(tmp_path: Path) -> None:
    a_nasty_study(3)
    before = export(tmp_path / "first")
    for name, left_out in LEFT_OUT.items():
        path = tmp_path / "first" / f"{name}.csv"
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        assert all(not before_it <= {""} for before_it in map(columns_of(before[name]).get, left_out))
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, [c for c in rows[0] if c not in left_out], extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
    empty_the_database()
    bring_in(tmp_path / "first")
    after = export(tmp_path / "second")
    missed = {name: empty_columns(after[name]) - empty_columns(before[name]) for name in LEFT_OUT}
    assert missed == LEFT_OUT


@pytest.mark.parametrize(("name", "kind"), FILES)
def test_an_export_without_dates_is_refused_with_the_reason(name: str, kind: str, tmp_path: Path) -> None:
    bundle.write(tmp_path, bundle.chosen([name]))
    with pytest.raises(CommandError, match="de-identified export") as refused:
        call_command(
            "import_data", tmp_path / f"{name}.csv", kind=kind, stdout=io.StringIO(), stderr=io.StringIO()
        )
    assert refused.value.returncode == 2
