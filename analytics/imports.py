"""Every kind of import by name, and imports as long work: preview, then commit."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from infusions.imports import Infusions
from patients.imports import report
from patients.imports.columns import letter_of, plain
from patients.imports.events import Events
from patients.imports.identifiers import IdentifiersFound
from patients.imports.importing import Busy, Import, Outcome, opened
from patients.imports.kinds import Context, Kind, Pile
from patients.imports.options import DateOrder, Options, options_of
from patients.imports.peek import peek
from patients.imports.problems import FileRefused
from patients.imports.screening import Screenings
from patients.imports.subjects import Subjects
from patients.imports.tables import MEND_LINE, harmless, mend_header
from patients.imports.visits import Visits
from patients.models import Laboratory
from trial import jobs, protocol, value_reasons
from trial.models import Job, Revision, User
from trial.roles import Permission

MENDED_BY_WORDS = frozenset(
    {
        "no_header", "column_missing", "header_twice", "header_unit", "unit_not_said", "mapping", "csv",
        "encoding", "encoding_not_known", "no_sheet", "columns_in_one_cell", "on_its_side",
    }
)  # fmt: skip
"""Refusals of a whole file that a person can mend by saying more about it."""

KINDS: Mapping[str, Kind] = MappingProxyType(
    {kind.name: kind for kind in (Subjects(), Screenings(), Infusions(), Visits(), Events())}
)
"""In the order in which a study's files are to be imported."""

MOST_SHOWN = 200
"""Refusals and changes a preview lists; the report holds all of them."""
MOST_CONFLICTS = 1000
"""Conflicts a preview lists one by one; the others are decided together."""
REPORT = "report.json"
MEND = "refused.csv"


def context_for(by: User, *, site: str = "", laboratory: str = "") -> Context:
    """Return under what conditions a person imports today."""
    return Context(by=by, today=timezone.localdate(), site=site, laboratory=laboratory)


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
            result = _result(job, staged, outcome, path, dry_run=True)
            facts = staged.facts
            seen = peek(
                path,
                name,
                _options(parameters),
                header_line=facts.header_line,
                sheet=facts.sheet,
                separator=facts.separator,
            )
            result["table"] = seen.as_json() if seen else {}
            result["undecided"] = _undecided(staged, result["table"], _options(parameters))
            return result
    except FileRefused as error:
        refused = report.refused_file(error, name=name, kind=kind.name, dry_run=True, say=_)
        if isinstance(error, IdentifiersFound):
            # who the subjects are is not to lie here for a day
            jobs.erase(job, jobs.UPLOAD)
            refused["erased"] = [{"letter": letter, "header": header} for letter, header in error.places]
        seen = peek(path, name, _options(parameters)) if error.rule in MENDED_BY_WORDS else None
        return refused | {"file": "", "facts": refused["file"], "table": seen.as_json() if seen else {}}


def _undecided(staged: Import, table: Mapping[str, Any], options: Options) -> list[str]:
    """Return the letters of the columns that hold something nobody has decided on."""
    said = {plain(header) for header in options.columns}
    values = dict(enumerate(table.get("values", ())))
    return [
        letter_of(at)
        for at, (header, column) in enumerate(zip(staged.table.headers, staged.table.columns, strict=True))
        if column is None
        and at not in staged.table.own
        and letter_of(at) not in options.places
        and (plain(header) not in said if header.strip() else bool(values.get(at)))
    ]


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
    chosen = _chosen(source, parameters)
    left_out = frozenset((int(line), str(field)) for line, field in parameters.get("left_out", ()))
    try:
        with _opened(source, path, progress, by=job.started_by) as staged:
            if staged.facts.sha256 != source.result["facts"]["sha256"]:
                raise jobs.JobRefused(_("The file is not the one that was previewed. Choose it again."))
            outcome = staged.commit(
                reason=value_reasons.joined(parameters["reason"], chosen.reasons),
                consents=frozenset(chosen.consents),
                left_out=left_out,
                progress=progress,
                say=_,
                request_id=f"job {job.pk}",
            )
            result = _result(job, staged, outcome, path, dry_run=False)
            if staged.table.plan.left_out:
                # what was left out is not wanted here, and the file has done its service
                jobs.erase(source, jobs.UPLOAD)
                result["erased"] = True
            return result
    except FileRefused as error:
        raise jobs.JobRefused(f"{error.sentence.said(_)} {error.remedy.said(_)}") from None
    except Busy:
        raise jobs.JobRefused(
            _("Others are changing the same values just now. Nothing was written; try again in a minute.")
        ) from None


@dataclass(slots=True)
class _Chosen:
    """The conflicts that were decided for the file, and the values by the label of their reason."""

    consents: set[tuple[int, str]] = field(default_factory=set)
    reasons: dict[str, list[str]] = field(default_factory=dict)

    def take(self, found: Mapping[str, Any], code: str) -> None:
        label = _REASONS[code]
        self.consents.add((int(found["line"]), str(found["field"])))
        self.reasons.setdefault(label, []).append(
            value_reasons.named(found["subject"], found["place"], found["field"])
        )


_REASONS = {reason.code: reason.label for reason in protocol.CHANGE_REASONS}


def _chosen(source: Job, parameters: Mapping[str, Any]) -> _Chosen:
    """Return what was decided: single conflicts, and together those that were not decided on one by one."""
    chosen = _Chosen()
    single = {(int(line), str(name)): str(code) for line, name, code in parameters.get("taken", ())}
    kept = {(int(line), str(name)) for line, name in parameters.get("kept", ())}
    rest = str(parameters.get("rest", ""))
    for found in _conflicts(source) if rest else source.result.get("conflict", ()):
        place = (int(found["line"]), str(found["field"]))
        code = single.get(place) or ("" if place in kept else rest)
        if code in _REASONS:
            chosen.take(found, code)
    return chosen


def _conflicts(source: Job) -> Iterator[Mapping[str, Any]]:
    """Yield every conflict of a preview, also those that its page does not list."""
    path = jobs.file_of(source, REPORT)
    if path is None:
        yield from source.result.get("conflict", ())
        return
    for found in json.loads(path.read_text(encoding="utf-8"))["conflicts"]:
        yield found | {"field": found["column"]}


def _opened(job: Job, path: Path, progress: jobs.Progress, *, by: User | None = None) -> Any:
    parameters = job.parameters
    person = by or job.started_by
    if not person.may(Permission.IMPORT_FILES):
        raise jobs.JobRefused(_("Your role may not import files."))
    return opened(
        path,
        name=parameters["name"],
        kind=KINDS[parameters["kind"]],
        context=context_for(
            person, site=parameters.get("site", ""), laboratory=_measured_by(parameters, person)
        ),
        options=_options(parameters),
        progress=progress,
        say=_,
    )


def _measured_by(parameters: Mapping[str, Any], person: User) -> str:
    """Return the code of the laboratory that the file is said to come from."""
    chosen = parameters.get("laboratory")
    codes = (
        Laboratory.objects.visible_to(person).filter(pk=chosen).values_list("code", flat=True)
        if chosen
        else ()
    )
    return next(iter(codes), "")


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
    for name, pile, most in (
        ("conflict", Pile.CONFLICT, MOST_CONFLICTS),
        ("changed_cells", Pile.CHANGED, MOST_SHOWN),
    ):
        result[name] = [found.as_json() for found in staged.differences(pile, most)]
    if outcome.rows.refused:
        rows_to_mend(staged, folder / MEND)
        result["to_mend"] = True
    if not dry_run:
        result["page"] = reverse("analytics:import_preview", args=[job.pk])
    return result


# --- rows to mend --------------------------------------------------------------------------


def rows_to_mend(staged: Import, target: Path) -> None:
    """Write the refused rows as they stand in the file, with line, rule and remedy in front.

    Columns that hold the reasons of an earlier round are left away. What a
    spreadsheet would take for a formula gets a quotation mark, which is taken off
    when the file comes back. Separator and order of dates stay, which a few rows
    alone may not prove.
    """
    reasons: dict[int, list[str]] = {}
    for problem in staged.problems():
        reasons.setdefault(problem.line, []).append(
            f"{problem.column}: {problem.sentence.said(_)} {problem.remedy.said(_)}".removeprefix(": ")
        )
    table = staged.table
    places = [at for at in range(len(table.headers)) if at not in table.own]
    why = mend_header(DateOrder(staged.facts.dates) if staged.facts.dates else None)
    with target.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n", delimiter=staged.facts.separator or ",")
        writer.writerow([*(table.headers[at] for at in places), MEND_LINE, why])
        for line, row in table.rows():
            if line in reasons:
                shown = [harmless(row[at]) if at < len(row) else "" for at in places]
                # a row with too many fields keeps them where they were: behind its last column
                beyond = [harmless(cell) for cell in row[len(table.headers) :]]
                writer.writerow([*shown, *beyond, line, harmless(" | ".join(reasons[line]))])
