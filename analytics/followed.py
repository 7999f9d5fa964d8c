"""What the honest side of a comparison needs beside its values: courses, endings, and draws after plasma."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime

import numpy as np
from django.db.models import Min

from analytics.landmark import FollowedSubject
from analytics.study_arrays import Bools, StudyArrays
from infusions.models import Infusion
from patients import selectors as patient_selectors
from patients.models import LabResult, Outcome, Patient, Treatment, Visit
from patients.plasma import Given, after_plasma
from trial import protocol, vocabulary
from trial.protocol import Diagnosis, OutcomeKind


def everybody() -> dict[str, FollowedSubject]:
    """Return everybody who had an infusion, by code, in three queries."""
    given: dict[int, list[date]] = defaultdict(list)
    infusions = Infusion.objects.filter(voided_at__isnull=True).order_by("given_on")
    for patient, day in infusions.values_list("patient_id", "given_on"):
        given[patient].append(day)
    ended: dict[int, list[tuple[OutcomeKind, date]]] = defaultdict(list)
    for patient, kind, day in Outcome.objects.valid().values_list("patient_id", "kind", "happened_on"):
        ended[patient].append((OutcomeKind(kind), day))
    people = Patient.objects.filter(pk__in=list(given)).values_list("pk", "subject_id", "diagnosis")
    return {
        code: FollowedSubject(code, Diagnosis(diagnosis), tuple(given[pk]), tuple(ended[pk]))
        for pk, code, diagnosis in people
    }


def after_plasma_mask(study: StudyArrays) -> Bools:
    """Say which draws were, or may have been, soon after plasma.

    Returns
    -------
    NDArray[np.bool_]
        By subject and week, in the order of ``study``. What depends on an hour that nobody
        wrote down counts as after plasma: whoever leaves it out wants to be sure.
    """
    mask = np.zeros((len(study.subject_ids), len(protocol.WEEKS)), np.bool_)
    plasma: dict[int, list[Given]] = defaultdict(list)
    treatments = Treatment.objects.valid().filter(kind__in=vocabulary.PLASMA).select_related("patient__site")
    for row in treatments:
        plasma[row.patient_id].append(patient_selectors.plasma_given(row, row.patient.site))
    if not plasma:
        return mask
    visits = list(
        Visit.objects.valid()
        .filter(patient_id__in=list(plasma), week__isnull=False)
        .select_related("patient__site")
    )
    hours: dict[int, datetime] = dict(
        LabResult.objects.filter(visit__in=visits, sampled_at__isnull=False)
        .order_by()
        .values("visit_id")
        .annotate(first=Min("sampled_at"))
        .values_list("visit_id", "first")
    )
    place_of = {code: place for place, code in enumerate(study.subject_ids)}
    for visit in visits:
        place = place_of.get(visit.patient.subject_id)
        drawn = patient_selectors.drawn_at(visit.patient.site, visit, hours.get(visit.pk))
        if place is not None and after_plasma(drawn, plasma[visit.patient_id]) is not None:
            mask[place, protocol.WEEKS.index(visit.week)] = True
    return mask
