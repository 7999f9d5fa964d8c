"""Safety by group: what is counted, when events came, grades by both rules, peaks over baselines."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse

from analytics import safety, safety_reading
from analytics.safety import Event, LabGrade, Peak
from tests import factories
from trial import protocol
from trial.protocol import Diagnosis
from trial.roles import Role

SIZES = {"A": 4, "B": 2, "C": 0, "D": 1}


def event(number: int, group: str, grade: int, *, patient: int | None = None, **known: object) -> Event:
    who = number if patient is None else patient
    settled: dict[str, object] = {"term": "Fever", "serious": False, "relation": "", "days": 0, "occasion": 1}
    settled |= known
    return Event(
        number, who, f"S-{who}", group, str(settled["term"]), grade, bool(settled["serious"]),
        str(settled["relation"]), settled["days"], settled["occasion"],  # type: ignore[arg-type]
    )  # fmt: skip


def test_subjects_are_counted_once_and_events_each() -> None:
    rows = safety.event_rows(
        [
            event(1, "A", 1, patient=1),
            event(2, "A", 3, patient=1, relation="possible"),
            event(3, "B", 5, patient=2, serious=True, term="Sepsis", relation="unlikely"),
        ],
        SIZES,
    )
    table = {row.kind or row.term: [(c.subjects, c.events, c.percent) for c in row.counts] for row in rows}
    none, empty = (0, 0, 0), (0, 0, None)
    assert table == {
        "any": [(1, 2, 25), (1, 1, 50), empty, none],
        "severe": [(1, 1, 25), (1, 1, 50), empty, none],
        "serious": [none, (1, 1, 50), empty, none],
        "related": [(1, 1, 25), none, empty, none],
        "fatal": [none, (1, 1, 50), empty, none],
        "Fever": [(1, 2, 25), none, empty, none],
        "Sepsis": [none, (1, 1, 50), empty, none],
    }
    assert [row.highest for row in rows][-2:] == [3, 5]


@pytest.mark.parametrize(
    ("days", "span"),
    [(None, 0), (0, 1), (1, 2), (7, 2), (8, 3), (28, 3), (29, 4), (84, 4), (85, 5), (900, 5)],
)
def test_each_event_has_one_span(days: int | None, span: int) -> None:
    rows = safety.since_infusion([event(1, "D", 2, days=days, occasion=None if days is None else 1)])
    assert [row.total for row in rows] == [int(place == span) for place in range(len(safety.SPANS))]
    assert dict(rows[span].grades)["D"] == (2,)


def test_grades_are_counted_by_both_rules() -> None:
    grades = [
        LabGrade(1, "S-1", "A", "T", 3, 1, 3),
        LabGrade(2, "S-2", "A", "T", 1, 3, 4),
        LabGrade(3, "S-3", "B", "T", None, 2, 2),
        LabGrade(4, "S-4", "B", "T", 0, None, None),
    ]
    counts = dict(safety.lab_rows(grades)[0].counts)
    assert counts == {
        "graded": (2, 1, 0, 0),
        "worse": (1, 1, 0, 0),
        "severe": (1, 0, 0, 0),
        "severe_worse": (1, 0, 0, 0),
        "severe_plain": (2, 0, 0, 0),
    }


def test_every_peak_stands_inside_the_plane() -> None:
    for texts in ([], [("0.001", "900")], [("1", "1")] * 3, [("0", "0"), ("3", "2")]):
        peaks = [Peak(n, f"S-{n}", "B", Decimal(a), Decimal(t)) for n, (a, t) in enumerate(texts)]
        figure = safety.peak_figure(peaks)
        assert all(figure.left <= dot.x <= figure.right for dot in figure.dots)
        assert all(figure.top <= dot.y <= figure.bottom for dot in figure.dots)
        assert figure.left < figure.x_bound < figure.right
        assert figure.top < figure.y_bound < figure.bottom
    assert Peak(1, "S", "A", Decimal(3), Decimal(2)).is_both
    assert not Peak(1, "S", "A", Decimal("2.999"), Decimal(2)).is_both


@pytest.mark.django_db
def test_the_page_from_records_to_lists(client: Client) -> None:
    east, south = factories.a_site(code="GE"), factories.a_site(code="GS")
    client.force_login(factories.a_user(username="reader", role=Role.HEPATOLOGIST, site=east))
    page = client.get(reverse("analytics:safety")).content.decode()
    assert "No adverse event of a treated subject is recorded" in page
    assert "Nobody has ALT and TBIL" in page
    for site, code in ((east, "GE-001"), (south, "GS-001")):
        patient = factories.a_patient(site=site, subject_id=code, diagnosis=Diagnosis.LIVER_FAILURE.value)
        infusion = factories.an_infusion(patient, 1)
        factories.a_visit(patient, 0, visited_on=infusion.given_on - timedelta(days=1), alt="200", tbil="200")
        factories.a_visit(patient, 1, visited_on=infusion.given_on + timedelta(days=7), alt="700", tbil="450")
        factories.an_event(patient, onset_on=infusion.given_on + timedelta(days=3))
    made = safety_reading.stored()
    assert [peak.is_both for peak in safety_reading.peaks_of(made)] == [True, True]
    assert {(peak.alt, peak.tbil) for peak in safety_reading.peaks_of(made)} == {
        (Decimal("3.5"), Decimal("2.25"))
    }
    assert [one.days for one in safety_reading.events_of(made)] == [3, 3]
    by_term = {one.term: one for one in safety_reading.grades_of(made) if one.subject_id == "GE-001"}
    alt = by_term["Alanine aminotransferase increased"]
    # 700 is 3.5 times the abnormal baseline: grade 2; held against the range alone it would be grade 3
    assert (alt.worst, alt.plain) == (2, 3)
    page = client.get(reverse("analytics:safety")).content.decode()
    assert "GE-001" in page
    assert "GS-001" not in page
    listed = client.get(reverse("analytics:safety_events"), {"kind": "any"}).content.decode()
    assert "3 d after infusion 1" in listed
    assert "1 of another site is not listed" in listed
    grades = client.get(reverse("analytics:safety_grades"), {"term": alt.term, "kind": "severe_plain"})
    assert "by the range alone grade 3" in grades.content.decode()
    assert client.get(reverse("analytics:safety_grades"), {"term": "none"}).status_code == 404
    assert client.get(reverse("analytics:safety_events"), {"group": "Z"}).status_code == 404


def test_every_group_has_its_column() -> None:
    assert [count.group for count in safety.event_rows([], SIZES)[0].counts] == list(protocol.GROUP_CODES)
