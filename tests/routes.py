"""Every address of the application, read from the URLconf, with an example of each.

Guards walk over these: a route that appears without an example, or with a
parameter nobody explained, fails the tests until it is covered.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver, reverse

from trial.roles import Permission


@dataclass(frozen=True, slots=True)
class Route:
    """One named address and what it needs."""

    name: str
    parameters: tuple[str, ...]
    permission: Permission | None
    view: Any

    def url(self, **values: Any) -> str:
        """Return the address for parameters; ``trial:revision.number`` outranks ``number``."""
        chosen = {name: values.get(f"{self.name}.{name}", values.get(name)) for name in self.parameters}
        return reverse(self.name, kwargs=chosen) + QUERIES.get(self.name, "")


_CELL = "?population=treated&measure=interval&group1=C&group2=D&analyte=tbil&week_from=0&week_to=1"
QUERIES = {
    "analytics:rows": _CELL,
    "analytics:cell_history": _CELL,
    "analytics:safety_grades": "?term=Blood%20bilirubin%20increased",
}
"""What an address cannot do without."""

OPEN: dict[str, str] = {
    "account_login": "nobody is signed in yet",
    "account_logout": "POST only; ends whatever session there is",
    "account_reauthenticate": "allauth asks for the session itself",
    "account_change_password": "allauth asks for the session itself",
    "account_set_password": "allauth asks for the session itself",
    "account_inactive": "tells a deactivated person so",
    "account_lockout": "tells a locked-out person so",
    "account_reset_password": "allauth needs the name; it answers 404",
    "account_email": "allauth needs the name; it answers 404",
    "account_signup": "allauth needs the name; accounts are closed",
    "set_language": "POST only; sets a cookie",
    "javascript-catalog": "words, no data",
    "trial:live": "a supervisor asks; says nothing about data",
    "trial:ready": "a supervisor asks; says nothing about data",
    "analytics:api": "programs show a token; tests/analytics/test_api_access.py walks over its operations",
    "analytics:api_root": "the same door, where nothing is",
}
"""Addresses without a permission of ours, and why."""

POSTED_ONLY = {
    "analytics:meld_preview",
    "analytics:paper_all",
    "infusions:check",
    "infusions:mark_missed",
    "patients:enrol",
    "patients:mark_missed",
    "patients:new_treatment",
    "patients:report_event",
    "patients:take_back",
    "patients:undo_merge",
    "patients:verdict",
    "trial:cancel_job",
    "trial:remove_codes",
    "trial:reset_password",
    "trial:revoke_token",
    "trial:set_active",
    "trial:unlock",
}
"""Addresses that forms and buttons send to; opened, they say so."""

OPEN_PREFIXES = ("mfa_", "account_", "reauthenticate")


def routes() -> list[Route]:
    """Return every named route of the URLconf."""
    return sorted(_walk(get_resolver(), ""), key=lambda route: route.name)


def _walk(resolver: URLResolver, namespace: str) -> Iterator[Route]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            inner = f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace
            yield from _walk(pattern, inner)
        elif isinstance(pattern, URLPattern):
            yield Route(
                name=f"{namespace}{pattern.name or pattern.pattern}",
                parameters=tuple(pattern.pattern.converters),
                permission=getattr(pattern.callback, "permission", None),
                view=pattern.callback,
            )


def is_open(route: Route) -> bool:
    """Return whether a route is listed as needing no permission of ours."""
    return route.name in OPEN or route.name.startswith(OPEN_PREFIXES)


def guarded() -> list[Route]:
    """Return the routes that need a permission."""
    return [route for route in routes() if not is_open(route)]
