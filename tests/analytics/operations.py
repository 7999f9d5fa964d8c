"""Random work of a ward, written in every way the database knows, for tests of the refresh.

The same seed does the same work. Each operation is one revision and leaves every
constraint satisfied; a few write nothing a result depends on, a few are rolled back.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from infusions.models import Infusion
from patients.models import (
    LabResult,
    Outcome,
    Patient,
    PatientIdentity,
    Screening,
    Treatment,
    Visit,
)
from tests import factories
from trial import audit, protocol

START = date(2024, 1, 8)


class Undone(Exception):
    """Rolls an operation back."""


class Ward:
    """Does one random thing after another."""

    def __init__(self, seed: int, *, patients: int = 6) -> None:
        self.random = Random(seed)
        self.site = factories.a_site()
        self.by = audit.service_account()
        self.number = 0
        self.done: dict[str, int] = {}
        for _ in range(patients):
            self.once(self.new_patient)

    def work(self, operations: int) -> None:
        """Do so many operations."""
        deeds: list[tuple[Callable[[], Any], int]] = [
            (self.new_patient, 3),
            (self.change_patient, 4),
            (self.change_nothing_that_counts, 3),
            (self.new_visit, 14),
            (self.whole_visit, 12),
            (self.move_visit, 4),
            (self.void_visit, 3),
            (self.one_lab, 16),
            (self.correct_lab, 14),
            (self.lose_lab, 3),
            (self.delete_lab, 2),
            (self.move_lab, 2),
            (self.many_labs_at_once, 2),
            (self.raw_sql, 2),
            (self.give, 14),
            (self.change_infusion, 4),
            (self.outcome, 4),
            (self.change_outcome, 2),
            (self.treat, 6),
            (self.change_treatment, 4),
            (self.screen, 6),
            (self.change_screening, 3),
            (self.roll_back, 3),
        ]
        chosen = self.random.choices([d for d, _ in deeds], [w for _, w in deeds], k=operations)
        for deed in chosen:
            self.once(deed)

    def once(self, deed: Callable[[], Any]) -> None:
        """Do one thing under one revision; one that breaks a rule of the database leaves nothing."""
        try:
            with audit.revision(by=self.by, reason="random work", source="tests"):
                deed()
        except (IntegrityError, Undone):
            return
        finally:
            factories.settle()
        self.done[deed.__name__] = self.done.get(deed.__name__, 0) + 1

    # --- choices ----------------------------------------------------------------------------

    def pick(self, queryset: Any) -> Any:
        """Return a random row, or undo the operation when there is none."""
        ids = list(queryset.order_by("id").values_list("id", flat=True))
        if not ids:
            raise Undone
        return queryset.get(pk=self.random.choice(ids))

    def patient(self) -> Patient:
        return self.pick(Patient.objects.all())

    def visit(self) -> Visit:
        return self.pick(Visit.objects.filter(voided_at=None))

    def day(self) -> date:
        return START + timedelta(days=self.random.randint(0, 200))

    def value(self, analyte: str) -> Decimal:
        """Return a value within the hard limits; few distinct ones, so that there are ties."""
        low, high = {"tbil": (5, 60), "inr": (8, 30), "creatinine": (40, 160), "hbv_dna": (0, 9000)}.get(
            analyte, (20, 130)
        )
        places = {"inr": 1, "tbil": self.random.choice((0, 0, 1))}.get(analyte, 0)
        if analyte == "sodium":
            low, high = 120, 145
        if analyte in ("albumin", "pt", "wbc"):
            low, high = 15, 50
        return (
            Decimal(self.random.randint(low, high)).scaleb(-places)
            if places
            else Decimal(self.random.randint(low, high))
        )

    def lab(self, visit: Visit, analyte: str) -> LabResult:
        value = self.value(analyte)
        sampled = None
        if visit.visited_on is not None and self.random.random() < 0.2:
            day = visit.visited_on + timedelta(days=self.random.choice((-3, -1, 0, 0, 0, 1)))
            sampled = datetime.combine(day, time(self.random.randint(0, 23)), tzinfo=UTC)
        return LabResult(
            patient_id=visit.patient_id,
            visit=visit,
            analyte=analyte,
            value=value,
            comparator=self.random.choice(("", "", "", "", "<", ">")),
            typed_text=str(value),
            typed_unit=protocol.ANALYTES[analyte].unit,
            sampled_at=sampled,
        )

    # --- subjects ---------------------------------------------------------------------------

    def new_patient(self) -> None:
        self.number += 1
        by_age = self.random.random() < 0.4
        Patient.objects.create(
            # not in the order of the keys, so that sorting matters
            subject_id=f"P{self.random.randint(0, 99):02d}-{self.number:04d}",
            site=self.site,
            sex=self.random.choice(["F", "M"]),
            birth_date=None
            if by_age
            else date(self.random.randint(1950, 2010), self.random.randint(1, 12), 28),
            age_at_recruitment=Decimal(self.random.randint(1000, 7000)) / 100 if by_age else None,
            diagnosis=self.random.choice(list(protocol.Diagnosis)),
            recruited_on=None if self.random.random() < 0.15 else self.day(),
        )

    def change_patient(self) -> None:
        patient = self.patient()
        match self.random.randint(0, 4):
            case 0:
                patient.diagnosis = self.random.choice(list(protocol.Diagnosis))
            case 1:
                patient.sex = self.random.choice(["F", "M"])
            case 2:
                patient.recruited_on = None if self.random.random() < 0.2 else self.day()
            case 3:
                self.number += 1
                patient.subject_id = f"P{self.random.randint(0, 99):02d}-{self.number:04d}"
            case _:
                patient.age_at_recruitment = Decimal(self.random.randint(900, 7000)) / 100
        patient.save()

    def change_nothing_that_counts(self) -> None:
        patient = self.patient()
        if self.random.random() < 0.5:
            Patient.objects.filter(pk=patient.pk).update(version=patient.version + 1)
        else:
            PatientIdentity.objects.update_or_create(
                patient=patient, defaults={"name": f"name {self.random.randint(0, 999)}"}
            )

    # --- visits and labs --------------------------------------------------------------------

    def new_visit(self) -> Visit:
        week = self.random.choice([*protocol.WEEKS, None])
        dated = week is None or self.random.random() < 0.8
        return Visit.objects.create(
            patient=self.patient(), week=week, visited_on=self.day() if dated else None
        )

    def whole_visit(self) -> None:
        visit = self.new_visit()
        codes = set(
            self.random.sample(list(protocol.ANALYTES), self.random.randint(3, len(protocol.ANALYTES)))
        )
        if self.random.random() < 0.7:
            codes |= set(protocol.REQUIRED_ANALYTES)
        LabResult.objects.bulk_create([self.lab(visit, code) for code in sorted(codes)])

    def move_visit(self) -> None:
        visit = self.visit()
        if self.random.random() < 0.5 and visit.week is not None:
            visit.week = self.random.choice(protocol.WEEKS)
        else:
            visit.visited_on = self.day()
        visit.save()

    def void_visit(self) -> None:
        if self.random.random() < 0.3:
            Visit.objects.filter(pk=self.pick(Visit.objects.exclude(voided_at=None)).pk).update(
                voided_at=None
            )
        else:
            Visit.objects.filter(pk=self.visit().pk).update(voided_at=timezone.now())

    def one_lab(self) -> None:
        visit = self.visit()
        self.lab(visit, self.random.choice(list(protocol.ANALYTES))).save()

    def correct_lab(self) -> None:
        result = self.pick(LabResult.objects.all())
        now = self.lab(result.visit, result.analyte)
        for name in ("value", "comparator", "typed_text", "typed_unit", "sampled_at"):
            setattr(result, name, getattr(now, name))
        result.missing_reason = ""
        result.save()

    def lose_lab(self) -> None:
        found = self.pick(LabResult.objects.exclude(value=None))
        LabResult.objects.filter(pk=found.pk).update(
            value=None, comparator="", typed_text="", typed_unit="", missing_reason="haemolysed"
        )

    def delete_lab(self) -> None:
        self.pick(LabResult.objects.all()).delete()

    def move_lab(self) -> None:
        result = self.pick(LabResult.objects.all())
        visit = self.pick(Visit.objects.filter(patient_id=result.patient_id, voided_at=None))
        LabResult.objects.filter(pk=result.pk).update(visit=visit)

    def many_labs_at_once(self) -> None:
        visits = [self.visit() for _ in range(5)]
        code = self.random.choice(list(protocol.ANALYTES))
        free = [v for v in set(visits) if not v.lab_results.filter(analyte=code).exists()]
        LabResult.objects.bulk_create([self.lab(v, code) for v in sorted(free, key=lambda v: v.pk)])

    def raw_sql(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE patients_labresult SET value = value + 1, typed_text = (value + 1)::text"
                " WHERE analyte = %s AND value BETWEEN 20 AND 100 AND patient_id %% 3 = %s",
                [self.random.choice(["tbil", "alt", "creatinine"]), self.random.randint(0, 2)],
            )

    # --- infusions, outcomes, screening -----------------------------------------------------

    def give(self) -> None:
        patient = self.patient()
        given = set(patient.infusions.filter(voided_at=None).values_list("number", flat=True))
        free = [number for number in range(1, protocol.MOST_INFUSIONS + 1) if number not in given]
        if not free:
            raise Undone
        for number in free[: self.random.choice((1, 1, 2, 4))]:
            day = (patient.recruited_on or START) + timedelta(days=7 * number + self.random.randint(-2, 9))
            Infusion.objects.create(patient=patient, number=number, given_on=day)

    def change_infusion(self) -> None:
        infusion = self.pick(Infusion.objects.filter(voided_at=None))
        if self.random.random() < 0.5:
            infusion.voided_at = timezone.now()
        else:
            infusion.given_on += timedelta(days=self.random.randint(-20, 20))
        infusion.save()

    def outcome(self) -> None:
        Outcome.objects.create(
            patient=self.patient(),
            kind=self.random.choice(list(protocol.OutcomeKind)),
            happened_on=self.day(),
        )

    def change_outcome(self) -> None:
        outcome = self.pick(Outcome.objects.filter(voided_at=None))
        if self.random.random() < 0.5:
            outcome.voided_at = timezone.now()
        else:
            outcome.happened_on = self.day()
        outcome.save()

    def treat(self) -> None:
        """Treat somebody, mostly with a machine and near a visit, so that the rule of MELD does hold."""
        visit = self.pick(Visit.objects.filter(voided_at=None).exclude(visited_on=None))
        for _ in range(self.random.choice((1, 2, 2, 3))):
            day = visit.visited_on - timedelta(days=self.random.randint(-1, 8))
            long = self.random.random() < 0.3
            Treatment.objects.create(
                patient_id=visit.patient_id,
                kind=self.random.choice(["dialysis", "dialysis", "dialysis", "cvvhd", "plasma"]),
                started_on=day,
                started_at=time(self.random.randint(0, 23)) if self.random.random() < 0.5 else None,
                ended_on=day + timedelta(days=self.random.randint(0, 3)) if long else None,
            )

    def change_treatment(self) -> None:
        treatment = self.pick(Treatment.objects.filter(voided_at=None))
        match self.random.randint(0, 3):
            case 0:
                treatment.voided_at = timezone.now()
            case 1:
                treatment.kind = self.random.choice(["dialysis", "cvvhd", "albumin"])
            case 2:
                treatment.note = f"note {self.random.randint(0, 999)}"
            case _:
                treatment.started_on -= timedelta(days=self.random.randint(0, 4))
        treatment.save()

    def screen(self) -> None:
        Screening.objects.create(
            patient=self.patient(),
            screened_on=self.day(),
            verdict=self.random.choice(["eligible", "eligible", "not_eligible", "pending"]),
        )

    def change_screening(self) -> None:
        screening = self.pick(Screening.objects.filter(voided_at=None))
        if self.random.random() < 0.5:
            screening.voided_at = timezone.now()
        else:
            screening.verdict = self.random.choice([v.value for v in protocol.VerdictState])
        screening.save()

    def roll_back(self) -> None:
        with transaction.atomic():
            self.whole_visit()
            raise Undone
