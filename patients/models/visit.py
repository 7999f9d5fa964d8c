"""When a subject was seen."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from patients.models.patient import Patient
from patients.models.scope import ScopedQuerySet
from trial import protocol, vocabulary
from trial.triggers import locks, trail


class Visit(models.Model):
    """A visit of the protocol (``week``) or an unscheduled draw (no week, but a date).

    ``visited_on`` is a day at the subject's site; it is empty where an old file
    gives only the week. ``not_done`` says why a planned visit did not take place.
    ``ascites`` and ``encephalopathy`` are graded at the bedside; empty where nobody did.
    """

    patient = models.ForeignKey(Patient, models.PROTECT, related_name="visits")
    week = models.PositiveSmallIntegerField(_("week"), null=True, blank=True)
    visited_on = models.DateField(_("date of visit"), null=True, blank=True)
    not_done = models.CharField(
        _("not done because"),
        max_length=12,
        blank=True,
        db_default="",
        default="",
        choices=vocabulary.labels(vocabulary.NOT_DONE_REASONS),
    )
    ascites = models.CharField(
        _("ascites"),
        max_length=8,
        blank=True,
        db_default="",
        default="",
        choices=vocabulary.labels(vocabulary.ASCITES),
    )
    encephalopathy = models.CharField(
        _("encephalopathy, West Haven"),
        max_length=1,
        blank=True,
        db_default="",
        default="",
        choices=vocabulary.labels(vocabulary.ENCEPHALOPATHY),
    )
    note = models.CharField(_("note"), max_length=300, blank=True, db_default="", default="")
    locked_at = models.DateTimeField(_("locked"), null=True, blank=True)
    version = models.PositiveIntegerField(default=1)
    voided_at = models.DateTimeField(null=True, blank=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ["patient", "visited_on", "week", "id"]
        triggers = [*trail(patient="patient_id"), *locks(of="visit")]
        indexes = [
            models.Index(fields=["locked_at"], name="locked_visit", condition=Q(locked_at__isnull=False)),
        ]
        constraints = [
            models.UniqueConstraint(
                name="one_visit_per_week",
                fields=["patient", "week"],
                condition=Q(voided_at__isnull=True, week__isnull=False),
            ),
            models.UniqueConstraint(
                name="one_unscheduled_visit_a_day",
                fields=["patient", "visited_on"],
                condition=Q(voided_at__isnull=True, week__isnull=True),
            ),
            # lets a lab result prove by a foreign key that its visit is its patient's
            models.UniqueConstraint(name="visit_with_its_patient", fields=["id", "patient"]),
            models.CheckConstraint(
                name="week_is_of_the_protocol", condition=Q(week__isnull=True) | Q(week__in=protocol.WEEKS)
            ),
            models.CheckConstraint(
                name="visit_not_done_is_planned_and_coded",
                condition=Q(not_done="")
                | Q(not_done__in=vocabulary.codes(vocabulary.NOT_DONE_REASONS), week__isnull=False),
            ),
            models.CheckConstraint(
                name="visit_has_a_week_or_a_date",
                condition=Q(week__isnull=False) | Q(visited_on__isnull=False),
            ),
            models.CheckConstraint(
                name="findings_are_coded",
                condition=Q(ascites__in=["", *vocabulary.codes(vocabulary.ASCITES)])
                & Q(encephalopathy__in=["", *vocabulary.codes(vocabulary.ENCEPHALOPATHY)]),
            ),
        ]

    def __str__(self) -> str:
        return f"week {self.week}" if self.week is not None else f"unscheduled {self.visited_on}"
