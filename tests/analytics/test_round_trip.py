"""What is taken away comes back: export, import into an empty database, export again, byte by byte.

Left out is what files cannot say: tests and custody of lots, vital signs, facts of a
screening, queries, signatures, and which result an adverse event was graded from.
"""

from __future__ import annotations

import io
import json
import random
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from analytics.exports import bundle
from infusions.actions import give_infusion, void_infusion
from patients import actions
from patients.actions import AnswerEntry, EventEntry, LabEntry, TreatmentEntry
from patients.models import AdverseEvent, LabResult, Patient, Visit
from tests import factories
from tests.analytics import reference
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


def empty_the_database() -> None:
    """Begin anew, as a hospital with a fresh database does."""
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
    call_command("flush", interactive=False, verbosity=0, inhibit_post_migrate=True, reset_sequences=False)
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = origin")
    _create_service_account()


def assert_it_comes_back(tmp_path: Path, *, twice: bool = True) -> dict[str, bytes]:
    before = export(tmp_path / "first")
    empty_the_database()
    assert not Patient.objects.exists()
    counts = bring_in(tmp_path / "first")
    others = {name: count for name, count in counts.items() if sum(count.values()) != count["new"]}
    assert not others
    after = export(tmp_path / "second")
    for name in SHOWN:
        assert after[name] == before[name], name
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
                for c in protocol.CRITERIA[: chance.randrange(1, 12)]
            },
            by=by,
            reason="test",
        )
        for number in range(1, chance.randrange(1, 5)):
            given = give_infusion(
                patient=patient, number=number, given_on=first + timedelta(days=7 * (number - 1)), by=by,
                weight_kg=chance.choice((None, Decimal("61.5"))), cells=chance.choice((None, Decimal(61_500_000))),
                started_at=chance.choice((None, time(9, 5))), deviation="other", deviation_note=f"because {a_text(chance)}",
                reaction=a_text(chance),
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


def events_of(patient: Patient, first: date, chance: random.Random) -> None:
    by = audit.service_account()
    known = datetime.combine(first + timedelta(days=3), time(4, 5, 6), UTC)
    for term in (
        f"something {a_text(chance)}"[:120],
        "Fever",
    ):  # a set would deal other texts in every process
        is_serious = chance.random() < 0.5
        actions.record_event(
            patient=patient, by=by,
            entry=EventEntry(
                term=term, grade=chance.randrange(1, 6), onset_on=first + timedelta(days=2),
                onset_at=chance.choice((None, time(22, 30))), ended_on=chance.choice((None, first + timedelta(days=9))),
                serious="hospitalisation" if is_serious else "", aware_at=known if is_serious else None,
                relation=chance.choice(("", "possible")), result=chance.choice(("", "fatal")), note=a_text(chance),
            ),
        )  # fmt: skip
    for kind, hour in (("antiviral", None), ("plasma", time(9, 0)), ("plasma", time(15, 0)), ("other", None)):
        actions.record_treatment(
            patient=patient, by=by,
            entry=TreatmentEntry(
                kind=kind, started_on=first, started_at=hour, agent=f"drug {a_text(chance)}"[:80], dose=a_text(chance)[:80],
                note=a_text(chance), ended_on=chance.choice((None, first)),
            ),
        )  # fmt: skip
    if chance.random() < 0.6 and patient.recruited_on:
        kind = chance.choice(("transplant", "lost", "withdrawal"))
        # values after a transplant stay in the study and leave the analysis
        actions.record_outcome(
            patient=patient, kind=kind, happened_on=first + timedelta(days=30), by=by, note=a_text(chance)
        )


@pytest.mark.parametrize("seed", [1, 2])
def test_quotation_marks_formulas_and_chinese_come_back(seed: int, tmp_path: Path) -> None:
    a_nasty_study(seed)
    kept = {
        "events": AdverseEvent.objects.count(),
        "results": list(LabResult.objects.filter(visit__voided_at=None).order_by("patient__subject_id", "visit__visited_on", "analyte").values_list("typed_text", "comparator", "value", "missing_reason", "laboratory__code", "sampled_at")),
        "missed": list(Visit.objects.exclude(not_done="").order_by("patient__subject_id", "week").values_list("week", "not_done", "note")),
        "people": list(Patient.objects.order_by("subject_id").values_list("subject_id", "birth_date", "age_at_recruitment", "status")),
    }  # fmt: skip
    files = assert_it_comes_back(tmp_path)
    assert kept["events"] == AdverseEvent.objects.count()
    assert kept["results"] == list(LabResult.objects.order_by("patient__subject_id", "visit__visited_on", "analyte").values_list("typed_text", "comparator", "value", "missing_reason", "laboratory__code", "sampled_at"))  # fmt: skip
    assert kept["missed"] == list(Visit.objects.exclude(not_done="").order_by("patient__subject_id", "week").values_list("week", "not_done", "note"))  # fmt: skip
    assert kept["people"] == list(Patient.objects.order_by("subject_id").values_list("subject_id", "birth_date", "age_at_recruitment", "status"))  # fmt: skip
    assert "发热".encode() in b"".join(files.values())


@pytest.mark.parametrize(("name", "kind"), FILES)
def test_an_export_without_dates_is_refused_with_the_reason(name: str, kind: str, tmp_path: Path) -> None:
    bundle.write(tmp_path, bundle.chosen([name]))
    with pytest.raises(CommandError, match="de-identified export") as refused:
        call_command(
            "import_data", tmp_path / f"{name}.csv", kind=kind, stdout=io.StringIO(), stderr=io.StringIO()
        )
    assert refused.value.returncode == 2
