"""The page that describes the API: its operations as the description has them, with examples to copy."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from trial import tokens
from trial.roles import Permission, requires


@requires(Permission.VIEW_CLINICAL)
@require_safe
def guide(request: HttpRequest) -> HttpResponse:
    """Describe every operation."""
    # the library is loaded when somebody reads this, not when the site starts
    from analytics.api.app import description

    told = description()
    base = request.build_absolute_uri("/api/v1")
    context = {
        "place": "data",
        "base": base,
        "version": told["info"]["version"],
        "groups": _groups(told),
        "scopes": [scope.label for scope in tokens.scopes_for(request.user)],
    }
    return render(request, "analytics/api.html", context)


def _groups(told: dict[str, Any]) -> list[dict[str, Any]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, operations in told["paths"].items():
        for method, operation in operations.items():
            groups.setdefault(operation["tags"][0], []).append(
                {
                    "method": method.upper(),
                    "path": path,
                    "summary": operation["summary"],
                    "text": operation.get("description", ""),
                    "parameters": [
                        {
                            "name": parameter["name"],
                            "place": parameter["in"],
                            "required": parameter.get("required", False),
                        }
                        for parameter in operation.get("parameters", ())
                    ],
                    "answers": ", ".join(str(status) for status in operation["responses"]),
                }
            )
    return [{"name": name, "operations": found} for name, found in groups.items()]
