"""The form of an adverse event."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from patients import ctcae_terms, edit_checks
from patients.actions.events import EventEntry
from patients.forms.fields import CorrectionForm, text_field
from patients.models import AdverseEvent
from trial import clock, vocabulary
from trial.models import Site

NOTE_LENGTH = 300


def coded(label: Any, terms: Any) -> forms.ChoiceField:
    """Return a field of a coded list that may stay empty."""
    return forms.ChoiceField(label=label, required=False, choices=[("", ""), *vocabulary.labels(terms)])


class EventForm(CorrectionForm):
    """What happened, how bad it was, since when, and what was made of it.

    ``what`` is the event's note, ``note`` that of a correction. A serious event has
    ``aware_on`` and ``aware_hour``: when the site learned of it.
    """

    term = text_field(_("Term"))
    grade = forms.ChoiceField(
        label=_("Grade"), required=False, choices=[(str(g), str(g)) for g in ctcae_terms.GRADES]
    )
    onset_on = text_field(_("Began on"))
    onset_at = text_field(_("at"))
    ended_on = text_field(_("Ended on"))
    serious = coded(_("Serious because"), vocabulary.SERIOUSNESS)
    aware_on = text_field(_("Known to the site since"))
    aware_hour = text_field(_("at"))
    relation = coded(_("Relation to the infusions"), vocabulary.RELATIONS)
    action = coded(_("Action taken"), vocabulary.EVENT_ACTIONS)
    result = coded(_("Outcome of the event"), vocabulary.EVENT_OUTCOMES)
    what = text_field(_("Note"))
    lab_result = forms.IntegerField(
        required=False, min_value=1, max_value=2**63 - 1, widget=forms.HiddenInput
    )

    HOURS = {"onset_at": "onset_on", "aware_hour": "aware_on"}
    TEXTS_OF = {
        "onset_on": ("onset_on",),
        "onset_at": ("onset_at",),
        "aware_at": ("aware_on", "aware_hour"),
        "note": ("what",),
        "lab_result_id": ("lab_result",),
    }
    """Fields of the form by field of the row, where they differ."""

    def __init__(
        self,
        data: Any = None,
        *,
        life: edit_checks.Life,
        site: Site,
        event: AdverseEvent | None = None,
        initial: dict[str, str] | None = None,
    ) -> None:
        self.life, self.site, self.event = life, site, event
        texts = texts_of(event, site) if event is not None else initial or {}
        super().__init__(data, initial={"version": event.version if event else 0, **texts})

    @property
    def grades(self) -> list[tuple[int, str]]:
        """Each grade with what it means for the term on screen."""
        term = ctcae_terms.term_of(self.shown("term"))
        return [(grade, term.means(grade)) for grade in ctcae_terms.GRADES]

    @property
    def shown_grade(self) -> int | None:
        text = self.shown("grade")
        return int(text) if text in {str(grade) for grade in ctcae_terms.GRADES} else None

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        cleaned["onset_on"] = self.read_day("onset_on", today=self.life.today)
        cleaned["onset_at"] = self.read_hour("onset_at")
        cleaned["ended_on"] = self.read_day("ended_on", today=self.life.today, needed=False)
        cleaned["aware_at"] = self._aware_at()
        cleaned["term"] = self.read_text("term", most=ctcae_term_length())
        cleaned["what"] = self.read_text("what", most=NOTE_LENGTH)
        if not cleaned["term"] and "term" not in self.errors:
            self.add_error("term", _("The event has no term. Choose one, or type what happened."))
        if not cleaned.get("grade") and "grade" not in self.errors:
            self.add_error("grade", _("The event has no grade. Choose a grade from 1 to 5."))
        self.read_reason()
        return cleaned

    def _aware_at(self) -> datetime | None:
        hour = self.read_hour("aware_hour")
        if not self.posted("aware_on").strip():
            if hour is not None:
                self.add_error("aware_on", _("The hour has no day. Type the day as year-month-day."))
            return None
        day = self.read_day("aware_on", today=self.life.today)
        if not self.posted("serious"):
            self.add_error(
                "serious", _("The event has a report to make and is not serious. Choose why it is serious.")
            )
        if hour is None and "aware_hour" not in self.errors:
            self.add_error("aware_hour", _("The hour is empty. The 24 hours run from it; type it as 07:40."))
        return clock.moment_at(self.site, day, hour) if day and hour else None

    def entry(self) -> EventEntry:
        """Return what the action takes."""
        cleaned = self.cleaned_data
        return EventEntry(
            term=cleaned["term"],
            grade=int(cleaned["grade"]),
            onset_on=cleaned["onset_on"],
            onset_at=cleaned["onset_at"],
            ended_on=cleaned["ended_on"],
            serious=cleaned["serious"],
            aware_at=cleaned["aware_at"],
            relation=cleaned["relation"],
            action=cleaned["action"],
            result=cleaned["result"],
            note=cleaned["what"],
            lab_result_id=cleaned["lab_result"],
        )


def ctcae_term_length() -> int:
    """Return the longest term."""
    return AdverseEvent._meta.get_field("term").max_length or 0


def texts_of(event: AdverseEvent, site: Site) -> dict[str, Any]:
    """Return what the form shows of a stored event."""
    aware = event.aware_at.astimezone(clock.zone(site)) if event.aware_at else None
    return {
        "term": event.term,
        "grade": str(event.grade),
        "onset_on": day_text(event.onset_on),
        "onset_at": hour_text(event.onset_at),
        "ended_on": day_text(event.ended_on),
        "serious": event.serious,
        "aware_on": day_text(aware.date() if aware else None),
        "aware_hour": hour_text(aware.time() if aware else None),
        "relation": event.relation,
        "action": event.action,
        "result": event.result,
        "what": event.note,
        "lab_result": event.lab_result_id,
    }


def day_text(day: date | None) -> str:
    return day.isoformat() if day else ""


def hour_text(hour: time | None) -> str:
    return f"{hour:%H:%M}" if hour else ""
