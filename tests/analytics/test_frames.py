"""The arrays say what the rows say: checked against a slow reading of the same rows, one by one."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from django.db import connection

from analytics import frames, landmark, refresh
from analytics.samples import MISSING
from analytics.study_arrays import Ended, StudyArrays
from infusions.models import Infusion
from patients.models import LabResult, Outcome, Patient, Screening, Visit
from tests import factories
from tests.analytics.operations import Ward
from trial import audit, protocol
from trial.models import Site
from trial.protocol import OutcomeKind

pytestmark = pytest.mark.django_db

DAY = date(2024, 1, 8)
_MILLION = 10**6


def write(**_said: Any) -> Any:
    return audit.revision(by=audit.service_account(), reason="for a test")


def subject(**fields: Any) -> Patient:
    given = {
        "subject_id": f"T-{Patient.objects.count():03d}",
        "site": factories.a_site(),
        "sex": "F",
        "birth_date": date(1980, 2, 29),
        "diagnosis": "cirrhosis",
        "recruited_on": DAY,
    }
    with write():
        return Patient.objects.create(**(given | fields))


def visit(
    patient: Patient, week: int | None, on: date | None = None, *, at: str = "", **values: Any
) -> Visit:
    with write():
        made = Visit.objects.create(patient=patient, week=week, visited_on=on)
        for code, value in values.items():
            LabResult.objects.create(
                patient=patient, visit=made, analyte=code, value=Decimal(str(value)), typed_text=str(value),
                typed_unit=protocol.ANALYTES[code].unit, sampled_at=at or None,
            )  # fmt: skip
    return made


def infuse(patient: Patient, *days: date) -> None:
    with write():
        for number, day in enumerate(days, start=1):
            Infusion.objects.create(patient=patient, number=number, given_on=day)


def end(patient: Patient, kind: OutcomeKind, on: date) -> None:
    with write():
        Outcome.objects.create(patient=patient, kind=kind, happened_on=on)


def alt(study: StudyArrays, row: int = 0) -> list[int | None]:
    return [None if v == MISSING else v // _MILLION for v in study.values["alt"][row].tolist()]


def test_an_empty_study_is_empty_arrays() -> None:
    study = frames.study()

    assert study.subject_ids == ()
    assert study.values["tbil"].shape == (0, len(protocol.WEEKS))


def test_values_are_exact_to_the_last_place() -> None:
    patient = subject()
    visit(patient, 0, DAY, tbil="140.220001", hbv_dna="999999999999.999999", inr="0.1e1")

    study = frames.study()

    assert study.values["tbil"][0, 0] == 140_220_001
    assert study.values["hbv_dna"][0, 0] == 999_999_999_999_999_999
    assert study.values["inr"][0, 0] == 1_000_000
    assert study.values["alt"][0, 0] == MISSING


def test_subjects_stand_in_the_order_of_their_codes() -> None:
    for code in ("Z-1", "A-2", "A-10", "B.1"):
        visit(subject(subject_id=code), 0, DAY, alt=len(code))

    study = frames.study()

    assert study.subject_ids == ("A-10", "A-2", "B.1", "Z-1")
    assert [alt(study, row)[0] for row in range(4)] == [4, 3, 3, 3]


def test_voided_visits_and_draws_outside_the_schedule_are_left_out() -> None:
    patient = subject()
    gone = visit(patient, 4, DAY, alt=40)
    visit(patient, None, DAY, alt=41)
    with write():
        Visit.objects.filter(pk=gone.pk).update(voided_at=datetime(2024, 5, 1, tzinfo=UTC))
    visit(patient, 4, DAY + timedelta(days=40), alt=42)

    assert alt(frames.study()) == [None, None, 42, None, None]


def test_a_late_visit_keeps_its_week() -> None:
    patient = subject()
    infuse(patient, DAY)
    visit(patient, 1, DAY + timedelta(days=170), alt=40)

    assert alt(frames.study()) == [None, 40, None, None, None]


@pytest.mark.parametrize(
    ("diagnosis", "given", "voided", "group"),
    [
        pytest.param("liver_failure", 4, 0, "B", id="failure_four_is_still_standard"),
        pytest.param("liver_failure", 5, 0, "A", id="failure_five_is_prolonged"),
        pytest.param("cirrhosis", 5, 1, "D", id="a_voided_infusion_does_not_count"),
        pytest.param("cirrhosis", 8, 2, "C", id="six_left"),
    ],
)
def test_groups_come_from_valid_infusions(diagnosis: str, given: int, voided: int, group: str) -> None:
    patient = subject(diagnosis=diagnosis)
    infuse(patient, *(DAY + timedelta(days=7 * k) for k in range(given)))
    with write():
        last = list(Infusion.objects.order_by("-number").values_list("pk", flat=True)[:voided])
        Infusion.objects.filter(pk__in=last).update(voided_at=datetime(2024, 5, 1, tzinfo=UTC))

    study = frames.study()

    assert study.valid_infusions.tolist() == [given - voided]
    assert study.groups("treated").tolist() == [protocol.GROUP_CODES.index(group)]


def test_the_newest_valid_screening_decides_and_only_the_treated_are_eligible() -> None:
    patient, untreated = subject(), subject()
    infuse(patient, DAY)

    def screen(who: Patient, verdict: str, on: date) -> Screening:
        with write():
            return Screening.objects.create(patient=who, screened_on=on, verdict=verdict)

    screen(untreated, "eligible", DAY)
    screen(patient, "not_eligible", DAY)
    assert frames.study().eligible.tolist() == [False, False]
    newest = screen(patient, "eligible", DAY + timedelta(days=1))
    assert frames.study().eligible.tolist() == [True, False]
    screen(patient, "pending", DAY - timedelta(days=9))
    assert frames.study().eligible.tolist() == [True, False]
    with write():
        Screening.objects.filter(pk=newest.pk).update(voided_at=datetime(2024, 5, 1, tzinfo=UTC))
    assert frames.study().eligible.tolist() == [False, False]


@pytest.mark.parametrize(
    ("fields", "age"),
    [
        ({"birth_date": None, "age_at_recruitment": Decimal("58.765229")}, 58_765_229),
        ({"birth_date": date(1980, 2, 29), "recruited_on": date(2024, 2, 28)}, 43 * _MILLION),
        ({"birth_date": date(1980, 2, 29), "recruited_on": date(2024, 2, 29)}, 44 * _MILLION),
        ({"birth_date": date(1980, 2, 29), "recruited_on": date(2023, 2, 28)}, 42 * _MILLION),
        ({"birth_date": date(1980, 2, 29), "recruited_on": None}, MISSING),
        ({"birth_date": date(1980, 1, 1), "age_at_recruitment": Decimal(30)}, 30 * _MILLION),
    ],
)
def test_age_at_baseline(fields: dict[str, Any], age: int) -> None:
    patient = subject(**fields)

    assert frames.study().age.tolist() == [age]
    if age != MISSING and patient.age_at_recruitment is None:
        assert patient.age_on(patient.recruited_on) * _MILLION == age


@pytest.mark.parametrize(
    ("kind", "code"), [(OutcomeKind.DEATH, Ended.DEAD), (OutcomeKind.TRANSPLANT, Ended.TRANSPLANTED)]
)
def test_nothing_counts_from_the_day_of_death_or_transplant(kind: OutcomeKind, code: Ended) -> None:
    patient = subject()
    infuse(patient, DAY)
    for week, days in ((0, 0), (1, 7), (4, 30), (12, 80)):
        visit(patient, week, DAY + timedelta(days=days), alt=week + 1)
    end(patient, kind, DAY + timedelta(days=30))

    study = frames.study()

    assert alt(study) == [1, 2, None, None, None]
    assert study.ended[0].tolist() == [0, 0, code, code, code]


@pytest.mark.parametrize("kind", [OutcomeKind.WITHDRAWAL, OutcomeKind.LOST, OutcomeKind.COMPLETED])
def test_other_outcomes_end_nothing(kind: OutcomeKind) -> None:
    patient = subject()
    infuse(patient, DAY)
    visit(patient, 12, DAY + timedelta(days=84), alt=40)
    end(patient, kind, DAY + timedelta(days=30))

    assert alt(frames.study())[3] == 40


def test_what_came_first_is_the_reason() -> None:
    patient = subject()
    infuse(patient, DAY)
    end(patient, OutcomeKind.TRANSPLANT, DAY + timedelta(days=10))
    end(patient, OutcomeKind.DEATH, DAY + timedelta(days=50))

    assert frames.study().ended[0].tolist() == [0, 0, 2, 2, 2]


def test_a_voided_death_ends_nothing() -> None:
    patient = subject()
    infuse(patient, DAY)
    end(patient, OutcomeKind.DEATH, DAY)
    with write():
        Outcome.objects.update(voided_at=datetime(2024, 5, 1, tzinfo=UTC))

    assert not frames.study().ended.any()


def test_an_undated_visit_stands_at_the_day_it_was_due() -> None:
    patient = subject()
    infuse(patient, DAY)
    for week in protocol.WEEKS:
        visit(patient, week, None, alt=week + 1)
    end(patient, OutcomeKind.DEATH, DAY + timedelta(days=28))

    assert alt(frames.study()) == [1, 2, None, None, None]


def test_without_an_infusion_weeks_count_from_the_planned_one() -> None:
    patient = subject()  # recruited on DAY, so the first infusion is due seven days later
    end(patient, OutcomeKind.DEATH, DAY + timedelta(days=7 + 28))

    assert frames.study().ended[0].tolist() == [0, 0, 1, 1, 1]


def test_without_any_start_an_undated_visit_counts() -> None:
    patient = subject(recruited_on=None)
    visit(patient, 4, None, alt=40)
    end(patient, OutcomeKind.DEATH, DAY)

    assert alt(frames.study())[2] == 40


def test_a_draw_is_a_day_at_the_site() -> None:
    """Half an hour before midnight in Guangzhou the day of death has not begun; half an hour later it has."""
    patient = subject()
    infuse(patient, DAY)
    death = DAY + timedelta(days=30)
    eve = datetime.combine(death, datetime.min.time(), tzinfo=ZoneInfo("Asia/Shanghai")) - timedelta(
        minutes=30
    )
    visit(patient, 4, death - timedelta(days=1), at=eve.isoformat(), alt=40)
    visit(patient, 1, death - timedelta(days=1), at=(eve + timedelta(hours=1)).isoformat(), alt=41, ast=42)
    end(patient, OutcomeKind.DEATH, death)

    study = frames.study()

    assert alt(study) == [None, None, 40, None, None], "the second draw was on the day of death"
    assert study.ended[0].tolist() == [0, 0, 0, 1, 1]


def test_a_score_of_values_that_do_not_count_does_not_count() -> None:
    patient = subject()
    infuse(patient, DAY)
    death = DAY + timedelta(days=30)
    made = visit(patient, 4, death - timedelta(days=1), tbil=171, inr="1.8", creatinine=80)
    refresh.refresh()
    place = protocol.WEEKS.index(4)
    assert frames.study().values["meld_unos_2002"][0, place] != MISSING
    with write():
        late = datetime.combine(death, datetime.min.time(), tzinfo=UTC)
        LabResult.objects.filter(visit=made, analyte="inr").update(sampled_at=late)
    end(patient, OutcomeKind.DEATH, death)

    study = frames.study()

    assert study.values["tbil"][0, place] != MISSING
    assert study.values["inr"][0, place] == MISSING
    assert study.values["meld_unos_2002"][0, place] == MISSING


def test_values_at_a_limit_are_marked() -> None:
    patient = subject()
    made = visit(patient, 0, DAY, afp=3, alt=40)
    with write():
        LabResult.objects.filter(visit=made, analyte="afp").update(comparator="<")

    study = frames.study()

    assert study.censored["afp"][0].tolist() == [True, False, False, False, False]
    assert not study.censored["alt"].any()


# --- everything at once ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.exhaustive) for seed in (2, 3))]
)
def test_arrays_equal_a_slow_reading_of_the_rows(seed: int) -> None:
    Ward(seed, patients=15).work(250)
    refresh.refresh()

    study = frames.study()

    assert study.subject_ids == tuple(sorted(Patient.objects.values_list("subject_id", flat=True)))
    for row, code in enumerate(study.subject_ids):
        expected = slowly(Patient.objects.get(subject_id=code))
        found = {
            "sex": study.sex[row],
            "diagnosis": study.diagnosis[row],
            "age": int(study.age[row]),
            "given": int(study.valid_infusions[row]),
            "by_landmark": int(study.infusions_by_landmark[row]),
            "eligible": bool(study.eligible[row]),
            "landmark": bool(study.landmark[row]),
            "ended": study.ended[row].tolist(),
            "values": {
                (analyte, week): int(study.values[analyte][row, place])
                for analyte in protocol.MEASURED
                for place, week in enumerate(protocol.WEEKS)
                if study.values[analyte][row, place] != MISSING
            },
            "censored": {
                (analyte, week)
                for analyte in protocol.ANALYTES
                for place, week in enumerate(protocol.WEEKS)
                if study.censored[analyte][row, place]
            },
        }
        assert found == expected, code


def slowly(patient: Patient) -> dict[str, Any]:
    """Read one subject row by row, by the words of the rules."""
    zone = ZoneInfo(Site.objects.get(pk=patient.site_id).time_zone)
    given = sorted(patient.infusions.filter(voided_at=None).values_list("given_on", flat=True))
    outcomes = [(OutcomeKind(o.kind), o.happened_on) for o in patient.outcomes.filter(voided_at=None)]
    ends = sorted(
        (on, 1 if kind is OutcomeKind.DEATH else 2)
        for kind, on in outcomes
        if kind in protocol.ENDS_OBSERVATION
    )
    place = landmark.place(
        landmark.FollowedSubject(
            patient.subject_id, protocol.Diagnosis(patient.diagnosis), tuple(given), tuple(outcomes)
        )
    )
    screening = patient.screenings.filter(voided_at=None).order_by("screened_on", "id").last()
    start = given[0] if given else patient.recruited_on and protocol.infusion_due(1, patient.recruited_on)
    ended, values, censored = [], {}, set()
    for week in protocol.WEEKS:
        seen = patient.visits.filter(voided_at=None, week=week).first()
        day = (seen and seen.visited_on) or (start and protocol.visit_due(week, start))
        over = bool(ends and day and day >= ends[0][0])
        ended.append(ends[0][1] if over else 0)
        if seen is None or over:
            continue
        late = set()
        for result in seen.lab_results.exclude(value=None):
            drawn = result.sampled_at.astimezone(zone).date() if result.sampled_at else day
            if ends and drawn and drawn >= ends[0][0]:
                late.add(result.analyte)
                continue
            values[result.analyte, week] = int(result.value * _MILLION)
            if result.comparator:
                censored.add((result.analyte, week))
        for variant in protocol.SCORES:
            score = seen.scores.filter(variant=variant.code).order_by("run_id").last()
            if score is not None and score.value is not None and not late & set(variant.inputs):
                values[variant.code, week] = int(score.value * 10**10)
    age = MISSING
    if patient.age_at_recruitment is not None:
        age = int(patient.age_at_recruitment * _MILLION)
    elif patient.recruited_on is not None:
        age = patient.age_on(patient.recruited_on) * _MILLION
    return {
        "sex": patient.sex,
        "diagnosis": patient.diagnosis,
        "age": age,
        "given": len(given),
        "by_landmark": place.infusions,
        "eligible": bool(given) and screening is not None and screening.verdict == "eligible",
        "landmark": place.inside,
        "ended": ended,
        "values": values,
        "censored": censored,
    }


def test_reading_some_subjects_is_a_part_of_reading_all() -> None:
    Ward(5, patients=15).work(200)
    refresh.refresh()
    some = set(Patient.objects.values_list("pk", flat=True)[::3])
    with connection.cursor() as cursor:
        everybody, part = frames.read(cursor), frames.read(cursor, some)

    together = everybody.replaced(some, part).arrays()

    everything = everybody.arrays()
    assert together.subject_ids == everything.subject_ids
    assert np.array_equal(together.ended, everything.ended)
    for code in protocol.MEASURED:
        assert np.array_equal(together.values[code], everything.values[code])
