"""Results, and what was done with them.

Runs, scores, cells and reports can be computed again from the study tables. Nothing is
overwritten: a run adds the scores and cells that changed at its revision, so that any
number can say what it was before and what moved it. Looks, exports taken and snapshots
are records of their own and cannot.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext

from patients.models.scope import ScopedQuerySet
from trial import marks
from trial.triggers import refuse_change, refuse_truncate


class Run(models.Model):
    """One refresh: results as of a revision of the data, by one version of the code.

    Runs follow one another under a lock, so a higher ``id`` is never older data.
    """

    revision = models.BigIntegerField()
    full = models.BooleanField()
    code_version = models.CharField(max_length=64)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()
    scores_computed = models.PositiveIntegerField(default=0)
    scores_changed = models.PositiveIntegerField(default=0)
    cells_computed = models.PositiveIntegerField(default=0)
    cells_changed = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["revision", "id"], name="run_by_revision")]

    def __str__(self) -> str:
        return f"run at r{self.revision}"


class Failure(models.Model):
    """A refresh that did not finish, so that pages can say so and the next try can wait."""

    revision = models.BigIntegerField()
    code_version = models.CharField(max_length=64)
    failed_at = models.DateTimeField()
    error = models.CharField(max_length=200)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["failed_at"], name="failure_by_time")]

    def __str__(self) -> str:
        return f"failure at r{self.revision}"


class Score(models.Model):
    """A score of one visit, from the run that last changed it; the newest row counts.

    ``value`` is unrounded (ten places); ``inputs`` lists what went in and what
    was clamped; ``why_not`` says why there is no value, ``obstacle`` the same as a
    translatable sentence. The scores of a voided visit end with a row that says so.
    """

    patient = models.ForeignKey(
        "patients.Patient", models.CASCADE, related_name="scores", db_constraint=False
    )
    visit = models.ForeignKey("patients.Visit", models.CASCADE, related_name="scores", db_constraint=False)
    variant = models.CharField(max_length=24)
    run = models.ForeignKey(Run, models.CASCADE, related_name="scores", db_constraint=False)
    revision = models.BigIntegerField()
    value = models.DecimalField(max_digits=16, decimal_places=10, null=True)
    reported = models.IntegerField(null=True)
    inputs = models.JSONField(default=list)
    why_not = models.CharField(max_length=200, blank=True)
    obstacle = models.JSONField(default=list)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ["visit", "variant", "-run"]
        constraints = [
            models.UniqueConstraint(name="one_score_per_run", fields=["visit", "variant", "run"]),
            models.CheckConstraint(
                name="score_has_either_a_value_or_a_reason",
                condition=Q(value__isnull=False, why_not="") | (Q(value__isnull=True) & ~Q(why_not="")),
            ),
        ]
        indexes = [models.Index(fields=["patient", "variant", "-run"], name="score_by_patient")]

    def __str__(self) -> str:
        return f"{self.variant} {self.value}"

    @property
    def why_in_words(self) -> str:
        """Why there is no value, in the reader's language; in English where only that was kept."""
        if not self.obstacle:
            return self.why_not
        text, *fields = self.obstacle
        known = dict(fields)
        for name in known.keys() & {"input", "inputs"}:
            known[name] = marks.listed(gettext(label) for label in known[name].split(", "))
        return gettext(text).format(**known)


class Cell(models.Model):
    """One comparison or description, from the run that last changed it; the newest row counts.

    The key is population, measure, groups, analyte and weeks. ``result`` holds
    every statistic (:mod:`analytics.cells`) but the adjusted p-values, which depend
    on the whole family and are worked out when cells are read; ``inputs`` is a
    hash of the numbers that went in.
    """

    population = models.CharField(max_length=12)
    measure = models.CharField(max_length=12)
    group1 = models.CharField(max_length=4)
    group2 = models.CharField(max_length=4, blank=True)
    analyte = models.CharField(max_length=24)
    week_from = models.SmallIntegerField()
    week_to = models.SmallIntegerField()
    run = models.ForeignKey(Run, models.CASCADE, related_name="cells", db_constraint=False)
    revision = models.BigIntegerField()
    inputs = models.CharField(max_length=64)
    result = models.JSONField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="one_cell_per_run",
                fields=[
                    "population",
                    "measure",
                    "group1",
                    "group2",
                    "analyte",
                    "week_from",
                    "week_to",
                    "run",
                ],
            ),
        ]

    def __str__(self) -> str:
        return f"{self.measure} {self.group1}-{self.group2} {self.analyte} {self.week_from}-{self.week_to}"


class Report(models.Model):
    """What is worked out when somebody asks for it (:mod:`analytics.reports`), kept for the next reader.

    ``key`` names what was asked within ``kind``. A row is never changed: another
    revision of the data, or other code, is another row.
    """

    kind = models.CharField(max_length=24)
    key = models.CharField(max_length=200, blank=True)
    revision = models.BigIntegerField()
    code_version = models.CharField(max_length=64)
    made_at = models.DateTimeField()
    body = models.JSONField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="one_report_per_revision", fields=["kind", "key", "revision", "code_version"]
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.key} at r{self.revision}"


class Look(models.Model):
    """Somebody looked at results: a page, as of a revision; once per person and revision.

    How often results were looked at while a study ran belongs to an honest report of it.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    page = models.CharField(max_length=120)
    revision = models.BigIntegerField()
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(name="one_look_per_revision", fields=["page", "user", "revision"]),
        ]

    def __str__(self) -> str:
        return f"{self.page} at r{self.revision}"


class ExportRecord(models.Model):
    """Data left the house: who took what, in which form and why. Only ever added to.

    ``rows`` maps each file to its number of rows; ``sha256`` is the hash of the
    manifest, which names the hash of every file.
    """

    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    made_at = models.DateTimeField(db_default=Now(), editable=False)
    source = models.CharField(max_length=40)
    identified = models.BooleanField()
    purpose = models.CharField(max_length=300, blank=True)
    population = models.CharField(max_length=20, blank=True)
    format = models.CharField(max_length=20)
    snapshot = models.ForeignKey("Snapshot", models.PROTECT, null=True, related_name="exports")
    revision = models.BigIntegerField()
    rows = models.JSONField(default=dict)
    sha256 = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ["-id"]
        triggers = [*refuse_change(), refuse_truncate()]
        constraints = [
            models.CheckConstraint(
                name="identified_export_has_a_purpose", condition=Q(identified=False) | ~Q(purpose="")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.format} of r{self.revision} by {self.by_id}"


class Snapshot(models.Model):
    """Data, results, code and environment of one revision, frozen (:mod:`analytics.snapshots`).

    ``manifest`` is the text that names every file with its SHA-256, ``sha256`` the hash
    of that text: whoever knows it can tell whether one byte of anything has changed.
    Who froze it, when and why stands beside it, so that freezing the same
    data with the same software again gives the same hash. The database refuses
    to change or delete a row; the blocks hold one archive of all files.
    """

    title = models.CharField(max_length=120)
    purpose = models.CharField(max_length=500)
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    made_at = models.DateTimeField()
    revision = models.BigIntegerField()
    run = models.BigIntegerField()
    code_version = models.CharField(max_length=64)
    manifest = models.TextField()
    sha256 = models.CharField(max_length=64)
    size = models.BigIntegerField()

    class Meta:
        ordering = ["-id"]
        triggers = [*refuse_change(), refuse_truncate()]
        constraints = [
            models.CheckConstraint(
                name="snapshot_names_a_hash", condition=Q(sha256__regex=r"^[0-9a-f]{64}$")
            ),
            models.CheckConstraint(name="snapshot_has_a_title", condition=~Q(title="")),
        ]

    def __str__(self) -> str:
        return f"snapshot {self.pk} at r{self.revision}"


class SnapshotBlock(models.Model):
    """A piece of the archive of a snapshot: the pieces in order are the file that is taken away."""

    snapshot = models.ForeignKey(Snapshot, models.PROTECT, related_name="blocks")
    place = models.PositiveIntegerField()
    content = models.BinaryField()

    class Meta:
        ordering = ["snapshot", "place"]
        triggers = [*refuse_change(), refuse_truncate()]
        constraints = [
            models.UniqueConstraint(name="one_block_per_place", fields=["snapshot", "place"]),
        ]

    def __str__(self) -> str:
        return f"block {self.place} of {self.snapshot_id}"
