"""What happened to a subject."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from patients.models.patient import Patient
from patients.models.scope import ScopedQuerySet
from trial import protocol
from trial.triggers import trail


class Outcome(models.Model):
    """Death, transplant, withdrawal, loss or completion, with its day."""

    patient = models.ForeignKey(Patient, models.PROTECT, related_name="outcomes")
    kind = models.CharField(
        _("outcome"),
        max_length=12,
        choices=[(k.value, protocol.OUTCOME_LABELS[k]) for k in protocol.OutcomeKind],
    )
    happened_on = models.DateField(_("date"))
    note = models.CharField(_("note"), max_length=300, blank=True)
    version = models.PositiveIntegerField(default=1)
    voided_at = models.DateTimeField(null=True, blank=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ["patient", "happened_on", "id"]
        triggers = trail(patient="patient_id")
        constraints = [
            models.UniqueConstraint(
                name="one_outcome_of_a_kind", fields=["patient", "kind"], condition=Q(voided_at__isnull=True)
            ),
            models.CheckConstraint(
                name="outcome_is_known", condition=Q(kind__in=[k.value for k in protocol.OutcomeKind])
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} on {self.happened_on}"
