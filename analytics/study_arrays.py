"""The study as arrays: who is in it, what was measured, whose observation ended.

The one input of :mod:`analytics.contrasts`. ``analytics.frames`` fills it from the
database, a test from literals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analytics.samples import MISSING, Ints
from trial import protocol
from trial.protocol import Population

SCORE_PLACES = 10
"""Scores keep ten decimals, so that their differences are rounded to six only once."""


def places_of(code: str) -> int:
    """Return how many decimal places the integers of a measured quantity count."""
    return SCORE_PLACES if code in protocol.SCORE_AT else protocol.DIFFERENCE_PLACES


class Ended(IntEnum):
    """Whether a subject could still be observed at a week."""

    NO = 0
    DEAD = 1
    TRANSPLANTED = 2
    NOT_DUE = 3


Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class StudyArrays:
    """Every subject of the study, one row each, in the order of their codes.

    Make it with :meth:`build`, which sorts, converts and fills what is absent.

    Parameters
    ----------
    subject_ids
        Codes, ascending, each once; they fix the order of every array.
    diagnosis
        :class:`trial.protocol.Diagnosis` values.
    sex
        ``F``, ``M`` or empty.
    age
        Years at baseline x 10^6, or ``MISSING``.
    valid_infusions, infusions_by_landmark
        Infusions given and not voided: all, and until the landmark day.
    eligible, treated, landmark
        Membership of the three populations.
    values
        By code of :data:`trial.protocol.MEASURED`: integers of shape (subjects, weeks),
        panel analytes x 10^6, scores x 10^10 (:func:`places_of`), ``MISSING`` where there
        is none. What was measured after death or transplantation is blanked here. An
        absent code has no data.
    ended
        :class:`Ended` by subject and week.
    censored
        By code: values reported at a detection limit; an absent code has none.
    """

    subject_ids: tuple[str, ...]
    diagnosis: NDArray[np.str_]
    sex: NDArray[np.str_]
    age: Ints
    valid_infusions: Ints
    infusions_by_landmark: Ints
    eligible: Bools
    treated: Bools
    landmark: Bools
    values: Mapping[str, Ints]
    ended: NDArray[np.int8]
    censored: Mapping[str, Bools] = field(default_factory=dict)
    memo: dict[object, Any] = field(default_factory=dict, init=False, repr=False)
    """What has been derived from the arrays, kept because they never change."""

    def __post_init__(self) -> None:
        n, wide = len(self.subject_ids), (len(self.subject_ids), len(protocol.WEEKS))
        if any(a >= b for a, b in zip(self.subject_ids, self.subject_ids[1:], strict=False)):
            raise ValueError("subject_ids must ascend, each once")
        for name in _PER_SUBJECT:
            if getattr(self, name).shape != (n,):
                raise ValueError(f"{name} must hold one entry for each of {n} subjects")
        if self.ended.shape != wide:
            raise ValueError(f"ended must have the shape {wide}")
        if not set(np.unique(self.diagnosis)) <= set(protocol.Diagnosis):
            raise ValueError("diagnosis holds an unknown word")
        if not set(np.unique(self.sex)) <= {*protocol.Sex, ""}:
            raise ValueError("sex holds an unknown word")
        for mapping, kind in ((self.values, "values"), (self.censored, "censored")):
            for code, array in mapping.items():
                if code not in protocol.MEASURED:
                    raise ValueError(f"{kind}: {code} is not measured in this study")
                if array.shape != wide:
                    raise ValueError(f"{kind} of {code} must have the shape {wide}")

    @classmethod
    def build(
        cls,
        *,
        subject_ids: Sequence[str],
        diagnosis: ArrayLike,
        sex: ArrayLike,
        age: ArrayLike,
        valid_infusions: ArrayLike,
        values: Mapping[str, ArrayLike],
        infusions_by_landmark: ArrayLike | None = None,
        eligible: ArrayLike | None = None,
        treated: ArrayLike | None = None,
        landmark: ArrayLike | None = None,
        ended: ArrayLike | None = None,
        censored: Mapping[str, ArrayLike] | None = None,
    ) -> StudyArrays:
        """Sort by subject, convert, and fill what is absent.

        Absent ``treated`` means at least one valid infusion, absent ``eligible`` and
        ``landmark`` nobody, absent ``infusions_by_landmark`` the valid infusions, absent
        ``ended`` that everybody could be observed throughout. Values after death or
        transplantation become ``MISSING``.
        """
        n, wide = len(subject_ids), (len(subject_ids), len(protocol.WEEKS))
        order = np.array(sorted(range(n), key=lambda i: subject_ids[i]), dtype=np.int64)

        def column(given: ArrayLike | None, dtype: Any, otherwise: Any = 0) -> NDArray[Any]:
            array = np.full(n, otherwise, dtype) if given is None else np.asarray(given, dtype=dtype)
            return array[order]

        def grid(code: str, given: ArrayLike, dtype: Any) -> NDArray[Any]:
            array = np.asarray(given, dtype=dtype)
            if array.shape != wide:
                raise ValueError(f"{code} must have the shape {wide}, not {array.shape}")
            return array[order]

        infusions = np.asarray(valid_infusions, dtype=np.int64)
        when = grid("ended", np.zeros(wide) if ended is None else ended, np.int8)
        blank = (when == Ended.DEAD) | (when == Ended.TRANSPLANTED)
        return cls(
            subject_ids=tuple(str(subject_ids[i]) for i in order),
            diagnosis=column([str(d) for d in np.asarray(diagnosis).tolist()], np.str_),
            sex=column([str(s or "") for s in np.asarray(sex).tolist()], np.str_),
            age=column(age, np.int64),
            valid_infusions=infusions[order],
            infusions_by_landmark=column(
                infusions if infusions_by_landmark is None else infusions_by_landmark,
                np.int64,
            ),
            eligible=column(eligible, np.bool_),
            treated=column(infusions > 0 if treated is None else treated, np.bool_),
            landmark=column(landmark, np.bool_),
            values=MappingProxyType(
                {
                    code: np.where(blank, MISSING, grid(code, array, np.int64))
                    for code, array in values.items()
                }
            ),
            ended=when,
            censored=MappingProxyType(
                {code: grid(code, array, np.bool_) for code, array in (censored or {}).items()}
            ),
        )

    def members(self, population: Population | str, stratum: str) -> Ints:
        """Return the row numbers of a stratum (``A`` to ``D``, ``LF``, ``LC``, ``ALL``) of a population."""
        key = ("members", str(population), stratum)
        if key not in self.memo:
            codes = [protocol.GROUP_CODES.index(code) for code in protocol.STRATA[stratum]]
            self.memo[key] = np.flatnonzero(np.isin(self.groups(population), codes))
        members: Ints = self.memo[key]
        return members

    def groups(self, population: Population | str) -> NDArray[np.int8]:
        """Return each subject's place in :data:`trial.protocol.GROUP_CODES`, -1 outside the population."""
        population = Population(population)
        key = ("groups", str(population))
        if key not in self.memo:
            landmark = population is Population.LANDMARK
            given = self.infusions_by_landmark if landmark else self.valid_infusions
            inside: Bools = getattr(self, population.value)
            index = np.full(len(self.subject_ids), -1, np.int8)
            for diagnosis in protocol.Diagnosis:
                for infusions in range(protocol.PROLONGED_FROM + 1):
                    place = protocol.GROUP_CODES.index(protocol.group_of(diagnosis, infusions))
                    same = np.minimum(given, protocol.PROLONGED_FROM) == infusions
                    index[inside & (self.diagnosis == diagnosis.value) & same] = place
            self.memo[key] = index
        groups: NDArray[np.int8] = self.memo[key]
        return groups


_PER_SUBJECT = (
    "diagnosis",
    "sex",
    "age",
    "valid_infusions",
    "infusions_by_landmark",
    "eligible",
    "treated",
    "landmark",
)
