"""Pages of the ground floor, by module; ``trial.urls`` names them from here."""

from trial.views.account import account, shortcuts
from trial.views.audit import audit_log, revision
from trial.views.drafts import draft, session
from trial.views.health import live, ready
from trial.views.jobs import job, job_file

__all__ = [
    "account",
    "audit_log",
    "draft",
    "job",
    "job_file",
    "live",
    "ready",
    "revision",
    "session",
    "shortcuts",
]
