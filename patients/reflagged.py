"""What a change of a reference range flags anew.

Flags are worked out wherever results are read, so nothing is stored here: the
flags before and after the change are compared, of the results it may concern.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from patients import reference
from patients.models import Laboratory, LabResult
from trial import trail_words

NAMED = 5
"""How many results are named; the rest are counted."""


@dataclass(frozen=True, slots=True)
class Flagged:
    """A result and its flag at one moment: ``high``, ``low`` or nothing."""

    name: str
    flag: str


def flags(laboratory: Laboratory, analyte: str, user: Any) -> dict[int, Flagged]:
    """Return the flags of a laboratory's results of one analyte, by their ids, in a constant number of queries."""
    results = list(
        LabResult.objects.visible_to(user)
        .filter(
            laboratory=laboratory,
            analyte=analyte,
            value__isnull=False,
            visit__voided_at__isnull=True,
        )
        .select_related("visit", "patient__site")
        .order_by("visit__visited_on", "pk")
    )
    held = reference.references_for(results)
    return {
        row.pk: Flagged(
            f"{row.patient.subject_id} "
            + trail_words.draw_label({"week": row.visit.week, "visited_on": row.visit.visited_on}),
            held[row.pk].flag(row.value),
        )
        for row in results
    }


def said(before: Mapping[int, Flagged], after: Mapping[int, Flagged]) -> str:
    """Return in a sentence which results are flagged otherwise than before."""
    moved = [after[key] for key, was in before.items() if key in after and after[key].flag != was.flag]
    if not moved:
        return _("Saved. No stored result is flagged otherwise than before.")
    kinds = [
        (_("%(count)s now high"), [each for each in moved if each.flag == "high"]),
        (_("%(count)s now low"), [each for each in moved if each.flag == "low"]),
        (_("%(count)s now within the range"), [each for each in moved if not each.flag]),
    ]
    parts = [words % {"count": len(of_it)} for words, of_it in kinds if of_it]
    sentence = ngettext(
        "Saved. %(count)s stored result is flagged anew: %(parts)s (%(names)s).",
        "Saved. %(count)s stored results are flagged anew: %(parts)s (%(names)s).",
        len(moved),
    )
    return sentence % {"count": len(moved), "parts": ", ".join(parts), "names": _names(moved)}


def _names(moved: Sequence[Flagged]) -> str:
    names = ", ".join(each.name for each in moved[:NAMED])
    more = len(moved) - NAMED
    return names if more <= 0 else _("%(names)s and %(more)s more") % {"names": names, "more": more}
