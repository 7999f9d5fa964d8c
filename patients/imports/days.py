"""Days of a file that cannot be: held against the clock of the site, the subject's birth and its death."""

from __future__ import annotations

from patients.imports.kinds import header_of
from patients.imports.staging import refuse_where
from patients.imports.tables import Table
from trial import protocol
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


def refuse_impossible_days(
    staged: str, column: str, table: Table, field: str, *, but_for_deaths: bool = False
) -> None:
    """Refuse days that have not come yet at the subject's site, before the birth or after the death.

    Parameters
    ----------
    staged, column
        The staged table, and which of its columns is the day.
    table, field
        The file, and which of its fields the day is.
    but_for_deaths
        Let days after the death pass.
    """
    header, day = header_of(table, field), f"s.{column}"
    of_subject = f"{staged} s JOIN patients_patient p ON p.subject_id = s.subject"
    refuse_where(
        f"{of_subject} JOIN trial_site h ON h.id = p.site_id"
        f" WHERE {day} > (now() AT TIME ZONE h.time_zone)::date",
        {},
        rule="future",
        column=header,
        value=f"{day}::text",
        sentence=Sentence(_("%(day)s lies in the future."), {"day": ""}),
        remedy=Sentence(_("Give the day on which it happened.")),
        gaps={"day": f"{day}::text"},
    )
    refuse_where(
        f"{of_subject} WHERE {day} <= p.birth_date",
        {},
        rule="before_birth",
        column=header,
        value=f"{day}::text",
        sentence=Sentence(_("%(day)s lies before the subject's birth."), {"day": ""}),
        remedy=Sentence(_("Correct the date, or the subject.")),
        gaps={"day": f"{day}::text"},
    )
    if but_for_deaths:
        return
    refuse_where(
        f"{of_subject} JOIN patients_outcome o ON o.patient_id = p.id AND o.voided_at IS NULL AND o.kind = %(death)s"
        f" WHERE {day} > o.happened_on",
        {"death": protocol.OutcomeKind.DEATH.value},
        rule="after_death",
        column=header,
        value=f"{day}::text",
        sentence=Sentence(_("%(day)s is after the death on %(died)s."), {"day": "", "died": ""}),
        remedy=Sentence(_("Correct the date, or the outcome first.")),
        gaps={"day": f"{day}::text", "died": "o.happened_on::text"},
    )
