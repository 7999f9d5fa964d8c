"""Eligibility: the criteria, answered, and what they amount to."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from patients.models.patient import Patient
from patients.models.scope import ScopedQuerySet
from trial import protocol
from trial.triggers import trail


class Screening(models.Model):
    """One screening of a subject; a subject may be screened again."""

    patient = models.ForeignKey(Patient, models.PROTECT, related_name="screenings")
    screened_on = models.DateField(_("screened on"))
    protocol_version = models.CharField(max_length=12, default=protocol.VERSION)
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
        triggers = trail(patient="patient_id")
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
        triggers = trail(patient="patient_id")
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
