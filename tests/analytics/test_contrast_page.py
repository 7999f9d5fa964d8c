"""The contrast page: switches, honesty, rows, files, and studies with nothing in them."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from analytics import refresh
from analytics.models import Look
from tests import factories
from tests.analytics.test_pages import FIRST, a_cohort
from trial import protocol
from trial.models import User
from trial.protocol import Diagnosis

SignedIn = Callable[[User], Client]
PAGES = [
    (contrast, analyte, measure, query)
    for contrast, analyte, measure, query in (
        ("C-D", "tbil", "interval", ""),
        ("C-D", "tbil", "level", "grouping=landmark"),
        ("A-B", "meld_3_0", "cumulative", "population=eligible"),
        ("LF-LC", "pta", "interval", "plasma=out"),
        ("A-C", "sodium", "interval", "population=eligible&grouping=landmark"),
        ("B-D", "tbil", "within", ""),
        ("C-D", "tbil", "baseline", ""),
        ("C-D", "tbil", "baseline", "plasma=out"),
    )
]


def address(contrast: str, analyte: str, measure: str, query: str = "") -> str:
    place = reverse("analytics:contrast", args=[contrast, analyte, measure])
    return f"{place}?{query}" if query else place


def every_page(client: Client) -> None:
    for contrast, analyte, measure, query in PAGES:
        answer = client.get(address(contrast, analyte, measure, query))
        text = answer.content.decode()
        assert answer.status_code == 200, (contrast, analyte, measure, query)
        assert not re.search(r"\bnan\b", text, re.IGNORECASE), (contrast, analyte, measure, query)
        assert "0.000" not in text
        if measure not in ("within", "baseline"):
            part = client.get(
                reverse("analytics:sensitivity", args=[contrast, analyte, measure]) + f"?{query}"
            )
            assert part.status_code == 200
            assert not re.search(r"\bnan\b", part.content.decode(), re.IGNORECASE)


def test_an_empty_study_and_one_where_everybody_died_say_so(
    sites: dict[str, Any], statistician: User, signed_in: SignedIn
) -> None:
    client = signed_in(statistician)
    assert client.get(address("C-D", "tbil", "interval")).context["page"].headline is None
    for place, infusions in enumerate((5, 2)):
        patient = factories.a_patient(
            site=sites["GE"],
            subject_id=f"GE-X{place}",
            diagnosis=Diagnosis.CIRRHOSIS,
            recruited_on=FIRST - timedelta(days=7),
        )
        for number in range(1, infusions + 1):
            factories.an_infusion(patient, number)
        factories.a_visit(patient, 0, FIRST, tbil="100", inr="1.5", creatinine="80")
        factories.an_outcome(patient, "death", FIRST + timedelta(days=25 if infusions == 2 else 40))
    refresh.refresh()
    every_page(client)
    page = client.get(address("C-D", "tbil", "interval")).context["page"]
    assert page.headline is None
    assert all(row.p_value is None for row in page.rows)
    assert page.fairness.standard.died == 1
    for kind in ("svg", "csv", "docx"):
        file = reverse("analytics:contrast_file", args=["C-D", "tbil", "interval", kind])
        assert client.get(file).status_code == 200


def test_the_page_is_honest(
    sites: dict[str, Any], statistician: User, signed_in: SignedIn, django_assert_max_num_queries: Any
) -> None:
    cohort = a_cohort(sites)
    client = signed_in(statistician)
    home = address("C-D", "tbil", "cumulative")
    client.get(home)
    with django_assert_max_num_queries(26):
        answer = client.get(home)
    page, text = answer.context["page"], answer.content.decode()
    assert "larger in" in text
    assert "effect" not in text.lower()
    assert "an association, unadjusted" in text
    assert not page.is_smallest_p, "the only interval with values was not picked for its p"
    week4 = next(row for row in page.rows if row.label == "W0\N{EN DASH}4")
    assert week4.before_courses_differ
    assert "At that time the courses did not differ yet." in text
    for row in page.rows:
        for group in row.groups:
            assert group.size == (group.n + group.not_due + group.missing + group.died + group.transplanted)
    assert page.fairness.is_about_courses
    assert [strip.n for strip in page.fairness.as_treated] == [5, 5]
    assert Look.objects.filter(user=statistician).count() == 1, "one look per revision"
    assert answer.context["looks"].times == 1
    assert "156 tests, about 8 below 0.05" in text

    # plasma two days before the draws of week 4 of one subject: it leaves, and the page says so
    factories.a_treatment(cohort[0], "plasma", FIRST + timedelta(days=27))
    refresh.refresh()
    without = client.get(address("C-D", "tbil", "cumulative", "plasma=out"))
    row = next(row for row in without.context["page"].rows if row.label == week4.label)
    assert [group.n for group in row.groups] == [4, 5]
    assert "draws after plasma left out" in without.content.decode()
    rows = client.get(reverse("analytics:rows") + f"?{row.rows_query}")
    assert len(rows.context["rows"]) == 9
    assert [absent.subject_id for absent in rows.context["behind"].absent] == ["GE-C0"]

    part = client.get(
        reverse("analytics:sensitivity", args=["C-D", "tbil", "cumulative"]), headers={"HX-Request": "true"}
    )
    found = {row.code: row for row in part.context["made"].intervals[1].rows}
    assert (found["plasma"].n1, found["shown"].n1, found["plasma"].p_value) == (
        4,
        5,
        pytest.approx(row.p_value),
    )
    assert b"<html" not in part.content

    place = reverse("analytics:contrast_file", args=["C-D", "tbil", "cumulative", "csv"])
    lines = list(csv.reader(io.StringIO(client.get(place).content.decode("utf-8-sig"))))
    assert len(lines) == 3 + 2 * len(protocol.CUMULATIVE)
    assert "As of revision" in lines[1][0]
    for kind, start in (("svg", b"<?xml"), ("pdf", b"%PDF"), ("png", b"\x89PNG"), ("docx", b"PK")):
        answer = client.get(place[:-3] + kind)
        assert answer.content.startswith(start), kind
        assert "attachment" in answer.headers["Content-Disposition"]
    assert client.get(place[:-3] + "exe").status_code == 404
    for measure, lines_of_table in (
        ("within", 2 * len(protocol.CUMULATIVE)),
        ("baseline", 2 * (2 + len(protocol.MEASURED))),
    ):
        place = reverse("analytics:contrast_file", args=["C-D", "tbil", measure, "csv"])
        table = list(csv.reader(io.StringIO(client.get(place).content.decode("utf-8-sig"))))
        assert len(table) == 3 + lines_of_table, measure
        assert {len(line) for line in table[2:]} == {len(table[2])}, measure
        assert {line[table[2].index("n")] for line in table[3:]} <= {"0", "4", "5"}, measure
        assert client.get(place[:-3] + "svg").status_code == 404
        page = client.get(address("C-D", "tbil", measure)).content.decode()
        assert place in page
        history = re.search(r'href="([^"]*/history/[^"]*)"', page)
        assert history is not None
        assert client.get(html.unescape(history[1])).status_code == 200, measure
    for query in ("population=mars", "grouping=x", "plasma=in"):
        assert client.get(f"{home}?{query}").status_code == 404


def test_a_group_is_a_dated_state_and_voiding_the_fifth_takes_it_back(
    sites: dict[str, Any],
    statistician: User,
    hepatologist_elsewhere: User,
    data_manager: User,
    signed_in: SignedIn,
) -> None:
    from infusions.actions import void_infusion

    cohort = a_cohort(sites)
    patient = cohort[0]
    client = signed_in(statistician)

    def group_of(subject: str) -> Any:
        key = "population=treated&measure=cumulative&group1=C&group2=D&analyte=tbil&week_from=0&week_to=4"
        answer = client.get(reverse("analytics:rows") + f"?{key}")
        row = next(row for row in answer.context["rows"] if row.subject_id == subject)
        return row, answer.content.decode()

    became_on = FIRST + timedelta(days=28)
    row, text = group_of(patient.subject_id)
    assert (row.group, row.became_on) == ("C", became_on)
    assert f"became C on {became_on.isoformat()}, infusion 5" in text
    said = f"became C on {became_on.isoformat()}, infusion 5 (day 28)"
    assert said in client.get(reverse("analytics:trend", args=[patient.subject_id])).content.decode()

    fifth = patient.infusions.get(number=5)
    void_infusion(infusion=fifth, by=data_manager, reason="wrong subject")
    factories.settle()
    refresh.refresh()
    row, text = group_of(patient.subject_id)
    assert (row.group, row.became_on, row.infusions) == ("D", None, 4)
    assert said not in client.get(reverse("analytics:trend", args=[patient.subject_id])).content.decode()

    # another site's hepatologist learns how many there are, not who
    key = "population=treated&measure=cumulative&group1=C&group2=D&analyte=tbil&week_from=0&week_to=4"
    behind = signed_in(hepatologist_elsewhere).get(reverse("analytics:rows") + f"?{key}").context["behind"]
    assert (behind.n, behind.elsewhere, behind.rows, behind.absent) == (10, 10, (), ())
