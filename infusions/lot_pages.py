"""What the pages of lots show: the list, one lot, and who got what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from infusions import dosing, planning, release, selectors
from infusions.models import CellLot, Infusion, ReleaseTest
from patients import worklist
from trial import address, protocol, vocabulary
from trial.clock import zone
from trial.models import User
from trial.refusals import Conflict
from trial.roles import Permission

FILTERS = ("givable", "pending", "expiring", "alarm", "closed")


@dataclass(frozen=True, slots=True)
class LotRow:
    """A lot with its counts, and whether it is good today."""

    lot: Any
    today: date
    results: Mapping[str, str]
    is_alarm: bool = False

    @property
    def is_expired(self) -> bool:
        return self.lot.expires_on is not None and self.lot.expires_on < self.today

    @property
    def is_expiring(self) -> bool:
        on = self.lot.expires_on
        return on is not None and 0 <= (on - self.today).days <= selectors.EXPIRING_DAYS

    @property
    def viability_doubt(self) -> str:
        """What the viability of the lot should be, when it is lower."""
        viability = self.lot.viability_percent
        is_low = viability is not None and viability < release.LEAST_VIABILITY
        return _(release.CRITERIA["viability"]) if is_low else ""

    @property
    def is_givable(self) -> bool:
        return self.lot.release in release.GIVABLE and not self.is_expired and self.bags_left != 0

    @property
    def words(self) -> str:
        if self.lot.expires_on is None:
            return ""
        if self.is_expired:
            return _("expired")
        days = (self.lot.expires_on - self.today).days
        if days > selectors.EXPIRING_DAYS:
            return ""
        return _("in %(days)s d") % {"days": days} if days else _("today")

    @property
    def bags_left(self) -> int | None:
        return planning.free_bags(
            self.lot.bags,
            given=self.lot.bags_given,
            reserved=self.lot.bags_reserved,
            discarded=self.lot.bags_discarded,
        )

    @property
    def pending(self) -> int:
        return len(release.with_result(self.results, "pending"))

    @property
    def failed(self) -> tuple[str, ...]:
        return names(release.with_result(self.results, "fail"))

    @property
    def state_label(self) -> str:
        return _(vocabulary.by_code(vocabulary.RELEASE_STATES)[self.lot.release].label)

    @property
    def state_chip(self) -> str:
        """How the state looks; the word is always beside it."""
        return {
            "released": "chip-accent",
            "conditional": "chip-warn",
            "recalled": "chip-danger",
            "rejected": "chip-danger",
        }.get(self.lot.release, "")

    def is_in(self, wanted: str) -> bool:
        """Return whether the lot belongs to a filter of the list."""
        match wanted:
            case "givable":
                return self.is_givable
            case "pending":
                return self.lot.release in ("quarantine", "conditional") and self.pending > 0
            case "expiring":
                return self.is_expiring
            case "alarm":
                return self.is_alarm
            case "closed":
                return self.is_expired or self.lot.release in ("rejected", "recalled")
        return True


def names(tests: Sequence[str]) -> tuple[str, ...]:
    """Return tests in the reader's language."""
    labels = vocabulary.by_code(vocabulary.RELEASE_TESTS)
    return tuple(_(labels[test].label) for test in tests)


def rows_of(found: Sequence[CellLot], today: date) -> list[LotRow]:
    """Return lots as rows, with their tests and alarms; the number of queries does not grow."""
    tests = selectors.release_tests(found)
    alarmed = selectors.alarmed_lots(found)
    return [
        LotRow(
            each,
            today,
            {code: row.result for code, row in tests.get(each.pk, {}).items()},
            each.pk in alarmed,
        )
        for each in found
    ]


@dataclass(frozen=True, slots=True)
class Tile:
    """A filter of the list with its count and key."""

    key: str
    name: str
    word: str
    count: int
    is_shown: bool


def lots(user: User, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return the context of the list of lots; ``show`` picks a filter, ``q`` the codes that hold a text."""
    today = worklist.today_for(user)
    rows = rows_of(list(selectors.all_lots(user)), today)
    words = {
        "givable": _("can be given"),
        "pending": _("tests pending"),
        "expiring": _("expire within a week"),
        "alarm": _("alarm"),
        "closed": _("expired, rejected, recalled"),
    }
    shown, text = address.one_of(asked, "show", FILTERS), asked.get("q", "").strip().upper()
    tiles = [
        Tile(str(key), name, words[name], sum(row.is_in(name) for row in rows), shown == name)
        for key, name in enumerate(FILTERS, start=1)
    ]
    return {
        "place": "infusions",
        "rows": [row for row in rows if row.is_in(shown) and text in row.lot.code],
        "tiles": tiles,
        "all_count": len(rows),
        "shown": shown,
        "asked": text,
        "today": today,
        "may_record": user.may(Permission.RECORD_INFUSIONS),
    }


@dataclass(frozen=True, slots=True)
class TestLine:
    """One release test as the lot's page shows it."""

    label: str
    criterion: str
    result: str
    result_label: str
    finding: str
    tested_on: date | None


@dataclass(frozen=True, slots=True)
class Recipient:
    """One infusion of a lot: whose, when, and what became of them."""

    infusion: Infusion

    @property
    def millions(self) -> str:
        return "" if self.infusion.cells is None else dosing.millions(self.infusion.cells)

    @property
    def outcomes(self) -> list[str]:
        return [_since(each) for each in self.infusion.patient.outcomes.all() if each.voided_at is None]


def _since(outcome: Any) -> str:
    return _("%(outcome)s on %(day)s") % {
        "outcome": _(protocol.OUTCOME_LABELS[protocol.OutcomeKind(outcome.kind)]),
        "day": outcome.happened_on.isoformat(),
    }


def lot(user: User, found: CellLot) -> dict[str, Any]:
    """Return the context of one lot's page."""
    today = worklist.today_for(user)
    stored = selectors.release_tests([found]).get(found.pk, {})
    [row] = rows_of([found], today)
    got = [Recipient(infusion) for infusion in selectors.recipients(user, found)]
    return {
        "place": "infusions",
        "lot": found,
        "row": row,
        "tests": list(_test_lines(stored)),
        "recipients": got,
        "subjects": len({each.infusion.patient_id for each in got}),
        "reserved": selectors.reserved_for(user, found),
        "custody": selectors.custody(found),
        "zone": str(zone(user.site)) if user.site else timezone.get_current_timezone_name(),
        "steps_open": release.STEPS[found.release],
        "obstacles": {
            to: [each.said(_) for each in release.obstacles(row.results, state=found.release, to=to)]
            for to in release.STEPS[found.release]
        },
        "may_record": user.may(Permission.RECORD_INFUSIONS),
        "may_change": user.may(Permission.RECORD_INFUSIONS) and selectors.may_change(user, found),
        "may_release": user.may(Permission.RELEASE_LOTS),
        "sees_donor": selectors.may_see_donor(user),
    }


def _test_lines(stored: Mapping[str, ReleaseTest]) -> Iterator[TestLine]:
    results = vocabulary.by_code(vocabulary.RELEASE_RESULTS)
    for term in vocabulary.RELEASE_TESTS:
        test = stored.get(term.code)
        result = test.result if test else "pending"
        yield TestLine(
            _(term.label),
            _(release.CRITERIA[term.code]),
            result,
            _(results[result].label),
            test.finding if test else "",
            test.tested_on if test else None,
        )


# --- who got what, as a file ----------------------------------------------------------------

TRACED = (
    "subject_id",
    "site",
    "infusion",
    "given_on",
    "lot",
    "bag",
    "cells",
    "lot_release",
    "lot_expires_on",
    "outcome",
)


def traced_rows(infusions: Sequence[Infusion]) -> Iterator[list[str]]:
    """Yield the lines of a recall list, the heads first; what a spreadsheet would run is only shown."""
    yield list(TRACED)
    for infusion in infusions:
        lot = infusion.lot
        outcomes = [each for each in infusion.patient.outcomes.all() if each.voided_at is None]
        line = [
            infusion.patient.subject_id,
            infusion.patient.site.code,
            str(infusion.number),
            infusion.given_on.isoformat(),
            lot.code if lot else "",
            infusion.bag,
            "" if infusion.cells is None else str(infusion.cells),
            lot.release if lot else "",
            lot.expires_on.isoformat() if lot and lot.expires_on else "",
            "; ".join(f"{each.kind} {each.happened_on.isoformat()}" for each in outcomes),
        ]
        yield [f"'{text}" if text[:1] in "=+-@\t\r" and text else text for text in line]


def shown_clashes(conflict: Conflict | None, form: Any) -> list[dict[str, str]]:
    """Return what two people changed, in the words of a form."""
    if conflict is None:
        return []
    return [
        {
            "label": str(form.fields[clash.field].label) if clash.field in form.fields else clash.field,
            "mine": clash.mine,
            "theirs": clash.theirs,
            "before": clash.before,
            "by": clash.by,
        }
        for clash in conflict.clashes
    ]
