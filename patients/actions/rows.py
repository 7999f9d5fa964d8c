"""Two people on one row: what did not collide is merged, what did is a conflict. For rows without parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any

from django.db import models
from django.utils.translation import gettext

from patients.actions.rules import demand_reason
from trial import clock
from trial.models import AuditEntry, Site
from trial.refusals import Clash, Conflict

COMPLETED = "completed later"
"""The reason of a correction that only fills what was empty."""


@dataclass(frozen=True, slots=True)
class _Earlier:
    """A row as it stood at an earlier version, by field, and who wrote it last."""

    values: Mapping[str, Any]
    author: str


def merged(row: models.Model, given: Mapping[str, Any], *, version: int | None, site: Site) -> dict[str, Any]:
    """Return the fields that a save changes, leaving alone what only the other person changed.

    Parameters
    ----------
    row
        The stored row, locked, with a ``version``.
    given
        The value of every field that was on screen.
    version
        The version that was on screen; None takes the stored one.

    Raises
    ------
    Conflict
        With every field that both changed to different values.
    """
    stored = {name: getattr(row, name) for name in given}
    different = {name: value for name, value in given.items() if value != stored[name]}
    if version is None or version >= row.version or not different:  # type: ignore[attr-defined]
        return different
    before = _as_it_was(row, version)
    if before is None:
        return different
    mine = {name: value for name, value in different.items() if value != before.values[name]}
    clashes = [
        Clash(
            name,
            in_words(row, name, value, site),
            in_words(row, name, stored[name], site),
            in_words(row, name, before.values[name], site),
            before.author,
        )
        for name, value in mine.items()
        if stored[name] != before.values[name]
    ]
    if clashes:
        raise Conflict(clashes, row.version)  # type: ignore[attr-defined]
    return mine


def untouched(row: models.Model, given: Mapping[str, Any], version: int) -> frozenset[str]:
    """Return the fields that a person left as the version on screen had them."""
    before = _as_it_was(row, version)
    if before is None:
        return frozenset()
    return frozenset(name for name, value in given.items() if value == before.values[name])


def reason_for(row: models.Model, changes: Mapping[str, Any], reason: str) -> str:
    """Return why a row changes; what only fills empty fields needs no reason of its own."""
    if any(getattr(row, name) not in (None, "") for name in changes):
        demand_reason(reason)
    return reason.strip() or COMPLETED


def write(row: models.Model, changes: Mapping[str, Any]) -> None:
    """Set the fields and count the version."""
    for name, value in changes.items():
        setattr(row, name, value)
    row.version += 1  # type: ignore[attr-defined]
    row.save(update_fields=[*changes, "version"])


def in_words(row: models.Model, name: str, value: Any, site: Site) -> str:
    """Return a value as the conflict page shows it."""
    if value is None or value == "":
        return ""
    field: Any = row._meta.get_field(name.removesuffix("_id"))
    if field.choices:
        return gettext(str(dict(field.flatchoices).get(value, value)))
    if isinstance(value, datetime):
        return f"{value.astimezone(clock.zone(site)):%Y-%m-%d %H:%M}"
    if isinstance(value, time):
        return f"{value:%H:%M}"
    return str(value)


def _as_it_was(row: models.Model, version: int) -> _Earlier | None:
    entries = AuditEntry.objects.filter(table=row._meta.db_table, row=row.pk).select_related(
        "revision__actor"
    )
    then = entries.filter(new__version=version).last()
    if then is None or then.new is None:
        return None
    values = {}
    for field in row._meta.concrete_fields:
        raw = then.new.get(field.column)
        values[field.attname] = None if raw is None else field.to_python(raw)
    newest = entries.last()
    return _Earlier(values, newest.revision.actor.shown_name if newest else "")
