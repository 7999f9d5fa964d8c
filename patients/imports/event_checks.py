"""What rows of events cannot be, looked at together and against the study: the rules of the forms, as queries."""

from __future__ import annotations

from patients.imports.days import AFTER_DEATH, refuse_impossible_days, refuse_moments_to_come
from patients.imports.kinds import header_of
from patients.imports.records import STAGED
from patients.imports.staging import refuse_where
from patients.imports.tables import Table
from trial.protocol import OutcomeKind
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


_DEATH = OutcomeKind.DEATH.value
_OF_SUBJECT = f"{STAGED} s JOIN patients_patient p ON p.subject_id = s.subject"


def refuse_impossible(table: Table, *, here: str, same: str, treatments: str) -> None:
    """Refuse rows that a form would refuse.

    Parameters
    ----------
    here, same
        SQL for the records ``t`` of the study, and for when one is the row ``s``.
    treatments
        The codes of treatments, as an SQL list.
    """
    for is_death, compared in ((False, "<>"), (True, "=")):
        staged = f"(SELECT * FROM {STAGED} WHERE event {compared} '{_DEATH}')"
        refuse_impossible_days(staged, "date", table, "date", but_for_deaths=is_death)
    refuse_impossible_days(STAGED, "end_date", table, "end_date")
    _refuse_after_death_of_the_file(table)
    _refuse_hours_to_come(table)
    _refuse_outcomes(table)
    _refuse_doubtful_match(table, here=here, same=same, treatments=treatments)


def _refuse_after_death_of_the_file(table: Table) -> None:
    for field in ("date", "end_date"):
        refuse_where(
            f"{STAGED} s JOIN {STAGED} d ON d.subject = s.subject AND d.event = '{_DEATH}' AND s.line <> d.line"
            f" WHERE s.{field} > d.date",
            {},
            rule="after_death",
            column=header_of(table, field),
            value=f"s.{field}::text",
            sentence=Sentence(AFTER_DEATH),
            remedy=Sentence(_("Correct the date here, or in the row of the death.")),
            gaps={"day": f"s.{field}::text", "died": "d.date::text"},
        )


def _refuse_hours_to_come(table: Table) -> None:
    for field, moment in (
        ("time", "(s.date + s.time)"),
        ("end_time", "(s.end_date + s.end_time)"),
        ("known_at", "s.known_at"),
        ("reported_at", "s.reported_at"),
    ):
        refuse_moments_to_come(STAGED, moment, table, field)


def _refuse_outcomes(table: Table) -> None:
    header = header_of(table, "date")
    outcomes = ", ".join(f"'{kind.value}'" for kind in OutcomeKind)
    refuse_where(
        f"{_OF_SUBJECT} WHERE s.event IN ({outcomes}) AND s.date < p.recruited_on",
        {},
        rule="before_recruitment",
        column=header,
        value="s.date::text",
        sentence=Sentence(_("%(day)s is before the subject was recruited, %(recruited)s.")),
        remedy=Sentence(_("Check the date against the record.")),
        gaps={"day": "s.date::text", "recruited": "p.recruited_on::text"},
    )
    # as patients.selectors.last_seen_on has it for the form
    seen = ", ".join(
        f"(SELECT max(greatest({days})) FROM {source} x WHERE x.patient_id = p.id AND x.voided_at IS NULL)"
        for source, days in (
            ("infusions_infusion", "x.given_on"),
            ("patients_screening", "x.screened_on"),
            ("patients_adverseevent", "x.onset_on, x.ended_on"),
            ("patients_treatment", "x.started_on, x.ended_on"),
        )
    )
    seen = f"greatest({seen})"
    refuse_where(
        f"(SELECT s.line, s.date, {seen} AS seen FROM {_OF_SUBJECT} WHERE s.event = '{_DEATH}') s"
        " WHERE s.seen > s.date",
        {},
        rule="seen_after_death",
        column=header,
        value="s.date::text",
        sentence=Sentence(_("Something is recorded for %(seen)s, after %(day)s.")),
        remedy=Sentence(
            _("Correct the date of death, or first the infusion, screening, event or treatment after it.")
        ),
        gaps={"seen": "s.seen::text", "day": "s.date::text"},
    )


def _refuse_doubtful_match(table: Table, *, here: str, same: str, treatments: str) -> None:
    """Refuse rows of which nobody can say whether the study has them: by their hour, or because it has several."""
    refuse_where(
        f"(SELECT s.line, s.time, min(t.time) AS other FROM {_OF_SUBJECT} JOIN ({here}) t ON t.patient_id = p.id"
        " AND t.event = s.event AND t.date = s.date AND lower(t.term) = lower(coalesce(s.term, ''))"
        f" WHERE s.event IN ({treatments}) GROUP BY s.line, s.time"
        " HAVING NOT bool_or(t.time IS NOT DISTINCT FROM s.time) AND bool_or((t.time IS NULL) <> (s.time IS NULL))) s",
        {},
        rule="hour_needed",
        column=header_of(table, "time"),
        value="coalesce(s.time::text, '')",
        sentence=Sentence(
            _(
                "The study has this treatment on the same day, and only one of the two has an hour (%(hour)s)."
            ),
            {"hour": ""},
        ),
        remedy=Sentence(_("Give both the same hour when they are one, or both an hour when they are two.")),
        gaps={"hour": "to_char(coalesce(s.time, s.other), 'HH24:MI')"},
    )
    refuse_where(
        f"(SELECT s.line, s.event, count(*) AS times FROM {_OF_SUBJECT} JOIN ({here}) t ON {same}"
        " GROUP BY s.line, s.event HAVING count(*) > 1) s",
        {},
        rule="several",
        column=header_of(table, "event"),
        value="s.event",
        sentence=Sentence(_("The study has this event %(times)s times on this day.")),
        remedy=Sentence(_("Strike the one that was entered twice, then import again.")),
        gaps={"times": "s.times"},
    )
