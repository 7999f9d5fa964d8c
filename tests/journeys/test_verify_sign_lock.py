"""The monitor verifies, the hepatologist signs, a correction voids it, the data manager locks, and nobody enters."""

from __future__ import annotations

import pytest

from patients import verifications
from patients.models import LabResult, Signature
from tests import factories
from tests.browsers import OpenPage
from trial.models import User

pytestmark = [pytest.mark.browser, pytest.mark.committed]

PASSWORD = "correct-horse-battery"


@pytest.mark.exhaustive
def test_a_visit_from_its_source_to_its_lock(
    open_page: OpenPage, coordinator: User, hepatologist: User, monitor: User, data_manager: User
) -> None:
    hepatologist.set_password(PASSWORD)
    with factories.by_the_software():
        hepatologist.save(update_fields=["password"])
    patient = factories.a_patient(site=coordinator.site, subject_id="GE-001")
    visit = factories.a_visit(patient, 4, tbil="171", inr="1.8", creatinine="81")

    page = open_page(f"/patients/GE-001/verify/?visit={visit.pk}", by=monitor)
    page.keyboard.press("a")
    page.keyboard.press("j")
    page.keyboard.press("Space")
    assert page.locator("[data-tick]:checked").count() == 3
    page.keyboard.press("Control+s")
    page.get_by_text("3 verified.").wait_for()
    # of the row of the visit itself and its three results
    assert verifications.shares(patient)[visit.pk] == verifications.Share(3, 4)

    page = open_page(f"/patients/GE-001/sign/?visit={visit.pk}", by=hepatologist)
    page.get_by_label("I confirm that these data").check()
    page.fill("#id_password", PASSWORD)
    page.keyboard.press("Control+s")
    page.get_by_text("valid", exact=True).wait_for()
    signature = Signature.objects.get()

    page = open_page("/patients/GE-001/visits/4/", by=coordinator)
    page.fill("#id_tbil", "160")
    page.locator("label[for=reason_1]").click()
    page.keyboard.press("Control+s")
    page.wait_for_url("**saved=*")
    page.goto("/patients/GE-001/signatures/")
    assert "because W4 TBIL changed" in page.locator("#signatures").inner_text()
    assert "signature void" in page.locator("main").inner_text()
    page.goto("/patients/GE-001/labs/")
    assert page.locator(".matrix .record-mark.is-void").count() >= 1
    assert Signature.objects.get() == signature

    waiting = open_page("/patients/GE-001/visits/4/", by=coordinator)
    page = open_page("/patients/GE-001/lock/", by=data_manager)
    page.get_by_label("Lock week 4").check()
    page.fill("#id_reason", "cleaned")
    page.keyboard.press("Control+s")
    page.get_by_text("Week 4 is locked.").wait_for()

    # who had the page open already is refused, with all that was typed; who opens it now sees why before typing
    waiting.fill("#id_tbil", "150")
    waiting.locator("label[for=reason_1]").click()
    waiting.keyboard.press("Control+s")
    waiting.get_by_text("The visit W4 of GE-001 is locked.").wait_for()
    waiting.reload()
    waiting.goto("/patients/GE-001/visits/4/")
    assert "Huang Lei" in waiting.locator(".banner", has_text="This visit is locked.").inner_text()
    assert waiting.locator("#id_tbil").is_disabled()
    assert LabResult.objects.get(visit=visit, analyte="tbil").typed_text == "160"
