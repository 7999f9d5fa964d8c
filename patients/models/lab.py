"""What was measured, as typed and in the standard unit."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from patients.models.laboratory import Laboratory
from patients.models.patient import Patient
from patients.models.scope import ScopedQuerySet
from patients.models.visit import Visit
from patients.printing import decimals_as_reported
from trial import protocol, units
from trial.triggers import locks, trail


class LabResult(models.Model):
    """One analyte at one visit: a value, or a coded reason why there is none.

    ``value`` is exact and in the analyte's standard unit; ``typed_text`` and
    ``typed_unit`` keep what the report said. ``comparator`` is ``<`` or ``>``
    for a value beyond a detection limit.
    """

    class Comparator(models.TextChoices):
        EQUAL = "", "="
        BELOW = "<", "<"
        ABOVE = ">", ">"

    patient = models.ForeignKey(Patient, models.PROTECT, related_name="lab_results")
    visit = models.ForeignKey(Visit, models.PROTECT, related_name="lab_results")
    analyte = models.CharField(
        _("analyte"), max_length=16, choices=[(a.code, a.label) for a in protocol.PANEL]
    )
    value = models.DecimalField(
        _("value"), max_digits=20, decimal_places=units.STORED_PLACES, null=True, blank=True
    )
    comparator = models.CharField(max_length=1, choices=Comparator, default="", blank=True)
    typed_text = models.CharField(_("as typed"), max_length=64, blank=True)
    typed_unit = models.CharField(_("unit as typed"), max_length=12, blank=True)
    missing_reason = models.CharField(
        _("why there is no value"),
        max_length=16,
        blank=True,
        choices=[(r.code, r.label) for r in protocol.MISSING_REASONS],
    )
    sampled_at = models.DateTimeField(_("drawn at"), null=True, blank=True)
    laboratory = models.ForeignKey(
        Laboratory,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="results",
        verbose_name=_("laboratory"),
    )
    version = models.PositiveIntegerField(default=1)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ["visit", "id"]
        triggers = [*trail(patient="patient_id"), *locks(of="result")]
        indexes = [models.Index(fields=["patient", "analyte"], name="lab_by_patient")]
        constraints = [
            models.UniqueConstraint(name="one_result_per_visit_and_analyte", fields=["visit", "analyte"]),
            models.CheckConstraint(
                name="analyte_is_of_the_panel", condition=Q(analyte__in=list(protocol.ANALYTES))
            ),
            models.CheckConstraint(
                name="lab_has_either_a_value_or_a_reason_it_is_missing",
                condition=Q(value__isnull=False, missing_reason="")
                | (Q(value__isnull=True) & ~Q(missing_reason="")),
            ),
            models.CheckConstraint(
                name="missing_reason_is_known",
                condition=Q(missing_reason__in=["", *(r.code for r in protocol.MISSING_REASONS)]),
            ),
            models.CheckConstraint(
                name="comparator_is_below_or_above", condition=Q(comparator__in=["", "<", ">"])
            ),
            models.CheckConstraint(
                name="value_keeps_what_was_typed",
                condition=Q(value__isnull=True) | (~Q(typed_text="") & ~Q(typed_unit="")),
            ),
            models.CheckConstraint(
                name="value_is_within_the_hard_limits",
                condition=Q(value__isnull=True)
                | models.Q(
                    *[
                        Q(analyte=a.code)
                        & (Q(value__gte=a.hard.low) if a.hard.low is not None else Q())
                        & (Q(value__lte=a.hard.high) if a.hard.high is not None else Q())
                        for a in protocol.PANEL
                    ],
                    _connector=Q.OR,
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.analyte} {self.comparator}{self.value}"

    @property
    def is_converted(self) -> bool:
        """Whether the report gave another unit than the standard one."""
        return bool(self.typed_unit) and self.typed_unit != protocol.ANALYTES[self.analyte].unit

    @property
    def decimals(self) -> int:
        """How many decimals the value is printed with: no digit of the report is hidden."""
        usual = protocol.ANALYTES[self.analyte].decimals
        if self.value is None:
            return usual
        return decimals_as_reported(self.value, usual, converted=self.is_converted)
