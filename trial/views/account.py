"""A person's own account, and the list of shortcuts."""

from __future__ import annotations

from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from trial import accounts
from trial.middleware import session_ends_at
from trial.roles import PERMISSION_LABELS, PERMISSIONS, Permission, Role, requires


@requires(Permission.USE_ACCOUNT)
@require_http_methods(["GET", "HEAD", "POST"])
def account(request: HttpRequest) -> HttpResponse:
    """Show who is signed in and what they may do; a POST ends one of their sessions, or all others."""
    here = request.session.session_key or ""
    if request.method == "POST":
        one = request.POST.get("place", "")
        if not one:
            accounts.end_other_sessions(request.user, here)
            messages.success(request, _("You are now signed in only here."))
        elif accounts.end_session(request.user, one):
            messages.success(request, _("That session has ended."))
        else:
            messages.info(request, _("That session had ended already."))
        return redirect("trial:account")
    signed_in_at = accounts.places(request.user, here)
    may = PERMISSIONS[Role(request.user.role)]
    context = {
        "place": "account",
        "permissions": [label for permission, label in PERMISSION_LABELS.items() if permission in may],
        "two_factor": is_mfa_enabled(request.user),
        "zone": request.user.site.time_zone if request.user.site else settings.TIME_ZONE,
        "session_ends": session_ends_at(request),
        "idle_minutes": settings.SESSION_IDLE_SECONDS // 60,
        "signed_in_at": signed_in_at,
        "other_sessions": sum(not one.is_here for one in signed_in_at),
    }
    return render(request, "trial/account.html", context)


@requires(Permission.USE_ACCOUNT)
def shortcuts(request: HttpRequest) -> HttpResponse:
    """List the keys."""
    return render(request, "trial/shortcuts.html", {})
