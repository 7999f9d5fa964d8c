"""Values as the ward reads them."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

from trial.protocol import Limits

_LARGE = Decimal(100_000)
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def in_print(value: Decimal, decimals: int) -> str:
    """Write a laboratory value with its decimals; from 100,000 on as a power of ten, two figures.

    Examples
    --------
    >>> in_print(Decimal("152.84"), 1), in_print(Decimal("39000000"), 0)
    ('152.8', '3.9 × 10⁷')
    """
    if abs(value) < _LARGE:
        return f"{value.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_EVEN):f}"
    exponent = value.adjusted()
    mantissa = value.scaleb(-exponent).quantize(Decimal("0.1"), rounding=ROUND_HALF_EVEN)
    if mantissa >= 10:
        exponent, mantissa = exponent + 1, mantissa / 10
    return f"{mantissa.normalize():f} × 10{str(exponent).translate(_SUPERSCRIPTS)}"


def decimals_as_reported(value: Decimal, decimals: int, *, converted: bool) -> int:
    """Return how many decimals a stored value is printed with: no digit of a report is hidden.

    A value that was converted from another unit has digits that nobody reported; it keeps the usual ones.

    Examples
    --------
    >>> decimals_as_reported(Decimal("74.500000"), 0, converted=False)
    1
    >>> decimals_as_reported(Decimal("241.11"), 1, converted=True)
    1
    """
    exponent = value.normalize().as_tuple().exponent
    return decimals if converted or not isinstance(exponent, int) else max(decimals, -exponent)


def range_text(limits: Limits) -> str:
    """Write a reference range without trailing zeros, an open side as a comparison.

    Examples
    --------
    >>> range_text(Limits(Decimal("7.80"), Decimal("30.6"))), range_text(Limits(None, Decimal("20.000")))
    ('7.8–30.6', '≤ 20')
    """
    low, high = (None if side is None else f"{side.normalize():f}" for side in (limits.low, limits.high))
    if low is None:
        return f"≤ {high}"
    return f"≥ {low}" if high is None else f"{low}\N{EN DASH}{high}"
