"""Puts the synthetic study into the database where no import of files reaches, and lets people work in it.

Everything is written under revisions of the demonstration's people, in the same
tables and through the same actions as on a ward.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from django.contrib.auth.hashers import make_password

from analytics.synthetic_labs import LabCell
from analytics.synthetic_study import SITES, SeenVisit, Study, Subject
from infusions import actions as infusion_actions
from infusions import dosing
from infusions.models import CellLot
from patients import actions
from patients.models import Outcome, Patient, PatientIdentity, Screening, ScreeningAnswer
from trial import audit, protocol
from trial.models import Site, User
from trial.protocol import OutcomeKind
from trial.roles import Role

SOURCE = "synthetic study"
_AT_ONCE = 2000


@dataclass(frozen=True, slots=True)
class Person:
    username: str
    first_name: str
    last_name: str
    role: Role
    site: str = ""


PEOPLE = (
    Person("li.min", "Min", "Li", Role.COORDINATOR, "GE"),
    Person("zhou.hui", "Hui", "Zhou", Role.HEPATOLOGIST, "GE"),
    Person("wu.qing", "Qing", "Wu", Role.STATISTICIAN),
    Person("chen.yu", "Yu", "Chen", Role.MONITOR),
    Person("huang.lei", "Lei", "Huang", Role.DATA_MANAGER),
    Person("admin", "", "", Role.ACCOUNT_ADMIN),
    Person("he.jing", "Jing", "He", Role.COORDINATOR, "GS"),
    Person("liang.bo", "Bo", "Liang", Role.COORDINATOR, "FO"),
    Person("fang.yun", "Yun", "Fang", Role.COORDINATOR, "ZH"),
)
"""Who works in the demonstration; nobody of them exists."""


def people(*, password: str = "") -> dict[str, User]:
    """Found the sites and open the accounts; without a password nobody can log in with them."""
    hashed = make_password(password or None)  # None: a hash no password has
    with audit.revision(by=audit.service_account(), reason="synthetic study", source=SOURCE):
        sites = {site.code: Site.objects.create(code=site.code, name=site.name) for site in SITES}
        opened = {}
        for person in PEOPLE:
            user = User(
                username=person.username,
                first_name=person.first_name,
                last_name=person.last_name,
                role=person.role.value,
                site=sites.get(person.site),
                password=hashed,
            )
            user.save(force_insert=True)
            opened[person.username] = user
    return opened


def register_lots(study: Study, *, by: User) -> None:
    """Register every lot of the study."""
    with audit.revision(by=by, reason="lots of the synthetic study", source=SOURCE):
        CellLot.objects.bulk_create(
            [
                CellLot(
                    code=lot.code,
                    donor_code=lot.donor_code,
                    passage=lot.passage,
                    viability_percent=Decimal(lot.viability_percent),
                    expires_on=lot.expires_on,
                )
                for lot in study.lots
            ],
            batch_size=_AT_ONCE,
        )


def record_screenings(study: Study, *, by: User) -> None:
    """Write the screening log: those who failed or are undecided, and everybody's answers."""
    sites = {site.code: site for site in Site.objects.all()}
    with audit.revision(by=by, reason="screening log of the synthetic study", source=SOURCE):
        Patient.objects.bulk_create(
            [_screened_only(subject, sites) for subject in study.subjects if subject.status != "enrolled"],
            batch_size=_AT_ONCE,
        )
        patients = {patient.subject_id: patient for patient in Patient.objects.all()}
        PatientIdentity.objects.bulk_create(
            [
                PatientIdentity(
                    patient=patients[subject.subject_id],
                    name=f"Synthetic {subject.subject_id}",
                    hospital_number=f"SYN{place:06}",
                )
                for place, subject in enumerate(study.subjects, start=1)
            ],
            batch_size=_AT_ONCE,
        )
        screenings = Screening.objects.bulk_create(
            [
                Screening(
                    patient=patients[subject.subject_id],
                    screened_on=subject.screened_on,
                    rule_set=protocol.RULE_SET,
                    verdict=protocol.assess({a.criterion: a.answer for a in subject.answers}).state.value,
                )
                for subject in study.subjects
            ],
            batch_size=_AT_ONCE,
        )
        ScreeningAnswer.objects.bulk_create(
            [
                ScreeningAnswer(
                    patient_id=screening.patient_id,
                    screening=screening,
                    criterion=answered.criterion,
                    answer=answered.answer.value,
                    evidence=answered.evidence,
                    evidence_on=answered.evidence_on,
                )
                for subject, screening in zip(study.subjects, screenings, strict=True)
                for answered in subject.answers
            ],
            batch_size=_AT_ONCE,
        )


def _screened_only(subject: Subject, sites: Mapping[str, Site]) -> Patient:
    return Patient(
        subject_id=subject.subject_id,
        site=sites[subject.site],
        sex=subject.sex,
        birth_date=subject.birth_date,
        diagnosis=subject.diagnosis.value,
        status=subject.status,
    )


def record_outcomes(study: Study, *, by: User) -> None:
    """Write deaths, transplants, withdrawals, losses and completions."""
    patients = dict(Patient.objects.values_list("subject_id", "pk"))
    with audit.revision(by=by, reason="outcomes of the synthetic study", source=SOURCE):
        Outcome.objects.bulk_create(
            [
                Outcome(patient_id=patients[subject.subject_id], kind=kind.value, happened_on=day)
                for subject in study.subjects
                for kind, day in subject.outcomes
            ],
            batch_size=_AT_ONCE,
        )


# --- single things, as a ward does them -----------------------------------------------------


def a_day_on_the_ward(study: Study, people: Mapping[str, User]) -> None:
    """Let the people of the demonstration do what a history is made of."""
    _correct_the_slip(study, people["li.min"])
    _draw_unscheduled(study, people["li.min"])
    _give_what_was_due(study, people)
    _void_a_wrong_infusion(study, people["he.jing"])


def _correct_the_slip(study: Study, by: User) -> None:
    if study.slip is None:
        return
    slip = study.slip
    actions.record_labs(
        patient=Patient.objects.get(subject_id=slip.subject_id),
        week=slip.week,
        entries=[_entry(slip.analyte, LabCell(slip.right, protocol.ANALYTES[slip.analyte].unit))],
        by=by,
        reason="typing slip corrected",
    )


def _draw_unscheduled(study: Study, by: User) -> None:
    """Take blood between two visits from a subject of this coordinator's site."""
    for subject in _at_site(study, by):
        last = _last_visit(subject)
        if last is None or subject.ended_on is not None or subject.infusions[-1].given_on < last.visited_on:
            continue
        day = min(subject.infusions[-1].given_on + timedelta(days=2), study.today)
        if day in {visit.visited_on for visit in subject.visits}:
            continue
        wanted = ("tbil", "inr", "creatinine", "alt", "ast", "pta")
        entries = [_entry(code, last.labs[code]) for code in wanted if last.labs.get(code, LabCell()).text]
        if entries:
            patient = Patient.objects.get(subject_id=subject.subject_id)
            actions.record_labs(patient=patient, visited_on=day, entries=entries, by=by)
            return


def _give_what_was_due(study: Study, people: Mapping[str, User]) -> None:
    """Give the next infusion to one subject in its course at each site that has one."""
    for username in ("li.min", "he.jing"):
        by = people[username]
        for subject in _at_site(study, by):
            patient = _may_get_another(subject, study)
            if patient is None:
                continue
            last = subject.infusions[-1]
            weight = Decimal(last.weight_kg)
            lot = CellLot.objects.filter(
                expires_on__gte=study.today, code__endswith=f"-{subject.site}"
            ).first()
            infusion_actions.give_infusion(
                patient=patient,
                number=last.number + 1,
                given_on=study.today,
                weight_kg=weight,
                cells=dosing.target_cells(weight),
                volume_ml=protocol.DOSE.volume_ml,
                lot=lot,
                deviation="subject_unavailable",
                by=by,
            )
            break


def _may_get_another(subject: Subject, study: Study) -> Patient | None:
    """Return the subject's record if its next infusion is due and leaves its group as it is."""
    if subject.ended_on is not None or not subject.infusions or subject.recruited_on is None:
        return None
    number = subject.infusions[-1].number + 1
    planned = protocol.COURSES[protocol.Course(subject.planned_course)]
    due = protocol.infusion_due(number, subject.recruited_on)
    late = (study.today - due).days
    gap = (study.today - subject.infusions[-1].given_on).days
    if number > planned or number == protocol.PROLONGED_FROM or not 0 <= late <= 10:
        return None
    if gap < protocol.MINIMUM_DAYS_BETWEEN_INFUSIONS:
        return None
    return Patient.objects.get(subject_id=subject.subject_id)


def _void_a_wrong_infusion(study: Study, by: User) -> None:
    """Record an infusion with the wrong subject, notice, and strike it."""
    for subject in _at_site(study, by):
        number = len(subject.infusions) + 1
        finished = bool(subject.outcomes) and subject.outcomes[0][0] is OutcomeKind.COMPLETED
        if finished and number <= protocol.COURSES[protocol.Course.STANDARD]:
            patient = Patient.objects.get(subject_id=subject.subject_id)
            last = subject.infusions[-1]
            weight = Decimal(last.weight_kg)
            recorded = infusion_actions.give_infusion(
                patient=patient,
                number=number,
                given_on=last.given_on + timedelta(days=7),
                weight_kg=weight,
                cells=dosing.target_cells(weight),
                volume_ml=protocol.DOSE.volume_ml,
                lot=CellLot.objects.filter(code=last.lot).first(),
                deviation="other",
                deviation_note="entered from the ward book",
                by=by,
            )
            infusion_actions.void_infusion(
                infusion=recorded.infusion, by=by, reason="belonged to another subject or visit"
            )
            return


def _at_site(study: Study, by: User) -> list[Subject]:
    """Return the treated subjects of a coordinator's site, the newest first."""
    found = [s for s in study.enrolled if s.infusions and by.site is not None and s.site == by.site.code]
    return found[::-1]


def _last_visit(subject: Subject) -> SeenVisit | None:
    return max(subject.visits, key=lambda visit: visit.visited_on, default=None)


def _entry(code: str, cell: LabCell) -> actions.LabEntry:
    return actions.LabEntry(
        analyte=code,
        value=Decimal(cell.text.lstrip("<>")),
        comparator=cell.text[0] if cell.text[:1] in "<>" else "",
        typed_text=cell.text,
        typed_unit=cell.unit,
    )
