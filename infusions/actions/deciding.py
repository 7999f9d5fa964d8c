"""The decision, due with the fifth infusion, to prolong the course or to stop."""

from __future__ import annotations

from datetime import date

from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _

from infusions import selectors
from infusions.actions.agreement import ask_about_course
from infusions.actions.rules import ADDED_LATER, corrects, demand_reason, merged
from infusions.models import CourseDecision
from patients import edit_checks
from patients import selectors as patient_selectors
from patients.models import Patient
from trial import audit
from trial.models import User
from trial.refusals import Conflict
from trial.roles import Permission

SOURCE = "course"
_FIELDS = ("decision", "decided_on", "grounds", "decided_by")


def may_decide(user: User) -> bool:
    """Return whether a person decides on the course, or records what a physician decided."""
    return bool(user.may(Permission.DECIDE_COURSE) or user.may(Permission.RECORD_INFUSIONS))


def decide_course(
    *,
    patient: Patient,
    decision: str,
    grounds: str,
    decided_on: date,
    by: User,
    decided_by: str = "",
    version: int = 0,
    reason: str = "",
) -> CourseDecision:
    """Record the decision to prolong the course or to stop.

    Who may not decide records it as decided by somebody who may.

    Raises
    ------
    PermissionDenied
        If the person neither decides nor records.
    ValidationError
        By field: no grounds, nobody who decided, an impossible day, a change without a reason.
    Conflict
        If somebody else changed the same field since ``version``.
    """
    if not may_decide(by):
        raise PermissionDenied
    decided_by = decided_by.strip()
    if not decided_by and by.may(Permission.DECIDE_COURSE):
        decided_by = by.shown_name
    mine = {
        "decision": decision,
        "decided_on": decided_on,
        "grounds": grounds.strip(),
        "decided_by": decided_by,
    }
    with audit.revision(by=by, reason=reason, source=SOURCE):
        patient = patient_selectors.locked(patient)
        stored = selectors.decision_of(patient) or CourseDecision(patient=patient, version=0)
        is_ = {name: getattr(stored, name) for name in _FIELDS}
        if stored.version != version:
            before = selectors.row_as_it_was(stored, version) if version else CourseDecision()
            then = None if before is None else {name: getattr(before, name) for name in _FIELDS}
            mine = merged(mine, is_, then, version=stored.version, by=selectors.last_writer(stored))
        _refuse(patient, mine["decided_on"], str(mine["grounds"]), str(mine["decided_by"]))
        if mine == is_:
            return stored
        if stored.pk and corrects(mine, is_):
            demand_reason(reason)
        for name, value in mine.items():
            setattr(stored, name, value)
        stored.version += 1
        stored.clean_fields(exclude=["patient"])
        with audit.revision(by=by, reason="" if reason.strip() or not stored.pk else ADDED_LATER):
            stored.save()
        ask_about_course(patient, by=by)
    return stored


def void_decision(*, decision: CourseDecision, by: User, reason: str, version: int) -> CourseDecision:
    """Strike a decision that was not made.

    Raises
    ------
    ValidationError
        Without a reason.
    Conflict
        If somebody changed it since ``version``.
    """
    if not may_decide(by):
        raise PermissionDenied
    demand_reason(reason)
    with audit.revision(by=by, reason=reason, source=SOURCE):
        patient = patient_selectors.locked(decision.patient)
        stored = CourseDecision.objects.get(pk=decision.pk)
        if stored.version != version or stored.voided_at is not None:
            raise Conflict([], stored.version)
        stored.voided_at = timezone.now()
        stored.version += 1
        stored.save(update_fields=["voided_at", "version"])
        ask_about_course(patient, by=by)
    return stored


def _refuse(patient: Patient, decided_on: object, grounds: str, decided_by: str) -> None:
    errors: dict[str, str] = {}
    if isinstance(decided_on, date) and (
        impossible := edit_checks.day_breach(decided_on, patient_selectors.life(patient))
    ):
        errors["decided_on"] = f"{impossible.sentence.said(_)} {impossible.remedy.said(_)}"
    if not grounds:
        errors["grounds"] = _("Say on what grounds: what was seen, and who agreed.")
    if not decided_by:
        errors["decided_by"] = _("Say which physician decided; you record it for them.")
    if errors:
        raise ValidationError(dict(errors))
