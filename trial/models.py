"""Sites, people, the trail and long work."""

from __future__ import annotations

import re
import uuid

from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from trial import roles
from trial.exact_json import ExactDecoder
from trial.triggers import entry_triggers, refuse_change, revision_triggers, trail


class Site(models.Model):
    """A hospital of the study. Dates of its patients are days in its time zone."""

    code = models.CharField(_("code"), max_length=8, unique=True)
    name = models.CharField(_("name"), max_length=120)
    time_zone = models.CharField(_("time zone"), max_length=64, default="Asia/Shanghai")
    frozen_at = models.DateTimeField(_("frozen"), null=True, blank=True)

    class Meta:
        ordering = ["code"]
        triggers = trail()
        constraints = [
            models.CheckConstraint(
                name="site_code_is_capital_letters", condition=Q(code__regex=r"^[A-Z]{1,8}$")
            ),
        ]

    def __str__(self) -> str:
        return self.name


class User(AbstractUser):
    """A person, or the service account under which the software itself writes."""

    role = models.CharField(
        _("role"),
        max_length=20,
        blank=True,
        choices=[(r.value, label) for r, label in roles.ROLE_LABELS.items()],
    )
    site = models.ForeignKey(Site, models.PROTECT, null=True, blank=True, verbose_name=_("site"))

    class Meta(AbstractUser.Meta):
        triggers = trail(hidden=("password", "last_login"))
        constraints = [
            models.CheckConstraint(
                name="site_role_has_a_site",
                condition=~Q(role__in=sorted(roles.SITE_ROLES)) | Q(site__isnull=False),
            ),
            models.CheckConstraint(
                name="role_is_known", condition=Q(role__in=["", *(role.value for role in roles.Role)])
            ),
        ]

    def may(self, permission: roles.Permission) -> bool:
        """Return whether this person holds a permission."""
        return roles.allowed(self, permission)

    @property
    def sees_all_sites(self) -> bool:
        return bool(self.role) and roles.Role(self.role) not in roles.SITE_ROLES

    @property
    def shown_name(self) -> str:
        """Family name first, as names are written where the study runs."""
        parts = [part for part in (self.last_name, self.first_name) if part]
        between = "" if re.fullmatch("[\u3400-\u9fff\u00b7]+", "".join(parts)) else " "
        return between.join(parts) or self.username

    @property
    def initials(self) -> str:
        parts = [part for part in (self.last_name, self.first_name) if part] or [self.username]
        return "".join(part[0] for part in parts).upper()[:2]


class Revision(models.Model):
    """One transaction that changed study data, like a commit.

    Written by the trail alone. ``number`` is given at commit: without gaps and
    in the order in which the transactions became visible.
    """

    number = models.BigIntegerField(unique=True, null=True, editable=False)
    sealed = models.BooleanField(default=False, editable=False)
    txid = models.BigIntegerField(editable=False)
    made_at = models.DateTimeField(editable=False)
    actor = models.ForeignKey(User, models.PROTECT, related_name="revisions", editable=False)
    reason = models.TextField(editable=False)
    source = models.TextField(editable=False)
    request_id = models.TextField(editable=False)

    class Meta:
        ordering = [F("number").desc(nulls_last=True)]
        triggers = revision_triggers()
        indexes = [
            models.Index(fields=["actor", "-number"], name="revision_by_actor"),
            models.Index(fields=["request_id"], name="revision_by_request", condition=~Q(request_id="")),
        ]

    def __str__(self) -> str:
        return f"r{self.number}"


class AuditEntry(models.Model):
    """One row that a revision wrote: before, after, and whose it is."""

    class Op(models.TextChoices):
        INSERT = "I", _("entered")
        UPDATE = "U", _("changed")
        DELETE = "D", _("deleted")

    # only the trail writes here, so the check of the foreign key would cost and prove nothing
    revision = models.ForeignKey(
        Revision, models.PROTECT, related_name="entries", db_constraint=False, db_index=False, editable=False
    )
    table = models.CharField(max_length=63, editable=False)
    row = models.BigIntegerField(editable=False)
    op = models.CharField(max_length=1, choices=Op, editable=False)
    patient_id = models.BigIntegerField(null=True, editable=False)
    old = models.JSONField(null=True, editable=False, decoder=ExactDecoder)
    new = models.JSONField(null=True, editable=False, decoder=ExactDecoder)

    class Meta:
        ordering = ["id"]
        triggers = entry_triggers()
        indexes = [
            # of a revision: which subjects it touched, and whether it changed anything, without reading its rows
            models.Index(fields=["revision", "op", "patient_id"], name="entry_by_revision"),
            models.Index(fields=["table", "row", "-id"], name="entry_by_row"),
            models.Index(
                fields=["patient_id", "-revision"],
                name="entry_by_patient",
                condition=Q(patient_id__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.op} {self.table} {self.row}"


class AccountEvent(models.Model):
    """What was done to an account, passwords and locks included: a log that is only ever added to.

    Rights are study data and their changes are in the trail besides; a password
    is not, and nothing of it ever stands here.
    """

    class Kind(models.TextChoices):
        CREATED = "created", _("account created")
        CHANGED = "changed", _("name, role or site changed")
        DEACTIVATED = "deactivated", _("account deactivated")
        REACTIVATED = "reactivated", _("account reactivated")
        PASSWORD_RESET = "password_reset", _("password reset")
        PASSWORD_CHANGED = "password_changed", _("own password changed")
        CODES_ON = "codes_on", _("second factor set up")
        CODES_OFF = "codes_off", _("second factor removed")
        UNLOCKED = "unlocked", _("unlocked after failed logins")
        SITE_OPENED = "site_opened", _("site opened")
        TOKEN_MADE = "token_made", _("token for the API made")
        TOKEN_REVOKED = "token_revoked", _("token for the API revoked")

    account = models.ForeignKey(
        User, models.PROTECT, null=True, related_name="account_events", verbose_name=_("account")
    )
    by = models.ForeignKey(User, models.PROTECT, related_name="+", verbose_name=_("by"))
    kind = models.CharField(_("what"), max_length=20, choices=Kind)
    note = models.CharField(_("note"), max_length=300, blank=True)
    happened_at = models.DateTimeField(_("when"), db_default=Now(), editable=False)

    class Meta:
        ordering = ["-happened_at", "-id"]
        triggers = refuse_change()
        indexes = [models.Index(fields=["account", "-happened_at"], name="event_by_account")]
        constraints = [
            models.CheckConstraint(
                name="account_event_kind_is_known",
                condition=Q(
                    kind__in=[
                        "created",
                        "changed",
                        "deactivated",
                        "reactivated",
                        "password_reset",
                        "password_changed",
                        "codes_on",
                        "codes_off",
                        "unlocked",
                        "site_opened",
                        "token_made",
                        "token_revoked",
                    ]
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.account_id} by {self.by_id}"


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    def visible_to(self, user: User) -> ApiTokenQuerySet:
        """Keep the tokens of this person: nobody else sees that they exist."""
        return self.filter(owner=user)


class ApiToken(models.Model):
    """What a program shows to act for a person: never more than the person may, only what its scopes say.

    The token itself is shown once; here stands its SHA-256.
    """

    class Scope(models.TextChoices):
        READ_DATASETS = "datasets:read", _("read datasets")
        READ_IDENTIFIED = "datasets:identified", _("read datasets with what identifies")
        READ_OBSERVATIONS = "observations:read", _("read subjects and laboratory values")
        WRITE_OBSERVATIONS = "observations:write", _("write laboratory values")

    owner = models.ForeignKey(User, models.PROTECT, related_name="api_tokens")
    name = models.CharField(_("name"), max_length=80)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    start = models.CharField(max_length=12, editable=False)
    scopes = ArrayField(models.CharField(max_length=24, choices=Scope), verbose_name=_("scopes"))
    made_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField(_("valid until"))
    last_used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        ordering = ["-made_at", "-id"]
        indexes = [models.Index(fields=["owner", "-made_at"], name="token_by_owner")]
        constraints = [
            models.CheckConstraint(
                name="token_scopes_are_known",
                condition=Q(
                    scopes__contained_by=[
                        "datasets:read",
                        "datasets:identified",
                        "observations:read",
                        "observations:write",
                    ]
                )
                & Q(scopes__len__gt=0),
            ),
            models.CheckConstraint(
                name="token_digest_is_sha256", condition=Q(digest__regex=r"^[0-9a-f]{64}$")
            ),
            models.CheckConstraint(name="token_ends", condition=Q(expires_at__gt=F("made_at"))),
        ]

    def __str__(self) -> str:
        return f"{self.start}… of {self.owner_id}"


class ApiAnswer(models.Model):
    """What a write of a program was answered, under the key it named: the same write again is this answer.

    Stands in the transaction of the write itself, so that there is never one without the other.
    Kept as long as a program may reasonably try again, then purged.
    """

    owner = models.ForeignKey(User, models.PROTECT, related_name="+")
    key = models.CharField(max_length=200)
    digest = models.CharField(max_length=64)
    """SHA-256 of the address and everything that was sent."""
    status = models.PositiveSmallIntegerField()
    headers = models.JSONField(default=dict)
    body = models.TextField()
    made_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["made_at"], name="api_answer_by_age")]
        constraints = [models.UniqueConstraint(name="one_answer_per_key", fields=["owner", "key"])]

    def __str__(self) -> str:
        return f"{self.status} to {self.key}"


class LastLook(models.Model):
    """When a person last looked at Today, and when the sitting before that ended."""

    user = models.OneToOneField(User, models.CASCADE, related_name="last_look")
    seen_at = models.DateTimeField()
    before_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.user_id} at {self.seen_at}"


class JobQuerySet(models.QuerySet["Job"]):
    def visible_to(self, user: User) -> JobQuerySet:
        """Keep the jobs this person started."""
        return self.filter(started_by=user)


class Job(models.Model):
    """Long work that a worker does: an import or an export, with its progress."""

    class Status(models.TextChoices):
        QUEUED = "queued", _("waiting")
        RUNNING = "running", _("running")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")
        CANCELLED = "cancelled", _("cancelled")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=40)
    started_by = models.ForeignKey(User, models.PROTECT)
    parameters = models.JSONField(default=dict)
    status = models.CharField(max_length=10, choices=Status, default=Status.QUEUED)
    queued_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    heartbeat_at = models.DateTimeField(null=True)
    cancel_asked_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    steps_done = models.PositiveBigIntegerField(default=0)
    steps_total = models.PositiveBigIntegerField(default=0)
    step = models.CharField(max_length=200, blank=True)
    result = models.JSONField(default=dict)
    error = models.TextField(blank=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ["-queued_at"]
        constraints = [
            models.CheckConstraint(
                name="job_status_is_known",
                condition=Q(status__in=["queued", "running", "done", "failed", "cancelled"]),
            ),
            models.CheckConstraint(
                name="job_is_finished_when_done_or_failed",
                condition=Q(status__in=["queued", "running"], finished_at__isnull=True)
                | Q(status__in=["done", "failed", "cancelled"], finished_at__isnull=False),
            ),
        ]
        indexes = [models.Index(fields=["status", "heartbeat_at"], name="job_by_status")]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"

    @property
    def percent(self) -> int:
        """Share done, 0 to 100."""
        if self.status == self.Status.DONE:
            return 100
        return min(99, 100 * self.steps_done // self.steps_total) if self.steps_total else 0


class DraftQuerySet(models.QuerySet["Draft"]):
    def visible_to(self, user: User) -> DraftQuerySet:
        """Keep what this person typed: nobody else ever sees it."""
        return self.filter(person=user)


class Draft(models.Model):
    """What somebody typed into a form and has not saved yet.

    Not study data: it is in no analysis and no trail, only its owner sees it,
    and it goes with the save, when it is discarded, or after 30 days.
    """

    person = models.ForeignKey(User, models.CASCADE, related_name="drafts")
    place = models.CharField(max_length=200)
    """Which form of which record, in the words of the page: ``visit:GE-001:4``."""
    path = models.CharField(max_length=500)
    title = models.CharField(max_length=200, blank=True)
    fields = models.JSONField(default=dict)
    """Every typed field: its name, and its values as a list."""
    parked = models.BooleanField(default=False)
    """Whether it arrived as a whole form that could not be saved because the session had ended."""
    saved_at = models.DateTimeField()

    objects = DraftQuerySet.as_manager()

    class Meta:
        ordering = ["-saved_at"]
        constraints = [models.UniqueConstraint(name="draft_of_a_place", fields=["person", "place"])]
        indexes = [models.Index(fields=["saved_at"], name="draft_by_age")]

    def __str__(self) -> str:
        return self.place
