"""Two people on one visit: what a save would write, and where it collides with the other's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Any

from django.utils.translation import gettext

from patients.entries import LabEntry
from patients.models import Laboratory, LabResult, Visit
from trial import clock, protocol, units, vocabulary
from trial.models import AuditEntry, Site
from trial.refusals import Clash, Conflict

DAY, MOMENT, LABORATORY = "visited_on", "drawn_at", "laboratory"
DRAW = (DAY, MOMENT, LABORATORY)
"""Fields of the draw that two people can change, besides the analytes."""
FINDINGS = tuple(vocabulary.FINDINGS)
"""What was graded at the visit itself."""

_MISSING_LABELS = {reason.code: reason.label for reason in protocol.MISSING_REASONS}


@dataclass(frozen=True, slots=True)
class Changes:
    """What a save would write; ``corrects`` when something stored becomes something else.

    ``day``, ``moment`` and ``laboratory`` are None where they stay as they are;
    ``redrawn`` are the stored results that take a new moment or laboratory;
    ``findings`` holds the codes of what was graded anew, empty where a grade is taken back.
    """

    new: list[LabEntry]
    changed: list[LabEntry]
    redrawn: list[LabResult]
    day: date | None
    moment: datetime | None
    laboratory: Laboratory | None
    findings: Mapping[str, str]
    corrects: bool

    def __bool__(self) -> bool:
        return bool(self.new or self.changed or self.redrawn or self.day or self.findings)

    @property
    def took_place(self) -> bool:
        """Whether what is new says that the visit took place."""
        return bool(self.new) or any(self.findings.values())


@dataclass(frozen=True, slots=True)
class _Before:
    """The visit as it stood at the version a person had on screen, and who wrote each field last."""

    visited_on: date | None
    sampled_at: datetime | None
    laboratory_id: int | None
    findings: Mapping[str, str]
    results: Mapping[str, LabResult]
    authors: Mapping[str, str]


def changes(
    visit: Visit,
    stored: Mapping[str, LabResult],
    entries: Sequence[LabEntry],
    *,
    visited_on: date | None,
    sampled_at: datetime | None,
    laboratory: Laboratory | None,
    findings: Mapping[str, str],
    version: int | None,
    decided: Mapping[str, int],
) -> Changes:
    """Work out what is new, leaving alone what only the other person changed.

    Raises
    ------
    Conflict
        With every field that both changed, to different values.
    """
    merge = _Merge(visit, stored, version, decided)
    before, draw = merge.before, draw_of(stored.values())
    day = visited_on if visit.pk else None
    if not merge.is_mine(DAY, day, visit.visited_on, before and before.visited_on, lambda d: str(d or "")):
        day = None
    if not merge.is_mine(
        MOMENT,
        sampled_at,
        draw.sampled_at,
        before and before.sampled_at,
        lambda moment: _moment_said(moment, visit.patient.site),
    ):
        sampled_at = None
    if not merge.is_mine(
        LABORATORY,
        laboratory and laboratory.pk,
        draw.laboratory_id,
        before and before.laboratory_id,
        _laboratory_said,
    ):
        laboratory = None
    graded = {
        field: code
        for field, code in findings.items()
        if merge.is_mine(
            field,
            code,
            getattr(visit, field),
            before and before.findings.get(field, ""),
            partial(finding_said, field),
        )
    }
    fresh = [entry for entry in entries if merge.is_fresh(entry)]
    if merge.clashes:
        raise Conflict(merge.clashes, visit.version)
    changed = [entry for entry in fresh if entry.analyte in stored]
    retimed = [row for row in stored.values() if sampled_at is not None and row.sampled_at != sampled_at]
    moved = [row for row in stored.values() if laboratory is not None and row.laboratory_id != laboratory.pk]
    return Changes(
        new=[entry for entry in fresh if entry.analyte not in stored],
        changed=changed,
        redrawn=[row for row in stored.values() if row in retimed or row in moved],
        day=day,
        moment=sampled_at,
        laboratory=laboratory,
        findings=graded,
        corrects=bool(
            changed
            or (day and visit.visited_on)
            or ((fresh or any(graded.values())) and visit.not_done)
            or any(getattr(visit, field) for field in graded)
            or any(row.sampled_at for row in retimed)
            or any(row.laboratory_id for row in moved)
        ),
    )


class _Merge:
    """What two people did to one visit since one of them opened it."""

    def __init__(
        self, visit: Visit, stored: Mapping[str, LabResult], version: int | None, decided: Mapping[str, int]
    ) -> None:
        self.version, self.stored, self.decided = visit.version, stored, decided
        self.seen = visit.version if version is None else version
        is_behind = bool(visit.pk) and self.seen < visit.version
        self.before = _as_of(visit, list(stored.values()), self.seen) if is_behind else None
        self.clashes: list[Clash] = []

    def is_mine(self, field: str, mine: Any, theirs: Any, was: Any, said: Callable[[Any], str]) -> bool:
        """Return whether this person's value of the draw is written; note a clash where nobody can tell."""
        if mine is None or mine == theirs:
            return False
        if self.before is None or theirs == was or self.decided.get(field, -1) >= self.version:
            return True
        if mine != was:
            author = self.before.authors.get(field, "")
            self.clashes.append(Clash(field, said(mine), said(theirs), said(was), by=author))
        return False

    def is_fresh(self, entry: LabEntry) -> bool:
        """Return whether an entry is written; note a clash where nobody can tell."""
        row = self.stored.get(entry.analyte)
        if row is not None and same(row, entry):
            return False
        known = max(self.seen, self.decided.get(entry.analyte, -1))
        if self.before is None or row is None or row.version <= known:
            return True
        was = self.before.results.get(entry.analyte)
        if was is None or not same(was, entry):
            # where it still says what was there before, only the other person changed it
            self.clashes.append(
                Clash(
                    entry.analyte,
                    mine=shown(entry),
                    theirs=shown(row),
                    before="" if was is None else shown(was),
                    by=self.before.authors.get(entry.analyte, ""),
                )
            )
        return False


def seen_at(visit: Visit, stored: Mapping[str, LabResult], version: int) -> Mapping[str, LabResult]:
    """Return the results as they were at ``version``; nothing where nobody has written since."""
    if visit._state.adding or version >= visit.version:
        return {}
    return _as_of(visit, list(stored.values()), version).results


@dataclass(frozen=True, slots=True)
class Draw:
    """The moment and the laboratory that the results of a visit share."""

    sampled_at: datetime | None
    laboratory_id: int | None


def draw_of(rows: Iterable[LabResult]) -> Draw:
    """Return what the results of a visit share; None where none of them tells."""
    rows = list(rows)
    return Draw(
        next((row.sampled_at for row in rows if row.sampled_at), None),
        next((row.laboratory_id for row in rows if row.laboratory_id), None),
    )


def _as_of(visit: Visit, stored: Sequence[LabResult], version: int) -> _Before:
    """Read from the trail what the visit held at ``version``, and who wrote since."""
    day: date | None = None
    findings: dict[str, str] = {}
    authors: dict[str, str] = {}
    images = AuditEntry.objects.filter(table=Visit._meta.db_table, row=visit.pk)
    for entry in images.select_related("revision__actor").order_by("id"):
        image = entry.new or {}
        if entry.old is None or entry.old["visited_on"] != image["visited_on"]:
            authors[DAY] = entry.revision.actor.shown_name
        # a visit written before it had findings has none
        for field in FINDINGS:
            if ((entry.old or {}).get(field) or "") != (image.get(field) or ""):
                authors[field] = entry.revision.actor.shown_name
        if image["version"] <= version:
            day = date.fromisoformat(image["visited_on"]) if image["visited_on"] else None
            findings = {field: image.get(field) or "" for field in FINDINGS}
    results: dict[str, LabResult] = {}
    entries = AuditEntry.objects.filter(table=LabResult._meta.db_table, row__in=[r.pk for r in stored])
    for entry in entries.select_related("revision__actor").order_by("id"):
        image, old = entry.new or {}, entry.old or {}
        author = entry.revision.actor.shown_name
        authors[image["analyte"]] = author
        for field, column in ((MOMENT, "sampled_at"), (LABORATORY, "laboratory_id")):
            # a result added later takes over what the draw has
            if image.get(column) != old.get(column) and (old or field not in authors):
                authors[field] = author
        if image["version"] <= version:
            at = image["sampled_at"]
            results[image["analyte"]] = LabResult(
                analyte=image["analyte"],
                value=None if image["value"] is None else Decimal(str(image["value"])),
                comparator=image["comparator"],
                typed_text=image["typed_text"],
                typed_unit=image["typed_unit"],
                missing_reason=image["missing_reason"],
                sampled_at=None if at is None else datetime.fromisoformat(at),
                laboratory_id=image.get("laboratory_id"),
            )
    draw = draw_of(results.values())
    return _Before(day, draw.sampled_at, draw.laboratory_id, findings, results, authors)


# --- one result -----------------------------------------------------------------------------


def same(stored: LabResult, entry: LabEntry) -> bool:
    """Return whether an entry says what is stored."""
    if entry.value is None:
        return stored.value is None and stored.missing_reason == entry.missing_reason
    return (stored.value, stored.comparator, stored.typed_unit) == (
        entry.standard_value,
        entry.comparator,
        entry.unit,
    )


def shown(result: LabEntry | LabResult) -> str:
    """Write a result as it was typed, with its unit, or say why there is none."""
    if result.missing_reason:
        return gettext(_MISSING_LABELS[result.missing_reason])
    unit = result.unit if isinstance(result, LabEntry) else result.typed_unit
    return f"{result.typed_text or result.value} {units.symbol(unit)}"


def finding_said(field: str, code: str) -> str:
    """Return what a grade of a visit is called; empty where there is none."""
    return gettext(vocabulary.by_code(vocabulary.FINDINGS[field])[code].label) if code else ""


def _moment_said(moment: datetime | None, site: Site) -> str:
    return "" if moment is None else f"{moment.astimezone(clock.zone(site)):%Y-%m-%d %H:%M}"


def _laboratory_said(number: int | None) -> str:
    return "" if number is None else Laboratory.objects.get(pk=number).name
