"""What was given besides the cells: recorded, corrected, ended, struck."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, time

from django.utils import timezone

from patients import edit_checks, selectors
from patients.actions import rows
from patients.actions.rules import clean_text, demand_reason, end_problems, refuse_unseen, refuse_voided
from patients.models import Patient, Treatment
from trial import audit, clock, vocabulary
from trial.models import User
from trial.refusals import Problem, Refused
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


SOURCE = "treatment"
AGENT_LENGTH = DOSE_LENGTH = 80

AT_ONCE: frozenset[str] = frozenset({"plasma", "plasma_exchange", "dialysis", "transfusion"})
"""Treatments that take hours: without an end they took place when they began, and never go on."""


@dataclass(frozen=True, slots=True)
class TreatmentEntry:
    """A treatment as it is handed in; names are those of the row."""

    kind: str
    started_on: date
    started_at: time | None = None
    ended_on: date | None = None
    ended_at: time | None = None
    agent: str = ""
    dose: str = ""
    note: str = ""


def record_treatment(*, patient: Patient, entry: TreatmentEntry, by: User, reason: str = "") -> Treatment:
    """Record a treatment; one that goes on has no end.

    Raises
    ------
    Refused
        With every problem: an unknown treatment, a day or an hour that cannot be.
    """
    entry = _cleaned(entry)
    with audit.revision(by=by, reason=reason, source=SOURCE):
        patient = selectors.locked(patient)
        _refuse(patient, entry)
        treatment = Treatment(patient=patient, **asdict(entry))
        treatment.save(force_insert=True)
    return treatment


def correct_treatment(
    *, treatment: Treatment, entry: TreatmentEntry, by: User, reason: str = "", version: int | None = None
) -> Treatment:
    """Correct a treatment, or end one that went on; what only fills empty fields needs no reason.

    Raises
    ------
    Refused
        As :func:`record_treatment`, and when something stored changes without a reason.
    Conflict
        With every field that somebody else changed after ``version``.
    """
    entry = _cleaned(entry)
    with audit.revision(by=by, source=SOURCE):
        patient = selectors.locked(treatment.patient)
        stored: Treatment = Treatment.objects.get(pk=treatment.pk)
        refuse_voided(stored.voided_at is not None)
        changes = rows.merged(stored, asdict(entry), version=version, site=patient.site)
        _refuse(patient, replace(entry, **{n: changes.get(n, getattr(stored, n)) for n in asdict(entry)}))
        if changes:
            with audit.revision(by=by, reason=rows.reason_for(stored, changes, reason)):
                rows.write(stored, changes)
    return stored


def void_treatment(*, treatment: Treatment, by: User, reason: str, version: int | None = None) -> Treatment:
    """Strike a treatment that was not given; it stays in the history."""
    demand_reason(reason)
    with audit.revision(by=by, reason=reason, source=SOURCE):
        selectors.locked(treatment.patient)
        stored: Treatment = Treatment.objects.get(pk=treatment.pk)
        refuse_voided(stored.voided_at is not None)
        refuse_unseen(stored.version, version)
        rows.write(stored, {"voided_at": timezone.now()})
    return stored


def overlapping(
    entry: TreatmentEntry | Treatment, others: Iterable[Treatment], *, but: int | None = None
) -> list[Treatment]:
    """Return the treatments of the same kind and agent that run at the same time; ``but`` is left out.

    Days decide, and on a shared day the hours where both are known: two bags of
    plasma on one day are two bags.
    """
    return [
        other
        for other in others
        if other.pk != but
        and other.kind == entry.kind
        and other.agent.casefold() == entry.agent.casefold()
        and _meet(entry, other)
    ]


def _meet(one: TreatmentEntry | Treatment, other: TreatmentEntry | Treatment) -> bool:
    if one.kind in AT_ONCE and _is_point(one) and _is_point(other):
        return (one.started_on, one.started_at) == (other.started_on, other.started_at)
    (start, end), (other_start, other_end) = _span(one), _span(other)
    return start < other_end and other_start < end


def _is_point(one: TreatmentEntry | Treatment) -> bool:
    return one.ended_on in (None, one.started_on) and one.ended_at is None


def _span(one: TreatmentEntry | Treatment) -> tuple[datetime, datetime]:
    start = datetime.combine(one.started_on, one.started_at or time.min)
    if one.ended_on is None:
        last = one.started_on if one.kind in AT_ONCE else date.max
        end = datetime.combine(last, time.max)
    else:
        end = datetime.combine(one.ended_on, one.ended_at or time.max)
    return start, max(end, start)


# --- the rules ------------------------------------------------------------------------------


def _cleaned(entry: TreatmentEntry) -> TreatmentEntry:
    return replace(
        entry,
        agent=clean_text("agent", entry.agent, most=AGENT_LENGTH),
        dose=clean_text("dose", entry.dose, most=DOSE_LENGTH),
        note=clean_text("what", entry.note),
    )


def _refuse(patient: Patient, entry: TreatmentEntry) -> None:
    problems: list[Problem] = []
    if entry.kind not in vocabulary.codes(vocabulary.TREATMENTS):
        problems.append(
            Problem(
                "kind",
                entry.kind,
                "not_in_the_list",
                Sentence(_("The treatment is not in the list.")),
                Sentence(_("Choose one of the list; “other” takes any agent.")),
            )
        )
    if entry.kind == "other" and not entry.agent:
        problems.append(
            Problem(
                "agent",
                "",
                "no_agent",
                Sentence(_("Another treatment has no name.")),
                Sentence(_("Type the agent.")),
            )
        )
    life = selectors.life(patient)
    breach = edit_checks.day_breach(entry.started_on, life)
    if breach is not None:
        problems.append(
            Problem("started_on", entry.started_on.isoformat(), breach.rule, breach.sentence, breach.remedy)
        )
    if entry.ended_on is not None:
        problems += end_problems(entry.started_on, entry.ended_on, life)
    elif entry.ended_at is not None:
        problems.append(
            Problem(
                "ended_on",
                "",
                "hour_without_day",
                Sentence(_("The end has an hour and no day.")),
                Sentence(_("Give the day, or leave the hour empty.")),
            )
        )
    problems += _hour_problems(patient, entry)
    if problems:
        raise Refused(problems)


def _hour_problems(patient: Patient, entry: TreatmentEntry) -> list[Problem]:
    if (
        entry.ended_on == entry.started_on
        and entry.started_at is not None
        and entry.ended_at is not None
        and entry.ended_at < entry.started_at
    ):
        return [
            Problem(
                "ended_at",
                f"{entry.ended_at:%H:%M}",
                "ends_before_it_starts",
                Sentence(
                    _("It ends at %(end)s, before it starts at %(start)s."),
                    {"end": f"{entry.ended_at:%H:%M}", "start": f"{entry.started_at:%H:%M}"},
                ),
                Sentence(_("Check both hours, or give the next day as the end.")),
            )
        ]
    now = timezone.now()
    for field, day, hour in (
        ("started_at", entry.started_on, entry.started_at),
        ("ended_at", entry.ended_on, entry.ended_at),
    ):
        if (
            day == clock.today_at(patient.site)
            and hour is not None
            and clock.moment_at(patient.site, day, hour) > now
        ):
            return [
                Problem(
                    field,
                    f"{hour:%H:%M}",
                    "future",
                    Sentence(_("%(hour)s has not come yet today."), {"hour": f"{hour:%H:%M}"}),
                    Sentence(_("Check the hour.")),
                )
            ]
    return []
