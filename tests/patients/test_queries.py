"""Pages cost the same number of queries for ten subjects and for three hundred."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from infusions.models import CellLot, Infusion
from patients.models import Patient, Visit
from tests.factories import settle
from trial import audit, protocol
from trial.models import Site, User

pytestmark = pytest.mark.django_db

SignIn = Callable[[User], Client]

BUDGETS = {
    "patients:today": 30,  # the queue, and what each role can do: queries, grades, signatures, lots
    "patients:list": 14,
    "infusions:list": 16,
    "infusions:course": 28,
}
"""The most queries a page may take, session and person included."""


def populate(sites: dict[str, Site], first: int, count: int) -> None:
    """Add subjects under treatment, spread over the last half year, as one revision."""
    today = timezone.localdate()
    with audit.revision(by=audit.service_account(), reason="made for a test"):
        lot = CellLot.objects.get_or_create(code=f"UC-{first}")[0]
        patients = Patient.objects.bulk_create(
            Patient(
                subject_id=f"Q-{i:05}",
                site=sites["GE" if i % 3 else "GS"],
                sex="MF"[i % 2],
                age_at_recruitment=40,
                diagnosis=["cirrhosis", "liver_failure"][i % 2],
                recruited_on=today - timedelta(days=i % 180),
                planned_course=["standard", "prolonged"][i % 2],
                status="screening" if i % 11 == 0 else "enrolled",
            )
            for i in range(first, first + count)
        )
        Infusion.objects.bulk_create(
            Infusion(
                patient=patient,
                number=number,
                given_on=patient.recruited_on + timedelta(days=7 * number),
                weight_kg=Decimal(60),
                cells=Decimal(60_000_000),
                lot=lot,
            )
            for patient in patients
            for number in range(1, 1 + patient.pk % 5)
            if patient.recruited_on + timedelta(days=7 * number) <= today
        )
        Visit.objects.bulk_create(
            Visit(patient=patient, week=week, visited_on=patient.recruited_on + timedelta(days=7 + 7 * week))
            for patient in patients
            for week in protocol.WEEKS[: patient.pk % 4]
        )
    settle()


def queries(client: Client, name: str) -> list[str]:
    arguments = ["Q-00000"] if name == "infusions:course" else []
    with CaptureQueriesContext(
        connection,
    ) as taken:
        answer = client.get(reverse(name, args=arguments))
    assert answer.status_code == 200
    return [query["sql"] for query in taken]


@pytest.mark.parametrize("person", ["coordinator", "statistician"])
@pytest.mark.parametrize("name", sorted(BUDGETS))
def test_more_subjects_take_no_more_queries(
    name: str, person: str, request: pytest.FixtureRequest, signed_in: SignIn, sites: dict[str, Site]
) -> None:
    client = signed_in(request.getfixturevalue(person))
    populate(sites, 0, 10)
    if name == "infusions:course" and person == "coordinator":
        with audit.revision(by=audit.service_account(), reason="made for a test"):
            Patient.objects.filter(subject_id="Q-00000").update(site=sites["GE"])
    queries(client, name)  # the first request also writes the session
    few = queries(client, name)
    populate(sites, 10, 290)
    many = queries(client, name)
    assert len(many) == len(few), "\n".join(many)
    assert len(many) <= BUDGETS[name], "\n".join(many)


@pytest.mark.parametrize(
    "asked", ["?overdue=1", "?group=B&sort=-meld", "?q=Q-0&sort=-visit", "?status=ended"]
)
def test_filters_and_sorts_cost_the_same_too(
    asked: str, signed_in: SignIn, statistician: User, sites: dict[str, Site]
) -> None:
    client = signed_in(statistician)
    populate(sites, 0, 60)
    client.get(reverse("patients:list"))

    def taken() -> int:
        with CaptureQueriesContext(connection) as found:
            assert client.get(reverse("patients:list") + asked).status_code == 200
        return len(found)

    few = taken()
    populate(sites, 60, 240)
    assert taken() == few <= BUDGETS["patients:list"] + 4
