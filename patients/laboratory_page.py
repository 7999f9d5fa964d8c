"""What the pages of laboratories show: the ranges by analyte, and what was changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import chain, groupby

from django.db.models import Count, Q, QuerySet
from django.http import Http404
from django.utils import timezone
from django.utils.translation import gettext as _

from patients import ranges
from patients.actions.laboratories import in_unit
from patients.models import Laboratory, LaboratoryUnit, ReferenceRange
from trial import protocol, story, trail_words
from trial import selectors as trail
from trial.models import AuditEntry, Revision, User
from trial.protocol import Analyte, Limits, Sex
from trial.unit_words import unit_said

NEWEST_CHANGES = 20


@dataclass(frozen=True, slots=True)
class RangeLine:
    """One range in the laboratory's own unit."""

    row: ReferenceRange
    low: Decimal | None
    high: Decimal | None
    is_over: bool

    @property
    def unit(self) -> str:
        return unit_said(self.row.typed_unit)

    @property
    def sex(self) -> str:
        """For whom, as far as the sex goes."""
        return _(protocol.SEX_LABELS[Sex(self.row.sex)]) if self.row.sex else _("both sexes")

    @property
    def ages(self) -> str:
        """For whom, as far as the age goes; empty for all ages."""
        youngest, oldest = self.row.age_from, self.row.age_to
        if (youngest, oldest) == (ranges.YOUNGEST, ranges.OLDEST):
            return ""
        if oldest == ranges.OLDEST:
            return _("from %(age)s years") % {"age": youngest}
        if youngest == ranges.YOUNGEST:
            return _("up to %(age)s years") % {"age": oldest}
        return _("%(first)s to %(last)s years") % {"first": youngest, "last": oldest}


@dataclass(frozen=True, slots=True)
class AnalyteLines:
    """The ranges of one analyte; without any, the protocol's stands in."""

    analyte: Analyte
    unit: str
    lines: tuple[RangeLine, ...]
    stands_in: tuple[tuple[str, Limits], ...]

    @property
    def unit_symbol(self) -> str:
        return unit_said(self.unit)


def laboratories(user: User) -> QuerySet[Laboratory]:
    """Return the laboratories a person may see, with the number of their valid ranges."""
    visible = Laboratory.objects.visible_to(user).select_related("site")
    return visible.annotate(
        range_count=Count("ranges", filter=Q(ranges__voided_at__isnull=True), distinct=True)
    )


def laboratory_or_404(user: User, code: str) -> Laboratory:
    """Return a laboratory a person may see; another site's is as absent as a missing one."""
    found = Laboratory.objects.visible_to(user).select_related("site").filter(code=code).first()
    if found is None:
        raise Http404
    return found


def range_or_404(laboratory: Laboratory, range_id: int) -> ReferenceRange:
    """Return a valid range of a laboratory."""
    found = ReferenceRange.objects.filter(laboratory=laboratory, pk=range_id, voided_at__isnull=True).first()
    if found is None:
        raise Http404
    return found


def reported_units(laboratory: Laboratory) -> dict[str, str]:
    """Return the unit in which a laboratory reports each analyte of the panel."""
    own = dict(LaboratoryUnit.objects.filter(laboratory=laboratory).values_list("analyte", "unit"))
    return {analyte.code: own.get(analyte.code, analyte.unit) for analyte in protocol.PANEL}


def by_analyte(laboratory: Laboratory, today: date) -> list[AnalyteLines]:
    """Return the ranges of a laboratory by analyte, the newest first, in two queries."""
    reported = reported_units(laboratory)
    lines: dict[str, list[RangeLine]] = {}
    rows = ReferenceRange.objects.filter(laboratory=laboratory, voided_at__isnull=True)
    for row in rows.order_by("-valid_from", "sex", "age_from", "id"):
        lines.setdefault(row.analyte, []).append(line(row, today))
    return [
        AnalyteLines(
            analyte,
            reported[analyte.code],
            tuple(lines.get(analyte.code, ())),
            () if analyte.code in lines else _stand_in(analyte, reported[analyte.code]),
        )
        for analyte in protocol.PANEL
    ]


def line(row: ReferenceRange, today: date) -> RangeLine:
    """Return a range in the unit it was typed in."""
    low, high = (in_unit(side, row.analyte, row.typed_unit) for side in (row.low, row.high))
    return RangeLine(row, low, high, row.valid_to is not None and row.valid_to < today)


def _stand_in(analyte: Analyte, unit: str) -> tuple[tuple[str, Limits], ...]:
    """Return the protocol's adult range in the laboratory's unit, once where the sexes do not differ."""
    found = {
        sex: Limits(in_unit(limits.low, analyte.code, unit), in_unit(limits.high, analyte.code, unit))
        for sex, limits in analyte.reference.items()
    }
    if len(set(found.values())) == 1:
        return ((_("both sexes"), next(iter(found.values()))),)
    return tuple((_(protocol.SEX_LABELS[sex]), limits) for sex, limits in found.items())


def changes(laboratory: Laboratory) -> list[tuple[date, list[trail.Listed]]]:
    """Return the newest revisions of a laboratory, its units and its ranges, in words and by day.

    Who may see the laboratory may see what was changed about it.
    """
    own: Q = Q(table=Laboratory._meta.db_table, row=laboratory.pk)
    for model in (LaboratoryUnit, ReferenceRange):
        rows = list(model._default_manager.filter(laboratory=laboratory).values_list("pk", flat=True))
        own |= Q(table=model._meta.db_table, row__in=rows)
    touched = AuditEntry.objects.filter(own, revision__number__isnull=False)
    newest = set(
        touched.order_by("-revision_id").values_list("revision_id", flat=True).distinct()[:NEWEST_CHANGES]
    )
    written: dict[Revision, list[AuditEntry]] = {}
    for entry in touched.filter(revision__in=newest).select_related("revision__actor").order_by("id"):
        written.setdefault(entry.revision, []).append(entry)
    names = trail.names_of(chain.from_iterable(written.values()))
    found: list[trail.Listed] = []
    for revision in sorted(written, key=lambda each: -(each.number or 0)):
        why, note = trail_words.reason_parts(revision.reason)
        told = tuple(story.tell(written[revision], names))
        found.append(trail.Listed(revision, why, note, "", 0, told))
    days = groupby(found, key=lambda listed: timezone.localtime(listed.revision.made_at).date())
    return [(day, list(those)) for day, those in days]
