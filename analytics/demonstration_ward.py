"""Puts the ward of the synthetic study into the database: laboratories, release, treatments, events, vital signs.

Written in bulk under one revision a table, by the people of the demonstration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from analytics.synthetic import OTHER_UNIT_SITE
from analytics.synthetic_bedside import Graded
from analytics.synthetic_study import Study
from analytics.synthetic_ward import Ward
from infusions.models import CellLot, CourseDecision, CustodyEvent, Infusion, ReleaseTest, VitalSigns
from patients.models import (
    AdverseEvent,
    Laboratory,
    LaboratoryUnit,
    Patient,
    ReferenceRange,
    Screening,
    ScreeningFact,
    Treatment,
    Visit,
)
from trial import audit, protocol, vocabulary
from trial.models import Site, User

SOURCE = "synthetic study"
_AT_ONCE = 2000
_RECEIVED = time(1, 30)
BAGS = 24
FINDINGS: Mapping[str, str] = {
    "bacteria": "no growth",
    "fungi": "no growth",
    "mycoplasma": "not detected",
    "endotoxin": "0.2 EU/mL",
    "viability": "93 %",
    "phenotype": "CD73 98 %, CD90 99 %, CD105 97 %; others 1 %",
}
PENDING_LOTS = 2
"""Newest lots whose cultures are still read, and which are released meanwhile or wait."""


def laboratory_of(site: str) -> str:
    """Return the code of a site's laboratory."""
    return f"{site}-LAB"


def open_laboratories(*, by: User) -> None:
    """Open a laboratory per site with the protocol's ranges; one reports in conventional units."""
    with audit.revision(by=by, reason="laboratories of the synthetic study", source=SOURCE):
        for site in Site.objects.order_by("code"):
            laboratory = Laboratory.objects.create(
                code=laboratory_of(site.code), name=f"{site.name}, central laboratory", site=site
            )
            if site.code == OTHER_UNIT_SITE:
                LaboratoryUnit.objects.bulk_create(
                    LaboratoryUnit(laboratory=laboratory, analyte=code, unit="mg/dL")
                    for code in ("tbil", "creatinine")
                )
            ReferenceRange.objects.bulk_create(
                ReferenceRange(
                    laboratory=laboratory,
                    analyte=analyte.code,
                    sex=sex,
                    valid_from=protocol.STUDY_STARTED_ON,
                    low=limits.low,
                    high=limits.high,
                    typed_unit=analyte.unit,
                )
                for analyte in protocol.PANEL
                for sex, limits in _ranges(analyte)
            )


def _ranges(analyte: protocol.Analyte) -> list[tuple[str, protocol.Limits]]:
    female, male = (analyte.reference[sex] for sex in (protocol.Sex.FEMALE, protocol.Sex.MALE))
    if female == male:
        return [("", female)]
    return [(protocol.Sex.FEMALE.value, female), (protocol.Sex.MALE.value, male)]


def record_grades(graded: Sequence[Graded], *, by: User) -> None:
    """Write down what was graded at the visits that a file brought in."""
    at = {(one.subject_id, one.week, one.visited_on): one for one in graded}
    visits = []
    for visit in Visit.objects.valid().select_related("patient"):
        one = at.get((visit.patient.subject_id, visit.week, visit.visited_on))
        if one is not None:
            visit.ascites, visit.encephalopathy = one.ascites, one.encephalopathy
            visit.version += 1
            visits.append(visit)
    reason = "ascites and encephalopathy of the synthetic study"
    with audit.revision(by=by, reason=reason, source=SOURCE):
        Visit.objects.bulk_update(visits, ["ascites", "encephalopathy", "version"], batch_size=_AT_ONCE)


def release_lots(study: Study, *, by: User) -> None:
    """Test and release the lots: all but the newest, whose cultures are not read yet."""
    lots = {lot.code: lot for lot in CellLot.objects.all()}
    by_expiry = sorted(study.lots, key=lambda lot: lot.expires_on)
    unread = {lot.code for lot in by_expiry[-PENDING_LOTS:]}
    sites = {site.code: site for site in Site.objects.all()}
    tests: list[ReleaseTest] = []
    custody: list[CustodyEvent] = []
    for made_up in by_expiry:
        lot = lots[made_up.code]
        filled = made_up.expires_on - timedelta(days=16)
        for term in vocabulary.RELEASE_TESTS:
            is_unread = lot.code in unread and term.code in ("bacteria", "fungi")
            tests.append(
                ReleaseTest(
                    lot=lot,
                    test=term.code,
                    result="pending" if is_unread else "pass",
                    finding="" if is_unread else FINDINGS.get(term.code, "not detected"),
                    tested_on=None if is_unread else min(filled, study.today),
                )
            )
        day = min(filled, study.today)
        for hours, step, place, degrees in (
            (0, "packed", "cell bank", "4"),
            (3, "shipped", "cell bank", "4"),
            (6, "received", "ward", "5.5"),
        ):
            custody.append(
                CustodyEvent(
                    lot=lot,
                    step=step,
                    happened_at=datetime.combine(day, _RECEIVED, UTC) + timedelta(hours=hours),
                    place=place,
                    temperature_c=Decimal(degrees),
                )
            )
    with audit.revision(by=by, reason="release of the lots of the synthetic study", source=SOURCE):
        ReleaseTest.objects.bulk_create(tests, batch_size=_AT_ONCE)
        CustodyEvent.objects.bulk_create(custody, batch_size=_AT_ONCE)
        for nth, made_up in enumerate(by_expiry):
            lot = lots[made_up.code]
            lot.bags = BAGS
            lot.site = sites[lot.code.rsplit("-", 1)[1]]
            lot.release = "released"
            if lot.code in unread:
                lot.release = "conditional" if nth % 2 else "quarantine"
        CellLot.objects.bulk_update(lots.values(), ["bags", "site", "release"], batch_size=_AT_ONCE)


def record_ward(ward: Ward, *, by: User) -> None:
    """Write treatments, events, vital signs and decisions."""
    patients = dict(Patient.objects.values_list("subject_id", "pk"))
    infusions = {
        (subject, number): key
        for subject, number, key in Infusion.objects.valid().values_list(
            "patient__subject_id", "number", "pk"
        )
    }
    with audit.revision(by=by, reason="treatments and events of the synthetic study", source=SOURCE):
        _write(
            Treatment,
            ward.treatments,
            patients,
            ("kind", "agent", "dose", "started_on", "started_at", "ended_on", "ended_at"),
        )
        _write(
            AdverseEvent,
            ward.events,
            patients,
            (
                *("term", "grade", "onset_on", "onset_at", "ended_on"),
                *("relation", "serious", "aware_at", "reported_at"),
            ),
        )
        _write(CourseDecision, ward.decisions, patients, ("decided_on", "decision", "grounds"))
        VitalSigns.objects.bulk_create(
            [
                VitalSigns(
                    patient_id=patients[v.subject_id],
                    infusion_id=infusions[v.subject_id, v.number],
                    moment=v.moment,
                    temperature_c=v.temperature_c,
                    pulse=v.pulse,
                    systolic=v.systolic,
                    diastolic=v.diastolic,
                    respiration=v.respiration,
                    saturation=v.saturation,
                )
                for v in ward.vitals
                if (v.subject_id, v.number) in infusions
            ],
            batch_size=_AT_ONCE,
        )


def record_facts(ward: Ward, *, by: User) -> None:
    """Write what the automatic checks of the screenings look at."""
    screenings = {s.patient.subject_id: s for s in Screening.objects.select_related("patient")}
    rows = []
    for fact in ward.facts:
        screening = screenings[fact.subject_id]
        value = Decimal(fact.text) if fact.text else None
        if value is not None:
            value = protocol.ANALYTES[fact.fact].in_standard_unit(value, fact.unit)
        rows.append(
            ScreeningFact(
                patient_id=screening.patient_id,
                screening=screening,
                fact=fact.fact,
                value=value,
                typed_text=fact.text,
                typed_unit=fact.unit,
                happened_on=fact.happened_on,
            )
        )
    with audit.revision(by=by, reason="screening log of the synthetic study", source=SOURCE):
        ScreeningFact.objects.bulk_create(rows, batch_size=_AT_ONCE)


def _write(model: Any, rows: Any, patients: Mapping[str, int], columns: tuple[str, ...]) -> None:
    model.objects.bulk_create(
        [
            model(patient_id=patients[row.subject_id], **{name: getattr(row, name) for name in columns})
            for row in rows
        ],
        batch_size=_AT_ONCE,
    )
