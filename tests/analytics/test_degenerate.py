"""Studies with nothing to compare: every page and file of the analysis says so in words."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from analytics import refresh
from analytics.cells import from_json
from analytics.models import Cell
from patients import actions
from patients.models import Patient
from tests import factories
from tests.analytics.test_pages import FIRST
from trial import audit
from trial.models import User
from trial.protocol import Diagnosis

GROUPS = (
    ("A", Diagnosis.LIVER_FAILURE, 5),
    ("B", Diagnosis.LIVER_FAILURE, 2),
    ("C", Diagnosis.CIRRHOSIS, 5),
    ("D", Diagnosis.CIRRHOSIS, 2),
)
LABS = ("tbil", "inr", "creatinine", "alt")
# (subjects of each group, weeks with a visit, labs of a subject: place within its group and week)
Labs = Callable[[int, int], dict[str, Any]]
CASES: dict[str, tuple[int, tuple[int, ...], Labs]] = {
    "nobody": (0, (), lambda _place, _week: {}),
    "one in each group": (
        1,
        (0, 4, 12),
        lambda _place, week: {"tbil": 300 - 9 * week, "inr": "1.5", "creatinine": 90, "alt": 70 - week},
    ),
    "all values equal": (
        3,
        (0, 1, 4),
        lambda _place, _week: {"tbil": 100, "inr": "1.5", "creatinine": 90, "alt": 50},
    ),
    "all missing": (3, (0,), lambda _place, _week: dict.fromkeys(LABS)),
    "everybody dead by week 4": (
        3,
        (0, 1),
        lambda place, _week: {"tbil": 300 + 20 * place, "inr": "2.0", "creatinine": 90, "alt": 50 + place},
    ),
    "ties everywhere": (
        3,
        (0, 1, 4),
        lambda place, week: {"tbil": 100 + 50 * ((place + week) % 2), "inr": "1.5", "creatinine": 90, "alt": 40},
    ),
}  # fmt: skip
# what is asked how: each switch once
CONTRASTS = (
    ("C-D", "tbil", "level", "population=eligible&grouping=landmark&plasma=out"),
    ("C-D", "tbil", "interval", ""),
    ("A-B", "sodium", "interval", "population=eligible"),
    ("LF-LC", "meld_3_0", "cumulative", "grouping=landmark"),
    ("C-D", "tbil", "within", "plasma=out"),
    ("C-D", "tbil", "baseline", ""),
)
NEVER = re.compile(r"\bnan\b|[-\N{MINUS SIGN}+]?\binf\b|\bNone\b|\b0\.000\b|\bNaN\b")


class Words(HTMLParser):
    """Collects what a reader can read."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self.silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.silent += tag in ("script", "style")
        self.said += [
            value or "" for name, value in attrs if name in ("title", "aria-label", "alt", "d", "points")
        ]

    def handle_endtag(self, tag: str) -> None:
        self.silent -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.said.append(data)


def a_study(sites: dict[str, Any], case: str) -> str:
    """Make the study of a case; return one of its subjects, or nothing."""
    size, weeks, labs = CASES[case]
    for letter, diagnosis, infusions in GROUPS:
        for place in range(size):
            patient = factories.a_patient(
                site=sites["GE"],
                subject_id=f"GE-{letter}{place}",
                diagnosis=diagnosis,
                recruited_on=FIRST - timedelta(days=7),
            )
            for number in range(1, infusions + 1):
                # five before week 4 has ended: who died by then can still have had the prolonged course
                factories.an_infusion(patient, number, FIRST + timedelta(days=5 * (number - 1)))
            for week in weeks:
                a_visit(patient, week, labs(place, week))
            if "dead" in case:
                factories.an_outcome(patient, "death", FIRST + timedelta(days=24))
    refresh.refresh()
    return "GE-C0" if size else ""


def a_visit(patient: Patient, week: int, values: dict[str, Any]) -> None:
    """Record a visit; a value of None was not drawn."""
    given = {code: value for code, value in values.items() if value is not None}
    day = FIRST + timedelta(days=7 * week)
    if given or not values:
        factories.a_visit(patient, week, day, **given)
        return
    actions.record_labs(
        patient=patient,
        week=week,
        visited_on=day,
        entries=[
            actions.LabEntry(
                analyte=code,
                value=None,
                comparator="",
                typed_text="",
                typed_unit="",
                missing_reason="not_drawn",
            )
            for code in values
        ],
        by=audit.service_account(),
        reason="made for a test",
    )
    factories.settle()


def addresses(subject: str) -> list[str]:
    """Return every page, fragment and file of the analysis that holds words."""
    pages = []
    for pair, analyte, measure, switch in CONTRASTS:
        place = reverse("analytics:contrast", args=[pair, analyte, measure])
        pages.append(f"{place}?{switch}")
        if measure == "interval":
            pages += [f"{place}sensitivity/?{switch}", f"{place}file.csv?{switch}"]
    pages += [reverse("analytics:paper"), reverse("analytics:paper") + "?population=landmark"]
    pages += [reverse("analytics:paper_file", args=["paper", "html"])]
    for route in ("survival_sheet", "survival_rows", "models_sheet"):
        pages.append(reverse(f"analytics:{route}") + "?contrast=C-D")
    for route in ("flow", "safety", "safety_events", "moves", "snapshots", "since", "follow_up"):
        pages.append(reverse(f"analytics:{route}"))
    pages.append(reverse("analytics:safety_grades") + "?term=Blood bilirubin increased")
    pages.append(reverse("analytics:flow_file", args=["svg"]))
    for measure, analyte, end in (("cumulative", "tbil", 1), ("baseline", "age", 0), ("baseline", "sex", 0)):
        key = f"population=treated&measure={measure}&group1=C&group2=D&analyte={analyte}&week_from=0&week_to={end}"
        pages += [f"{reverse(f'analytics:{route}')}?{key}" for route in ("rows", "cell_history")]
    if subject:
        trend = reverse("analytics:trend", args=[subject])
        pages += [
            trend,
            f"{trend}?log=1&relative=1&whole=1",
            reverse("analytics:value", args=[subject, 0, "meld_3_0"]),
        ]
    return pages


ALWAYS = ("nobody", "one in each group")
"""Cases that go their own way through the code; the others differ from them in their numbers."""


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=() if case in ALWAYS else pytest.mark.exhaustive) for case in CASES],
)
def test_every_page_says_it_in_words(
    case: str, sites: dict[str, Any], statistician: User, signed_in: Callable[[User], Client]
) -> None:
    client = signed_in(statistician)
    subject = a_study(sites, case)

    stored = {str(cell): from_json(cell.result).p_value for cell in Cell.objects.all()}
    tested = {name: p for name, p in stored.items() if p is not None}
    assert not {name: p for name, p in tested.items() if p < 0.05}
    if case in ("nobody", "all values equal", "all missing"):
        assert not tested, "nothing here can be tested"

    for address in addresses(subject):
        answer = client.get(address)
        assert answer.status_code == 200, address
        text = answer.content.decode()
        if "csv" not in answer.headers["Content-Type"]:
            words = Words()
            words.feed(text)
            text = " ".join(words.said)
        found = NEVER.search(text)
        assert not found, (address, text[max(0, found.start() - 60) : found.end() + 60])
        assert "p < 0.001" not in text.lower(), address

    for name, form, start in (("table3", "docx", b"PK"), ("figure3", "svg", b"<?xml")):
        made = client.get(reverse("analytics:paper_file", args=[name, form])).content
        assert made.startswith(start)
        if form == "docx":
            with zipfile.ZipFile(io.BytesIO(made)) as packed:
                made = re.sub(rb"<[^>]+>", b" ", packed.read("word/document.xml"))
        assert not NEVER.search(made.decode()), name
