"""Subjects of the study, and who they are, kept apart."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from patients.models.scope import ScopedQuerySet
from trial import protocol
from trial.triggers import locks, refuse_change, trail


class PatientQuerySet(ScopedQuerySet):
    site_path = "site"

    def visible_to(self, user: Any) -> Self:
        """Keep the subjects this person may see; a code that was merged into another is none any more."""
        return self.ever_visible_to(user).filter(merged_into__isnull=True)

    def given_up(self, user: Any) -> Self:
        """Keep the codes of the person's sites that were merged into others."""
        return self.ever_visible_to(user).filter(merged_into__isnull=False)

    def ever_visible_to(self, user: Any) -> Self:
        """Keep every code of the person's sites, those that were given up included."""
        return super().visible_to(user)


class Patient(models.Model):
    """A subject under a code that says nothing about the person."""

    class Status(models.TextChoices):
        SCREENING = "screening", _("in screening")
        ENROLLED = "enrolled", _("enrolled")
        SCREEN_FAILED = "screen_failed", _("screen failure")

    subject_id = models.CharField(_("subject"), max_length=24, unique=True)
    site = models.ForeignKey("trial.Site", models.PROTECT, verbose_name=_("site"))
    sex = models.CharField(
        _("sex"), max_length=1, choices=[(s.value, protocol.SEX_LABELS[s]) for s in protocol.Sex]
    )
    birth_date = models.DateField(_("date of birth"), null=True, blank=True)
    age_at_recruitment = models.DecimalField(
        _("age at recruitment"), max_digits=9, decimal_places=6, null=True, blank=True
    )
    diagnosis = models.CharField(
        _("diagnosis"),
        max_length=20,
        choices=[(d.value, protocol.DIAGNOSIS_LABELS[d]) for d in protocol.Diagnosis],
    )
    recruited_on = models.DateField(_("recruited on"), null=True, blank=True)
    planned_course = models.CharField(
        _("planned course"),
        max_length=12,
        blank=True,
        choices=[(c.value, protocol.COURSE_LABELS[c]) for c in protocol.Course],
    )
    status = models.CharField(_("status"), max_length=16, choices=Status, default=Status.ENROLLED)
    locked_at = models.DateTimeField(_("locked"), null=True, blank=True)
    merged_into = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="merged", verbose_name=_("same person as")
    )
    version = models.PositiveIntegerField(default=1)

    objects = PatientQuerySet.as_manager()

    class Meta:
        ordering = ["subject_id"]
        triggers = [*trail(patient="id"), *locks(of="subject")]
        indexes = [
            models.Index(fields=["site", "subject_id"], name="patient_by_site"),
            models.Index(fields=["locked_at"], name="locked_patient", condition=Q(locked_at__isnull=False)),
        ]
        constraints = [
            models.CheckConstraint(
                name="subject_id_is_letters_digits_and_dashes",
                condition=Q(subject_id__regex=r"^[A-Z0-9][A-Z0-9_.-]{0,23}$"),
            ),
            models.CheckConstraint(name="sex_is_known", condition=Q(sex__in=[s.value for s in protocol.Sex])),
            models.CheckConstraint(
                name="diagnosis_is_known", condition=Q(diagnosis__in=[d.value for d in protocol.Diagnosis])
            ),
            models.CheckConstraint(
                name="planned_course_is_known",
                condition=Q(planned_course__in=["", *(c.value for c in protocol.Course)]),
            ),
            models.CheckConstraint(
                name="patient_status_is_known",
                condition=Q(status__in=["screening", "enrolled", "screen_failed"]),
            ),
            models.CheckConstraint(
                name="patient_is_not_merged_into_itself",
                condition=Q(merged_into__isnull=True) | ~Q(merged_into=models.F("id")),
            ),
            models.CheckConstraint(
                name="patient_has_a_birth_date_or_an_age",
                condition=Q(birth_date__isnull=False) | Q(age_at_recruitment__isnull=False),
            ),
            models.CheckConstraint(
                name="age_is_between_0_and_120",
                condition=Q(age_at_recruitment__isnull=True)
                | Q(age_at_recruitment__gte=0, age_at_recruitment__lte=120),
            ),
            models.CheckConstraint(
                name="recruited_after_birth",
                condition=Q(birth_date__isnull=True)
                | Q(recruited_on__isnull=True)
                | Q(recruited_on__gt=models.F("birth_date")),
            ),
        ]

    def __str__(self) -> str:
        return self.subject_id

    @property
    def diagnosis_code(self) -> str:
        """``LF`` or ``LC``."""
        return protocol.DIAGNOSIS_CODES[protocol.Diagnosis(self.diagnosis)]

    @property
    def end_of_observation(self) -> Any:
        """The death or transplant from whose day on values are left out of the analysis, or None."""
        ends = [protocol.OutcomeKind.DEATH, protocol.OutcomeKind.TRANSPLANT]
        valid = self.outcomes.filter(voided_at__isnull=True, kind__in=ends)
        return valid.order_by("happened_on", "kind").first()

    @property
    def end_of_follow_up(self) -> Any:
        """The outcome to tell whoever records something: the one that ends observation, else the first; None without."""
        valid = list(self.outcomes.filter(voided_at__isnull=True).order_by("happened_on", "kind"))
        ends = {protocol.OutcomeKind.DEATH, protocol.OutcomeKind.TRANSPLANT}
        return next((each for each in valid if each.kind in ends), valid[0] if valid else None)

    def age_on(self, day: date) -> int | None:
        """Return the age in whole years on a day, or None when it cannot be known."""
        if self.birth_date is not None:
            before_birthday = (day.month, day.day) < (self.birth_date.month, self.birth_date.day)
            return day.year - self.birth_date.year - before_birthday
        if self.age_at_recruitment is None:
            return None
        if self.recruited_on is None:
            return int(self.age_at_recruitment)
        return int(self.age_at_recruitment + Decimal((day - self.recruited_on).days) / Decimal("365.25"))


class PatientIdentity(models.Model):
    """Who a subject is: seen only with a permission of its own, never exported."""

    patient = models.OneToOneField(Patient, models.PROTECT, related_name="identity")
    name = models.CharField(_("name"), max_length=120, blank=True)
    hospital_number = models.CharField(_("hospital number"), max_length=40, blank=True)
    phone = models.CharField(_("telephone"), max_length=40, blank=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "patient identities"
        triggers = trail(patient="patient_id")

    def __str__(self) -> str:
        return f"identity of {self.patient_id}"


class IdentityView(models.Model):
    """Somebody looked at who a subject is. The log of that is only ever added to."""

    class Purpose(models.TextChoices):
        CARE = "care", _("care of the patient")
        CONTACT = "contact", _("to reach the patient")
        CHECK = "check", _("to check the record")

    patient = models.ForeignKey(Patient, models.PROTECT, related_name="identity_views")
    viewer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    viewed_at = models.DateTimeField(db_default=Now(), editable=False)
    purpose = models.CharField(_("purpose"), max_length=8, choices=Purpose, default=Purpose.CARE)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ["-viewed_at", "-id"]
        triggers = refuse_change()
        indexes = [models.Index(fields=["patient", "-viewed_at"], name="identity_view_by_patient")]
        constraints = [
            models.CheckConstraint(
                name="identity_view_has_a_purpose", condition=Q(purpose__in=["care", "contact", "check"])
            ),
        ]

    def __str__(self) -> str:
        return f"{self.viewer_id} saw {self.patient_id} at {self.viewed_at}"
