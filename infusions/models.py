"""Cell lots and what was given of them."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from infusions import dosing
from patients.models.scope import ScopedQuerySet
from trial import protocol
from trial.triggers import trail


class CellLot(models.Model):
    """A batch of cells under an opaque code."""

    code = models.CharField(_("lot"), max_length=24, unique=True)
    donor_code = models.CharField(_("donor code"), max_length=40, blank=True)
    passage = models.PositiveSmallIntegerField(_("passage"), null=True, blank=True)
    viability_percent = models.DecimalField(
        _("viability, %"), max_digits=5, decimal_places=2, null=True, blank=True
    )
    expires_on = models.DateField(_("expires on"), null=True, blank=True)

    class Meta:
        ordering = ["code"]
        triggers = trail()
        constraints = [
            models.CheckConstraint(
                name="lot_code_is_letters_digits_and_dashes",
                condition=Q(code__regex=r"^[A-Z0-9][A-Z0-9_.-]{0,23}$"),
            ),
            models.CheckConstraint(
                name="viability_is_a_percentage",
                condition=Q(viability_percent__isnull=True)
                | Q(viability_percent__gte=0, viability_percent__lte=100),
            ),
        ]

    def __str__(self) -> str:
        return self.code


class Infusion(models.Model):
    """One infusion that was given. Voided, never deleted; the number is its place in the course.

    ``cells`` is the number of cells given in all. Old files may not tell weight,
    cells, volume or lot: then they are empty, never invented. ``deviation`` is the
    coded cause of what lies outside the protocol; what that is, is derived.
    """

    patient = models.ForeignKey("patients.Patient", models.PROTECT, related_name="infusions")
    number = models.PositiveSmallIntegerField(_("infusion"))
    given_on = models.DateField(_("given on"))
    started_at = models.TimeField(_("started at"), null=True, blank=True)
    stopped_at = models.TimeField(_("stopped at"), null=True, blank=True)
    weight_kg = models.DecimalField(_("weight, kg"), max_digits=5, decimal_places=1, null=True, blank=True)
    cells = models.DecimalField(_("cells"), max_digits=14, decimal_places=0, null=True, blank=True)
    volume_ml = models.DecimalField(_("volume, mL"), max_digits=6, decimal_places=1, null=True, blank=True)
    lot = models.ForeignKey(CellLot, models.PROTECT, null=True, blank=True, related_name="infusions")
    deviation = models.CharField(
        _("deviation"), max_length=300, blank=True, choices=[(d.code, d.label) for d in dosing.DEVIATIONS]
    )
    deviation_note = models.CharField(
        _("note on the deviation"), max_length=300, blank=True, default="", db_default=""
    )
    reaction = models.CharField(_("reaction"), max_length=300, blank=True)
    version = models.PositiveIntegerField(default=1)
    voided_at = models.DateTimeField(null=True, blank=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ["patient", "number", "id"]
        triggers = trail(patient="patient_id")
        constraints = [
            models.UniqueConstraint(
                name="one_infusion_per_number",
                fields=["patient", "number"],
                condition=Q(voided_at__isnull=True),
            ),
            models.CheckConstraint(
                name="infusion_number_is_of_the_protocol",
                condition=Q(number__gte=1, number__lte=protocol.MOST_INFUSIONS),
            ),
            models.CheckConstraint(
                name="weight_is_25_to_250_kg",
                condition=Q(weight_kg__isnull=True) | Q(weight_kg__gte=25, weight_kg__lte=250),
            ),
            models.CheckConstraint(
                name="cells_are_more_than_none", condition=Q(cells__isnull=True) | Q(cells__gt=0)
            ),
            models.CheckConstraint(
                name="volume_is_more_than_none", condition=Q(volume_ml__isnull=True) | Q(volume_ml__gt=0)
            ),
            models.CheckConstraint(
                name="deviation_is_coded", condition=Q(deviation__in=["", *dosing.DEVIATION_AT])
            ),
            models.CheckConstraint(
                name="deviation_note_explains_a_deviation", condition=Q(deviation_note="") | ~Q(deviation="")
            ),
            models.CheckConstraint(
                name="infusion_stops_after_it_starts",
                condition=Q(started_at__isnull=True)
                | Q(stopped_at__isnull=True)
                | Q(stopped_at__gt=F("started_at")),
            ),
        ]

    def __str__(self) -> str:
        return f"infusion {self.number} on {self.given_on}"
