"""Which results a set of audit entries can have moved.

Deliberately generous: whatever is named here is compared with what is stored and
computed again only if its input really changed. What is not named is not looked
at, so a table or a field this module does not know counts as everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from analytics.cells import CellKey
from trial import protocol, vocabulary

Column = tuple[str, int]
"""A quantity at a week."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """What the trail says about one row: before (None if entered), after (None if deleted)."""

    table: str
    old: Row | None
    new: Row | None

    @property
    def versions(self) -> tuple[Row, ...]:
        return tuple(version for version in (self.old, self.new) if version is not None)

    def changes(self, fields: frozenset[str]) -> bool:
        """Return whether the row appeared, went, or changed in one of the fields."""
        if self.old is None or self.new is None:
            return True
        return any(self.old.get(field) != self.new.get(field) for field in fields)


@dataclass(frozen=True, slots=True)
class Touched:
    """What has to be looked at again; None stands for everything.

    Parameters
    ----------
    patients
        Primary keys of subjects whose rows are read again.
    columns
        Quantities and weeks whose cells are compared again.
    """

    patients: frozenset[int] | None
    columns: frozenset[Column] | None

    def cell(self, key: CellKey) -> bool:
        """Return whether a cell depends on a touched column."""
        if self.columns is None:
            return True
        return any((key.analyte, week) in self.columns for week in key.weeks)


NOTHING = Touched(frozenset(), frozenset())
EVERYTHING = Touched(None, None)

FIELDS: Mapping[str, frozenset[str]] = {
    "patients_patient": frozenset(
        {
            "subject_id",
            "site_id",
            "sex",
            "birth_date",
            "age_at_recruitment",
            "diagnosis",
            "recruited_on",
            "merged_into_id",
        }
    ),
    "patients_screening": frozenset({"patient_id", "screened_on", "verdict", "voided_at"}),
    "infusions_infusion": frozenset({"patient_id", "given_on", "voided_at"}),
    "patients_outcome": frozenset({"patient_id", "kind", "happened_on", "voided_at"}),
    "patients_visit": frozenset({"patient_id", "week", "visited_on", "voided_at"}),
    "patients_labresult": frozenset(
        {"patient_id", "visit_id", "analyte", "value", "comparator", "missing_reason", "sampled_at"}
    ),
    "patients_treatment": frozenset(
        {"patient_id", "kind", "started_on", "started_at", "ended_on", "ended_at", "voided_at"}
    ),
}
"""The tables the analysis reads, and of each the fields on which a result can depend."""

SITES, SITE_FIELDS = "trial_site", frozenset({"code", "time_zone"})
"""A site's time zone moves days, its code groups: those count as everything. Freezing a site changes no result."""

IRRELEVANT = frozenset(
    {
        "infusions_celllot",
        "infusions_coursedecision",
        "infusions_custodyevent",
        "infusions_plannedinfusion",
        "infusions_releasetest",
        "infusions_vitalsigns",
        "patients_adverseevent",
        "patients_confirmedgrade",
        "patients_dataquery",
        "patients_importmapping",
        "patients_laboratory",
        "patients_laboratoryunit",
        "patients_patientidentity",
        "patients_querymessage",
        "patients_referencerange",
        "patients_screeninganswer",
        "patients_screeningfact",
        "patients_signature",
        "patients_verification",
        "trial_user",
    }
)
"""Tables with a trail that no result depends on."""

_SCORES_WITH: Mapping[str, tuple[str, ...]] = {
    code: tuple(score.code for score in protocol.SCORES if code in score.inputs) for code in protocol.ANALYTES
}
_UNDER_DIALYSIS: frozenset[Column] = frozenset(
    (score, week) for score in _SCORES_WITH["creatinine"] for week in protocol.WEEKS
)
"""What renal replacement can move: the scores that creatinine enters, at any week."""


def touched(entries: Iterable[Entry], week_of: Mapping[int, int | None]) -> Touched:
    """Work out what entries touch.

    Parameters
    ----------
    entries
        Of the revisions since the last run.
    week_of
        Week of the visits that the entries' labs belong to, None for an unscheduled
        draw. A visit that is not listed may have been at any week.
    """
    patients: set[int] = set()
    columns: set[Column] = set()
    everywhere = False
    for entry in entries:
        if entry.table in IRRELEVANT or (entry.table == SITES and not entry.changes(SITE_FIELDS)):
            continue
        if entry.table not in FIELDS:
            return EVERYTHING
        if not entry.changes(FIELDS[entry.table]):
            continue
        if entry.table == "patients_treatment" and not any(
            row["kind"] in vocabulary.RENAL_REPLACEMENT for row in entry.versions
        ):
            continue
        for row in entry.versions:
            patients.add(int(row["id" if entry.table == "patients_patient" else "patient_id"]))
            if entry.table == "patients_labresult":
                columns.update(_of_lab(row, week_of))
            elif entry.table == "patients_treatment":
                columns.update(_UNDER_DIALYSIS)
            elif entry.table == "patients_visit":
                columns.update((code, week) for code in protocol.MEASURED for week in _scheduled(row["week"]))
            else:
                # group, population or the end of observation may have moved
                everywhere = True
    return Touched(frozenset(patients), None if everywhere else frozenset(columns))


def _of_lab(row: Row, week_of: Mapping[int, int | None]) -> Iterator[Column]:
    visit, analyte = row["visit_id"], row["analyte"]
    weeks = _scheduled(week_of[visit]) if visit in week_of else protocol.WEEKS
    for code in (analyte, *_SCORES_WITH.get(analyte, ())):
        yield from ((code, week) for week in weeks)


def _scheduled(week: int | None) -> tuple[int, ...]:
    return () if week is None else (week,)
