"""The form of a sheet: one line a subject, one text a value."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from typing import Any

from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _

from patients import draws, edit_checks
from patients.actions import panel_merge
from patients.edit_checks import Doubt
from patients.entries import LabEntry
from patients.forms.fields import CorrectionForm, about, said, text_field
from patients.forms.panel_row import Row, attach, read
from patients.grid import GLYPHS, KIND_LABELS, Kind, Line
from patients.imports import cells
from patients.models import Laboratory, LabResult
from patients.selectors import LastValue
from trial import protocol, typed, units
from trial.protocol import Analyte, Sex
from trial.refusals import Conflict, Refused
from trial.typed import Unreadable

VERSIONS = "versions"
SUGGESTED = "suggested"
LABORATORY = panel_merge.LABORATORY
COLUMNS: tuple[Analyte, ...] = tuple(sorted(protocol.PANEL, key=lambda analyte: not analyte.required))
"""The panel with what every visit needs first."""
MINE, THEIRS = "mine", "theirs"
_VERSION = re.compile(r"([0-9]{1,18}):([0-9]{1,9})")


@cache
def _missing_words(language: str) -> Mapping[str, str]:
    return {gettext(reason.label).casefold(): reason.code for reason in protocol.MISSING_REASONS}


def missing_code(text: str) -> str:
    """Return the code of a reason why there is no value, written in place of it; empty for anything else."""
    plain = text.strip()
    return _missing_words(get_language() or "").get(plain.casefold(), "") or cells.missing_code(plain)


def missing_label(code: str) -> str:
    """Return a reason why there is no value in the reader's language."""
    return next(gettext(reason.label) for reason in protocol.MISSING_REASONS if reason.code == code)


def written(stored: LabResult, unit: str) -> str:
    """Return a stored result as a cell under ``unit`` shows it: its unit is said where it is another one."""
    if stored.missing_reason:
        return missing_label(stored.missing_reason)
    text: str = stored.typed_text
    if stored.typed_unit == unit:
        return text
    try:
        says_unit = typed.read_number(text).unit is not None
    except Unreadable:  # what an old file gave need not be readable
        says_unit = False
    return text if says_unit else f"{text} {units.symbol(stored.typed_unit)}"


@dataclass(slots=True)
class Cell(Row):
    """One value of a sheet: an analyte of one subject."""

    pk: int = 0
    head_unit: str = ""
    shown: str = ""

    @property
    def name_of_field(self) -> str:
        return f"c_{self.pk}_{self.code}"

    @property
    def was(self) -> str:
        """What the cell shows while it is as stored."""
        return "" if self.stored is None else written(self.stored, self.head_unit)

    @property
    def in_other_unit(self) -> str:
        """What the cell would show in the unit that was perhaps meant."""
        if self.doubt is None or not self.doubt.unit:
            return ""
        return f"{without_unit(self.shown)} {self.doubt_unit_symbol}"

    @property
    def is_touched(self) -> bool:
        return not self.is_as_stored and bool(self.shown.strip() or self.errors)

    @property
    def last_said(self) -> str:
        """The last value with its day, for the title of the cell."""
        if self.last is None:
            return ""
        value = f"{self.last.result.comparator}{self.last_shown} {self.analyte.unit_symbol}"
        return f"{value}, {self.last.drawn_on.isoformat()}" if self.last.drawn_on else value


def without_unit(text: str) -> str:
    """Return a typed value without the unit beside it."""
    found = re.match(r"\s*[<>≤≥]?=?\s*[0-9０-９.．]+", text)
    return found[0].strip() if found else text.strip()


@dataclass(slots=True)
class SheetRow:
    """One subject of the sheet as the page shows it."""

    line: Line
    cells: list[Cell]
    day_text: str = ""
    day: date | None = None
    last: Mapping[str, LastValue] = field(default_factory=dict)
    is_bound: bool = False
    version: int = 0
    day_errors: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    day_doubts: list[Doubt] = field(default_factory=list)
    is_day_confirmed: bool = False
    conflict: Conflict | None = None
    seen: str = ""
    kept_mine: Mapping[str, int] = field(default_factory=dict)
    kept_theirs: frozenset[str] = frozenset()
    needs_reason: bool = False

    @property
    def pk(self) -> int:
        return self.line.patient.pk

    @property
    def is_locked(self) -> bool:
        return self.line.lock is not None

    @property
    def waits(self) -> bool:
        """Whether somebody has to enter this visit."""
        return self.line.kind in (Kind.OVERDUE, Kind.OPEN, Kind.SOON)

    @property
    def glyph(self) -> str:
        return GLYPHS[self.line.kind] if self.line.kind else "missed"

    @property
    def kind_label(self) -> str:
        """Why the subject stands on the sheet, in words."""
        return gettext(KIND_LABELS[self.line.kind]) if self.line.kind else gettext("not due")

    @property
    def day_was(self) -> str:
        day = self.line.visit.visited_on
        return day.isoformat() if day else ""

    @property
    def touched(self) -> list[Cell]:
        """The cells that say something else than the database."""
        return [cell for cell in self.cells if cell.is_touched]

    @property
    def is_day_touched(self) -> bool:
        return bool(self.line.visit.pk) and self.day_text.strip() != self.day_was

    @property
    def is_touched(self) -> bool:
        return self.is_bound and bool(self.touched or self.is_day_touched)

    @property
    def is_fine(self) -> bool:
        """Whether everything can be saved as it stands."""
        waits = self.day_doubts and not self.is_day_confirmed
        return not (
            self.errors
            or self.day_errors
            or self.conflict
            or waits
            or self.needs_reason
            or any(cell.state in ("wrong", "warned") for cell in self.cells)
        )

    @property
    def entries(self) -> list[LabEntry]:
        return [
            cell.entry
            for cell in self.cells
            if cell.entry is not None and not cell.is_as_stored and cell.code not in self.kept_theirs
        ]

    @property
    def kept(self) -> frozenset[str]:
        """The fields whose soft check was seen and whose value stays."""
        found = {cell.doubt.analyte for cell in self.cells if cell.doubt and cell.is_confirmed}
        is_day_kept = self.day_doubts and self.is_day_confirmed
        return frozenset(found | {panel_merge.DAY} if is_day_kept else found)

    @property
    def settled(self) -> list[tuple[str, str]]:
        """The collisions decided on an earlier page, as hidden fields of the next: field and choice."""
        still_open = {clash.field for clash in self.conflict.clashes} if self.conflict else set()
        mine = [(name, MINE) for name in self.kept_mine if name not in still_open]
        return mine + [(name, THEIRS) for name in sorted(self.kept_theirs - still_open)]

    @property
    def has_message(self) -> bool:
        return bool(
            self.errors
            or self.day_errors
            or self.day_doubts
            or self.conflict
            or self.needs_reason
            or any(cell.has_message for cell in self.cells)
        )

    @property
    def day_errors_said(self) -> list[str]:
        """What is wrong with the day, each message with the name of its column and what stands there."""
        return [about(gettext("Day of the draw"), self.day_text, error) for error in self.day_errors]

    @property
    def messages(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.has_message]

    @property
    def day_doubts_said(self) -> list[str]:
        return [doubt.sentence.said(gettext) for doubt in self.day_doubts]

    @property
    def other_laboratory(self) -> Laboratory | None:
        """The laboratory that measured what is stored: it stays, whatever the sheet says."""
        return next((r.laboratory for r in self.line.stored.values() if r.laboratory_id), None)

    def add_problems(self, refused: Refused) -> None:
        """Show what the action refused beside the cells it is about."""
        by_code = {cell.code: cell for cell in self.cells}
        for problem in refused.problems:
            if problem.field in by_code:
                by_code[problem.field].errors.append(problem.in_words)
            elif problem.field == "reason":
                self.needs_reason = True
            elif problem.field == panel_merge.DAY:
                self.day_errors.append(problem.in_words)
            else:
                self.errors.append(problem.in_words)


class SheetForm(CorrectionForm):
    """A site's visits of one week: a laboratory and a reason for all, a day and the panel a subject.

    A cell is one field: the value as text, with its unit where that is not the
    column's, or the reason why there is none. ``saved`` are the subjects that
    the database has just taken: they are shown as stored, whatever was posted.
    """

    laboratory = text_field(_("Laboratory"))

    def __init__(
        self,
        data: Any = None,
        *,
        lines: Sequence[Line],
        laboratories: Sequence[Laboratory] = (),
        usual_laboratory: Laboratory | None = None,
        saved: frozenset[int] = frozenset(),
    ) -> None:
        super().__init__(data)
        self.laboratories, self.saved = laboratories, saved
        self.use_unit = {
            name.removeprefix("use_"): str(value)
            for name, value in (data or {}).items()
            if name.startswith("use_")
        }
        self.versions = {
            int(pk): int(version) for pk, version in _VERSION.findall(self.posted(VERSIONS)[:4000])
        }
        self.chosen_laboratory = self._chosen(usual_laboratory)
        preset = draws.units_of(self.chosen_laboratory)
        self.units = {analyte.code: preset.get(analyte.code, analyte.unit) for analyte in COLUMNS}
        self.rows = [self._row(line) for line in lines]

    def _chosen(self, usual: Laboratory | None) -> Laboratory | None:
        if not self.is_bound:
            return usual
        return next((one for one in self.laboratories if str(one.pk) == self.posted(LABORATORY)), None)

    # --- what the fields hold ---------------------------------------------------------------

    def _row(self, line: Line) -> SheetRow:
        pk = line.patient.pk
        # what was typed before somebody locked the row stays on the screen; the save refuses it
        is_bound = self.is_bound and pk not in self.saved
        suggested = line.suggested_day
        day_text = (line.visit.visited_on or suggested or "") and f"{line.visit.visited_on or suggested}"
        if is_bound:
            day_text = str(self.data.get(f"day_{pk}", day_text))
        row = SheetRow(line, [], day_text, is_bound=is_bound, version=line.version)
        if is_bound:
            row.version = self.versions.get(pk, 0)
            if line.visit.pk and not row.version and row.day_text in ("", self.posted(SUGGESTED)):
                # somebody else made the visit meanwhile; what was only suggested gives way to their day
                row.day_text = row.day_was
        row.last = line.last(self._day_typed(row))
        row.cells = [self._cell(row, analyte) for analyte in COLUMNS]
        return row

    def _day_typed(self, row: SheetRow) -> date:
        """Return the day that last values are looked up for before the form is read."""
        try:
            return typed.read_date(row.day_text, today=row.line.record.today)
        except Unreadable:
            return row.line.about

    def _cell(self, row: SheetRow, analyte: Analyte) -> Cell:
        line, code = row.line, analyte.code
        stored, head = line.stored.get(code), self.units[code]
        reference = analyte.reference[Sex(line.patient.sex)]
        cell = Cell(analyte, "", head, "", stored, row.last.get(code), reference, pk=row.pk, head_unit=head)
        cell.shown = cell.was
        if row.is_bound:
            cell.shown = str(self.data.get(cell.name_of_field, cell.was))
            if unit := self.use_unit.get(f"{row.pk}_{code}"):
                cell.shown = f"{without_unit(cell.shown)} {units.symbol(unit)}"
        _spell(cell)
        if not row.is_bound and stored is not None:
            cell.entry = draws.entered(stored)
        return cell

    # --- reading ----------------------------------------------------------------------------

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.laboratories and self.posted(LABORATORY) and self.chosen_laboratory is None:
            self.add_error("laboratory", _("This laboratory is not of the list. Choose one of it."))
        self.read_reason()
        for row in self.rows:
            if row.is_bound:
                self._read(row)
        return cleaned

    def _read(self, row: SheetRow) -> None:
        self._read_choices(row)
        self._read_day(row)
        for cell in row.cells:
            read(cell, seen_version=row.version)
        entries = [cell.entry for cell in row.cells if cell.entry is not None]
        doubts = edit_checks.doubts(entries, row.line.around(row.day, row.last))
        attach(row.cells, doubts, lambda cell: self._is_confirmed(row, cell))
        is_news = row.day is not None and (not row.line.visit.pk or row.day != row.line.visit.visited_on)
        if is_news and row.is_touched:
            row.day_doubts = [doubt for doubt in doubts if doubt.analyte == edit_checks.DAY_FIELD]
            row.is_day_confirmed = self.posted(f"confirm_{row.pk}_{panel_merge.DAY}") == row.day_text.strip()

    def _read_choices(self, row: SheetRow) -> None:
        """Read how collided fields were decided, with the version that was seen then."""
        seen = self.posted(f"seen_{row.pk}")
        if not re.fullmatch(r"[0-9]{1,9}", seen):
            return
        row.seen = seen
        names = (*(cell.code for cell in row.cells), *panel_merge.DRAW)
        kept = {name: self.posted(f"keep_{row.pk}_{name}") for name in names}
        row.kept_mine = {name: int(seen) for name, whose in kept.items() if whose == MINE}
        row.kept_theirs = frozenset(name for name, whose in kept.items() if whose == THEIRS)

    def _read_day(self, row: SheetRow) -> None:
        line, text = row.line, row.day_text.strip()
        has_values = bool(row.touched)
        if not line.visit.pk and not has_values:
            # the day that the page itself suggests is nobody's entry
            if text and text != self.posted(SUGGESTED):
                row.day_errors.append(
                    gettext("There is a day and no value. Type a value, or take the day out.")
                )
            return
        if not text:
            if line.visit.visited_on is not None or not line.visit.pk:
                row.day_errors.append(
                    gettext("%(field)s: the date is empty. Type it as year-month-day.")
                    % {"field": gettext("Day of the draw")}
                )
            return
        try:
            row.day = typed.read_date(text, today=line.record.today)
        except Unreadable as error:
            row.day_errors.append(said(error))
            return
        if row.day != line.visit.visited_on and (breach := edit_checks.day_breach(row.day, line.life)):
            row.day_errors.append(said(breach))

    def _is_confirmed(self, row: SheetRow, cell: Row) -> bool:
        return self.posted(f"confirm_{row.pk}_{cell.code}") == cell.fingerprint

    # --- what is saved and what waits -------------------------------------------------------

    def to_save(self) -> list[SheetRow]:
        """Return the rows that can be saved as they stand."""
        if self.errors:
            return []
        return [row for row in self.rows if row.is_touched and row.is_fine]

    @property
    def waiting(self) -> list[SheetRow]:
        """The rows that hold something that is not saved."""
        return [
            row
            for row in self.rows
            if row.pk not in self.saved and (row.is_touched or row.day_errors or row.errors)
        ]

    @property
    def touched_values(self) -> int:
        return sum(len(row.touched) for row in self.rows)

    @property
    def to_mend(self) -> int:
        return sum(
            bool(row.errors) + bool(row.day_errors) + sum(1 for cell in row.cells if cell.errors)
            for row in self.rows
        )

    @property
    def to_confirm(self) -> int:
        return sum(
            sum(1 for cell in row.cells if cell.state == "warned")
            + bool(row.day_doubts and not row.is_day_confirmed)
            for row in self.rows
        )

    @property
    def waits_for_reason(self) -> bool:
        return any(row.needs_reason for row in self.rows)

    @property
    def version_list(self) -> str:
        """What every row was at when it was shown, for the form that comes back."""
        return " ".join(f"{row.pk}:{row.version}" for row in self.rows)


def _spell(cell: Cell) -> None:
    """Take apart what a cell shows: as stored, a reason, or a value with or without its unit."""
    text, stored = cell.shown.strip(), cell.stored
    if stored is not None and text in (written(stored, cell.head_unit), written(stored, stored.typed_unit)):
        cell.text, cell.unit = stored.typed_text, stored.typed_unit or cell.head_unit
        cell.missing = stored.missing_reason
    elif code := missing_code(text):
        cell.missing = code
    else:
        cell.text = cell.shown
