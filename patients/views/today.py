"""The home page: what waits, what is new, and how the study stands."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from patients import attention, feed, locks, overview, query_list, queue, unfinished, upstairs, worklist
from trial import address, audit, drafts, idempotency, last_look, vocabulary
from trial.context import nav
from trial.models import User
from trial.roles import Permission, Role, requires

UNCHANGED = 204
"""What a page that looks again is told when there is nothing new: keep what you show."""
_CLOCK_MINUTES = 5
"""How often the hours that are left to report an event are read again."""


@requires(Permission.USE_ACCOUNT)
@require_safe
def today(request: HttpRequest) -> HttpResponse:
    """Show the work queue of a person's site, or of all sites, beside what their role looks after.

    It is where everybody arrives: who reads no clinical record is sent on to
    the place made for them. A page that is open looks again by itself: it is
    told at once when nothing has changed, and does not count as a look.
    """
    user = request.user
    if not user.may(Permission.VIEW_CLINICAL):
        return redirect(next((place.url for place in nav(user)), "trial:account"))
    stamp = _stamp(user)
    looks_again = "HX-Request" in request.headers
    if looks_again and request.GET.get("as_of") == stamp:
        return HttpResponse(status=UNCHANGED)
    since = last_look.last(user) if looks_again else last_look.look(user)
    day = worklist.today_for(user)
    treated = overview.treated(user)
    subjects = worklist.records(list(worklist.may_be_waiting(user)))
    beside = unfinished.of(user, day)
    shown = address.one_of(request.GET, "show", queue.ALL)
    context = {
        "place": "today",
        "today": day,
        "queue": queue.arrange(
            worklist.tasks_of(subjects) + worklist.unfinished_screenings(user),
            user,
            today=day,
            shown=shown,
            undated=beside.undated,
            serious=beside.serious,
            draft_notes=beside.draft_notes,
        ),
        "enrolment": overview.enrolment(treated, day),
        "completeness": overview.completeness(user, treated),
        "news": feed.news(user, since),
        "alarming_lots": beside.alarming_lots,
        "site_lock": locks.site_lock(user.site) if user.site else None,
        "queries_on_me": query_list.number_on_me(user),
        "may_register": user.may(Permission.REGISTER_SUBJECTS),
        "may_record": user.may(Permission.RECORD_INFUSIONS),
        "may_enter": user.may(Permission.ENTER_CLINICAL_DATA),
        "sees_audit": user.may(Permission.VIEW_AUDIT),
        "causes": list(enumerate(vocabulary.NOT_DONE_REASONS, start=1)),
        "key": idempotency.key_of(request),
        "key_field": idempotency.FIELD,
        "again_url": f"?{urlencode({'show': shown, 'as_of': stamp})}",
        **_of_role(user, subjects),
    }
    return render(request, "patients/today.html", context)


def _of_role(user: User, subjects: list[worklist.Record]) -> dict[str, Any]:
    match Role(user.role):
        case Role.HEPATOLOGIST:
            return {
                "rises": attention.rises(user, worklist.today_for(user)),
                "severe": attention.severe_grades(user),
                "to_sign_again": attention.to_sign_again(user),
                "visits_to_sign": attention.visits_to_sign(user),
                "casebooks_to_sign": attention.casebooks_to_sign(user),
                "decisions": attention.decisions_due(subjects),
            }
        case Role.MONITOR:
            return {"answered": attention.answered(user), "verified": attention.verified_by_site(user)}
        case Role.DATA_MANAGER:
            return {"housekeeping": attention.housekeeping(user)}
        case Role.STATISTICIAN:
            return {"sees_crossings": True}
        case _:
            return {}


def _stamp(user: User) -> str:
    """Return what changes with everything this page shows: data, results, own drafts, the day, the clocks."""
    own = drafts.of(user)
    newest = max((draft.saved_at for draft in own), default=None)
    parts = (
        audit.latest_revision(),
        upstairs.scores().aggregate(newest=Max("run_id"))["newest"] or 0,
        len(own),
        int(newest.timestamp() * 1000) if newest else 0,
        f"{worklist.today_for(user):%y%m%d}",
        int(timezone.now().timestamp()) // (60 * _CLOCK_MINUTES),
    )
    return ".".join(str(part) for part in parts)
