"""What the pages of infusions show, put together from reads and words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.utils.translation import gettext as _

from infusions import dosing, selectors
from infusions.forms import InfusionForm
from infusions.models import CellLot, Infusion
from infusions.particulars import Circumstances
from patients import queue, worklist
from patients.models import Patient
from trial.models import User
from trial.refusals import Conflict
from trial.roles import Permission

NEWEST = 30


def introduction(around: Circumstances) -> str:
    """Say what the last infusion was like."""
    last = dosing.last_weight(around.number, around.others_given)
    if last is None:
        return _("No weight is known from before.")
    return _("Last weight %(weight)s kg, at infusion %(number)s on %(on)s.") % {
        "weight": last.weight_kg,
        "number": last.number,
        "on": last.given_on.isoformat(),
    }


def void_consequence(patient: Patient, infusion: Infusion) -> str:
    """Say what striking an infusion does to the group and to the clocks."""
    others = [other for other in selectors.valid_infusions(patient) if other.pk != infusion.pk]
    change = dosing.group_change(patient.diagnosis, given_before=len(others) + 1, given_after=len(others))
    sentences = []
    if change.group_after is None:
        sentences.append(
            _("No infusion is left; the subject leaves group %(before)s.") % {"before": change.group_before}
        )
    elif change.happens:
        sentences.append(
            _("%(count)s infusions are left: group %(before)s becomes %(after)s.")
            % {"count": len(others), "before": change.group_before, "after": change.group_after}
        )
    else:
        sentences.append(
            _("%(count)s infusions are left; the group stays %(group)s.")
            % {"count": len(others), "group": change.group_after}
        )
    first = min((other.given_on for other in others), default=None)
    if first is not None and infusion.given_on < first:
        sentences.append(_("Visit weeks will count from %(on)s.") % {"on": first.isoformat()})
    return " ".join(sentences)


@dataclass(frozen=True, slots=True)
class ShownClash:
    """One field that two people changed, with the words of the form."""

    label: str
    mine: str
    theirs: str
    before: str
    by: str


def clashes(conflict: Conflict, form: InfusionForm) -> list[ShownClash]:
    """Return what two people changed, in the words of the form."""
    return [
        ShownClash(str(form.fields[clash.field].label), clash.mine, clash.theirs, clash.before, clash.by)
        for clash in conflict.clashes
    ]


@dataclass(frozen=True, slots=True)
class GivenRow:
    """An infusion in the list of those given lately."""

    infusion: Infusion

    @property
    def millions(self) -> str:
        return "" if self.infusion.cells is None else dosing.millions(self.infusion.cells)

    @property
    def deviation(self) -> str:
        """The coded cause's label, for the screen to translate."""
        code = self.infusion.deviation
        return dosing.DEVIATION_AT[code].label if code else ""


@dataclass(frozen=True, slots=True)
class LotRow:
    """A lot with its counts, and whether it is good today."""

    lot: CellLot
    today: date

    @property
    def is_expired(self) -> bool:
        return self.lot.expires_on is not None and self.lot.expires_on < self.today

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


def place(user: User, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return the context of the infusions' own page.

    ``show`` picks a section of the queue, ``site`` a site, ``lot`` the
    recipients of a lot.
    """
    everything = [task for task in worklist.tasks(user) if task.is_infusion]
    site, lot = asked.get("site", ""), asked.get("lot", "")
    sites = sorted({task.patient.site for task in everything}, key=lambda s: s.code)
    if site:
        everything = [task for task in everything if task.patient.site.code == site]
    today = worklist.today_for(user)
    lots = [LotRow(each, today) for each in selectors.lots(user, today)]
    return {
        "place": "infusions",
        "queue": queue.arrange(
            everything,
            user,
            today=worklist.today_for(user),
            shown=asked.get("show", ""),
            sections=queue.DATED,
        ),
        "given": [GivenRow(each) for each in selectors.given_lately(user, lot=lot, site=site, most=NEWEST)],
        "newest": NEWEST,
        "lots": lots,
        "lot": selectors.lot_with_code(lot) if lot else None,
        "lot_asked": lot,
        "site": site,
        "sites": sites if user.sees_all_sites else [],
        "may_record": user.may(Permission.RECORD_INFUSIONS),
    }
