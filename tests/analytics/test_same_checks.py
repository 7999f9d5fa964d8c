"""One visit, handed in by form, grid, file and interface: the same checks fire, hard and soft."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from patients import draws, grid, selectors
from patients.edit_checks import DAY_FIELD
from patients.forms.grid import VERSIONS, SheetForm
from patients.forms.panel import LabPanelForm
from patients.forms.panel_row import Row
from patients.imports.importing import opened
from patients.imports.kinds import Context
from patients.imports.visits import Visits
from patients.models import DataQuery, Patient, Visit
from tests import factories
from tests.api import Program, a_token
from trial import audit, protocol
from trial.models import Site, User
from trial.protocol import Diagnosis

pytestmark = pytest.mark.django_db

WEEK = 4
DUE = factories.RECRUITED_ON + timedelta(days=7 + 7 * WEEK)
"""The first infusion is given a week after the recruitment."""
BORN = date(2007, 5, 4)

Rules = set[tuple[str, str]]
Before = Callable[[Patient], object]


def nothing(patient: Patient) -> None:
    """Leave the subject without anything but its infusion."""


def drawn(days: int, **values: str) -> Before:
    """Give the subject a draw so many days before the visit."""
    return lambda patient: factories.a_draw(patient, DUE - timedelta(days=days), **values)


def ended(kind: str) -> Before:
    return lambda patient: factories.an_outcome(patient, kind, DUE - timedelta(days=1))


@dataclass(frozen=True)
class Case:
    """Values as a person types them, the day they are drawn on, and what the checks have to find."""

    values: Mapping[str, str]
    found: Rules
    day: date = DUE
    before: Before = nothing
    subject: Mapping[str, Any] = field(default_factory=dict)


def hard(analyte: str, text: str, rule: str) -> Case:
    return Case({analyte: text}, {(analyte, rule)})


def soft(analyte: str, text: str, rule: str, *, days: int = 3, before: str = "", **subject: Any) -> Case:
    earlier = drawn(days, **{analyte: before}) if before else nothing
    return Case({analyte: text}, {(analyte, rule)} if rule else set(), before=earlier, subject=subject)


def dated(day: date, rule: str, before: Before = nothing) -> Case:
    return Case({"alt": "60"}, {(DAY_FIELD, rule)}, day=day, before=before)


LF: dict[str, Any] = {"diagnosis": Diagnosis.LIVER_FAILURE}
PANEL = {"alt": "60", "ast": "70", "sodium": "138", "albumin": "33", "platelets": "90"}
SHORT_REFUSED = {
    "unit of another": hard("sodium", "138 g/L", "unit_not_accepted"),
    "tomorrow": dated(timezone.localdate() + timedelta(days=2), "future"),
}
SHORT_ASKED = {
    "unit": soft("tbil", "8.2", "unit_slip", before="152"),
    "panel": Case({"pta": "30", "inr": "1.1"}, {("inr", "pta_inr")}),
    "window": dated(DUE + timedelta(days=5), "outside_window"),
}
REFUSED = SHORT_REFUSED | {
    "above": hard("tbil", "1701", "hard_limit"),
    "unit of none": hard("sodium", "138 mg/L", "unknown_unit"),
    "below": hard("alt", "0", "hard_limit"),
    "limit": hard("alt", ">10001", "hard_limit"),
    "in its unit": hard("tbil", "99.5 mg/dL", "hard_limit"),
    "letter": hard("alt", "6O", "character"),
    "comma": hard("alt", "6,5", "comma"),
    "word": hard("alt", "abc", "no_digits"),
    "sign": hard("alt", "-6", "sign"),
    "power": hard("alt", "6e1", "exponent"),
    "decimals": hard("alt", "1.1234567", "too_many_decimals"),
    "digits": hard("alt", "9" * 15, "too_many_digits"),
    "points": hard("alt", "1.2.3", "two_points"),
    "unborn": dated(BORN, "before_birth"),
    "several": Case(
        {"alt": "0", "sodium": "abc", "ast": "70"}, {("alt", "hard_limit"), ("sodium", "no_digits")}
    ),
}
ASKED = SHORT_ASKED | {
    "nothing": Case(PANEL, set()),
    "at the limits": Case({"alt": "4000", "albumin": "52", "platelets": "10"}, set()),
    "rare": soft("sodium", "156", "outside_usual"),
    "rare below": soft("sodium", "119", "outside_usual"),
    "small albumin": soft("albumin", "9.5", "unit_slip"),
    "small creatinine": soft("creatinine", "0.9 mg/dL", ""),
    "small in liver failure": soft("tbil", "49", "unit_slip", **LF),
    "small in cirrhosis": soft("tbil", "49", ""),
    "other unit, large": soft("tbil", "14 umol/L", "unit_slip", before="240"),
    "point": soft("platelets", "900", "point_slip"),
    "jump of ALT": soft("alt", "301", "jump", before="100", days=20),
    "no jump of ALT": soft("alt", "300", "", before="100", days=20),
    "jump of TBIL": soft("tbil", "203", "jump", before="100", days=7),
    "TBIL a week and a day ago": soft("tbil", "203", "", before="100", days=8),
    "jump of creatinine": soft("creatinine", "176", "jump", before="100", days=7),
    "jump of INR": soft("inr", "2.3", "jump", before="1.2", days=20),
    "jump of PTA": soft("pta", "76", "jump", before="50", days=20),
    "jump of sodium": soft("sodium", "147", "jump", before="138", days=2),
    "jump of albumin": soft("albumin", "42", "jump", before="33", days=7),
    "albumin given": Case(
        {"albumin": "42"},
        set(),
        before=lambda patient: [
            drawn(7, albumin="33")(patient),
            factories.a_treatment(patient, "albumin", started_on=DUE - timedelta(days=3)),
        ],
    ),
    "a limit is no jump": soft("alt", "<40", "", before="150"),
    "PTA and INR, the other way": Case({"pta": "90", "inr": "1.8"}, {("inr", "pta_inr")}),
    "copied": Case(PANEL, {("alt", "copied")}, before=drawn(5, **PANEL)),
    "before the recruitment": Case(
        {"alt": "60"},
        {(DAY_FIELD, "before_recruitment"), (DAY_FIELD, "nearer_another_week")},
        day=factories.RECRUITED_ON - timedelta(days=1),
    ),
    "nearer week 1": dated(DUE - timedelta(days=21), "nearer_another_week"),
    "after the death": dated(DUE, "after_death", ended("death")),
    "after the transplant": dated(DUE, "after_transplant", ended("transplant")),
    "out of order": dated(
        DUE,
        "out_of_order",
        lambda patient: factories.a_visit(patient, 1, DUE + timedelta(days=1), ast="70"),
    ),
    "two doubts of one visit": Case(
        {"alt": "4001", "tbil": "8.2"}, {("alt", "point_slip"), ("tbil", "unit_slip")}, subject=LF
    ),
}


# --- the four ways in -----------------------------------------------------------------------


def rows_found(rows: list[Row]) -> tuple[Rules, dict[str, str]]:
    """Return the doubts and the refusals of a form's rows."""
    doubts = {(row.doubt.analyte, row.doubt.rule) for row in rows if row.doubt is not None}
    return doubts, {row.code: " ".join(row.errors) for row in rows if row.errors}


def by_form(patient: Patient, case: Case, today: date) -> tuple[Rules, dict[str, str]]:
    visit = Visit(patient=patient, week=WEEK)
    last = selectors.last_values(patient, visit=visit, drawn_on=case.day)
    form = LabPanelForm(
        {**case.values, "visited_on": case.day.isoformat()},
        patient=patient,
        visit=visit,
        stored={},
        last=last,
        today=today,
        around=draws.around(patient, visit, drawn_on=case.day, last=last),
    )
    form.is_valid()
    doubts, refused = rows_found(form.rows)
    doubts |= {(DAY_FIELD, doubt.rule) for doubt in form.day_doubts}
    if form.has_error(DAY_FIELD) and not form.day_doubts:
        # the form says its field in front, as the grid does where it shows the day
        refused[DAY_FIELD] = " ".join(map(str, form.errors[DAY_FIELD])).removeprefix("Day of the draw: ")
    return doubts, refused


def by_grid(patient: Patient, case: Case, user: User) -> tuple[Rules, dict[str, str]]:
    data = {f"c_{patient.pk}_{code}": text for code, text in case.values.items()}
    data |= {f"day_{patient.pk}": case.day.isoformat(), VERSIONS: f"{patient.pk}:0"}
    form = SheetForm(data, lines=grid.lines(user, patient.site, WEEK, [patient.pk]))
    form.is_valid()
    (row,) = form.rows
    doubts, refused = rows_found(list(row.cells))
    doubts |= {(DAY_FIELD, doubt.rule) for doubt in row.day_doubts}
    return doubts, refused | ({DAY_FIELD: " ".join(row.day_errors)} if row.day_errors else {})


def by_file(cases: Mapping[str, tuple[Patient, Case]], user: User, path: Path) -> dict[str, Rules]:
    """Return what an import of all cases finds, by subject."""
    codes = [analyte.code for analyte in protocol.PANEL]
    lines = [",".join(("subject_id", "week", "visit_date", *codes))]
    for patient, case in cases.values():
        cells = (f'"{case.values.get(code, "")}"' for code in codes)
        lines.append(",".join((patient.subject_id, str(WEEK), case.day.isoformat(), *cells)))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    found: dict[str, Rules] = {patient.subject_id: set() for patient, _case in cases.values()}
    with opened(
        path, name=path.name, kind=Visits(), context=Context(by=user, today=timezone.localdate())
    ) as staged:
        staged.preview()
        for problem in staged.problems():
            subject = lines[problem.line - 1].partition(",")[0]
            place = DAY_FIELD if problem.column == "visit_date" else problem.column
            found[subject].add((place, problem.rule))
        for warned in staged.warned():
            found[warned.subject].add((warned.field, warned.rule))
    return found


def by_program(patient: Patient, case: Case, program: Program) -> tuple[Rules, dict[str, str]]:
    codes = list(case.values)
    sent = [
        {
            "subject": patient.subject_id,
            "week": str(WEEK),
            "date": case.day.isoformat(),
            "analyte": code,
            "value": text,
            # a program has to say the unit where several are in use
            "unit": "" if " " in text else protocol.ANALYTES[code].unit,
        }
        for code, text in case.values.items()
    ]
    answer = program.post("/observations", sent)
    audit.settle()
    rules: Rules = set(DataQuery.objects.filter(patient=patient).values_list("field", "check_code"))
    if answer.status_code == 200:
        return rules, {}
    refused = {}
    for error in answer.json()["errors"]:
        _root, number, part = error["place"].split("/")
        place = DAY_FIELD if part == "date" else codes[int(number)]
        rules.add((place, error["rule"]))
        refused[place] = f"{error['message']} {error['remedy']}"
    return rules, refused


@pytest.mark.parametrize(
    ("refused", "asked"),
    [
        pytest.param(SHORT_REFUSED, SHORT_ASKED, id="short"),
        pytest.param(REFUSED, ASKED, id="wide", marks=pytest.mark.exhaustive),
    ],
)
def test_form_grid_file_and_program_meet_the_same_checks(
    refused: dict[str, Case],
    asked: dict[str, Case],
    coordinator: User,
    sites: dict[str, Site],
    tmp_path: Path,
) -> None:
    cases = {}
    for number, (name, case) in enumerate({**refused, **asked}.items()):
        told = {"birth_date": BORN, **case.subject}
        patient = factories.a_patient(site=sites["GE"], subject_id=f"GE-{number:03d}", **told)
        factories.an_infusion(patient, 1)
        case.before(patient)
        cases[name] = (Patient.objects.select_related("site").get(pk=patient.pk), case)
    assert not DataQuery.objects.exists(), "what was there before is not in doubt"
    in_file = by_file(cases, coordinator, tmp_path / "visits.csv")
    program, today = Program(a_token(coordinator)), timezone.localdate()
    wrong = {}
    for name, (patient, case) in cases.items():
        form, said_by_form = by_form(patient, case, today)
        sheet, said_by_grid = by_grid(patient, case, coordinator)
        sent, said_to_program = by_program(patient, case, program)
        found = {"file": in_file[patient.subject_id], "program": sent}
        if name in asked:
            found |= {"form": form, "grid": sheet}
        differing = {way: rules for way, rules in found.items() if rules != case.found}
        # a form has no code to show; it says the words that belong to the rule of the program
        if not said_by_form == said_by_grid == said_to_program:
            differing["words"] = {*said_by_form.items(), *said_by_grid.items(), *said_to_program.items()}
        if differing:
            wrong[name] = differing
    assert not wrong, "\n".join(f"{name}: {found}" for name, found in wrong.items())
