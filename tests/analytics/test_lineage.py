"""From a p-value to the typed text, and from a correction to what it moved."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.urls import reverse

from analytics import cell_history, contrasts, frames, moves, refresh, selectors
from analytics.cells import CellKey, all_keys
from patients.models import LabResult, Patient
from tests.analytics.test_pages import a_cohort
from trial import audit, protocol
from trial.models import Revision, User

pytestmark = pytest.mark.django_db
REASON = protocol.CHANGE_REASONS[0].label
KEY = CellKey("treated", "interval", "C", "D", "tbil", 0, 1)


@pytest.fixture(autouse=True)
def _forget() -> None:
    refresh.forget()


@pytest.fixture
def cohort(sites: dict[str, Any]) -> list[Patient]:
    subjects = a_cohort(sites)
    audit.settle()
    refresh.refresh()
    return subjects


def correct(patient: Patient, week: int, value: str, *, by: User, code: str = "tbil") -> None:
    with audit.revision(by=by, reason=REASON, source="visit entry"):
        LabResult.objects.filter(patient=patient, visit__week=week, analyte=code).update(
            value=Decimal(value), typed_text=value
        )
    audit.settle()


def full() -> dict[CellKey, Any]:
    """Compute the comparisons from the data as they stand, adjusted, without looking at what is stored."""
    keys = [key for key in all_keys() if key.population == "treated" and key.between]
    return contrasts.adjust(contrasts.compute(frames.study(), keys))


def test_moved_lines_are_the_difference_of_two_full_recomputations(
    cohort: list[Patient], coordinator: User, statistician: User
) -> None:
    chance, crossings = Random(20200706), 0
    before = full()
    for step in range(6):
        patient, week = chance.choice(cohort), chance.choice((0, 4))
        value = chance.choice(("17", "90", "260", "400")) if step else "400"
        correct(
            patient,
            week,
            value,
            by=coordinator,
            code=chance.choice(("tbil", "alt", "inr")[: 2 if step else 1]),
        )
        run = refresh.refresh()
        assert run is not None
        after = full()
        expected = {}
        for key, now in after.items():
            was = before[key]
            own = (now.statistic, now.p_value, now.estimate, now.ci_low, now.ci_high) != (
                was.statistic, was.p_value, was.estimate, was.ci_low, was.ci_high,
            )  # fmt: skip
            if own or cell_history.crossed(was.p_holm, now.p_holm):
                expected[key] = (was.p_value, now.p_value, was.p_holm, now.p_holm, was.estimate, now.estimate)
        lines = moves.lines([run.pk], moves.Wanted())[run.pk] if expected else []
        found = {
            line.key: (
                line.cell.p_before, line.cell.p_after, line.holm_before, line.holm_after,
                line.cell.estimate_before, line.cell.estimate_after,
            )
            for line in lines
        }  # fmt: skip
        assert found == expected
        crossings += sum(line.cell.crossed or line.crossed_adjusted for line in lines)
        if expected:
            shown = moves.feed(statistician, moves.Wanted()).moves[0]
            assert shown.cause.run == run
            assert [each.revision.number for each in shown.cause.revisions] == [run.revision]
            assert shown.cause.revisions[0].subject == patient.subject_id
            only = moves.lines([run.pk], moves.Wanted(only_crossings=True)).get(run.pk, [])
            assert all(line.cell.crossed or line.crossed_adjusted for line in only)
        before = after
    assert crossings, "the corrections are too tame to prove anything"


def test_three_clicks_from_a_p_value_to_who_typed_it_and_why(
    cohort: list[Patient],
    coordinator: User,
    statistician: User,
    hepatologist_elsewhere: User,
    signed_in: Callable[[User], Client],
) -> None:
    patient = cohort[0]
    correct(patient, 4, "91.5", by=coordinator)
    refresh.refresh()
    browser = signed_in(statistician)
    key = CellKey("treated", "cumulative", "C", "D", "tbil", 0, 4)
    contrast = browser.get(reverse("analytics:contrast", args=["C-D", "tbil", "cumulative"])).content.decode()
    rows = f"{reverse('analytics:rows')}?{'&amp;'.join(f'{n}={v}' for n, v in key._asdict().items())}"
    assert rows in contrast
    value = reverse("analytics:value", args=[patient.subject_id, 4, "tbil"])
    assert value in browser.get(rows.replace("&amp;", "&")).content.decode()
    page = browser.get(value, follow=True)
    versions = page.context["draws"][0].versions
    newest = versions[0]
    assert (newest.value, newest.typed, newest.who, newest.why) == (
        "91.5",
        "91.5 \N{MICRO SIGN}mol/L",
        coordinator,
        REASON,
    )
    assert len(versions) == 2
    number = Revision.objects.latest("pk").number
    assert reverse("trial:revision", args=[number]) in page.content.decode()
    assert browser.get(reverse("trial:revision", args=[number])).status_code == 200

    score = browser.get(reverse("analytics:value", args=[patient.subject_id, 4, protocol.DEFAULT_SCORE]))
    assert reverse("patients:value_history", args=[patient.subject_id, 4, "inr"]) in score.content.decode()

    empty = browser.get(reverse("patients:value_history", args=[patient.subject_id, 24, "tbil"]))
    assert empty.status_code == 200
    assert not empty.context["draws"]
    for wrong in (
        (patient.subject_id, 5, "tbil"),
        (patient.subject_id, 4, "nonsense"),
        ("GE-999", 4, "tbil"),
    ):
        assert browser.get(reverse("patients:value_history", args=wrong)).status_code == 404
    elsewhere = signed_in(hepatologist_elsewhere)
    assert (
        elsewhere.get(reverse("patients:value_history", args=[patient.subject_id, 4, "tbil"])).status_code
        == 404
    )


def test_a_comparison_tells_what_it_was_and_what_moved_it(
    cohort: list[Patient], coordinator: User, statistician: User, signed_in: Callable[[User], Client]
) -> None:
    key = CellKey("treated", "cumulative", "C", "D", "tbil", 0, 4)
    before = dict(selectors.current_cells(**key._asdict()))[key]
    for patient in cohort[:3]:
        correct(patient, 4, "400", by=coordinator)
    refresh.refresh()
    after = dict(selectors.current_cells(**key._asdict()))[key]
    found = cell_history.of(key, statistician)
    assert (found.steps[0].p_value, found.steps[0].p_holm) == (after.p_value, after.p_holm)
    assert (found.steps[1].p_value, found.steps[1].p_holm) == (before.p_value, before.p_holm)
    assert found.steps[0].crossed == cell_history.crossed(before.p_value, after.p_value)
    assert found.steps[0].cause is not None
    assert {each.revision.actor for each in found.steps[0].cause.revisions} == {coordinator}
    assert found.picture is not None
    browser = signed_in(statistician)
    page = browser.get(f"{reverse('analytics:cell_history')}?{urlencode(key._asdict())}")
    assert page.status_code == 200
    assert REASON in page.content.decode()
    feed = browser.get(reverse("analytics:moves"), {"contrast": "C-D", "analyte": "tbil"})
    assert cohort[2].subject_id in feed.content.decode()
    number = Revision.objects.latest("pk").number
    assert browser.get(reverse("analytics:moves"), {"at": number}).context["feed"].moves[0].lines
    assert not browser.get(reverse("analytics:moves"), {"before": "1"}).context["feed"].moves


@pytest.mark.parametrize(
    "query",
    [
        "population=treated&measure=interval&group1=C&group2=D&analyte=tbil&week_from=0&week_to=99",
        "population=x",
        "week_from=\u0661",
        "population=treated&measure=interval&group1=C&group2=C&analyte=tbil&week_from=0&week_to=1",
    ],
)
def test_a_comparison_that_does_not_exist_has_no_history(
    query: str, statistician: User, signed_in: Callable[[User], Client]
) -> None:
    browser = signed_in(statistician)
    assert browser.get(f"{reverse('analytics:cell_history')}?{query}").status_code == 404
    known = browser.get(f"{reverse('analytics:cell_history')}?{urlencode(KEY._asdict())}")
    assert known.status_code == 200
    assert "Not computed yet" in known.content.decode()
    assert browser.get(reverse("analytics:moves")).status_code == 200
    assert browser.get(reverse("analytics:moves"), {"contrast": "X"}).status_code == 404
    assert browser.get(reverse("analytics:moves"), {"at": "9" * 30}).status_code == 200
    refused = browser.get(reverse("analytics:moves"), {"at": "9" * 30, "before": "x"})
    assert refused.status_code == 400
    assert "“x” cannot be read as “before”" in refused.content.decode()
