"""Who a subject is stands on one page only: every other address of a coordinator is searched for the name."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from patients.models import Patient, PatientIdentity
from tests import factories
from tests.routes import guarded
from tests.world import World
from trial.models import User

pytestmark = pytest.mark.django_db

CANARY = "CANARY-OF-A-NAME"
WITH_IDENTITY = {"patients:identity"}


def test_no_other_page_shows_the_name(
    world: World, coordinator: User, signed_in: Callable[[User], Client]
) -> None:
    patient = Patient.objects.get(subject_id=world.own["subject_id"])
    with factories.by_the_software():
        PatientIdentity.objects.update_or_create(
            patient=patient,
            defaults={"name": CANARY, "hospital_number": f"H-{CANARY}", "phone": f"1-{CANARY}"},
        )
    client = signed_in(coordinator)
    shown = client.get(reverse("patients:identity", args=[patient.subject_id]))
    assert CANARY in shown.content.decode(), "the page that is meant for it does not show it"
    leaking, walked = set(), 0
    for route in guarded():
        if route.name in WITH_IDENTITY:
            continue
        answer = client.get(route.url(**world.own))
        body = b"".join(answer) if answer.streaming else answer.content
        walked += answer.status_code == 200
        if CANARY in body.decode(errors="replace"):
            leaking.add(route.name)
    assert not leaking
    assert walked > 25, "hardly any page answered, so nothing was searched"


def test_neither_the_list_nor_the_box_finds_a_name(
    world: World, coordinator: User, signed_in: Callable[[User], Client]
) -> None:
    patient = Patient.objects.get(subject_id=world.own["subject_id"])
    with factories.by_the_software():
        PatientIdentity.objects.update_or_create(patient=patient, defaults={"name": CANARY})
    client = signed_in(coordinator)
    for address in ("patients:list", "patients:jump"):
        found = client.get(reverse(address), {"q": CANARY}, headers={"HX-Request": "true"})
        assert patient.subject_id not in found.content.decode()
