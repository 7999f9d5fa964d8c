"""An export: the chosen datasets of one moment, with a manifest that says what they are."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from analytics import refresh, selectors
from analytics.datasets import DATASETS, FROM_RESULTS, RESULTS, Dataset
from analytics.exports import csv_files
from trial import audit, protocol

Progress = Callable[[int, int, str], None]
FORMATS = {"csv": csv_files}


class UnknownDataset(ValueError):
    """A dataset was asked for that does not exist."""


@dataclass(frozen=True, slots=True)
class Written:
    """One file of an export."""

    dataset: str
    path: Path
    rows: int
    sha256: str


def chosen(names: Sequence[str]) -> list[Dataset]:
    """Return datasets by name, in the declared order; all of them when none is named.

    Raises
    ------
    UnknownDataset
        Naming the word and what there is.
    """
    unknown = [name for name in names if name not in DATASETS]
    if unknown:
        raise UnknownDataset(f"no dataset {', '.join(unknown)}; there are {', '.join(DATASETS)}")
    return [dataset for name, dataset in DATASETS.items() if not names or name in names]


def bring_up_to_date(datasets: Iterable[Dataset]) -> None:
    """Compute what is not computed yet when an export holds results: nothing stale leaves the house."""
    if any(dataset.name in FROM_RESULTS for dataset in datasets) and selectors.freshness().behind:
        refresh.refresh()


def blocks(dataset: Dataset, *, identified: bool = False, population: str = "") -> Iterator[bytes]:
    """Yield one dataset as CSV."""
    rows = _result_rows(dataset, population) if not dataset.source else ()
    return csv_files.chunks(dataset, identified=identified, population=population, rows=rows)


def _result_rows(dataset: Dataset, population: str) -> Iterator[tuple[Any, ...]]:
    rows_of = RESULTS[dataset.name]
    shown = selectors.freshness().shown
    for key, result in selectors.current_cells(population=population):
        yield from rows_of(key, result, shown)


def write(
    directory: Path,
    datasets: Sequence[Dataset],
    *,
    identified: bool = False,
    population: str = "",
    byte_order_mark: bool = True,
    progress: Progress = lambda done, total, text: None,
) -> list[Written]:
    """Write datasets and their manifest into a directory.

    Parameters
    ----------
    directory
        Made when it does not exist. Files of the same name are replaced.
    datasets
        What to write.
    identified, population
        As for :func:`blocks`.
    byte_order_mark
        Start each file with the mark that makes spreadsheets read it as UTF-8.
    progress
        Told the number of finished files, of all files, and what comes next.

    Returns
    -------
    list of Written
        The files, with rows and checksum, as the manifest has them.
    """
    bring_up_to_date(datasets)
    directory.mkdir(parents=True, exist_ok=True)
    files = []
    with selectors.one_moment():
        for place, dataset in enumerate(datasets):
            progress(place, len(datasets), dataset.name)
            written = blocks(dataset, identified=identified, population=population)
            if byte_order_mark:
                written = csv_files.with_byte_order_mark(written)
            files.append(written_to(directory / f"{dataset.name}.csv", dataset, written))
        manifest = _manifest(files, datasets, identified=identified, population=population)
    text = json.dumps(manifest, indent=2, ensure_ascii=False)
    (directory / "manifest.json").write_text(text + "\n", encoding="utf-8")
    progress(len(datasets), len(datasets), "manifest")
    return files


def written_to(path: Path, dataset: Dataset, written: Iterable[bytes]) -> Written:
    """Write one dataset into a file, and count its rows and its hash on the way."""
    digest, rows = hashlib.sha256(), _Records()
    with path.open("wb") as file:
        for block in written:
            digest.update(block)
            rows.feed(block)
            file.write(block)
    return Written(dataset.name, path, rows.count - 1, digest.hexdigest())


class _Records:
    """Counts the records of a CSV stream; a line break between quotes ends none."""

    def __init__(self) -> None:
        self.count = 0
        self._quoted = False

    def feed(self, block: bytes) -> None:
        if not self._quoted and b'"' not in block:
            self.count += block.count(b"\n")
            return
        for piece in block.splitlines(keepends=True):
            if piece.count(b'"') % 2:
                self._quoted = not self._quoted
            if piece.endswith(b"\n") and not self._quoted:
                self.count += 1


def _manifest(
    files: Sequence[Written], datasets: Sequence[Dataset], *, identified: bool, population: str
) -> dict[str, Any]:
    freshness = selectors.freshness()
    return {
        "study": protocol.TITLE,
        "protocol": protocol.VERSION,
        "synthetic": settings.SYNTHETIC,
        "code_version": settings.CODE_VERSION,
        "data_revision": audit.latest_revision(),
        "results_revision": freshness.shown,
        "identified": identified,
        "population": population or "all",
        "files": [
            {
                "file": file.path.name,
                "holds": dataset.grain,
                "rows": file.rows,
                "sha256": file.sha256,
                "columns": [
                    {"name": column.name, "kind": column.kind.value, "label": column.label}
                    for column in dataset.shown(identified=identified)
                ],
            }
            for file, dataset in zip(files, datasets, strict=True)
        ],
    }


def zipped(directory: Path, target: Path) -> Path:
    """Pack an export into one file to take away; times inside are fixed, so equal exports are equal bytes."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(directory.iterdir()):
            if path != target:
                entry = zipfile.ZipInfo(path.name, date_time=(1980, 1, 1, 0, 0, 0))
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, path.read_bytes())
    return target
