"""Pages of the ground floor, by module; ``trial.urls`` names them from here."""

from trial.views.account import account, shortcuts
from trial.views.accounts import (
    accounts,
    change_account,
    new_account,
    new_site,
    remove_codes,
    reset_password,
    set_active,
    unlock,
)
from trial.views.audit import audit_log, revision
from trial.views.drafts import draft, session
from trial.views.health import live, ready
from trial.views.jobs import cancel_job, job, job_file
from trial.views.tokens import revoke_token, tokens

__all__ = [
    "account",
    "accounts",
    "audit_log",
    "cancel_job",
    "change_account",
    "draft",
    "job",
    "job_file",
    "live",
    "new_account",
    "new_site",
    "ready",
    "remove_codes",
    "reset_password",
    "revision",
    "revoke_token",
    "session",
    "set_active",
    "shortcuts",
    "tokens",
    "unlock",
]
