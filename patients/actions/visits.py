"""Saving the laboratory panel of one visit: merge what does not collide, refuse what cannot be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.utils import timezone
from django.utils.translation import gettext

from patients import edit_checks, selectors
from patients.actions.rules import demand_reason, refuse_voided
from patients.entries import LabEntry
from patients.models import LabResult, Patient, Visit
from trial import audit, protocol, units
from trial.models import AuditEntry, User
from trial.refusals import Clash, Conflict, Problem, Refused
from trial.sentences import Sentence
from trial.typed import MOST_CHARACTERS


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


SOURCE = "visit entry"
DATE_FIELD = "visited_on"
_WRITTEN_FIELDS = [
    "value",
    "comparator",
    "typed_text",
    "typed_unit",
    "missing_reason",
    "sampled_at",
    "version",
]
_MISSING_LABELS = {reason.code: reason.label for reason in protocol.MISSING_REASONS}


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
    reason: str = "",
    version: int | None = None,
    decided: Mapping[str, int] | None = None,
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
    visited_on, sampled_at
        The day of the visit and the moment of the draw; None leaves them.
    reason
        Why stored values change; not needed for new ones.
    version
        The version of the visit the person had on screen, 0 for a new one. When
        somebody saved it since, fields that do not collide are merged.
    decided
        Fields that did collide and that the person keeps as theirs, with the
        version of the visit they saw when they decided.

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
        _refuse(patient, visit, entries, week, visited_on)
        changes = _changes(visit, stored, entries, visited_on, sampled_at, version, decided or {})
        if changes.corrects:
            demand_reason(reason)
        if visit._state.adding:
            if not changes.new:
                return WrittenLabs()
            visit.save(force_insert=True)
        elif changes:
            visit.version += 1
            visit.visited_on = changes.day or visit.visited_on
            with audit.revision(by=by, reason="" if reason.strip() else "results added"):
                visit.save(update_fields=["version", "visited_on"])
        drawn = sampled_at or next((r.sampled_at for r in stored.values() if r.sampled_at), None)
        LabResult.objects.bulk_create(
            _filled(LabResult(patient=patient, visit=visit, analyte=e.analyte), e, drawn, visit.version)
            for e in changes.new
        )
        rows = {r.analyte: _filled(r, None, drawn, visit.version) for r in changes.redrawn}
        rows |= {e.analyte: _filled(stored[e.analyte], e, drawn, visit.version) for e in changes.changed}
        with audit.revision(by=by, reason="" if reason.strip() else "time of draw added"):
            LabResult.objects.bulk_update(rows.values(), _WRITTEN_FIELDS)
    return WrittenLabs(written.id, visit, len(changes.new), len(changes.changed))


def void_visit(*, visit: Visit, by: User, reason: str) -> Visit:
    """Strike a visit and what was measured at it; it stays in the history."""
    demand_reason(reason)
    with audit.revision(by=by, reason=reason, source=SOURCE):
        selectors.locked(visit.patient)
        stored = Visit.objects.get(pk=visit.pk)
        refuse_voided(stored.voided_at is not None)
        stored.voided_at = timezone.now()
        stored.version += 1
        stored.save(update_fields=["voided_at", "version"])
    return stored


# --- the steps ------------------------------------------------------------------------------


def _find(patient: Patient, visit: Visit | None, week: int | None, visited_on: date | None) -> Visit:
    """Return the stored visit, or a new one that is not saved yet."""
    if visit is not None:
        return Visit.objects.get(pk=visit.pk)
    day = {} if week is not None else {"visited_on": visited_on}
    found = Visit.objects.valid().filter(patient=patient, week=week, **day).first()
    return found or Visit(patient=patient, week=week, visited_on=visited_on)


def _refuse(
    patient: Patient, visit: Visit, entries: Sequence[LabEntry], week: int | None, visited_on: date | None
) -> None:
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
    if visit.voided_at is not None:
        problems.append(
            Problem(
                "", "", "voided", Sentence(_("This visit was voided.")), Sentence(_("Open the visit again."))
            )
        )
    if week is not None and week not in protocol.VISIT_AT:
        problems.append(
            Problem(
                "week",
                str(week),
                "unknown_week",
                Sentence(_("The protocol has no visit at week %(week)s."), {"week": week}),
                Sentence(_("Its weeks are %(weeks)s."), {"weeks": ", ".join(map(str, protocol.WEEKS))}),
            )
        )
    if visit.week is None and visit.visited_on is None:
        problems.append(
            Problem(
                DATE_FIELD,
                "",
                "no_date",
                Sentence(_("An unscheduled draw has no date.")),
                Sentence(_("Give the day of the draw.")),
            )
        )
    if visited_on is not None:
        if breach := edit_checks.day_breach(visited_on, selectors.life(patient)):
            problems.append(
                Problem(DATE_FIELD, visited_on.isoformat(), breach.rule, breach.sentence, breach.remedy)
            )
        elif visit.pk and visit.week is None and visited_on != visit.visited_on:
            problems += _day_taken(visit, visited_on)
    if problems:
        raise Refused(problems)


def _day_taken(visit: Visit, day: date) -> list[Problem]:
    others = Visit.objects.valid().filter(patient_id=visit.patient_id, week=None, visited_on=day)
    if not others.exclude(pk=visit.pk).exists():
        return []
    return [
        Problem(
            DATE_FIELD,
            day.isoformat(),
            "day_taken",
            Sentence(_("There is another unscheduled draw on %(day)s."), {"day": day.isoformat()}),
            Sentence(_("Open that one, or correct the date.")),
        )
    ]


def _same(stored: LabResult, entry: LabEntry) -> bool:
    if entry.value is None:
        return stored.value is None and stored.missing_reason == entry.missing_reason
    return (stored.value, stored.comparator, stored.typed_unit) == (
        entry.standard_value,
        entry.comparator,
        entry.unit,
    )


def _filled(row: LabResult, entry: LabEntry | None, sampled_at: datetime | None, version: int) -> LabResult:
    if entry is not None:
        has_value = entry.value is not None
        row.value = entry.standard_value
        row.comparator = entry.comparator if has_value else ""
        row.typed_text = (entry.typed_text or str(entry.value)) if has_value else ""
        row.typed_unit = entry.unit if has_value else ""
        row.missing_reason = "" if has_value else entry.missing_reason
    row.sampled_at = sampled_at
    row.version = version
    return row


# --- two people on one visit ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Before:
    """The visit as it stood at the version a person had on screen."""

    visited_on: date | None
    results: Mapping[str, LabResult]
    authors: Mapping[str, str]


def _as_of(visit: Visit, stored: Sequence[LabResult], version: int) -> _Before:
    """Read from the trail what the visit held at ``version``, and who wrote since."""
    day: date | None = None
    for image in (
        AuditEntry.objects.filter(table=Visit._meta.db_table, row=visit.pk)
        .order_by("id")
        .values_list("new", flat=True)
    ):
        if image and image["version"] <= version:
            day = date.fromisoformat(image["visited_on"]) if image["visited_on"] else None
    results: dict[str, LabResult] = {}
    authors: dict[str, str] = {}
    entries = AuditEntry.objects.filter(table=LabResult._meta.db_table, row__in=[r.pk for r in stored])
    for entry in entries.select_related("revision__actor").order_by("id"):
        image = entry.new or {}
        authors[image["analyte"]] = entry.revision.actor.shown_name
        if image["version"] <= version:
            results[image["analyte"]] = LabResult(
                analyte=image["analyte"],
                value=None if image["value"] is None else Decimal(str(image["value"])),
                comparator=image["comparator"],
                typed_text=image["typed_text"],
                typed_unit=image["typed_unit"],
                missing_reason=image["missing_reason"],
            )
    return _Before(day, results, authors)


@dataclass(frozen=True, slots=True)
class _Changes:
    """What a save would write; ``corrects`` when something stored becomes something else."""

    new: list[LabEntry]
    changed: list[LabEntry]
    redrawn: list[LabResult]
    day: date | None
    corrects: bool

    def __bool__(self) -> bool:
        return bool(self.new or self.changed or self.redrawn or self.day)


def _changes(
    visit: Visit,
    stored: Mapping[str, LabResult],
    entries: Sequence[LabEntry],
    visited_on: date | None,
    sampled_at: datetime | None,
    version: int | None,
    decided: Mapping[str, int],
) -> _Changes:
    """Work out what is new, leaving alone what only the other person changed; raise when fields collide."""
    seen = visit.version if version is None else version
    before = _as_of(visit, list(stored.values()), seen) if visit.pk and seen < visit.version else None
    clashes: list[Clash] = []
    day = visited_on if visit.pk and visited_on != visit.visited_on else None
    if day is not None and before is not None and visit.visited_on != before.visited_on:
        if day == before.visited_on:
            day = None
        else:
            clashes.append(
                Clash(DATE_FIELD, *(str(d or "") for d in (day, visit.visited_on, before.visited_on)))
            )
    fresh: list[LabEntry] = []
    for entry in entries:
        row = stored.get(entry.analyte)
        if row is not None and _same(row, entry):
            continue
        if before is None or row is None or row.version <= max(seen, decided.get(entry.analyte, -1)):
            fresh.append(entry)
            continue
        was = before.results.get(entry.analyte)
        if was is not None and _same(was, entry):
            continue  # the other person changed it, this one did not
        clashes.append(
            Clash(
                entry.analyte,
                mine=shown(entry),
                theirs=shown(row),
                before="" if was is None else shown(was),
                by=before.authors.get(entry.analyte, ""),
            )
        )
    if clashes:
        raise Conflict(clashes, visit.version)
    changed = [entry for entry in fresh if entry.analyte in stored]
    redrawn = [row for row in stored.values() if sampled_at is not None and row.sampled_at != sampled_at]
    return _Changes(
        new=[entry for entry in fresh if entry.analyte not in stored],
        changed=changed,
        redrawn=redrawn,
        day=day,
        corrects=bool(changed or (day and visit.visited_on) or any(row.sampled_at for row in redrawn)),
    )


def shown(result: LabEntry | LabResult) -> str:
    """Write a result as it was typed, with its unit, or say why there is none."""
    if result.missing_reason:
        return gettext(_MISSING_LABELS[result.missing_reason])
    unit = result.unit if isinstance(result, LabEntry) else result.typed_unit
    return f"{result.typed_text or result.value} {units.symbol(unit)}"
