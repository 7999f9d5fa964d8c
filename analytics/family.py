"""How many tests the paper makes, and how many of them chance alone would call significant.

The paper compares five quantities over four intervals in four pairs of groups, total
bilirubin cumulatively in the same pairs, five quantities between liver failure and
cirrhosis, and five quantities at four times against week 0 within two groups.
"""

from __future__ import annotations

from trial import protocol

ALPHA = 0.05
_QUANTITIES = 5
_INTERVALS, _WEEKS = len(protocol.INTERVALS), len(protocol.CUMULATIVE)
_PAIRS = sum(all(len(protocol.STRATA[code]) == 1 for code in pair) for pair in protocol.CONTRASTS)

PAPER_TESTS: int = (
    _QUANTITIES * _INTERVALS * _PAIRS  # interval decreases
    + _WEEKS * _PAIRS  # cumulative decreases of total bilirubin
    + _QUANTITIES * _INTERVALS  # liver failure beside cirrhosis
    + _QUANTITIES * _WEEKS * 2  # against week 0, within each of two groups
)
"""156: how often the paper tests."""
BY_CHANCE: int = round(PAPER_TESTS * ALPHA)
"""How many of them are expected below 0.05 when nothing differs."""
