"""Who measured: laboratories, the units they report in, and their reference ranges."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from trial import protocol, units
from trial.triggers import refuse_overlap, trail

ANALYTES = [(a.code, a.label) for a in protocol.PANEL]


class LaboratoryQuerySet(models.QuerySet["Laboratory"]):
    def visible_to(self, user: object) -> LaboratoryQuerySet:
        """Keep the laboratories a person may choose: those of the site, and those that serve all."""
        if getattr(user, "sees_all_sites", False):
            return self.all()
        return self.filter(Q(site=None) | Q(site=getattr(user, "site_id", None)))


class Laboratory(models.Model):
    """A laboratory of one site, or one that serves all."""

    code = models.CharField(_("code"), max_length=12, unique=True)
    name = models.CharField(_("name"), max_length=120)
    site = models.ForeignKey(
        "trial.Site",
        models.PROTECT,
        null=True,
        blank=True,
        verbose_name=_("site"),
        related_name="laboratories",
    )
    is_active = models.BooleanField(_("in use"), default=True)
    version = models.PositiveIntegerField(default=1)

    objects = LaboratoryQuerySet.as_manager()

    class Meta:
        ordering = ["code"]
        verbose_name_plural = "laboratories"
        triggers = trail()
        constraints = [
            models.CheckConstraint(
                name="laboratory_code_is_letters_digits_and_dashes",
                condition=Q(code__regex=r"^[A-Z0-9][A-Z0-9-]{0,11}$"),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class LaboratoryUnit(models.Model):
    """The unit in which a laboratory reports an analyte, where it is not the standard one."""

    laboratory = models.ForeignKey(Laboratory, models.PROTECT, related_name="units")
    analyte = models.CharField(_("analyte"), max_length=16, choices=ANALYTES)
    unit = models.CharField(_("unit"), max_length=12)

    class Meta:
        ordering = ["laboratory", "id"]
        triggers = trail()
        constraints = [
            models.UniqueConstraint(
                name="one_unit_per_laboratory_and_analyte", fields=["laboratory", "analyte"]
            ),
            models.CheckConstraint(
                name="laboratory_unit_is_accepted",
                condition=models.Q(
                    *[Q(analyte=a.code, unit__in=list(a.accepted)) for a in protocol.PANEL], _connector=Q.OR
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.analyte} in {self.unit}"


class ReferenceRange(models.Model):
    """The normal range of an analyte at a laboratory, for a sex and ages, between two dates.

    ``low`` and ``high`` are in the analyte's standard unit; an empty side is
    open. Ages are whole years, both ends included; so are the dates. An empty
    sex holds for both. Two ranges of a laboratory never overlap.
    """

    laboratory = models.ForeignKey(Laboratory, models.PROTECT, related_name="ranges")
    analyte = models.CharField(_("analyte"), max_length=16, choices=ANALYTES)
    sex = models.CharField(
        _("sex"), max_length=1, blank=True, choices=[(s.value, protocol.SEX_LABELS[s]) for s in protocol.Sex]
    )
    age_from = models.PositiveSmallIntegerField(_("from age"), default=0)
    age_to = models.PositiveSmallIntegerField(_("to age"), default=150)
    valid_from = models.DateField(_("valid from"))
    valid_to = models.DateField(_("valid to"), null=True, blank=True)
    low = models.DecimalField(
        pgettext_lazy("limit of a range", "low"),
        max_digits=20,
        decimal_places=units.STORED_PLACES,
        null=True,
        blank=True,
    )
    high = models.DecimalField(
        pgettext_lazy("limit of a range", "high"),
        max_digits=20,
        decimal_places=units.STORED_PLACES,
        null=True,
        blank=True,
    )
    typed_unit = models.CharField(_("unit as typed"), max_length=12)
    version = models.PositiveIntegerField(default=1)
    voided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["laboratory", "analyte", "valid_from", "sex", "age_from", "id"]
        triggers = [*trail(), refuse_overlap()]
        indexes = [models.Index(fields=["laboratory", "analyte"], name="range_by_analyte")]
        constraints = [
            models.CheckConstraint(
                name="range_analyte_is_of_the_panel", condition=Q(analyte__in=list(protocol.ANALYTES))
            ),
            models.CheckConstraint(name="range_sex_is_known", condition=Q(sex__in=["", "F", "M"])),
            models.CheckConstraint(name="range_ages_are_in_order", condition=Q(age_to__gte=F("age_from"))),
            models.CheckConstraint(
                name="range_dates_are_in_order",
                condition=Q(valid_to__isnull=True) | Q(valid_to__gte=F("valid_from")),
            ),
            models.CheckConstraint(
                name="range_has_a_side", condition=Q(low__isnull=False) | Q(high__isnull=False)
            ),
            models.CheckConstraint(
                name="range_sides_are_in_order",
                condition=Q(low__isnull=True) | Q(high__isnull=True) | Q(high__gt=F("low")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.analyte} {self.low} to {self.high} from {self.valid_from}"
