"""What the pages that strike a row share: asked once, done once, with the reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest
from django.utils.translation import gettext as _

from patients.forms import VoidForm
from trial import idempotency
from trial.refusals import Refused


def was_struck(request: HttpRequest) -> bool:
    """Say whether this very form struck the row before; ask it before the row, which is valid no more."""
    return request.method == "POST" and idempotency.was_saved(request, by=request.user)


def strikes(request: HttpRequest, form: VoidForm, strike: Callable[[str, int | None], object]) -> bool:
    """Strike with the reason of the form, at most once per submission; say whether it is done.

    ``strike`` gets the reason, and the version of the record that was on screen.
    """
    if not form.is_bound or not form.is_valid():
        return False
    try:
        with idempotency.once(request, by=request.user) as attempt:
            if not attempt.is_repeated:
                strike(form.reason_given(), form.cleaned_data["version"])
    except Refused as refused:
        form.add_problems(refused)
        return False
    messages.success(request, _("Voided; it stays in the history"))
    return True


def form_of(request: HttpRequest) -> VoidForm:
    """Return the form as it was posted, or an empty one."""
    return VoidForm(request.POST if request.method == "POST" else None)


def about(request: HttpRequest, form: VoidForm, version: int) -> dict[str, Any]:
    """Return what every such page shows besides the row."""
    return {
        "form": form,
        "version": version,
        "change_reasons": form.reason_keys,
        "key": idempotency.key_of(request),
        "key_field": idempotency.FIELD,
    }
