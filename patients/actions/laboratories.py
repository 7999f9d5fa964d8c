"""Laboratories, the units they report in, and their reference ranges over time.

A range that changed in the real world is ended and followed by another; it is
corrected in place only when it was typed wrongly. What is flagged is derived,
so nothing else has to be touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.db import IntegrityError, transaction
from django.utils import timezone

from patients import ranges, reference
from patients.actions.rules import clean_text, demand_reason, refuse_voided, violated_constraint
from patients.models import Laboratory, LaboratoryUnit, ReferenceRange
from trial import audit, protocol, units
from trial.models import Site, User
from trial.protocol import Limits
from trial.refusals import Clash, Conflict, Problem, Refused, refuse
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


SOURCE = "laboratories"
LONGEST_CODE, LONGEST_NAME = 12, 120
EARLIEST = date(1990, 1, 1)
"""A range from before is a slip of the year."""
_NO_OVERLAP = "ranges_never_overlap"


# --- laboratories ---------------------------------------------------------------------------


def create_laboratory(*, code: str, name: str, site: Site | None, by: User, reason: str = "") -> Laboratory:
    """Add a laboratory of a site, or with ``site`` None one that serves all."""
    code, name = _code(code), _name(name)
    with audit.revision(by=by, reason=reason, source=SOURCE):
        if Laboratory.objects.filter(code=code).exists():
            raise _code_taken(code)
        made = Laboratory(code=code, name=name, site=site)
        try:
            with transaction.atomic():
                made.save(force_insert=True)
        except IntegrityError as error:
            raise _code_taken(code) from error
    return made


def change_laboratory(
    *,
    laboratory: Laboratory,
    name: str,
    site: Site | None,
    is_active: bool,
    by: User,
    reason: str,
    version: int | None = None,
) -> Laboratory:
    """Rename a laboratory, give it to another site, or take it out of use; its ranges and results stay.

    Raises
    ------
    Conflict
        If ``version`` is given and somebody changed the laboratory after it.
    """
    name = _name(name)
    with audit.revision(by=by, reason=reason, source=SOURCE):
        stored = Laboratory.objects.select_for_update().get(pk=laboratory.pk)
        wanted = (name, site.pk if site else None, is_active)
        if (stored.name, stored.site_id, stored.is_active) == wanted:
            return stored
        if version is not None and version != stored.version:
            raise Conflict([Clash("name", name, stored.name, "")], stored.version)
        demand_reason(reason)
        stored.name, stored.site, stored.is_active = name, site, is_active
        stored.version += 1
        stored.save(update_fields=["name", "site", "is_active", "version"])
    return stored


def set_units(*, laboratory: Laboratory, chosen: Mapping[str, str], by: User, reason: str = "") -> int:
    """Say in which unit a laboratory reports each analyte; return how many changed.

    The unit of a stored result stays what it was typed in: this only presets the next one.
    """
    with audit.revision(by=by, reason=reason, source=SOURCE):
        Laboratory.objects.select_for_update().get(pk=laboratory.pk)
        stored = {row.analyte: row for row in LaboratoryUnit.objects.filter(laboratory=laboratory)}
        new, changed = [], []
        for code, unit in chosen.items():
            _refuse_unit(code, unit)
            if code in stored and stored[code].unit != unit:
                stored[code].unit = unit
                changed.append(stored[code])
            elif code not in stored and unit != protocol.ANALYTES[code].unit:
                new.append(LaboratoryUnit(laboratory=laboratory, analyte=code, unit=unit))
        if changed:
            demand_reason(reason)
        LaboratoryUnit.objects.bulk_create(new)
        LaboratoryUnit.objects.bulk_update(changed, ["unit"])
    return len(new) + len(changed)


# --- ranges ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RangeEntry:
    """A range as it was typed: ``low`` and ``high`` in ``unit``, an empty side open."""

    analyte: str
    low: Decimal | None
    high: Decimal | None
    unit: str
    valid_from: date
    valid_to: date | None = None
    sex: str = ""
    age_from: int = ranges.YOUNGEST
    age_to: int = ranges.OLDEST


_FIELDS = ["sex", "age_from", "age_to", "valid_from", "valid_to", "low", "high", "typed_unit"]


def add_range(*, laboratory: Laboratory, entry: RangeEntry, by: User, reason: str = "") -> ReferenceRange:
    """Add a range; it must not hold where another of the laboratory does.

    Raises
    ------
    Refused
        With every problem; an overlap names the other range.
    """
    row = _filled(ReferenceRange(laboratory=laboratory, analyte=entry.analyte), entry)
    with audit.revision(by=by, reason=reason, source=SOURCE):
        _refuse_overlap(row)
        _stored(row, is_new=True)
    return row


def change_range(
    *, stored: ReferenceRange, entry: RangeEntry, by: User, reason: str, version: int | None = None
) -> ReferenceRange:
    """Correct a range that was typed wrongly, or end it; the results drawn in its dates are flagged anew.

    Raises
    ------
    Conflict
        If ``version`` is given and somebody changed the range after it.
    """
    with audit.revision(by=by, reason=reason, source=SOURCE):
        row = ReferenceRange.objects.select_for_update().get(pk=stored.pk)
        refuse_voided(row.voided_at is not None)
        before = {name: getattr(row, name) for name in _FIELDS}
        seen = row.version
        _filled(row, entry)
        after = {name: getattr(row, name) for name in _FIELDS}
        if before == after:
            return row
        if version is not None and version != seen:
            clashes = [
                Clash(name, str(after[name]), str(before[name]), "")
                for name in _FIELDS
                if before[name] != after[name]
            ]
            raise Conflict(clashes, seen)
        demand_reason(reason)
        _refuse_overlap(row)
        row.version += 1
        _stored(row, is_new=False)
    return row


def void_range(*, stored: ReferenceRange, by: User, reason: str) -> ReferenceRange:
    """Strike a range that never was the laboratory's; it stays in the history."""
    demand_reason(reason)
    with audit.revision(by=by, reason=reason, source=SOURCE):
        row = ReferenceRange.objects.select_for_update().get(pk=stored.pk)
        refuse_voided(row.voided_at is not None)
        row.voided_at = timezone.now()
        row.version += 1
        row.save(update_fields=["voided_at", "version"])
    return row


_SHOWN_PLACES = Decimal("0.0001")


def in_unit(value: Decimal | None, analyte: str, unit: str) -> Decimal | None:
    """Return a stored limit in a unit the analyte accepts, without trailing zeros."""
    if value is None:
        return None
    exact = (value / protocol.ANALYTES[analyte].accepted[unit]).quantize(_SHOWN_PLACES).normalize()
    return exact.quantize(Decimal(1)) if exact == exact.to_integral() else exact


# --- the steps ------------------------------------------------------------------------------


def _code(text: str) -> str:
    code = clean_text("code", text, LONGEST_CODE).upper()
    allowed = code.replace("-", "").isascii() and code.replace("-", "").isalnum()
    if not code or not allowed or code.startswith("-"):
        raise refuse(
            "code",
            text,
            "code",
            Sentence(_("“%(code)s” is not a code of a laboratory."), {"code": text}),
            Sentence(_("Use up to %(most)s letters, digits and dashes."), {"most": LONGEST_CODE}),
        )
    return code


def _code_taken(code: str) -> Refused:
    return refuse(
        "code",
        code,
        "code_taken",
        Sentence(_("There is a laboratory %(code)s already."), {"code": code}),
        Sentence(_("Open that one, or choose another code.")),
    )


def _name(text: str) -> str:
    name = clean_text("name", text, LONGEST_NAME)
    if not name:
        raise refuse(
            "name",
            text,
            "empty",
            Sentence(_("The laboratory has no name.")),
            Sentence(_("Write it as it stands on the reports.")),
        )
    return name


def _refuse_unit(code: str, unit: str, field: str = "") -> None:
    if unit not in protocol.ANALYTES[code].accepted:
        raise refuse(
            field or f"unit_{code}",
            unit,
            "unit",
            Sentence(
                _("%(analyte)s is not reported in %(unit)s."),
                {"analyte": Sentence(protocol.ANALYTES[code].label), "unit": units.symbol(unit)},
            ),
            Sentence(
                _("Choose one of %(units)s."),
                {"units": ", ".join(units.symbol(u) for u in protocol.ANALYTES[code].accepted)},
            ),
        )


def _filled(row: ReferenceRange, entry: RangeEntry) -> ReferenceRange:
    """Put an entry into a row, or refuse it with everything that is wrong."""
    if entry.analyte not in protocol.ANALYTES:
        raise refuse(
            "analyte",
            entry.analyte,
            "analyte",
            Sentence(_("The panel has no such analyte.")),
            Sentence(_("Choose one of the list.")),
        )
    _refuse_unit(entry.analyte, entry.unit, "unit")
    analyte = protocol.ANALYTES[entry.analyte]
    sides = {
        "low": None if entry.low is None else analyte.in_standard_unit(entry.low, entry.unit),
        "high": None if entry.high is None else analyte.in_standard_unit(entry.high, entry.unit),
    }
    problems = [
        Problem(
            name,
            str(getattr(entry, name)),
            "beyond_hard_limits",
            Sentence(
                _("%(value)s %(unit)s cannot be a limit of %(analyte)s."),
                {
                    "value": str(getattr(entry, name)),
                    "unit": units.symbol(entry.unit),
                    "analyte": Sentence(analyte.label),
                },
            ),
            Sentence(_("Check the number and its unit.")),
        )
        for name, side in sides.items()
        if side is not None and not analyte.hard.holds(side)
    ]
    if sides["low"] is None and sides["high"] is None:
        problems.append(
            Problem(
                "high",
                "",
                "no_side",
                Sentence(_("The range has neither a lower nor an upper limit.")),
                Sentence(_("Type at least one of the two.")),
            )
        )
    if sides["low"] is not None and sides["high"] is not None and sides["high"] <= sides["low"]:
        problems.append(
            Problem(
                "high",
                str(entry.high),
                "order",
                Sentence(
                    _("The upper limit %(high)s is not above the lower one, %(low)s."),
                    {"high": str(entry.high), "low": str(entry.low)},
                ),
                Sentence(_("Exchange them, or correct the one that is wrong.")),
            )
        )
    if not ranges.YOUNGEST <= entry.age_from <= entry.age_to <= ranges.OLDEST:
        problems.append(
            Problem(
                "age_to",
                str(entry.age_to),
                "ages",
                Sentence(
                    _("Ages %(first)s to %(last)s are not in order, or not ages."),
                    {"first": entry.age_from, "last": entry.age_to},
                ),
                Sentence(
                    _("Give whole years between %(least)s and %(most)s."),
                    {"least": ranges.YOUNGEST, "most": ranges.OLDEST},
                ),
            )
        )
    if entry.valid_from < EARLIEST:
        problems.append(
            Problem(
                "valid_from",
                entry.valid_from.isoformat(),
                "too_early",
                Sentence(
                    _("%(day)s lies before %(earliest)s."),
                    {"day": entry.valid_from.isoformat(), "earliest": EARLIEST.isoformat()},
                ),
                Sentence(_("Check the year.")),
            )
        )
    if entry.valid_to is not None and entry.valid_to < entry.valid_from:
        problems.append(
            Problem(
                "valid_to",
                entry.valid_to.isoformat(),
                "dates",
                Sentence(
                    _("The last day %(last)s lies before the first, %(first)s."),
                    {"last": entry.valid_to.isoformat(), "first": entry.valid_from.isoformat()},
                ),
                Sentence(_("Correct one of the two, or leave the last day empty.")),
            )
        )
    if problems:
        raise Refused(problems)
    row.low, row.high, row.typed_unit = sides["low"], sides["high"], entry.unit
    row.sex, row.age_from, row.age_to = entry.sex, entry.age_from, entry.age_to
    row.valid_from, row.valid_to = entry.valid_from, entry.valid_to
    return row


def _refuse_overlap(row: ReferenceRange) -> None:
    others = ReferenceRange.objects.filter(
        laboratory_id=row.laboratory_id, analyte=row.analyte, voided_at__isnull=True
    ).exclude(pk=row.pk)
    ours = reference.as_range(row)
    for other in others.select_related("laboratory"):
        theirs = reference.as_range(other)
        if ours.overlaps(theirs):
            raise _overlap(row, theirs.limits, other)


def _overlap(row: ReferenceRange, limits: Limits, other: ReferenceRange) -> Refused:
    low, high = (in_unit(side, other.analyte, other.typed_unit) for side in (limits.low, limits.high))
    return refuse(
        "valid_from",
        row.valid_from.isoformat(),
        "overlap",
        Sentence(
            _("Another range holds for some of the same results: %(low)s to %(high)s from %(first)s."),
            {
                "low": "–" if low is None else str(low),
                "high": "–" if high is None else str(high),
                "first": other.valid_from.isoformat(),
            },
        ),
        Sentence(_("End that one on the day before, or narrow the sex, the ages or the dates.")),
    )


def _stored(row: ReferenceRange, *, is_new: bool) -> None:
    """Save a range; somebody who added one at the same moment is refused by the database."""
    try:
        with transaction.atomic():
            if is_new:
                row.save(force_insert=True)
            else:
                row.save(update_fields=[*_FIELDS, "version"])
    except IntegrityError as error:
        if violated_constraint(error) != _NO_OVERLAP:
            raise
        raise refuse(
            "valid_from",
            row.valid_from.isoformat(),
            "overlap",
            Sentence(_("Somebody stored a range for some of the same results a moment ago.")),
            Sentence(_("Look at the list, then correct yours.")),
        ) from error
