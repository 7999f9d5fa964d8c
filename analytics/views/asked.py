"""What a page is asked for in its address."""

from __future__ import annotations

from functools import lru_cache

from django.http import Http404, HttpRequest

from analytics.contrasts import CellKey, all_keys


@lru_cache(maxsize=1)
def _known() -> frozenset[CellKey]:
    return frozenset(all_keys())


def cell_key(request: HttpRequest) -> CellKey:
    """Return the cell that the query names.

    Raises
    ------
    Http404
        When the study has no such cell.
    """
    texts = [request.GET.get(name, "") for name in CellKey._fields]
    if not all(text.isascii() and text.isdecimal() and len(text) < 5 for text in texts[5:]):
        raise Http404
    population, measure, group1, group2, analyte, *weeks = texts
    key = CellKey(population, measure, group1, group2, analyte, int(weeks[0]), int(weeks[1]))
    if key not in _known():
        raise Http404
    return key
