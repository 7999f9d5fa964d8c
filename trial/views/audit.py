"""The trail on screen: every revision, and one revision as a diff."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from trial import address, selectors
from trial.address import LARGEST
from trial.forms import AuditFilterForm
from trial.roles import Permission, requires


@requires(Permission.VIEW_AUDIT)
@require_safe
def audit_log(request: HttpRequest) -> HttpResponse:
    """List the revisions, newest first, narrowed by what stands in the address."""
    eyes = selectors.reader(request.user)
    form = AuditFilterForm(request.GET, eyes=eyes)
    is_valid = form.is_valid()
    given = form.cleaned_data
    page = selectors.page(eyes, form.filters(), before=given.get("before"), after=given.get("after"))
    context = {
        "place": "audit",
        "form": form,
        "page": page,
        "zone": eyes.zone,
        "zone_name": str(eyes.zone),
        "may_export": request.user.may(Permission.EXPORT_FILES),
        "sees_all": eyes.sees_all,
        "may_lock": request.user.may(Permission.LOCK),
        "is_narrowed": any(request.GET.get(name) for name in form.fields if name not in {"before", "after"}),
    }
    return render(request, "trial/audit.html", context, status=200 if is_valid else 422)


@requires(Permission.VIEW_AUDIT)
@require_safe
def revision(request: HttpRequest, number: int) -> HttpResponse:
    """Show one revision as a diff."""
    eyes = selectors.reader(request.user)
    after = address.number(request.GET, "rows_after") or 0
    shown = selectors.revision_or_404(eyes, min(number, LARGEST), rows_after=after)
    return render(
        request,
        "trial/revision.html",
        {
            "place": "audit",
            "shown": shown,
            "moved_url": "" if after else moved_url(number),
            "elsewhere": _("%(n)s more rows, of other sites, are not shown.")
            % {"n": f"{shown.rows_elsewhere:,}"},
        },
    )


def moved_url(number: int) -> str:
    """Return where the floor of results says what a revision moved; empty when nobody says it."""
    try:
        return reverse("analytics:moved", args=[number])
    except NoReverseMatch:
        return ""
