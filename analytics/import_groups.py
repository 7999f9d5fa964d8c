"""Columns of imports that come in sets: vital signs of an infusion, facts of a screening, evidence of a criterion."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _

from infusions.import_vitals import PLACES
from infusions.vitals import SIGNS
from patients.facts import FACTS
from patients.imports import event_results, screening_facts
from patients.imports.screening_facts import column_of, parts_of
from trial import protocol, vocabulary

VITALS = frozenset(column for column, _moment, _sign in PLACES)
FACT_COLUMNS = frozenset(field.code for field in screening_facts.FIELDS)
_FACT_OF = {column_of(fact, part): (fact, part) for fact in FACTS for part in parts_of(fact)}
_PLACE_OF = {column: (moment, sign) for column, moment, sign in PLACES}
_JUDGED = {column.field: fact for column, fact in zip(screening_facts.COLUMNS, FACTS, strict=True)}


def without_sets(codes: Sequence[str]) -> list[str]:
    """Return columns with the first few of each set and an ellipsis, for a line that lists them."""
    found = [code for code in codes if code not in VITALS | FACT_COLUMNS]
    if set(codes) >= VITALS:
        found += ["before_temperature_c", "before_pulse", "…"]
    if set(codes) >= FACT_COLUMNS:
        found += ["fact_tbil", "fact_tbil_unit", "fact_tbil_on", "…"]
    return found


def sets_of(codes: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Return the sets among columns, each with its name."""
    return [
        (name, [code for code in codes if code in its])
        for name, its in ((_("Vital signs"), VITALS), (_("Facts of a screening"), FACT_COLUMNS))
        if its <= set(codes)
    ]


def label_of(field: str) -> str:
    """Return what a column of a set is called, or nothing."""
    if field in _PLACE_OF:
        moment, sign = _PLACE_OF[field]
        return _("%(sign)s, %(unit)s: %(moment)s") % {
            "sign": _(SIGNS[sign].label),
            "unit": SIGNS[sign].unit,
            "moment": _(vocabulary.by_code(vocabulary.VITAL_MOMENTS)[moment].label),
        }
    if field in _JUDGED:
        return _(_JUDGED[field].label)
    if field in _FACT_OF:
        fact, part = _FACT_OF[field]
        patterns = {
            "": "%(fact)s",
            "typed": _("%(fact)s: as typed"),
            "unit": _("%(fact)s: unit"),
            "on": _("%(fact)s: day"),
            "never": _("%(fact)s: never"),
            "source": _("%(fact)s: taken from"),
        }
        return patterns[part] % {"fact": _(fact.label)}
    if field == event_results.COLUMN.field:
        return _("laboratory value that was graded")
    return _criterion(field)


def _criterion(field: str) -> str:
    """Return the label of a criterion, its evidence or the date of that."""
    code, part = next(
        ((field.removesuffix(end), end) for end in ("_evidence", "_on") if field.endswith(end)), (field, "")
    )
    criterion = protocol.CRITERION_AT.get(code)
    if criterion is None:
        return ""
    pattern = {
        "": "%(criterion)s",
        "_evidence": _("%(criterion)s: evidence"),
        "_on": _("%(criterion)s: date of the evidence"),
    }[part]
    return pattern % {"criterion": _(criterion.label)}
