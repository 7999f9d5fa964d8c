"""Striking a row: the same form sent twice is one change and one answer."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from patients.models import Patient
from tests import factories
from trial import audit
from trial.models import Revision, Site, User


@pytest.mark.parametrize("name", ["void_visit", "void_outcome", "void_event", "void_treatment"])
def test_a_form_sent_twice_voids_once(
    client: Client, sites: dict[str, Site], coordinator: User, name: str
) -> None:
    patient: Patient = factories.a_patient(site=sites["GE"], subject_id="GE-001")
    row = _row(name, patient)
    client.force_login(coordinator, backend="django.contrib.auth.backends.ModelBackend")
    address = reverse(f"patients:{name}", args=["GE-001", row.pk])
    page = client.get(address).content.decode()
    key = re.search(r'name="submission_key" value="([^"]+)"', page)
    assert key, "the form carries no key"
    assert "Why this is voided" in page
    assert "not needed for what is new" not in page
    typed = {"submission_key": key[1], "reason": "wrong_subject", "note": "GE-002"}
    before = Revision.objects.count()
    first, second = client.post(address, typed), client.post(address, typed)
    assert (first.status_code, second.status_code) == (302, 302)
    assert first["Location"] == second["Location"]
    assert Revision.objects.count() == before + 1
    row.refresh_from_db()
    assert row.voided_at is not None
    assert client.post(address, typed | {"submission_key": "another"}).status_code == 404


@pytest.mark.parametrize("name", ["void_visit", "void_outcome", "void_event", "void_treatment"])
def test_what_somebody_changed_since_is_not_struck_unseen(
    client: Client, sites: dict[str, Site], coordinator: User, name: str
) -> None:
    patient: Patient = factories.a_patient(site=sites["GE"], subject_id="GE-001")
    row = _row(name, patient)
    client.force_login(coordinator, backend="django.contrib.auth.backends.ModelBackend")
    address = reverse(f"patients:{name}", args=["GE-001", row.pk])
    page = client.get(address).content.decode()
    assert f'name="version" value="{row.version}"' in page
    with audit.revision(by=coordinator, reason="typing slip corrected"):
        type(row).objects.filter(pk=row.pk).update(note="seen again", version=row.version + 1)
    factories.settle()
    typed = {"version": row.version, "reason": "wrong_subject"}
    refused = client.post(address, typed | {"submission_key": "one"})
    assert refused.status_code == 422
    assert "Somebody changed this record after the page was opened." in refused.content.decode()
    assert f'name="version" value="{row.version + 1}"' in refused.content.decode()
    typed["version"] += 1
    assert client.post(address, typed | {"submission_key": "two"}).status_code == 302
    row.refresh_from_db()
    assert row.voided_at is not None


def _row(name: str, patient: Patient) -> Any:
    match name:
        case "void_visit":
            return factories.a_visit(patient, 0, date(2024, 1, 14), tbil="171")
        case "void_outcome":
            return factories.an_outcome(patient)
        case "void_event":
            return factories.an_event(patient)
    return factories.a_treatment(patient)


def test_a_screen_failure_waits_for_nothing_and_says_why(
    client: Client, sites: dict[str, Site], coordinator: User
) -> None:
    factories.a_patient(site=sites["GE"], subject_id="GE-001", status=Patient.Status.SCREEN_FAILED)
    client.force_login(coordinator, backend="django.contrib.auth.backends.ModelBackend")
    page = client.get(reverse("patients:labs", args=["GE-001"])).content.decode()
    assert "not eligible at screening" in page
    assert "every planned visit and infusion is accounted for" not in page
