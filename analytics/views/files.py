"""Files in: choose one, say what its columns hold, look at what it would do, decide, commit.

Nothing of the study is written before the last step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from analytics import import_page, imports
from analytics.forms import ColumnsForm, CommitForm, UndoForm, UploadForm
from patients.actions.imports import remember_mapping, undo_import, undone_in
from patients.imports.options import options_of
from trial import idempotency, jobs, protocol
from trial.models import Job, User
from trial.refusals import Conflict, Refused
from trial.roles import Permission, requires

IMPORT_JOBS = ("import_preview", "import_commit")
_LEAVE = "leave:"
_BLOCK = 2**20


@requires(Permission.EXPORT_FILES)
def data(request: HttpRequest) -> HttpResponse:
    """Show the ways in and out, and what was brought in or taken away lately."""
    user = _user(request)
    may_import = user.may(Permission.IMPORT_FILES)
    context = {
        "place": "data",
        "form": UploadForm(user=user) if may_import else None,
        "imports": jobs.latest(user, IMPORT_JOBS) if may_import else [],
        "exports": jobs.latest(user, ["export"]),
        "most_megabytes": settings.LARGEST_UPLOAD // 2**20,
    }
    return render(request, "analytics/data.html", context)


@requires(Permission.IMPORT_FILES)
def import_file(request: HttpRequest) -> HttpResponse:
    """Take a file; a job reads it and says what importing it would do."""
    user = _user(request)
    form = UploadForm(request.POST or None, request.FILES or None, user=user)
    if request.method == "POST" and form.is_valid():
        upload = form.cleaned_data["file"]
        laboratory, kind = form.cleaned_data["laboratory"], form.cleaned_data["kind"]
        remembered = import_page.mapping_of(laboratory, kind)
        mended = _mended(request, user, kind)
        job = _queue(
            user,
            upload.chunks(),
            kind=kind,
            name="".join(letter if letter.isprintable() else "_" for letter in upload.name),
            site=_site_code(user, form),
            options={**(remembered.options if remembered else {}), **mended, **form.options()},
            laboratory=laboratory.pk if laboratory else None,
            remembered=remembered is not None,
        )
        return redirect("analytics:import_preview", job_id=job.pk)
    context = {
        "place": "data",
        "form": form,
        "described": import_page.described(),
        "imports": jobs.latest(user, IMPORT_JOBS),
        "most_megabytes": settings.LARGEST_UPLOAD // 2**20,
    }
    return render(request, "analytics/import.html", context, status=422 if request.method == "POST" else 200)


@requires(Permission.IMPORT_FILES)
def import_columns(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Show what each column is taken for; a POST reads the same file again as it was decided."""
    user = _user(request)
    job = _own(user, job_id)
    if not _has_columns(job):
        return redirect("analytics:import_preview", job_id=job.pk)
    table, before = job.result["table"], job.parameters.get("options", {})
    laboratory = import_page.laboratory_of(job, user)
    mapping = import_page.mapping_of(laboratory, job.parameters["kind"])
    form = ColumnsForm(
        request.POST or None,
        sheets=table["sheets"],
        initial={**before, "remember": job.parameters.get("remembered", False)},
    )
    columns = import_page.columns_of(job, request.POST if request.method == "POST" else None)
    problems: list[str] = []
    if request.method == "POST" and form.is_valid():
        options, problems = _read_again(form, columns, before)
        if not problems and form.cleaned_data["remember"] and _is_same_table(form, before):
            try:
                remember_mapping(
                    laboratory=laboratory,
                    kind=job.parameters["kind"],
                    options=options_of(options),
                    by=user,
                    version=_number(request.POST.get("mapping_version", "")),
                )
            except Conflict:
                problems.append(
                    _(
                        "Somebody else changed what is remembered of these files. Look at the columns once more."
                    )
                )
        path = jobs.file_of(job, jobs.UPLOAD)
        if path is None:
            problems.append(_("The uploaded file is gone; files are kept for 24 hours. Choose it again."))
        elif not problems:
            again = _queue(
                user,
                _blocks(path),
                kind=job.parameters["kind"],
                name=job.parameters["name"],
                site=job.parameters.get("site", ""),
                options=options,
                laboratory=job.parameters.get("laboratory"),
                remembered=job.parameters.get("remembered", False) or form.cleaned_data["remember"],
            )
            return redirect("analytics:import_preview", job_id=again.pk)
    context = {
        "place": "data",
        "job": job,
        "form": form,
        "columns": columns,
        "choices": import_page.choices_of(imports.KINDS[job.parameters["kind"]]),
        "kind": import_page.kind_label(job.parameters["kind"]),
        "laboratory": laboratory,
        "mapping_version": mapping.version if mapping else 0,
        "problems": problems,
        "table": table,
        "undecided": sum(column.is_undecided for column in columns),
        "left_out": import_page.LEFT_OUT,
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "analytics/import_columns.html", context, status=status)


@requires(Permission.IMPORT_FILES)
def import_preview(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Show the piles of a file; a POST commits it with the choices made."""
    user = _user(request)
    job = _own(user, job_id)
    if job.kind not in IMPORT_JOBS:
        return redirect("trial:job", job_id=job.pk)
    if request.method != "POST" and not getattr(request, "htmx", False) and _needs_columns(job):
        return redirect("analytics:import_columns", job_id=job.pk)
    form = CommitForm(
        request.POST or None, initial={"reason": imports.default_reason(job.parameters["name"])}
    )
    needs = import_page.needs(job, request.POST if request.method == "POST" else None)
    if request.method == "POST" and _may_be_committed(job) and form.is_valid() and not needs.without_reason:
        commit = idempotency.queue_once(
            request,
            "import_commit",
            by=user,
            parameters={
                "preview": str(job.pk),
                "kind": job.parameters["kind"],
                "name": job.parameters["name"],
                "title": job.parameters["name"],
                "site": job.parameters.get("site", ""),
                "options": job.parameters.get("options", {}),
                "laboratory": job.parameters.get("laboratory"),
                "reason": form.cleaned_data["reason"],
                "taken": [
                    (row["line"], row["field"], row["why"])
                    for row in needs.conflicts
                    if row["take"] == "file"
                ],
                "kept": [(row["line"], row["field"]) for row in needs.conflicts if row["take"] == "here"],
                "rest": form.cleaned_data["rest"],
                "left_out": _left_out(request, job),
            },
        )
        return redirect("analytics:import_preview", job_id=commit.pk)
    written = import_page.revision_of(job)
    context = {
        "place": "data",
        "job": job,
        "form": form,
        "piles": import_page.piles(job),
        "needs": needs,
        "may_commit": _may_be_committed(job),
        "may_mend_columns": _has_columns(job),
        "change_reasons": list(enumerate(protocol.CHANGE_REASONS, start=1)),
        "laboratory": import_page.laboratory_of(job, user),
        "revision": written,
        "read_back": import_page.read_back(written) if written else [],
        "undone": undone_in(written) if written else None,
        "is_gone": _is_gone(job),
        "kept_until": None if _is_gone(job) else jobs.kept_until(job),
        "submission_key": idempotency.key_of(request),
    }
    status = 422 if request.method == "POST" else 200
    answer = render(request, "analytics/import_preview.html", context, status=status)
    if getattr(request, "htmx", False) and job.finished_at:
        answer["HX-Refresh"] = "true"  # the waiting part asked; the finished page is another one
    return answer


@requires(Permission.IMPORT_FILES)
def import_undo(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Ask why an import is taken back; a POST takes it back as one revision."""
    user = _user(request)
    job = _own(user, job_id)
    revision = import_page.revision_of(job)
    if revision is None:
        return redirect("analytics:import_preview", job_id=job.pk)
    form = UndoForm(request.POST or None)
    refusal: Refused | None = None
    if request.method == "POST" and form.is_valid():
        try:
            with idempotency.once(request, by=user) as attempt:
                if not attempt.is_repeated:
                    undo_import(revision=revision, by=user, reason=form.cleaned_data["reason"])
            return redirect("analytics:import_preview", job_id=job.pk)
        except Refused as refused:
            refusal = refused
    context = {
        "place": "data",
        "job": job,
        "form": form,
        "revision": revision,
        "read_back": import_page.read_back(revision),
        "undone": undone_in(revision),
        "problems": [problem.in_words for problem in refusal.problems] if refusal else [],
        "submission_key": idempotency.key_of(request),
    }
    return render(
        request, "analytics/import_undo.html", context, status=422 if request.method == "POST" else 200
    )


@requires(Permission.IMPORT_FILES)
def import_refused(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
    """Send the refused rows as a file to mend."""
    return _file(request, job_id, imports.MEND, _("%(name)s, refused rows.csv"))


@requires(Permission.IMPORT_FILES)
def import_report(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
    """Send the whole report as JSON."""
    return _file(request, job_id, imports.REPORT, _("%(name)s, report.json"))


# --- parts ----------------------------------------------------------------------------------


def _queue(user: User, blocks: Iterable[bytes], **parameters: Any) -> Job:
    return jobs.queue("import_preview", user, {"title": parameters["name"], **parameters}, upload=blocks)


def _site_code(user: User, form: UploadForm) -> str:
    """Return the site of subjects whose file names none."""
    site = user.site or form.cleaned_data.get("site")
    return site.code if site else ""


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block


def _mended(request: HttpRequest, user: User, kind: str) -> dict[str, Any]:
    """Return how the file was read whose refused rows come back mended, or which comes again without some columns."""
    try:
        job = jobs.own(user, UUID(request.POST.get("mends", "")))
    except ValueError:
        return {}
    if job is None or job.kind not in IMPORT_JOBS or job.parameters.get("kind") != kind:
        return {}
    if "file_refused" in job.result:
        return import_page.said_without(job, request.POST.getlist("without"))
    # encoding, separator, sheet and header line are those of another file now
    return {
        name: said
        for name, said in job.parameters.get("options", {}).items()
        if name in ("columns", "units", "places", "dates")
    }


def _read_again(
    form: ColumnsForm, columns: list[import_page.ColumnShown], before: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Return the options under which the file is read again, and what is still to be said."""
    said = form.options()
    kept = {name: before[name] for name in ("columns", "units", "places") if name in before}
    if not _is_same_table(form, before):
        # other columns will come out of it: they are decided on when they are seen
        return {**{name: kept[name] for name in ("columns", "units") if name in kept}, **said}, []
    if undecided := [column for column in columns if column.is_undecided]:
        named = ", ".join(f"{column.letter} {column.header}".strip() for column in undecided)
        return {}, [_("Say what these columns hold, or leave them out: %(columns)s.") % {"columns": named}]
    return import_page.said_of_columns(columns, said), []


def _is_same_table(form: ColumnsForm, before: Mapping[str, Any]) -> bool:
    return all(
        (form.cleaned_data.get(name) or "") == (before.get(name) or "")
        for name in ("encoding", "separator", "sheet", "header_line")
    )


def _has_columns(job: Job) -> bool:
    return (
        job.kind == "import_preview"
        and job.status == Job.Status.DONE
        and bool(job.result.get("table"))
        and jobs.file_of(job, jobs.UPLOAD) is not None
    )


def _needs_columns(job: Job) -> bool:
    return _has_columns(job) and bool(job.result.get("undecided") or "file_refused" in job.result)


def _file(request: HttpRequest, job_id: UUID, name: str, shown: str) -> HttpResponseBase:
    job = _own(_user(request), job_id)
    path = jobs.file_of(job, name)
    if path is None or job.kind not in IMPORT_JOBS:
        return redirect("analytics:import_preview", job_id=job.pk)
    stem = str(job.parameters["name"]).rpartition(".")[0] or job.parameters["name"]
    return FileResponse(path.open("rb"), as_attachment=True, filename=shown % {"name": stem})


def _may_be_committed(job: Job) -> bool:
    return (
        job.kind == "import_preview"
        and job.status == Job.Status.DONE
        and "file_refused" not in job.result
        and not job.result.get("undecided")
        and jobs.file_of(job, jobs.UPLOAD) is not None
    )


def _is_gone(job: Job) -> bool:
    """Whether the file of a preview was deleted, a day after it was read."""
    return (
        job.kind == "import_preview"
        and job.status == Job.Status.DONE
        and jobs.file_of(job, jobs.UPLOAD) is None
    )


def _left_out(request: HttpRequest, job: Job) -> list[tuple[int, str]]:
    """Return the values in doubt that stay out of the import; only those that were shown count."""
    shown = [(found["line"], found["field"]) for found in job.result.get("warned", [])]
    return [(line, field) for line, field in shown if request.POST.get(f"{_LEAVE}{line}:{field}") == "out"]


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _own(user: User, job_id: UUID) -> Job:
    job = jobs.own(user, job_id)
    if job is None:
        raise Http404
    return job


def _user(request: HttpRequest) -> Any:
    return request.user
