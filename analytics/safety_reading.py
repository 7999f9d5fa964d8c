"""Reads what the safety page is made of; worked out once per revision."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from django.db.models import Min

from analytics.reports import Made, report
from analytics.safety import Event, LabGrade, Peak
from infusions.models import Infusion
from patients import ctcae, grading
from patients.models import AdverseEvent, Outcome, Patient
from patients.serious import Infused, since_last_infusion
from trial import protocol
from trial.models import User

PEAKS = ("alt", "tbil")
CHUNK = 1000
"""Subjects whose results are graded at a time: they are objects."""
RATIO_PLACES = Decimal("0.001")


class Values(NamedTuple):
    """Rows of worst grades and of peaks."""

    grades: list[list[Any]]
    peaks: list[list[Any]]


def stored() -> Made:
    """Return the numbers of the safety page as of the newest revision."""
    return report("safety", "", body)


def body() -> dict[str, Any]:
    """Return events, worst grades and peaks of every treated subject as JSON holds them."""
    infused: dict[int, list[Infused]] = defaultdict(list)
    given = Infusion.objects.filter(voided_at__isnull=True).order_by("patient_id", "given_on")
    for patient, number, day, at in given.values_list("patient_id", "number", "given_on", "started_at"):
        infused[patient].append(Infused(number, day, at))
    treated = list(
        Patient.objects.filter(merged_into__isnull=True, pk__in=list(infused))
        .select_related("site")
        .order_by("subject_id")
    )
    groups = {who.pk: protocol.group_of(who.diagnosis, len(infused[who.pk])) for who in treated}
    sizes = dict.fromkeys(protocol.GROUP_CODES, 0)
    for group in groups.values():
        sizes[group] += 1
    ends = _ends()
    parts = [_values(treated[at : at + CHUNK], groups, ends) for at in range(0, len(treated), CHUNK)]
    return {
        "sizes": sizes,
        "events": _events(groups, infused),
        "grades": [row for part in parts for row in part.grades],
        "peaks": [row for part in parts for row in part.peaks],
    }


def _events(groups: dict[int, str], infused: dict[int, list[Infused]]) -> list[list[Any]]:
    rows = []
    for event in AdverseEvent.objects.filter(voided_at__isnull=True).select_related("patient"):
        if event.patient_id not in groups:
            continue
        since = since_last_infusion(event.onset_on, event.onset_at, infused[event.patient_id])
        rows.append(
            [
                event.pk,
                event.patient_id,
                event.patient.subject_id,
                groups[event.patient_id],
                event.term,
                event.grade,
                bool(event.serious),
                event.relation,
                None if since.number is None else since.days,
                since.number,
            ]
        )
    return rows


def _ends() -> dict[int, date]:
    """Return the day from which values of a subject do not count."""
    ends = Outcome.objects.valid().filter(kind__in=[kind.value for kind in protocol.ENDS_OBSERVATION])
    return dict(ends.order_by().values_list("patient_id").annotate(day=Min("happened_on")))


def _values(patients: Sequence[Patient], groups: dict[int, str], ends: dict[int, date]) -> Values:
    """Return for each subject and term the grade of the baseline and the worst after it, by both rules.

    And the highest ALT and TBIL after the first infusion over the baseline, which is
    the same value that the grades were held against.
    """
    codes = {who.pk: who.subject_id for who in patients}
    worst: dict[tuple[int, str], list[int | None]] = {}
    ratios: dict[int, dict[str, Decimal]] = defaultdict(dict)
    for one in grading.every_grade(patients):
        result, day = one.result, one.result.visit.visited_on
        if result.value is None or (day is not None and day >= ends.get(result.patient_id, date.max)):
            continue
        alone = ctcae.propose(
            result.analyte, result.value, one.reference.limits, comparator=result.comparator
        )
        found = worst.setdefault((result.patient_id, one.term), [one.baseline_grade, None, None])
        found[1] = _higher(found[1], one.grade.grade)
        found[2] = _higher(found[2], alone.grade if alone else None)
        if result.analyte in PEAKS and one.baseline is not None and one.baseline.value:
            ratio = (result.value / one.baseline.value).quantize(RATIO_PLACES)
            known = ratios[result.patient_id]
            known[result.analyte] = max(ratio, known.get(result.analyte, ratio))
    grades = [
        [patient, codes[patient], groups[patient], term, *found]
        for (patient, term), found in sorted(worst.items())
    ]
    peaks = [
        [who.pk, who.subject_id, groups[who.pk], *(str(ratios[who.pk][code]) for code in PEAKS)]
        for who in patients
        if len(ratios[who.pk]) == len(PEAKS)
    ]
    return Values(grades, peaks)


def _higher(one: int | None, other: int | None) -> int | None:
    return max((grade for grade in (one, other) if grade is not None), default=None)


def events_of(made: Made) -> list[Event]:
    """Return the stored events."""
    return [Event(*row) for row in made.body["events"]]


def grades_of(made: Made) -> list[LabGrade]:
    """Return the stored worst grades."""
    return [LabGrade(*row) for row in made.body["grades"]]


def peaks_of(made: Made) -> list[Peak]:
    """Return the stored peaks."""
    return [Peak(*row[:3], *(Decimal(text) for text in row[3:])) for row in made.body["peaks"]]


def visible(user: User, patients: Collection[int]) -> set[int]:
    """Return those of these subjects whom a person may see."""
    return set(Patient.objects.visible_to(user).filter(pk__in=patients).values_list("pk", flat=True))
