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


AFTER_DEATH = _("%(day)s is after the death on %(died)s.")
_AT_SITE = "JOIN patients_patient p ON p.subject_id = s.subject JOIN trial_site h ON h.id = p.site_id"
_DIED_ON = (
    "(SELECT o.happened_on FROM patients_outcome o WHERE o.patient_id = p.id AND o.voided_at IS NULL"
    f" AND o.kind = '{protocol.OutcomeKind.DEATH.value}')"
)


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
    day = f"s.{column}"
    rules = [
        (
            "future",
            f"{day} > (now() AT TIME ZONE h.time_zone)::date",
            _("%(day)s lies in the future."),
            _("Give the day on which it happened."),
        ),
        (
            "before_birth",
            f"{day} <= p.birth_date",
            _("%(day)s lies before the subject's birth."),
            _("Correct the date, or the subject."),
        ),
    ]
    if not but_for_deaths:
        rules.append(
            ("after_death", f"{day} > {_DIED_ON}", AFTER_DEATH, _("Correct the date, or the outcome first."))
        )
    for rule, where, sentence, remedy in rules:
        refuse_where(
            f"{staged} s {_AT_SITE} WHERE {where}",
            {},
            rule=rule,
            column=header_of(table, field),
            value=f"{day}::text",
            sentence=Sentence(sentence),
            remedy=Sentence(remedy),
            gaps={"day": f"{day}::text", "died": f"{_DIED_ON}::text"},
        )


def refuse_moments_to_come(staged: str, moment: str, table: Table, field: str) -> None:
    """Refuse moments that have not come yet at the subject's site.

    Parameters
    ----------
    staged, moment
        The staged table, and SQL over its row ``s`` for the moment as the clock of the site shows it.
    table, field
        The file, and which of its fields says the hour.
    """
    refuse_where(
        f"{staged} s {_AT_SITE} WHERE {moment} AT TIME ZONE h.time_zone > now()",
        {},
        rule="future",
        column=header_of(table, field),
        value=f"s.{field}::text",
        sentence=Sentence(_("%(moment)s has not come yet.")),
        remedy=Sentence(_("Check day and hour.")),
        gaps={"moment": f"s.{field}::text"},
    )
