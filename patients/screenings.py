"""What is read about screenings: facts as they were handed in, offers for the next one, and the log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Count, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.utils.translation import gettext

from patients import eligibility, facts
from patients.entries import AnswerEntry
from patients.facts import FACT_AT, FactEntry, Kind
from patients.models import LabResult, Patient, Screening, ScreeningAnswer, ScreeningFact
from trial import protocol
from trial.models import AuditEntry, Revision, User
from trial.protocol import Answer, CriterionKind, Diagnosis, Sex, VerdictState
from trial.typed import Unreadable, read_number


def entry_of(row: ScreeningFact) -> FactEntry:
    """Return a stored fact as it was handed in."""
    return facts.stored_entry(
        row.fact, row.value, row.typed_text, row.typed_unit, row.happened_on, row.source
    )


def entries_of(screening: Screening) -> dict[str, FactEntry]:
    """Return the stored facts of a screening by their code."""
    return {row.fact: entry_of(row) for row in screening.facts.all()}


def subject_of(
    patient: Patient, day: date, given: Mapping[str, FactEntry], *, rule_set: str = ""
) -> eligibility.Subject:
    """Return what the automatic checks look at; without a rule set it is the study's."""
    sex = Sex(patient.sex)
    return eligibility.Subject(
        screened_on=day,
        age=patient.age_on(day),
        sex=sex,
        diagnosis=Diagnosis(patient.diagnosis),
        born_on=patient.birth_date,
        facts=facts.for_rules(given, sex),
        rule_set=rule_set or protocol.RULE_SET,
    )


# --- what is offered ------------------------------------------------------------------------


def offers(
    patient: Patient, day: date, earlier: Sequence[Screening]
) -> Mapping[str, tuple[FactEntry, date | None]]:
    """Return facts that the database knows already, to be taken by a person and never by themselves.

    Labs drawn within some days before the screening come first, the last value
    of each; then what an earlier screening wrote of the course of the disease,
    which does not change, with the day of that screening.
    """
    found: dict[str, tuple[FactEntry, date | None]] = {}
    past = next((screening for screening in earlier if screening.screened_on < day), None)
    if past is not None:
        for row in past.facts.all():
            if FACT_AT[row.fact].kind in (Kind.DAY, Kind.SIGN) or (
                FACT_AT[row.fact].kind is Kind.SINCE and row.happened_on is not None
            ):
                found[row.fact] = (_from(entry_of(row), "screening"), past.screened_on)
    drawn = list(
        LabResult.objects.filter(
            patient=patient,
            value__isnull=False,
            visit__voided_at__isnull=True,
            visit__visited_on__lte=day,
            visit__visited_on__gte=day - timedelta(days=facts.LABS_COUNT_DAYS),
        )
        .select_related("visit")
        .order_by("visit__visited_on", "visit_id")
    )
    for result in drawn:
        if result.analyte in FACT_AT:
            if result.analyte == "tbil" and "tbil" in found:
                found["tbil_before"] = (_before(found["tbil"][0]), None)
            found[result.analyte] = (_taken(result), None)
    return found


def _from(entry: FactEntry, source: str) -> FactEntry:
    return FactEntry(
        fact=entry.fact,
        value=entry.value,
        comparator=entry.comparator,
        typed_text=entry.typed_text,
        typed_unit=entry.typed_unit,
        happened_on=entry.happened_on,
        source=source,
    )


def _before(entry: FactEntry) -> FactEntry:
    return FactEntry(
        fact="tbil_before",
        value=entry.value,
        comparator=entry.comparator,
        typed_text=entry.typed_text,
        typed_unit=entry.typed_unit,
        happened_on=entry.happened_on,
        source=entry.source,
    )


def _taken(result: LabResult) -> FactEntry:
    """Return a laboratory result as a fact, as it was reported; in the standard unit where that is not known."""
    value, unit = result.value or Decimal(0), protocol.unit_of(result.analyte)
    text, comparator = f"{result.comparator}{value.normalize():f}", result.comparator
    if result.typed_unit in protocol.ANALYTES[result.analyte].accepted:
        with suppress(Unreadable):
            number = read_number(result.typed_text)
            if number.comparator == result.comparator:
                value, text, unit = number.value, number.text, result.typed_unit
    return FactEntry(
        fact=result.analyte,
        value=value,
        comparator=comparator,
        typed_text=text,
        typed_unit=unit,
        happened_on=result.visit.visited_on,
        source="labs",
    )


# --- one subject's screenings ---------------------------------------------------------------


def of(patient: Patient) -> list[Screening]:
    """Return the valid screenings of a subject with answers and facts, the newest first."""
    return list(
        Screening.objects.valid()
        .filter(patient=patient)
        .prefetch_related("answers", "facts")
        .order_by("-screened_on", "-id")
    )


def is_eligible(patient: Patient) -> bool:
    """Return whether a subject waits for its enrolment: the newest screening found it eligible."""
    if patient.status != Patient.Status.SCREENING:
        return False
    newest = Screening.objects.valid().filter(patient=patient).order_by("-screened_on", "-id").first()
    return newest is not None and newest.verdict == VerdictState.ELIGIBLE


def contradicted(patient: Patient) -> list[str]:
    """Return the criteria of the newest screening whose tick says something else than the data, in words."""
    found = of(patient)
    if not found:
        return []
    newest = found[0]
    subject = subject_of(patient, newest.screened_on, entries_of(newest), rule_set=newest.rule_set)
    answers = {
        a.criterion: AnswerEntry(Answer(a.answer), a.evidence, a.evidence_on) for a in newest.answers.all()
    }
    against = eligibility.disagreements(subject, answers)
    return [gettext(protocol.CRITERION_AT[code].label) for code in against]


def trail(patient: Patient) -> Mapping[int, list[Revision]]:
    """Return by screening the revisions that wrote it, its answers or its facts, oldest first."""
    tables = {
        model._meta.db_table: key
        for model, key in (
            (Screening, "id"),
            (ScreeningAnswer, "screening_id"),
            (ScreeningFact, "screening_id"),
        )
    }
    found: dict[int, dict[int, Revision]] = {}
    entries = (
        AuditEntry.objects.filter(patient_id=patient.pk, table__in=tables)
        .select_related("revision__actor")
        .order_by("id")
    )
    for entry in entries:
        image = entry.new or entry.old or {}
        number = image.get(tables[entry.table])
        if number is not None:
            found.setdefault(number, {})[entry.revision_id] = entry.revision
    return {number: list(revisions.values()) for number, revisions in found.items()}


# --- the log --------------------------------------------------------------------------------

PAGE = 50
STATES: tuple[str, ...] = (*(state.value for state in VerdictState), "all")


@dataclass(frozen=True, slots=True)
class SiteCount:
    """How many subjects of a site stand where, by their newest screening."""

    site: str
    screened: int
    eligible: int
    failed: int
    pending: int
    enrolled: int


@dataclass(frozen=True, slots=True)
class Reason:
    """One criterion that speaks against a subject, with what it rests on."""

    criterion: protocol.Criterion
    evidence: str
    evidence_on: date | None


@dataclass(frozen=True, slots=True)
class LogRow:
    """One screening of the log and every criterion that failed it or is open."""

    screening: Screening
    reasons: tuple[Reason, ...]
    open: tuple[protocol.Criterion, ...]

    @property
    def patient(self) -> Patient:
        patient: Patient = self.screening.patient
        return patient


@dataclass(frozen=True, slots=True)
class LogFilter:
    """What the log is narrowed to, as it stands in the address."""

    state: str = VerdictState.NOT_ELIGIBLE.value
    site: str = ""
    criterion: str = ""
    first: date | None = None
    last: date | None = None


def counts(user: User) -> list[SiteCount]:
    """Count subjects by site and newest verdict, in one query; never screened ones count as pending in screening."""
    newest = Screening.objects.valid().filter(patient=OuterRef("pk")).order_by("-screened_on", "-id")
    rows = (
        Patient.objects.visible_to(user)
        .filter(merged_into__isnull=True)
        .annotate(verdict=Subquery(newest.values("verdict")[:1]))
        .filter(Q(verdict__isnull=False) | Q(status=Patient.Status.SCREENING))
        .values("site__name")
        .annotate(
            screened=Count("pk"),
            eligible=Count("pk", filter=Q(verdict=VerdictState.ELIGIBLE.value)),
            failed=Count("pk", filter=Q(verdict=VerdictState.NOT_ELIGIBLE.value)),
            enrolled=Count(
                "pk", filter=Q(verdict=VerdictState.ELIGIBLE.value, status=Patient.Status.ENROLLED)
            ),
        )
        .order_by("site__name")
    )
    return [
        SiteCount(
            row["site__name"],
            row["screened"],
            row["eligible"],
            row["failed"],
            row["screened"] - row["eligible"] - row["failed"],
            row["enrolled"],
        )
        for row in rows
    ]


def log(user: User, wanted: LogFilter) -> QuerySet[Screening]:
    """Return the screenings of the log, the newest first, every screening of a subject with its own row."""
    found = (
        Screening.objects.visible_to(user)
        .valid()
        .filter(patient__merged_into__isnull=True)
        .select_related("patient__site")
        .prefetch_related(
            Prefetch("answers", queryset=ScreeningAnswer.objects.order_by("id")),
        )
        .order_by("-screened_on", "-id")
    )
    if wanted.state != "all":
        found = found.filter(verdict=wanted.state)
    if wanted.site:
        found = found.filter(patient__site__code=wanted.site)
    if wanted.criterion:
        criterion = protocol.CRITERION_AT[wanted.criterion]
        against = Answer.NO if criterion.kind is CriterionKind.INCLUSION else Answer.YES
        found = found.filter(answers__criterion=criterion.code, answers__answer=against.value)
    if wanted.first:
        found = found.filter(screened_on__gte=wanted.first)
    if wanted.last:
        found = found.filter(screened_on__lte=wanted.last)
    return found


def log_rows(screenings: Sequence[Screening]) -> Iterator[LogRow]:
    """Say of each screening what speaks against it, in the order of the protocol."""
    for screening in screenings:
        answers: dict[str, Any] = {answer.criterion: answer for answer in screening.answers.all()}
        given = {code: Answer(answer.answer) for code, answer in answers.items()}
        verdict = protocol.assess(given)
        yield LogRow(
            screening,
            tuple(Reason(c, answers[c.code].evidence, answers[c.code].evidence_on) for c in verdict.against),
            verdict.open,
        )
