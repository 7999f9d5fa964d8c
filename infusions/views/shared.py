"""What the pages of infusions and lots share: one save per submission, and what is said after it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from infusions import actions, dosing
from trial import idempotency, marks
from trial.models import Revision
from trial.templatetags.cordline import count


def attempt(request: HttpRequest) -> AbstractContextManager[idempotency.Attempt]:
    """Return what runs a save at most once; nothing to guard while a page is only read."""
    if request.method == "POST":
        return idempotency.once(request, by=request.user, source=actions.SOURCE)
    return nullcontext(idempotency.Attempt(""))


def repeated(request: HttpRequest, earlier: Revision, answer: HttpResponse) -> HttpResponse:
    """Answer a form that was sent twice as the first time."""
    messages.success(request, _("Saved already, revision %(number)s.") % {"number": count(earlier.number)})
    return answer


def said(what: str, revision: int | None, group: dosing.GroupChange) -> str:
    """Join what was done, its revision and what it did to the group."""
    parts = [what]
    if revision is not None:
        parts.append(_("revision %(number)s") % {"number": count(revision)})
    sentence = marks.comma().join(parts)
    if group.happens:
        return _("%(sentence)s; group %(before)s → %(after)s.") % {
            "sentence": sentence,
            "before": group.group_before,
            "after": group.group_after,
        }
    return sentence + marks.stop()
