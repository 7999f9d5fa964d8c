"""The list of queries: filters kept in the address, an allow-list of sorts, pages by key.

Like the patient list it costs the same few queries, whatever the number of rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import django_filters
from django.db.models import Count, Max, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from patients import query_words
from patients.listing import LONGEST_SEARCH, Key, key_of
from patients.models import DataQuery, Patient, QueryMessage
from patients.query_life import State, Step
from trial import address, protocol, vocabulary
from trial.models import Site, User
from trial.roles import Permission, Role

PAGE = 50
OLD_DAYS = 14
"""A query that is not closed after so many days is called old; our assumption."""


def on_me(user: User) -> Q:
    """Return which queries wait for a person.

    An open one waits for its owner, or for the coordinators of the site; an
    answered one for whoever asked, or, when a check asked, for those who close.
    """
    waits = Q(state=State.OPEN, assigned_to=user) | Q(state=State.ANSWERED, opened_by=user, check_code="")
    if user.role == Role.COORDINATOR:
        waits |= Q(state=State.OPEN, assigned_to__isnull=True, patient__site=user.site_id)
    if user.may(Permission.CLOSE_QUERIES):
        waits |= Q(state=State.ANSWERED) & ~Q(check_code="")
    return waits


def number_on_me(user: User) -> int:
    """Return how many queries wait for a person."""
    return int(DataQuery.objects.visible_to(user).filter(on_me(user)).count())


# --- sorts ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sort:
    """A column the list can be sorted by; the key of a row breaks ties."""

    code: str
    column: str
    kind: type
    falls: bool = False


SORTS: Mapping[str, Sort] = {
    sort.code: sort
    for sort in (
        # rows are numbered in the order in which they were asked
        Sort("opened", "id", int),
        Sort("-opened", "id", int, falls=True),
        Sort("subject", "patient__subject_id", str),
        Sort("-subject", "patient__subject_id", str, falls=True),
    )
}
DEFAULT_SORT = "opened"


# --- filters --------------------------------------------------------------------------------


class QueryFilter(django_filters.FilterSet):  # type: ignore[misc]
    """What the list can be narrowed to, as it stands in the address; without a state, what is not closed."""

    q = django_filters.CharFilter(
        label=gettext_lazy("Subject"), method="begins_with", max_length=LONGEST_SEARCH
    )
    state = django_filters.ChoiceFilter(
        label=gettext_lazy("State"),
        choices=[
            ("open", pgettext_lazy("state of a query", "open")),
            ("answered", gettext_lazy("answered")),
            ("closed", gettext_lazy("closed")),
            ("any", gettext_lazy("any state")),
        ],
        empty_label=gettext_lazy("not closed"),
        method="in_state",
    )
    site = django_filters.ModelChoiceFilter(
        label=gettext_lazy("Site"),
        queryset=Site.objects.all(),
        field_name="patient__site",
        to_field_name="code",
        empty_label=gettext_lazy("all sites"),
    )
    field = django_filters.ChoiceFilter(
        label=gettext_lazy("About"),
        choices=[
            *((analyte.code, gettext_lazy(analyte.label)) for analyte in protocol.PANEL),
            *((f"topic-{term.code}", gettext_lazy(term.label)) for term in vocabulary.QUERY_TOPICS),
        ],
        empty_label=gettext_lazy("anything"),
        method="about",
    )
    by = django_filters.ChoiceFilter(
        label=gettext_lazy("Asked by"),
        choices=[
            ("check", gettext_lazy("an edit check")),
            ("person", gettext_lazy("a person")),
            ("me", gettext_lazy("me")),
        ],
        empty_label=gettext_lazy("anybody"),
        method="asked_by",
    )
    owner = django_filters.ChoiceFilter(
        label=gettext_lazy("Waits for"),
        choices=[("me", gettext_lazy("me"))],
        empty_label=gettext_lazy("anybody"),
        method="waits_for",
    )
    age = django_filters.ChoiceFilter(
        label=gettext_lazy("Age"),
        choices=[(str(days), gettext_lazy("over %(days)s days")) for days in (7, OLD_DAYS, 30)],
        empty_label=gettext_lazy("any age"),
        method="older_than",
    )

    class Meta:
        model = DataQuery
        form = address.AddressForm
        fields = ("q", "state", "site", "field", "by", "owner", "age")

    def __init__(self, data: Mapping[str, Any] | None, *, user: User, queryset: QuerySet[DataQuery]) -> None:
        self.user = user
        super().__init__(data, queryset=queryset)
        if not user.sees_all_sites:
            del self.filters["site"]
        for name in ("state", "field"):
            self.filters[name].extra["choices"] = [
                (code, _(str(label))) for code, label in self.filters[name].extra["choices"]
            ]
        self.filters["age"].extra["choices"] = [
            (code, str(label) % {"days": code}) for code, label in self.filters["age"].extra["choices"]
        ]

    def begins_with(self, found: QuerySet[DataQuery], _name: str, text: str) -> QuerySet[DataQuery]:
        return found.filter(patient__subject_id__istartswith=text.strip())

    def in_state(self, found: QuerySet[DataQuery], _name: str, state: str) -> QuerySet[DataQuery]:
        return found if state == "any" else found.filter(state=state)

    def about(self, found: QuerySet[DataQuery], _name: str, what: str) -> QuerySet[DataQuery]:
        if what.startswith("topic-"):
            return found.filter(topic=what.removeprefix("topic-"))
        return found.filter(field=what)

    def asked_by(self, found: QuerySet[DataQuery], _name: str, who: str) -> QuerySet[DataQuery]:
        if who == "check":
            return found.exclude(check_code="")
        found = found.filter(check_code="")
        return found.filter(opened_by=self.user) if who == "me" else found

    def waits_for(self, found: QuerySet[DataQuery], _name: str, _who: str) -> QuerySet[DataQuery]:
        return found.filter(on_me(self.user))

    def older_than(self, found: QuerySet[DataQuery], _name: str, days: str) -> QuerySet[DataQuery]:
        return found.filter(opened_at__lt=timezone.now() - timedelta(days=int(days)))

    @property
    def qs(self) -> QuerySet[DataQuery]:
        found: QuerySet[DataQuery] = super().qs
        state = self.form.cleaned_data.get("state") if self.form.is_valid() else ""
        return found if state else found.exclude(state=State.CLOSED)


# --- the page -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class QueryRow:
    """One query of the list: what it asks now, and what happened last."""

    query: DataQuery
    asks: QueryMessage | None
    last: QueryMessage | None
    waits_for_me: bool
    days: int

    @property
    def what(self) -> str:
        return query_words.title(self.query)

    @property
    def question(self) -> str:
        return query_words.said(self.asks) if self.asks else ""

    @property
    def answer(self) -> str:
        """What was answered, while somebody has to judge it."""
        is_answered = self.query.state == State.ANSWERED and self.last is not None
        return query_words.said(self.last) if is_answered and self.last else ""

    @property
    def owner(self) -> str:
        return query_words.owner(self.query)

    @property
    def is_old(self) -> bool:
        return self.query.state != State.CLOSED and self.days > OLD_DAYS


@dataclass(frozen=True, slots=True)
class Counts:
    """How many queries a person sees, by what can be done about them."""

    on_me: int
    open: int
    answered: int
    old: int


@dataclass(frozen=True, slots=True)
class QueryPage:
    """Rows, the filter they come from, and the keys of the neighbouring pages.

    ``stamp`` changes with every step of every query that this person sees.
    """

    filter: QueryFilter
    rows: tuple[QueryRow, ...]
    counts: Counts
    total: int
    sort: str
    after: str
    before: str
    stamp: str

    @property
    def is_narrowed(self) -> bool:
        return any(self.filter.form.cleaned_data.values()) if self.filter.form.is_valid() else False


def stamp(user: User, patient: Patient | None = None) -> str:
    """Return what changes with every step of the queries that a person sees."""
    messages = QueryMessage.objects.visible_to(user)
    if patient is not None:
        messages = messages.filter(patient=patient)
    found = messages.aggregate(newest=Max("id"), number=Count("id"))
    return f"{found['newest'] or 0}.{found['number']}"


def page(user: User, asked: Mapping[str, str]) -> QueryPage:
    """Return one page of the list.

    ``asked`` is the query string: the filters of :class:`QueryFilter`, ``sort``
    and the keys ``after`` or ``before``.

    Raises
    ------
    NotOffered
        For a choice, a sort or a key that no link of the list has.
    """
    now_stamp = stamp(user)
    sort = SORTS[address.one_of(asked, "sort", SORTS, DEFAULT_SORT)]
    visible = DataQuery.objects.visible_to(user)
    filtered = QueryFilter(asked, user=user, queryset=visible)
    found = filtered.qs
    backwards = _key(asked, "before", sort)
    forwards = _key(asked, "after", sort) if backwards is None else None
    rising = sort.falls == (backwards is not None)
    key = backwards or forwards
    if key is not None:
        found = found.filter(_beyond(sort, key, rising=rising))
    direction = "" if rising else "-"
    order = [f"{direction}{sort.column}"] + ([] if sort.column == "id" else [f"{direction}id"])
    ordered = list(_with_everything(found).order_by(*order)[: PAGE + 1])
    more, queries = len(ordered) > PAGE, ordered[:PAGE]
    if backwards is not None:
        queries.reverse()
    has_next = more if backwards is None else True
    has_previous = forwards is not None if backwards is None else more
    return QueryPage(
        filter=filtered,
        rows=rows(queries, user),
        counts=_counts(visible, user),
        total=filtered.qs.order_by().count(),
        sort=sort.code,
        after=_key_of(queries[-1], sort).packed() if queries and has_next else "",
        before=_key_of(queries[0], sort).packed() if queries and has_previous else "",
        stamp=now_stamp,
    )


def rows(queries: list[DataQuery], user: User) -> tuple[QueryRow, ...]:
    """Return queries with what they ask and what happened last, in two queries."""
    ids = [query.pk for query in queries]
    asks: dict[int, QueryMessage] = {}
    last: dict[int, QueryMessage] = {}
    for message in QueryMessage.objects.filter(query__in=ids).select_related("author").order_by("id"):
        last[message.query_id] = message
        if message.step in (Step.OPENED, Step.REOPENED):
            asks[message.query_id] = message
    mine = set(DataQuery.objects.filter(pk__in=ids).filter(on_me(user)).values_list("pk", flat=True))
    now = timezone.now()
    return tuple(
        QueryRow(query, asks.get(query.pk), last.get(query.pk), query.pk in mine, _days(query.opened_at, now))
        for query in queries
    )


def of_patient(user: User, patient: Patient) -> tuple[QueryRow, ...]:
    """Return every query on a subject: what is not closed first, then the newest."""
    found = list(_with_everything(DataQuery.objects.visible_to(user).filter(patient=patient)))
    order = {state.value: place for place, state in enumerate(State)}
    found.sort(key=lambda query: (order[query.state], -query.pk))
    return rows(found, user)


def _with_everything(found: QuerySet[DataQuery]) -> QuerySet[DataQuery]:
    return found.select_related("patient__site", "visit", "assigned_to", "opened_by")


def _counts(visible: QuerySet[DataQuery], user: User) -> Counts:
    old = timezone.now() - timedelta(days=OLD_DAYS)
    found = visible.order_by().aggregate(
        on_me=Count("pk", filter=on_me(user)),
        open=Count("pk", filter=Q(state=State.OPEN)),
        answered=Count("pk", filter=Q(state=State.ANSWERED)),
        old=Count("pk", filter=~Q(state=State.CLOSED) & Q(opened_at__lt=old)),
    )
    return Counts(**found)


def _days(opened_at: datetime, now: datetime) -> int:
    return max(0, (now - opened_at).days)


def _key(asked: Mapping[str, str], name: str, sort: Sort) -> Key | None:
    """Read a key: the sorted value, and the number of the row."""
    key = key_of(asked, name, sort.kind)
    if key is not None and not (
        key.subject_id.isascii() and key.subject_id.isdigit() and len(key.subject_id) <= 18
    ):
        raise address.no_place(name, asked[name])
    return key


def _beyond(sort: Sort, key: Key, *, rising: bool) -> Q:
    way = "gt" if rising else "lt"
    if sort.column == "id":
        return Q(**{f"id__{way}": key.value})
    tie = Q(**{sort.column: key.value, f"id__{way}": int(key.subject_id)})
    return Q(**{f"{sort.column}__{way}": key.value}) | tie


def _key_of(query: DataQuery, sort: Sort) -> Key:
    value = query.pk if sort.column == "id" else query.patient.subject_id
    return Key(value, str(query.pk))
