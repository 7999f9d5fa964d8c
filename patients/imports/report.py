"""The report of an import as JSON: counts, the file as read, every refusal and conflict."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from patients.edit_checks import DAY_FIELD
from patients.imports.columns import Role, letter_of
from patients.imports.importing import Import, Outcome
from patients.imports.kinds import Pile, Warned, header_of
from patients.imports.problems import FileRefused, Problem
from patients.imports.tables import SEPARATORS, Facts
from trial import protocol

MOST_DIFFERENCES = 100_000
Say = Callable[[str], str]


def exit_status(outcome: Outcome) -> int:
    """Return 0 when the whole file is in the study, 1 when some of it is not."""
    return 0 if outcome.all_accepted else 1


def head(staged: Import, outcome: Outcome, *, dry_run: bool, say: Say = str) -> dict[str, Any]:
    """Return what the report says before it lists rows."""
    return {
        "kind": staged.kind.name,
        "dry_run": dry_run,
        "verdict": "accepted" if outcome.all_accepted else "accepted_in_part",
        "counts": outcome.rows.as_json(),
        "values": outcome.values.as_json(),
        "subjects": outcome.subjects,
        "to_look_at": outcome.to_look_at,
        "left_out": outcome.left_out,
        "revision": outcome.revision,
        "file": file_facts(staged.facts, say),
    }


def file_facts(facts: Facts, say: Say = str) -> dict[str, Any]:
    """Return the file as it was read."""
    stored = facts.as_json()
    stored["notices"] = [notice.said(say) for notice in facts.notices]
    stored["separator_name"] = say(SEPARATORS[facts.separator]) if facts.separator in SEPARATORS else ""
    return stored


def refusal(problem: Problem, letters: dict[str, str], say: Say = str) -> dict[str, Any]:
    """Return one refused cell or row."""
    return {
        "line": problem.line,
        "column": problem.column,
        "letter": letters.get(problem.column, ""),
        "value": problem.value,
        "code": problem.rule,
        "rule": problem.sentence.said(say),
        "suggestion": problem.remedy.said(say),
    }


def warning(
    found: Warned, headers: dict[str, str], letters: dict[str, str], say: Say = str
) -> dict[str, Any]:
    """Return one value that a soft check asks to look at."""
    header = headers.get(found.field, found.field)
    return {
        "line": found.line,
        "subject": found.subject,
        "place": found.place,
        "column": header,
        "letter": letters.get(header, ""),
        "field": found.field,
        "value": found.value,
        "code": found.rule,
        "rule": found.sentence.said(say),
        "suggestion": found.suggestion.said(say),
    }


def headers_of(staged: Import) -> dict[str, str]:
    """Return under which header a file holds what a soft check looks at."""
    long = staged.table.of(Role.FIELD, "analyte") is not None
    headers = {
        code: header_of(staged.table, "value" if long else code, Role.FIELD if long else Role.VALUE)
        for code in protocol.ANALYTES
    }
    return headers | {DAY_FIELD: header_of(staged.table, "visit_date")}


def letters_of(staged: Import) -> dict[str, str]:
    """Return the letter of each column by its header."""
    table = staged.table
    strange = {header: letter_of(position) for position, header in enumerate(table.headers) if header.strip()}
    return strange | {column.header: letter_of(column.position) for column in table.columns if column}


def refused_file(
    error: FileRefused, *, name: str, kind: str, dry_run: bool, say: Say = str
) -> dict[str, Any]:
    """Return the report on a file that was refused as a whole."""
    nothing = {"new": 0, "same": 0, "changed": 0, "conflict": 0, "refused": 0}
    return {
        "kind": kind,
        "dry_run": dry_run,
        "verdict": "file_refused",
        "counts": nothing,
        "values": nothing,
        "revision": None,
        "file": {"name": name},
        "file_refused": {
            "code": error.rule,
            "rule": error.sentence.said(say),
            "suggestion": error.remedy.said(say),
            "lines": error.lines,
            "columns": error.columns,
        },
        "refused": [],
        "conflicts": [],
    }


def write(out: TextIO, staged: Import, outcome: Outcome, *, dry_run: bool, say: Say = str) -> None:
    """Write the report; refused rows are streamed, however many there are."""
    letters, headers = letters_of(staged), headers_of(staged)
    text = json.dumps(head(staged, outcome, dry_run=dry_run, say=say), indent=1, ensure_ascii=False)
    out.write(text.removesuffix("\n}"))
    for name, entries in (
        ("refused", (refusal(problem, letters, say) for problem in staged.problems())),
        ("to_look_at_cells", (warning(found, headers, letters, say) for found in staged.warned())),
        ("conflicts", _differences(staged, Pile.CONFLICT)),
        ("changed", _differences(staged, Pile.CHANGED)),
    ):
        out.write(f',\n "{name}": [')
        separator = "\n  "
        for entry in entries:
            out.write(separator + json.dumps(entry, ensure_ascii=False))
            separator = ",\n  "
        out.write("]")
    out.write("\n}\n")


def _differences(staged: Import, pile: Pile) -> Iterator[dict[str, Any]]:
    for found in staged.differences(pile, MOST_DIFFERENCES):
        yield {
            "line": found.line,
            "subject": found.subject,
            "place": found.place,
            "column": found.field,
            "here": found.here,
            "file": found.there,
            "as_written": found.said,
        }
