"""What the columns of a laboratory's files mean, as a person once said."""

from __future__ import annotations

from django.db import models
from django.db.models import Q, Value
from django.utils.translation import gettext_lazy as _

from patients.models.laboratory import Laboratory
from trial.triggers import trail

KINDS = ("subjects", "screening", "infusions", "visits", "events")


class ImportMapping(models.Model):
    """The options under which files of one kind from one laboratory are read.

    ``options`` is the JSON of :class:`patients.imports.options.Options`; files
    that name no laboratory have a mapping of their own.
    """

    laboratory = models.ForeignKey(
        Laboratory,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="import_mappings",
        verbose_name=_("laboratory"),
    )
    kind = models.CharField(_("kind"), max_length=12)
    options = models.JSONField(default=dict)
    version = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["laboratory", "kind"]
        triggers = trail()
        constraints = [
            models.UniqueConstraint(
                name="one_mapping_per_laboratory_and_kind",
                fields=["laboratory", "kind"],
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                name="options_is_never_json_null", condition=~Q(options=Value(None, models.JSONField()))
            ),
            models.CheckConstraint(name="import_mapping_kind_is_known", condition=Q(kind__in=list(KINDS))),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.laboratory_id or 'any laboratory'}"
