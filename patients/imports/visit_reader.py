"""Reads rows of visits: one row per visit (wide) or per value (long)."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date

from patients.actions.rules import LONGEST_NOTE
from patients.imports import cells
from patients.imports.columns import Role
from patients.imports.kinds import Context
from patients.imports.lab_cells import LabCells, Nothing, lab_cells
from patients.imports.problems import FileRefused, RowRules
from patients.imports.staging import NULL, Stage, copied
from patients.imports.tables import Table
from patients.imports.visit_names import LONG, ROWS, VALUES
from patients.imports.words import ANSWERS, ASCITES, ENCEPHALOPATHY, NOT_DONE, free_text, moment, narrow
from patients.models import Laboratory
from trial import protocol, typed
from trial.sentences import Sentence
from trial.typed import Unreadable


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


_MOST_REMEMBERED = 200_000
_LABORATORY = re.compile(r"[A-Z0-9][A-Z0-9-]{0,11}")
_BESIDE_ONE = ("unit", "comparator", "missing")
"""What a column may say beside the only analyte of a file of one row per visit."""
_OF_VISIT = ("not_done", "ascites", "encephalopathy", "note", "laboratory", "drawn_at")
_YES = "yes"
_DIGIT = re.compile("[0-9]")
_HOUR = re.compile("[0-9] *[:\uff1a] *[0-9]")


@dataclass(slots=True)
class _Lab:
    """Where the parts of one analyte stand in a row; -1 where the file has no such column."""

    cells: LabCells
    value: int
    unit: int = -1
    comparator: int = -1
    missing: int = -1
    typed: int = -1
    typed_unit: int = -1

    def place_of(self, part: str) -> int:
        """Return where a part stands; a file without a column for it says it beside the value."""
        return next(at for at in (getattr(self, part), self.value, self.missing) if at >= 0)


class _Remembered:
    """Reads texts that come again and again, each distinct one once."""

    def __init__(self, read: Callable[[str], str]) -> None:
        self._read = read
        self._known: dict[str, str | Unreadable] = {}

    def __call__(self, text: str) -> str | Unreadable:
        found = self._known.get(text)
        if found is None:
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            try:
                found = self._read(text)
            except Unreadable as refusal:
                found = refusal
            self._known[text] = found
        return found


class VisitReader:
    """Reads rows; keeps what is common to all of them out of the loop."""

    def __init__(self, table: Table, stage: Stage, context: Context) -> None:
        self._stage = stage
        self._rows, self._values = stage.waiting[ROWS], stage.waiting[VALUES]
        self._manner, self._today, self._not_read = table.manner, context.today, table.not_read
        self._place = {
            code: column.position if column else -1
            for code in ("subject_id", "week", "visit_date", "unscheduled", *_OF_VISIT, *LONG)
            for column in [table.of(Role.FIELD, code)]
        }
        self._headers = [column.header if column else "" for column in table.columns]
        self._subject = _Remembered(cells.read_subject)
        self._week = _Remembered(lambda text: str(cells.read_week(text)))
        self._day = _Remembered(self._read_day)
        self._of_visit = [
            (self._place[code], _Remembered(read))
            for code, read in (
                ("not_done", NOT_DONE.read),
                ("ascites", ASCITES.read),
                ("encephalopathy", ENCEPHALOPATHY.read),
                ("note", lambda text: copied(free_text(text, most=LONGEST_NOTE))),
                ("laboratory", _read_laboratory),
                ("drawn_at", self._read_moment),
            )
        ]
        self._laboratory = context.laboratory or NULL
        self._drawn_days = _Remembered(self._read_drawn_day)
        self._labs = _wide_labs(table)
        self._long: dict[str, _Lab] | None = {} if self._place["analyte"] >= 0 else None
        if self._long is None:
            _take_what_stands_beside(table, self._labs)
        else:
            _refuse_analytes_in_headers(table)
        if self._long is not None and self._place["value"] < 0:
            raise FileRefused(
                "column_missing",
                Sentence(_("The file names analytes in a column, but none of its columns is the value.")),
                Sentence(_("Name the column “value”, or map it.")),
                columns=["value"],
            )

    def _read_day(self, text: str) -> str:
        day: date = cells.read_day(text, self._manner, self._today)
        return day.isoformat()

    def _read_moment(self, text: str) -> str:
        return moment(text, lambda day: cells.read_day(day, self._manner, self._today)).isoformat(" ")

    def _read_drawn_day(self, text: str) -> str:
        """Return the day of a draw, where the file has no other date; what cannot be read is refused once, as a moment."""
        with suppress(Unreadable):
            return self._read_day(text)
        return NULL

    def _read_week(self, row: list[str]) -> str | Unreadable:
        """Return the week; without one, a row may say outright that its draw is not of a week."""
        text, at = row[self._place["week"]], self._place["unscheduled"]
        if at < 0 or cells.is_nothing(row[at]):
            return self._week(text)
        try:
            is_unscheduled = ANSWERS.read(row[at]) == _YES
        except Unreadable as refusal:
            return refusal
        if not is_unscheduled:
            return self._week(text)
        if cells.is_nothing(text):
            return str(cells.UNSCHEDULED)
        week = self._week(text)
        return _WRONG("week_and_none") if week != str(cells.UNSCHEDULED) else week

    def _visit_cells(self, line: int, row: list[str]) -> str:
        """Return the COPY text of what a row says of the visit itself, besides week and date."""
        said = []
        for at, read in self._of_visit:
            text = row[at] if at >= 0 else ""
            # "NA" is a word like any other in a note
            is_said = bool(text.strip()) if at == self._place["note"] else not cells.is_nothing(text)
            if at == self._place["drawn_at"] and self._place["visit_date"] < 0 and is_said:
                # without an hour it says the day of the visit, and nothing more
                is_said = not (isinstance(self._day(text), str) and not _HOUR.search(text))
            found = read(text) if is_said else NULL
            if isinstance(found, Unreadable):
                self._refuse(line, at, row, found)
                found = NULL
            said.append(found)
        if said[4] == NULL:
            said[4] = self._laboratory
        return "\t".join(said)

    def read(self, line: int, row: list[str]) -> None:
        place = self._place
        subject = self._subject(row[place["subject_id"]])
        week = self._read_week(row)
        if (
            isinstance(subject, Unreadable)
            and isinstance(week, Unreadable)
            and (week.rule == "no_week" or not _DIGIT.search(subject.value))
        ):
            # a row of reference ranges, a signature, the number of a page: it is refused once, not cell by cell
            self._refuse(line, place["subject_id"], row, subject)
            return
        at = place["visit_date"]
        day: str | Unreadable = NULL
        if at >= 0 and not cells.is_nothing(row[at]):
            day = self._day(row[at])
        elif at < 0 and (drawn := place["drawn_at"]) >= 0 and not cells.is_nothing(row[drawn]):
            day = self._drawn_days(row[drawn])
        for code, found in (("subject_id", subject), ("week", week), ("visit_date", day)):
            if isinstance(found, Unreadable):
                self._refuse(line, place[code], row, found)
        if week == str(cells.UNSCHEDULED):
            if day == NULL:
                self._refuse(line, at if at >= 0 else place["week"], row, _WRONG("no_date"))
            week = NULL
        if isinstance(subject, str) and isinstance(week, str):
            kept = day if isinstance(day, str) else NULL
            self._rows.append(f"{line}\t{subject}\t{week}\t{kept}\t{self._visit_cells(line, row)}\n")
        if self._long is None:
            for lab in self._labs:
                self._value(line, row, lab)
        else:
            self._long_value(line, row, self._long)

    def _value(self, line: int, row: list[str], lab: _Lab) -> None:
        found = lab.cells.read(
            row[lab.value] if lab.value >= 0 else "",
            row[lab.unit] if lab.unit >= 0 else "",
            row[lab.comparator] if lab.comparator >= 0 else "",
            row[lab.missing] if lab.missing >= 0 else "",
            row[lab.typed] if lab.typed >= 0 else "",
            row[lab.typed_unit] if lab.typed_unit >= 0 else "",
        )
        if isinstance(found, str):
            self._values.append(f"{line}\t{found}")
        elif not isinstance(found, Nothing):
            self._refuse(line, lab.place_of(found.part), row, found.refusal)

    def _long_value(self, line: int, row: list[str], known: dict[str, _Lab]) -> None:
        text = row[self._place["analyte"]]
        lab = known.get(text)
        if lab is None:
            try:
                code = cells.read_analyte(text)
            except Unreadable as refusal:
                self._refuse(line, self._place["analyte"], row, refusal)
                return
            lab = known[text] = _Lab(
                lab_cells(code, "", self._manner, self._not_read),
                self._place["value"],
                self._place["unit"],
                self._place["comparator"],
                self._place["missing"],
                self._place["typed"],
                self._place["typed_unit"],
            )
        self._value(line, row, lab)

    def _refuse(self, line: int, at: int, row: list[str], refusal: Unreadable) -> None:
        self._stage.refuse_cell(line, self._headers[at], row[at], refusal)


_WRONG = RowRules(
    {
        "no_date": (_("An unscheduled draw needs a date."), _("Give the day of the draw.")),
        "week_and_none": (
            _("The row gives a week and says that the draw was not of a week."),
            _("Empty one of the two cells."),
        ),
    }
)


def _read_laboratory(text: str) -> str:
    """Read a laboratory by its code or its name; which of them there are is looked up for all rows at once."""
    written = narrow(text)
    if _LABORATORY.fullmatch(written.upper()):
        return written.upper()
    named = Laboratory.objects.filter(name__iexact=written).values_list("code", flat=True).first()
    if named is None:
        raise Unreadable(
            "laboratory",
            text,
            Sentence(_("“%(value)s” is not the code of a laboratory."), {"value": typed.printable(text)}),
            Sentence(
                _(
                    "A code has up to 12 capital letters, digits and dashes, as the page of laboratories lists it."
                )
            ),
        )
    return str(named)


def _take_what_stands_beside(table: Table, labs: list[_Lab]) -> None:
    """Give columns that name no analyte to the only one there is; among several nobody knows whose they are."""
    for column in table.columns:
        if (
            column is None
            or column.role is not Role.FIELD
            or column.code not in LONG
            or column.code == "analyte"
        ):
            continue
        if len(labs) == 1 and column.code in _BESIDE_ONE and getattr(labs[0], column.code) < 0:
            setattr(labs[0], column.code, column.position)
            continue
        raise FileRefused(
            "of_which",
            Sentence(
                _("The column “%(header)s” (%(letter)s) does not say of which analyte it is."),
                {"header": column.header, "letter": column.letter},
            ),
            Sentence(
                _("Put the analyte in front, as in “TBIL %(header)s”, or leave the column out."),
                {"header": column.header},
            ),
            columns=[column.header],
        )


def _refuse_analytes_in_headers(table: Table) -> None:
    """Refuse a file of one row per value that has values in columns of analytes, too: nobody would read them."""
    for column in table.columns:
        if column is not None and column.role is not Role.FIELD:
            raise FileRefused(
                "two_ways",
                Sentence(
                    _("A column names the analyte of each row, but “%(header)s” (%(letter)s) is one, too."),
                    {"header": column.header, "letter": column.letter},
                ),
                Sentence(_("Keep one row per value, or one row per visit; leave the other columns out.")),
                columns=[column.header],
            )


def _wide_labs(table: Table) -> list[_Lab]:
    labs = []
    for code in protocol.ANALYTES:
        value, missing = table.of(Role.VALUE, code), table.of(Role.MISSING, code)
        if value is None and missing is None:
            continue
        others = {
            role: column.position if (column := table.of(role, code)) else -1
            for role in (Role.UNIT, Role.COMPARATOR, Role.MISSING)
        }
        reader = lab_cells(code, value.unit if value else "", table.manner, table.not_read)
        place = value.position if value else -1
        labs.append(_Lab(reader, place, others[Role.UNIT], others[Role.COMPARATOR], others[Role.MISSING]))
    return labs
