"""What the pages of infusions show, put together from reads and words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.utils.translation import gettext as _

from infusions import dosing, release, selectors, vitals, weights
from infusions.forms import InfusionForm
from infusions.lot_pages import rows_of, shown_clashes
from infusions.models import Infusion, PlannedInfusion
from infusions.particulars import Circumstances
from patients import queue, worklist
from patients.models import Patient
from patients.selectors import sites_for
from trial import address, vocabulary
from trial.models import User
from trial.refusals import Conflict
from trial.roles import Permission

NEWEST = 30
CALENDAR_DAYS = 14


def introduction(around: Circumstances) -> str:
    """Say what the last infusion was like."""
    last = weights.last_weight(around.number, around.others_given)
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


def clashes(conflict: Conflict, form: InfusionForm) -> list[dict[str, str]]:
    """Return what two people changed, in the words of the form."""
    shown = shown_clashes(conflict, form)
    moments = vocabulary.by_code(vocabulary.VITAL_MOMENTS)
    for clash in shown:
        moment, _dot, sign = clash["label"].partition(".")
        if moment in moments and sign in vitals.SIGNS:
            clash["label"] = f"{_(moments[moment].label)}, {_(vitals.SIGNS[sign].label)}"
    return shown


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
class CalendarDay:
    """One day of the coming weeks, with what is planned on it."""

    day: date
    is_today: bool
    plans: tuple[PlannedInfusion, ...]

    @property
    def is_weekend(self) -> bool:
        return self.day.weekday() >= 5


def calendar(user: User, today: date, site: str = "") -> list[CalendarDay]:
    """Return the coming two weeks, each day with its plans in time."""
    by_day: dict[date, list[PlannedInfusion]] = defaultdict(list)
    for plan in selectors.planned_soon(user, today, days=CALENDAR_DAYS, site=site):
        if plan.planned_on is not None:
            by_day[plan.planned_on].append(plan)
    days = (today + timedelta(days=n) for n in range(CALENDAR_DAYS))
    return [CalendarDay(day, day == today, tuple(by_day.get(day, ()))) for day in days]


def place(user: User, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return the context of the infusions' own page.

    ``show`` picks a section of the queue, ``site`` a site, ``lot`` the
    recipients of a lot.
    """
    everything = [task for task in worklist.tasks(user) if task.is_infusion]
    lot = asked.get("lot", "")
    site = asked.get("site", "") and address.one_of(asked, "site", [each.code for each in sites_for(user)])
    sites = sorted({task.patient.site for task in everything}, key=lambda s: s.code)
    if site:
        everything = [task for task in everything if task.patient.site.code == site]
    today = worklist.today_for(user)
    lots = rows_of(list(selectors.with_bags(selectors.lots(user, today))), today)
    days = calendar(user, today, site)
    return {
        "place": "infusions",
        "queue": queue.arrange(
            everything,
            user,
            today=worklist.today_for(user),
            shown=address.one_of(asked, "show", queue.DATED),
            sections=queue.DATED,
        ),
        "given": [GivenRow(each) for each in selectors.given_lately(user, lot=lot, site=site, most=NEWEST)],
        "newest": NEWEST,
        "lots": lots,
        "calendar": days,
        "planned_count": sum(len(day.plans) for day in days),
        "alarms": [row for row in lots if row.is_alarm and row.lot.release in release.GIVABLE],
        "lot": selectors.lots_visible_to(user).filter(code=lot).first() if lot else None,
        "lot_asked": lot,
        "site": site,
        "sites": sites if user.sees_all_sites else [],
        "may_record": user.may(Permission.RECORD_INFUSIONS),
    }
