"""Eligibility: the criteria, answered, and what they amount to."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from patients.models.patient import Patient
from patients.models.scope import ScopedQuerySet
from trial import protocol, units, vocabulary
from trial.triggers import locks, trail


class Screening(models.Model):
    """One screening of a subject; a subject may be screened again."""

    patient = models.ForeignKey(Patient, models.PROTECT, related_name="screenings")
    screened_on = models.DateField(_("screened on"))
    protocol_version = models.CharField(max_length=12, default=protocol.VERSION)
    rule_set = models.CharField(_("rule set"), max_length=16, blank=True, db_default="", default="")
    verdict = models.CharField(
        _("verdict"),
        max_length=12,
        choices=[(v.value, protocol.VERDICT_LABELS[v]) for v in protocol.VerdictState],
        default=protocol.VerdictState.PENDING.value,
    )
    version = models.PositiveIntegerField(default=1)
    voided_at = models.DateTimeField(null=True, blank=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ["patient", "screened_on", "id"]
        triggers = [*trail(patient="patient_id"), *locks()]
        constraints = [
            models.UniqueConstraint(
                name="one_screening_a_day",
                fields=["patient", "screened_on"],
                condition=Q(voided_at__isnull=True),
            ),
            models.CheckConstraint(
                name="verdict_is_known", condition=Q(verdict__in=[v.value for v in protocol.VerdictState])
            ),
        ]

    def __str__(self) -> str:
        return f"screening of {self.patient_id} on {self.screened_on}"


class ScreeningAnswer(models.Model):
    """The answer to one criterion, with what it rests on."""

    patient = models.ForeignKey(Patient, models.PROTECT, related_name="+")
    screening = models.ForeignKey(Screening, models.PROTECT, related_name="answers")
    criterion = models.CharField(
        _("criterion"), max_length=16, choices=[(c.code, c.label) for c in protocol.CRITERIA]
    )
    answer = models.CharField(
        _("answer"), max_length=8, choices=[(a.value, protocol.ANSWER_LABELS[a]) for a in protocol.Answer]
    )
    evidence = models.CharField(_("evidence"), max_length=300, blank=True)
    evidence_on = models.DateField(_("date of the evidence"), null=True, blank=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ["screening", "id"]
        triggers = [*trail(patient="patient_id"), *locks()]
        constraints = [
            models.UniqueConstraint(name="one_answer_per_criterion", fields=["screening", "criterion"]),
            models.CheckConstraint(
                name="criterion_is_of_the_protocol", condition=Q(criterion__in=list(protocol.CRITERION_AT))
            ),
            models.CheckConstraint(
                name="answer_is_yes_no_or_unknown", condition=Q(answer__in=[a.value for a in protocol.Answer])
            ),
        ]

    def __str__(self) -> str:
        return f"{self.criterion}: {self.answer}"


class ScreeningFact(models.Model):
    """A value or a day that the automatic checks of a screening look at, as it was typed.

    ``value`` is exact and in the standard unit of its analyte, where it is one.
    """

    patient = models.ForeignKey(Patient, models.PROTECT, related_name="+")
    screening = models.ForeignKey(Screening, models.PROTECT, related_name="facts")
    fact = models.CharField(_("fact"), max_length=24, choices=vocabulary.labels(vocabulary.SCREENING_FACTS))
    value = models.DecimalField(
        _("value"), max_digits=20, decimal_places=units.STORED_PLACES, null=True, blank=True
    )
    typed_text = models.CharField(_("as typed"), max_length=64, blank=True)
    typed_unit = models.CharField(_("unit as typed"), max_length=12, blank=True)
    happened_on = models.DateField(_("date"), null=True, blank=True)
    source = models.CharField(
        _("source"),
        max_length=12,
        blank=True,
        choices=vocabulary.labels(vocabulary.FACT_SOURCES),
        db_default="",
        default="",
    )

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ["screening", "id"]
        triggers = [*trail(patient="patient_id"), *locks()]
        constraints = [
            models.UniqueConstraint(name="one_fact_of_a_kind_per_screening", fields=["screening", "fact"]),
            models.CheckConstraint(
                name="fact_is_known", condition=Q(fact__in=vocabulary.codes(vocabulary.SCREENING_FACTS))
            ),
            models.CheckConstraint(
                name="fact_has_a_value_or_a_date",
                condition=Q(value__isnull=False) | Q(happened_on__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.fact}: {self.typed_text or self.happened_on}"
