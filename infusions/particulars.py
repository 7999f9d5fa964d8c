"""What a person records about one infusion, and what the rules say to it.

Form, action and the live check of the page ask the same two functions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from django.utils.translation import gettext as _

from infusions import dosing, weights
from infusions.dosing import Breach, Given, GroupChange
from infusions.models import CellLot, Infusion, PlannedInfusion
from infusions.vitals import Vitals, doubts
from patients import edit_checks
from patients.edit_checks import Life
from patients.models import Patient
from trial import protocol
from trial.clock import moment_at, zone

LONGEST_OBSERVATION_DAYS = 14
"""Days that a subject may be observed after an infusion; our assumption, the paper observed one day."""


@dataclass(frozen=True, slots=True)
class NewLot:
    """A lot that is registered together with its first infusion."""

    code: str
    expires_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Particulars:
    """Everything about one infusion that a person records."""

    given_on: date
    weight_kg: Decimal | None = None
    cells: Decimal | None = None
    volume_ml: Decimal | None = None
    lot: CellLot | NewLot | None = None
    started_at: time | None = None
    stopped_at: time | None = None
    deviation: str = ""
    deviation_note: str = ""
    reaction: str = ""
    reaction_grade: int | None = None
    vein: str = ""
    bag: str = ""
    checked_by: str = ""
    interruption: str = ""
    observed_until: datetime | None = None

    @classmethod
    def of(cls, infusion: Infusion) -> Particulars:
        """Return an infusion's particulars as they are stored."""
        return cls(**{name: getattr(infusion, name) for name in cls.__slots__})


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known of the subject when an infusion is recorded: the day, and the other valid infusions."""

    patient: Patient
    number: int
    life: Life
    others: Sequence[Infusion]
    ended_on: date | None = None
    decision: str = ""
    plan: PlannedInfusion | None = None

    @property
    def today(self) -> date:
        return self.life.today

    @property
    def others_given(self) -> list[Given]:
        return [facts(other) for other in self.others]


def facts(infusion: Infusion) -> Given:
    """Return what the rules look at."""
    return Given(infusion.number, infusion.given_on, infusion.weight_kg, infusion.cells)


def breaches(
    particulars: Particulars, around: Circumstances, *, is_stored: bool = False
) -> tuple[Breach, ...]:
    """Return the rules of the protocol that an infusion breaks.

    The state of a lot moves on after the infusion: of a stored one it is only
    held against it where somebody coded a deviation then.
    """
    lot = particulars.lot
    release = "quarantine" if isinstance(lot, NewLot) else lot.release if lot is not None else "released"
    if is_stored and not particulars.deviation:
        release = "released"
    return dosing.breaches(
        Given(around.number, particulars.given_on, particulars.weight_kg, particulars.cells),
        others=around.others_given,
        recruited_on=around.patient.recruited_on,
        enrolled=around.patient.status == Patient.Status.ENROLLED,
        lot_known=lot is not None,
        lot_expires_on=lot.expires_on if lot is not None else None,
        lot_release=release,
        ended_on=around.ended_on,
        decision=around.decision,
    )


def refusals(particulars: Particulars, around: Circumstances, *, is_stored: bool = False) -> dict[str, str]:
    """Return what cannot be stored, by field: the impossible, and a deviation that is not said."""
    if wrong_number := _number_refusal(around):
        return {"number": wrong_number}
    errors = _time_refusals(particulars, around)
    if impossible := edit_checks.day_breach(particulars.given_on, around.life):
        errors["given_on"] = f"{impossible.sentence.said(_)} {impossible.remedy.said(_)}"
    deviation, note = particulars.deviation, particulars.deviation_note.strip()
    if deviation not in ("", *dosing.DEVIATION_AT):
        errors["deviation"] = _("Deviation %(code)s is not in the list. Pick one of the list.") % {
            "code": deviation
        }
    elif not deviation and (found := breaches(particulars, around, is_stored=is_stored)):
        sentences = " ".join(breach.sentence.said(_) for breach in found)
        errors["deviation"] = _("%(sentences)s Say why: pick a deviation from the list.") % {
            "sentences": sentences
        }
    elif not deviation and note:
        errors["deviation_note"] = _("A note belongs to a deviation. Pick one, or empty the note.")
    elif deviation == dosing.DEVIATION_THAT_NEEDS_A_NOTE and not note:
        errors["deviation_note"] = _("This deviation needs a note that says what it was.")
    return errors


def _time_refusals(particulars: Particulars, around: Circumstances) -> dict[str, str]:
    errors: dict[str, str] = {}
    started, stopped = particulars.started_at, particulars.stopped_at
    if started and stopped and not dosing.is_duration_possible(started, stopped):
        errors["stopped_at"] = _(
            "Stopped at %(stopped)s, before or when it started at %(started)s. Check both times; "
            "only one that started from %(late)s on may stop after midnight, until %(early)s."
        ) % {
            "stopped": f"{stopped:%H:%M}",
            "started": f"{started:%H:%M}",
            "late": f"{dosing.LATE:%H:%M}",
            "early": f"{dosing.EARLY:%H:%M}",
        }
    until = particulars.observed_until
    if until is not None:
        begun = moment_at(around.patient.site, particulars.given_on, started or time(0))
        if not begun <= until <= begun + timedelta(days=LONGEST_OBSERVATION_DAYS):
            errors["observed_until"] = _(
                "Observed until %(until)s, but the infusion was on %(on)s. Give a time up to %(most)s days after it."
            ) % {
                "until": f"{until.astimezone(zone(around.patient.site)):%Y-%m-%d %H:%M}",
                "on": particulars.given_on.isoformat(),
                "most": LONGEST_OBSERVATION_DAYS,
            }
    if particulars.reaction_grade and not particulars.reaction.strip():
        errors["reaction"] = _("A grade belongs to a reaction. Say what it was, or empty the grade.")
    return errors


def _number_refusal(around: Circumstances) -> str:
    said = {"number": around.number, "subject": around.patient.subject_id, "most": protocol.MOST_INFUSIONS}
    if not 1 <= around.number <= protocol.MOST_INFUSIONS:
        return _("Infusion %(number)s of %(subject)s: the protocol has infusions 1 to %(most)s.") % said
    taken = next((other for other in around.others if other.number == around.number), None)
    if taken is None:
        return ""
    sentence = _(
        "Infusion %(number)s of %(subject)s is recorded already, given on %(on)s. "
        "Correct it, or record the next number."
    )
    return sentence % {**said, "on": taken.given_on.isoformat()}


# --- the live check -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the page says about an infusion while it is typed."""

    target: str = ""
    off_target: Decimal | None = None
    within_tolerance: bool = True
    weight_doubt: str = ""
    timing: str = ""
    breaches: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    is_explained: bool = False
    is_undecided: bool = False

    @property
    def needs_deviation(self) -> bool:
        return bool(self.breaches)


def assess(
    particulars: Particulars,
    around: Circumstances,
    *,
    is_typing: bool = False,
    is_stored: bool = False,
    vitals: Mapping[str, Vitals] | None = None,
) -> Assessment:
    """Say what an infusion amounts to: dose against target, timing, broken rules.

    While somebody is still typing, a field that is empty is not yet a breach.
    """
    weight, cells = particulars.weight_kg, particulars.cells
    both = weight is not None and cells is not None
    found = breaches(particulars, around, is_stored=is_stored)
    asked = weights.doubt(Given(around.number, particulars.given_on, weight), around.others_given)
    return Assessment(
        target=dosing.millions(dosing.target_cells(weight)) if weight is not None else "",
        off_target=dosing.percent_off_target(cells, weight) if both else None,  # type: ignore[arg-type]
        within_tolerance=not both or dosing.is_within_tolerance(cells, weight),  # type: ignore[arg-type]
        weight_doubt=asked.said(_) if asked else "",
        timing=_timing(particulars.given_on, around),
        breaches=tuple(
            breach.sentence.said(_)
            for breach in found
            if not (is_typing and breach.rule is dosing.Rule.UNDOCUMENTED)
        ),
        doubts=tuple(each.said(_) for each in doubts(vitals or {})),
        is_explained=bool(particulars.deviation),
        is_undecided=any(breach.rule is dosing.Rule.UNDECIDED for breach in found),
    )


def group_change(around: Circumstances, *, is_new: bool) -> GroupChange:
    """Return what one more infusion does to the group; nothing when it is counted already."""
    before = len(around.others) + (not is_new)
    return dosing.group_change(
        around.patient.diagnosis, given_before=before, given_after=len(around.others) + 1
    )


def consequence(change: GroupChange) -> str:
    """Say what recording this infusion does."""
    if change.happens:
        return _("The fifth infusion given: group %(before)s becomes %(after)s.") % {
            "before": change.group_before,
            "after": change.group_after,
        }
    if change.group_before is None:
        return _(
            "The first infusion given: the subject enters group %(after)s, and visit weeks count from this day."
        ) % {"after": change.group_after}
    return _("%(count)s infusions will have been given; the group stays %(group)s.") % {
        "count": change.given_after,
        "group": change.group_after,
    }


def _timing(given_on: date, around: Circumstances) -> str:
    if around.patient.recruited_on is None:
        return ""
    due_on = protocol.infusion_due(around.number, around.patient.recruited_on)
    opens_on, closes_on = protocol.INFUSION_WINDOW.around(due_on)
    said = {"due": due_on.isoformat()}
    if given_on > closes_on:
        return _("Due on %(due)s; the window closed %(days)s d before.") % {
            **said,
            "days": (given_on - closes_on).days,
        }
    if given_on < opens_on:
        return _("Due on %(due)s; the window opens %(days)s d later.") % {
            **said,
            "days": (opens_on - given_on).days,
        }
    return _("Due on %(due)s; within the window.") % said
