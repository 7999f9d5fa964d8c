"""What a person typed and has not saved yet, kept on the server for them alone.

A form says ``data-draft="place key"``; :file:`drafts.js` sends what changes in
it, field by field, and puts it back when the page is opened again. A form that
arrives whole after its session has ended is *parked*: the row of the ended
session still says whose it was. Nothing of it is ever kept in a browser, which
on a ward belongs to everybody.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.core.signing import BadSignature
from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest, QueryDict
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme

from trial import idempotency
from trial.models import Draft, User

FIELD = "draft"
"""Hidden field by which a posted form names its place."""
ASKED_FOR = "typed"
"""Parameter of an address: the parked form that the page is to be opened with."""

KEPT_FOR = timedelta(days=30)
LARGEST = 512 * 1024
_LONGEST_PLACE, _LONGEST_PATH, _LONGEST_TITLE = 200, 500, 200
_MOST_FIELDS = 1000
MOST_OF_A_PERSON = 200
"""Forms that one person can have open and unsaved; one more is refused, so that none of them is lost for it."""
_NEVER = frozenset({"csrfmiddlewaretoken", "password", "hospital_number", "phone", FIELD})
_WITH_IDENTITY = frozenset({"name"})
_OWN_FORM = "form:"
_OF_A_VERSION = ("version", "seen_version", idempotency.FIELD)

Fields = dict[str, list[str]]


class Unfit(Exception):
    """A draft that is not one: no place, unreadable, or too large."""


def read_fields(text: str) -> Fields:
    """Read what a page sends: a JSON object of field names, each with the list of its values.

    Examples
    --------
    >>> read_fields('{"alt": ["44"], "password": ["secret"]}')
    {'alt': ['44']}
    """
    if len(text) > LARGEST:
        raise Unfit
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unfit from error
    if not isinstance(found, dict) or len(found) > _MOST_FIELDS:
        raise Unfit
    for name, values in found.items():
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise Unfit
        if any(_cannot_be_kept(part) for part in (name, *values)):
            raise Unfit
    return _fit_to_keep(found)


def _cannot_be_kept(text: str) -> bool:
    return "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text)


def _fit_to_keep(fields: Mapping[str, list[str]]) -> Fields:
    """Leave out what must not lie in a draft: secrets, and who a subject is."""
    never = _NEVER | _WITH_IDENTITY if "hospital_number" in fields else _NEVER
    return {
        name: list(values)
        for name, values in fields.items()
        if name not in never and "password" not in name and not idempotency.is_second_factor(name, fields)
    }


def keep(
    *, person: User, place: str, path: str, fields: Fields, title: str = "", parked: bool = False
) -> Draft:
    """Keep what changed, field by field, beside what the draft of this place holds already."""
    if not 0 < len(place) <= _LONGEST_PLACE or len(path) > _LONGEST_PATH:
        raise Unfit
    # a page of ours: "//elsewhere" and "/\\elsewhere" are addresses of other hosts
    if not path.startswith("/") or not url_has_allowed_host_and_scheme(path, None):
        raise Unfit
    if _is_too_much(fields):
        raise Unfit
    purge()
    kept = {
        "path": path,
        "title": title[:_LONGEST_TITLE],
        "parked": parked,
        "saved_at": timezone.now(),
    }
    with transaction.atomic():
        draft, made = Draft.objects.select_for_update().get_or_create(
            person=person, place=place, defaults={**kept, "fields": fields}
        )
        if made:
            if Draft.objects.visible_to(person).count() > MOST_OF_A_PERSON:
                raise Unfit
            return draft
        merged = fields if parked else {**draft.fields, **fields}
        if _is_too_much(merged):
            raise Unfit
        for name, value in kept.items():
            setattr(draft, name, value)
        draft.fields = merged
        draft.save()
    return draft


def _is_too_much(fields: Fields) -> bool:
    return len(fields) > _MOST_FIELDS or len(json.dumps(fields)) > LARGEST


def load(person: User, place: str) -> Draft | None:
    """Return this person's own draft of a place."""
    return Draft.objects.visible_to(person).filter(place=place, saved_at__gt=_oldest()).first()


def of(person: User) -> list[Draft]:
    """Return what a person typed and has not saved, the latest first: the queue's "Drafts not saved"."""
    return list(Draft.objects.visible_to(person).filter(saved_at__gt=_oldest()))


def address(draft: Draft) -> str:
    """Return where a draft goes on: its page, opened with what was typed."""
    if not draft.parked:
        return draft.path
    joint = "&" if urlsplit(draft.path).query else "?"
    return f"{draft.path}{joint}{ASKED_FOR}={draft.pk}"


def hand_over(person: User, *, old: str, new: str) -> None:
    """Let what a person typed for a record go on under the name that stands for it now.

    It forgets which version of the record it was typed against, so that the save
    is held against the record that is there. Where a draft lies at the new place
    already, this one waits until that is saved or thrown away.
    """
    with transaction.atomic():
        for draft in Draft.objects.select_for_update().filter(person=person, path__contains=f"/{old}/"):
            place = _renamed(draft.place, old, new)
            if Draft.objects.filter(person=person, place=place).exists():
                continue
            draft.place, draft.path = place, _renamed(draft.path, old, new)
            # a whole form says what was empty, too: that is no entry for a record that may hold it
            draft.fields = {
                name: values
                for name, values in draft.fields.items()
                if not name.startswith(_OF_A_VERSION) and (any(values) or not draft.parked)
            }
            draft.save()


def _renamed(text: str, old: str, new: str) -> str:
    return re.sub(rf"(?<=[:/]){re.escape(old)}(?=[:/]|$)", lambda _found: new, text)


def of_form(request: HttpRequest, person: User) -> Draft | None:
    """Return the draft of a form as it arrived; what was never kept before is parked."""
    return load(person, request.POST.get(FIELD) or _place_of_form(request.path)) or park(request, person)


def discard(person: User, place: str) -> bool:
    """Throw away a person's own draft of a place; return whether there was one."""
    return bool(Draft.objects.visible_to(person).filter(place=place).delete()[0])


def forget(request: HttpRequest, person: User) -> None:
    """Throw away the draft of a form that this person has just saved."""
    places = Q(place=_place_of_form(request.path))
    if place := request.POST.get(FIELD):
        places |= Q(place=place)
    Draft.objects.visible_to(person).filter(places).delete()


def purge() -> int:
    """Delete drafts that nobody came back to for thirty days."""
    return Draft.objects.filter(saved_at__lt=_oldest()).delete()[0]


def _oldest() -> Any:
    return timezone.now() - KEPT_FOR


# --- a whole form whose session had ended ---------------------------------------------------


def _place_of_form(path: str) -> str:
    return f"{_OWN_FORM}{path}"[:_LONGEST_PLACE]


def owner_of_session(key: str) -> User | None:
    """Return whose an ended session was, by the row the server still has of it."""
    row = Session.objects.filter(session_key=key).first() if key else None
    if row is None:
        return None
    try:
        pk = row.get_decoded().get(SESSION_KEY)
    except BadSignature:
        return None
    return User.objects.filter(pk=pk, is_active=True).first() if pk else None


def park(request: HttpRequest, owner: User) -> Draft | None:
    """Keep a form that could not be saved because its session had ended; None when it is not one of ours.

    A form of the study carries a one-time key. It stays in the draft, so that
    the form saved later is the same submission.
    """
    posted: QueryDict = request.POST
    if not posted.get(idempotency.FIELD) or request.FILES:
        return None
    fields = _fit_to_keep({name: [str(one) for one in values] for name, values in posted.lists()})
    try:
        return keep(
            person=owner,
            place=posted.get(FIELD) or _place_of_form(request.path),
            path=_page_of(request),
            fields=fields,
            parked=True,
        )
    except Unfit:
        return None


def _page_of(request: HttpRequest) -> str:
    """Return the page that holds the posted form: where it came from, or the address it was sent to."""
    came_from = request.headers.get("Referer", "")
    if url_has_allowed_host_and_scheme(came_from, {request.get_host()}):
        parts = urlsplit(came_from)
        if parts.path.startswith("/") and not parts.path.startswith("//") and len(parts.path) < _LONGEST_PATH:
            return parts.path
    return request.path


def asked_for(request: HttpRequest, reader: User) -> Draft | None:
    """Return the parked form that an address asks for, if it is the reader's own."""
    asked = request.GET.get(ASKED_FOR, "")
    if not asked.isascii() or not asked.isdigit() or len(asked) > 18:
        return None
    return Draft.objects.visible_to(reader).filter(pk=int(asked), parked=True).first()
