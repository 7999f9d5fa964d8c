"""What was given besides the cells."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from patients.models.patient import Patient
from patients.models.scope import ScopedQuerySet
from trial import vocabulary
from trial.triggers import locks, trail


class Treatment(models.Model):
    """A treatment with its dates; the hours matter for what is drawn soon after plasma."""

    patient = models.ForeignKey(Patient, models.PROTECT, related_name="treatments")
    kind = models.CharField(_("treatment"), max_length=16, choices=vocabulary.labels(vocabulary.TREATMENTS))
    agent = models.CharField(_("agent"), max_length=80, blank=True)
    dose = models.CharField(_("dose"), max_length=80, blank=True)
    started_on = models.DateField(_("from"))
    started_at = models.TimeField(_("from, hour"), null=True, blank=True)
    ended_on = models.DateField(_("to"), null=True, blank=True)
    ended_at = models.TimeField(_("to, hour"), null=True, blank=True)
    note = models.CharField(_("note"), max_length=300, blank=True)
    version = models.PositiveIntegerField(default=1)
    voided_at = models.DateTimeField(null=True, blank=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ["patient", "started_on", "started_at", "id"]
        triggers = [*trail(patient="patient_id"), *locks()]
        constraints = [
            models.CheckConstraint(
                name="treatment_is_known", condition=Q(kind__in=vocabulary.codes(vocabulary.TREATMENTS))
            ),
            models.CheckConstraint(
                name="treatment_ends_after_it_starts",
                condition=Q(ended_on__isnull=True) | Q(ended_on__gte=F("started_on")),
            ),
            models.CheckConstraint(
                name="treatment_end_hour_has_a_day",
                condition=Q(ended_at__isnull=True) | Q(ended_on__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} from {self.started_on}"
