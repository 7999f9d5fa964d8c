"""Why single values were replaced, said in the one reason that a revision has.

A revision of many values has one text for its reason: the first line is what a
person wrote, each further line a coded reason and the values it was given for.
The history of a value finds its own line again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_BETWEEN = ", "
_BEHIND_LABEL = ": "
_ADDED = "; "
"""What the trail puts before a further reason of the same revision."""


def named(subject: str, place: str, field: str) -> str:
    """Return what a value is called in a reason.

    Examples
    --------
    >>> named("GE-031", "W12", "alt"), named("GE-031", "", "sex")
    ('GE-031 W12 alt', 'GE-031 sex')
    """
    return " ".join(part for part in (subject, place, field) if part)


def joined(reason: str, given: Mapping[str, Sequence[str]]) -> str:
    """Return one text of a reason and the coded reasons of single values.

    Parameters
    ----------
    reason
        What a person wrote about the whole.
    given
        The values, as :func:`named` calls them, by the label of their coded reason.

    Examples
    --------
    >>> joined("March export", {"unit corrected": ["GE-031 W12 alt", "GE-032 W4 inr"]})
    'March export\\nunit corrected: GE-031 W12 alt, GE-032 W4 inr'
    """
    lines = [" ".join(reason.split())]
    lines += [f"{label}{_BEHIND_LABEL}{_BETWEEN.join(values)}" for label, values in given.items() if values]
    return "\n".join(lines)


def whole(reason: str) -> str:
    """Return what was said about the whole revision."""
    return reason.partition("\n")[0]


def counted(reason: str) -> list[tuple[str, int]]:
    """Return each coded reason and for how many values it was given.

    Examples
    --------
    >>> counted("March export\\nunit corrected: GE-031 W12 alt, GE-032 W4 inr")
    [('unit corrected', 2)]
    """
    found = []
    for line in reason.split("\n")[1:]:
        label, values = _line(line)
        if values:
            found.append((label, len(values)))
    return found


def of_value(reason: str, value: str) -> tuple[str, str]:
    """Return the coded reason of one value, empty when it has none, and the reason of the whole.

    Examples
    --------
    >>> of_value("March export\\nunit corrected: GE-031 W12 alt, GE-032 W4 inr", "GE-032 W4 inr")
    ('unit corrected', 'March export')
    """
    for line in reason.split("\n")[1:]:
        label, values = _line(line)
        if value in values:
            return label, whole(reason)
    return "", whole(reason)


def _line(line: str) -> tuple[str, list[str]]:
    label, behind, values = line.partition(_BEHIND_LABEL)
    return label, values.partition(_ADDED)[0].split(_BETWEEN) if behind else []
