"""The same form sent twice is one change: double click, retry, reload, Back.

A page carries a one-time key in its form. The key and everything posted with it
name the revision it made, so that a repetition finds that revision instead of
making another. The same key with other content is another intention and runs.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models.functions import Now
from django.http import HttpRequest

from trial import audit, jobs
from trial.models import ApiAnswer, Job, Revision, User
from trial.refusals import refuse
from trial.sentences import Sentence

ANSWERS_KEPT = timedelta(days=30)
"""How long a program may try a write again and be told what the first try was told."""
FIELD = "submission_key"
_LONGEST_KEY = 64
_NOT_CONTENT = frozenset({"csrfmiddlewaretoken", "password"})
"""Fields that never become part of a name that the trail keeps: tokens and secrets."""


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to save a form; ``earlier`` is what the same submission wrote before."""

    request_id: str
    earlier: Revision | None = None

    @property
    def is_repeated(self) -> bool:
        return self.earlier is not None


def purge_answers() -> int:
    """Delete what programs were answered longer ago than they may try again; return how many there were."""
    return ApiAnswer.objects.filter(made_at__lt=Now() - ANSWERS_KEPT).delete()[0]


def key_of(request: HttpRequest) -> str:
    """Return the key to put into the form: the one that came with it, or a new one."""
    posted = request.POST.get(FIELD, "")
    return posted if 0 < len(posted) <= _LONGEST_KEY else secrets.token_urlsafe(18)


def request_id(request: HttpRequest) -> str:
    """Return what names this submission: who, where, the key and all that was posted; empty without a key."""
    key = request.POST.get(FIELD, "")
    if not 0 < len(key) <= _LONGEST_KEY:
        return ""
    digest = hashlib.sha256()
    parts = [str(request.user.pk), request.path]
    for name, values in sorted(request.POST.lists()):
        if name not in _NOT_CONTENT and not is_second_factor(name, request.POST):
            parts += [name, *values, ""]
    for part in parts:
        digest.update(f"{len(part)}:{part}".encode())
    return f"{key}.{digest.hexdigest()[:32]}"


def is_second_factor(name: str, among: Iterable[str]) -> bool:
    """Say whether a field is the code of a person's app: it stands beside a password.

    Elsewhere a ``code`` names a lot, a laboratory or a site, and is content like any other.

    Examples
    --------
    >>> is_second_factor("code", ["code", "password"]), is_second_factor("code", ["code", "bags"])
    (True, False)
    """
    return name == "code" and any("password" in other for other in among)


def was_saved(request: HttpRequest, *, by: User) -> bool:
    """Say whether this submission was saved before, for a page that must ask something else first."""
    name = request_id(request)
    return bool(name) and Revision.objects.filter(request_id=name, actor=by).exists()


@contextmanager
def once(request: HttpRequest, *, by: User, source: str = "") -> Iterator[Attempt]:
    """Run a save at most once per submission.

    Everything inside is one transaction and one revision. A second submission
    waits until the first has committed, then finds it. Call it around the
    action, and skip the action when ``attempt.is_repeated``.
    """
    name = request_id(request)
    with audit.revision(by=by, source=source, request_id=name):
        if not name:
            yield Attempt("")
            return
        wait_for(name)
        # a statement of its own: it sees what the other submission committed
        earlier = Revision.objects.filter(request_id=name, actor=by).order_by("number").first()
        yield Attempt(name, earlier)


def refuse_second(request: HttpRequest, *, by: User) -> None:
    """Refuse to add another row from a page that has added one already, with other words.

    The answer to the first save was lost, its page stayed open, and the person
    went on typing there. A change of a stored record is held against its
    version; a new record would be there twice. Call it inside :func:`once`,
    right before the action, and only where nothing else tells the two apart.

    Raises
    ------
    Refused
        If a form with this key was saved before; it names the revision.
    """
    key = request.POST.get(FIELD, "")
    if not 0 < len(key) <= _LONGEST_KEY:
        return
    wait_for(f"{by.pk} {key}")
    earlier = Revision.objects.filter(request_id__startswith=f"{key}.", actor=by).order_by("number").first()
    if earlier is not None:
        raise refuse(
            "",
            "",
            "saved_already",
            Sentence(_("Saved already, revision %(number)s."), {"number": earlier.number}),
            Sentence(
                _(
                    "What you changed since is not saved: correct what is stored,"
                    " or open the form anew for another one."
                )
            ),
        )


def queue_once(request: HttpRequest, kind: str, *, by: User, parameters: Mapping[str, Any]) -> Job:
    """Queue long work at most once per submission, and return the job of the first.

    Parameters
    ----------
    request
        The post; without a key it always queues.
    kind, parameters
        As for :func:`trial.jobs.queue`.
    by
        Who started it.
    """
    name = request_id(request)
    if not name:
        return jobs.queue(kind, by, parameters)
    with transaction.atomic():
        wait_for(name)
        # a statement of its own: it sees what the other submission committed
        earlier = Job.objects.filter(started_by=by, kind=kind, parameters__submission=name).first()
        return earlier or jobs.queue(kind, by, {**parameters, "submission": name})


def wait_for(name: str) -> None:
    """Wait until no other submission of this name is under way; the end of the transaction lets go."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])
