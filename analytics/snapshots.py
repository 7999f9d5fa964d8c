"""Snapshots: data, results, code and environment of one revision under one SHA-256.

A snapshot is one archive, kept in the database in pieces that it refuses to change,
and a manifest that names every file inside with its SHA-256. The hash of the
snapshot is that of the manifest. Taking it away hands out the stored bytes, so that
they are the same whatever has happened to the data, the code or the machine since.
"""

from __future__ import annotations

import hashlib
import json
import platform
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from analytics import refresh, selectors
from analytics.code_version import CURRENT
from analytics.datasets import DATASETS
from analytics.exports import bundle
from analytics.exports.asked import Asked
from analytics.exports.companions import COMPANIONS
from analytics.models import Run, Snapshot, SnapshotBlock
from trial import protocol, synthetic_label

if TYPE_CHECKING:
    from trial.models import User

FORMAT = "cordline snapshot 1"
MANIFEST, PROTOCOL, PAPER = "manifest.json", "protocol.json", "paper"
BLOCK = 2**20
KEPT_IN_MEMORY = 16 * 2**20
TRIES = 3
LIBRARIES = ("Django", "numpy", "scipy", "pandas", "matplotlib", "psycopg", "python-docx")

Progress = bundle.Progress


class NotCurrent(Exception):
    """The results are not those of the data, and could not be brought there."""


class Unknown(LookupError):
    """There is no such snapshot."""


def _quietly(done: int, total: int, text: str) -> None:
    """Tell nobody."""


# --- freezing -------------------------------------------------------------------------------


def freeze(
    *, title: str, purpose: str, by: User, paper: bool = True, progress: Progress = _quietly
) -> Snapshot:
    """Freeze the data and results of the newest revision.

    Parameters
    ----------
    title, purpose
        What it is called and what it is for.
    by
        Who freezes it.
    paper
        Whether the tables and figures of the paper are drawn and kept too.
    progress
        Told the finished steps, all steps, and what comes next.

    Raises
    ------
    NotCurrent
        If the data went on changing faster than the results could follow, or no
        refresh is possible now.
    """
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "snapshot.zip"
        for _attempt in range(TRIES):
            refresh.refresh()
            with selectors.one_moment(long=True):
                run = selectors.latest_run()
                if run is not None and selectors.freshness().current:
                    text = _write(target, Path(folder), run, paper=paper, progress=progress)
                    break
        else:
            raise NotCurrent(
                _(
                    "The results are not those of the data, so there is nothing to freeze. Try again in a minute."
                )
            )
        with transaction.atomic():
            kept = Snapshot.objects.create(
                title=title.strip(),
                purpose=purpose.strip(),
                made_by=by,
                made_at=timezone.now(),
                revision=run.revision,
                run=run.pk,
                code_version=run.code_version,
                manifest=text,
                sha256=hashlib.sha256(text.encode()).hexdigest(),
                size=target.stat().st_size,
            )
            _keep(kept, target)
    return kept


def _write(target: Path, folder: Path, run: Run, *, paper: bool, progress: Progress) -> str:
    """Write the archive of the moment that is open, and return its manifest."""
    files: list[dict[str, Any]] = []
    total = len(DATASETS) + 2
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for place, dataset in enumerate(DATASETS.values()):
            progress(place, total, dataset.name)
            # a file first, so that a large dataset is never in memory
            path = folder / dataset.name
            written = bundle.written_to(path, dataset, bundle.blocks(dataset))
            files.append(
                {
                    "file": f"{dataset.name}.csv",
                    "holds": dataset.grain,
                    "rows": written.rows,
                    "sha256": written.sha256,
                }
            )
            with (
                path.open("rb") as source,
                archive.open(_entry(f"{dataset.name}.csv"), "w", force_zip64=True) as out,
            ):
                while block := source.read(BLOCK):
                    out.write(block)
            path.unlink()
        for name, content in _companions(folder):
            files.append({"file": name, "sha256": hashlib.sha256(content).hexdigest()})
            archive.writestr(_entry(name), content)
        for name, content in _further(paper=paper, progress=lambda text: progress(total - 2, total, text)):
            files.append({"file": name, "sha256": hashlib.sha256(content).hexdigest()})
            archive.writestr(_entry(name), content)
        progress(total - 1, total, "manifest")
        text = _manifest(run, files)
        archive.writestr(_entry(MANIFEST), text)
    return text


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.create_system = 3
    entry.external_attr = 0o644 << 16
    return entry


def _companions(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield what goes with the CSV files of an export too: the codebook, and the scripts that compute again."""
    asked = Asked(byte_order_mark=False)
    for companion in COMPANIONS:
        for path in companion(folder, list(DATASETS.values()), asked):
            yield path.name, path.read_bytes()


def _further(*, paper: bool, progress: Any) -> Iterator[tuple[str, bytes]]:
    with translation.override("en"):
        plain = _plain({name: getattr(protocol, name) for name in dir(protocol) if name.isupper()})
    yield PROTOCOL, (json.dumps(plain, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode()
    if paper:
        from analytics import paper_set

        for name, content in paper_set.paper_files(progress=lambda _done, _all, text: progress(text)):
            yield f"{PAPER}/{name}", content


def _plain(value: Any) -> Any:
    """Return a setting of the protocol as JSON can hold it, the same every time."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, set | frozenset):
        return sorted(str(each) for each in value)
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return getattr(value, "__name__", None) or str(value)


def _manifest(run: Run, files: list[dict[str, Any]]) -> str:
    holds = {
        "format": FORMAT,
        "study": str(protocol.TITLE),
        "protocol": protocol.VERSION,
        "synthetic": synthetic_label.is_on(),
        "revision": run.revision,
        "run": run.pk,
        "code_version": run.code_version,
        "identified": False,
        "environment": environment(),
        "files": files,
    }
    with translation.override("en"):
        return json.dumps(holds, indent=2, ensure_ascii=False, default=str) + "\n"


def environment() -> dict[str, str]:
    """Return what the results were computed with: versions of Python, libraries, database and system."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        (database,) = cursor.fetchone()
    found = {"python": platform.python_version(), "platform": platform.platform(), "postgresql": database}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def _keep(kept: Snapshot, path: Path) -> None:
    with path.open("rb") as file:
        place = 0
        while block := file.read(BLOCK):
            SnapshotBlock.objects.create(snapshot=kept, place=place, content=block)
            place += 1


# --- reading --------------------------------------------------------------------------------


def every() -> QuerySet[Snapshot]:
    """Return all snapshots, newest first, without their manifests."""
    return Snapshot.objects.select_related("made_by").defer("manifest")


def by_id(number: int) -> Snapshot:
    """Return a snapshot.

    Raises
    ------
    Unknown
        When there is none of that number.
    """
    found = Snapshot.objects.select_related("made_by").filter(pk=number).first() if number < 2**63 else None
    if found is None:
        raise Unknown(_("There is no snapshot %(number)s.") % {"number": number})
    return found


def archive(snapshot: Snapshot) -> Iterator[bytes]:
    """Yield the archive as it was frozen, piece by piece."""
    places = snapshot.blocks.order_by("place").values_list("pk", flat=True)
    for pk in list(places):
        yield bytes(SnapshotBlock.objects.values_list("content", flat=True).get(pk=pk))


def file_name(snapshot: Snapshot) -> str:
    """Return the name under which it is taken away."""
    return f"cordline-snapshot-{snapshot.pk}-r{snapshot.revision}-{snapshot.sha256[:12]}.zip"


@contextmanager
def opened(snapshot: Snapshot) -> Iterator[zipfile.ZipFile]:
    """Open the archive for reading; a large one waits on the disk, not in memory."""
    with tempfile.SpooledTemporaryFile(max_size=KEPT_IN_MEMORY) as file:
        for block in archive(snapshot):
            file.write(block)
        file.seek(0)
        with zipfile.ZipFile(file) as found:
            yield found


def files_of(snapshot: Snapshot) -> list[dict[str, Any]]:
    """Return the files as the manifest names them."""
    named: list[dict[str, Any]] = json.loads(snapshot.manifest)["files"]
    return named


# --- verifying ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Checked:
    """What a verification found: the files whose bytes are not those that were frozen."""

    files: int
    damaged: tuple[str, ...]

    @property
    def is_sound(self) -> bool:
        return not self.damaged


def verify(snapshot: Snapshot) -> Checked:
    """Compute every hash again, from the manifest's to each file's, and name what differs."""
    damaged = []
    if hashlib.sha256(snapshot.manifest.encode()).hexdigest() != snapshot.sha256:
        damaged.append(_("the manifest"))
    wanted = {file["file"]: file["sha256"] for file in files_of(snapshot)}
    wanted[MANIFEST] = snapshot.sha256
    try:
        with opened(snapshot) as found:
            names = found.namelist()
            damaged += [
                name for name, digest in wanted.items() if name not in names or _digest(found, name) != digest
            ]
            damaged += [name for name in names if name not in wanted]
    except zipfile.BadZipFile:
        damaged.append(_("the archive, which cannot be opened"))
    return Checked(len(wanted), tuple(damaged))


def _digest(found: zipfile.ZipFile, name: str) -> str:
    digest = hashlib.sha256()
    try:
        with found.open(name) as file:
            for block in _blocks(file):
                digest.update(block)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError):
        return ""
    return digest.hexdigest()


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    while block := file.read(BLOCK):
        yield block


def is_same_code(snapshot: Snapshot) -> bool:
    """Return whether the code that runs now is the code whose results were frozen."""
    return snapshot.code_version == CURRENT
