"""Which laboratory value an adverse event was graded from: in a file its analyte and its visit, here its row."""

from __future__ import annotations

from datetime import date

from patients.imports import cells
from patients.imports.columns import Field
from patients.imports.kinds import header_of
from patients.imports.problems import RowRules
from patients.imports.records import STAGED, RecordColumn, RecordReader
from patients.imports.staging import refuse_where
from patients.imports.tables import Table
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


FIELDS = (
    Field("lab_analyte", ("graded analyte", "分级检验项目")),
    Field("lab_week", ("graded week", "分级检验周")),
    Field("lab_date", ("graded date", "分级检验日期")),
)
STAGED_COLUMNS = "lab text, lab_date date"
_NAME = "r.analyte || ' ' || coalesce('W' || v.week, v.visited_on::text)"
_RESULTS = (
    "patients_labresult r JOIN patients_visit v ON v.id = r.visit_id AND v.voided_at IS NULL"
    " JOIN patients_patient q ON q.id = r.patient_id"
)
COLUMN = RecordColumn(
    "lab",
    "text",
    "lab_result_id",
    here=f"(SELECT {_NAME} FROM {_RESULTS} WHERE r.id = t.lab)",
    written=f"(SELECT r.id FROM {_RESULTS} WHERE q.subject_id = j.subject AND {_NAME} = j.lab)",
)
"""A value is named by its analyte and its week, or the day of an unscheduled draw: “tbil W4”."""


def read(reader: RecordReader, line: int, row: list[str]) -> tuple[str | None, date | None]:
    """Return the name of the value that a row says, and the day of its visit."""
    analyte = reader.cell(line, row, "lab_analyte", cells.read_analyte)
    week: int | None = reader.cell(line, row, "lab_week", cells.read_week)
    day: date | None = reader.cell(line, row, "lab_date", reader.past_day)
    is_scheduled = week is not None and week != cells.UNSCHEDULED
    if not reader.text(row, "lab_analyte"):
        for code in ("lab_week", "lab_date"):
            if text := reader.text(row, code):
                reader.refuse(line, code, text, _WRONG("no_analyte"))
        return None, None
    if analyte is None:
        return None, None
    if is_scheduled:
        return f"{analyte} W{week}", day
    if day is None:
        if not reader.text(row, "lab_date"):
            reader.refuse(line, "lab_analyte", reader.text(row, "lab_analyte"), _WRONG("no_visit"))
        return None, None
    return f"{analyte} {day.isoformat()}", day


def refuse_strange(table: Table) -> None:
    """Refuse rows that name a value which the study does not have."""
    refuse_where(
        f"{STAGED} s WHERE s.lab IS NOT NULL AND NOT EXISTS (SELECT FROM {_RESULTS} WHERE q.subject_id = s.subject"
        f" AND {_NAME} = s.lab AND coalesce(v.visited_on = s.lab_date, true))",
        {},
        rule="no_such_result",
        column=header_of(table, "lab_analyte"),
        value="s.lab",
        sentence=Sentence(_("The study has no value “%(lab)s” of this subject on that day."), {"lab": ""}),
        remedy=Sentence(
            _("Import the visits first; correct analyte, week and day, or empty the three cells.")
        ),
        gaps={"lab": "s.lab"},
    )


_WRONG = RowRules(
    {
        "no_analyte": (
            _("A visit is named from which the event was graded, and no analyte."),
            _("Name the analyte, or empty the cell."),
        ),
        "no_visit": (
            _("An analyte is named from which the event was graded, and neither a week nor a day."),
            _("Give the week of the visit, or the day of an unscheduled draw."),
        ),
    }
)
