"""The patient list: filters kept in the address, an allow-list of sorts, pages by key.

Every page costs the same few queries, whatever the number of subjects: the sort
key of the last row, not a row number, says where the next page begins.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import django_filters
from django.db.models import (
    Count,
    DateField,
    Exists,
    F,
    IntegerField,
    Max,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
)
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from patients import schedule, upstairs, worklist
from patients.models import DataQuery, Outcome, Patient, Visit
from patients.query_life import State
from patients.schedule import Appointment
from trial import address, protocol
from trial.models import Site, User

PAGE = 50
LONGEST_SEARCH = 64
_LONG_AGO = date(1, 1, 1)
_NO_SCORE = -1000


# --- columns that are computed --------------------------------------------------------------


def _given() -> Coalesce:
    infusions = (
        upstairs.infusions()
        .filter(patient=OuterRef("pk"), voided_at__isnull=True)
        .order_by()
        .values("patient")
    )
    return Coalesce(Subquery(infusions.values(n=Count("pk"))[:1]), 0, output_field=IntegerField())


def _last_visit() -> Coalesce:
    visits = Visit.objects.valid().filter(patient=OuterRef("pk")).order_by().values("patient")
    return Coalesce(
        Subquery(visits.values(day=Max("visited_on"))[:1]), Value(_LONG_AGO), output_field=DateField()
    )


def _meld_now() -> Coalesce:
    """The reported score of the last visit that has one; a row that a later one replaced does not count."""
    scores = upstairs.scores()
    newer = scores.filter(
        patient=OuterRef("patient"),
        variant=OuterRef("variant"),
        visit=OuterRef("visit"),
        run__gt=OuterRef("run"),
    )
    newest = (
        scores.filter(
            patient=OuterRef("pk"),
            variant=protocol.DEFAULT_SCORE,
            visit__voided_at__isnull=True,
            reported__isnull=False,
        )
        .exclude(Exists(newer))
        .order_by(
            F("visit__visited_on").desc(nulls_last=True), F("visit__week").desc(nulls_last=True), "-visit_id"
        )
    )
    return Coalesce(Subquery(newest.values("reported")[:1]), _NO_SCORE, output_field=IntegerField())


# --- sorts ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sort:
    """A column the list can be sorted by; ``kind`` reads its key back from the address."""

    code: str
    column: str
    kind: type
    falls: bool = False


SORTS: Mapping[str, Sort] = {
    sort.code: sort
    for sort in (
        Sort("subject", "subject_id", str),
        Sort("-subject", "subject_id", str, falls=True),
        Sort("recruited", "recruited_key", date),
        Sort("-recruited", "recruited_key", date, falls=True),
        Sort("infusions", "given_count", int),
        Sort("-infusions", "given_count", int, falls=True),
        Sort("visit", "last_visit_key", date),
        Sort("-visit", "last_visit_key", date, falls=True),
        Sort("meld", "meld_now", int),
        Sort("-meld", "meld_now", int, falls=True),
    )
}
DEFAULT_SORT = "subject"


@dataclass(frozen=True, slots=True)
class Key:
    """Where a page begins or ends: the sorted value and the subject of one row."""

    value: Any
    subject_id: str

    def packed(self) -> str:
        """Return the key as it stands in an address."""
        value = self.value.isoformat() if isinstance(self.value, date) else self.value
        return base64.urlsafe_b64encode(json.dumps([value, self.subject_id]).encode()).decode().rstrip("=")

    @classmethod
    def unpacked(cls, text: str, kind: type) -> Key | None:
        """Read a key from an address; None when it is none."""
        try:
            value, subject_id = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            if kind is date:
                value = date.fromisoformat(value)
        except (ValueError, TypeError, binascii.Error, RecursionError):
            return None
        if type(value) is not kind or type(subject_id) is not str or "\x00" in f"{value}{subject_id}":
            return None
        if isinstance(value, int) and abs(value) >= 2**31:
            return None
        return cls(value, subject_id)


def key_of(asked: Mapping[str, str], name: str, kind: type) -> Key | None:
    """Return the key that an address names, None when it names none; what is no key is refused."""
    text = asked.get(name, "")
    key = Key.unpacked(text, kind) if text else None
    if text and key is None:
        raise address.no_place(name, text)
    return key


# --- filters --------------------------------------------------------------------------------


class ListFilter(django_filters.FilterSet):  # type: ignore[misc]
    """What the list can be narrowed to, as it stands in the address."""

    q = django_filters.CharFilter(
        label=gettext_lazy("Subject"), method="begins_with", max_length=LONGEST_SEARCH
    )
    site = django_filters.ModelChoiceFilter(
        label=gettext_lazy("Site"),
        queryset=Site.objects.all(),
        to_field_name="code",
        empty_label=gettext_lazy("all sites"),
    )
    diagnosis = django_filters.ChoiceFilter(
        label=gettext_lazy("Diagnosis"),
        choices=[(d.value, protocol.DIAGNOSIS_LABELS[d]) for d in protocol.Diagnosis],
        empty_label=gettext_lazy("any diagnosis"),
    )
    group = django_filters.ChoiceFilter(
        label=gettext_lazy("Group"),
        choices=[(group.code, group.code) for group in protocol.GROUPS],
        empty_label=gettext_lazy("any group"),
        method="in_group",
    )
    status = django_filters.ChoiceFilter(
        label=gettext_lazy("Status"),
        choices=[
            *Patient.Status.choices,
            ("ended", gettext_lazy("follow-up ended")),
        ],
        empty_label=gettext_lazy("any status"),
        method="in_status",
    )
    overdue = django_filters.ChoiceFilter(
        label=gettext_lazy("Due"),
        choices=[("1", gettext_lazy("overdue")), ("week", gettext_lazy("due within a week"))],
        empty_label=gettext_lazy("any time"),
        method="is_due",
    )
    queries = django_filters.ChoiceFilter(
        label=gettext_lazy("Queries"),
        choices=[("open", gettext_lazy("has an open query"))],
        empty_label=gettext_lazy("with or without"),
        method="has_query",
    )

    class Meta:
        model = Patient
        form = address.AddressForm
        fields = ("q", "site", "diagnosis", "group", "status", "overdue", "queries")

    def __init__(self, data: Mapping[str, Any] | None, *, user: User, queryset: QuerySet[Patient]) -> None:
        self.user = user
        super().__init__(data, queryset=queryset)
        if not user.sees_all_sites:
            del self.filters["site"]
        for choice in ("diagnosis",):
            self.filters[choice].extra["choices"] = [
                (code, _(label)) for code, label in self.filters[choice].extra["choices"]
            ]

    def begins_with(self, found: QuerySet[Patient], _name: str, text: str) -> QuerySet[Patient]:
        return found.filter(subject_id__istartswith=text.strip())

    def in_group(self, found: QuerySet[Any], _name: str, code: str) -> QuerySet[Any]:
        group = next(group for group in protocol.GROUPS if group.code == code)
        found = found.filter(diagnosis=group.diagnosis.value)
        if group.course is protocol.Course.PROLONGED:
            return found.filter(given_count__gte=protocol.PROLONGED_FROM)
        return found.filter(given_count__gt=0, given_count__lt=protocol.PROLONGED_FROM)

    def in_status(self, found: QuerySet[Patient], _name: str, status: str) -> QuerySet[Patient]:
        ended = Exists(Outcome.objects.valid().filter(patient=OuterRef("pk")))
        if status == "ended":
            return found.filter(ended)
        if status == Patient.Status.ENROLLED:
            return found.filter(~ended, status=status)
        return found.filter(status=status)

    def has_query(self, found: QuerySet[Patient], _name: str, _state: str) -> QuerySet[Patient]:
        asked = DataQuery.objects.filter(patient=OuterRef("pk")).exclude(state=State.CLOSED)
        return found.filter(Exists(asked))

    def is_due(self, found: QuerySet[Patient], _name: str, what: str) -> QuerySet[Patient]:
        wanted = {worklist.Section.OVERDUE} if what == "1" else set(worklist.Section)
        return found.filter(
            pk__in=[task.patient.pk for task in worklist.dated_tasks(self.user) if task.section in wanted]
        )


# --- the page -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ListRow:
    """One subject of the list."""

    patient: Patient
    record: worklist.Record
    next_due: Appointment | None

    @property
    def age(self) -> int | None:
        return self.patient.age_on(self.record.today)

    @property
    def group(self) -> str:
        return self.record.group

    @property
    def given(self) -> int:
        return self.record.given

    @property
    def planned(self) -> int:
        return max(self.record.facts.planned_infusions, *self.record.facts.given, 0)

    @property
    def diagnosis_label(self) -> str:
        """For the screen to translate."""
        return protocol.DIAGNOSIS_LABELS[protocol.Diagnosis(self.patient.diagnosis)]

    @property
    def pips(self) -> list[str]:
        """The looks of the planned infusions, as in the header of the subject."""
        return [a.state.value for a in schedule.infusions(self.record.facts, self.record.today)]

    @property
    def last_visit_on(self) -> date | None:
        day: date = self.patient.last_visit_key  # type: ignore[attr-defined]
        return None if day == _LONG_AGO else day

    @property
    def meld(self) -> int | None:
        score: int = self.patient.meld_now  # type: ignore[attr-defined]
        return None if score == _NO_SCORE else score

    @property
    def next_label(self) -> str:
        if self.next_due is None:
            return ""
        if self.next_due.kind is schedule.Kind.VISIT:
            return _("week %(week)s") % {"week": self.next_due.number}
        return _("infusion %(number)s") % {"number": self.next_due.number}

    @property
    def next_glyph(self) -> str:
        if self.next_due is None:
            return ""
        return {schedule.State.OVERDUE: "overdue", schedule.State.OPEN: "due"}.get(
            self.next_due.state, "open"
        )

    @property
    def next_state(self) -> str:
        return "" if self.next_due is None else _(schedule.STATE_LABELS[self.next_due.state])


@dataclass(frozen=True, slots=True)
class ListPage:
    """Rows, the filter they come from, and the keys of the neighbouring pages."""

    filter: ListFilter
    rows: tuple[ListRow, ...]
    total: int
    sort: str
    after: str
    before: str

    @property
    def is_narrowed(self) -> bool:
        return any(self.filter.form.cleaned_data.values()) if self.filter.form.is_valid() else False


def page(user: User, asked: Mapping[str, str]) -> ListPage:
    """Return one page of the list.

    ``asked`` is the query string: the filters of :class:`ListFilter`, ``sort``
    and the keys ``after`` or ``before``.

    Raises
    ------
    NotOffered
        For a choice, a sort or a key that no link of the list has.
    """
    sort = SORTS[address.one_of(asked, "sort", SORTS, DEFAULT_SORT)]
    filtered = ListFilter(asked, user=user, queryset=_listed(user))
    found = filtered.qs
    backwards = key_of(asked, "before", sort.kind)
    forwards = key_of(asked, "after", sort.kind) if backwards is None else None
    rising = sort.falls == (backwards is not None)
    key = backwards or forwards
    if key is not None:
        found = found.filter(_beyond(sort.column, key, rising=rising))
    direction = "" if rising else "-"
    ordered = list(found.order_by(f"{direction}{sort.column}", f"{direction}subject_id")[: PAGE + 1])
    more, patients = len(ordered) > PAGE, ordered[:PAGE]
    if backwards is not None:
        patients.reverse()
    has_next = more if backwards is None else True
    has_previous = forwards is not None if backwards is None else more
    rows = tuple(
        ListRow(each.patient, each, schedule.next_due(each.facts, each.today))
        for each in worklist.records(patients)
    )
    return ListPage(
        filter=filtered,
        rows=rows,
        total=filtered.qs.order_by().count(),
        sort=sort.code,
        after=_key_of(patients[-1], sort).packed() if patients and has_next else "",
        before=_key_of(patients[0], sort).packed() if patients and has_previous else "",
    )


def _listed(user: User) -> QuerySet[Patient]:
    listed: QuerySet[Patient] = (
        Patient.objects.visible_to(user)
        .select_related("site")
        .annotate(
            given_count=_given(),
            recruited_key=Coalesce("recruited_on", Value(_LONG_AGO), output_field=DateField()),
            last_visit_key=_last_visit(),
            meld_now=_meld_now(),
        )
    )
    return listed


def _beyond(column: str, key: Key, *, rising: bool) -> Q:
    way = "gt" if rising else "lt"
    if column == "subject_id":
        return Q(**{f"subject_id__{way}": key.subject_id})
    return Q(**{f"{column}__{way}": key.value}) | Q(
        **{column: key.value, f"subject_id__{way}": key.subject_id}
    )


def _key_of(patient: Patient, sort: Sort) -> Key:
    return Key(getattr(patient, sort.column), patient.subject_id)


# --- the jump box ---------------------------------------------------------------------------


def jump(user: User, text: str, *, most: int = 8) -> list[Patient]:
    """Return the visible subjects whose code begins with ``text``, or holds it after the site's letters."""
    wanted = text.strip()[:LONGEST_SEARCH]
    if not wanted:
        return []
    visible = Patient.objects.visible_to(user).select_related("site").order_by("subject_id")
    found = list(visible.filter(subject_id__istartswith=wanted)[:most])
    if not found:
        # "031" for GE-031: the part behind the site's letters is what people say
        found = list(visible.filter(subject_id__icontains=f"-{wanted}")[:most])
    return found
