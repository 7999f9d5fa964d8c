"""What the database says when it refuses a write to something locked, said to a person."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from django.db import IntegrityError

from trial.lock_functions import CASEBOOK_LOCKED, SITE_FROZEN, VISIT_LOCKED
from trial.refusals import Refused, refuse
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


_SENTENCES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        VISIT_LOCKED: (
            _("The visit %(visit)s of %(subject)s is locked."),
            _("Have it unlocked with a reason, then try again."),
        ),
        CASEBOOK_LOCKED: (
            _("The casebook of %(subject)s is locked."),
            _("Have it unlocked with a reason, then try again."),
        ),
        SITE_FROZEN: (
            _("The site %(site)s is frozen."),
            _("Have it unfrozen with a reason, then try again."),
        ),
    }
)
RULES = frozenset(_SENTENCES)


def words(rule: str) -> tuple[str, str]:
    """Return what is locked and what to do about it, with gaps for subject, visit and site."""
    return _SENTENCES[rule]


def refusal(rule: str, *, subject: str = "", visit: str = "", site: str = "") -> Refused:
    """Return the refusal of a write to something locked: what is locked, and what to do."""
    sentence, remedy = words(rule)
    values = {"subject": subject, "visit": visit, "site": site}
    kept = {name: value for name, value in values.items() if f"%({name})s" in sentence}
    return refuse("", subject or site, rule, Sentence(sentence, kept), Sentence(remedy))


def refusal_of(error: IntegrityError) -> Refused | None:
    """Return what a refusal by the database means, or None when it is about something else."""
    # an action that raises the error again from itself has only the context left
    said = getattr(error.__cause__, "diag", None) or getattr(error.__context__, "diag", None)
    rule = str(getattr(said, "constraint_name", "") or "")
    if rule not in RULES:
        return None
    subject, visit, site = (
        (str(said.message_detail).split(" | ") + ["", "", ""])[:3] if said else ("", "", "")
    )
    return refusal(rule, subject=subject, visit=visit, site=site)
