"""The work queue as a page shows it: stat tiles, sections, rows on one shared calendar."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from types import MappingProxyType

from django.urls import reverse
from django.utils.translation import gettext as _

from patients.day_scale import DayScale, WindowMark, queue_scale, window_mark
from patients.worklist import WEEK_DAYS, Record, Section, Task
from trial.models import User
from trial.roles import Permission, allowed

DATED: tuple[Section, ...] = (Section.OVERDUE, Section.CLOSING, Section.TODAY, Section.WEEK)
"""Sections whose tasks have a day."""

ALL: tuple[Section, ...] = tuple(Section)

UNDATED: tuple[Section, ...] = (Section.UNFINISHED, Section.QUERIES, Section.DRAFTS, Section.LOTS)
"""Sections that stand together under one heading while the whole queue is shown."""

FEW, FEW_UNDATED, MANY = 12, 6, 200
"""Rows of one section: beside the others, of one without days, and when it is looked at alone."""

GLYPHS: Mapping[Section, str] = MappingProxyType(
    {
        Section.OVERDUE: "overdue",
        Section.CLOSING: "closing",
        Section.TODAY: "due",
        Section.WEEK: "open",
        Section.UNFINISHED: "note",
        Section.QUERIES: "note",
        Section.DRAFTS: "note",
        Section.LOTS: "note",
    }
)


@dataclass(frozen=True, slots=True)
class Tile:
    """A count that is also the filter; ``key`` is the digit that presses it."""

    section: Section
    key: str
    count: int
    is_shown: bool

    @property
    def word(self) -> str:
        return {
            Section.OVERDUE: _("Overdue"),
            Section.CLOSING: _("Window closing"),
            Section.TODAY: _("Due today"),
            Section.WEEK: _("This week"),
            Section.UNFINISHED: _("Screening unfinished"),
            Section.QUERIES: _("Queries on me"),
            Section.DRAFTS: _("Drafts not saved"),
            Section.LOTS: _("Lots expiring"),
        }[self.section]

    @property
    def glyph(self) -> str:
        return GLYPHS[self.section]


@dataclass(frozen=True, slots=True)
class Tick:
    """A day named on the calendar's head."""

    x: str
    label: str
    is_today: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that waits: whose it is, what it is, where it lies on the calendar, and what opens it.

    ``key`` names the row for the page, so that it stays selected when the queue
    is read again. ``labs_url``, ``infusion_url`` and ``missed_url`` are what the
    keys ``e``, ``i`` and ``m`` do on it; empty where they do nothing.
    """

    key: str
    glyph: str
    glyph_word: str
    name: str
    name_url: str
    about: str
    what: str
    note: str
    url: str
    action: str
    when: str
    record: Record | None = None
    mark: WindowMark | None = None
    cross: str = ""
    due_on: date | None = None
    due_note: str = ""
    days_past: int = 0
    is_late: bool = False
    is_pressing: bool = False
    warning: str = ""
    labs_url: str = ""
    infusion_url: str = ""
    missed_url: str = ""
    section: Section | None = None


@dataclass(frozen=True, slots=True)
class Hidden:
    """Rows of a section that are left out for want of room."""

    tile: Tile
    count: int


@dataclass(frozen=True, slots=True)
class Part:
    """A heading of the queue with its rows."""

    code: str
    word: str
    count: int
    note: str
    rows: tuple[Row, ...]
    hidden: tuple[Hidden, ...] = ()


@dataclass(frozen=True, slots=True)
class Queue:
    """The whole queue of a person on a day."""

    today: date
    tiles: tuple[Tile, ...]
    parts: tuple[Part, ...]
    ticks: tuple[Tick, ...]
    mondays: tuple[str, ...]
    today_x: str
    shown: str

    @property
    def is_empty(self) -> bool:
        return not any(tile.count for tile in self.tiles)


def arrange(
    tasks: Iterable[Task],
    user: User,
    *,
    today: date,
    shown: str = "",
    sections: Sequence[Section] = ALL,
    undated: Mapping[Section, Sequence[Row]] = MappingProxyType({}),
    serious: Sequence[Row] = (),
    draft_notes: Mapping[str, str] = MappingProxyType({}),
) -> Queue:
    """Arrange tasks into sections.

    Parameters
    ----------
    today
        The day in the middle of the calendar; each row counts from its own site's day.
    shown
        The section looked at alone; anything else shows all of them.
    undated
        Rows of the sections that are not of the schedule: queries, drafts, lots.
    serious
        Rows of events whose report waits; they come before everything.
    draft_notes
        What is said of a draft by the key of the row whose form it belongs to; such
        a draft is a row of its own only when drafts are looked at alone.
    """
    scale = queue_scale(today)
    found: dict[Section, list[Task | Row]] = {section: [] for section in sections}
    for task in tasks:
        if task.section in found:
            found[task.section].append(task)
    for section, rows in undated.items():
        if section in found:
            found[section].extend(rows)
    alone = Section(shown) if shown in [str(section) for section in sections] else None
    tiles = tuple(
        Tile(section, str(place), len(found[section]), section is alone)
        for place, section in enumerate(sections, start=1)
    )

    def drawn(tile: Tile, most: int) -> tuple[Row, ...]:
        rows = (_row(each, scale, user, tile) for each in found[tile.section][:most])
        return tuple(
            replace(row, note=draft_notes[row.key]) if row.key in draft_notes else row for row in rows
        )

    parts: list[Part] = []
    if serious and alone is None:
        note = _("within 24 h after the site learned of them")
        parts.append(Part("serious", _("Serious events to report"), len(serious), note, tuple(serious)))
    for tile in tiles:
        if not tile.count or (alone is not None and not tile.is_shown):
            continue
        if alone is None and tile.section in UNDATED:
            continue
        most = MANY if alone else FEW
        parts.append(
            Part(
                tile.section.value,
                tile.word,
                tile.count,
                _note(tile.section, today),
                drawn(tile, most),
                (Hidden(tile, tile.count - most),) if tile.count > most else (),
            )
        )
    if alone is None:
        together = [tile for tile in tiles if tile.section in UNDATED and tile.count]
        shown_above = {row.key for part in parts for row in part.rows}
        rows = tuple(
            row for tile in together for row in drawn(tile, FEW_UNDATED) if row.key not in shown_above
        )
        if rows:
            parts.append(
                Part(
                    "undated",
                    _("Unfinished"),
                    sum(tile.count for tile in together),
                    _note(Section.UNFINISHED, today),
                    rows,
                    tuple(Hidden(t, t.count - FEW_UNDATED) for t in together if t.count > FEW_UNDATED),
                )
            )
    mondays = list(scale.mondays())
    return Queue(
        today=today,
        tiles=tiles,
        parts=tuple(parts),
        ticks=(
            *(
                Tick(scale.at(day), f"{day:%m-%d}")
                for day in mondays
                if abs((day - today).days) > 3 and (scale.last - day).days > 1
            ),
            Tick(scale.at(today), f"{today:%m-%d}", is_today=True),
        ),
        mondays=tuple(scale.at(day) for day in mondays),
        today_x=scale.at(today),
        shown=alone.value if alone else "",
    )


def _note(section: Section, today: date) -> str:
    match section:
        case Section.OVERDUE:
            return _("window has closed")
        case Section.CLOSING:
            return _("closes within 2 days")
        case Section.TODAY:
            return today.isoformat()
        case Section.WEEK:
            return _("to %(day)s") % {"day": (today + timedelta(days=WEEK_DAYS)).isoformat()}
        case _:
            return _("no date attached")


def subject_words(record: Record) -> str:
    """Return what stands below a subject's code: ``F 52 · LC``."""
    patient, age = record.patient, record.patient.age_on(record.today)
    person = f"{patient.sex} {age}" if age is not None else patient.sex
    return f"{person} · {patient.diagnosis_code}"


def key_of(task: Task) -> str:
    """Return what names a task's row: ``visit:GE-041:4``, the place of the form that does it."""
    subject_id = task.patient.subject_id
    if task.appointment is None:
        return f"screening:{subject_id}"
    kind = "infusion" if task.is_infusion else "visit"
    return f"{kind}:{subject_id}:{task.appointment.number}"


def _row(each: Task | Row, scale: DayScale, user: User, tile: Tile) -> Row:
    if isinstance(each, Row):
        return (
            replace(each, cross=scale.at(each.due_on))
            if each.section is Section.LOTS and each.due_on
            else each
        )
    return _task_row(each, scale, user, tile)


def _task_row(task: Task, scale: DayScale, user: User, tile: Tile) -> Row:
    subject_id, record, appointment = task.patient.subject_id, task.record, task.appointment
    trend = reverse("analytics:trend", args=[subject_id])
    row = Row(
        key=key_of(task),
        glyph=GLYPHS[task.section],
        glyph_word=tile.word,
        name=subject_id,
        name_url=trend,
        about=subject_words(record),
        what=task.title,
        note=task.note,
        url=trend,
        action=_("Open"),
        when=task.when,
        record=record,
        mark=window_mark(appointment, scale, record.today) if appointment else None,
        due_on=appointment.due_on if appointment else None,
        days_past=task.days_past,
        is_late=task.days_past > 0,
        is_pressing=task.section is Section.CLOSING,
        warning=task.warning,
        section=task.section,
    )
    may_enter = allowed(user, Permission.ENTER_CLINICAL_DATA)
    if appointment is None:
        url, action = reverse("patients:eligibility", args=[subject_id]), _("Open")
        if may_enter and task.waits_for_enrolment:
            action = _("Enrol")
        elif may_enter:
            url, action = reverse("patients:screen", args=[subject_id]), _("Screen")
        return replace(row, url=url, action=action)
    place = [subject_id, appointment.number]
    if task.is_infusion:
        if not allowed(user, Permission.RECORD_INFUSIONS):
            return replace(row, url=reverse("infusions:course", args=[subject_id]))
        give = reverse("infusions:give", args=place)
        return replace(
            row,
            url=give,
            action=_("Record infusion"),
            infusion_url=give,
            missed_url=reverse("infusions:mark_missed", args=place),
        )
    if not may_enter:
        return row
    enter = reverse("patients:enter_visit", args=place)
    return replace(
        row,
        url=enter,
        action=_("Enter labs"),
        labs_url=enter,
        missed_url=reverse("patients:mark_missed", args=place),
    )
