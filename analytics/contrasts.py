"""All comparisons of the study, from arrays to cells."""

from __future__ import annotations

from collections.abc import Iterable

from analytics.cells import (
    CELLS_COLUMNS,
    TESTS_COLUMNS,
    CellKey,
    CellResult,
    GroupResult,
    adjust,
    all_keys,
    as_json,
    cells_row,
    from_json,
    tests_rows,
)
from analytics.samples import MISSING, scaled
from analytics.study_arrays import SCORE_PLACES, Ended, StudyArrays, places_of

__all__ = [
    "CELLS_COLUMNS", "MISSING", "SCORE_PLACES", "TESTS_COLUMNS", "CellKey", "CellResult", "Ended", "GroupResult",
    "StudyArrays", "adjust", "all_keys", "as_json", "cells_row", "compute", "digest", "digests", "from_json",
    "places_of", "scaled", "tests_rows",
]  # fmt: skip


def compute(study: StudyArrays, keys: Iterable[CellKey] | None = None) -> dict[CellKey, CellResult]:
    """Compute cells (all of them by default), unadjusted: see :func:`adjust`."""
    raise NotImplementedError


def digest(study: StudyArrays, key: CellKey) -> str:
    """Return a short hash of exactly what the cell depends on."""
    raise NotImplementedError


def digests(study: StudyArrays, keys: Iterable[CellKey] | None = None) -> dict[CellKey, str]:
    """Return the digests of many cells (all by default)."""
    raise NotImplementedError
