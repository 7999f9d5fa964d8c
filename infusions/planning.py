"""What an infusion may be planned as: the day, the lot, the number. Pure.

A plan is a promise, so it is refused where the protocol says no. What was given
is a fact and never refused (:mod:`infusions.dosing`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

from infusions.release import GIVABLE
from trial import protocol, vocabulary
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


@dataclass(frozen=True, slots=True)
class LotFacts:
    """What the rules look at: ``bags_left`` is None where nobody counted the bags."""

    code: str
    release: str
    expires_on: date | None = None
    bags_left: int | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to plan, and what is known of the subject.

    ``given`` and ``planned`` hold the days of the other infusions by number.
    """

    number: int
    planned_on: date
    today: date
    lot: LotFacts | None = None
    given: Mapping[int, date] = field(default_factory=dict)
    planned: Mapping[int, date] = field(default_factory=dict)
    recruited_on: date | None = None
    ended_on: date | None = None
    enrolled: bool = True
    stopped_on: date | None = None


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a plan is refused: the field, the rule, and how to mend it."""

    field: str
    rule: str
    sentence: Sentence
    remedy: Sentence


def obstacles(wish: Wish) -> tuple[Obstacle, ...]:
    """Return everything that stands against a plan; empty when it may be made."""
    return (*_about_subject(wish), *_about_day(wish), *(_about_lot(wish, wish.lot) if wish.lot else ()))


def warnings(wish: Wish) -> tuple[Sentence, ...]:
    """Return what a plan is allowed with, but should be known."""
    found: list[Sentence] = []
    lot = wish.lot
    if lot is not None and lot.release == "conditional":
        found.append(
            Sentence(
                _("Lot %(lot)s is released on condition: its cultures are not read yet."), {"lot": lot.code}
            )
        )
    if wish.recruited_on is not None:
        due = protocol.infusion_due(wish.number, wish.recruited_on)
        opens, closes = protocol.INFUSION_WINDOW.around(due)
        if not opens <= wish.planned_on <= closes:
            found.append(
                Sentence(
                    _("%(day)s is outside the window %(opens)s to %(closes)s."),
                    {
                        "day": wish.planned_on.isoformat(),
                        "opens": opens.isoformat(),
                        "closes": closes.isoformat(),
                    },
                )
            )
    return tuple(found)


def _about_subject(wish: Wish) -> Iterator[Obstacle]:
    number = {"number": wish.number, "most": protocol.MOST_INFUSIONS}
    if not 1 <= wish.number <= protocol.MOST_INFUSIONS:
        yield Obstacle(
            "number",
            "beyond_course",
            Sentence(_("Infusion %(number)s: the longest course has %(most)s."), number),
            Sentence(_("Plan none.")),
        )
    if wish.number in wish.given:
        yield Obstacle(
            "number",
            "given",
            Sentence(
                _("Infusion %(number)s was given on %(on)s."),
                {**number, "on": wish.given[wish.number].isoformat()},
            ),
            Sentence(_("Plan the next number.")),
        )
    if not wish.enrolled:
        yield Obstacle(
            "number",
            "not_enrolled",
            Sentence(_("The subject is not enrolled.")),
            Sentence(_("Finish the screening first.")),
        )
    if wish.ended_on is not None and wish.planned_on >= wish.ended_on:
        yield Obstacle(
            "planned_on",
            "ended",
            Sentence(_("Observation ended on %(on)s."), {"on": wish.ended_on.isoformat()}),
            Sentence(_("Correct the outcome if that is wrong.")),
        )
    if wish.stopped_on is not None and wish.number >= protocol.PROLONGED_FROM:
        yield Obstacle(
            "number",
            "stopped",
            Sentence(
                _("On %(on)s it was decided to stop after the standard course."),
                {"on": wish.stopped_on.isoformat()},
            ),
            Sentence(_("Change the decision first.")),
        )


def _about_day(wish: Wish) -> Iterator[Obstacle]:
    if wish.planned_on < wish.today:
        yield Obstacle(
            "planned_on",
            "past",
            Sentence(_("%(day)s has passed."), {"day": wish.planned_on.isoformat()}),
            Sentence(_("Pick a day from today on, or record what was given.")),
        )
    if wish.recruited_on is not None and wish.planned_on < wish.recruited_on:
        yield Obstacle(
            "planned_on",
            "before_recruitment",
            Sentence(_("The subject was recruited on %(on)s."), {"on": wish.recruited_on.isoformat()}),
            Sentence(_("Pick a later day.")),
        )
    least = protocol.MINIMUM_DAYS_BETWEEN_INFUSIONS
    for other, day in sorted({**wish.planned, **wish.given}.items()):
        if other == wish.number:
            continue
        apart = (wish.planned_on - day).days
        said = {"days": abs(apart), "other": other, "on": day.isoformat(), "least": least}
        if abs(apart) < least:
            yield Obstacle(
                "planned_on",
                "gap",
                Sentence(_("Only %(days)s days from infusion %(other)s on %(on)s."), said),
                Sentence(_("Leave at least %(least)s days."), said),
            )
        elif (wish.number - other) * apart < 0:
            yield Obstacle(
                "planned_on",
                "order",
                Sentence(_("Infusion %(other)s is on %(on)s; the numbers would not follow the dates."), said),
                Sentence(_("Pick a day that keeps the order.")),
            )


def lost(code: str, state: str, expires_on: date | None, planned_on: date) -> list[Obstacle]:
    """Return why a lot in this state may not be given on a day."""
    said: dict[str, object] = {"lot": code}
    remedy = Sentence(_("Pick another lot."))
    found = []
    if state not in GIVABLE:
        label = Sentence(vocabulary.by_code(vocabulary.RELEASE_STATES)[state].label)
        found.append(
            Obstacle("lot", state, Sentence(_("Lot %(lot)s is %(state)s."), {**said, "state": label}), remedy)
        )
    if expires_on is not None and expires_on < planned_on:
        found.append(
            Obstacle(
                "lot",
                "expired",
                Sentence(
                    _("Lot %(lot)s expires on %(on)s, before the infusion."),
                    {**said, "on": expires_on.isoformat()},
                ),
                remedy,
            )
        )
    return found


def _about_lot(wish: Wish, lot: LotFacts) -> Iterator[Obstacle]:
    said: dict[str, object] = {"lot": lot.code}
    remedy = Sentence(_("Pick another lot."))
    yield from lost(lot.code, lot.release, lot.expires_on, wish.planned_on)
    if lot.bags_left is not None and lot.bags_left <= 0:
        yield Obstacle(
            "lot",
            "no_bags",
            Sentence(_("Every bag of lot %(lot)s is given or set aside."), said),
            remedy,
        )


def free_bags(bags: int | None, *, given: int, reserved: int, discarded: int = 0) -> int | None:
    """Return how many bags nobody has been given or promised; None where the bags were not counted."""
    return None if bags is None else bags - given - reserved - discarded
