"""Every kind of import by name, and imports as long work: preview, then commit."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from analytics.exports.csv_files import FORMULA_STARTS
from infusions.imports import Infusions
from patients.edit_checks import DAY_FIELD
from patients.imports import report
from patients.imports.importing import Busy, Import, Outcome, opened
from patients.imports.kinds import Context, Kind, Pile
from patients.imports.options import Options, options_of
from patients.imports.problems import FileRefused
from patients.imports.subjects import Subjects
from patients.imports.visits import LONG, Visits
from trial import jobs, protocol
from trial.models import Job, Revision, User
from trial.roles import Permission

KINDS: Mapping[str, Kind] = MappingProxyType(
    {kind.name: kind for kind in (Subjects(), Infusions(), Visits())}
)
"""In the order in which a study's files are to be imported."""

MOST_SHOWN = 200
"""Refusals, conflicts and changes a preview lists; the report holds all of them."""
REPORT = "report.json"
MEND = "refused.csv"
_NUMBER_START = "0123456789."


def context_for(by: User, *, site: str = "") -> Context:
    """Return under what conditions a person imports today."""
    return Context(by=by, today=timezone.localdate(), site=site)


def default_reason(name: str) -> str:
    """Return the reason an import gives when nobody said another."""
    return _("import of %(name)s") % {"name": name}


# --- as long work ---------------------------------------------------------------------------


def preview(job: Job, progress: jobs.Progress) -> dict[str, Any]:
    """Read an uploaded file and say what importing it would do; nothing of the study is written."""
    path = jobs.file_of(job, jobs.UPLOAD)
    if path is None:
        raise jobs.JobRefused(_("The uploaded file is gone. Choose it again."))
    parameters = job.parameters
    kind, name = KINDS[parameters["kind"]], parameters["name"]
    try:
        with _opened(job, path, progress) as staged:
            progress(staged.facts.rows + 1, staged.facts.rows + 2, _("Checking against the study"))
            outcome = staged.preview()
            return _result(job, staged, outcome, path, dry_run=True)
    except FileRefused as error:
        refused = report.refused_file(error, name=name, kind=kind.name, dry_run=True, say=_)
        return refused | {"file": "", "facts": refused["file"]}


def commit(job: Job, progress: jobs.Progress) -> dict[str, Any]:
    """Import the file of a preview as one revision."""
    before = Revision.objects.filter(request_id=f"job {job.pk}").first()
    if before is not None:
        # the worker died between the commit and its word of it
        return {"verdict": "accepted_before", "revision": before.number, "counts": {}, "values": {}}
    parameters = job.parameters
    source = jobs.own(job.started_by, parameters["preview"])
    path = jobs.file_of(source, jobs.UPLOAD) if source is not None else None
    if source is None or path is None:
        raise jobs.JobRefused(_("The uploaded file is gone; files are kept for 24 hours. Choose it again."))
    consents = frozenset((int(line), str(field)) for line, field in parameters.get("consents", ()))
    left_out = frozenset((int(line), str(field)) for line, field in parameters.get("left_out", ()))
    try:
        with _opened(source, path, progress, by=job.started_by) as staged:
            if staged.facts.sha256 != source.result["facts"]["sha256"]:
                raise jobs.JobRefused(_("The file is not the one that was previewed. Choose it again."))
            outcome = staged.commit(
                reason=parameters["reason"],
                overwrite=bool(parameters.get("overwrite")),
                consents=consents,
                left_out=left_out,
                progress=progress,
                say=_,
                request_id=f"job {job.pk}",
            )
            return _result(job, staged, outcome, path, dry_run=False)
    except FileRefused as error:
        raise jobs.JobRefused(f"{error.sentence.said(_)} {error.remedy.said(_)}") from None
    except Busy:
        raise jobs.JobRefused(
            _("Others are changing the same values just now. Nothing was written; try again in a minute.")
        ) from None


def _opened(job: Job, path: Path, progress: jobs.Progress, *, by: User | None = None) -> Any:
    parameters = job.parameters
    person = by or job.started_by
    if not person.may(Permission.IMPORT_FILES):
        raise jobs.JobRefused(_("Your role may not import files."))
    return opened(
        path,
        name=parameters["name"],
        kind=KINDS[parameters["kind"]],
        context=context_for(person, site=parameters.get("site", "")),
        options=_options(parameters),
        progress=progress,
        say=_,
    )


def _options(parameters: Mapping[str, Any]) -> Options:
    return options_of(parameters["options"]) if parameters.get("options") else Options()


def _result(job: Job, staged: Import, outcome: Outcome, path: Path, *, dry_run: bool) -> dict[str, Any]:
    letters = report.letters_of(staged)
    folder = jobs.folder(job.pk)
    with (folder / REPORT).open("w", encoding="utf-8") as out:
        report.write(out, staged, outcome, dry_run=dry_run, say=_)
    result = report.head(staged, outcome, dry_run=dry_run, say=_)
    result["facts"] = result.pop("file")  # a job's "file" is the one it offers for download
    result["refused"] = [report.refusal(problem, letters, _) for problem in staged.problems(MOST_SHOWN)]
    headers = report.headers_of(staged)
    result["warned"] = [report.warning(each, headers, letters, _) for each in staged.warned(MOST_SHOWN)]
    for name, pile in (("conflict", Pile.CONFLICT), ("changed_cells", Pile.CHANGED)):
        result[name] = [found.as_json() for found in staged.differences(pile, MOST_SHOWN)]
    if outcome.rows.refused:
        rows_to_mend(staged, folder / MEND)
        result["to_mend"] = True
    if not dry_run:
        result["page"] = reverse("analytics:import_preview", args=[job.pk])
    return result


# --- for the page ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Described:
    """What a kind of file holds, for whoever prepares one."""

    label: str
    columns: str


def described() -> list[Described]:
    """Return the kinds of files and the columns they have; those in front are needed."""
    labels = {"subjects": _("Subjects"), "infusions": _("Infusions"), "visits": _("Visits")}
    found = []
    for kind in KINDS.values():
        needed = [field.code for field in kind.fields if field.required]
        others = [field.code for field in kind.fields if not field.required]
        if kind.analytes:
            others = [code for code in others if code not in LONG] + [
                *protocol.REQUIRED_ANALYTES,
                "tbil_unit",
                "…",
            ]
        found.append(Described(labels[kind.name], f"{', '.join(needed)}; {', '.join(others)}"))
    return found


@dataclass(frozen=True, slots=True)
class PileShown:
    """One pile as the page shows it; ``start`` and ``rows`` are its place in the bar."""

    name: str
    label: str
    meaning: str
    icon: str
    rows: int
    values: int
    start: int

    @property
    def end(self) -> int:
        return self.start + self.rows


def piles(job: Job) -> list[PileShown]:
    """Return the five piles of a finished preview or import, or nothing."""
    counts, values = job.result.get("counts"), job.result.get("values", {})
    if not counts:
        return []
    shown, start = [], 0
    for name, label, meaning, icon in (
        ("new", _("New"), _("empty here, filled by the file"), "plus-circle"),
        ("same", _("Same"), _("nothing to do"), "equals"),
        ("changed", _("Changed"), _("replaces what was here"), "swap"),
        ("conflict", _("Conflict"), _("differs from what is here: you decide"), "warning"),
        ("refused", _("Refused"), _("breaks a rule; nothing is saved"), "cross-circle"),
    ):
        shown.append(PileShown(name, label, meaning, icon, counts[name], values.get(name, 0), start))
        start += counts[name]
    return shown


@dataclass(frozen=True, slots=True)
class Needs:
    """What of a file asks for a person, as far as the page lists it: conflicts, refusals, values to look at."""

    conflicts: list[dict[str, Any]]
    refused: list[dict[str, Any]]
    changed: list[dict[str, Any]]
    more_conflicts: int
    more_refused: int
    warned: list[dict[str, Any]]
    to_look_at: int
    more_to_look_at: int


def needs(job: Job) -> Needs:
    """Return what a person has to look at, with fields in words."""
    result = job.result
    conflicts, changed = (
        [_shown(entry) for entry in result.get(pile, [])] for pile in ("conflict", "changed_cells")
    )
    refused = result.get("refused", [])
    values = result.get("values", {})
    warned = [
        found | {"label": _field_label(found["field"]), "may_stay_out": found["field"] in protocol.ANALYTES}
        for found in result.get("warned", [])
    ]
    to_look_at = result.get("to_look_at", 0)
    return Needs(
        conflicts,
        refused,
        changed,
        max(0, values.get("conflict", 0) - len(conflicts)),
        max(0, values.get("refused", 0) - len(refused)),
        warned,
        to_look_at,
        max(0, to_look_at - len(warned)),
    )


def _shown(entry: dict[str, Any]) -> dict[str, Any]:
    """Return one difference with its field in words; the file's own words only where they say more."""
    field = entry["field"]
    unit = protocol.ANALYTES[field].unit if field in protocol.ANALYTES else ""
    said = entry["said"] if entry["said"] != f"{entry['there']} {unit}" else ""
    return entry | {"label": _field_label(field), "unit": _unit(field), "said": said}


def _field_label(field: str) -> str:
    if field in protocol.ANALYTES:
        return protocol.ANALYTES[field].label
    labels = {
        "visit_date": _("visit date"),
        DAY_FIELD: _("visit date"),
        "site": _("site"),
        "sex": _("sex"),
        "birth_date": _("date of birth"),
        "age": _("age"),
        "diagnosis": _("diagnosis"),
        "recruited_on": _("recruited on"),
        "planned_course": _("planned course"),
        "given_on": _("given on"),
        "weight_kg": _("weight, kg"),
        "cells": _("cells"),
        "volume_ml": _("volume, mL"),
        "lot": _("lot"),
    }
    return labels.get(field, field.replace("_", " "))


def _unit(field: str) -> str:
    return protocol.ANALYTES[field].unit_symbol if field in protocol.ANALYTES else ""


def rows_to_mend(staged: Import, target: Path) -> None:
    """Write the refused rows as they stand in the file, with line, rule and remedy in front.

    A leading ``=``, ``+``, ``-`` or ``@`` gets a quotation mark, so that no
    spreadsheet takes the text of a stranger for a formula.
    """
    reasons: dict[int, list[str]] = {}
    for problem in staged.problems():
        reasons.setdefault(problem.line, []).append(
            f"{problem.column}: {problem.sentence.said(_)} {problem.remedy.said(_)}".removeprefix(": ")
        )
    headers = [column.header if column else "" for column in staged.table.columns]
    for entry in staged.facts.ignored:
        place = next((i for i, text in enumerate(headers) if not text), None)
        if place is not None:
            headers[place] = entry["header"]
    with target.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow([*headers, "line", "why refused"])
        for line, row in staged.table.rows():
            if line in reasons:
                shown = [_harmless(cell) for cell in row]
                padding = [""] * (len(headers) - len(shown))
                writer.writerow([*shown, *padding, line, _harmless(" | ".join(reasons[line]))])


def _harmless(text: str) -> str:
    if not text.startswith(FORMULA_STARTS):
        return text
    if text[0] in "+-" and text[1:2] and text[1] in _NUMBER_START and not text[1:].strip("0123456789.,"):
        return text
    return f"'{text}"
