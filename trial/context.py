"""What every page knows: the places in the top bar, the person, the languages, the label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import SimpleLazyObject
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from trial import synthetic_label
from trial.roles import Permission, allowed


@dataclass(frozen=True, slots=True)
class Place:
    """One of the places of the top bar."""

    key: str
    label: Any
    url_name: str
    permission: Permission

    @property
    def url(self) -> str:
        return reverse(self.url_name)


PLACES: tuple[Place, ...] = (
    Place("today", _("Today"), "patients:today", Permission.VIEW_CLINICAL),
    Place("patients", _("Patients"), "patients:list", Permission.VIEW_CLINICAL),
    Place("infusions", _("Infusions"), "infusions:list", Permission.VIEW_CLINICAL),
    Place("analysis", _("Analysis"), "analytics:analysis", Permission.VIEW_ANALYSIS),
    Place("data", _("Data"), "analytics:data", Permission.EXPORT_FILES),
    Place("audit", _("Audit"), "trial:audit", Permission.VIEW_AUDIT),
    Place("accounts", _("Accounts"), "trial:accounts", Permission.MANAGE_ACCOUNTS),
)

LANGUAGE_NAMES = {"en": "English", "zh-hans": "中文"}
"""Each language in its own words, so that whoever lost their way finds it."""


def nav(user: Any) -> list[Place]:
    """Return the places this person may open, in their order."""
    return [place for place in PLACES if allowed(user, place.permission)]


def page(request: HttpRequest) -> dict[str, object]:
    """Add to every template what the frame of the page shows.

    The person is looked up only when a template asks, so that a page that needs
    no session touches neither the session nor the database.
    """
    language = get_language() or settings.LANGUAGE_CODE
    return {
        "nav": SimpleLazyObject(lambda: nav(getattr(request, "user", None))),
        "sees_results": SimpleLazyObject(
            lambda: allowed(getattr(request, "user", None), Permission.VIEW_CLINICAL)
        ),
        "synthetic": synthetic_label.is_on(),
        "idle_seconds": settings.SESSION_IDLE_SECONDS,
        "other_languages": [(code, name) for code, name in LANGUAGE_NAMES.items() if code != language],
    }
