"""Every page that can be opened: accessible in light and dark, whole at 400 px, silent in the console."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page

from tests.journeys.conftest import House
from tests.routes import Route, guarded
from trial.roles import PERMISSIONS, Role

FRAGMENTS = {
    "analytics:freshness",
    "analytics:meld_preview",
    "analytics:read_back",
    "analytics:moved",
    "infusions:patient_lots",
    "infusions:recipients",
    "patients:check_visit",
    "patients:event_grades",
    "patients:undo_merge",
    "patients:verdict",
    "infusions:check",
    "infusions:mark_missed",
    "patients:enrol",
    "patients:mark_missed",
    "patients:new_treatment",
    "patients:report_event",
    "patients:take_back",
    "trial:cancel_job",
    "trial:draft",
    "trial:session",
    "trial:job",
    "trial:remove_codes",
    "trial:reset_password",
    "trial:set_active",
    "trial:unlock",
    "trial:job_file",
    "analytics:contrast_file",
    "analytics:flow_file",
    "analytics:follow_up",
    "analytics:paper_all",
    "analytics:paper_file",
    "analytics:snapshot_archive",
    "analytics:survival_pdf",
    "analytics:survival_png",
    "analytics:survival_svg",
    "analytics:trend_pdf",
    "analytics:trend_png",
    "analytics:trend_svg",
    "analytics:import_refused",
    "analytics:import_report",
    "patients:jump",
}
"""Parts of pages, files and what is only posted to: looked at on the pages that hold them."""

WHO = {
    Role.COORDINATOR: "li.min",
    Role.HEPATOLOGIST: "zhou.hui",
    Role.DATA_MANAGER: "huang.lei",
    Role.MONITOR: "chen.yu",
    Role.ACCOUNT_ADMIN: "admin",
}
STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
COLOURS = ["color-contrast", "link-in-text-block"]
"""The rules that look at colours: the only ones whose answer a dark page can change."""
ENOUGH = {"resultTypes": ["violations"]}
"""Otherwise most of the time goes into describing every element that is all right."""


def pages() -> list[Route]:
    # routes that only take POST or stand for a part of a page have no look of their own
    return [r for r in guarded() if r.name not in FRAGMENTS]


PREVIEWED = """
import time
from patients.models import LabResult
from trial import jobs
from trial.models import Job, User
found = LabResult.objects.filter(analyte="alt", value__isnull=False, visit__week=0, visit__voided_at=None).order_by("id")
rows = [f"{lab.patient.subject_id},0,{lab.value + 1:.0f}" for lab in found.select_related("patient")[:3]]
text = "\\n".join(["subject_id,week,alt", *rows, "NOBODY,0,44", f"{rows[0]},extra"])
person = User.objects.get(username="huang.lei")
job = jobs.queue("import_preview", person, {"kind": "visits", "name": "LIS.csv", "title": "LIS.csv"}, upload=[text.encode()])
while not Job.objects.filter(pk=job.pk, finished_at__isnull=False).exists():
    jobs.run(job.pk) or time.sleep(0.2)
print("FOUND", job.pk)
"""
"""Makes a preview that has conflicts and refusals, so that the page is full."""


@pytest.fixture(scope="module")
def previewed(house: House) -> str:
    output = house.manage("shell", "-c", PREVIEWED).stdout
    return output[output.index("FOUND") :].split()[1]


@pytest.fixture(scope="module")
def example(house: House, previewed: str) -> dict[str, Any]:
    """Return parameters that name things of the demonstration study."""
    house.manage("snapshot", "create", "--title", "Interim", "--purpose", "looked at", "--without-paper")
    output = house.manage(
        "shell",
        "-c",
        "from analytics.models import Snapshot;"
        "from patients.models import Outcome, Visit;"
        "v = Visit.objects.filter(week=4, patient__site__code='GE', voided_at=None).order_by('id').first();"
        "u = Visit.objects.filter(week=None, patient__site__code='GE', voided_at=None).order_by('id').first() or v;"
        "o = Outcome.objects.filter(patient__site__code='GE', voided_at=None).order_by('id').first();"
        "from patients.actions.queries import About, open_query;"
        "from trial.models import User;"
        "q = open_query(patient=v.patient, about=About(topic='visit', visit=v), field='tbil',"
        " text='Which report?', by=User.objects.get(username='chen.yu'));"
        "from datetime import timedelta;"
        "from patients import actions;"
        "day = v.patient.recruited_on + timedelta(days=8);"
        "by = User.objects.get(username='li.min');"
        "e = actions.record_event(patient=v.patient, by=by,"
        " entry=actions.EventEntry(term='Fever', grade=2, onset_on=day));"
        "t = actions.record_treatment(patient=v.patient, by=by,"
        " entry=actions.TreatmentEntry(kind='plasma', started_on=day));"
        "from infusions.models import Infusion;"
        "from patients.models import LabResult, ReferenceRange;"
        "i = Infusion.objects.filter(lot__site__code='GE', voided_at=None).order_by('-id').first();"
        "r = ReferenceRange.objects.filter(laboratory__site__code='GE').order_by('id').first();"
        "g = LabResult.objects.filter(visit=v, analyte='tbil').get();"
        "from trial.models import Revision;"
        "n = Revision.objects.filter(entries__patient_id=v.patient_id).order_by('-number').first().number;"
        "print('FOUND', n, v.patient.subject_id, u.pk, u.patient.subject_id, o.pk, o.patient.subject_id, q.pk, e.pk, t.pk,"
        " i.lot.code, r.laboratory.code, r.pk, g.pk, Snapshot.objects.get().pk, by.pk)",
    ).stdout
    found = output[output.index("FOUND") :].split()
    revision, *found = found[1:]
    (
        subject,
        visit,
        drawn,
        outcome,
        ended,
        query,
        event,
        treatment,
        lot,
        laboratory,
        span,
        result,
        snapshot,
        account,
    ) = found[:14]
    return {
        "subject_id": subject,
        "visit_id": int(visit),
        "drawn": drawn,
        "outcome_id": int(outcome),
        "ended": ended,
        "query_id": int(query),
        "event_id": int(event),
        "treatment_id": int(treatment),
        "lot_code": lot,
        "laboratory_code": laboratory,
        "range_id": int(span),
        "result_id": int(result),
        "site_code": "GE",
        "code": "GE-900",
        "box": "not_eligible",
        "snapshot_id": int(snapshot),
        "account_id": int(account),
        "week": 4,
        "number": 1,
        "trial:revision.number": int(revision),
        "contrast": "C-D",
        "analyte": "tbil",
        "measure": "interval",
        "job_id": previewed,
    }


def role_for(route: Route) -> Role:
    return next(role for role in WHO if route.permission in PERMISSIONS[role])


def address_of(route: Route, example: dict[str, Any]) -> str:
    values = dict(example)
    if "visit_id" in route.parameters:
        values["subject_id"] = example["drawn"]
    if "outcome_id" in route.parameters:
        values["subject_id"] = example["ended"]
    return route.url(**values)


def findings(page: Page, rules: list[str] = STANDARDS) -> list[str]:
    results = Axe().run(page, options={**ENOUGH, "runOnly": rules})
    return [
        f"{violation['id']}: {violation['help']} at {[node['target'] for node in violation['nodes']][:3]}"
        for violation in results.response["violations"]
    ]


@pytest.fixture(scope="module")
def contexts(browser: Any) -> Iterator[dict[Role, BrowserContext]]:
    """Return browsers that somebody of each role is logged in with: what they fetched once they keep."""
    opened: dict[Role, BrowserContext] = {}
    yield opened
    for context in opened.values():
        context.close()


@pytest.fixture
def open_as(
    contexts: dict[Role, BrowserContext], visitor: Callable[..., Page], listen: Callable[[Page], None]
) -> Iterator[Callable[[Role], Page]]:
    """Open an empty page of somebody of a role: ``open_as(Role.MONITOR)``."""
    pages: list[Page] = []

    def open_empty(role: Role) -> Page:
        if role not in contexts:
            first = visitor(WHO[role], keep=True)
            contexts[role] = first.context
            first.close()
        pages.append(contexts[role].new_page())
        listen(pages[-1])
        return pages[-1]

    yield open_empty
    for page in pages:
        page.close()


def watch(page: Page, asked: set[Any]) -> None:
    """Keep in ``asked`` what the page is fetching."""

    # Playwright notes on a listener what it made of it, which a built-in method does not let it
    def begins(request: Any) -> None:
        asked.add(request)

    def ends(request: Any) -> None:
        asked.discard(request)

    page.on("request", begins)
    page.on("requestfinished", ends)
    page.on("requestfailed", ends)


def settle(page: Page, asked: set[Any]) -> None:
    """Wait until the parts that load themselves are there: nothing was being fetched twice in a row."""
    for _ in range(400):
        page.wait_for_timeout(50)
        if not asked:
            page.wait_for_timeout(30)
            if not asked:
                return
    raise AssertionError(f"still loading: {[request.url for request in asked]}")


def darken(page: Page) -> None:
    """Let the system turn dark while the page is open, and every colour arrive."""
    page.emulate_media(color_scheme="dark")
    page.locator("html[data-bs-theme=dark]").wait_for(state="attached")
    page.evaluate("document.getAnimations().forEach(each => each instanceof CSSTransition && each.finish())")


@pytest.mark.parametrize("route", pages(), ids=lambda route: route.name)
def test_page_is_accessible_and_whole(
    route: Route, example: dict[str, Any], open_as: Callable[[Role], Page]
) -> None:
    page = open_as(role_for(route))
    asked: set[Any] = set()
    watch(page, asked)
    address = address_of(route, example)
    page.set_viewport_size({"width": 1440, "height": 900})
    page.emulate_media(color_scheme="light")
    answer = page.goto(address)
    assert answer is not None
    if answer.status == 405:
        return
    assert answer.status == 200, f"{address}: {answer.status}"
    settle(page, asked)
    wrong = [f"light: {finding}" for finding in findings(page)]
    darken(page)
    wrong += [f"dark: {finding}" for finding in findings(page, COLOURS)]
    page.set_viewport_size({"width": 400, "height": 800})
    # a page that begins at a field further down has its head half under the bar
    page.evaluate("window.scrollTo(0, 0)")
    settle(page, asked)
    # targets can touch or lie under a sticky foot where there is less room
    wrong += [f"400 px: {finding}" for finding in findings(page, ["wcag22aa"])]
    wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if wider > 0:
        wrong.append(f"400 px: the page is {wider} px wider than the screen")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("address", ["/login/", "/nowhere/"])
def test_open_pages_are_accessible(address: str, visitor: Callable[..., Page]) -> None:
    page = visitor()
    page.goto(address)
    assert not findings(page)
