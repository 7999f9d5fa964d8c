"""What one infusion should be, and where one that was given differs from it.

An infusion that was given is a fact and is always recordable. Where it lies
outside the protocol, :func:`breaches` says how, and the person who records it
says why with one of :data:`DEVIATIONS`. How it differs is derived from the
data each time it is shown; only the why is stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

from infusions.release import GIVABLE
from trial import protocol, vocabulary
from trial.protocol import Diagnosis
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


LATE, EARLY = time(18), time(6)
"""An infusion that starts from here on may stop after midnight, until there; our assumption."""

MILLION = Decimal(1_000_000)


# --- why an infusion differs ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Deviation:
    """A coded cause; our assumption, the paper lists none."""

    code: str
    label: str


DEVIATIONS: tuple[Deviation, ...] = (
    Deviation("cells_available", _("the lot held fewer or more cells than ordered")),
    Deviation("partly_given", _("stopped before the bag was empty")),
    Deviation("subject_unavailable", _("the subject could not come on the planned day")),
    Deviation("lot_unavailable", _("no other lot was at hand")),
    Deviation("clinical_decision", _("decided by the physician")),
    Deviation("not_documented", _("the ward's record does not say")),
    Deviation("other", _("other, said in the note")),
)
DEVIATION_AT: Mapping[str, Deviation] = MappingProxyType({d.code: d for d in DEVIATIONS})
DEVIATION_THAT_NEEDS_A_NOTE = "other"


# --- how it differs -------------------------------------------------------------------------


class Rule(StrEnum):
    """A rule of the protocol that an infusion may break."""

    DOSE_BELOW = "dose_below"
    DOSE_ABOVE = "dose_above"
    GAP_SHORT = "gap_short"
    OUT_OF_ORDER = "out_of_order"
    LOT_EXPIRED = "lot_expired"
    LOT_NOT_RELEASED = "lot_not_released"
    UNDECIDED = "undecided"
    AFTER_STOP = "after_stop"
    BEFORE_RECRUITMENT = "before_recruitment"
    NOT_ENROLLED = "not_enrolled"
    AFTER_END = "after_end"
    COUNT_LONG_TIME_SHORT = "count_long_time_short"
    COUNT_SHORT_TIME_LONG = "count_short_time_long"
    UNDOCUMENTED = "undocumented"


@dataclass(frozen=True, slots=True)
class Breach:
    """One broken rule and the sentence that says how."""

    rule: Rule
    sentence: Sentence


@dataclass(frozen=True, slots=True)
class Given:
    """The facts of one infusion that the rules look at."""

    number: int
    given_on: date
    weight_kg: Decimal | None = None
    cells: Decimal | None = None


def target_cells(weight_kg: Decimal) -> Decimal:
    """Return the number of cells one infusion should hold.

    Parameters
    ----------
    weight_kg
        Body weight in kg.

    Returns
    -------
    Decimal
        Whole cells: weight x 1.0e6.

    Examples
    --------
    >>> target_cells(Decimal("64.5"))
    Decimal('64500000')
    """
    return protocol.DOSE.target(weight_kg).quantize(Decimal(1))


def cells_per_kg(cells: Decimal, weight_kg: Decimal) -> Decimal:
    """Return the dose per kg of body weight, unrounded."""
    return cells / weight_kg


def share_of_target(cells: Decimal, weight_kg: Decimal) -> Decimal:
    """Return the dose as a share of the target: 1 is on target."""
    return cells / protocol.DOSE.target(weight_kg)


def is_within_tolerance(cells: Decimal, weight_kg: Decimal) -> bool:
    """Return whether a dose lies within the tolerance around its target, the limits included."""
    target = protocol.DOSE.target(weight_kg)
    return abs(cells - target) <= protocol.DOSE.tolerance * target


def is_duration_possible(started_at: time, stopped_at: time) -> bool:
    """Return whether an infusion can have run between two hours; a late one may end after midnight."""
    return stopped_at > started_at or (started_at >= LATE and stopped_at <= EARLY)


def is_gap_short(first: date, second: date) -> bool:
    """Return whether two infusions lie fewer than the minimum number of days apart."""
    return abs((second - first).days) < protocol.MINIMUM_DAYS_BETWEEN_INFUSIONS


def breaches(
    given: Given,
    *,
    others: Sequence[Given],
    recruited_on: date | None,
    enrolled: bool = True,
    lot_known: bool = True,
    lot_expires_on: date | None = None,
    lot_release: str = "released",
    ended_on: date | None = None,
    decision: str = "prolong",
) -> tuple[Breach, ...]:
    """List every rule of the protocol that an infusion breaks.

    Parameters
    ----------
    given
        The infusion in question.
    others
        The subject's other valid infusions.
    recruited_on, enrolled, ended_on
        When the subject was recruited, whether enrolled, and the first day on
        which observation had ended (transplant, withdrawal, loss).
    lot_known, lot_expires_on, lot_release
        Whether a lot is named, the last day it may be given, and whether it was released.
    decision
        What was decided about the course; empty when nothing was.

    Returns
    -------
    tuple of Breach
        Empty when the infusion went as planned.
    """
    found: list[Breach] = []
    if given.weight_kg is None:
        found.append(Breach(Rule.UNDOCUMENTED, Sentence(_("The weight is not recorded."))))
    if given.cells is None:
        found.append(Breach(Rule.UNDOCUMENTED, Sentence(_("The number of cells is not recorded."))))
    if not lot_known:
        found.append(Breach(Rule.UNDOCUMENTED, Sentence(_("The lot is not recorded."))))
    if given.weight_kg is not None and given.cells is not None:
        found.extend(_dose_breaches(given.cells, given.weight_kg))
    for other in sorted(others, key=lambda o: o.number):
        found.extend(_order_breaches(given, other))
    if lot_expires_on is not None and lot_expires_on < given.given_on:
        sentence = Sentence(
            _("The lot expired on %(on)s, before the infusion."), {"on": lot_expires_on.isoformat()}
        )
        found.append(Breach(Rule.LOT_EXPIRED, sentence))
    if lot_release not in GIVABLE:
        state = Sentence(vocabulary.by_code(vocabulary.RELEASE_STATES)[lot_release].label)
        found.append(Breach(Rule.LOT_NOT_RELEASED, Sentence(_("The lot is %(state)s."), {"state": state})))
    found.extend(_decision_breaches(given, others, decision))
    if recruited_on is not None and given.given_on < recruited_on:
        sentence = Sentence(
            _("The subject was recruited on %(on)s, after the infusion."), {"on": recruited_on.isoformat()}
        )
        found.append(Breach(Rule.BEFORE_RECRUITMENT, sentence))
    if not enrolled:
        found.append(Breach(Rule.NOT_ENROLLED, Sentence(_("The subject is not enrolled."))))
    if ended_on is not None and given.given_on > ended_on:
        sentence = Sentence(_("Observation had ended on %(on)s."), {"on": ended_on.isoformat()})
        found.append(Breach(Rule.AFTER_END, sentence))
    return tuple(found)


def _decision_breaches(given: Given, others: Sequence[Given], decision: str) -> Iterator[Breach]:
    if given.number < protocol.PROLONGED_FROM:
        return
    if decision == "stop":
        yield Breach(Rule.AFTER_STOP, Sentence(_("It was decided to stop after the standard course.")))
    # said once, of the infusion that prolongs the course
    elif not decision and not any(protocol.PROLONGED_FROM <= o.number < given.number for o in others):
        yield Breach(Rule.UNDECIDED, Sentence(_("The decision to prolong the course is not recorded.")))


def _dose_breaches(cells: Decimal, weight_kg: Decimal) -> Iterator[Breach]:
    if is_within_tolerance(cells, weight_kg):
        return
    percent = percent_off_target(cells, weight_kg)
    values = {
        "percent": f"{abs(percent)}",
        "target": millions(target_cells(weight_kg)),
        "tolerance": f"{protocol.DOSE.tolerance * 100:.0f}",
    }
    if percent < 0:
        text = _(
            "The dose is %(percent)s %% below the target of %(target)s × 10⁶ cells; %(tolerance)s %% are allowed."
        )
        yield Breach(Rule.DOSE_BELOW, Sentence(text, values))
    else:
        text = _(
            "The dose is %(percent)s %% above the target of %(target)s × 10⁶ cells; %(tolerance)s %% are allowed."
        )
        yield Breach(Rule.DOSE_ABOVE, Sentence(text, values))


def _order_breaches(given: Given, other: Given) -> Iterator[Breach]:
    apart = (given.given_on - other.given_on).days
    where = {"other": other.number, "on": other.given_on.isoformat()}
    if is_gap_short(given.given_on, other.given_on):
        text = _("Only %(days)s days from infusion %(other)s on %(on)s; at least %(least)s are meant.")
        least = protocol.MINIMUM_DAYS_BETWEEN_INFUSIONS
        yield Breach(Rule.GAP_SHORT, Sentence(text, {**where, "days": abs(apart), "least": least}))
    if (given.number - other.number) * apart < 0:
        text = _("Infusion %(other)s was given on %(on)s, so the numbers do not follow the dates.")
        yield Breach(Rule.OUT_OF_ORDER, Sentence(text, where))


def disagreements(given: Sequence[Given], decision: str) -> tuple[Breach, ...]:
    """Return where the number of infusions, the time they took and the decision do not fit together.

    Parameters
    ----------
    given
        The valid infusions.
    decision
        ``prolong``, ``stop``, or empty when nothing was decided.

    Returns
    -------
    tuple of Breach
        One for each disagreement; each is worth a query.
    """
    if not given:
        return ()
    found = []
    days = sorted(each.given_on for each in given)
    took = (days[-1] - days[0]).days
    slack = protocol.INFUSION_WINDOW.before + protocol.INFUSION_WINDOW.after
    standard = protocol.COURSES[protocol.Course.STANDARD]
    said = {"count": len(given), "days": took}
    if len(given) > standard and (days[standard] - days[0]).days < 7 * standard - slack:
        text = _(
            "%(count)s infusions make a prolonged course, but the fifth came %(fifth)s days after the first."
        )
        said_of_fifth = {**said, "fifth": (days[standard] - days[0]).days}
        found.append(Breach(Rule.COUNT_LONG_TIME_SHORT, Sentence(text, said_of_fifth)))
    if len(given) <= standard and took > 7 * standard + slack:
        text = _("%(count)s infusions make a standard course, but they took %(days)s days.")
        found.append(Breach(Rule.COUNT_SHORT_TIME_LONG, Sentence(text, said)))
    beyond = [each.number for each in given if each.number >= protocol.PROLONGED_FROM]
    if decision == "stop" and (len(given) > standard or beyond):
        text = _("It was decided to stop after the standard course, but %(count)s infusions are recorded.")
        found.append(Breach(Rule.AFTER_STOP, Sentence(text, said)))
    return tuple(found)


def percent_off_target(cells: Decimal, weight_kg: Decimal) -> Decimal:
    """Return how far a dose is from its target in percent, to one place and never rounded onto the limit."""
    percent = (share_of_target(cells, weight_kg) - 1) * 100
    limit = protocol.DOSE.tolerance * 100
    places = 1
    shown = percent.quantize(Decimal("0.1"))
    # 20.04 % must not read "20.0 %, 20 % are allowed"
    while abs(shown) <= limit < abs(percent):
        places += 1
        shown = percent.quantize(Decimal(1).scaleb(-places))
    return shown


def millions(cells: Decimal) -> str:
    """Write a number of cells in millions without trailing zeros."""
    return f"{(cells / MILLION).normalize():f}"


# --- what it does to the group --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GroupChange:
    """The group before and after; ``before`` is None while nothing was given."""

    given_before: int
    given_after: int
    group_before: str | None
    group_after: str | None

    @property
    def happens(self) -> bool:
        return None not in (self.group_before, self.group_after) and self.group_before != self.group_after


def group_change(diagnosis: Diagnosis | str, *, given_before: int, given_after: int) -> GroupChange:
    """Say what a change in the number of valid infusions does to the subject's group."""
    return GroupChange(
        given_before,
        given_after,
        protocol.group_of(diagnosis, given_before) if given_before else None,
        protocol.group_of(diagnosis, given_after) if given_after else None,
    )
