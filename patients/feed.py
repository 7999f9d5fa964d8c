"""What was written lately about the subjects a person looks after, in words."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, tzinfo

from django.db.models import Count, Exists, Min, OuterRef
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from patients.models import Patient
from trial import clock
from trial.models import AuditEntry, Revision, User

NEWEST = 8

_COUNTED = {
    "patients_labresult": lambda n: ngettext("%(n)s result", "%(n)s results", n),
    "infusions_infusion": lambda n: ngettext("%(n)s infusion", "%(n)s infusions", n),
    "patients_patient": lambda n: ngettext("%(n)s subject", "%(n)s subjects", n),
    "patients_screeninganswer": lambda n: ngettext("%(n)s criterion", "%(n)s criteria", n),
    "patients_screening": lambda n: ngettext("%(n)s screening", "%(n)s screenings", n),
    "patients_outcome": lambda n: ngettext("%(n)s outcome", "%(n)s outcomes", n),
    "patients_visit": lambda n: ngettext("%(n)s visit", "%(n)s visits", n),
}
"""Tables in the order in which they say most about a revision."""


@dataclass(frozen=True, slots=True)
class Line:
    """One revision in a sentence."""

    number: int
    made_at: datetime
    sentence: str
    zone: tzinfo

    @property
    def when(self) -> str:
        """The time of day for what was written today, else the day."""
        here = self.made_at.astimezone(self.zone)
        if here.date() == timezone.now().astimezone(self.zone).date():
            return f"{here:%H:%M}"
        return f"{here:%m-%d}"


def latest(user: User, *, most: int = NEWEST) -> list[Line]:
    """Return the newest revisions that touched a subject this person may see, in three queries."""
    visible = Patient.objects.visible_to(user).values("pk")
    touching = AuditEntry.objects.filter(revision=OuterRef("pk"), patient_id__in=visible)
    revisions = list(
        Revision.objects.filter(Exists(touching), number__isnull=False)
        .select_related("actor")
        .order_by("-number")[:most]
    )
    written = (
        AuditEntry.objects.filter(revision__in=revisions, patient_id__in=visible, table__in=_COUNTED)
        .values("revision", "table", "op")
        .annotate(rows=Count("pk"), subjects=Count("patient_id", distinct=True), one=Min("patient_id"))
        .order_by()
    )
    by_revision: dict[int, list[dict[str, object]]] = defaultdict(list)
    for group in written:
        by_revision[group["revision"]].append(group)
    codes = dict(
        Patient.objects.filter(
            pk__in=[g["one"] for groups in by_revision.values() for g in groups]
        ).values_list("pk", "subject_id")
    )
    zone = clock.zone(user.site) if user.site is not None else timezone.get_default_timezone()
    return [
        Line(revision.number, revision.made_at, _sentence(revision, by_revision[revision.pk], codes), zone)
        for revision in revisions
        if revision.number is not None
    ]


def _sentence(revision: Revision, groups: list[dict[str, object]], codes: dict[int, str]) -> str:
    order = list(_COUNTED)
    parts: list[str] = []
    for group in sorted(groups, key=lambda g: (order.index(str(g["table"])), str(g["op"])))[:1]:
        rows, subjects = int(str(group["rows"])), int(str(group["subjects"]))
        said = {"what": _COUNTED[str(group["table"])](rows) % {"n": rows}}
        if subjects == 1:
            said["who"] = codes.get(int(str(group["one"])), "")
        else:
            said["who"] = ngettext("%(n)s subject", "%(n)s subjects", subjects) % {"n": subjects}
        if group["op"] == AuditEntry.Op.INSERT:
            parts.append(_("%(who)s: %(what)s entered") % said)
        else:
            parts.append(_("%(who)s: %(what)s changed") % said)
    parts.append(revision.actor.shown_name)
    return ", ".join(part for part in parts if part)
