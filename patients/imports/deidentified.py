"""Recognises an export of this software without dates: study days cannot be turned back into dates."""

from __future__ import annotations

from collections.abc import Sequence

from patients.imports.problems import FileRefused
from trial.sentences import Sentence


def _(message: str) -> str:
    """Mark a sentence for translation; screens translate it when they show it."""
    return message


_DAYS = {
    "recruited_day": "recruited_on",
    "screened_day": "screened_on",
    "given_day": "given_on",
    "visit_day": "visit_date",
    "day": "date",
}
"""Columns of a de-identified export, and what an identified one has in their place."""


def refuse_deidentified(headers: Sequence[str]) -> None:
    """Refuse a file that has study days where an import needs dates.

    Raises
    ------
    FileRefused
        Naming the column of days.
    """
    written = {header.strip().casefold() for header in headers}
    if "subject_id" not in written or not ({"group", "verdict"} & written):
        return  # not an export of this software; a hospital may call its columns as it likes
    for day, date in _DAYS.items():
        if day in written and date not in written:
            raise FileRefused(
                "deidentified",
                Sentence(
                    _("This is a de-identified export: “%(day)s” counts days instead of naming dates."),
                    {"day": day},
                ),
                Sentence(_("Import an identified export; dates cannot be made of study days.")),
                columns=[day],
            )
