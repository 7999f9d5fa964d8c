"""Which rows a person may see; every study table that belongs to a patient uses this."""

from __future__ import annotations

from typing import Any, Self

from django.db import models

from trial import roles


class ScopedQuerySet(models.QuerySet[Any]):
    """A queryset that knows the way from its rows to a site."""

    site_path = "patient__site"

    def visible_to(self, user: Any) -> Self:
        """Keep the rows this person may see: one site, all sites, or none."""
        if not roles.allowed(user, roles.Permission.VIEW_CLINICAL):
            return self.none()
        if user.sees_all_sites:
            return self.all()
        return self.filter(**{self.site_path: user.site_id})

    def valid(self) -> Self:
        """Leave out what was voided."""
        return self.filter(voided_at__isnull=True)
