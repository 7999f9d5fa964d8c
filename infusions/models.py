"""Cell lots and what was given of them."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from infusions import dosing
from patients.models.scope import ScopedQuerySet
from trial import protocol, vocabulary
from trial.triggers import locks, refuse_change, trail


class CellLot(models.Model):
    """A batch of cells under an opaque code."""

    code = models.CharField(_("lot"), max_length=24, unique=True)
    donor_code = models.CharField(_("donor code"), max_length=40, blank=True)
    passage = models.PositiveSmallIntegerField(_("passage"), null=True, blank=True)
    viability_percent = models.DecimalField(
        _("viability, %"), max_digits=5, decimal_places=2, null=True, blank=True
    )
    expires_on = models.DateField(_("expires on"), null=True, blank=True)
    release = models.CharField(
        _("release"),
        max_length=12,
        choices=vocabulary.labels(vocabulary.RELEASE_STATES),
        default="quarantine",
        db_default="quarantine",
    )
    bags = models.PositiveSmallIntegerField(_("bags"), null=True, blank=True)
    site = models.ForeignKey("trial.Site", models.PROTECT, null=True, blank=True, verbose_name=_("site"))
    version = models.PositiveIntegerField(default=1, db_default=1)

    class Meta:
        ordering = ["code"]
        triggers = trail()
        constraints = [
            models.CheckConstraint(
                name="lot_code_is_letters_digits_and_dashes",
                condition=Q(code__regex=r"^[A-Z0-9][A-Z0-9_.-]{0,23}$"),
            ),
            models.CheckConstraint(
                name="lot_release_is_known",
                condition=Q(release__in=vocabulary.codes(vocabulary.RELEASE_STATES)),
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
    reaction_grade = models.PositiveSmallIntegerField(_("grade of the reaction"), null=True, blank=True)
    vein = models.CharField(
        _("vein"),
        max_length=16,
        blank=True,
        default="",
        db_default="",
        choices=vocabulary.labels(vocabulary.VEINS),
    )
    bag = models.CharField(_("bag"), max_length=24, blank=True, default="", db_default="")
    interruption = models.CharField(_("interruption"), max_length=200, blank=True, default="", db_default="")
    observed_until = models.DateTimeField(_("observed until"), null=True, blank=True)
    checked_by = models.CharField(
        _("identity checked by"), max_length=80, blank=True, default="", db_default=""
    )
    version = models.PositiveIntegerField(default=1)
    voided_at = models.DateTimeField(null=True, blank=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ["patient", "number", "id"]
        triggers = [*trail(patient="patient_id"), *locks()]
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
                name="vein_is_known", condition=Q(vein__in=["", *vocabulary.codes(vocabulary.VEINS)])
            ),
            models.CheckConstraint(
                name="reaction_grade_is_0_to_5",
                condition=Q(reaction_grade__isnull=True) | Q(reaction_grade__lte=5),
            ),
            models.CheckConstraint(
                name="infusion_stops_after_it_starts",
                condition=Q(started_at__isnull=True)
                | Q(stopped_at__isnull=True)
                | Q(stopped_at__gt=F("started_at"))
                | Q(started_at__gte=dosing.LATE, stopped_at__lte=dosing.EARLY),
            ),
        ]

    def __str__(self) -> str:
        return f"infusion {self.number} on {self.given_on}"


class ReleaseTest(models.Model):
    """One test of a lot before its release, with its result as the certificate says it."""

    lot = models.ForeignKey(CellLot, models.PROTECT, related_name="release_tests")
    test = models.CharField(_("test"), max_length=12, choices=vocabulary.labels(vocabulary.RELEASE_TESTS))
    result = models.CharField(
        _("result"), max_length=8, choices=vocabulary.labels(vocabulary.RELEASE_RESULTS), default="pending"
    )
    finding = models.CharField(_("finding"), max_length=120, blank=True)
    tested_on = models.DateField(_("tested on"), null=True, blank=True)
    version = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["lot", "id"]
        triggers = trail()
        constraints = [
            models.UniqueConstraint(name="one_result_per_release_test", fields=["lot", "test"]),
            models.CheckConstraint(
                name="release_test_is_known", condition=Q(test__in=vocabulary.codes(vocabulary.RELEASE_TESTS))
            ),
            models.CheckConstraint(
                name="release_result_is_known",
                condition=Q(result__in=vocabulary.codes(vocabulary.RELEASE_RESULTS)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.test}: {self.result}"


class CustodyEvent(models.Model):
    """A step of a lot, or of one bag of it, from the cord to the ward; never changed, only added to."""

    lot = models.ForeignKey(CellLot, models.PROTECT, related_name="custody")
    bag = models.CharField(_("bag"), max_length=24, blank=True)
    step = models.CharField(_("step"), max_length=12, choices=vocabulary.labels(vocabulary.CUSTODY_STEPS))
    happened_at = models.DateTimeField(_("when"))
    place = models.CharField(_("where"), max_length=80, blank=True)
    person = models.CharField(_("who"), max_length=80, blank=True)
    temperature_c = models.DecimalField(
        _("temperature, °C"), max_digits=5, decimal_places=1, null=True, blank=True
    )
    note = models.CharField(_("note"), max_length=300, blank=True)

    class Meta:
        ordering = ["lot", "happened_at", "id"]
        triggers = [*trail(), *refuse_change()]
        constraints = [
            models.CheckConstraint(
                name="custody_step_is_known", condition=Q(step__in=vocabulary.codes(vocabulary.CUSTODY_STEPS))
            ),
            models.CheckConstraint(
                name="custody_temperature_is_possible",
                condition=Q(temperature_c__isnull=True) | Q(temperature_c__gte=-273, temperature_c__lte=60),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.step} {self.happened_at}"


class VitalSigns(models.Model):
    """Vital signs at one moment of an infusion."""

    patient = models.ForeignKey("patients.Patient", models.PROTECT, related_name="+")
    infusion = models.ForeignKey(Infusion, models.PROTECT, related_name="vitals")
    moment = models.CharField(_("moment"), max_length=8, choices=vocabulary.labels(vocabulary.VITAL_MOMENTS))
    temperature_c = models.DecimalField(
        _("temperature, °C"), max_digits=3, decimal_places=1, null=True, blank=True
    )
    pulse = models.PositiveSmallIntegerField(_("pulse, /min"), null=True, blank=True)
    systolic = models.PositiveSmallIntegerField(_("systolic, mmHg"), null=True, blank=True)
    diastolic = models.PositiveSmallIntegerField(_("diastolic, mmHg"), null=True, blank=True)
    respiration = models.PositiveSmallIntegerField(_("breaths, /min"), null=True, blank=True)
    saturation = models.PositiveSmallIntegerField(_("SpO2, %"), null=True, blank=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ["infusion", "id"]
        verbose_name_plural = "vital signs"
        triggers = [*trail(patient="patient_id"), *locks()]
        constraints = [
            models.UniqueConstraint(name="one_set_of_vitals_per_moment", fields=["infusion", "moment"]),
            models.CheckConstraint(
                name="vital_moment_is_known",
                condition=Q(moment__in=vocabulary.codes(vocabulary.VITAL_MOMENTS)),
            ),
            models.CheckConstraint(
                name="temperature_is_32_to_43",
                condition=Q(temperature_c__isnull=True) | Q(temperature_c__gte=32, temperature_c__lte=43),
            ),
            models.CheckConstraint(
                name="saturation_is_a_percentage",
                condition=Q(saturation__isnull=True) | Q(saturation__lte=100),
            ),
        ]

    def __str__(self) -> str:
        return f"vitals {self.moment}"


class PlannedInfusion(models.Model):
    """An infusion that is planned for a day with a lot set aside, or that was called off."""

    patient = models.ForeignKey("patients.Patient", models.PROTECT, related_name="planned_infusions")
    number = models.PositiveSmallIntegerField(_("infusion"))
    planned_on = models.DateField(_("planned for"), null=True, blank=True)
    planned_at = models.TimeField(_("hour"), null=True, blank=True)
    lot = models.ForeignKey(CellLot, models.PROTECT, null=True, blank=True, related_name="planned_infusions")
    not_done = models.CharField(
        _("not given because"),
        max_length=12,
        blank=True,
        default="",
        choices=vocabulary.labels(vocabulary.NOT_DONE_REASONS),
    )
    note = models.CharField(_("note"), max_length=300, blank=True, default="")
    version = models.PositiveIntegerField(default=1)
    voided_at = models.DateTimeField(null=True, blank=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ["patient", "number", "id"]
        triggers = [*trail(patient="patient_id"), *locks()]
        constraints = [
            models.UniqueConstraint(
                name="one_plan_per_infusion",
                fields=["patient", "number"],
                condition=Q(voided_at__isnull=True),
            ),
            models.CheckConstraint(
                name="planned_number_is_of_the_protocol",
                condition=Q(number__gte=1, number__lte=protocol.MOST_INFUSIONS),
            ),
            models.CheckConstraint(
                name="plan_has_a_day_or_a_reason",
                condition=Q(planned_on__isnull=False, not_done="")
                | Q(not_done__in=vocabulary.codes(vocabulary.NOT_DONE_REASONS)),
            ),
        ]

    def __str__(self) -> str:
        return f"infusion {self.number} planned for {self.planned_on}"


class CourseDecision(models.Model):
    """The decision, due with the fifth infusion, to prolong the course or to stop."""

    patient = models.ForeignKey("patients.Patient", models.PROTECT, related_name="course_decisions")
    decided_on = models.DateField(_("decided on"))
    decision = models.CharField(
        _("decision"), max_length=8, choices=vocabulary.labels(vocabulary.COURSE_DECISIONS)
    )
    grounds = models.CharField(_("grounds"), max_length=300)
    decided_by = models.CharField(_("decided by"), max_length=80, blank=True, default="", db_default="")
    version = models.PositiveIntegerField(default=1)
    voided_at = models.DateTimeField(null=True, blank=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ["patient", "decided_on", "id"]
        triggers = [*trail(patient="patient_id"), *locks()]
        constraints = [
            models.UniqueConstraint(
                name="one_course_decision", fields=["patient"], condition=Q(voided_at__isnull=True)
            ),
            models.CheckConstraint(
                name="course_decision_is_known",
                condition=Q(decision__in=vocabulary.codes(vocabulary.COURSE_DECISIONS)),
            ),
            models.CheckConstraint(name="course_decision_has_grounds", condition=~Q(grounds="")),
        ]

    def __str__(self) -> str:
        return f"{self.decision} on {self.decided_on}"
