"""Every field of the study is in the files of an export and read back, or named here with the reason why not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from analytics.datasets import DATASETS
from analytics.imports import KINDS
from infusions.import_vitals import PLACES
from patients.facts import FACTS
from patients.imports.screening_facts import column_of, parts_of
from trial import protocol
from trial.models import Site
from trial.triggers import study_models

FILES = {
    "subjects": "subjects",
    "screening": "screening",
    "infusions": "infusions",
    "visits": "visits",
    "labs_long": "visits",
    "events": "events",
}
"""The files of an export that come back, and as which kind."""

_SUBJECT = "subjects.subject_id"
_CRITERIA = list(protocol.CRITERION_AT)
_FACTS = {
    part: [f"screening.{column_of(fact, part)}" for fact in FACTS if part in parts_of(fact)]
    for part in ("", "typed", "unit", "on", "never", "source")
}

CARRIED: Mapping[str, Mapping[str, list[str]]] = {
    "trial.Site": {"code": ["subjects.site"]},
    "patients.Patient": {
        "subject_id": [_SUBJECT],
        "site": ["subjects.site"],
        "sex": ["subjects.sex"],
        "birth_date": ["subjects.birth_date"],
        "age_at_recruitment": ["subjects.age"],
        "diagnosis": ["subjects.diagnosis"],
        "recruited_on": ["subjects.recruited_on"],
        "planned_course": ["subjects.planned_course"],
        "status": ["subjects.status"],
    },
    "patients.Screening": {
        "patient": ["screening.subject_id"],
        "screened_on": ["screening.screened_on"],
        "protocol_version": ["screening.protocol_version"],
        "rule_set": ["screening.rule_set"],
        "verdict": ["screening.verdict"],
    },
    "patients.ScreeningAnswer": {
        "patient": ["screening.subject_id"],
        "screening": ["screening.screened_on"],
        "criterion": [f"screening.{code}" for code in _CRITERIA],
        "answer": [f"screening.{code}" for code in _CRITERIA],
        "evidence": [f"screening.{code}_evidence" for code in _CRITERIA],
        "evidence_on": [f"screening.{code}_on" for code in _CRITERIA],
    },
    "patients.ScreeningFact": {
        "patient": ["screening.subject_id"],
        "screening": ["screening.screened_on"],
        "fact": [name for part in ("", "on") for name in _FACTS[part]],
        "value": [*_FACTS[""], *_FACTS["never"]],
        "typed_text": _FACTS["typed"],
        "typed_unit": _FACTS["unit"],
        "happened_on": _FACTS["on"],
        "source": _FACTS["source"],
    },
    "patients.Visit": {
        "patient": ["visits.subject_id"],
        "week": ["visits.week", "visits.unscheduled"],
        "visited_on": ["visits.visit_date"],
        "not_done": ["visits.not_done"],
        "ascites": ["visits.ascites"],
        "encephalopathy": ["visits.encephalopathy"],
        "note": ["visits.note"],
    },
    "patients.LabResult": {
        "patient": ["labs_long.subject_id"],
        "visit": ["labs_long.week", "labs_long.visit_date"],
        "analyte": ["labs_long.analyte"],
        "value": ["labs_long.value"],
        "comparator": ["labs_long.comparator"],
        "typed_text": ["labs_long.typed"],
        "typed_unit": ["labs_long.typed_unit"],
        "missing_reason": ["labs_long.missing"],
        "sampled_at": ["labs_long.drawn_at"],
        "laboratory": ["labs_long.laboratory"],
    },
    "patients.Laboratory": {"code": ["labs_long.laboratory"]},
    "patients.AdverseEvent": {
        "patient": ["events.subject_id"],
        "term": ["events.term"],
        "grade": ["events.grade"],
        "ctcae_version": ["events.ctcae_version"],
        "onset_on": ["events.date"],
        "onset_at": ["events.time"],
        "ended_on": ["events.end_date"],
        "serious": ["events.serious"],
        "aware_at": ["events.known_at"],
        "reported_at": ["events.reported_at"],
        "relation": ["events.relation"],
        "action": ["events.action"],
        "result": ["events.result"],
        "lab_result": ["events.lab_analyte", "events.lab_week", "events.lab_date"],
        "note": ["events.note"],
    },
    "patients.Treatment": {
        "patient": ["events.subject_id"],
        "kind": ["events.event"],
        "agent": ["events.term"],
        "dose": ["events.dose"],
        "started_on": ["events.date"],
        "started_at": ["events.time"],
        "ended_on": ["events.end_date"],
        "ended_at": ["events.end_time"],
        "note": ["events.note"],
    },
    "patients.Outcome": {
        "patient": ["events.subject_id"],
        "kind": ["events.event"],
        "happened_on": ["events.date"],
        "note": ["events.note"],
    },
    "infusions.CellLot": {"code": ["infusions.lot"]},
    "infusions.Infusion": {
        "patient": ["infusions.subject_id"],
        "number": ["infusions.number"],
        "given_on": ["infusions.given_on"],
        "started_at": ["infusions.started_at"],
        "stopped_at": ["infusions.stopped_at"],
        "weight_kg": ["infusions.weight_kg"],
        "cells": ["infusions.cells"],
        "volume_ml": ["infusions.volume_ml"],
        "lot": ["infusions.lot"],
        "deviation": ["infusions.deviation"],
        "deviation_note": ["infusions.deviation_note"],
        "reaction": ["infusions.reaction"],
        "reaction_grade": ["infusions.reaction_grade"],
        "vein": ["infusions.vein"],
        "bag": ["infusions.bag"],
        "interruption": ["infusions.interruption"],
        "observed_until": ["infusions.observed_until"],
        "checked_by": ["infusions.checked_by"],
    },
    "infusions.VitalSigns": {
        "patient": ["infusions.subject_id"],
        "infusion": ["infusions.number"],
        "moment": [f"infusions.{column}" for column, _moment, _sign in PLACES],
        **{
            sign: [f"infusions.{column}" for column, _moment, its in PLACES if its == sign]
            for sign in ("temperature_c", "pulse", "systolic", "diastolic", "respiration", "saturation")
        },
    },
}
"""Model and field, and the columns of the files in which it leaves and comes back."""

_OF_THE_ROW = {
    "id": "a number of this database; files name a record by its subject, day and number",
    "version": "counts the saves of this database; the trail (dataset audit) has them",
    "voided_at": "what was struck out is in the trail and in no file of the study",
}
_LOCK = "a lock is an act of a person here; it is put on again when the data have been looked at"

KEPT_BACK: Mapping[str, str] = {
    "patients.Patient.locked_at": _LOCK,
    "patients.Visit.locked_at": _LOCK,
    "patients.Patient.merged_into": "a code that was given up has no rows of its own; the trail knows it",
    "patients.PatientIdentity": "who a subject is leaves in no file",
    "patients.IdentityView": "who looked at an identity, and when, is a record of this database",
    "patients.ConfirmedGrade": "a grade is confirmed by a person for a version of a result, and that person stays here",
    "patients.DataQuery": "a conversation of accounts; what its checks doubt is asked again by an import",
    "patients.QueryMessage": "a conversation of accounts",
    "patients.Signature": "a signature holds for the rows of this database and cannot be imported",
    "patients.Verification": "a comparison with the source is an act of a monitor at this database",
    "patients.ImportMapping": "how files are read, not what a study holds",
    "patients.Laboratory.name": "a laboratory is set up on its page; files know it by its code",
    "patients.Laboratory.site": "a laboratory is set up on its page",
    "patients.Laboratory.is_active": "a laboratory is set up on its page",
    "patients.LaboratoryUnit": "a laboratory is set up on its page; every result has the unit it was typed in",
    "patients.ReferenceRange": "a laboratory is set up on its page; the range of each value is in adlb",
    "trial.Site.name": "a site is set up by an administrator; files know it by its code",
    "trial.Site.time_zone": "a site is set up by an administrator before its files, whose hours are those of its clock",
    "trial.Site.frozen_at": _LOCK,
    "infusions.CellLot.donor_code": "the particulars of a lot are the maker's and belong to no subject",
    "infusions.CellLot.passage": "the particulars of a lot are the maker's",
    "infusions.CellLot.viability_percent": "the particulars of a lot are the maker's",
    "infusions.CellLot.expires_on": "the particulars of a lot are the maker's",
    "infusions.CellLot.bags": "the particulars of a lot are the maker's",
    "infusions.CellLot.site": "where a lot lies today is not in a file",
    "infusions.CellLot.release": "a lot is released by a person for this site; one that comes by file is in quarantine",
    "infusions.ReleaseTest": "certificates belong to a lot and are read by who releases it",
    "infusions.CustodyEvent": "the chain of custody is only added to, by who has the bag in hand",
    "infusions.PlannedInfusion": "a plan holds a bag of this site; what was given is in the file",
    "infusions.CourseDecision": "a decision is an act of a physician here; what was given is in the file",
}
"""Model, or model and field, and why no file has it."""

DERIVED: Mapping[str, str] = {
    "group": "follows from diagnosis and infusions",
    "subjects.verdict": "is that of the last screening",
    "subjects.infusions": "follows from the infusions",
    "subjects.first_infusion_on": "follows from the infusions",
    "subjects.eligible": "follows from screening and infusions",
    "subjects.treated": "follows from the infusions",
    "subjects.landmark": "follows from infusions and outcomes",
    "subjects.outcome": "is that of the events",
    "subjects.outcome_on": "is that of the events",
    "labs_long.loinc": "follows from the analyte",
    "labs_long.after_end": "follows from the outcomes",
}
"""Columns that no import reads, and why."""


def fields() -> Iterator[tuple[str, str]]:
    """Yield model and field of everything that the study stores, with the sites it is stored for."""
    for model in study_models():
        if model._meta.app_label == "trial" and model is not Site:
            continue  # accounts, jobs and the trail: the house, not the study
        for field in model._meta.concrete_fields:
            yield model._meta.label, field.name


def test_every_field_is_carried_or_kept_back_for_a_reason() -> None:
    silent, twice = [], []
    for model, field in fields():
        carried = field in CARRIED.get(model, {})
        kept = model in KEPT_BACK or f"{model}.{field}" in KEPT_BACK or field in _OF_THE_ROW
        if not carried and not kept:
            silent.append(f"{model}.{field}")
        if carried and kept:
            twice.append(f"{model}.{field}")
    assert not silent, "new fields need a column of an export and an import, or a reason in KEPT_BACK"
    assert not twice


def test_nothing_is_listed_that_is_not_stored() -> None:
    stored = {f"{model}.{field}" for model, field in fields()}
    models = {name.rpartition(".")[0] for name in stored}
    listed = {f"{model}.{field}" for model, of_model in CARRIED.items() for field in of_model}
    assert listed <= stored
    assert {name for name in KEPT_BACK if name not in models} <= stored


def test_every_carried_field_has_its_columns_in_an_identified_export_and_is_read() -> None:
    written = {f"{name}.{column.name}" for name in FILES for column in DATASETS[name].shown(identified=True)}
    read = {f"{name}.{field.code}" for name, kind in FILES.items() for field in KINDS[kind].fields}
    wanted = {column for of_model in CARRIED.values() for columns in of_model.values() for column in columns}
    assert wanted <= written
    assert wanted <= read


@pytest.mark.parametrize("name", FILES)
def test_every_exported_column_is_read_or_derived(name: str) -> None:
    read = {field.code for field in KINDS[FILES[name]].fields}
    ignored = {
        column.name
        for column in DATASETS[name].shown(identified=True)
        if column.name not in read and not {column.name, f"{name}.{column.name}"} & set(DERIVED)
    }
    assert not ignored
