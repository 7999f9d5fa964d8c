"""The steps of a query: opened, answered, closed, opened again, passed on; and what edit checks ask.

A query changes no clinical value, so a person's steps are revisions of their own.
What a check asks and takes back belongs to the save that made it so, in the
caller's revision.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import PermissionDenied
from django.utils import timezone

from patients import query_life, selectors
from patients.actions.rules import clean_text
from patients.edit_checks import Doubt
from patients.models import DataQuery, LabResult, Patient, QueryMessage, Visit
from patients.query_life import Standing, State, Step
from trial import audit
from trial.models import User
from trial.refusals import Conflict, refuse
from trial.roles import PERMISSIONS, Permission, Role
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


SOURCE = "queries"
LONGEST_TEXT = 1000
CORRECTED = Sentence(_("The value was corrected; the check no longer objects."))
VOIDED = Sentence(_("What the question was about was voided."))
UNDONE = Sentence(_("The import that brought the value was undone."))
REASONS = {
    Step.OPENED: _("query opened"),
    Step.ANSWERED: _("query answered"),
    Step.CLOSED: _("query closed"),
    Step.REOPENED: _("query reopened"),
    Step.ASSIGNED: _("query passed on"),
}
_BY_ITSELF = _("query followed the data")
_PASSING = frozenset({"last", "days"})
"""Gaps of a check's sentence that tell what it compared with, not what was entered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a query is about: a visit, an infusion by its number, another row, or the subject."""

    topic: str
    visit: Visit | None = None
    number: int | None = None
    row: int | None = None

    def columns(self) -> dict[str, Any]:
        """Return what the query's row says of it."""
        return {"topic": self.topic, "visit": self.visit, "number": self.number, "row": self.row}


@dataclass(frozen=True, slots=True)
class Asked:
    """What an edit check asks of one field.

    ``entered`` is what the question rests on: somebody who closed it for these
    values is not asked again.
    """

    field: str
    rule: str
    sentence: Sentence
    detail: Sentence | None = None
    entered: str = ""

    def message(self) -> dict[str, str]:
        """Return the sentence as a message keeps it."""
        kept = self.sentence.kept()
        rest: dict[str, Any] = {"values": kept["values"], "entered": self.entered}
        if self.detail is not None:
            rest["detail"] = self.detail.kept()
        return {"text": kept["text"], "values": json.dumps(rest, ensure_ascii=False)}


# --- what a person does ---------------------------------------------------------------------


def standing(user: User, query: DataQuery | None = None) -> Standing:
    """Return what a person is to a query, or to queries at large."""
    return Standing(
        raises=user.may(Permission.RAISE_QUERIES),
        answers=user.may(Permission.ANSWER_QUERIES),
        closes=user.may(Permission.CLOSE_QUERIES),
        is_own=query is not None and not query.check_code and query.opened_by_id == user.pk,
    )


def open_query(
    *,
    patient: Patient,
    about: About,
    text: str,
    by: User,
    field: str = "",
    assigned_to: User | None = None,
) -> DataQuery:
    """Ask about a field, a visit, an infusion, another record or the subject.

    Without ``assigned_to`` the coordinators of the subject's site own it.

    Raises
    ------
    PermissionDenied
        If the person may not open queries.
    Refused
        If nothing is asked, or the owner cannot answer for the subject.
    """
    if not by.may(Permission.RAISE_QUERIES):
        raise PermissionDenied
    text = _text(text, needed=True)
    with audit.revision(by=by, reason=REASONS[Step.OPENED], source=SOURCE):
        patient = selectors.locked(patient)
        _refuse_owner(assigned_to, patient)
        query = _opened(patient, about, field, "", by, assigned_to)
        _say(query, Step.OPENED, by, text=text)
    return query


def answer_query(*, query: DataQuery, text: str, by: User, version: int | None = None) -> DataQuery:
    """Answer an open query; who asked judges the answer."""
    return _step(Step.ANSWERED, query, by, text, version)


def close_query(*, query: DataQuery, by: User, text: str = "", version: int | None = None) -> DataQuery:
    """Close a query, or take back a question of one's own."""
    return _step(Step.CLOSED, query, by, text, version)


def reopen_query(*, query: DataQuery, text: str, by: User, version: int | None = None) -> DataQuery:
    """Ask on: open an answered or a closed query again."""
    return _step(Step.REOPENED, query, by, text, version)


def assign_query(
    *, query: DataQuery, to: User | None, by: User, text: str = "", version: int | None = None
) -> DataQuery:
    """Pass a query on to a person; None gives it back to the coordinators of the site."""
    return _step(Step.ASSIGNED, query, by, text, version, to=to)


def _step(
    step: Step, query: DataQuery, by: User, text: str, version: int | None, *, to: User | None = None
) -> DataQuery:
    """Take one step.

    Raises
    ------
    PermissionDenied
        If the person's role never takes this step on this query.
    Conflict
        If ``version`` is given and somebody took a step after it.
    Refused
        If the query's state does not allow the step, or it has to say something.
    """
    with audit.revision(by=by, reason=REASONS[step], source=SOURCE):
        patient = selectors.locked(query.patient)
        stored: DataQuery = DataQuery.objects.select_for_update(of=("self",)).get(pk=query.pk)
        by_check = bool(stored.check_code)
        place = standing(by, stored)
        if not any(step in query_life.steps(state, place, by_check=by_check) for state in State):
            raise PermissionDenied
        if version is not None and stored.version != version:
            raise Conflict([], stored.version)
        if step not in query_life.steps(stored.state, place, by_check=by_check):
            raise refuse(
                "",
                stored.state,
                "wrong_state",
                Sentence(_("The query is not in a state for this step any more.")),
                Sentence(_("Read what was said last, then go on from there.")),
            )
        text = _text(text, needed=query_life.needs_text(step, stored.state, by_check=by_check))
        if step is Step.REOPENED and stored.state == State.CLOSED:
            _refuse_twin(stored)
        if step is Step.ASSIGNED:
            _refuse_owner(to, patient)
            stored.assigned_to = to
        stored.state = str(query_life.LEADS_TO[step] or stored.state)
        stored.version += 1
        stored.save(update_fields=["state", "assigned_to", "version"])
        _say(stored, step, by, text=text)
    return stored


def may_own(user: User, patient: Patient) -> bool:
    """Return whether a person can take part in a query on a subject."""
    if not user.is_active or not user.role:
        return False
    rights = PERMISSIONS[Role(user.role)]
    takes_part = {Permission.ANSWER_QUERIES, Permission.RAISE_QUERIES, Permission.CLOSE_QUERIES}
    return bool(takes_part & rights) and (user.sees_all_sites or user.site_id == patient.site_id)


def _refuse_owner(owner: User | None, patient: Patient) -> None:
    if owner is None or may_own(owner, patient):
        return
    raise refuse(
        "assigned_to",
        owner.shown_name,
        "not_an_owner",
        Sentence(_("%(name)s cannot take part in queries on this subject."), {"name": owner.shown_name}),
        Sentence(_("Choose somebody of the list.")),
    )


def _refuse_twin(query: DataQuery) -> None:
    """A check asks once: a closed question is not opened again beside a newer one."""
    if not query.check_code:
        return
    columns = {
        name: getattr(query, name)
        for name in ("patient_id", "topic", "visit_id", "number", "row", "field", "check_code")
    }
    twin = DataQuery.objects.filter(**columns).exclude(pk=query.pk).exclude(state=State.CLOSED).first()
    if twin is not None:
        raise refuse(
            "",
            "",
            "asked_again",
            Sentence(_("The check asked again meanwhile, in query %(number)s."), {"number": twin.pk}),
            Sentence(_("Go on there.")),
        )


def _text(text: str, *, needed: bool) -> str:
    cleaned = clean_text("text", text, most=LONGEST_TEXT).strip()
    if needed and not cleaned:
        raise refuse(
            "text",
            "",
            "nothing_said",
            Sentence(_("Nothing is written.")),
            Sentence(_("Write what is to be looked at, or what was found.")),
        )
    return cleaned


# --- what edit checks do --------------------------------------------------------------------


def sync_check_queries(
    *,
    patient: Patient,
    visit: Visit,
    doubts: Iterable[Doubt],
    by: User,
    confirmed: Collection[str] | None = None,
) -> None:
    """Let the queries of a visit follow its soft checks, in the caller's revision.

    Opens a query for every confirmed doubt, and closes every query of this visit
    whose check no longer fires. A question that a person closed for the same
    values is not asked again, and none is asked twice.

    Parameters
    ----------
    patient, visit
        The visit as it is stored now, its results written.
    doubts
        Every soft check that fires on what is stored now.
    by
        Who saves.
    confirmed
        Analytes whose doubt the person confirmed in this save; None for all.
    """
    results = {row.analyte: row for row in LabResult.objects.filter(visit=visit)}
    asked = [
        Asked(
            field=doubt.analyte,
            rule=doubt.rule,
            sentence=doubt.sentence,
            detail=doubt.detail,
            entered=rests_on(results.get(doubt.analyte), doubt),
        )
        for doubt in doubts
    ]
    sync_queries(
        patient=patient, about=About(topic="visit", visit=visit), asked=asked, by=by, confirmed=confirmed
    )


def rests_on(result: LabResult | None, doubt: Doubt) -> str:
    """Return what a doubt rests on: the result, and the other values that its sentence names."""
    own = "" if result is None else f"{result.comparator}{result.typed_text} {result.typed_unit}"
    named = {name: str(value) for name, value in doubt.sentence.values.items() if name not in _PASSING}
    return json.dumps([own, dict(sorted(named.items()))], ensure_ascii=False)


def sync_queries(
    *,
    patient: Patient,
    about: About,
    asked: Sequence[Asked],
    by: User,
    confirmed: Collection[str] | None = None,
) -> None:
    """Let the queries of any topic follow the checks that fire on it, in the caller's revision.

    ``asked`` holds every check that fires now; of a check that is not in it the
    open and answered queries on ``about`` close. ``confirmed`` are the fields
    that somebody confirmed in this save, None for all.
    """
    with audit.revision(by=by, source=SOURCE):
        patient = selectors.locked(patient)
        known = DataQuery.objects.filter(patient=patient, **about.columns()).exclude(check_code="")
        standing_now: dict[tuple[str, str], DataQuery] = {
            (query.field, query.check_code): query for query in known.exclude(state=State.CLOSED)
        }
        fires = {(each.field, each.rule) for each in asked}
        for place, query in standing_now.items():
            if place not in fires:
                _follow(query, Step.CLOSED, by, CORRECTED)
        wanted = [each for each in asked if confirmed is None or each.field in confirmed]
        if not wanted:
            return
        said = last_said(known)
        closed = settled(known)
        key = (patient.pk, about.visit.pk if about.visit else None)
        for each in wanted:
            place = (each.field, each.rule)
            stands = standing_now.get(place)
            if stands is None and (*key, each.field, each.rule, each.entered) not in closed:
                query = _opened(patient, about, each.field, each.rule, by, None)
                _say(query, Step.OPENED, by, **each.message())
            elif stands is not None and said.get(stands.pk, each.entered) != each.entered:
                # the value changed and is still in doubt: an answer was about another value
                _ask_anew(stands, each, by)


def close_queries_of_voided(*, patient: Patient, about: About, by: User) -> None:
    """Close every query on something that was voided, in the caller's revision."""
    with audit.revision(by=by, source=SOURCE):
        patient = selectors.locked(patient)
        found = DataQuery.objects.filter(patient=patient, **about.columns()).exclude(state=State.CLOSED)
        for query in found:
            _follow(query, Step.CLOSED, by, VOIDED)


def last_said(known: Any) -> dict[int, str]:
    """Return by query what the newest question of its check rests on."""
    asked = QueryMessage.objects.filter(
        query__in=known, step__in=[Step.OPENED, Step.REOPENED], values__gt=""
    ).order_by("id")
    return {message.query_id: _entered(message) for message in asked}


def settled(known: Any) -> set[tuple[int, int | None, str, str, str]]:
    """Return subject, visit, field, rule and values of every question that a person closed."""
    entered = last_said(known)
    closed_by = {
        message.query_id: not message.values
        for message in QueryMessage.objects.filter(query__in=known, step=Step.CLOSED).order_by("id")
    }
    return {
        (query.patient_id, query.visit_id, query.field, query.check_code, entered.get(query.pk, ""))
        for query in known.filter(state=State.CLOSED)
        if closed_by.get(query.pk)
    }


def _entered(message: QueryMessage) -> str:
    return str(json.loads(message.values).get("entered", ""))


def _ask_anew(query: DataQuery, asked: Asked, by: User) -> None:
    query.state = State.OPEN.value
    query.version += 1
    with audit.revision(by=by, reason=_BY_ITSELF):
        query.save(update_fields=["state", "version"])
    _say(query, Step.REOPENED, by, **asked.message())


def _follow(query: DataQuery, step: Step, by: User, why: Sentence) -> None:
    """Take a step for the software: it follows what happened to the data."""
    query.state = str(query_life.LEADS_TO[step] or query.state)
    query.version += 1
    with audit.revision(by=by, reason=_BY_ITSELF):
        query.save(update_fields=["state", "version"])
    kept = why.kept()
    _say(query, step, by, text=kept["text"], values=json.dumps({"values": kept["values"]}))


# --- rows -----------------------------------------------------------------------------------


def _opened(
    patient: Patient, about: About, field: str, check_code: str, by: User, assigned_to: User | None
) -> DataQuery:
    query = DataQuery(
        patient=patient,
        field=field,
        check_code=check_code,
        opened_by=by,
        opened_at=timezone.now(),
        assigned_to=assigned_to,
        **about.columns(),
    )
    query.save(force_insert=True)
    return query


def _say(query: DataQuery, step: Step, by: User, *, text: str, values: str = "") -> None:
    QueryMessage.objects.create(
        patient_id=query.patient_id,
        query=query,
        step=step.value,
        text=text,
        values=values,
        author=by,
        written_at=timezone.now(),
    )
