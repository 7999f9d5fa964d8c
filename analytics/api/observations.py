"""Laboratory values that programs send: read as a form reads them, saved by the action of the ward.

All or nothing: one request is one transaction and at most one revision. A hard
check, a lock or a value that differs from the stored one lets nothing of it in.
A soft check stores the value and opens a data query, as an import does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from django.utils.translation import gettext

from analytics.api.problems import Standing
from patients import draws, reported, selectors
from patients.actions import panel_merge, record_labs
from patients.entries import LabEntry
from patients.models import DataQuery, Laboratory, LabResult, Patient, Visit
from patients.reported import Reported
from trial import clock, protocol, typed
from trial.models import User
from trial.refusals import Clash, Problem, Refused
from trial.sentences import Sentence
from trial.typed import Unreadable


def _(message: str) -> str:
    """Mark a sentence for translation; it is translated when it is said."""
    return message


LONGEST_NOTE = 300
LONGEST_SPECIMEN = 64
MOST_SPECIMENS = 50
_REASONS: Mapping[str, str] = {reason.code: reason.label for reason in protocol.CHANGE_REASONS}
_OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One value as it was sent, with where in the request each of its parts stands."""

    subject: str
    reported: Reported
    week: str = ""
    date: str = ""
    laboratory: str = ""
    specimen: str = ""
    overwrite: bool = False
    reason: str = ""
    note: str = ""
    place: Callable[[str], str]


@dataclass(slots=True)
class Recorded:
    """What became of one value: ``state`` is entered, changed or same."""

    said: Said
    result: LabResult
    visit: Visit
    state: str
    queries: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Read:
    """One value, read."""

    said: Said
    patient: Patient
    entry: LabEntry
    week: int | None
    day: date | None
    moment: datetime | None
    laboratory: Laboratory | None


@dataclass(slots=True)
class _Draw:
    """The values of one request that belong to one visit."""

    patient: Patient
    week: int | None
    day: date | None
    values: list[_Read] = field(default_factory=list)
    visit: Visit | None = None
    before: dict[str, LabResult] = field(default_factory=dict)


Check = Callable[[Visit | None], None]


def record(sent: Sequence[Said], *, by: User, check: Check = lambda visit: None) -> list[Recorded]:
    """Save values, in the caller's revision.

    Parameters
    ----------
    sent
        As they came.
    by
        Whose token it is.
    check
        Called with each visit as it is stored, or None, once its subject is locked.

    Raises
    ------
    Refused
        With every problem of every value.
    Standing
        With every stored value that differs from what was sent without saying that it replaces it.
    """
    read, problems = _read_all(sent, by)
    if problems:
        raise Refused(problems)
    drawn = _draws_of(read)
    clashes: list[tuple[str, Clash]] = []
    # subjects are locked in one order, so that two requests never wait for each other
    for draw in drawn:
        draw.patient = selectors.locked(draw.patient)
        found = _find(draw, problems)
        check(draw.visit)
        if found:
            clashes += _clashes(draw)
    if problems:
        raise Refused(problems)
    if clashes:
        raise Standing(clashes)
    for draw in drawn:
        problems += _save(draw, by)
    if problems:
        raise Refused(problems)
    recorded = {id(one.said): one for draw in drawn for one in _recorded(draw)}
    return [recorded[id(said)] for said in sent]


def specimens_said(sent: Iterable[Said]) -> str:
    """Return what the trail says of the specimens; they are not study data of their own."""
    names = sorted({said.specimen for said in sent if said.specimen})
    return f"specimen {', '.join(names)}" if names else ""


# --- reading --------------------------------------------------------------------------------


def _problem(said: Said, part: str, value: str, rule: str, sentence: Sentence, remedy: Sentence) -> Problem:
    return Problem(said.place(part), value, rule, sentence, remedy)


def _read_all(sent: Sequence[Said], by: User) -> tuple[list[_Read], list[Problem]]:
    patients = {
        patient.subject_id: patient
        for patient in selectors.patients(by).filter(subject_id__in={said.subject for said in sent})
    }
    laboratories = {
        laboratory.code: laboratory
        for laboratory in Laboratory.objects.visible_to(by)
        .filter(is_active=True, code__in={said.laboratory for said in sent if said.laboratory})
        .prefetch_related("units")
    }
    read: list[_Read] = []
    problems: list[Problem] = []
    specimens = {said.specimen for said in sent if said.specimen}
    for said in sent:
        patient = patients.get(said.subject)
        own = [*_details_problems(said, specimens)]
        if patient is None:
            own.append(_unknown_subject(said, by))
        laboratory = laboratories.get(said.laboratory) if said.laboratory else None
        if said.laboratory and laboratory is None:
            own.append(_unknown_laboratory(said))
        entry = reported.read(said.reported, usual_units=draws.units_of(laboratory))
        if isinstance(entry, reported.Wrong):
            own.append(_problem(said, entry.part, entry.value, entry.rule, entry.sentence, entry.remedy))
        when = _when(said, patient, own)
        problems += own
        if patient is not None and isinstance(entry, LabEntry) and not own:
            read.append(_Read(said, patient, entry, *when, laboratory))
    return read, problems


def _when(
    said: Said, patient: Patient | None, problems: list[Problem]
) -> tuple[int | None, date | None, datetime | None]:
    week = None
    if said.week:
        known = {str(number): number for number in protocol.WEEKS}
        week = known.get(said.week)
        if week is None:
            problems.append(
                _problem(
                    said,
                    "week",
                    typed.printable(said.week),
                    "unknown_week",
                    Sentence(
                        _("The protocol has no visit at week %(week)s."), {"week": typed.printable(said.week)}
                    ),
                    Sentence(_("Its weeks are %(weeks)s."), {"weeks": ", ".join(known)}),
                )
            )
    elif not said.date:
        problems.append(
            _problem(
                said,
                "date",
                "",
                "no_date",
                Sentence(_("Neither a week nor a date is said.")),
                Sentence(_("Send the day of the draw, the week of the visit, or both.")),
            )
        )
    if not said.date or patient is None:
        return week, None, None
    try:
        day, moment = reported.read_when(
            said.date, zone=clock.zone(patient.site), today=clock.today_at(patient.site)
        )
    except Unreadable as error:
        problems.append(_problem(said, "date", error.value, error.rule, error.sentence, error.remedy))
        return week, None, None
    return week, day, moment


def _unknown_subject(said: Said, by: User) -> Problem:
    shown = typed.printable(said.subject)
    gone = Patient.objects.given_up(by).filter(subject_id=said.subject).select_related("merged_into").first()
    if gone is not None and gone.merged_into is not None:
        return _problem(
            said,
            "subject",
            shown,
            "merged",
            Sentence(
                _("%(old)s is %(new)s now."), {"old": gone.subject_id, "new": gone.merged_into.subject_id}
            ),
            Sentence(_("Use that code.")),
        )
    return _problem(
        said,
        "subject",
        shown,
        "unknown_subject",
        Sentence(_("There is no subject “%(value)s” here."), {"value": shown}),
        Sentence(_("Check the code against the request form.")),
    )


def _unknown_laboratory(said: Said) -> Problem:
    shown = typed.printable(said.laboratory)
    return _problem(
        said,
        "laboratory",
        shown,
        "unknown_laboratory",
        Sentence(_("There is no laboratory “%(value)s” in use here."), {"value": shown}),
        Sentence(_("Send the code that the study gave the laboratory.")),
    )


def _details_problems(said: Said, specimens: set[str]) -> Iterable[Problem]:
    for part, text, most in (
        ("note", said.note, LONGEST_NOTE),
        ("specimen", said.specimen, LONGEST_SPECIMEN),
    ):
        try:
            typed.read_text(text, most=most)
        except Unreadable as error:
            yield _problem(said, part, error.value, error.rule, error.sentence, error.remedy)
    if said.specimen and len(specimens) > MOST_SPECIMENS:
        yield _problem(
            said,
            "specimen",
            typed.printable(said.specimen),
            "too_many_specimens",
            Sentence(_("A request names at most %(most)s specimens."), {"most": MOST_SPECIMENS}),
            Sentence(_("Send the rest in another request.")),
        )
    if said.reason and said.reason not in _REASONS:
        shown = typed.printable(said.reason)
        yield _problem(
            said,
            "reason",
            shown,
            "unknown_reason",
            Sentence(_("“%(value)s” is not a coded reason for a change."), {"value": shown}),
            Sentence(_("Send one of: %(words)s."), {"words": ", ".join(_REASONS)}),
        )
    if said.overwrite and not said.reason:
        yield _problem(
            said,
            "reason",
            "",
            "reason_needed",
            Sentence(_("What is stored may change, and no reason is given.")),
            Sentence(_("Send one of: %(words)s."), {"words": ", ".join(_REASONS)}),
        )
    if said.reason == _OTHER and not said.note.strip():
        yield _problem(
            said,
            "note",
            "",
            "note_needed",
            Sentence(_("The reason “other” needs a note that says what it was.")),
            Sentence(_("Write it in a few words.")),
        )


def _draws_of(read: Iterable[_Read]) -> list[_Draw]:
    found: dict[tuple[Any, ...], _Draw] = {}
    for one in read:
        key = (one.patient.pk, one.week, None if one.week is not None else one.day)
        draw = found.setdefault(key, _Draw(one.patient, one.week, one.day))
        draw.values.append(one)
    return sorted(
        found.values(), key=lambda d: (d.patient.pk, d.week if d.week is not None else -1, str(d.day))
    )


# --- against what is stored -----------------------------------------------------------------


def _find(draw: _Draw, problems: list[Problem]) -> bool:
    """Find the visit of a draw; note what cannot be decided. A day alone is the visit of that day, if there is one."""
    first = draw.values[0].said
    for one in draw.values[1:]:
        for part, mine, others in (
            ("date", one.day, draw.day),
            ("date", one.moment, draw.values[0].moment),
            ("laboratory", one.laboratory and one.laboratory.pk, draw.values[0].laboratory and draw.values[0].laboratory.pk),
        ):  # fmt: skip
            if mine != others:
                problems.append(
                    _problem(
                        one.said,
                        part,
                        one.said.date if part == "date" else one.said.laboratory,
                        "two_draws",
                        Sentence(_("The values of one visit have one moment and one laboratory.")),
                        Sentence(_("Send the same for all of them, or another week.")),
                    )
                )
    seen: set[str] = set()
    for one in draw.values:
        if one.entry.analyte in seen:
            problems.append(
                _problem(
                    one.said,
                    "analyte",
                    one.entry.analyte,
                    "twice",
                    Sentence(_("The analyte is given twice.")),
                    Sentence(_("Keep one.")),
                )
            )
        seen.add(one.entry.analyte)
    valid = Visit.objects.valid().filter(patient=draw.patient)
    valid = valid.filter(visited_on=draw.day) if draw.week is None else valid.filter(week=draw.week)
    found = list(valid.order_by("id")[:2])
    if len(found) > 1:
        problems.append(
            _problem(
                first,
                "date",
                str(draw.day),
                "two_visits",
                Sentence(_("There are two visits on %(day)s."), {"day": str(draw.day)}),
                Sentence(_("Say the week.")),
            )
        )
        return False
    if found:
        draw.visit = found[0]
        draw.visit.patient = draw.patient
        draw.before = selectors.results_of(draw.visit)
    return draw.visit is not None


def _clashes(draw: _Draw) -> list[tuple[str, Clash]]:
    """Return what is stored and differs, where the sender did not say that it is to be replaced."""
    visit, found = draw.visit, []
    if visit is None:
        return []
    shared = panel_merge.draw_of(draw.before.values())
    first = draw.values[0]
    if not any(one.said.overwrite for one in draw.values):
        if draw.day and visit.visited_on and draw.day != visit.visited_on:
            found.append(
                (
                    first.said.place("date"),
                    Clash("date", draw.day.isoformat(), visit.visited_on.isoformat(), ""),
                )
            )
        elif first.moment and shared.sampled_at and first.moment != shared.sampled_at:
            zone = clock.zone(draw.patient.site)
            theirs = shared.sampled_at.astimezone(zone).isoformat()
            found.append((first.said.place("date"), Clash("date", first.moment.isoformat(), theirs, "")))
        if first.laboratory and shared.laboratory_id and first.laboratory.pk != shared.laboratory_id:
            theirs = Laboratory.objects.get(pk=shared.laboratory_id).code
            found.append(
                (first.said.place("laboratory"), Clash("laboratory", first.laboratory.code, theirs, ""))
            )
        if visit.not_done:
            found.append((first.said.place("week"), Clash("week", str(visit.week), visit.not_done, "")))
    for one in draw.values:
        row = draw.before.get(one.entry.analyte)
        if row is None or panel_merge.same(row, one.entry) or one.said.overwrite:
            continue
        mine, theirs = panel_merge.shown(one.entry), panel_merge.shown(row)
        found.append((one.said.place("value"), Clash(one.entry.analyte, mine, theirs, "")))
    return found


# --- saving ---------------------------------------------------------------------------------


def _save(draw: _Draw, by: User) -> list[Problem]:
    first = draw.values[0]
    reasons = [
        ": ".join(part for part in (_REASONS[one.said.reason], one.said.note.strip()) if part)
        for one in draw.values
        if one.said.reason
    ]
    try:
        written = record_labs(
            entries=[one.entry for one in draw.values],
            by=by,
            visit=draw.visit,
            patient=draw.patient,
            week=draw.week,
            visited_on=draw.day,
            sampled_at=first.moment,
            laboratory=first.laboratory,
            reason="; ".join(dict.fromkeys(reasons)),
            kept=None,
            source="",
        )
    except Refused as refused:
        by_analyte = {one.entry.analyte: one.said for one in draw.values}
        parts = {panel_merge.DAY: "date", panel_merge.LABORATORY: "laboratory"}
        return [
            _problem(
                by_analyte.get(problem.field, first.said),
                "value"
                if problem.field in by_analyte
                else parts.get(problem.field, problem.field or "subject"),
                problem.value,
                problem.rule,
                problem.sentence,
                problem.remedy,
            )
            for problem in refused.problems
        ]
    draw.visit = written.visit or draw.visit
    return []


def _recorded(draw: _Draw) -> Iterable[Recorded]:
    visit = draw.visit
    assert visit is not None
    visit = Visit.objects.select_related("patient__site").get(pk=visit.pk)
    rows = {row.analyte: row for row in visit.lab_results.select_related("laboratory")}
    asked = _asked(visit)
    for one in draw.values:
        code = one.entry.analyte
        was = draw.before.get(code)
        state = "entered" if was is None else "same" if panel_merge.same(was, one.entry) else "changed"
        own = [query for query in asked if code in query["fields"] or "visited_on" in query["fields"]]
        yield Recorded(one.said, rows[code], visit, state, own)


def _asked(visit: Visit) -> list[dict[str, Any]]:
    """Return what soft checks ask about a visit as it stands, with the query that is open for it."""
    waiting: dict[tuple[str, str], int] = defaultdict(int)
    open_queries = DataQuery.objects.filter(visit=visit, topic="visit").exclude(state="closed")
    for number, name, rule in open_queries.values_list("pk", "field", "check_code"):
        waiting[name, rule] = number
    return [
        {
            "query": waiting.get((doubt.analyte, doubt.rule)),
            "rule": doubt.rule,
            "fields": list(doubt.fields),
            "message": doubt.sentence.said(gettext),
            "detail": doubt.detail.said(gettext),
        }
        for doubt in draws.standing_doubts(visit)
    ]
