"""The home page: what waits, and how the study stands."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from patients import events_page, feed, overview, query_list, queue, selectors, upstairs, worklist
from trial.roles import Permission, requires


@requires(Permission.VIEW_CLINICAL)
@require_safe
def today(request: HttpRequest) -> HttpResponse:
    """Show the work queue of a person's site, or of all sites, beside enrolment and completeness."""
    user = request.user
    day = worklist.today_for(user)
    treated = overview.treated(user)
    visible = selectors.patients(user)
    context = {
        "place": "today",
        "today": day,
        "queue": queue.arrange(worklist.tasks(user), user, today=day, shown=request.GET.get("show", "")),
        "enrolment": overview.enrolment(treated, day),
        "completeness": overview.completeness(user, treated),
        "feed": feed.latest(user),
        "serious": events_page.running_clocks(user),
        "failed_lots": upstairs.failed_lots(visible),
        "expiring_lots": upstairs.expiring_lots(visible, day),
        "queries_on_me": query_list.number_on_me(user),
        "may_register": user.may(Permission.REGISTER_SUBJECTS),
        "may_record": user.may(Permission.RECORD_INFUSIONS),
        "sees_audit": user.may(Permission.VIEW_AUDIT),
    }
    return render(request, "patients/today.html", context)
