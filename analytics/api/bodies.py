"""What programs send and get, as the description of the API tells it."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from ninja import Schema
from pydantic import ConfigDict, Field, StrictBool, WithJsonSchema

MOST_ITEMS = 500
MOST_CHARACTERS = 500

_NUMBER_OR_TEXT = WithJsonSchema(
    {"anyOf": [{"type": "number"}, {"type": "string", "maxLength": MOST_CHARACTERS}]}
)
Text = Annotated[str, Field(max_length=MOST_CHARACTERS)]
Number = Annotated[str, Field(max_length=MOST_CHARACTERS), _NUMBER_OR_TEXT]
"""A number as it stands in the report; a JSON number is read in its own characters, never as a float."""


class Body(Schema):
    """Something that is sent: a part that nobody reads is refused."""

    model_config = ConfigDict(extra="forbid")


class Value(Body):
    """One value, or why there is none."""

    value: Number = Field("", description='as the report has it: 17.10, "<5", "8.2 mg/dL"')
    unit: Text = Field("", description="UCUM, or as people write it; needed where the analyte has several")
    comparator: Text = Field("", description="<, <=, >= or >, where it does not stand in the value")
    missing: Text = Field("", description="a coded reason why there is no value, such as haemolysed")


class Item(Value):
    """One value of one subject."""

    subject: Text
    date: Text = Field("", description="day at the site, or a moment with its offset from UTC")
    week: Number = Field(
        "", description="week of the protocol; a day alone is the visit of that day, or a new draw"
    )
    analyte: Text = Field(description="code of the panel, or LOINC")
    laboratory: Text = ""
    specimen: Text = Field("", description="kept in the trail")
    overwrite: StrictBool = False
    reason: Text = Field("", description="coded, needed to overwrite: report_amended, typing_slip, …")
    note: Text = ""


class Panel(Body):
    """Values of one visit, by analyte; those that are not named stay as they are."""

    values: dict[str, Value] = Field(min_length=1, max_length=50)
    date: Text = ""
    laboratory: Text = ""
    specimen: Text = ""
    overwrite: StrictBool = False
    reason: Text = ""
    note: Text = ""


# --- what comes back ------------------------------------------------------------------------


class Problem(Schema):
    """RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[dict[str, str]] = Field(description="place, value, rule, message, remedy")


class Lab(Schema):
    """One result: in the standard unit, and as it was typed."""

    observation: int
    analyte: str
    loinc: str
    value: Decimal | None
    comparator: str | None
    unit: str
    ucum: str
    typed: str | None
    typed_unit: str | None
    missing: str | None
    laboratory: str | None
    drawn_at: str | None
    version: int


class Visit(Schema):
    """A visit of the protocol, or a draw outside it (week null)."""

    visit: int
    subject: str
    week: int | None
    date: str | None
    not_done: str | None
    ascites: str | None
    encephalopathy: str | None
    locked: bool
    version: int
    labs: list[Lab]


class Visits(Schema):
    """The visits of a subject."""

    subject: str
    visits: list[Visit]


class Subject(Schema):
    """A subject under its code."""

    subject: str
    site: str
    sex: str
    age: int | None
    diagnosis: str
    status: str
    recruited_on: str | None
    planned_course: str | None
    infusions: int
    first_infusion_on: str | None
    version: int


class Subjects(Schema):
    """A page of subjects."""

    subjects: list[Subject]


class Datasets(Schema):
    """What there is to read."""

    datasets: list[dict[str, Any]]


class Page(Schema):
    """A page of a dataset, as of one revision."""

    dataset: str
    grain: str
    revision: int
    results_revision: int | None
    code_version: str
    identified: bool
    population: str
    columns: list[dict[str, str]]
    rows: list[dict[str, Any]]


class Stored(Schema):
    """What became of each value, and what soft checks ask."""

    observations: list[dict[str, Any]]
