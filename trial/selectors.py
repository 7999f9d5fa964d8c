"""What is read of the trail, always within what the reader may see.

Somebody of one site sees the revisions that touched its subjects, and of those
only the rows of its own subjects; what belongs to other sites is counted, never
shown. Rows of accounts and sites are for those who see all sites.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import chain
from typing import Any
from zoneinfo import ZoneInfo

from django.apps import apps
from django.conf import settings
from django.db import connection
from django.db.models import Count, Exists, F, Func, JSONField, Min, OuterRef, Q, QuerySet, Value
from django.http import Http404
from django.utils import timezone
from django.utils.translation import ngettext

from trial import marks, roles, story
from trial import trail_words as words
from trial.diff import TableDiff, build
from trial.exact_json import ExactDecoder
from trial.models import AuditEntry, Revision, User
from trial.story import Told
from trial.trail_words import HOUSEKEEPING, LOTS, Names

PER_PAGE = 40
ROWS_PER_PAGE = 100
MOST_TOLD = 40
"""A revision with more rows than this is told in numbers."""
MOST_COUNTED = 2000
"""Rows of a revision that a list counts before it says "at least"."""

LINES_LISTED = 4

SHARED = (LOTS, "infusions_releasetest", "infusions_custodyevent")
"""Tables whose rows belong to no subject and to every site."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Whose eyes: which site's rows, and whether names of people and codes of donors."""

    user: User
    site_id: int | None
    sees_identity: bool
    sees_donor: bool
    zone: ZoneInfo

    @property
    def sees_all(self) -> bool:
        return self.site_id is None


def reader(user: User) -> Reader:
    """Return what a person may see of the trail."""
    sees_identity = user.may(roles.Permission.VIEW_IDENTITY)
    sees_donor = roles.sees_donor(user)
    if user.sees_all_sites:
        return Reader(user, None, sees_identity, sees_donor, ZoneInfo(settings.TIME_ZONE))
    site = user.site
    assert site is not None, "a constraint gives every site role a site"
    return Reader(user, site.pk, sees_identity, sees_donor, ZoneInfo(site.time_zone))


# --- what may be seen -----------------------------------------------------------------------


def _subjects(eyes: Reader) -> QuerySet[Any]:
    patients: Any = apps.get_model("patients", "Patient")._default_manager
    subjects: QuerySet[Any] = patients.ever_visible_to(eyes.user)
    return subjects


def entries(eyes: Reader) -> QuerySet[AuditEntry]:
    """Return the rows of the trail that somebody may see."""
    if eyes.sees_all:
        return AuditEntry.objects.all()
    return AuditEntry.objects.filter(
        Q(patient_id__in=_subjects(eyes).values("pk")) | Q(patient_id=None, table__in=SHARED)
    )


def revisions(eyes: Reader) -> QuerySet[Revision]:
    """Return the revisions that somebody may see: all, or those that touched their site's subjects or are theirs."""
    numbered = Revision.objects.filter(number__isnull=False)
    if eyes.sees_all:
        return numbered
    # no entry has an empty op: the alternative makes PostgreSQL hash the subjects once instead of
    # looking one up for each entry, of which an import of another site has hundreds of thousands
    of_site = Q(patient_id__in=_subjects(eyes).values("pk")) | Q(op="")
    touched = AuditEntry.objects.filter(of_site, revision=OuterRef("pk"))
    return numbered.filter(Q(Exists(touched)) | Q(actor=eyes.user))


# --- a list of revisions --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list of revisions is narrowed to; empty means everything."""

    who: int | None = None
    subject: str = ""
    table: str = ""
    source: str = ""
    day_from: date | None = None
    day_to: date | None = None
    corrections: bool = False


@dataclass(frozen=True, slots=True)
class Listed:
    """A revision in a list: what it did, in words."""

    revision: Revision
    why: str
    note: str
    subject: str
    subject_count: int
    told: tuple[Told, ...]

    @property
    def icon(self) -> str:
        return self.told[0].icon if self.told else "file"

    @property
    def more_told(self) -> int:
        """How much stays untold in a list."""
        return max(0, len(self.told) - LINES_LISTED)

    @property
    def second_line(self) -> str:
        """What stands in grey below: facts, why, who."""
        facts = [told.note for told in self.told[:LINES_LISTED]]
        return " · ".join(filter(None, (*facts, self.why, self.revision.actor.shown_name)))


@dataclass(frozen=True, slots=True)
class Page:
    """Some revisions, newest first, with the numbers from which to go on."""

    revisions: tuple[Listed, ...] = ()
    older_before: int | None = None
    newer_after: int | None = None


class _Without(Func):
    """JSON without some keys."""

    template = "(%(expressions)s::text[])"
    arg_joiner = " - "
    output_field = JSONField()


def corrections(of: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
    """Keep the entries that change or delete what was entered; a counter that moved is no correction."""
    counters = Value("{" + ",".join(sorted(HOUSEKEEPING)) + "}")
    changed = Q(op=AuditEntry.Op.UPDATE) & ~Q(before=F("after"))
    compared = of.annotate(before=_Without(F("old"), counters), after=_Without(F("new"), counters))
    return compared.filter(Q(op=AuditEntry.Op.DELETE) | changed)


def narrowed(eyes: Reader, filters: Filters) -> QuerySet[Revision]:
    """Return the revisions somebody may see that answer to the filters."""
    found = revisions(eyes)
    of_revision = entries(eyes).filter(revision=OuterRef("pk"))
    if filters.who is not None:
        found = found.filter(actor=filters.who)
    if filters.subject:
        subjects = _subjects(eyes).filter(subject_id=filters.subject.strip().upper()).values("pk")
        found = found.filter(Exists(of_revision.filter(patient_id__in=subjects)))
    if filters.table:
        found = found.filter(Exists(of_revision.filter(table=filters.table)))
    if filters.source:
        found = found.filter(source__icontains=filters.source)
    if filters.day_from:
        found = found.filter(made_at__gte=datetime.combine(filters.day_from, time(), eyes.zone))
    if filters.day_to:
        after = filters.day_to + timedelta(days=1) if filters.day_to < date.max else filters.day_to
        found = found.filter(made_at__lt=datetime.combine(after, time(), eyes.zone))
    if filters.corrections:
        found = found.filter(Exists(corrections(of_revision)))
    return found


def page(eyes: Reader, filters: Filters, *, before: int | None = None, after: int | None = None) -> Page:
    """Return one page of revisions, newest first.

    Parameters
    ----------
    before, after
        Revision number from which to go on, to older or to newer ones.
    """
    found = narrowed(eyes, filters).select_related("actor")
    if after is not None:
        newer = list(found.filter(number__gt=after).order_by("number")[: PER_PAGE + 1])
        has_newer, has_older = len(newer) > PER_PAGE, True
        shown = newer[:PER_PAGE][::-1]
    else:
        older = found.filter(number__lt=before) if before is not None else found
        shown = list(older.order_by("-number")[: PER_PAGE + 1])
        has_newer, has_older = before is not None, len(shown) > PER_PAGE
        shown = shown[:PER_PAGE]
    if not shown:
        return Page(newer_after=0 if before is not None else None)
    return Page(
        tuple(listed(eyes, shown)),
        older_before=shown[-1].number if has_older else None,
        newer_after=shown[0].number if has_newer else None,
    )


_COUNTED = """
SELECT asked.id, counted."table", counted.op, count(*), array_agg(DISTINCT counted.patient_id)
FROM unnest(%s::bigint[]) AS asked (id) CROSS JOIN LATERAL (
    SELECT "table", op, patient_id FROM trial_auditentry
    WHERE revision_id = asked.id AND (%s::bigint IS NULL
        OR patient_id IN (SELECT id FROM patients_patient WHERE site_id = %s)
        OR patient_id IS NULL AND "table" = ANY(%s))
    LIMIT %s
) AS counted GROUP BY 1, 2, 3
"""


@dataclass(slots=True)
class _Tally:
    """How many rows of what a revision wrote, and whose, counted up to a limit."""

    counts: list[tuple[str, str, int]] = field(default_factory=list)
    patients: set[int] = field(default_factory=set)

    @property
    def rows(self) -> int:
        return sum(rows for _table, _op, rows in self.counts)

    @property
    def is_small(self) -> bool:
        return self.rows <= MOST_TOLD and len(self.patients) <= 1

    @property
    def may_be_a_merge(self) -> bool:
        """Whether it changed rows of subjects themselves, of two of them."""
        return len(self.patients) == 2 and any(
            (table, op) == (words.PATIENTS, AuditEntry.Op.UPDATE) for table, op, _rows in self.counts
        )


def _tallies(eyes: Reader, shown: Sequence[Revision]) -> dict[int, _Tally]:
    tallies = {revision.pk: _Tally() for revision in shown}
    values = [list(tallies), eyes.site_id, eyes.site_id, list(SHARED), MOST_COUNTED]
    with connection.cursor() as cursor:
        cursor.execute(_COUNTED, values)
        for revision, table, op, rows, patients in cursor.fetchall():
            tallies[revision].counts.append((table, op, rows))
            tallies[revision].patients.update(patient for patient in patients if patient is not None)
    return tallies


def listed(eyes: Reader, shown: Sequence[Revision], *, patient: int | None = None) -> list[Listed]:
    """Return revisions in words, with a constant number of queries.

    Parameters
    ----------
    patient
        Tell only what they did to this subject, and tell all of it.
    """
    tallies = _tallies(eyes, shown) if patient is None else {revision.pk: _Tally() for revision in shown}
    whole = Q(revision__in=[key for key, tally in tallies.items() if tally.is_small])
    pairs = [key for key, tally in tallies.items() if tally.may_be_a_merge and not tally.is_small]
    wanted = entries(eyes).filter(whole | Q(revision__in=pairs, table=words.PATIENTS) if pairs else whole)
    if patient is not None:
        # a code that was given up for this subject is told with it, and one that was taken back
        joined = Q(new__merged_into_id=patient) | Q(old__merged_into_id=patient)
        wanted = wanted.filter(Q(patient_id=patient) | Q(joined, table=words.PATIENTS))
    written: dict[int, list[AuditEntry]] = {}
    for entry in wanted.order_by("pk"):
        written.setdefault(entry.revision_id, []).append(entry)
    alone = {next(iter(tally.patients)) for tally in tallies.values() if len(tally.patients) == 1}
    names = names_of(chain.from_iterable(written.values()), {(words.PATIENTS, patient) for patient in alone})
    return [
        _listed(eyes, revision, tallies[revision.pk], written.get(revision.pk, []), names)
        for revision in shown
    ]


def _listed(
    eyes: Reader, revision: Revision, tally: _Tally, written: Sequence[AuditEntry], names: Names
) -> Listed:
    if tally.is_small:
        told = story.tell(written, names, sees_identity=eyes.sees_identity, sees_donor=eyes.sees_donor)
    else:
        in_numbers = story.tell_in_numbers(tally.counts, at_least=tally.rows >= MOST_COUNTED)
        told = [*story.tell_merges(written, names), in_numbers]
    why, note = words.reason_parts(revision.reason)
    subject = names.subject(next(iter(tally.patients))) if len(tally.patients) == 1 else ""
    return Listed(revision, why, note, subject, len(tally.patients), tuple(told))


# --- what rows are called -------------------------------------------------------------------

_NAMES = """
SELECT asked."table", asked."row", told.was::text
FROM unnest(%s::text[], %s::bigint[]) AS asked ("table", "row") CROSS JOIN LATERAL (
    SELECT coalesce(new, old) AS was FROM trial_auditentry
    WHERE "table" = asked."table" AND "row" = asked."row" ORDER BY id DESC LIMIT 1
) AS told
"""


def names_of(of: Iterable[AuditEntry], more: Iterable[tuple[str, int]] = ()) -> Names:
    """Return the rows that entries point to, as the trail last knew them; one query."""
    asked = set(more)
    for entry in of:
        asked |= words.references(row for row in (entry.old, entry.new) if row)
        if entry.patient_id is not None:
            asked.add((words.PATIENTS, entry.patient_id))
    if not asked:
        return Names()
    tables, rows = zip(*sorted(asked), strict=True)
    with connection.cursor() as cursor:
        cursor.execute(_NAMES, [list(tables), list(rows)])
        return Names(
            {(table, row): json.loads(was, cls=ExactDecoder) for table, row, was in cursor.fetchall()}
        )


# --- one revision ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shown:
    """One revision as a diff, within what the reader may see."""

    revision: Revision
    why: str
    note: str
    tables: tuple[TableDiff, ...]
    rows: int
    rows_elsewhere: int
    counts: tuple[tuple[str, int], ...]
    earlier: int | None
    later: int | None
    next_rows_after: int | None
    zone: ZoneInfo

    @property
    def written(self) -> str:
        """How much of it the reader sees: ``2 rows, 2 tables``."""
        rows = ngettext("%(n)s row", "%(n)s rows", self.rows) % {"n": f"{self.rows:,}"}
        tables = ngettext("%(n)s table", "%(n)s tables", len(self.counts)) % {"n": len(self.counts)}
        return f"{rows}{marks.comma()}{tables}"


def revision_or_404(eyes: Reader, number: int, *, patient: int | None = None, rows_after: int = 0) -> Shown:
    """Return a revision with its diff.

    Parameters
    ----------
    number
        Its number.
    patient
        Show only what it did to this subject, and walk this subject's revisions.
    rows_after
        Entry from which to go on in a revision of many rows.

    Raises
    ------
    Http404
        If there is none, or none that the reader may see.
    """
    seen = revisions(eyes)
    if patient is not None:
        seen = seen.filter(pk__in=entries(eyes).filter(patient_id=patient).values("revision"))
    revision = seen.filter(number=number).select_related("actor").first()
    if revision is None:
        raise Http404
    written = entries(eyes).filter(revision=revision)
    if patient is not None:
        written = written.filter(patient_id=patient)
    by_table = dict(written.order_by().values_list("table").annotate(rows=Count("pk")))
    rows = sum(by_table.values())
    some = list(written.filter(pk__gt=rows_after).order_by("pk")[: ROWS_PER_PAGE + 1])
    more, some = len(some) > ROWS_PER_PAGE, some[:ROWS_PER_PAGE]
    why, note = words.reason_parts(revision.reason)
    return Shown(
        revision=revision,
        why=why,
        note=note,
        tables=tuple(
            build(
                some,
                names_of(some),
                sees_identity=eyes.sees_identity,
                sees_donor=eyes.sees_donor,
                zone=eyes.zone,
            )
        ),
        rows=rows,
        rows_elsewhere=AuditEntry.objects.filter(revision=revision).count() - rows,
        counts=tuple((table, by_table[table]) for table in sorted(by_table)),
        earlier=seen.filter(number__lt=number).order_by("-number").values_list("number", flat=True).first(),
        later=seen.filter(number__gt=number).order_by("number").values_list("number", flat=True).first(),
        next_rows_after=some[-1].pk if more else None,
        zone=eyes.zone,
    )


# --- a subject's history --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class History:
    """The revisions that touched a subject, newest first."""

    revisions: tuple[Listed, ...]
    count: int
    corrections: int
    people: tuple[User, ...]
    older_before: int | None


KINDS: Mapping[str, tuple[str, ...]] = {
    "labs": (words.LABS, words.VISITS),
    "infusions": (words.INFUSIONS,),
}


def history(
    eyes: Reader, patient: int, *, kind: str = "", who: int | None = None, before: int | None = None
) -> History:
    """Return what happened to a subject.

    Parameters
    ----------
    kind
        ``labs``, ``infusions``, ``corrections`` or empty for everything.
    who
        Only what this person wrote.
    before
        Revision number from which to go on to older ones.
    """
    written = entries(eyes).filter(patient_id=patient)
    every = revisions(eyes).filter(pk__in=written.values("revision"))
    wanted = corrections(written) if kind == "corrections" else written
    if kind in KINDS:
        wanted = written.filter(table__in=KINDS[kind])
    found = every.filter(pk__in=wanted.values("revision"))
    if who is not None:
        found = found.filter(actor=who)
    if before is not None:
        found = found.filter(number__lt=before)
    shown = list(found.select_related("actor").order_by("-number")[: PER_PAGE + 1])
    more, shown = len(shown) > PER_PAGE, shown[:PER_PAGE]
    return History(
        revisions=tuple(listed(eyes, shown, patient=patient)),
        count=every.count(),
        corrections=every.filter(pk__in=corrections(written).values("revision")).count(),
        people=tuple(User.objects.filter(pk__in=every.values("actor")).order_by("first_name", "username")),
        older_before=shown[-1].number if more else None,
    )


def tables(eyes: Reader) -> list[tuple[str, Any]]:
    """Return the tables whose rows somebody may see, with their names."""
    closed = () if eyes.sees_all else (words.SITES, words.USERS)
    return [(table, label) for table, label in words.TABLES.items() if table not in closed]


def people(eyes: Reader) -> QuerySet[User]:
    """Return who may stand in the filter: those who wrote something, of one's own site or of all."""
    wrote = User.objects.filter(Exists(Revision.objects.filter(actor=OuterRef("pk"))))
    if not eyes.sees_all:
        wrote = wrote.filter(Q(site=eyes.site_id) | Q(site=None))
    return wrote.order_by("first_name", "last_name", "username")


# --- health ---------------------------------------------------------------------------------


def seconds_results_are_late() -> float:
    """Return for how long the oldest revision has waited to be in the results; 0 when none waits."""
    runs: Any = apps.get_model("analytics", "Run")._default_manager
    shown = runs.order_by("-revision").values_list("revision", flat=True).first() or 0
    oldest = Revision.objects.filter(number__gt=shown).aggregate(Min("made_at"))["made_at__min"]
    return (timezone.now() - oldest).total_seconds() if oldest else 0.0
