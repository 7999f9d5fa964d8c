"""What is locked cannot be typed into: the page says so before the database does."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date

import pytest
from django.test import Client
from django.urls import reverse

from patients.actions.locking import freeze_site, lock_casebook, lock_visit
from tests import factories
from trial.models import User

pytestmark = pytest.mark.django_db

_OPEN_BUTTON = re.compile(r'<button class="btn btn-(?:primary|danger|outline)"')


def test_forms_of_a_locked_subject_are_disabled_and_say_who_unlocks(
    coordinator: User, hepatologist: User, data_manager: User, signed_in: Callable[[User], Client]
) -> None:
    patient = factories.a_patient(site=coordinator.site, subject_id="GE-001")
    factories.a_visit(patient, 0, tbil="100")
    infusion = factories.an_infusion(patient, 1)
    visit = factories.a_visit(patient, 4, tbil="400")
    treatment = factories.a_treatment(patient, started_on=date(2024, 1, 11))
    outcome = factories.an_outcome(patient)
    result = visit.lab_results.get()
    pages = {
        "visit": reverse("patients:void_visit", args=["GE-001", visit.pk]),
        "treatment": reverse("patients:void_treatment", args=["GE-001", treatment.pk]),
        "outcome": reverse("patients:void_outcome", args=["GE-001", outcome.pk]),
        "infusion": reverse("infusions:void", args=["GE-001", infusion.number]),
        "grade": reverse("patients:grade", args=["GE-001", result.pk]),
        "plan": reverse("infusions:plan", args=["GE-001", 2]),
    }
    people = {"grade": signed_in(hepatologist)}
    people |= dict.fromkeys(pages.keys() - people.keys(), signed_in(coordinator))
    for name, address in pages.items():
        assert 'class="locked-form" disabled' not in people[name].get(address).content.decode(), name

    lock_visit(visit=visit, by=data_manager, reason="source complete")
    factories.settle()
    page = people["visit"].get(pages["visit"]).content.decode()
    assert "This visit is locked." in page
    assert "source complete" in page
    assert 'class="locked-form" disabled' in page

    lock_casebook(patient=patient, by=data_manager, reason="database lock 1")
    factories.settle()
    for name, address in pages.items():
        page = people[name].get(address).content.decode()
        assert "database lock 1" in page, name
        assert "until a data manager unlocks it" in page, name
        main = page[page.index("<main") : page.index("</main>")]
        outside = re.sub(r"(?s)<fieldset class=\"locked-form\" disabled>.*?</form>", "", main)
        assert not _OPEN_BUTTON.search(outside), name
    listed = people["grade"].get(reverse("patients:grades", args=["GE-001"])).content.decode()
    assert "Grades to confirm" in listed
    assert "data-row-open" not in listed


def test_the_first_pages_of_a_frozen_site_say_so_before_anybody_types(
    coordinator: User, data_manager: User, signed_in: Callable[[User], Client]
) -> None:
    assert coordinator.site is not None
    freeze_site(site=coordinator.site, by=data_manager, reason="interim analysis")
    factories.settle()
    client = signed_in(coordinator)
    for name in ("patients:today", "patients:register"):
        page = client.get(reverse(name)).content.decode()
        assert "until a data manager unfreezes the site" in page, name
        assert "interim analysis" in page, name
    assert 'class="locked-form" disabled' in page
