"""Queries in words, in the reader's language: what one is about, what it asks, who owns it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from patients.models import DataQuery, QueryMessage
from patients.query_life import Step
from trial import protocol, vocabulary
from trial import trail_words as words
from trial.models import User
from trial.roles import Role
from trial.sentences import Sentence

RULES: Mapping[str, Any] = {
    "unit_slip": gettext_lazy(
        "Perhaps another unit: unlikely as typed, and in line with the last value or the usual ones once converted."
    ),
    "outside_usual": gettext_lazy("Outside the range that values of this disease usually lie in."),
    "jump": gettext_lazy("A change against the last value that is rarely so large."),
    "pta_inr": gettext_lazy("PTA and INR come from one clotting time and should agree."),
    "copied": gettext_lazy("All values equal those of the draw before, as in a copied report."),
    "after_first_infusion": gettext_lazy("Week 0 is drawn before the first infusion."),
    "nearer_another_week": gettext_lazy("A visit belongs to the week it is nearest to."),
    "outside_window": gettext_lazy("A visit lies in the window of its week."),
    "out_of_order": gettext_lazy("Visits follow each other in the order of their weeks."),
    "point_slip": gettext_lazy("Perhaps a decimal point in another place."),
    "count_long_time_short": gettext_lazy(
        "The group counts infusions; the weeks they took would make it a standard course."
    ),
    "count_short_time_long": gettext_lazy(
        "The group counts infusions; the weeks they took would make it a prolonged course."
    ),
    "age_outside": gettext_lazy("The protocol takes subjects of certain ages."),
    "recruited_late_or_early": gettext_lazy(
        "A subject is recruited once it is screened, and before its first infusion."
    ),
    "after_stop": gettext_lazy("An infusion was given although the course was to stop."),
}
"""What each soft check looks at. One that is not listed speaks for itself by its sentence."""

_TABLES: Mapping[str, str] = {
    "visit": "patients_visit",
    "infusion": "infusions_infusion",
    "screening": "patients_screening",
    "event": "patients_adverseevent",
    "treatment": "patients_treatment",
    "outcome": "patients_outcome",
    "subject": "patients_patient",
}
_FACTS = vocabulary.by_code(vocabulary.SCREENING_FACTS)
_TOPICS = vocabulary.by_code(vocabulary.QUERY_TOPICS)
_STEPS: Mapping[tuple[str, bool], Any] = {
    (Step.OPENED, False): gettext_lazy("asked"),
    (Step.ANSWERED, False): gettext_lazy("answered"),
    (Step.CLOSED, False): gettext_lazy("closed"),
    (Step.REOPENED, False): gettext_lazy("reopened"),
    (Step.ASSIGNED, False): gettext_lazy("passed it on"),
    (Step.OPENED, True): gettext_lazy("kept a value that a check doubts"),
    (Step.REOPENED, True): gettext_lazy("changed the value, and the check doubts it again"),
    (Step.CLOSED, True): gettext_lazy("mended the data, so the query closed itself"),
}


def said(message: QueryMessage) -> str:
    """Return what a message says; what a check says, in the reader's language."""
    return kept_text(message.text, message.values)


def kept_text(text: str, values: str) -> str:
    """Return a text as a person wrote it, or the sentence of a check with its values."""
    if not values:
        return text
    try:
        kept = json.loads(values)
        return Sentence.of_kept({"text": text, "values": kept["values"]}).said(_)
    except (ValueError, KeyError, TypeError):
        return text


def detail(message: QueryMessage) -> str:
    """Return what else a check said: what to compare, or what the other unit would give."""
    kept = json.loads(message.values).get("detail") if message.values else None
    return Sentence.of_kept(kept).said(_) if kept else ""


def step_text(message: QueryMessage) -> str:
    """Return what its author did, after the name."""
    return str(_STEPS.get((message.step, bool(message.values)), message.get_step_display()))


def rule_text(query: DataQuery) -> str:
    """Return what the check looks at; empty when a person asked."""
    return str(RULES.get(query.check_code, "")) if query.check_code else ""


def place(query: DataQuery) -> str:
    """Return the visit, infusion or record a query is about: ``W4``, ``infusion 3``."""
    if query.visit is not None:
        return words.draw_label({"week": query.visit.week, "visited_on": query.visit.visited_on})
    if query.topic == "infusion" and query.field == "course":
        return _("course")
    if query.topic == "infusion" and query.number is not None:
        return _("infusion %(number)s") % {"number": query.number}
    return _(_TOPICS[query.topic].label)


def field_text(query: DataQuery) -> str:
    """Return what its field is called; empty when it is about the whole."""
    if not query.field or query.field == "course":
        return ""
    if query.field in protocol.ANALYTES:
        return words.analyte_label(query.field)
    if query.topic == "screening" and query.field in _FACTS:
        return _(_FACTS[query.field].label)
    return str(words.column_label(_TABLES.get(query.topic, ""), query.field))


def title(query: DataQuery) -> str:
    """Return what a query is about in short: ``W4 TBIL``."""
    return " ".join(filter(None, (place(query), field_text(query))))


def owner(query: DataQuery) -> str:
    """Return whose turn it is to answer."""
    if query.assigned_to is not None:
        return str(query.assigned_to.shown_name)
    return _("coordinators of %(site)s") % {"site": query.patient.site.code}


def person(user: User) -> str:
    """Return a person with the role, for a choice."""
    role = user.get_role_display() if user.role in set(Role) else ""
    return f"{user.shown_name}, {role}" if role else str(user.shown_name)


def source_url(query: DataQuery) -> str:
    """Return the address of the field in question, focused where a form has it; empty without one."""
    subject = query.patient.subject_id
    focus = f"#id_{query.field}" if query.field else ""
    if query.visit is not None:
        if query.visit.voided_at is not None:
            return ""
        if query.visit.week is not None:
            return reverse("patients:enter_visit", args=[subject, query.visit.week]) + focus
        return reverse("patients:edit_unscheduled", args=[subject, query.visit_id]) + focus
    return record_url(query)


def record_url(query: DataQuery) -> str:
    """Return the page that shows what a query is about, for who reads but does not enter."""
    subject = query.patient.subject_id
    names = {
        "visit": "patients:labs",
        "infusion": "infusions:course",
        "screening": "patients:eligibility",
        "event": "patients:events",
        "treatment": "patients:events",
        "outcome": "patients:events",
        "subject": "patients:history",
    }
    return reverse(names[query.topic], args=[subject])
