"""What happened to a subject: adverse events and their grades, and outcomes."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from patients.models.lab import LabResult
from patients.models.patient import Patient
from patients.models.scope import ScopedQuerySet
from trial import protocol, vocabulary
from trial.triggers import locks, trail


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
        triggers = [*trail(patient="patient_id"), *locks()]
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


class AdverseEvent(models.Model):
    """An adverse event, graded by CTCAE; ``term`` is a term of the criteria or free text.

    ``aware_at`` starts the clock of a serious event, ``reported_at`` stops it.
    ``lab_result`` is the result whose grade it was, when it came from one.
    """

    patient = models.ForeignKey(Patient, models.PROTECT, related_name="adverse_events")
    term = models.CharField(_("term"), max_length=120)
    grade = models.PositiveSmallIntegerField(_("grade"))
    ctcae_version = models.CharField(max_length=8, default="5.0")
    onset_on = models.DateField(_("since"))
    onset_at = models.TimeField(_("since, hour"), null=True, blank=True)
    ended_on = models.DateField(_("until"), null=True, blank=True)
    serious = models.CharField(
        _("serious because"), max_length=16, blank=True, choices=vocabulary.labels(vocabulary.SERIOUSNESS)
    )
    aware_at = models.DateTimeField(_("known to the site"), null=True, blank=True)
    reported_at = models.DateTimeField(_("reported"), null=True, blank=True)
    relation = models.CharField(
        _("relation to the infusions"),
        max_length=12,
        blank=True,
        choices=vocabulary.labels(vocabulary.RELATIONS),
    )
    action = models.CharField(
        _("action taken"), max_length=12, blank=True, choices=vocabulary.labels(vocabulary.EVENT_ACTIONS)
    )
    result = models.CharField(
        _("outcome of the event"),
        max_length=12,
        blank=True,
        choices=vocabulary.labels(vocabulary.EVENT_OUTCOMES),
    )
    lab_result = models.ForeignKey(
        LabResult, models.PROTECT, null=True, blank=True, related_name="adverse_events"
    )
    note = models.CharField(_("note"), max_length=300, blank=True)
    version = models.PositiveIntegerField(default=1)
    voided_at = models.DateTimeField(null=True, blank=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ["patient", "onset_on", "id"]
        triggers = [*trail(patient="patient_id"), *locks()]
        constraints = [
            models.CheckConstraint(name="event_has_a_term", condition=~Q(term="")),
            models.CheckConstraint(name="event_grade_is_1_to_5", condition=Q(grade__gte=1, grade__lte=5)),
            models.CheckConstraint(
                name="event_seriousness_is_known",
                condition=Q(serious__in=["", *vocabulary.codes(vocabulary.SERIOUSNESS)]),
            ),
            models.CheckConstraint(
                name="event_relation_is_known",
                condition=Q(relation__in=["", *vocabulary.codes(vocabulary.RELATIONS)]),
            ),
            models.CheckConstraint(
                name="event_ends_after_it_starts",
                condition=Q(ended_on__isnull=True) | Q(ended_on__gte=F("onset_on")),
            ),
            models.CheckConstraint(
                name="serious_event_has_the_hour_it_was_known",
                condition=Q(serious="") | Q(aware_at__isnull=False),
            ),
            models.CheckConstraint(
                name="event_is_reported_after_it_is_known",
                condition=Q(reported_at__isnull=True)
                | Q(aware_at__isnull=False, reported_at__gte=F("aware_at")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.term}, grade {self.grade}"


class ConfirmedGrade(models.Model):
    """The CTCAE grade of a result as a person confirmed it; 0 when it is none."""

    patient = models.ForeignKey(Patient, models.PROTECT, related_name="confirmed_grades")
    lab_result = models.ForeignKey(LabResult, models.PROTECT, related_name="confirmed_grades")
    term = models.CharField(_("term"), max_length=120)
    grade = models.PositiveSmallIntegerField(_("grade"))
    proposed = models.PositiveSmallIntegerField(_("proposed"))
    against_baseline = models.BooleanField(_("against an abnormal baseline"), default=False)
    ctcae_version = models.CharField(max_length=8, default="5.0")
    result_version = models.PositiveIntegerField()
    confirmed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    confirmed_at = models.DateTimeField()
    version = models.PositiveIntegerField(default=1)
    voided_at = models.DateTimeField(null=True, blank=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ["patient", "lab_result", "id"]
        triggers = [*trail(patient="patient_id"), *locks()]
        constraints = [
            models.UniqueConstraint(
                name="one_confirmed_grade_per_result_and_term",
                fields=["lab_result", "term"],
                condition=Q(voided_at__isnull=True),
            ),
            models.CheckConstraint(
                name="confirmed_grade_is_0_to_5",
                condition=Q(grade__lte=5, proposed__lte=5),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.term}, grade {self.grade}"
