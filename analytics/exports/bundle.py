"""An export: the chosen datasets of one moment, with a manifest that says what they are."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.conf import settings

from analytics import refresh, selectors
from analytics.datasets import DATASETS, FROM_RESULTS, RESULTS, Dataset
from analytics.exports import csv_files
from analytics.exports.asked import Asked
from analytics.exports.companions import COMPANIONS
from analytics.exports.formats import FORMATS, Format, TooLarge, Wrote
from analytics.exports.tables import Table
from trial import audit, protocol, synthetic_label

__all__ = [
    "FORMATS", "MANIFEST", "Asked", "TooLarge", "UnknownDataset", "Written", "blocks", "bring_up_to_date", "chosen",
    "write", "written_to", "zipped",
]  # fmt: skip

MANIFEST = "manifest.json"
COMPRESSED = frozenset({".xlsx", ".parquet"})
Progress = Callable[[int, int, str], None]


class UnknownDataset(ValueError):
    """A dataset was asked for that does not exist."""


@dataclass(frozen=True, slots=True)
class Written:
    """One dataset in a file of an export."""

    dataset: str
    path: Path
    rows: int
    sha256: str
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


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


def blocks(
    dataset: Dataset, *, identified: bool = False, population: str = ""
) -> Generator[bytes, None, None]:
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
    format: str = "csv",  # noqa: A002 - the word of the command and of the manifest
    progress: Progress = lambda done, total, text: None,
) -> list[Written]:
    """Write datasets, what goes with them, and their manifest into a directory.

    All or nothing: the files come into the directory when the last one is written.

    Parameters
    ----------
    directory
        Made when it does not exist. Files of the same name are replaced.
    datasets
        What to write.
    identified, population
        As for :func:`blocks`.
    byte_order_mark
        Start each CSV file with the mark that makes spreadsheets read it as UTF-8.
    format
        A word of :data:`FORMATS`.
    progress
        Told the number of finished files, of all files, and what comes next.

    Returns
    -------
    list of Written
        The datasets, with rows and checksum, as the manifest has them.

    Raises
    ------
    TooLarge
        When the format cannot hold what was asked for; nothing has been written then.
    """
    asked = Asked(format, identified, population, byte_order_mark)
    bring_up_to_date(datasets)
    directory.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=directory, prefix="unfinished-") as unfinished:
        folder = Path(unfinished)
        with selectors.one_moment(long=True):
            files = _written(folder, datasets, asked, progress)
            further = [path for companion in COMPANIONS for path in companion(folder, datasets, asked)]
            manifest = _manifest(files, datasets, further, asked)
        text = json.dumps(manifest, indent=2, ensure_ascii=False)
        (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
        for path in sorted(folder.iterdir()):
            path.replace(directory / path.name)
    progress(len(datasets), len(datasets), "manifest")
    return [_moved(file, directory) for file in files]


def _moved(file: Written, directory: Path) -> Written:
    return Written(file.dataset, directory / file.path.name, file.rows, file.sha256, file.names, file.notes)


def _written(folder: Path, datasets: Sequence[Dataset], asked: Asked, progress: Progress) -> list[Written]:
    form = FORMATS[asked.format]
    facts = _facts()
    tables = [table_of(dataset, asked, facts=facts) for dataset in datasets]
    # all of them first: nobody waits for nine files to learn that the tenth cannot be written
    form.check(tables)
    if form.together:
        progress(0, len(datasets), form.code)
        path = folder / f"cordline.{form.extension}"
        return [
            _hashed(table.dataset, path, wrote)
            for table, wrote in zip(tables, form.module().write_together(tables, path), strict=True)
        ]
    files = []
    for place, table in enumerate(tables):
        progress(place, len(tables), table.dataset.name)
        files.append(_write_table(folder / f"{table.dataset.name}.{form.extension}", table, form))
    return files


def table_of(
    dataset: Dataset,
    asked: Asked,
    *,
    facts: dict[str, str] | None = None,
) -> Table:
    """Return what a writer needs to write one dataset."""
    return Table(
        dataset,
        asked.identified,
        asked.population,
        asked.byte_order_mark,
        _facts() if facts is None else facts,
        # counted first and written then: read once
        cache(lambda: list(_result_rows(dataset, asked.population))),
    )


def write_table(path: Path, table: Table, form: Format) -> Written:
    """Write one dataset into one file of its own.

    Raises
    ------
    TooLarge
        When the format cannot hold it.
    """
    form.check([table])
    return _write_table(path, table, form)


def _write_table(path: Path, table: Table, form: Format) -> Written:
    if form.code == "csv":
        # rows and hash are counted on the way, so that a long file is read only once
        written = blocks(table.dataset, identified=table.identified, population=table.population)
        if table.byte_order_mark:
            written = csv_files.with_byte_order_mark(written)
        return written_to(path, table.dataset, written)
    return _hashed(table.dataset, path, form.module().write(table, path))


def _hashed(dataset: Dataset, path: Path, wrote: Wrote) -> Written:
    return Written(dataset.name, path, wrote.rows, digest_of(path), wrote.names, wrote.notes)


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def written_to(path: Path, dataset: Dataset, written: Generator[bytes, None, None]) -> Written:
    """Write one dataset as CSV into a file, and count its rows and its hash on the way."""
    digest, rows = hashlib.sha256(), _Records()
    # an unfinished COPY keeps the connection: on a full disk the rollback would wait for it for ever
    with closing(written), path.open("wb") as file:
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


def _facts() -> dict[str, str]:
    """Return what a file that can carry it says about itself."""
    return {
        "study": str(protocol.TITLE),
        "protocol": protocol.VERSION,
        "data_revision": str(audit.latest_revision()),
        "results_revision": str(selectors.freshness().shown),
        "code_version": settings.CODE_VERSION,
        "synthetic": str(synthetic_label.is_on()).lower(),
    }


def _manifest(
    files: Sequence[Written], datasets: Sequence[Dataset], further: Sequence[Path], asked: Asked
) -> dict[str, Any]:
    return {
        "study": protocol.TITLE,
        "protocol": protocol.VERSION,
        "synthetic": synthetic_label.is_on(),
        "code_version": settings.CODE_VERSION,
        "data_revision": audit.latest_revision(),
        "results_revision": selectors.freshness().shown,
        "format": asked.format,
        "identified": asked.identified,
        "population": asked.population or "all",
        "snapshot": None,
        "files": [
            {
                "file": file.path.name,
                "dataset": dataset.name,
                "holds": dataset.grain,
                "rows": file.rows,
                "sha256": file.sha256,
                **({"notes": list(file.notes)} if file.notes else {}),
                "columns": _columns(file, dataset, identified=asked.identified),
            }
            for file, dataset in zip(files, datasets, strict=True)
        ],
        "companions": [{"file": path.name, "sha256": digest_of(path)} for path in further],
    }


def _columns(file: Written, dataset: Dataset, *, identified: bool) -> list[dict[str, str]]:
    columns = dataset.shown(identified=identified)
    names = file.names or tuple(column.name for column in columns)
    told = []
    for column, name in zip(columns, names, strict=True):
        one = {"name": column.name, "kind": column.kind.value, "label": column.label}
        told.append(one if name == column.name else {**one, "name_in_file": name})
    return told


def zipped(directory: Path, target: Path) -> Path:
    """Pack an export into one file to take away; times inside are fixed, so equal exports are equal bytes."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(directory.iterdir()):
            if path != target:
                entry = zipfile.ZipInfo(path.name, date_time=(1980, 1, 1, 0, 0, 0))
                # what is compressed already only costs time
                entry.compress_type = (
                    zipfile.ZIP_STORED if path.suffix in COMPRESSED else zipfile.ZIP_DEFLATED
                )
                with path.open("rb") as source, archive.open(entry, "w", force_zip64=True) as out:
                    while block := source.read(2**20):
                        out.write(block)
    return target
