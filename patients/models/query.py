"""Questions about data that somebody has to answer."""

from __future__ import annotations

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from patients.models.patient import Patient
from patients.models.scope import ScopedQuerySet
from patients.models.visit import Visit
from trial import vocabulary
from trial.triggers import Calls, refuse_change, trail


class DataQuery(models.Model):
    """A question about one field, opened by a person or by an edit check.

    ``check_code`` is the rule of an edit check, empty when a person asked.
    ``topic`` with ``visit``, ``number`` (of an infusion) or ``row`` (of
    another record) and ``field`` say what it is about.
    """

    patient = models.ForeignKey(Patient, models.PROTECT, related_name="data_queries")
    topic = models.CharField(_("about"), max_length=12, choices=vocabulary.labels(vocabulary.QUERY_TOPICS))
    visit = models.ForeignKey(Visit, models.PROTECT, null=True, blank=True, related_name="data_queries")
    number = models.PositiveSmallIntegerField(_("infusion"), null=True, blank=True)
    row = models.BigIntegerField(null=True, blank=True)
    field = models.CharField(_("field"), max_length=40, blank=True)
    check_code = models.CharField(_("edit check"), max_length=32, blank=True)
    state = models.CharField(
        _("state"), max_length=10, choices=vocabulary.labels(vocabulary.QUERY_STATES), default="open"
    )
    assigned_to = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("owner"),
    )
    opened_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    opened_at = models.DateTimeField(_("opened"))
    version = models.PositiveIntegerField(default=1)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ["-opened_at", "-id"]
        verbose_name_plural = "data queries"
        triggers = [
            *trail(patient="patient_id"),
            # what is closed stays as it is until it is opened again; a merge of two subjects may move it.
            # Spelled as PostgreSQL prints it, so that the start-up check can compare
            Calls(
                name="closed_stays",
                level=pgtrigger.Row,
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition(
                    "(((OLD.state)::text = 'closed'::text) AND ((NEW.state)::text <> 'open'::text)"
                    " AND (OLD.patient_id = NEW.patient_id))"
                ),
                execute="trial_refuse_change()",
            ),
        ]
        indexes = [
            models.Index(fields=["state", "patient"], name="query_by_state"),
        ]
        constraints = [
            models.CheckConstraint(
                name="query_state_is_known", condition=Q(state__in=vocabulary.codes(vocabulary.QUERY_STATES))
            ),
            models.CheckConstraint(
                name="query_topic_is_known", condition=Q(topic__in=vocabulary.codes(vocabulary.QUERY_TOPICS))
            ),
            # an edit check asks once about a field as long as its question stands
            models.UniqueConstraint(
                name="one_open_query_per_check_and_field",
                fields=["patient", "topic", "visit", "number", "row", "field", "check_code"],
                condition=~Q(state="closed") & ~Q(check_code=""),
                nulls_distinct=False,
            ),
        ]

    def __str__(self) -> str:
        return f"query {self.pk} on {self.field or self.topic}"


class QueryMessage(models.Model):
    """One step in the life of a query, with what was said.

    What an edit check says is kept as its sentence and the values in it (as JSON),
    so that it can be read in every language of the interface.
    """

    patient = models.ForeignKey(Patient, models.PROTECT, related_name="+")
    query = models.ForeignKey(DataQuery, models.PROTECT, related_name="messages")
    step = models.CharField(_("step"), max_length=10, choices=vocabulary.labels(vocabulary.QUERY_STEPS))
    text = models.CharField(_("text"), max_length=1000, blank=True)
    values = models.TextField(blank=True)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    written_at = models.DateTimeField()

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ["query", "id"]
        triggers = [
            *trail(patient="patient_id"),
            # what was said is only added to; a merge of two subjects may move it.
            # Spelled as PostgreSQL prints it, so that the start-up check can compare
            Calls(
                name="said_stays",
                level=pgtrigger.Row,
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition(
                    "((OLD.* IS DISTINCT FROM NEW.*) AND (OLD.patient_id = NEW.patient_id))"
                ),
                execute="trial_refuse_change()",
            ),
            *(each for each in refuse_change() if each.operation == pgtrigger.Delete),
        ]
        constraints = [
            models.CheckConstraint(
                name="query_step_is_known", condition=Q(step__in=vocabulary.codes(vocabulary.QUERY_STEPS))
            ),
        ]

    def __str__(self) -> str:
        return f"{self.step}: {self.text}"
