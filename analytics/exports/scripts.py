"""Scripts in R, Python and SPSS syntax that go with an export and compute its p-values again.

They are written apart from the software and read nothing but the exported files, so
that a statistician who trusts neither can check one against the other. R and Python
find columns by their names; SPSS reads them by their places, so that its syntax is
completed from the declarations of the very datasets that are exported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from analytics.datasets import DATASETS, Column, Dataset, Kind
from trial import protocol

FILES_AT = Path(__file__).parent / "script_files"
SYNTAX = "reproduce.sps"
FILES = ("README.txt", "reproduce.R", "reproduce.py", SYNTAX)

NEEDED = frozenset({"subjects", "infusions", "labs_long", "scores", "cells"})
"""Datasets that the scripts read, as CSV."""


def companions(datasets: Iterable[str], *, identified: bool = False) -> Iterator[tuple[str, bytes]]:
    """Yield the files that go with an export of these datasets as CSV.

    Parameters
    ----------
    datasets
        Names of the exported datasets.
    identified
        Whether the export holds dates instead of study days.

    Yields
    ------
    tuple
        Name and content of each file; none when the scripts could not run on the export.
    """
    if not set(datasets) >= NEEDED:
        return
    for name in FILES:
        content = (FILES_AT / name).read_text(encoding="utf-8")
        if name == SYNTAX:
            content = _completed(content, identified=identified)
        yield name, content.encode()


def write(directory: Path, datasets: Iterable[str], *, identified: bool = False) -> list[Path]:
    """Put the scripts beside exported CSV files, when the files they need are there."""
    written = []
    for name, content in companions(datasets, identified=identified):
        path = directory / name
        path.write_bytes(content)
        written.append(path)
    return written


# --- SPSS syntax ----------------------------------------------------------------------------

_LINE = 100
_PLACE = re.compile(r"@@([a-z_ ]+)@@")
_DIFFERENCES = tuple(dict.fromkeys((*protocol.INTERVALS, *protocol.CUMULATIVE)))
_LEVELS = tuple(f"{code}_w{week}" for code in protocol.MEASURED for week in protocol.WEEKS)
_CHANGES = tuple(f"{code}_d{a}_{b}" for code in protocol.MEASURED for a, b in _DIFFERENCES)
_WITHIN = {"A": (1, 1), "B": (2, 2), "C": (3, 3), "D": (4, 4), "LF": (1, 2), "LC": (3, 4), "ALL": (1, 4)}


def _completed(syntax: str, *, identified: bool) -> str:
    """Fill the places of the syntax: what stands between two pairs of at signs."""
    fixed: dict[str, Callable[[], str]] = {
        "given": lambda: "given_on / 86400" if identified else "given_day",
        "landmark": lambda: str(protocol.LANDMARK_DAY),
        "prolonged": lambda: str(protocol.PROLONGED_FROM),
        "levels": lambda: _wrapped(_LEVELS),
        "differences": lambda: _wrapped(_CHANGES),
        "first level": lambda: _LEVELS[0],
        "last level": lambda: _LEVELS[-1],
        "first difference": lambda: _CHANGES[0],
        "last difference": lambda: _CHANGES[-1],
        "spread": _spread,
        "subtract": _subtract,
        "labels of items": _labels_of_items,
        "groups": lambda: _wrapped(f"{n} '{group.code}'" for n, group in enumerate(protocol.GROUPS, 1)),
        "friedman": _friedman,
        "calls": _calls,
    }

    def fill(place: re.Match[str]) -> str:
        word, _space, name = place[1].partition(" ")
        if place[1] in fixed:
            return fixed[place[1]]()
        columns = DATASETS[name].shown(identified=identified)
        return _columns(columns) if word == "columns" else _labels(DATASETS[name], columns)

    return _PLACE.sub(fill, syntax)


def _wrapped(words: Iterable[str]) -> str:
    """Lay words out in lines that the syntax allows, indented after the first."""
    lines, line = [], ""
    for word in words:
        if line and len(line) + len(word) >= _LINE:
            lines.append(line)
            line = ""
        line += f" {word}" if line else f"  {word}"
    return "\n".join([*lines, line])


def _columns(columns: Sequence[Column]) -> str:
    return _wrapped(f"{column.name} {_format(column)}" for column in columns)


def _format(column: Column) -> str:
    match column.kind:
        case Kind.NUMBER | Kind.WHOLE:
            # no decimals implied: the decimal point stands in the file
            return "F24.0"
        case Kind.DATE:
            return "SDATE10"
        case Kind.TEXT:
            return "A255"
        case _:
            return "A64"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _labels(dataset: Dataset, columns: Sequence[Column]) -> str:
    lines = [f"{column.name} {_quoted(column.label)}" for column in columns]
    return "\n".join(f"  {'/' if number else ''}{line}" for number, line in enumerate(lines))


def _labels_of_items() -> str:
    lines: list[str] = []
    for code in protocol.MEASURED:
        named = f"{protocol.label_of(code)}, {protocol.unit_of(code)}"
        lines += [f"  /{code}_w{week} {_quoted(f'{named}, week {week}')}" for week in protocol.WEEKS]
        lines += [
            f"  /{code}_d{start}_{end} {_quoted(f'{named}, week {start} - week {end}')}"
            for start, end in _DIFFERENCES
        ]
    return "\n".join(lines)


def _spread() -> str:
    blocks = []
    weeks = " ".join(map(str, protocol.WEEKS))
    for code in protocol.MEASURED:
        names = " ".join(f"{code}_w{week}" for week in protocol.WEEKS)
        blocks.append(
            f"DO REPEAT v={names} /w={weeks}.\nIF (item EQ '{code}' AND week EQ w) v=value.\nEND REPEAT."
        )
    return "\n".join(blocks)


def _subtract() -> str:
    scale = 10**protocol.DIFFERENCE_PLACES
    return "\n".join(
        f"COMPUTE {code}_d{start}_{end}=RND(({code}_w{start} - {code}_w{end}) * {scale}) / {scale}."
        for code in protocol.MEASURED
        for start, end in _DIFFERENCES
    )


def _friedman() -> str:
    first, last = protocol.WEEKS[0], protocol.WEEKS[-1]
    return "\n".join(f"NPAR TESTS /FRIEDMAN={code}_w{first} TO {code}_w{last}." for code in protocol.MEASURED)


def _calls() -> str:
    lines = []
    for population in protocol.Population:
        p = population.value
        for one, two in protocol.CONTRASTS:
            first, second = _WITHIN[one], _WITHIN[two]
            which, a, b = ("g", first[0], second[0]) if first[0] == first[1] else ("d", 1, 2)
            lines += [f"ECHO '{p} {one} {two}'.", f"!between which={p}_{which}/ one={a}/ two={b}/."]
        for stratum, (low, high) in _WITHIN.items():
            lines += [f"ECHO '{p} {stratum}'.", f"!within which={p}_g/ low={low}/ high={high}/."]
        lines += [f"ECHO '{p} four groups'.", f"!four which={p}_g/."]
        lines += [f"ECHO '{p} normality'.", f"!normality which={p}_g/ disease={p}_d/."]
    return "\n".join(lines)
