"""Files as hospitals and attackers send them: read as meant, or refused by name; nothing in between is stored."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
from django.db import transaction
from django.utils import timezone

from patients.imports import reader, report
from patients.imports.importing import opened
from patients.imports.kinds import Context
from patients.imports.lab_cells import plain_number
from patients.imports.options import Options, options_of
from patients.imports.problems import FileRefused, Problem
from patients.imports.visits import Visits
from patients.models import LabResult, Patient, Visit
from tests.patients.hostile_files import FILES, LABS, ROWS, Hostile
from trial import audit
from trial.models import Site, User

pytestmark = pytest.mark.django_db
DATA = Path(__file__).parent / "data" / "hostile"
Stored = dict[tuple[str, int | None, str], str]


@dataclass
class Told:
    """What an import said, and which lines of the file it took."""

    accepted: int
    refused: frozenset[int]
    rule: str
    said: str
    notices: str
    kept: str
    problems: tuple[Problem, ...] = ()


@pytest.fixture
def study(sites: dict[str, Site], data_manager: User) -> User:
    """Six subjects without a visit."""
    with audit.revision(by=data_manager, reason="roster", source="test"):
        for number in range(1, 7):
            Patient.objects.create(
                subject_id=f"S00{number}",
                site=sites["GE"],
                sex="M",
                age_at_recruitment=45,
                diagnosis="cirrhosis",
                status="enrolled",
            )
    audit.settle()
    return data_manager


def imported(path: Path, name: str, by: User, options: Options) -> Told:
    context = Context(by=by, today=timezone.localdate())
    try:
        with (
            transaction.atomic(),
            opened(path, name=name, kind=Visits(), context=context, options=options) as staged,
        ):
            outcome = staged.commit(reason="test")
            problems, out = list(staged.problems()), io.StringIO()
            report.write(out, staged, outcome, dry_run=False)
            refused = frozenset(problem.line for problem in problems)
            said = " ".join(f"{p.line} {p.column} {p.value} {p.sentence} {p.remedy}" for p in problems)
            notices = " ".join(map(str, staged.facts.notices))
    except FileRefused as refusal:
        assert str(refusal.remedy), "a refusal says how to mend it"
        return Told(
            0, frozenset(), refusal.rule, f"{refusal} {refusal.lines} {refusal.columns}", "", str(refusal)
        )
    # the digest of the file is of any digits, also those that a test says are never kept
    kept = out.getvalue().replace(staged.facts.sha256, "")
    accepted = outcome.rows.new + outcome.rows.same + outcome.rows.changed
    return Told(accepted, refused, "", said, notices, kept, tuple(problems))


def stored() -> Stored:
    return {
        (result.visit.patient.subject_id, result.visit.week, result.analyte): result.comparator
        + ("" if result.value is None else plain_number(result.value))
        + result.missing_reason
        for result in LabResult.objects.select_related("visit__patient")
    }


# --- the files that are given ---------------------------------------------------------------


def _manifest() -> Iterator[dict[str, str]]:
    with (DATA / "manifest.csv").open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _expected(name: str) -> list[dict[str, str]]:
    with (DATA / "expected_values.csv").open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["file"] == name]


def _each_names(column: str = "") -> Callable[[Told], bool]:
    """Return a check that every refused row names its line, a column of the file and the cell as it is written."""

    def check(told: Told) -> bool:
        return all(
            problem.line > 1
            and (problem.column == column if column else bool(problem.column))
            and (bool(problem.value) or "no " in str(problem.sentence))
            and str(problem.remedy)
            for problem in told.problems
        )

    return check


MUST_NAME: Mapping[str, Callable[[Told], bool]] = {
    "": lambda told: True,
    "encoding if rejected": lambda told: not told.rule or "encoding" in told.said,
    "alt": lambda told: "alt" in told.said,
    "row, tbil, raw value": _each_names("tbil"),
    "row, tbil": _each_names("tbil"),
    "row, column, raw value": _each_names(),
    "row, alt, raw value": _each_names("alt"),
    "row, visit_date, raw value": _each_names("visit_date"),
    "row, week, raw value": _each_names("week"),
    "row, subject_id, S999": lambda told: (
        _each_names("subject_id")(told) and "6 subject_id S999" in told.said
    ),
    "row, field count": lambda told: all(f"in this row: {count};" in told.said for count in (14, 4, 9)),
    "both rows, subject, week, both values": lambda told: all(
        words in told.said
        for words in ("also in line 8", "also in line 2", "subject_id, week S001, 0", "312 / 213")
    ),
    "NUL byte, line": lambda told: "NUL" in told.said and "line 3" in told.said,
    "the header was not found on line 1, or rows 11 and 12": lambda told: (
        "line 4" in told.notices and told.refused == {11, 12}
    ),
    "not a readable workbook": lambda told: "not a readable workbook" in told.said,
}
"""What ``message_must_name`` of the manifest asks for."""


def _is_of(found: Stored, analyte: str) -> set[str]:
    return {value for (_subject, _week, code), value in found.items() if code == analyte}


MUST_NOT: Mapping[str, Callable[[Stored], object]] = {
    "285,5 stored as 2855 or 285": lambda found: _is_of(found, "tbil") & {"2855", "285"},
    "silently take the last (999)": lambda found: _is_of(found, "alt"),
    "14.1 stored as umol/L": lambda found: "14.1" in _is_of(found, "tbil"),
    "store 3.0 or 1000 with the sign lost; store 0; drop the value without a word": lambda found: (
        _is_of(found, "alt") & {"3", "1000", "0", ""}
    ),
    "create subject Ｓ００３; store 495": lambda found: "495" in _is_of(found, "alt"),
    "store NaN/inf (Decimal and float both parse them); HTTP 500": lambda found: any(
        "n" in value.casefold() for value in _is_of(found, "alt") if value != "not_recorded"
    ),
    "store a wrong date; 15 read as 1915": lambda found: Visit.objects.exclude(
        visited_on__year=2015
    ).exists(),
    "roll 31 Feb over to 3 March; HTTP 500": lambda found: Visit.objects.exists(),
    "silently let the last (or first) win": lambda found: ("S001", 0, "alt") in found,
    "create S999 without a diagnosis": lambda found: Patient.objects.filter(subject_id="S999").exists(),
    "round 13 to 12": lambda found: any(week == 12 for _subject, week, _code in found),
    "shift values into the wrong column; drop the two extra fields of line 3 silently": lambda found: (
        len({key[:2] for key in found}) - 3
    ),
    "import the total row as a patient": lambda found: any(not key[0].startswith("S00") for key in found),
    "a date one day off by time zone": lambda found: False,  # the dates are compared one by one
    "store the formula text; read it as missing without saying so": lambda found: any(
        "=" in value[1:] or not value.strip("<>") for value in _is_of(found, "tbil")
    ),
    "export them as live formulas": lambda found: (
        False
    ),  # notes are not stored; exports are tested on their own
    "take more than 10 s or 500 MB": lambda found: False,  # the limits of the child process are tested below
    "expand it: more than 5 s or 300 MB; HTTP 500": lambda found: Visit.objects.exists(),
    "mojibake in notes; HTTP 500": lambda found: len(found) - 36,
    "HTTP 500 (PostgreSQL and csv refuse NUL)": lambda found: Visit.objects.exists(),
    "HTTP 500 (BadZipFile)": lambda found: Visit.objects.exists(),
    "": lambda found: False,
}
"""What ``must_not`` of the manifest forbids; an exception is an HTTP 500."""


@pytest.mark.parametrize("given", list(_manifest()), ids=lambda given: given["file"])
def test_a_given_file_gives_what_its_manifest_says(given: dict[str, str], study: User) -> None:
    told = imported(DATA / given["file"], given["file"], study, Options())
    least = int(given["rows_accepted_min"])
    most = int(given["rows_accepted_max"])
    assert least <= told.accepted <= most, told
    assert bool(told.rule) == (given["verdict"] == "reject_file"), told
    if given["verdict"] == "reject_rows" and told.accepted == int(given["rows_accepted"]):
        lines = {int(line) for line in given["bad_lines"].split(";") if line.isdigit()}
        assert told.refused == lines
    if given["only_0_or_max"]:
        assert told.accepted in (0, most)
    found, expected = stored(), _expected(given["file"])
    assert told.problems or told.rule or given["verdict"] != "reject_rows"
    assert MUST_NAME[given["message_must_name"]](told), told
    assert not MUST_NOT[given["must_not"]](found), found
    assert "\N{REPLACEMENT CHARACTER}" not in told.kept + told.said
    for cell in expected:
        if cell["column"] in LABS or cell["column"] in ("ast", "pta", "creatinine"):
            key = (cell["subject_id"], int(cell["week"]), cell["column"])
            if int(cell["line"]) not in told.refused:
                assert _same(found.get(key, ""), cell["expected_value"]), key
    days = {
        (cell["subject_id"], int(cell["week"])): cell["expected_value"]
        for cell in expected
        if cell["column"] == "visit_date"
    }
    assert Visit.objects.exists() == bool(told.accepted)
    for visit in Visit.objects.select_related("patient"):
        day = days.get((visit.patient.subject_id, visit.week or 0))
        assert day is None or str(visit.visited_on) == day
    assert Patient.objects.count() == 6


def _same(found: str, expected: str) -> bool:
    limit = expected[:1] if expected[:1] in ("<", ">") else ""
    if not expected:
        return not found
    number = Decimal(expected.removeprefix(limit).removeprefix("="))
    return found.startswith(limit) and abs(Decimal(found.removeprefix(limit) or "-1") - number) <= Decimal(
        "0.005"
    )


# --- more of the same kind ------------------------------------------------------------------


@pytest.mark.parametrize("hostile", FILES, ids=str)
def test_a_hostile_file_is_read_as_meant_or_refused_by_name(
    hostile: Hostile, study: User, tmp_path: Path
) -> None:
    path = tmp_path / f"upload{hostile.ending}"
    path.write_bytes(hostile.make())
    told = imported(
        path, f"visits{hostile.ending}", study, options_of(hostile.options) if hostile.options else Options()
    )
    if hostile.rule:
        assert told.rule == hostile.rule, told
        assert not Visit.objects.exists()
    elif hostile.name == "a sheet that is no XML":
        assert (told.accepted, bool(told.rule)) == (0, True)
    else:
        assert not told.rule, told
        assert told.refused == frozenset(hostile.refused), told
        assert told.accepted == len(hostile.accepted)
        assert stored() == _left_by(hostile)
    for words in hostile.named:
        assert words in told.said
    for words in hostile.noticed:
        assert words in told.notices
    for secret in hostile.never:
        assert secret not in told.said + told.notices + told.kept
    assert not LabResult.objects.filter(value__isnull=True, missing_reason="").exists()


def _left_by(hostile: Hostile) -> Stored:
    """Return what the accepted lines of a file leave in the study."""
    left: Stored = {}
    for at, row in enumerate(ROWS):
        line = at + (hostile.first_line or 2)
        if hostile.first_line and line not in hostile.accepted:
            continue
        for code, column in LABS.items():
            value = hostile.stored.get((line, code), plain_number(Decimal(row[column])))
            if value is not None:
                left[row[0], int(row[1]), code] = value
        if value := hostile.stored.get((line, "pta")):
            left[row[0], int(row[1]), "pta"] = value
    return left


def test_a_draw_says_the_day_of_the_visit_where_the_file_says_no_other(study: User, tmp_path: Path) -> None:
    path = tmp_path / "visits.csv"
    path.write_text(
        "subject_id,week,采样时间,alt\nS001,0,2015-01-05 08:30,312\nS001,1,2015年1月12日,198\nS001,4,08:30,76\n",
        encoding="utf-8",
    )
    told = imported(path, "visits.csv", study, Options())
    assert (told.accepted, told.refused) == (2, {4})
    days = {visit.week: str(visit.visited_on) for visit in Visit.objects.all()}
    assert days == {0: "2015-01-05", 1: "2015-01-12"}
    assert [bool(result.sampled_at) for result in LabResult.objects.order_by("visit__week")] == [True, False]


# --- limits ---------------------------------------------------------------------------------


def test_there_are_forty_of_our_own_and_none_twice() -> None:
    assert len({hostile.name for hostile in FILES}) == len(FILES) >= 40


def test_what_takes_too_long_is_ended_and_said(
    study: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "visits.csv"
    path.write_bytes(FILES[0].make())
    monkeypatch.setattr(reader, "SECONDS", 0)
    told = imported(path, "visits.csv", study, Options())
    assert told.rule == "too_slow"
    assert "0 seconds" in told.said


def test_what_takes_too_much_memory_is_ended_and_said(
    study: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "visits.csv"
    path.write_bytes(b"subject_id,week,alt\n" + b"S001,0," + b"1" * (16 * 2**20))
    monkeypatch.setattr(reader, "MEMORY", 40 * 2**20)
    told = imported(path, "visits.csv", study, Options())
    assert told.rule == "too_large"
    assert "40 MB" in told.said


def test_a_file_that_was_pasted_twice_is_held_against_its_own_end(study: User, tmp_path: Path) -> None:
    path = tmp_path / "visits.csv"
    rows = [f"S001,unscheduled,{2014 + n // 28}-01-{n % 28 + 1:02d}" for n in range(250)]
    path.write_text(
        "\n".join(["subject_id,week,visit_date,alt", *(r + ",50" for r in rows), *(r + ",51" for r in rows)])
    )
    told = imported(path, "visits.csv", study, Options())
    assert len(told.refused) == 500
    assert "also in line 252; here / there: alt 50 / 51" in str(told.problems[0].sentence)


@pytest.mark.exhaustive
def test_one_key_in_every_row_is_named_without_listing_all_of_them_beside_each(
    study: User, tmp_path: Path
) -> None:
    path = tmp_path / "visits.csv"
    path.write_bytes(
        b"subject_id,week,alt\n" + b"".join(b"S001,0,%d\n" % (n % 90 + 9) for n in range(20_000))
    )
    told = imported(path, "visits.csv", study, Options())
    assert len(told.refused) == 20_000
    assert all(len(str(problem.sentence)) < 200 for problem in told.problems)
