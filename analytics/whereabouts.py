"""Where everybody is who should have a value at a week: observed, or why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from analytics.landmark import FollowedSubject
from analytics.samples import MISSING, Ints, _
from analytics.study_arrays import Ended, StudyArrays
from trial import protocol
from trial.protocol import OutcomeKind


class Status(IntEnum):
    """What became of one value of one subject at one week."""

    OBSERVED = 0
    MISSING = 1
    NOT_DUE = 2
    DIED = 3
    TRANSPLANTED = 4
    WITHDREW = 5
    LOST = 6


STATUS_LABELS: Mapping[Status, str] = {
    Status.OBSERVED: _("observed"),
    Status.MISSING: _("missing"),
    Status.NOT_DUE: _("not due"),
    Status.DIED: _("died"),
    Status.TRANSPLANTED: _("transplanted"),
    Status.WITHDREW: _("withdrew"),
    Status.LOST: _("lost to follow-up"),
}
_LEFT = {OutcomeKind.WITHDRAWAL: Status.WITHDREW, OutcomeKind.LOST: Status.LOST}


def statuses(
    study: StudyArrays, analyte: str, subjects: Mapping[str, FollowedSubject], today: date
) -> NDArray[np.int8]:
    """Say for each subject and week what became of a value.

    Parameters
    ----------
    study
        The study as arrays.
    analyte
        A code of :data:`trial.protocol.MEASURED`.
    subjects
        Courses and outcomes by code; whoever is not in it had no infusion.
    today
        A visit whose window is still open, or to come, is not yet due.

    Returns
    -------
    NDArray[np.int8]
        :class:`Status` by subject and week. Death and transplantation come before leaving the
        study, and an observed value before everything.
    """
    shape = (len(study.subject_ids), len(protocol.WEEKS))
    found = np.full(shape, Status.MISSING, np.int8)
    for place, code in enumerate(study.subject_ids):
        subject = subjects.get(code)
        if subject is None or not subject.infusions_on:
            found[place] = Status.NOT_DUE
            continue
        first = min(subject.infusions_on)
        left = sorted((day, kind) for kind, day in subject.outcomes if kind in _LEFT)
        for number, visit in enumerate(protocol.VISITS):
            due = protocol.visit_due(visit.week, first)
            if left and left[0][0] <= due:
                found[place, number] = _LEFT[left[0][1]]
            elif due + timedelta(days=visit.window.after) >= today:
                found[place, number] = Status.NOT_DUE
    found[study.ended == Ended.DEAD] = Status.DIED
    found[study.ended == Ended.TRANSPLANTED] = Status.TRANSPLANTED
    if analyte in study.values:
        found[study.values[analyte] != MISSING] = Status.OBSERVED
    return found


@dataclass(frozen=True, slots=True)
class StatusRow:
    """One status over the weeks: for each week one count per group, in the order of the groups."""

    status: Status
    counts: tuple[tuple[int, ...], ...]

    @property
    def label(self) -> str:
        return STATUS_LABELS[self.status]

    @property
    def is_empty(self) -> bool:
        return not any(any(week) for week in self.counts)


def by_week(found: NDArray[np.int8], groups: Sequence[Ints]) -> tuple[StatusRow, ...]:
    """Count each status at each week in each group.

    Parameters
    ----------
    found
        What :func:`statuses` gives.
    groups
        Row numbers of each group.
    """
    rows = []
    for status in Status:
        here = found == status
        rows.append(
            StatusRow(
                status,
                tuple(
                    tuple(int(here[group, week].sum()) for group in groups) for week in range(found.shape[1])
                ),
            )
        )
    return tuple(rows)


def not_due(found: NDArray[np.int8], group: Ints, span: tuple[int, int]) -> int:
    """Count who of a group lacks a value of a span only because the visit is not yet due."""
    first, last = (found[group, protocol.WEEKS.index(week)] for week in span)
    observable = np.isin(first, (Status.OBSERVED, Status.NOT_DUE))
    return int((observable & (last == Status.NOT_DUE)).sum())
