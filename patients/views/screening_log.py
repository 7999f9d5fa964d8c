"""The screening log: who was screened, and every criterion that failed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from patients import screenings, selectors
from trial import address, protocol, typed
from trial.models import Site
from trial.protocol import VerdictState
from trial.roles import Permission, requires


@requires(Permission.VIEW_CLINICAL)
@require_safe
def screen_failures(request: HttpRequest) -> HttpResponse:
    """List the screenings that found somebody not eligible, or those of another verdict."""
    sites = list(selectors.sites_for(request.user))
    errors: dict[str, str] = {}
    wanted = _wanted(request.GET, sites, errors)
    number = address.number(request.GET, "page")
    page = Paginator(screenings.log(request.user, wanted), screenings.PAGE).get_page(number or 1)
    context = {
        "place": "patients",
        "page": page,
        "rows": list(screenings.log_rows(list(page.object_list))),
        "counts": screenings.counts(request.user),
        "wanted": wanted,
        "typed": {name: request.GET.get(name, "")[:40] for name in ("first", "last")},
        "errors": errors,
        "is_narrowed": wanted != screenings.LogFilter(),
        "sites": sites if len(sites) > 1 else [],
        "states": [
            *((state.value, _(label)) for state, label in protocol.VERDICT_LABELS.items()),
            ("all", _("all screenings")),
        ],
        "criteria": protocol.CRITERIA,
    }
    return render(request, "patients/screen_failures.html", context)


def _wanted(given: QueryDict, sites: Sequence[Site], errors: dict[str, str]) -> screenings.LogFilter:
    """Read the filters; a day that cannot be read is said beside its field."""
    today = max((selectors.today_at(site) for site in sites), default=date.max)

    def day(name: str) -> date | None:
        text = given.get(name, "").strip()
        if not text:
            return None
        try:
            return typed.read_date(text, today=today)
        except typed.Unreadable as error:
            errors[name] = f"{error.sentence.said(_)} {error.remedy.said(_)}"
            return None

    return screenings.LogFilter(
        state=address.one_of(given, "state", screenings.STATES, VerdictState.NOT_ELIGIBLE.value),
        site=address.one_of(given, "site", [site.code for site in sites]),
        criterion=address.one_of(given, "criterion", protocol.CRITERION_AT),
        first=day("first"),
        last=day("last"),
    )
