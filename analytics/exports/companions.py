"""What goes with the files of an export and makes them readable on their own: scripts, codebook."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from analytics.datasets import Dataset
from analytics.exports import codebook, scripts
from analytics.exports.asked import Asked

Companion = Callable[[Path, Sequence[Dataset], Asked], Iterable[Path]]


def _scripts(directory: Path, datasets: Sequence[Dataset], asked: Asked) -> Iterable[Path]:
    if asked.format != "csv":
        return ()  # they read CSV, which every statistical package reads alike
    return scripts.write(directory, (dataset.name for dataset in datasets), identified=asked.identified)


COMPANIONS: tuple[Companion, ...] = (codebook.write, _scripts)
"""Each writes its files into the directory of an export and returns them; the manifest names them."""
