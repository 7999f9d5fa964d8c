"""The database's half of the trail, declared so that migrations carry it.

Every study table lists ``triggers = trail(...)`` in its ``Meta``. The triggers
call functions shared by all tables (:mod:`trial.trail_functions`) instead of
bodies of their own: a body written by the trigger library can be switched off
by a setting that any database role may set; a shared function cannot.
"""

from __future__ import annotations

from typing import Any

import pgtrigger
from django.db import models


class Calls(pgtrigger.Trigger):  # type: ignore[misc]
    """A trigger whose work is done by a named function of the database."""

    def __init__(self, *, execute: str, **options: Any) -> None:
        self.execute = execute
        super().__init__(func="RETURN NULL;", **options)

    def render_execute(self, model: type[models.Model]) -> str:
        return self.execute


def trail(*, patient: str = "", hidden: tuple[str, ...] = ()) -> list[Calls]:
    """Return the triggers that record every write to a study table.

    Parameters
    ----------
    patient
        Column that names the patient a row belongs to; empty when it has none.
    hidden
        Columns left out of the trail: secrets and housekeeping, never clinical.
    """
    execute = f"trial_audit('{patient}', '{','.join(hidden)}')"
    statement = {"level": pgtrigger.Statement, "when": pgtrigger.After}
    return [
        Calls(
            name="audit_insert",
            operation=pgtrigger.Insert,
            referencing=pgtrigger.Referencing(new="new_rows"),
            execute=execute,
            **statement,
        ),
        Calls(
            name="audit_update",
            operation=pgtrigger.Update,
            referencing=pgtrigger.Referencing(old="old_rows", new="new_rows"),
            execute=execute,
            **statement,
        ),
        Calls(
            name="audit_delete",
            operation=pgtrigger.Delete,
            referencing=pgtrigger.Referencing(old="old_rows"),
            execute=execute,
            **statement,
        ),
        refuse_truncate(),
    ]


def refuse_truncate() -> Calls:
    """Return the trigger that refuses to empty a table."""
    return Calls(
        name="refuse_truncate",
        level=pgtrigger.Statement,
        when=pgtrigger.Before,
        operation=pgtrigger.Truncate,
        execute="trial_refuse_truncate()",
    )


def revision_triggers() -> list[Calls]:
    """Return what numbers a revision at commit and guards it afterwards.

    Two deferred stages: the second is queued after every foreign-key check of
    the transaction, so the lock that orders the numbers is held only while the
    transaction really commits.
    """
    return [
        Calls(
            name="revision_seal",
            level=pgtrigger.Row,
            when=pgtrigger.After,
            operation=pgtrigger.Insert,
            timing=pgtrigger.Deferred,
            execute="trial_revision_seal()",
        ),
        Calls(
            name="revision_number",
            level=pgtrigger.Row,
            when=pgtrigger.After,
            operation=pgtrigger.UpdateOf("sealed"),
            timing=pgtrigger.Deferred,
            condition=pgtrigger.Condition("NOT OLD.sealed AND NEW.sealed"),
            execute="trial_revision_number()",
        ),
        Calls(
            name="revision_guard",
            level=pgtrigger.Row,
            when=pgtrigger.Before,
            operation=pgtrigger.Insert | pgtrigger.Update | pgtrigger.Delete,
            execute="trial_revision_guard()",
        ),
        refuse_truncate(),
    ]


def entry_triggers() -> list[Calls]:
    """Return what lets only the trail itself write entries, and nobody change them."""
    return [
        Calls(
            name="entry_guard",
            level=pgtrigger.Statement,
            when=pgtrigger.Before,
            operation=pgtrigger.Insert | pgtrigger.Update | pgtrigger.Delete,
            execute="trial_entry_guard()",
        ),
        refuse_truncate(),
    ]
