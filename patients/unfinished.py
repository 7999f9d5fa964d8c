"""Rows of the queue that no schedule knows: serious events, queries, drafts and lots.

Each kind costs the same few queries, whatever the number of subjects.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from patients import events_page, query_list, query_words, queue, upstairs, worklist
from patients.models import DataQuery, Patient
from patients.queue import GLYPHS, Row
from patients.serious import ClockState
from patients.worklist import Record, Section
from trial import drafts, protocol
from trial.clock import zone
from trial.models import Draft, User
from trial.typed import read_date, read_number
from trial.unreadable import Unreadable

MOST = 200
_QUESTION = 110


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What waits beside the schedule."""

    serious: tuple[Row, ...]
    undated: Mapping[Section, Sequence[Row]]
    draft_notes: Mapping[str, str]
    alarming_lots: Sequence[upstairs.LotNews]


def of(user: User, today: date, *, now: datetime | None = None) -> Unfinished:
    """Return the serious events, queries, drafts and lots that wait for a person."""
    moment = now or timezone.now()
    visible = Patient.objects.visible_to(user)
    clocks = events_page.running_clocks(user, now=moment)
    asked = DataQuery.objects.visible_to(user).filter(query_list.on_me(user))
    waiting = list(
        asked.select_related("patient__site", "visit", "assigned_to", "opened_by").order_by("id")[:MOST]
    )
    own = [draft for draft in drafts.of(user) if draft.fields]
    drafted = _subjects_of(user, own)
    patients = {each.patient_id: each.patient for each in (*(c.event for c in clocks), *waiting)}
    patients |= {patient.pk: patient for patient in drafted.values()}
    records = (
        {each.patient.pk: each for each in worklist.records(list(patients.values()))} if patients else {}
    )
    codes = {code: records[patient.pk] for code, patient in drafted.items()}
    return Unfinished(
        serious=tuple(_serious_row(clock, records) for clock in clocks),
        undated={
            Section.QUERIES: [_query_row(each, records, moment) for each in query_list.rows(waiting, user)]
            if waiting
            else [],
            Section.DRAFTS: [_draft_row(draft, codes, user, moment) for draft in own],
            Section.LOTS: [_lot_row(lot, today) for lot in upstairs.expiring_lots(visible, today)],
        },
        draft_notes={draft.place: _draft_note(draft, user, moment) for draft in own},
        alarming_lots=upstairs.alarming_lots(visible, moment),
    )


# --- serious events -------------------------------------------------------------------------


def _serious_row(running: events_page.RunningClock, records: Mapping[int, Record]) -> Row:
    event, clock = running.event, running.clock
    subject_id = event.patient.subject_id
    url = reverse("patients:events", args=[subject_id])
    is_late = clock.state is ClockState.OVERDUE
    hours, minutes = divmod(int(clock.off.total_seconds()) // 60, 60)
    values = {"hours": hours, "minutes": minutes}
    when = _("%(hours)s h too late") if is_late else _("%(hours)s h %(minutes)s min left")
    return Row(
        key=f"event:{event.pk}",
        glyph="overdue" if is_late else "closing",
        glyph_word=_("Serious event"),
        name=subject_id,
        name_url=url,
        about=queue.subject_words(records[event.patient_id]),
        what=_("Serious event: %(term)s") % {"term": _(event.term)},
        note=running.said,
        url=url,
        action=_("Report"),
        when=when % values,
        record=records[event.patient_id],
        is_late=is_late,
        is_pressing=True,
    )


# --- queries --------------------------------------------------------------------------------


def _query_row(each: query_list.QueryRow, records: Mapping[int, Record], now: datetime) -> Row:
    query = each.query
    subject_id = query.patient.subject_id
    url = reverse("patients:query", args=[subject_id, query.pk])
    if query.check_code:
        opened = _("opened by an edit check")
    else:
        opened = _("opened by %(name)s, %(role)s") % {
            "name": query.opened_by.shown_name,
            "role": query.opened_by.get_role_display().lower(),
        }
    if each.answer:
        what = _("Answered: %(text)s") % {"text": each.answer}
    else:
        what = _("Query on you: %(text)s") % {"text": each.question or each.what}
    day = query.opened_at.astimezone(zone(query.patient.site))
    return Row(
        key=f"query:{query.pk}",
        glyph=GLYPHS[Section.QUERIES],
        glyph_word=_("Query"),
        name=subject_id,
        name_url=reverse("analytics:trend", args=[subject_id]),
        about=queue.subject_words(records[query.patient_id]),
        what=Truncator(what).chars(_QUESTION),
        note=f"{query_words.place(query)} · {opened}",
        url=url,
        action=_("Judge") if each.answer else _("Answer"),
        when=_since(day, now),
        record=records[query.patient_id],
        section=Section.QUERIES,
    )


def _since(day: datetime, now: datetime) -> str:
    local_now = now.astimezone(day.tzinfo)
    shown = f"{day:%m-%d}" if day.year == local_now.year else f"{day:%Y-%m-%d}"
    return _("since %(day)s") % {"day": shown}


# --- drafts ---------------------------------------------------------------------------------


def to_mend(fields: Mapping[str, list[str]], today: date) -> int:
    """Return how many typed values cannot be read as they stand.

    Examples
    --------
    >>> to_mend({"alt": ["44"], "tbil": ["17,1,2"], "note": ["x"]}, date(2026, 3, 19))
    1
    """
    wrong = 0
    for name, values in fields.items():
        text = next(iter(values), "").strip()
        if not text or not (name in protocol.ANALYTES or name == "visited_on"):
            continue
        try:
            if name == "visited_on":
                read_date(text, today=today)
            else:
                read_number(text)
        except Unreadable:
            wrong += 1
    return wrong


def _form_said(kind: str) -> str:
    """Say what a draft is of, where the head of its page names only the subject."""
    return {
        "visit": _("Unscheduled labs"),
        "screening": _("Screening"),
        "decision": _("Decision on the course"),
        "plan": _("Plan of an infusion"),
        "event": _("Adverse event"),
        "treatment": _("Treatment"),
        "outcome": _("Outcome"),
        "grade": _("Grade"),
        "details": _("Details"),
    }.get(kind, "")


def _subjects_of(user: User, own: Iterable[Draft]) -> dict[str, Patient]:
    """Return the visible subjects that drafts are about, by code; one query."""
    codes = {code for draft in own for code in draft.place.split(":")[1:2]}
    if not codes:
        return {}
    found = Patient.objects.visible_to(user).filter(subject_id__in=codes).select_related("site")
    return {patient.subject_id: patient for patient in found}


def _draft_note(draft: Draft, user: User, now: datetime) -> str:
    place = zone(user.site) if user.site else ZoneInfo(settings.TIME_ZONE)
    saved, here = draft.saved_at.astimezone(place), now.astimezone(place)
    shown = f"{saved:%H:%M}" if saved.date() == here.date() else f"{saved:%m-%d %H:%M}"
    said = _("draft saved %(moment)s") % {"moment": shown}
    if wrong := to_mend(draft.fields, here.date()):
        return ngettext("%(said)s, %(n)s to mend", "%(said)s, %(n)s to mend", wrong) % {
            "said": said,
            "n": wrong,
        }
    return said


def _draft_row(draft: Draft, records: Mapping[str, Record], user: User, now: datetime) -> Row:
    kind, _colon, rest = draft.place.partition(":")
    code, _colon, number = rest.partition(":")
    record = records.get(code)
    what = draft.title.split(" · Cordline")[0].strip() or draft.path
    if what in (code, draft.path):
        what = _form_said(kind) or what
    if kind == "visit" and number.isdigit():
        what = _("Visit week %(week)s") % {"week": number}
    elif kind == "infusion" and number.isdigit():
        what = _("Infusion %(number)s") % {"number": number}
    url = drafts.address(draft)
    return Row(
        key=draft.place,
        glyph=GLYPHS[Section.DRAFTS],
        glyph_word=_("Draft"),
        name=code if record else _("Draft"),
        name_url=reverse("analytics:trend", args=[code]) if record else url,
        about=queue.subject_words(record) if record else "",
        what=what,
        note=_draft_note(draft, user, now),
        url=url,
        action=_("Continue"),
        when="",
        record=record,
        section=Section.DRAFTS,
    )


# --- lots -----------------------------------------------------------------------------------


def _lot_row(lot: upstairs.LotNews, today: date) -> Row:
    url = reverse("infusions:lot", args=[lot.code])
    days = (lot.expires_on - today).days if lot.expires_on else 0
    when = _("today") if days == 0 else _("tomorrow") if days == 1 else _("in %(days)s d") % {"days": days}
    note = (
        ngettext("%(n)s planned infusion reserves it", "%(n)s planned infusions reserve it", lot.count)
        if lot.count
        else _("no planned infusion reserves it")
    )
    return Row(
        key=f"lot:{lot.code}",
        glyph=GLYPHS[Section.LOTS],
        glyph_word=_("Lot"),
        name=lot.code,
        name_url=url,
        about=_("lot"),
        what=_("Lot expires %(day)s") % {"day": lot.expires_on.isoformat() if lot.expires_on else ""},
        note=note % {"n": lot.count} if lot.count else note,
        url=url,
        action=_("Open"),
        when=when,
        due_on=lot.expires_on,
        due_note=_("expiry"),
        section=Section.LOTS,
    )
