"""Today, the patient list, the patient's header and the course say the same of what is overdue."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.http import QueryDict

from infusions import course
from patients import listing, patient_header, worklist
from patients.models import Patient
from patients.schedule import Kind, State
from patients.worklist import Section
from tests import factories
from trial.models import Site, User

pytestmark = pytest.mark.django_db

PLACES = ("Asia/Shanghai", "America/New_York", "Europe/Berlin", "Pacific/Auckland", "America/Noronha")
SECOND = timedelta(seconds=1)
# infusion 1 is due 7 days after recruitment; its window closes 2 days later
CLOSES_AFTER = 9
DAYS = {
    "no_change_of_clocks": date(2026, 1, 12),
    "new_york_springs_forward": date(2026, 3, 8),
    "berlin_springs_forward": date(2026, 3, 29),
    "auckland_falls_back": date(2026, 4, 5),
    "berlin_falls_back": date(2026, 10, 25),
    "new_york_falls_back": date(2026, 11, 1),
    "a_leap_day": date(2024, 2, 29),
}


def cases() -> Iterator[object]:
    for name, closes_on in DAYS.items():
        for place in PLACES:
            yield pytest.param(place, closes_on, id=f"{name}-{place.split('/')[1]}")


@pytest.mark.parametrize(("place", "closes_on"), list(cases()))
def test_all_four_change_their_mind_at_the_same_midnight(
    place: str, closes_on: date, sites: dict[str, Site], coordinator: User
) -> None:
    site = sites["GE"]
    with factories.by_the_software():
        site.time_zone = place
        site.save()
    patient = factories.a_patient(
        site=site, subject_id="GE-001", recruited_on=closes_on - timedelta(days=CLOSES_AFTER)
    )
    coordinator.refresh_from_db()
    midnight = datetime.combine(closes_on + timedelta(days=1), datetime.min.time(), ZoneInfo(place))
    last = midnight.astimezone(ZoneInfo("UTC")) - SECOND
    assert [overdue_infusions(patient, coordinator, at) for at in (last, last + SECOND)] == [
        {"queue": False, "list": False, "row": False, "header": False, "course": False},
        {"queue": True, "list": True, "row": True, "header": True, "course": True},
    ]


def overdue_infusions(patient: Patient, user: User, moment: datetime) -> dict[str, bool]:
    """Return where infusion 1 of a subject is called overdue at a moment."""
    with time_machine.travel(moment, tick=False):
        patient = Patient.objects.select_related("site").get(pk=patient.pk)
        queued = worklist.dated_tasks(user)
        rows = listing.page(user, QueryDict("")).rows
        overdue_only = listing.page(user, QueryDict("overdue=1")).rows
        header = patient_header.header(patient, user)
        found = course.course(patient, worklist.record(patient))
    first = found.rows[0].appointment
    return {
        "queue": any(task.section is Section.OVERDUE and task.is_infusion for task in queued),
        "list": bool(overdue_only),
        "row": any(
            row.next_due is not None
            and row.next_due.kind is Kind.INFUSION
            and row.next_due.state is State.OVERDUE
            for row in rows
        ),
        "header": header.next_due is not None and header.next_due.state is State.OVERDUE,
        "course": first.state is State.OVERDUE,
    }
