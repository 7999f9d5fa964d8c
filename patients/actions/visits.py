"""Saving the laboratory panel of one visit: merge what does not collide, refuse what cannot be."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime

from django.utils import timezone

from patients import draws, edit_checks, selectors
from patients.actions import panel_merge, queries
from patients.actions.panel_merge import DAY
from patients.actions.rules import clean_text, demand_reason, refuse_unseen, refuse_voided
from patients.entries import LabEntry
from patients.models import DataQuery, Laboratory, LabResult, Patient, Visit
from trial import audit, protocol, vocabulary
from trial.models import User
from trial.refusals import Clash, Conflict, Problem, Refused, refuse
from trial.sentences import Sentence
from trial.typed import MOST_CHARACTERS


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


SOURCE = "visit entry"
_WRITTEN_FIELDS = [
    "value",
    "comparator",
    "typed_text",
    "typed_unit",
    "missing_reason",
    "sampled_at",
    "laboratory",
    "version",
]
_OTHER = "other"


@dataclass(slots=True)
class WrittenLabs(audit.Written):
    """What a save of a panel wrote: the visit, and how many results were new or changed."""

    visit: Visit | None = None
    entered: int = 0
    changed: int = 0


def record_labs(
    *,
    entries: Sequence[LabEntry],
    by: User,
    visit: Visit | None = None,
    patient: Patient | None = None,
    week: int | None = None,
    visited_on: date | None = None,
    sampled_at: datetime | None = None,
    laboratory: Laboratory | None = None,
    findings: Mapping[str, str] | None = None,
    reason: str = "",
    version: int | None = None,
    decided: Mapping[str, int] | None = None,
    kept: Collection[str] | None = (),
    source: str = SOURCE,
) -> WrittenLabs:
    """Save the panel of one visit; entries equal to the stored ones leave no trace.

    Parameters
    ----------
    entries
        What was handed in; an analyte without an entry stays as it is.
    visit
        The visit, or ``patient`` with ``week`` (a visit of the protocol) or
        ``visited_on`` alone (an unscheduled draw): it is made when it is new.
    visited_on, sampled_at, laboratory
        The day of the visit, the moment of the draw and who measured; None leaves them.
    findings
        Codes of :data:`trial.vocabulary.FINDINGS` by field, empty for "not recorded"; a
        field that is not named stays as it is.
    reason
        Why stored values change; not needed for new ones.
    version
        The version of the visit the person had on screen, 0 for a new one. When
        somebody saved it since, fields that do not collide are merged.
    decided
        Fields that did collide and that the person keeps as theirs, with the
        version of the visit they saw when they decided.
    kept
        Fields whose soft check the person saw and whose value they keep: each
        opens a query. None for all that fire. A query whose check no longer
        fires closes in any case.

    Returns
    -------
    WrittenLabs
        ``number`` is None when nothing was new.

    Raises
    ------
    Refused
        With every problem; nothing is saved.
    Conflict
        With every field that somebody else changed meanwhile to another value.
    """
    patient = visit.patient if visit is not None else patient
    if patient is None:
        raise TypeError("record_labs needs a visit or a patient")
    with audit.revision(by=by, reason=reason, source=source) as written:
        patient = selectors.locked(patient)
        visit = _find(patient, visit, week, visited_on)
        stored = {r.analyte: r for r in visit.lab_results.all()} if visit.pk else {}
        _refuse(patient, visit, entries, week, visited_on, laboratory, findings or {})
        changes = panel_merge.changes(
            visit,
            stored,
            entries,
            visited_on=visited_on,
            sampled_at=sampled_at,
            laboratory=laboratory,
            findings=findings or {},
            version=version,
            decided=decided or {},
        )
        if not changes or (visit._state.adding and not changes.took_place):
            return WrittenLabs()
        if changes.corrects:
            demand_reason(reason)
        _write_visit(visit, changes, by, reason)
        _write_results(visit, stored, changes, by, reason)
        follow_checks(patient=patient, visit=visit, by=by, kept=kept)
    return WrittenLabs(written.id, visit, len(changes.new), len(changes.changed))


def mark_not_done(
    *,
    by: User,
    patient: Patient,
    week: int,
    why: str,
    note: str = "",
    reason: str = "",
    version: int | None = None,
) -> Visit:
    """Say that a visit of the protocol did not take place, and why.

    Entering its results later takes it back. ``reason`` is why what was said
    before changes; not needed the first time.

    Raises
    ------
    Refused
        When the visit has results, or the cause is not of the list.
    Conflict
        When somebody saved the visit after ``version``.
    """
    note = clean_text("note", note).strip()
    problems = []
    if why not in vocabulary.codes(vocabulary.NOT_DONE_REASONS):
        problems.append(
            Problem(
                "why",
                why,
                "unknown_cause",
                Sentence(_("No cause is chosen.")),
                Sentence(_("Choose why the visit did not take place.")),
            )
        )
    if why == _OTHER and not note:
        problems.append(
            Problem(
                "note",
                "",
                "note_needed",
                Sentence(_("The cause “other” needs a note that says what it was.")),
                Sentence(_("Write it in a few words.")),
            )
        )
    if week not in protocol.VISIT_AT:
        problems.append(_unknown_week(week))
    if problems:
        raise Refused(problems)
    with audit.revision(by=by, reason=reason, source=SOURCE):
        patient = selectors.locked(patient)
        visit = _find(patient, None, week, None)
        if visit.pk and visit.lab_results.exists():
            raise refuse(
                "",
                "",
                "has_results",
                Sentence(_("This visit has results, so it did take place.")),
                Sentence(_("Void the visit first when they belong to somebody else.")),
            )
        if (visit.not_done, visit.note) == (why, note):
            return visit
        if visit.pk and version is not None and version < visit.version:
            raise Conflict([Clash("why", why, visit.not_done, "")], visit.version)
        is_new, was = visit._state.adding, visit.not_done
        visit.not_done, visit.note = why, note
        if is_new:
            visit.save(force_insert=True)
            return visit
        if was:
            demand_reason(reason)
        visit.version += 1
        with _adding(by, reason, "visit not done"):
            visit.save(update_fields=["not_done", "note", "version"])
    return visit


def void_visit(*, visit: Visit, by: User, reason: str, version: int | None = None) -> Visit:
    """Strike a visit and what was measured at it; it stays in the history."""
    demand_reason(reason)
    with audit.revision(by=by, reason=reason, source=SOURCE):
        selectors.locked(visit.patient)
        stored = Visit.objects.get(pk=visit.pk)
        refuse_voided(stored.voided_at is not None)
        refuse_unseen(stored.version, version)
        stored.voided_at = timezone.now()
        stored.version += 1
        stored.save(update_fields=["voided_at", "version"])
        queries.close_queries_of_voided(
            patient=stored.patient, about=queries.About(topic="visit", visit=stored), by=by
        )
    return stored


# --- the steps ------------------------------------------------------------------------------


def _find(patient: Patient, visit: Visit | None, week: int | None, visited_on: date | None) -> Visit:
    """Return the stored visit, or a new one that is not saved yet."""
    if visit is not None:
        found = Visit.objects.get(pk=visit.pk)
    else:
        day = {} if week is not None else {"visited_on": visited_on}
        found = Visit.objects.valid().filter(patient=patient, week=week, **day).first() or Visit(
            week=week, visited_on=visited_on
        )
    found.patient = patient
    return found


def _adding(by: User, reason: str, what: str) -> AbstractContextManager[audit.Written]:
    """Say what is added where a stored row changes and nobody had to give a reason."""
    return audit.revision(by=by, reason="" if reason.strip() else what)


def _write_visit(visit: Visit, changes: panel_merge.Changes, by: User, reason: str) -> None:
    for field, code in changes.findings.items():
        setattr(visit, field, code)
    if visit._state.adding:
        visit.save(force_insert=True)
        return
    visit.version += 1
    visit.visited_on = changes.day or visit.visited_on
    if changes.took_place:
        visit.not_done = ""
    with _adding(by, reason, "results added"):
        visit.save(update_fields=["version", "visited_on", "not_done", *changes.findings])


def _write_results(
    visit: Visit, stored: Mapping[str, LabResult], changes: panel_merge.Changes, by: User, reason: str
) -> None:
    draw = panel_merge.draw_of(stored.values())
    at = changes.moment or draw.sampled_at
    measured_by = changes.laboratory.pk if changes.laboratory else draw.laboratory_id

    def filled(row: LabResult, entry: LabEntry | None) -> LabResult:
        row.sampled_at, row.laboratory_id, row.version = at, measured_by, visit.version
        return row if entry is None else _filled(row, entry)

    LabResult.objects.bulk_create(
        filled(LabResult(patient=visit.patient, visit=visit, analyte=e.analyte), e) for e in changes.new
    )
    rows = {row.analyte: filled(row, None) for row in changes.redrawn}
    rows |= {entry.analyte: filled(stored[entry.analyte], entry) for entry in changes.changed}
    with _adding(by, reason, "draw completed"):
        LabResult.objects.bulk_update(rows.values(), _WRITTEN_FIELDS)


def follow_checks(
    *, patient: Patient, by: User, visit: Visit | None = None, kept: Collection[str] | None = ()
) -> None:
    """Open queries for what is kept in doubt; close those of this subject whose check no longer fires.

    In the caller's revision. ``visit`` is the one that was saved, ``kept`` its
    fields whose value somebody keeps all the same; None for all.
    """
    waiting = (
        DataQuery.objects.filter(patient=patient, topic="visit", visit__voided_at__isnull=True)
        .exclude(check_code="")
        .exclude(state="closed")
    )
    asked = set(waiting.values_list("visit_id", flat=True))
    if visit is not None and (kept is None or kept):
        asked.add(visit.pk)
    for other in Visit.objects.filter(pk__in=asked).select_related("patient__site").order_by("pk"):
        queries.sync_check_queries(
            patient=patient,
            visit=other,
            doubts=draws.standing_doubts(other),
            by=by,
            confirmed=kept if visit is not None and other.pk == visit.pk else (),
        )


def _refuse(
    patient: Patient,
    visit: Visit,
    entries: Sequence[LabEntry],
    week: int | None,
    visited_on: date | None,
    laboratory: Laboratory | None,
    findings: Mapping[str, str],
) -> None:
    problems = _entry_problems(entries) + _finding_problems(findings)
    if visit.voided_at is not None:
        problems.append(
            Problem(
                "", "", "voided", Sentence(_("This visit was voided.")), Sentence(_("Open the visit again."))
            )
        )
    if week is not None and week not in protocol.VISIT_AT:
        problems.append(_unknown_week(week))
    if laboratory is not None and laboratory.site_id not in (None, patient.site_id):
        problems.append(
            Problem(
                panel_merge.LABORATORY,
                laboratory.code,
                "laboratory_elsewhere",
                Sentence(_("%(name)s does not serve this site."), {"name": laboratory.name}),
                Sentence(_("Choose a laboratory of the list.")),
            )
        )
    if visit.week is None and visit.visited_on is None:
        problems.append(
            Problem(
                DAY,
                "",
                "no_date",
                Sentence(_("An unscheduled draw has no date.")),
                Sentence(_("Give the day of the draw.")),
            )
        )
    if visited_on is not None:
        if breach := edit_checks.day_breach(visited_on, selectors.life(patient, but_for_deaths=True)):
            problems.append(Problem(DAY, visited_on.isoformat(), breach.rule, breach.sentence, breach.remedy))
        elif visit.pk and visit.week is None and visited_on != visit.visited_on:
            problems += _day_taken(visit, visited_on)
    if problems:
        raise Refused(problems)


def _entry_problems(entries: Sequence[LabEntry]) -> list[Problem]:
    problems: list[Problem] = []
    analytes = [entry.analyte for entry in entries]
    for entry in entries:
        breach = edit_checks.breach(entry)
        if breach is None and analytes.count(entry.analyte) > 1:
            breach = edit_checks.Breach(
                "twice", Sentence(_("The analyte is given twice.")), Sentence(_("Keep one."))
            )
        if breach is None and len(entry.typed_text) > MOST_CHARACTERS:
            breach = edit_checks.Breach(
                "too_long",
                Sentence(_("The text is longer than %(most)s characters."), {"most": MOST_CHARACTERS}),
                Sentence(_("Shorten it.")),
            )
        if breach is not None:
            given = entry.typed_text or ("" if entry.value is None else str(entry.value))
            problems.append(Problem(entry.analyte, given, breach.rule, breach.sentence, breach.remedy))
    return problems


def _finding_problems(findings: Mapping[str, str]) -> list[Problem]:
    return [
        Problem(
            field,
            code,
            "unknown_finding",
            Sentence(_("This grade is not of the list.")),
            Sentence(_("Choose one of the list, or leave it empty.")),
        )
        for field, code in findings.items()
        if code and code not in vocabulary.codes(vocabulary.FINDINGS.get(field, ()))
    ]


def _unknown_week(week: int) -> Problem:
    return Problem(
        "week",
        str(week),
        "unknown_week",
        Sentence(_("The protocol has no visit at week %(week)s."), {"week": week}),
        Sentence(_("Its weeks are %(weeks)s."), {"weeks": ", ".join(map(str, protocol.WEEKS))}),
    )


def _day_taken(visit: Visit, day: date) -> list[Problem]:
    others = Visit.objects.valid().filter(patient_id=visit.patient_id, week=None, visited_on=day)
    if not others.exclude(pk=visit.pk).exists():
        return []
    return [
        Problem(
            DAY,
            day.isoformat(),
            "day_taken",
            Sentence(_("There is another unscheduled draw on %(day)s."), {"day": day.isoformat()}),
            Sentence(_("Open that one, or correct the date.")),
        )
    ]


def _filled(row: LabResult, entry: LabEntry) -> LabResult:
    has_value = entry.value is not None
    row.value = entry.standard_value
    row.comparator = entry.comparator if has_value else ""
    row.typed_text = (entry.typed_text or str(entry.value)) if has_value else ""
    row.typed_unit = entry.unit if has_value else ""
    row.missing_reason = "" if has_value else entry.missing_reason
    return row
