"""A person confirms the grade of a result, or gives it another."""

from __future__ import annotations

from django.utils import timezone

from patients import ctcae, grading, selectors
from patients.actions.rules import clean_text
from patients.models import ConfirmedGrade, LabResult
from trial import audit
from trial.models import User
from trial.refusals import Clash, Conflict, refuse
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


SOURCE = "grades"
LONGEST_REASON = 200


def confirm_grade(
    *, result: LabResult, grade: int, by: User, reason: str = "", version: int | None = None
) -> ConfirmedGrade:
    """Confirm the grade of a result as it stands; an earlier confirmation is voided, and stays in the history.

    Parameters
    ----------
    grade
        0 to 5; 0 says that it is no event of the term.
    reason
        Needed where the grade is not the proposed one, or where a confirmation of
        the same value changes.
    version
        That of the result the person had on screen.

    Raises
    ------
    Refused
        If the result is not graded, the grade is none, or the reason is missing.
    Conflict
        If the value changed after the page was opened.
    """
    reason = clean_text("reason", reason, LONGEST_REASON)
    with audit.revision(by=by, reason=reason, source=SOURCE):
        selectors.locked(result.patient)
        stored = LabResult.objects.select_related("visit", "patient__site").get(pk=result.pk)
        proposal = grading.proposal_of(stored)
        if proposal is None or stored.visit.voided_at is not None:
            raise refuse(
                "grade",
                str(grade),
                "not_graded",
                Sentence(
                    _("This result is not graded: it was drawn before the first infusion, or has no term.")
                ),
                Sentence(_("Open the grades of the subject again.")),
            )
        if version is not None and version != stored.version:
            clash = Clash("value", "", proposal.shown, "")
            raise Conflict([clash], stored.version)
        if not 0 <= grade <= ctcae.HIGHEST:
            raise refuse(
                "grade",
                str(grade),
                "grade",
                Sentence(_("There is no grade %(grade)s."), {"grade": grade}),
                Sentence(_("Grades are 0 to %(most)s."), {"most": ctcae.HIGHEST}),
            )
        earlier = proposal.confirmed
        is_current = earlier is not None and proposal.state is grading.State.CONFIRMED
        if earlier is not None and is_current and earlier.grade == grade:
            return earlier
        if not reason and (grade != proposal.proposed or is_current):
            raise refuse(
                "reason",
                "",
                "reason_needed",
                Sentence(
                    _("Grade %(grade)s is not what stands there, and no reason is given."), {"grade": grade}
                ),
                Sentence(_("Say what the value alone does not tell.")),
            )
        if earlier is not None:
            with audit.revision(by=by, reason=reason or "graded again after a change"):
                earlier.voided_at = timezone.now()
                earlier.version += 1
                earlier.save(update_fields=["voided_at", "version"])
        made = ConfirmedGrade(
            patient=stored.patient,
            lab_result=stored,
            term=proposal.term,
            grade=grade,
            proposed=proposal.proposed,
            against_baseline=proposal.grade.rule is ctcae.Rule.BASELINE,
            ctcae_version=ctcae.VERSION,
            result_version=stored.version,
            confirmed_by=by,
            confirmed_at=timezone.now(),
        )
        made.save(force_insert=True)
    return made
