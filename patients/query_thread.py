"""One query with everything around it: the conversation, and the value it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.db.models import QuerySet
from django.http import Http404
from django.utils.translation import gettext as _

from patients import query_words, upstairs
from patients.actions.panel_merge import shown
from patients.actions.queries import About, may_own, standing
from patients.models import (
    AdverseEvent,
    DataQuery,
    LabResult,
    Outcome,
    Patient,
    QueryMessage,
    Screening,
    Treatment,
    Visit,
)
from patients.printing import in_print
from patients.query_life import Step, steps
from trial import marks, protocol
from trial import trail_words as words
from trial.models import AuditEntry, Revision, User
from trial.roles import Role
from trial.unit_words import unit_said

MOST_EARLIER = 4


@dataclass(frozen=True, slots=True)
class Said:
    """One message of the conversation, in the reader's language."""

    message: QueryMessage

    @property
    def author(self) -> str:
        return str(self.message.author.shown_name)

    @property
    def did(self) -> str:
        return query_words.step_text(self.message)

    @property
    def text(self) -> str:
        return query_words.said(self.message)

    @property
    def detail(self) -> str:
        return query_words.detail(self.message)

    @property
    def written_at(self) -> datetime:
        return self.message.written_at

    @property
    def by_check(self) -> bool:
        return bool(self.message.values)


@dataclass(frozen=True, slots=True)
class Earlier:
    """A value of the same analyte at another draw."""

    place: str
    drawn_on: date | None
    shown: str


@dataclass(frozen=True, slots=True)
class Asked:
    """The value as it stood when the question was asked, and who changed it first."""

    typed: str
    changed_at: datetime
    by: str


@dataclass(frozen=True, slots=True)
class Value:
    """The value in question, as it stands now."""

    label: str
    typed: str
    standard: str
    laboratory: str
    sampled_at: datetime | None
    earlier: tuple[Earlier, ...]
    asked: Asked | None = None


@dataclass(frozen=True, slots=True)
class Thread:
    """Everything the page of a query shows."""

    query: DataQuery
    said: tuple[Said, ...]
    value: Value | None
    steps: frozenset[Step]
    owners: tuple[User, ...]

    @property
    def title(self) -> str:
        return query_words.title(self.query)

    @property
    def rule(self) -> str:
        return query_words.rule_text(self.query)

    @property
    def owner(self) -> str:
        return query_words.owner(self.query)

    @property
    def may_answer(self) -> bool:
        return Step.ANSWERED in self.steps

    @property
    def may_close(self) -> bool:
        return Step.CLOSED in self.steps

    @property
    def may_reopen(self) -> bool:
        return Step.REOPENED in self.steps

    @property
    def may_assign(self) -> bool:
        return Step.ASSIGNED in self.steps

    @property
    def writes(self) -> bool:
        return bool(self.steps)


def asked_in(revision: Revision) -> DataQuery:
    """Return the query that a revision opened."""
    rows = AuditEntry.objects.filter(revision=revision, table=DataQuery._meta.db_table).values("row")
    found: DataQuery = DataQuery.objects.get(pk__in=rows)
    return found


def query_or_404(user: User, subject_id: str, query_id: int) -> DataQuery:
    """Return a query on a subject that this person may see."""
    found: DataQuery | None = (
        DataQuery.objects.visible_to(user)
        .filter(patient__subject_id=subject_id, pk=query_id)
        .select_related("patient__site", "visit", "assigned_to", "opened_by")
        .first()
    )
    if found is None:
        raise Http404
    return found


def thread(query: DataQuery, user: User) -> Thread:
    """Return a query with its conversation and the value it is about."""
    messages = query.messages.select_related("author").order_by("id")
    return Thread(
        query=query,
        said=tuple(Said(message) for message in messages),
        value=_value(query),
        steps=steps(query.state, standing(user, query), by_check=bool(query.check_code)),
        owners=tuple(owners(query.patient)),
    )


def owners(patient: Patient) -> list[User]:
    """Return who can own a query on a subject, by name."""
    people: QuerySet[User] = User.objects.filter(
        is_active=True, role__in=[Role.COORDINATOR, Role.HEPATOLOGIST, Role.MONITOR, Role.DATA_MANAGER]
    )
    return [person for person in people.order_by("last_name", "username") if may_own(person, patient)]


def _value(query: DataQuery) -> Value | None:
    """Return the laboratory value in question with its neighbours; None for another kind of field."""
    analyte = protocol.ANALYTES.get(query.field)
    if analyte is None or query.visit_id is None:
        return None
    results = list(
        LabResult.objects.filter(
            patient=query.patient_id, analyte=analyte.code, visit__voided_at__isnull=True
        ).select_related("visit", "laboratory")
    )
    results.sort(key=lambda r: (r.visit.visited_on or date.max, r.visit.week or 0, r.visit_id))
    place = next((i for i, r in enumerate(results) if r.visit_id == query.visit_id), None)
    if place is None:
        return Value(words.analyte_label(analyte.code), _("no value is stored"), "", "", None, ())
    here = results[place]
    standard = "" if here.value is None else f"{here.comparator}{_standard(here)} {unit_said(analyte.unit)}"
    before = results[max(0, place - MOST_EARLIER) : place]
    return Value(
        label=words.analyte_label(analyte.code),
        typed=shown(here),
        standard=standard if here.is_converted else "",
        laboratory=here.laboratory.name if here.laboratory else "",
        sampled_at=here.sampled_at,
        earlier=tuple(
            Earlier(words.draw_label(_visit(r.visit)), r.visit.visited_on, _shown(r))
            for r in reversed(before)
        ),
        asked=_asked(query, here),
    )


def _asked(query: DataQuery, result: LabResult) -> Asked | None:
    """Return what was asked about, or None while it stands unchanged."""
    entries = AuditEntry.objects.filter(
        table=LabResult._meta.db_table,
        row=result.pk,
        op=AuditEntry.Op.UPDATE,
        revision__made_at__gt=query.opened_at,
    )
    for entry in entries.select_related("revision__actor").order_by("pk"):
        old, new = (_typed(row or {}) for row in (entry.old, entry.new))
        if old != new:
            return Asked(old, entry.revision.made_at, str(entry.revision.actor.shown_name))
    return None


def _typed(row: Mapping[str, object]) -> str:
    """Return what a row of the trail says as typed: a value with its unit, or why there is none."""
    if reason := row.get("missing_reason"):
        return str(words.value_text(LabResult._meta.db_table, "missing_reason", reason, words.Names()))
    return f"{row.get('typed_text') or ''} {unit_said(str(row.get('typed_unit') or ''))}".strip()


def _visit(visit: Visit) -> dict[str, object]:
    return {"week": visit.week, "visited_on": visit.visited_on}


def _standard(result: LabResult) -> str:
    return in_print(result.value or Decimal(0), result.decimals)


def _shown(result: LabResult) -> str:
    if result.value is None:
        return shown(result)
    return f"{result.comparator}{_standard(result)} {unit_said(protocol.ANALYTES[result.analyte].unit)}"


# --- what can be asked about ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing of a subject that a question can be about."""

    code: str
    label: str
    about: About


def choices(patient: Patient) -> Sequence[Choice]:
    """Return everything of a subject that somebody can ask about, the subject itself first."""
    found = [Choice("subject", _("the subject"), About(topic="subject"))]
    visits = sorted(
        Visit.objects.valid().filter(patient=patient),
        key=lambda v: (v.visited_on or date.max, v.week or 0, v.pk),
    )
    for visit in visits:
        day = f", {visit.visited_on.isoformat()}" if visit.visited_on and visit.week is not None else ""
        label = f"{words.visit_label(_visit(visit))}{day}"
        found.append(Choice(f"visit-{visit.pk}", label, About(topic="visit", visit=visit)))
    infusions = upstairs.infusions().filter(patient=patient, voided_at__isnull=True).order_by("number")
    for number, given_on in infusions.values_list("number", "given_on"):
        label = _("infusion %(number)s, %(day)s") % {"number": number, "day": given_on}
        found.append(Choice(f"infusion-{number}", label, About(topic="infusion", number=number)))
    rows = {
        model: model.objects.valid().filter(patient=patient).order_by(day, "id")
        for model, day in (
            (Screening, "screened_on"),
            (AdverseEvent, "onset_on"),
            (Treatment, "started_on"),
            (Outcome, "happened_on"),
        )
    }
    found += [
        _row("screening", each.pk, _("screening of %(day)s") % {"day": each.screened_on})
        for each in rows[Screening]
    ]
    found += [
        _row("event", each.pk, f"{_(each.term)}{marks.comma()}{each.onset_on}") for each in rows[AdverseEvent]
    ]
    found += [
        _row("treatment", each.pk, f"{_(each.get_kind_display())}{marks.comma()}{each.started_on}")
        for each in rows[Treatment]
    ]
    found += [
        _row("outcome", each.pk, f"{_(each.get_kind_display())}{marks.comma()}{each.happened_on}")
        for each in rows[Outcome]
    ]
    return found


def _row(topic: str, row: int, label: str) -> Choice:
    return Choice(f"{topic}-{row}", str(label), About(topic=topic, row=row))
