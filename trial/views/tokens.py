"""Tokens of a person's programs: made after proving who one is, shown once, revoked at any time."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST

from trial import reauthentication
from trial import tokens as kept
from trial.refusals import Refused
from trial.roles import Permission, requires


@sensitive_variables("text")
@sensitive_post_parameters("password", "code")
@never_cache
@requires(Permission.USE_ACCOUNT)
@require_http_methods(["GET", "HEAD", "POST"])
def tokens(request: HttpRequest) -> HttpResponse:
    """List a person's tokens; a POST makes one and shows it this once."""
    if request.method != "POST":
        return _page(request)
    try:
        reauthentication.prove(
            request,
            user=request.user,
            password=request.POST.get("password", ""),
            code=request.POST.get("code", ""),
        )
        days = request.POST.get("days", "").strip()
        made, text = kept.make_token(
            by=request.user,
            name=request.POST.get("name", ""),
            scopes=request.POST.getlist("scopes"),
            days=int(days) if days.isascii() and days.isdigit() and len(days) < 6 else 0,
        )
    except reauthentication.LockedOut:
        return render(request, "429.html", status=429)
    except Refused as refused:
        return _page(request, status=422, refused=refused)
    return _page(request, made=made, text=text)


@requires(Permission.USE_ACCOUNT)
@require_POST
def revoke_token(request: HttpRequest, token_id: int) -> HttpResponse:
    """Take a token away: from the next request on it opens nothing."""
    token = kept.token_or_404(request.user, token_id)
    if kept.revoke_token(token=token, by=request.user):
        messages.success(request, _("The token “%(name)s” is revoked.") % {"name": token.name})
    else:
        messages.info(request, _("That token was revoked already."))
    return redirect("trial:tokens")


def _page(
    request: HttpRequest,
    *,
    status: int = 200,
    refused: Refused | None = None,
    made: Any = None,
    text: str = "",
) -> HttpResponse:
    problems: dict[str, list[str]] = {}
    for problem in refused.problems if refused else ():
        problems.setdefault(problem.field or "form", []).append(problem.in_words)
    chosen = request.POST.getlist("scopes") if refused else []
    now = timezone.now()
    context = {
        "place": "account",
        "zone": request.user.site.time_zone if request.user.site else settings.TIME_ZONE,
        "tokens": [
            {
                "token": token,
                "scopes": [kept.Scope(scope).label for scope in token.scopes],
                "state": "revoked" if token.revoked_at else "expired" if token.expires_at <= now else "valid",
            }
            for token in kept.tokens_of(request.user)
        ],
        "scopes": [
            {"code": scope.value, "label": scope.label, "is_chosen": scope.value in chosen}
            for scope in kept.scopes_for(request.user)
        ],
        "most_days": kept.LONGEST_DAYS,
        "usual_days": request.POST.get("days", "") if refused else kept.USUAL_DAYS,
        "typed_name": request.POST.get("name", "") if refused else "",
        "most_characters": kept.LONGEST_NAME,
        "needs_code": reauthentication.needs_code(request.user),
        "problems": problems,
        "made": made,
        "text": text,
    }
    return render(request, "trial/tokens.html", context, status=status)
