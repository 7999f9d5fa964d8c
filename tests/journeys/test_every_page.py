"""Every page that can be opened: accessible in light and dark, whole at 400 px, silent in the console."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.axe import COLOURS, SCRIPT, SHAPES, findings
from tests.journeys.conftest import House
from tests.routes import POSTED_ONLY, Route, guarded
from trial.roles import PERMISSIONS, Role

FRAGMENTS = {
    "analytics:freshness",
    "analytics:read_back",
    "analytics:moved",
    "infusions:patient_lots",
    "infusions:recipients",
    "patients:check_visit",
    "patients:event_grades",
    "trial:draft",
    "trial:session",
    "trial:job",
    "trial:job_file",
    "analytics:contrast_file",
    "analytics:flow_file",
    "analytics:follow_up",
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
"""Parts of pages and files: looked at on the pages that hold them."""

WHO = {
    Role.COORDINATOR: "li.min",
    Role.HEPATOLOGIST: "zhou.hui",
    Role.DATA_MANAGER: "huang.lei",
    Role.MONITOR: "chen.yu",
    Role.ACCOUNT_ADMIN: "admin",
}


def pages() -> list[Route]:
    # what only takes POST or stands for a part of a page has no look of its own
    return [r for r in guarded() if r.name not in FRAGMENTS | POSTED_ONLY]


EXAMPLES = """
import json, time
from datetime import timedelta
from django.core.management import call_command
from analytics.models import Snapshot
from infusions.models import Infusion
from patients import actions
from patients.actions.queries import About, open_query
from patients.models import LabResult, Outcome, ReferenceRange, Visit
from trial import jobs
from trial.models import Job, Revision, User

# a preview that has conflicts and refusals, so that the page is full
labs = LabResult.objects.filter(analyte="alt", value__isnull=False, visit__week=0, visit__voided_at=None).order_by("id")
rows = [f"{lab.patient.subject_id},0,{lab.value + 1:.0f}" for lab in labs.select_related("patient")[:3]]
text = "\\n".join(["subject_id,week,alt", *rows, "NOBODY,0,44", f"{rows[0]},extra"])
person = User.objects.get(username="huang.lei")
job = jobs.queue("import_preview", person, {"kind": "visits", "name": "LIS.csv", "title": "LIS.csv"}, upload=[text.encode()])
while not Job.objects.filter(pk=job.pk, finished_at__isnull=False).exists():
    jobs.run(job.pk) or time.sleep(0.05)
call_command("snapshot", "create", "--title", "Interim", "--purpose", "looked at", "--without-paper")

at_ge = dict(patient__site__code="GE", voided_at=None)
visit = Visit.objects.filter(week=4, **at_ge).order_by("id").first()
draw = Visit.objects.filter(week=None, **at_ge).order_by("id").first() or visit
outcome = Outcome.objects.filter(**at_ge).order_by("id").first()
monitor, by = User.objects.get(username="chen.yu"), User.objects.get(username="li.min")
about = About(topic="visit", visit=visit)
query = open_query(patient=visit.patient, about=about, field="tbil", text="Which report?", by=monitor)
day = visit.patient.recruited_on + timedelta(days=8)
fever = actions.EventEntry(term="Fever", grade=2, onset_on=day)
plasma = actions.TreatmentEntry(kind="plasma", started_on=day)
event = actions.record_event(patient=visit.patient, by=by, entry=fever)
treatment = actions.record_treatment(patient=visit.patient, by=by, entry=plasma)
infusion = Infusion.objects.filter(lot__site__code="GE", voided_at=None).order_by("-id").first()
span = ReferenceRange.objects.filter(laboratory__site__code="GE").order_by("id").first()
revision = Revision.objects.filter(entries__patient_id=visit.patient_id).order_by("-number").first()

print("FOUND", json.dumps({
    "subject_id": visit.patient.subject_id,
    "visit_id": draw.pk,
    "drawn": draw.patient.subject_id,
    "outcome_id": outcome.pk,
    "ended": outcome.patient.subject_id,
    "query_id": query.pk,
    "event_id": event.pk,
    "treatment_id": treatment.pk,
    "lot_code": infusion.lot.code,
    "laboratory_code": span.laboratory.code,
    "range_id": span.pk,
    "result_id": LabResult.objects.get(visit=visit, analyte="tbil").pk,
    "snapshot_id": Snapshot.objects.get().pk,
    "account_id": by.pk,
    "trial:revision.number": revision.number,
    "job_id": str(job.pk),
}))
"""
"""Makes what the demonstration study lacks, and names an example of everything; one process for all of it."""


@pytest.fixture(scope="module")
def example(house: House) -> dict[str, Any]:
    """Return parameters that name things of the demonstration study."""
    told = house.manage("shell", "-c", EXAMPLES).stdout.partition("FOUND")[2]
    return {
        "site_code": "GE",
        "code": "GE-900",
        "box": "not_eligible",
        "week": 4,
        "number": 1,
        "contrast": "C-D",
        "analyte": "tbil",
        "measure": "interval",
        **json.loads(told),
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


@pytest.fixture(scope="module")
def standing_pages() -> Iterator[dict[Role, Page]]:
    """Return a page of somebody of each role: what it fetched once its browser keeps."""
    opened: dict[Role, Page] = {}
    yield opened
    for page in opened.values():
        page.context.close()


@pytest.fixture
def open_as(
    standing_pages: dict[Role, Page], visitor: Callable[..., Page], listen: Callable[[Page], None]
) -> Callable[[Role], Page]:
    """Hand over the page of somebody of a role: ``open_as(Role.MONITOR)``."""

    def open_there(role: Role) -> Page:
        if role not in standing_pages:
            standing_pages[role] = visitor(WHO[role], keep=True)
            # sent once, not with every page
            standing_pages[role].add_init_script(SCRIPT)
        else:
            listen(standing_pages[role])
        return standing_pages[role]

    return open_there


@contextmanager
def watched(page: Page) -> Iterator[set[Any]]:
    """Yield what the page is fetching, as it changes."""
    asked: set[Any] = set()

    # Playwright notes on a listener what it made of it, which a built-in method does not let it
    def begins(request: Any) -> None:
        asked.add(request)

    def ends(request: Any) -> None:
        asked.discard(request)

    listeners = {"request": begins, "requestfinished": ends, "requestfailed": ends}
    for event, listener in listeners.items():
        page.on(event, listener)  # type: ignore[call-overload]
    yield asked
    for event, listener in listeners.items():
        page.remove_listener(event, listener)


def settle(page: Page, asked: set[Any]) -> None:
    """Wait until the parts that load themselves are there: nothing was being fetched twice in a row."""
    for _ in range(1000):
        page.wait_for_timeout(10)
        if not asked:
            page.wait_for_timeout(20)
            if not asked:
                return
    raise AssertionError(f"still loading: {[request.url for request in asked]}")


def darken(page: Page) -> None:
    """Let the system turn dark while the page is open, and every colour arrive."""
    page.emulate_media(color_scheme="dark")
    page.locator("html[data-bs-theme=dark]").wait_for(state="attached")
    page.evaluate("document.getAnimations().forEach(each => each instanceof CSSTransition && each.finish())")


@contextmanager
def opened(
    route: Route, example: dict[str, Any], open_as: Callable[[Role], Page]
) -> Iterator[tuple[Page, set[Any]]]:
    """Yield a page that is open and settled at 1440 px in light, and what it fetches."""
    page = open_as(role_for(route))
    with watched(page) as asked:
        page.set_viewport_size({"width": 1440, "height": 900})
        page.emulate_media(color_scheme="light")
        answer = page.goto(address_of(route, example))
        assert answer is not None
        assert answer.status == 200, f"{page.url}: {answer.status}"
        settle(page, asked)
        yield page, asked


def narrow(page: Page, asked: set[Any]) -> None:
    """Give an open page the width of a phone."""
    page.set_viewport_size({"width": 400, "height": 800})
    # a page that begins at a field further down has its head half under the bar
    page.evaluate("window.scrollTo(0, 0)")
    settle(page, asked)


@pytest.mark.parametrize("route", pages(), ids=lambda route: route.name)
def test_page_is_accessible(route: Route, example: dict[str, Any], open_as: Callable[[Role], Page]) -> None:
    with opened(route, example, open_as) as (page, _asked):
        wrong = findings(page, SHAPES)
    assert not wrong, "\n".join(wrong)


@pytest.mark.exhaustive
@pytest.mark.parametrize("route", pages(), ids=lambda route: route.name)
def test_page_has_good_colours_and_is_whole_on_a_phone(
    route: Route, example: dict[str, Any], open_as: Callable[[Role], Page]
) -> None:
    with opened(route, example, open_as) as (page, asked):
        wrong = [f"light: {finding}" for finding in findings(page, COLOURS)]
        darken(page)
        wrong += [f"dark: {finding}" for finding in findings(page, COLOURS)]
        narrow(page, asked)
        # targets can touch or lie under a sticky foot where there is less room
        wrong += [f"400 px: {finding}" for finding in findings(page, ["wcag22aa"])]
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wider > 0:
            wrong.append(f"400 px: the page is {wider} px wider than the screen")
    assert not wrong, "\n".join(wrong)


def test_a_bad_colour_among_many_rows_is_found(visitor: Callable[..., Page]) -> None:
    """What stands for its like may only be left out when it is alike."""
    page = visitor()
    rows = "".join(f"<tr><td class='{'pale' if row == 7 else ''}'>row {row}</td></tr>" for row in range(9))
    style = "<style>.pale { color: #ddd } .on-dark { background: #333 }</style>"
    page.set_content(
        f"<html lang=en><title>x</title>{style}<main><h1>x</h1><table>{rows}</table>"
        "<p>one</p><p>two</p><p>three</p><div class=on-dark><p>four</p></div></main></html>"
    )
    [finding] = findings(page, COLOURS)
    assert ".pale" in finding
    assert "div > p" in finding
    assert page.evaluate("document.querySelectorAll('[data-repeated]').length") > 3


@pytest.mark.parametrize("address", ["/login/", "/nowhere/"])
def test_open_pages_are_accessible(address: str, visitor: Callable[..., Page]) -> None:
    page = visitor()
    page.goto(address)
    assert not findings(page)
