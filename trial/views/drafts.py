"""Drafts of forms, and the state of the session, as a page's script asks for them."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from trial import drafts
from trial.middleware import seconds_left
from trial.models import Draft
from trial.roles import Permission, requires


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.USE_ACCOUNT)
def draft(request: HttpRequest) -> HttpResponse:
    """Return the reader's own draft of a place; a POST keeps what changed, or throws it away."""
    if request.method != "POST":
        kept = drafts.load(request.user, request.GET.get("place", ""))
        return JsonResponse({"draft": _told(request, kept) if kept else None})
    place = request.POST.get("place", "")
    if "discard" in request.POST:
        drafts.discard(request.user, place)
        return JsonResponse({"draft": None})
    try:
        kept = drafts.keep(
            person=request.user,
            place=place,
            path=request.POST.get("path", ""),
            title=request.POST.get("title", ""),
            fields=drafts.read_fields(request.POST.get("fields", "")),
        )
    except drafts.Unfit:
        return JsonResponse({"draft": None}, status=400)
    told = _told(request, kept)
    del told["fields"]
    return JsonResponse({"draft": told})


def _told(request: HttpRequest, kept: Draft) -> dict[str, Any]:
    """Return a draft as a page needs it; ``day`` is empty when it is of today."""
    site = request.user.site
    zone = ZoneInfo(site.time_zone if site else settings.TIME_ZONE)
    moment = kept.saved_at.astimezone(zone)
    return {
        "fields": kept.fields,
        "day": "" if moment.date() == timezone.now().astimezone(zone).date() else moment.date().isoformat(),
        "clock": moment.strftime("%H:%M:%S"),
    }


@require_safe
@requires(Permission.USE_ACCOUNT)
def session(request: HttpRequest) -> HttpResponse:
    """Return whose session this is, when it ends if nobody does anything, and the token of its forms."""
    return JsonResponse(
        {"person": str(request.user.pk), "left": seconds_left(request), "token": get_token(request)}
    )
