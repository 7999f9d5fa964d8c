"""What left the house: who may take it, and the log of who took what, when and why."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from analytics.exports import bundle
from analytics.exports.asked import Asked
from analytics.models import ExportRecord, Snapshot
from trial import audit
from trial.models import User
from trial.roles import Permission

ARCHIVE = "zip"
"""The format of a snapshot: the archive as it was frozen."""
SHORTEST_PURPOSE = 10
LONGEST_PURPOSE = 300


class Refused(PermissionError):
    """Somebody may not take this, or has not said what it is for; the message says which."""


def check(by: User, *, identified: bool, purpose: str = "") -> None:
    """Refuse what a person may not take away.

    Raises
    ------
    Refused
        Without the permission, or for an identified export without a purpose.
    """
    if not by.may(Permission.EXPORT_IDENTIFIED if identified else Permission.EXPORT_FILES):
        raise Refused(_("Your role may not export this. Ask for a de-identified export or another role."))
    if identified and len(purpose.strip()) < SHORTEST_PURPOSE:
        raise Refused(
            _("An identified export needs a purpose of at least %(least)s letters; it is kept in the log.")
            % {"least": SHORTEST_PURPOSE}
        )


def note(
    *,
    by: User,
    source: str,
    asked: Asked,
    rows: Mapping[str, int],
    sha256: str,
    purpose: str = "",
    revision: int | None = None,
    snapshot: Snapshot | None = None,
) -> ExportRecord:
    """Write into the log that data left the house, before it does.

    Parameters
    ----------
    by
        Who takes it.
    source
        From where: ``browser``, ``command`` or ``api``.
    asked
        Format, population and whether it is identified.
    rows
        Dataset to number of rows.
    sha256
        Hash of the manifest, or of the one file.
    purpose
        What it is for.
    revision
        Of the data; the newest when not given.
    snapshot
        What was frozen, when that is taken.
    """
    return ExportRecord.objects.create(
        by=by,
        source=source,
        identified=asked.identified,
        purpose=purpose.strip()[:LONGEST_PURPOSE],
        population=asked.population,
        format=asked.format,
        snapshot=snapshot,
        revision=audit.latest_revision() if revision is None else revision,
        rows=dict(rows),
        sha256=sha256,
    )


def note_files(
    directory: Path,
    files: list[bundle.Written],
    *,
    by: User,
    source: str,
    asked: Asked,
    purpose: str = "",
) -> ExportRecord:
    """Write into the log what :func:`analytics.exports.bundle.write` has written."""
    return note(
        by=by,
        source=source,
        asked=asked,
        purpose=purpose,
        rows={file.dataset: file.rows for file in files},
        sha256=bundle.digest_of(directory / bundle.MANIFEST),
    )


def note_snapshot(snapshot: Snapshot, *, by: User, source: str, purpose: str = "") -> ExportRecord:
    """Write into the log that a snapshot, or a file of it, was taken."""
    return note(
        by=by,
        source=source,
        asked=Asked(ARCHIVE),
        rows={},
        sha256=snapshot.sha256,
        purpose=purpose,
        revision=snapshot.revision,
        snapshot=snapshot,
    )


def visible_to(user: User) -> QuerySet[ExportRecord]:
    """Return the log as somebody sees it: all of it who may export names, else one's own, newest first."""
    found = ExportRecord.objects.select_related("by", "snapshot")
    return found if user.may(Permission.EXPORT_IDENTIFIED) else found.filter(by=user)
