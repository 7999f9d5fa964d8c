"""Forms of a course: planning an infusion, calling it off, deciding on the course."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from infusions.forms.fields import (
    DayField,
    HourField,
    LotChoice,
    ReasonFields,
    Refusing,
    choices_of,
    text_field,
    version_field,
)
from infusions.models import CellLot, CourseDecision, PlannedInfusion
from trial import vocabulary

MOST_DAYS_AHEAD = 365


class PlanForm(Refusing):
    """The day, the hour and the lot of an infusion to come."""

    planned_on = DayField(label=gettext_lazy("Planned for"), days_ahead=MOST_DAYS_AHEAD)
    planned_at = HourField(label=gettext_lazy("Hour"), required=False)
    lot = LotChoice(
        label=gettext_lazy("Lot set aside"),
        required=False,
        queryset=CellLot.objects.none(),
        empty_label=gettext_lazy("none yet"),
    )
    note = text_field(gettext_lazy("Note"))
    version = version_field()

    def __init__(
        self, data: Any = None, *, plan: PlannedInfusion | None, due_on: date | None, lots: Any
    ) -> None:
        day = (plan.planned_on if plan else None) or due_on
        initial = {
            "planned_on": day.isoformat() if day else "",
            "planned_at": f"{plan.planned_at:%H:%M}" if plan and plan.planned_at else "",
            "lot": plan.lot_id if plan else None,
            "note": plan.note if plan and not plan.not_done else "",
            "version": plan.version if plan else 0,
        }
        super().__init__(data, initial=initial, use_required_attribute=False)
        # the day due stands already: the first thing to type is the hour
        self.fields["planned_at"].widget.attrs["autofocus"] = True
        self.fields["lot"].queryset = lots  # type: ignore[attr-defined]


class CallOffForm(Refusing):
    """Why an infusion was not given."""

    because = forms.ChoiceField(
        label=gettext_lazy("Not given because"),
        error_messages={"required": gettext_lazy("No reason is given. Choose one.")},
    )
    note = text_field(gettext_lazy("Note"))
    version = version_field()
    places = {"not_done": "because"}

    def __init__(self, data: Any = None, *, plan: PlannedInfusion | None) -> None:
        initial = {
            "because": plan.not_done if plan else "",
            "note": plan.note if plan and plan.not_done else "",
            "version": plan.version if plan else 0,
        }
        super().__init__(data, initial=initial, use_required_attribute=False, prefix="off")
        self.fields["because"].choices = choices_of(  # type: ignore[attr-defined]
            vocabulary.NOT_DONE_REASONS, _("choose a reason")
        )


class DecisionForm(Refusing, ReasonFields):
    """The decision to prolong the course or to stop."""

    decision = forms.ChoiceField(
        label=gettext_lazy("Decision"),
        widget=forms.RadioSelect,
        error_messages={"required": gettext_lazy("No decision is given. Choose one.")},
    )
    decided_on = DayField(label=gettext_lazy("Decided on"))
    decided_by = text_field(
        gettext_lazy("Decided by"),
        most=80,
        error_messages={"required": gettext_lazy("Say which physician decided; you record it for them.")},
    )
    grounds = text_field(gettext_lazy("Grounds"), required=True)
    version = version_field()

    def __init__(
        self, data: Any = None, *, decision: CourseDecision | None, today: date, own_name: str
    ) -> None:
        initial = {
            "decision": decision.decision if decision else "",
            "decided_on": (decision.decided_on if decision else today).isoformat(),
            "decided_by": decision.decided_by if decision else own_name,
            "grounds": decision.grounds if decision else "",
            "version": decision.version if decision else 0,
        }
        super().__init__(data, initial=initial, use_required_attribute=False)
        self.fields["decision"].choices = choices_of(vocabulary.COURSE_DECISIONS)  # type: ignore[attr-defined]
        # asked here as well, so that whoever records for a physician hears of everything missing at once
        self.fields["decided_by"].required = not own_name
