"""How far each site has come: subjects, visits, what is verified, signed and locked."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Q
from django.http import Http404

from patients import selectors, verifications
from patients.models import Patient, Visit
from patients.verifications import Share
from trial.models import Site, User


@dataclass(frozen=True, slots=True)
class Progress:
    """One row of the page of sites."""

    site: Site
    share: Share
    subjects: int = 0
    signed: int = 0
    locked: int = 0
    visits: int = 0
    visits_locked: int = 0


def site_or_404(user: User, code: str) -> Site:
    """Return a site this person may see; any other is as absent as a missing one."""
    found = selectors.sites_for(user).filter(code=code).first()
    if found is None:
        raise Http404
    return found


def subjects_at(user: User, site: Site) -> int:
    """Return how many subjects a site has, as far as this person may see them."""
    return selectors.patients(user).filter(site=site).count()


def of_sites(user: User) -> list[Progress]:
    """Return the visible sites with how far they are; the number of queries does not depend on how many."""
    shares = verifications.shares_by_site(user)
    patients = Patient.objects.visible_to(user).filter(merged_into__isnull=True).order_by()
    subjects = {
        row.pop("site"): row
        for row in patients.values("site").annotate(
            subjects=Count("pk", distinct=True),
            locked=Count("pk", filter=Q(locked_at__isnull=False), distinct=True),
            signed=Count(
                "pk", filter=Q(signatures__visit__isnull=True, signatures__isnull=False), distinct=True
            ),
        )
    }
    visits = {
        row.pop("patient__site"): row
        for row in Visit.objects.valid()
        .filter(patient__in=patients)
        .order_by()
        .values("patient__site")
        .annotate(visits=Count("pk"), visits_locked=Count("pk", filter=Q(locked_at__isnull=False)))
    }
    return [
        Progress(site, shares.get(site.pk, Share()), **subjects.get(site.pk, {}), **visits.get(site.pk, {}))
        for site in selectors.sites_for(user)
    ]
