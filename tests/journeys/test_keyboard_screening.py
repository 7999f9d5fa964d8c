"""A screening by the keyboard alone: from the new subject to its enrolment, with the keys counted."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from patients.models import Patient, Screening
from tests.browsers import OpenPage
from trial import protocol
from trial.models import Site, User

pytestmark = pytest.mark.django_db(transaction=True)

MOST_KEYS_PER_FIELD = 2
KEYS = {"inclusion": "y", "exclusion": "n"}

FACTS: tuple[tuple[str, str], ...] = (
    ("fact_tbil", "310"),
    ("day_tbil", "2024-02-28"),
    ("fact_inr", "2.1"),
    ("day_inr", "="),
    ("fact_pta", "34"),
    ("day_pta", "="),
    ("day_hbsag_first_on", "2019-05-02"),
    ("day_jaundice_on", "2024-02-10"),
    ("day_ascites_on", "2024-02-20"),
    ("day_encephalopathy_on", "0"),
    ("day_rupture_on", "0"),
    ("day_septicaemia_on", "0"),
)


class Keyboard:
    """Types, and counts the keys that are no characters of a value."""

    def __init__(self, page: Page) -> None:
        self.page, self.extra, self.values, self.fields = page, 0, 0, 0

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)
        self.extra += 1

    def type(self, text: str) -> None:
        self.page.keyboard.type(text)
        self.values += len(text)

    def focused(self) -> str:
        return str(self.page.evaluate("document.activeElement.name || document.activeElement.id || ''"))

    def go_to(self, name: str, most: int = 40) -> None:
        """Press Enter until the field has the focus."""
        for _step in range(most):
            if self.focused() == name:
                return
            self.press("Enter")
        raise AssertionError(f"{name} is not reached, {self.focused()} is")


def test_a_screening_without_the_mouse(
    sites: dict[str, Site], coordinator: User, open_page: OpenPage
) -> None:
    page = open_page("/patients/new/", by=coordinator)
    page.locator("#id_sex").focus()
    page.keyboard.type("m")
    page.keyboard.press("Tab")
    page.keyboard.type("1980-02-01")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type("liver f")
    page.keyboard.press("Control+s")
    page.wait_for_url("**/patients/GE-001/screening/")

    keys = Keyboard(page)
    page.locator("[name=fact_tbil]").focus()
    for name, text in FACTS:
        keys.go_to(name)
        keys.type(text)
    keys.go_to("inclusion_a")
    for criterion in protocol.CRITERIA:
        assert keys.focused() == criterion.code
        keys.type(KEYS[criterion.kind.value])
    expect(page.locator("#verdict")).to_contain_text("eligible")
    expect(page.locator("#finding-inclusion_b")).to_contain_text("liver failure by APASL: yes")
    keys.go_to("screened_on")
    page.keyboard.press("Control+a")
    keys.type("2024-03-01")
    expect(page.locator("#finding-inclusion_c")).to_contain_text("44 years old on 2024-03-01")
    keys.press("Control+s")
    page.wait_for_url("**/patients/GE-001/eligibility/")

    fields = len(FACTS) + len(protocol.CRITERIA) + 1
    print(
        f"\n{keys.extra} keys beyond {keys.values} characters of {fields} fields: {keys.extra / fields:.2f} a field"
    )
    assert keys.extra <= MOST_KEYS_PER_FIELD * fields

    expect(page.locator("main")).to_contain_text("Eligible, not enrolled yet")
    page.locator("#id_recruited_on").focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("2024-03-02")
    page.keyboard.press("Control+s")
    expect(page.locator("main")).to_contain_text("GE-001 is enrolled")
    patient = Patient.objects.get()
    assert (patient.status, str(patient.recruited_on)) == ("enrolled", "2024-03-02")
    screening = Screening.objects.get()
    assert (screening.verdict, screening.rule_set) == ("eligible", protocol.RULE_SET)
    assert screening.facts.count() == len(FACTS) - 3
    assert screening.facts.get(fact="inr").happened_on == screening.facts.get(fact="tbil").happened_on


def test_the_verdict_follows_and_an_answer_against_the_data_asks_why(
    sites: dict[str, Site], coordinator: User, open_page: OpenPage, a_candidate: Any
) -> None:
    page = open_page(f"/patients/{a_candidate.subject_id}/screening/", by=coordinator)
    page.locator("[name=day_hbsag_first_on]").focus()
    page.keyboard.type("2999-01-01")
    page.keyboard.press("Tab")
    expect(page.locator("#fact-note-hbsag_first_on")).to_contain_text("2999-01-01")
    first = page.locator("input[name=inclusion_a]:checked")
    first.focus()
    page.keyboard.press("y")
    expect(page.locator("#verdict")).to_contain_text("1 of 11 answered")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.name") == "inclusion_c"
    page.keyboard.press("n")
    expect(page.locator("#finding-inclusion_c")).to_contain_text("the data say otherwise")
    expect(page.locator("#finding-inclusion_c")).to_contain_text("Write in the evidence why")
    expect(page.locator("#verdict")).to_contain_text("not eligible")
    assert page.evaluate("document.activeElement.name") == "exclusion_a"
    page.keyboard.press("ArrowUp")
    page.keyboard.press("u")
    expect(page.locator("#verdict")).to_contain_text("pending")
    assert page.locator("[name=day_hbsag_first_on]").input_value() == "2999-01-01"
    assert not Screening.objects.exists()


@pytest.fixture
def a_candidate(sites: dict[str, Site]) -> Patient:
    from tests.factories import a_patient

    return a_patient(site=sites["GE"], subject_id="GE-001", status=Patient.Status.SCREENING)
