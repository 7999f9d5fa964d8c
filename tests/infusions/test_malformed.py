"""Whatever cannot be read in a form of the ward: its message names the field, the value, the rule and the remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest
from django import forms
from django.utils import translation

from infusions import vitals
from infusions.forms import (
    CorrectionForm,
    CustodyForm,
    DecisionForm,
    InfusionForm,
    LotEditForm,
    LotForm,
    PlanForm,
    ReleaseTestsForm,
)
from infusions.models import CellLot, Infusion
from infusions.particulars import Circumstances
from patients import facts
from patients.edit_checks import Life
from patients.forms import EnrolForm, LabPanelForm, OutcomeForm, RegistrationForm, ScreeningForm
from patients.forms.details import DetailsForm
from patients.forms.event import EventForm
from patients.forms.grid import SheetRow
from patients.forms.laboratory import RangeForm
from patients.forms.treatment import TreatmentForm
from patients.models import Patient, Visit
from trial import protocol, vocabulary
from trial.models import Site, User
from trial.protocol import PANEL

TODAY = date(2024, 5, 2)
LIFE = Life(TODAY)
SITE = Site(pk=1, code="GE", name="Guangzhou East", time_zone="Asia/Shanghai")
PATIENT = Patient(pk=1, site=SITE, subject_id="GE-001", sex="M", diagnosis="liver_failure")
AROUND = Circumstances(PATIENT, 1, LIFE, ())
BAD = {"day": "2024-02-31", "hour": "25:70", "number": "7..5"}

Given = Mapping[str, str]


STORED = Infusion(patient=PATIENT, given_on=TODAY)
FORMS: dict[str, Callable[[Given], forms.Form]] = {
    "visit": lambda data: LabPanelForm(
        data, patient=PATIENT, visit=Visit(patient=PATIENT, week=4), stored={}, last={}, today=TODAY
    ),
    "screening": lambda data: ScreeningForm(data, patient=PATIENT, day=TODAY, life=LIFE),
    "enrolment": lambda data: EnrolForm(data, patient=Patient(site=SITE), life=LIFE),
    "registration": lambda data: RegistrationForm(data, sites=[SITE], asks_identity=True),
    "details": lambda data: DetailsForm(data, patient=PATIENT, life=LIFE),
    "outcome": lambda data: OutcomeForm(data, life=LIFE),
    "event": lambda data: EventForm(data, life=LIFE, site=SITE),
    "treatment": lambda data: TreatmentForm(data, life=LIFE),
    "range": lambda data: RangeForm(data, analyte=PANEL[0], unit=PANEL[0].unit, today=TODAY),
    "infusion": lambda data: InfusionForm(data, around=AROUND),
    "infusion's correction": lambda data: CorrectionForm(data, around=AROUND, infusion=STORED),
    "plan": lambda data: PlanForm(data, plan=None, due_on=None, lots=CellLot.objects.none()),
    "decision": lambda data: DecisionForm(data, decision=None, today=TODAY, own_name=""),
    "lot": LotForm,
    "lot's correction": lambda data: LotEditForm(data, lot=CellLot(code="A1")),
    "custody": lambda data: CustodyForm(data, user=User()),
    "tests": lambda data: ReleaseTestsForm(data, stored={}),
}
INFUSION = {
    "day": ["given_on", "other_lot_expires_on", "observed_until"],
    "hour": ["started_at", "stopped_at"],
    "number": ["weight_kg", "cells", "volume_ml"],
}
LOT = {"day": ["expires_on"], "number": ["bags", "passage", "viability_percent"]}
FIELDS: dict[str, dict[str, list[str]]] = {
    "visit": {"day": ["visited_on"], "hour": ["drawn_at"]},
    "screening": {
        "day": [
            "screened_on",
            *(f"on_{criterion.code}" for criterion in protocol.CRITERIA),
            *(f"day_{fact.code}" for fact in facts.FACTS if fact.has_day),
        ],
        "number": [
            f"fact_{fact.code}" for fact in facts.FACTS if fact.has_value and fact.kind is not facts.Kind.SIGN
        ],
    },
    "enrolment": {"day": ["recruited_on"]},
    "registration": {"day": ["birth_date"], "number": ["age"]},
    "details": {"day": ["birth_date", "recruited_on"], "number": ["age_at_recruitment"]},
    "outcome": {"day": ["happened_on"]},
    "event": {"day": ["onset_on", "ended_on", "aware_on"], "hour": ["onset_at", "aware_hour"]},
    "treatment": {"day": ["started_on", "ended_on"], "hour": ["started_at", "ended_at"]},
    "range": {"day": ["valid_from", "valid_to"], "number": ["age_from", "age_to", "low", "high"]},
    "infusion": INFUSION,
    "infusion's correction": INFUSION,
    "plan": {"day": ["planned_on"], "hour": ["planned_at"]},
    "decision": {"day": ["decided_on"]},
    "lot": LOT,
    "lot's correction": LOT,
    "custody": {"day": ["happened_on"], "hour": ["happened_at"], "number": ["temperature_c"]},
    "tests": {"day": [f"{term.code}_on" for term in vocabulary.RELEASE_TESTS]},
}
"""Every field of the ward that takes a day, an hour or a number; the panel and the vital signs are below."""


def labels(form: forms.Form, name: str) -> Iterator[str]:
    """Yield what a message has to say of the place: the field, and of an hour the day it belongs to."""
    day: Any = getattr(form, "HOURS", {}).get(name)
    yield from (str(form.fields[each].label) for each in (name, day) if each)


@pytest.mark.parametrize("language", ["en", "zh-hans"])
@pytest.mark.parametrize("name", FIELDS)
def test_a_malformed_value_is_said_with_its_field(name: str, language: str) -> None:
    data = {field: BAD[sort] for sort, fields in FIELDS[name].items() for field in fields}
    with translation.override(language):
        form = FORMS[name](data)
        for field, value in data.items():
            said = " ".join(map(str, form.errors[field]))
            assert f"“{value}”" in said, (field, said)
            for label in labels(form, field):
                assert label and label in said, (field, label, said)
            # the place once, then what is wrong and what to do
            assert said.count(f"“{value}”") == 1 and len(said) > len(value) + 8, said


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        pytest.param("range", {"age_to": "7.5"}, "To age “7.5”: An age is whole years.", id="age"),
        pytest.param("range", {"low": "<5"}, "Low “<5”: A limit is a number without", id="limit"),
        pytest.param("registration", {"age": "130"}, "or age in years “130”: An age is a number", id="years"),
        pytest.param("visit", {"visited_on": "2024/5/3"}, "Day of the draw “2024/5/3”: 2024-05-03 is after", id="future"),
        pytest.param("visit", {"visited_on": "2024-05-03"}, "Day of the draw: 2024-05-03 is after", id="once"),
        pytest.param("lot", {"bags": "501"}, "Bags “501”: Ensure this value", id="bags"),
        pytest.param("infusion", {"other_lot": "a b"}, "Another lot “a b”: A lot code has", id="code"),
    ],
)  # fmt: skip
def test_a_value_that_breaks_a_rule_is_said_with_its_field(name: str, data: Given, said: str) -> None:
    form = FORMS[name](data)
    assert any(str(each).startswith(said) for each in form.errors[next(iter(data))]), form.errors


def test_a_value_of_the_panel_is_said_with_its_analyte() -> None:
    form = FORMS["visit"]({analyte.code: "7..5" for analyte in PANEL})
    assert isinstance(form, LabPanelForm) and not form.is_valid()
    for row in form.rows:
        assert row.analyte.label in row.errors_said[0] and "“7..5”" in row.errors_said[0]


def test_a_vital_sign_is_said_with_its_moment() -> None:
    data = {f"v_{moment}_{column}": "7..5" for moment in vitals.MOMENTS for column in vitals.COLUMNS}
    form = FORMS["infusion"](data | {"given_on": "2024-05-02"})
    assert isinstance(form, InfusionForm)
    assert len(form.vital_errors()) == len(data)
    for term in vocabulary.VITAL_MOMENTS:
        for label in vitals.COLUMNS.values():
            place = f"{term.label}, {label}: "
            assert any(said.startswith(place) and "“7..5”" in said for said in form.vital_errors()), place


def test_a_day_of_the_grid_is_said_with_its_column() -> None:
    line: Any = SimpleNamespace(visit=Visit())
    row = SheetRow(line, [], "2024-02-31", day_errors=["“2024-02-31” does not exist.", "There is no value."])
    assert row.day_errors_said == [
        "Day of the draw: “2024-02-31” does not exist.",
        "Day of the draw “2024-02-31”: There is no value.",
    ]
