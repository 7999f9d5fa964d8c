"""Reads what the flow diagram has to know of every subject, in a number of queries that does not grow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from analytics import flow
from analytics.flow import FlowSubject
from analytics.reports import Made, report
from infusions.models import Infusion
from patients.models import Outcome, Patient, Screening, ScreeningAnswer
from patients.worklist import records
from trial import protocol
from trial.models import User
from trial.protocol import Answer, OutcomeKind

CHUNK = 2000
"""Subjects that are read at a time; their visits are objects, which a large study has many of."""


def subjects() -> Iterable[FlowSubject]:
    """Yield everybody who was ever registered, under the code that counts."""
    verdicts, against = _screenings()
    outcomes: dict[int, list[tuple[OutcomeKind, date]]] = defaultdict(list)
    for patient, kind, day in Outcome.objects.valid().values_list("patient_id", "kind", "happened_on"):
        outcomes[patient].append((OutcomeKind(kind), day))
    everybody = list(Patient.objects.filter(merged_into__isnull=True).select_related("site"))
    for start in range(0, len(everybody), CHUNK):
        for record in records(everybody[start : start + CHUNK]):
            who = record.patient
            ends = outcomes.get(who.pk, ())
            treated = bool(record.facts.given)
            yield FlowSubject(
                patient=who.pk,
                subject_id=who.subject_id,
                diagnosis=who.diagnosis,
                status=who.status,
                verdict=verdicts.get(who.pk, ""),
                against=against.get(who.pk, ()),
                given=len(record.facts.given),
                ended_by=flow.ended_by(ends),
                weeks=flow.standing(record.facts, ends, record.today) if treated else {},
            )


def _screenings() -> tuple[Mapping[int, str], Mapping[int, tuple[str, ...]]]:
    """Return the verdict of everybody's newest screening, and the criteria that speak against them."""
    newest = (
        Screening.objects.filter(voided_at__isnull=True)
        .order_by("patient_id", "-screened_on", "-id")
        .distinct("patient_id")
    )
    verdicts, owner = {}, {}
    for pk, patient, verdict in newest.values_list("pk", "patient_id", "verdict"):
        verdicts[patient], owner[pk] = verdict, patient
    failed: dict[int, set[str]] = defaultdict(set)
    answers = ScreeningAnswer.objects.exclude(answer=Answer.UNKNOWN.value).order_by()
    for screening, criterion, answer in answers.values_list("screening_id", "criterion", "answer"):
        if screening in owner and Answer(answer) is not protocol.CRITERION_AT[criterion].passes:
            failed[owner[screening]].add(criterion)
    order = list(protocol.CRITERION_AT)
    return verdicts, {who: tuple(sorted(codes, key=order.index)) for who, codes in failed.items()}


def body() -> dict[str, Any]:
    """Return the flow as JSON holds it: subjects by box, and the problems."""
    made = flow.flow(subjects())
    return {
        "boxes": {box.code: list(box.patients) for box in made.boxes if box.patients},
        "problems": [
            {"words": one.words, "patient": one.patient, "subject": one.subject_id, "boxes": list(one.boxes)}
            for one in made.problems
        ],
        "unscreened": _without_screening(),
    }


def _without_screening() -> int:
    return Patient.objects.filter(
        merged_into__isnull=True, status=Patient.Status.ENROLLED, screenings__isnull=True
    ).count()


def stored(today: date) -> Made:
    """Return the flow as of the newest revision and of a day, worked out once."""
    return report("flow", today.isoformat(), body)


def flow_of(made: Made) -> flow.Flow:
    """Return a stored flow with its boxes."""
    held: Mapping[str, list[int]] = made.body["boxes"]
    boxes = tuple(
        flow.Box(
            box.code, box.words, box.part, box.parent, box.named, box.week, box.group,
            tuple(held.get(box.code, ())),
        )
        for box in flow.empty_boxes()
    )  # fmt: skip
    problems = tuple(
        flow.Problem(one["words"], one["patient"], one["subject"], tuple(one["boxes"]))
        for one in made.body["problems"]
    )
    return flow.Flow(boxes, problems)


def visible(user: User, box: flow.Box) -> list[Patient]:
    """Return those in a box whom a person may see, with what stands beside them in the list."""
    return list(
        Patient.objects.visible_to(user)
        .filter(pk__in=box.patients)
        .select_related("site")
        .order_by("subject_id")
    )


def infusions_of(patients: Iterable[Patient]) -> Mapping[int, int]:
    """Return how many valid infusions each of these subjects had."""
    counts: dict[int, int] = defaultdict(int)
    ids = [patient.pk for patient in patients]
    for patient in Infusion.objects.filter(patient__in=ids, voided_at__isnull=True).values_list(
        "patient_id", flat=True
    ):
        counts[patient] += 1
    return counts
