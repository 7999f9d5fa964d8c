"""An infusion by the keyboard alone, from the subject's course to its record, with the keys counted."""

from __future__ import annotations

from datetime import time, timedelta
from decimal import Decimal

import pytest
from playwright.sync_api import Page, expect

from infusions import actions
from infusions.models import Infusion, VitalSigns
from tests.browsers import OpenPage
from tests.factories import a_lot, a_patient
from trial.clock import today_at
from trial.models import Site, User

pytestmark = pytest.mark.django_db(transaction=True)

MOST_KEYS_PER_FIELD = 2
SIGNS = ("36.8", "72", "118/76", "16", "98")
MOMENTS = ("before", "m15", "m30", "m60", "end")
COLUMNS = ("temperature_c", "pulse", "pressure", "respiration", "saturation")
FIELDS: tuple[tuple[str, str], ...] = (
    ("weight_kg", "64.5"),
    ("bag", "B-03"),
    ("vein", "left"),
    ("checked_by", "He Jing"),
    ("started_at", "0930"),
    ("stopped_at", "1015"),
    *(
        (f"v_{moment}_{column}", sign)
        for moment in MOMENTS
        for column, sign in zip(COLUMNS, SIGNS, strict=True)
    ),
    ("reaction", "shivering"),
    ("reaction_grade", "1"),
    ("observed_until", "0930"),
)


class Keyboard:
    """Types, and counts the keys that are no characters of a value."""

    def __init__(self, page: Page) -> None:
        self.page, self.extra, self.values = page, 0, 0

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)
        self.extra += 1

    def type(self, text: str) -> None:
        self.page.keyboard.type(text)
        self.values += len(text)

    def go_to(self, name: str) -> None:
        """Press Tab until the field has the focus."""
        for _step in range(12):
            if self.page.evaluate("document.activeElement.name || ''") == name:
                return
            self.press("Tab")
        raise AssertionError(f"{name} is not reached")


def test_an_infusion_without_the_mouse(
    sites: dict[str, Site], coordinator: User, open_page: OpenPage
) -> None:
    today = today_at(sites["GE"])
    patient = a_patient(site=sites["GE"], subject_id="GE-001", recruited_on=today - timedelta(days=7))
    lot = a_lot("UC-2607-A", today + timedelta(days=9), bags=4)
    actions.plan_infusion(patient=patient, number=1, planned_on=today, lot=lot, by=coordinator)

    page = open_page("/patients/GE-001/course/", by=coordinator)
    expect(page.get_by_text("lot UC-2607-A reserved")).to_be_visible()
    keys = Keyboard(page)
    keys.press("r")
    page.wait_for_url("**/infusions/1/")
    for name, text in FIELDS:
        keys.go_to(name)
        keys.type(text)
    keys.press("Control+s")
    page.wait_for_url("**/course/")

    stored = Infusion.objects.get(patient=patient)
    assert (stored.weight_kg, stored.cells, stored.lot) == (Decimal("64.5"), 64_500_000, lot)
    assert (stored.bag, stored.vein, stored.checked_by) == ("B-03", "forearm_left", "He Jing")
    assert (stored.started_at, stored.stopped_at) == (time(9, 30), time(10, 15))
    assert (stored.reaction, stored.reaction_grade, stored.deviation) == ("shivering", 1, "")
    assert VitalSigns.objects.filter(infusion=stored, systolic=118, saturation=98).count() == len(MOMENTS)

    # a day later: only the last row, and nobody asks why
    page.goto("/patients/GE-001/infusions/1/")
    page.locator("[name=v_end_temperature_c]").focus()
    keys.press("ArrowDown")
    keys.type("37.1")
    keys.press("Control+s")
    page.wait_for_url("**/course/")
    assert VitalSigns.objects.get(infusion=stored, moment="h24").temperature_c == Decimal("37.1")

    fields = len(FIELDS) + 1
    print(
        f"\n{keys.extra} keys beyond {keys.values} characters of {fields} fields: {keys.extra / fields:.2f} a field"
    )
    assert keys.extra <= MOST_KEYS_PER_FIELD * fields
