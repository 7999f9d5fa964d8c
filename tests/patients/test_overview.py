"""Enrolment and completeness, counted by the database, agree with the schedule's own arithmetic."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
import time_machine

from infusions.models import Infusion
from patients import overview, schedule, worklist
from patients.models import Outcome, Patient, Visit
from tests.factories import RECRUITED_ON, a_patient, a_visit, an_infusion, settle
from trial import audit, protocol
from trial.models import Site, User

pytestmark = pytest.mark.django_db


def at(days: int) -> time_machine.travel:
    return time_machine.travel(f"{RECRUITED_ON + timedelta(days=days)}T02:00:00Z", tick=True)


def counts(user: User) -> dict[str, list[tuple[int, int]]]:
    return {
        row.site.code if row.site else "all": [(cell.entered, cell.expected) for cell in row.cells]
        for row in overview.completeness(user, overview.treated(user)).rows
    }


def test_a_visit_counts_once_its_day_has_come(sites: dict[str, Site], coordinator: User) -> None:
    patient = a_patient(site=sites["GE"])
    first = an_infusion(patient, 1).given_on
    with at(13):  # the day before week 1 is due
        assert counts(coordinator) == {"GE": [(0, 1), (0, 0), (0, 0), (0, 0), (0, 0)]}
    with at(14):
        assert counts(coordinator)["GE"][1] == (0, 1)
        a_visit(patient, 1, first + timedelta(days=7), tbil="171")
        assert counts(coordinator)["GE"][1] == (1, 1)


def test_whoever_left_is_not_expected_any_more(sites: dict[str, Site], coordinator: User) -> None:
    patient = a_patient(site=sites["GE"])
    an_infusion(patient, 1)
    with at(60):
        assert counts(coordinator)["GE"][2] == (0, 1)
        with audit.revision(by=coordinator):
            Outcome.objects.create(
                patient=patient, kind="death", happened_on=RECRUITED_ON + timedelta(days=34)
            )
        assert counts(coordinator)["GE"] == [(0, 1), (0, 1), (0, 0), (0, 0), (0, 0)]


def test_sites_stand_apart_and_together(
    sites: dict[str, Site], coordinator: User, statistician: User
) -> None:
    for code in ("GE", "GS", "GS"):
        patient = a_patient(site=sites[code])
        an_infusion(patient, 1)
    with at(8):
        assert counts(coordinator) == {"GE": [(0, 1)] + [(0, 0)] * 4}
        assert counts(statistician) == {
            "GE": [(0, 1)] + [(0, 0)] * 4,
            "GS": [(0, 2)] + [(0, 0)] * 4,
            "all": [(0, 3)] + [(0, 0)] * 4,
        }


@pytest.mark.parametrize(
    ("entered", "expected", "percent", "shade"),
    [
        (0, 0, None, "none"),
        (0, 3, 0, "1"),
        (2, 3, 66, "1"),
        (7, 10, 70, "2"),
        (119, 120, 99, "5"),
        (3, 3, 100, "5"),
    ],
)
def test_shades(entered: int, expected: int, percent: int | None, shade: str) -> None:
    cell = overview.Heat(entered, expected)
    assert (cell.percent, cell.shade) == (percent, shade)


def test_completeness_agrees_with_the_schedule_for_a_random_study(
    sites: dict[str, Site], statistician: User
) -> None:
    """One query of the database against one subject at a time in Python."""
    rng = random.Random(7)
    with audit.revision(by=audit.service_account(), reason="made for a test"):
        for i in range(120):
            recruited_on = RECRUITED_ON + timedelta(days=rng.randint(0, 250))
            patient = Patient.objects.create(
                subject_id=f"R-{i:03}", site=rng.choice(list(sites.values())), sex="F", age_at_recruitment=40,
                diagnosis="cirrhosis", recruited_on=recruited_on,
            )  # fmt: skip
            for number in range(1, rng.randint(1, 6)):
                voided = patient.site and rng.random() < 0.1
                Infusion.objects.create(
                    patient=patient, number=number, given_on=recruited_on + timedelta(days=7 * number),
                    voided_at="2024-06-01T00:00Z" if voided else None,
                )  # fmt: skip
            for week in protocol.WEEKS:
                if rng.random() < 0.7:
                    Visit.objects.create(
                        patient=patient, week=week, visited_on=recruited_on + timedelta(days=7 + 7 * week),
                        voided_at="2024-06-01T00:00Z" if rng.random() < 0.1 else None,
                    )  # fmt: skip
            if rng.random() < 0.2:
                Outcome.objects.create(
                    patient=patient,
                    kind="lost",
                    happened_on=recruited_on + timedelta(days=rng.randint(0, 200)),
                )
    settle()
    with at(230):
        expected = {code: [[0, 0] for _ in protocol.WEEKS] for code in ("GE", "GS")}
        for record in worklist.records(list(Patient.objects.select_related("site"))):
            if not record.facts.given:
                continue
            for place, visit in enumerate(schedule.visits(record.facts, record.today)):
                assert visit.due_on is not None
                seen = visit.state is schedule.State.DONE
                followed = visit.state is not schedule.State.NOT_APPLICABLE
                cell = expected[record.patient.site.code][place]
                cell[0] += seen
                cell[1] += seen or (followed and visit.due_on <= record.today)
        found = counts(statistician)
    assert {code: [list(cell) for cell in found[code]] for code in expected} == expected
    assert sum(cell[1] for cell in expected["GE"]) > 100, "the comparison must have something to compare"


def test_enrolment_counts_subjects_in_the_group_they_are_in_now(
    sites: dict[str, Site], coordinator: User, statistician: User
) -> None:
    five = a_patient(site=sites["GE"], diagnosis="liver_failure", planned_course="prolonged")
    for number in range(1, 6):
        an_infusion(five, number)
    three = a_patient(site=sites["GE"], planned_course="prolonged")
    for number in range(1, 4):
        an_infusion(three, number)
    an_infusion(a_patient(site=sites["GS"]), 1)
    a_patient(site=sites["GE"])  # nothing given: not treated
    day = RECRUITED_ON + timedelta(days=40)
    with at(40):
        own = overview.enrolment(overview.treated(coordinator), day)
        assert own.chart is not None
        assert (own.treated, own.in_course) == (2, 1)
        assert [(line.code, line.count) for line in own.chart.lines] == [("A", 1), ("D", 1)]
        assert overview.enrolment(overview.treated(statistician), day).treated == 3
