"""The database's half of the trail, declared so that migrations carry it.

Every study table lists ``triggers = trail(...)`` in its ``Meta``. The triggers
call functions shared by all tables (:mod:`trial.trail_functions`) instead of
bodies of their own: a body written by the trigger library can be switched off
by a setting that any database role may set; a shared function cannot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pgtrigger
from django.apps import apps
from django.db import models

# the library leaves these untyped
_Referencing: Any = pgtrigger.Referencing
_UpdateOf: Any = pgtrigger.UpdateOf


class Calls(pgtrigger.Trigger):
    """A trigger whose work is done by a named function of the database."""

    def __init__(self, *, execute: str, **options: Any) -> None:
        self.execute = execute
        super().__init__(func="RETURN NULL;", **options)

    def render_execute(self, model: Any) -> str:
        return self.execute


@dataclass(frozen=True, slots=True)
class Trail:
    """What a table's trail records: the column that names the patient, the columns left out."""

    patient: str = ""
    hidden: tuple[str, ...] = ()


class Audits(Calls):
    """A trigger that writes the trail of its table."""

    def __init__(self, *, kept: Trail, **options: Any) -> None:
        self.kept = kept
        super().__init__(
            execute=f"trial_audit('{kept.patient}', '{','.join(kept.hidden)}')",
            **options,
        )


UNTRAILED: Mapping[str, str] = MappingProxyType(
    {
        "trial.Revision": "is the trail; guarded by triggers of its own",
        "trial.AuditEntry": "is the trail; guarded by triggers of its own",
        "patients.IdentityView": "is a log itself, and only added to",
        "trial.AccountEvent": "is a log itself, and only added to",
        "trial.ApiToken": "what a program signs in with; making and revoking stand in the log of accounts",
        "trial.ApiAnswer": "what a program was answered; the write it answers is in the trail",
        "trial.LastLook": "when somebody looked at Today, for what is new since; no clinical data",
        "trial.Job": "progress of long work; what a job writes is in the trail",
        "trial.Draft": "what somebody is typing and has not saved; gone with the save, after 30 days at the latest",
        "trial.User_groups": "Django's groups are not used: rights come from the role, which is in the trail",
        "trial.User_user_permissions": "Django's permissions are not used: rights come from the role",
    }
)
"""Tables of the three lower floors without a trail, and why."""

STUDY_FLOORS = ("trial", "patients", "infusions")
"""Floors whose tables hold what was observed; results above them are computed again instead."""


def trail(*, patient: str = "", hidden: tuple[str, ...] = ()) -> list[Calls]:
    """Return the triggers that record every write to a study table.

    Parameters
    ----------
    patient
        Column that names the patient a row belongs to; empty when it has none.
    hidden
        Columns left out of the trail: secrets and housekeeping, never clinical.
    """
    kept = Trail(patient, hidden)
    statement = {"level": pgtrigger.Statement, "when": pgtrigger.After}
    return [
        Audits(
            name="audit_insert",
            operation=pgtrigger.Insert,
            referencing=_Referencing(new="new_rows"),
            kept=kept,
            **statement,
        ),
        Audits(
            name="audit_update",
            operation=pgtrigger.Update,
            referencing=_Referencing(old="old_rows", new="new_rows"),
            kept=kept,
            **statement,
        ),
        Audits(
            name="audit_delete",
            operation=pgtrigger.Delete,
            referencing=_Referencing(old="old_rows"),
            kept=kept,
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


def refuse_change() -> list[Calls]:
    """Return the triggers of a table that is only added to: no row of it changes or goes."""
    return [
        Calls(
            name="refuse_update",
            level=pgtrigger.Row,
            when=pgtrigger.Before,
            operation=pgtrigger.Update,
            condition=pgtrigger.Condition("OLD.* IS DISTINCT FROM NEW.*"),
            execute="trial_refuse_change()",
        ),
        Calls(
            name="refuse_delete",
            level=pgtrigger.Row,
            when=pgtrigger.Before,
            operation=pgtrigger.Delete,
            execute="trial_refuse_change()",
        ),
    ]


def locks(*, of: str = "") -> list[Calls]:
    """Return the triggers that refuse writes to what is locked: visit, casebook of the subject, or site.

    Parameters
    ----------
    of
        ``result`` where rows belong to a visit, ``visit`` and ``subject`` for those
        tables themselves; empty where rows belong to a subject alone.
    """
    execute = f"trial_refuse_locked{'_' if of else ''}{of}()"
    statement: dict[str, Any] = {
        "level": pgtrigger.Statement,
        "when": pgtrigger.After,
        "execute": execute,
    }
    old, new = {"old": "old_rows"}, {"new": "new_rows"}
    return [
        Calls(name="lock_insert", operation=pgtrigger.Insert, referencing=_Referencing(**new), **statement),
        Calls(
            name="lock_update",
            operation=pgtrigger.Update,
            referencing=_Referencing(**old, **new),
            **statement,
        ),
        Calls(name="lock_delete", operation=pgtrigger.Delete, referencing=_Referencing(**old), **statement),
    ]


def refuse_overlap() -> Calls:
    """Return the trigger that refuses a reference range while another holds for the same results."""
    return Calls(
        name="refuse_overlap",
        level=pgtrigger.Row,
        when=pgtrigger.After,
        operation=pgtrigger.Insert | pgtrigger.Update,
        condition=pgtrigger.Condition("NEW.voided_at IS NULL"),
        execute="trial_refuse_overlap()",
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
            operation=_UpdateOf("sealed"),
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


def registered() -> list[tuple[type[models.Model], Calls]]:
    """Return every trigger of ours with the model of its table."""
    every: list[tuple[Any, Any]] = pgtrigger.registered()
    return [(model, trigger) for model, trigger in every if isinstance(trigger, Calls)]


def audited() -> dict[type[models.Model], Trail]:
    """Return every model whose table has a trail, by table name, with what the trail records."""
    found = {model: trigger.kept for model, trigger in registered() if isinstance(trigger, Audits)}
    return dict(sorted(found.items(), key=lambda item: item[0]._meta.db_table))


def study_models() -> list[type[models.Model]]:
    """Return every model of the floors that hold what was observed, in the order of their tables."""
    found = [
        model
        for floor in STUDY_FLOORS
        for model in apps.get_app_config(floor).get_models(include_auto_created=True)
        if model._meta.managed and not model._meta.proxy
    ]
    return sorted(found, key=lambda model: model._meta.db_table)
