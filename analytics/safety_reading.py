"""Reads what the safety page is made of; worked out once per revision."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from django.db.models import F, Min

from analytics.reports import Made, report
from analytics.safety import Event, LabGrade, Peak
from infusions.models import Infusion
from patients import ctcae, grading
from patients.models import AdverseEvent, LabResult, Outcome, Patient
from patients.serious import Infused, since_last_infusion
from trial import protocol
from trial.models import User

PEAKS = ("alt", "tbil")
CHUNK = 1000
"""Subjects whose results are graded at a time: they are objects."""
RATIO_PLACES = Decimal("0.001")


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
    return {
        "sizes": sizes,
        "events": _events(groups, infused),
        "grades": [
            row for at in range(0, len(treated), CHUNK) for row in _grades(treated[at : at + CHUNK], groups)
        ],
        "peaks": _peaks(treated, groups, infused),
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


def _grades(patients: Sequence[Patient], groups: dict[int, str]) -> list[list[Any]]:
    """Return for each subject and term the grade of the baseline and the worst after it, by both rules."""
    ends = _ends()
    codes = {who.pk: who.subject_id for who in patients}
    worst: dict[tuple[int, str], list[int | None]] = {}
    for one in grading.every_grade(patients):
        result = one.result
        day = result.visit.visited_on
        if result.value is None or (day is not None and day >= ends.get(result.patient_id, date.max)):
            continue
        alone = ctcae.propose(
            result.analyte, result.value, one.reference.limits, comparator=result.comparator
        )
        found = worst.setdefault((result.patient_id, one.term), [one.baseline_grade, None, None])
        found[1] = _higher(found[1], one.grade.grade)
        found[2] = _higher(found[2], alone.grade if alone else None)
    return [
        [patient, codes[patient], groups[patient], term, *grades]
        for (patient, term), grades in sorted(worst.items())
    ]


def _higher(one: int | None, other: int | None) -> int | None:
    return max((grade for grade in (one, other) if grade is not None), default=None)


def _peaks(
    patients: Sequence[Patient], groups: dict[int, str], infused: dict[int, list[Infused]]
) -> list[list[Any]]:
    """Return the highest ALT and TBIL after the first infusion over the last value before it."""
    ends = _ends()
    first = {who.pk: infused[who.pk][0].given_on for who in patients}
    baseline: dict[tuple[int, str], Decimal] = {}
    peak: dict[tuple[int, str], Decimal] = {}
    results = (
        LabResult.objects.filter(
            analyte__in=PEAKS, value__isnull=False, visit__voided_at__isnull=True, patient__in=list(first)
        )
        .annotate(day=F("visit__visited_on"), week=F("visit__week"))
        .order_by("visit__visited_on", "pk")
    )
    for patient, analyte, value, day, week in results.values_list(
        "patient_id", "analyte", "value", "day", "week"
    ):
        if day is None or day >= ends.get(patient, date.max):
            continue
        if day < first[patient] or (day == first[patient] and week == protocol.BASELINE_WEEK):
            baseline[patient, analyte] = value
        else:
            peak[patient, analyte] = max(value, peak.get((patient, analyte), value))
    rows = []
    for who in patients:
        ratios = [
            (peak[who.pk, code] / baseline[who.pk, code]).quantize(RATIO_PLACES)
            for code in PEAKS
            if peak.get((who.pk, code)) is not None and baseline.get((who.pk, code), Decimal(0)) > 0
        ]
        if len(ratios) == len(PEAKS):
            rows.append([who.pk, who.subject_id, groups[who.pk], *(str(ratio) for ratio in ratios)])
    return rows


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
