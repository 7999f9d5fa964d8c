"""The flow of subjects: boxes, their arithmetic, and records that contradict each other."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from analytics import flow, flow_figure, flow_reading
from analytics.flow import FlowSubject, standing
from patients.schedule import Facts
from tests import factories
from trial import protocol
from trial.protocol import Diagnosis, OutcomeKind
from trial.roles import Role

FIRST = date(2024, 3, 4)
TODAY = FIRST + timedelta(days=400)
WEEKLY = {number: FIRST + timedelta(days=7 * (number - 1)) for number in range(1, 9)}


def who(number: int, **known: Any) -> FlowSubject:
    settled: dict[str, Any] = {
        "patient": number,
        "subject_id": f"S-{number}",
        "diagnosis": Diagnosis.LIVER_FAILURE.value,
        "status": flow.ENROLLED,
        "verdict": "eligible",
        "against": (),
        "given": 0,
        "ended_by": None,
        "weeks": {},
    }
    return FlowSubject(**{**settled, **known})


def everywhere(state: str) -> dict[int, frozenset[str]]:
    return {week: frozenset({state}) for week in protocol.WEEKS}


def test_everybody_is_in_one_box_of_each_division() -> None:
    made = flow.flow(
        [
            who(1, status=flow.FAILED, verdict="not_eligible", against=("exclusion_h", "inclusion_a")[::-1]),
            who(2, status=flow.FAILED, verdict="not_eligible"),
            who(3, status=flow.SCREENING, verdict="pending"),
            who(4),
            who(5, ended_by=OutcomeKind.DEATH),
            who(6, given=5, weeks=everywhere(flow.SEEN)),
            who(7, given=4, weeks=everywhere(flow.MISSED)),
            who(8, given=4, diagnosis=Diagnosis.CIRRHOSIS.value, weeks=everywhere(flow.NOT_YET)),
        ]
    )
    assert made.problems == ()
    counted = {box.code: box.patients for box in made.boxes if box.patients and box.week in (None, 24)}
    assert counted == {
        "registered": (1, 2, 3, 4, 5, 6, 7, 8),
        "not_eligible": (1, 2),
        "criterion-inclusion_a": (1,),
        "criterion-none": (2,),
        "screening": (3,),
        "enrolled": (4, 5, 6, 7, 8),
        "untreated": (4, 5),
        "untreated-waiting": (4,),
        "untreated-death": (5,),
        "treated": (6, 7, 8),
        "LF": (6, 7),
        "A": (6,),
        "B": (7,),
        "LC": (8,),
        "D": (8,),
        "A-24-seen": (6,),
        "B-24-missed": (7,),
        "D-24-not_yet": (8,),
    }


@pytest.mark.parametrize(
    ("subject", "words"),
    [
        (who(1, status=flow.FAILED, given=3, weeks=everywhere(flow.SEEN)), flow.TWICE),
        (who(1, verdict="not_eligible", against=("exclusion_h",)), flow.TWICE),
        (who(1, status=flow.SCREENING, given=1, weeks=everywhere(flow.SEEN)), flow.TWICE),
        (who(1, given=5, weeks=everywhere(flow.SEEN) | {4: frozenset({flow.SEEN, "death"})}), flow.TWICE),
        (who(1, given=5, weeks=everywhere(flow.SEEN) | {4: frozenset()}), flow.NOWHERE),
    ],
)
def test_a_record_that_contradicts_itself_is_named(subject: FlowSubject, words: str) -> None:
    found = flow.flow([subject]).problems
    assert words in {one.words for one in found}
    assert {one.subject_id for one in found} == {"S-1"}


def test_how_a_subject_stands_at_each_week() -> None:
    died = (OutcomeKind.DEATH, FIRST + timedelta(days=60))
    seen = {0: FIRST, 1: FIRST + timedelta(days=7)}
    facts = Facts(FIRST - timedelta(days=7), given=WEEKLY, seen=seen, ended_on=died[1])
    assert standing(facts, [died], TODAY) == {
        0: {flow.SEEN}, 1: {flow.SEEN}, 4: {flow.MISSED}, 12: {"death"}, 24: {"death"},
    }  # fmt: skip
    afterwards = Facts(
        FIRST - timedelta(days=7), given=WEEKLY, seen={12: FIRST + timedelta(days=84)}, ended_on=died[1]
    )
    assert standing(afterwards, [died], TODAY)[12] == {flow.SEEN, "death"}
    early = Facts(FIRST - timedelta(days=7), given={1: FIRST}, seen=seen)
    assert standing(early, [], FIRST + timedelta(days=8))[24] == {flow.NOT_YET}
    both = [(OutcomeKind.LOST, FIRST + timedelta(days=70)), died]
    assert standing(facts, both, TODAY)[24] == {"death"}


def test_nothing_overlaps_on_the_plan() -> None:
    crowd = [who(n, given=n % 9, weeks=everywhere(flow.SEEN)) for n in range(1, 40)]
    crowd += [
        who(100 + n, status=flow.FAILED, verdict="not_eligible", against=(criterion.code,))
        for n, criterion in enumerate(protocol.CRITERIA)
    ]
    for subjects in ([], crowd):
        plan = flow_figure.draw(flow.flow(subjects), lambda box: box.words, str)
        places = plan.places
        for number, one in enumerate(places):
            assert one.x >= 0
            assert one.x + one.width <= plan.width
            assert one.bottom <= plan.height
            assert all(one.y < row.y < one.bottom for row in one.rows)
            for other in places[number + 1 :]:
                apart = one.x + one.width <= other.x or other.x + other.width <= one.x
                assert apart or one.bottom <= other.y or other.bottom <= one.y, (one.code, other.code)


@pytest.mark.django_db
def test_the_page_counts_all_and_names_only_whom_its_reader_may_see(client: Client) -> None:
    east, south = factories.a_site(code="GE"), factories.a_site(code="GS")
    reader = factories.a_user(username="reader", role=Role.HEPATOLOGIST, site=east)
    client.force_login(reader)
    assert "Nobody is registered yet" in client.get(reverse("analytics:flow")).content.decode()
    for site, code in ((east, "GE-001"), (south, "GS-001")):
        patient = factories.a_patient(site=site, subject_id=code)
        factories.an_infusion(patient, 1)
    made = flow_reading.flow_of(flow_reading.stored(date(2030, 1, 1)))
    assert made["treated"].n == 2
    page = client.get(reverse("analytics:flow_box", args=["treated"])).content.decode()
    assert "GE-001" in page
    assert "GS-001" not in page
    assert "1 of another site is not listed" in page
    for extension, begin in (("svg", b"<?xml"), ("pdf", b"%PDF"), ("png", b"\x89PNG")):
        body = client.get(reverse("analytics:flow_file", args=[extension])).content
        assert body.startswith(begin)
        assert body == client.get(reverse("analytics:flow_file", args=[extension])).content
    assert client.get(reverse("analytics:flow_box", args=["nothing"])).status_code == 404
