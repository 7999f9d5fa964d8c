"""Who compared data with their source, and who put a name to them."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from patients.models.patient import Patient
from patients.models.scope import ScopedQuerySet
from patients.models.visit import Visit
from trial import vocabulary
from trial.triggers import trail


class Verification(models.Model):
    """A record that a monitor compared with its source.

    It holds for the version that was compared: a later change of the row leaves
    the verification standing and visibly out of date.
    """

    patient = models.ForeignKey(Patient, models.PROTECT, related_name="verifications")
    table = models.CharField(max_length=63)
    row = models.BigIntegerField()
    row_version = models.PositiveIntegerField()
    verified_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    verified_at = models.DateTimeField()
    voided_at = models.DateTimeField(null=True, blank=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ["patient", "table", "row"]
        triggers = trail(patient="patient_id")
        constraints = [
            models.UniqueConstraint(
                name="one_verification_per_row", fields=["table", "row"], condition=Q(voided_at__isnull=True)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.table} {self.row}, version {self.row_version}"


class Signature(models.Model):
    """A name under a visit, or under the whole casebook when there is no visit.

    ``digest`` is the SHA-256 of the signed values: when it no longer equals that
    of today's, the signature is void, and the page says so.
    """

    patient = models.ForeignKey(Patient, models.PROTECT, related_name="signatures")
    visit = models.ForeignKey(Visit, models.PROTECT, null=True, blank=True, related_name="signatures")
    meaning = models.CharField(
        _("meaning"), max_length=12, choices=vocabulary.labels(vocabulary.SIGNATURE_MEANINGS)
    )
    signed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    printed_name = models.CharField(_("name"), max_length=160)
    signed_at = models.DateTimeField(_("signed"))
    digest = models.CharField(max_length=64)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ["patient", "-signed_at", "-id"]
        triggers = trail(patient="patient_id")
        constraints = [
            models.CheckConstraint(
                name="signature_meaning_is_known",
                condition=Q(meaning__in=vocabulary.codes(vocabulary.SIGNATURE_MEANINGS)),
            ),
            models.CheckConstraint(
                name="signature_digest_is_sha256", condition=Q(digest__regex=r"^[0-9a-f]{64}$")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.printed_name}, {self.meaning}"
