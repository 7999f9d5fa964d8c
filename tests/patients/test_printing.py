"""Values as the ward reads them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from patients.printing import decimals_as_reported, in_print


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        ("0", 1, "0.0"),
        ("152.84", 1, "152.8"),
        ("99999.4", 0, "99999"),
        ("100000", 0, "1 × 10⁵"),
        ("39000000", 0, "3.9 × 10⁷"),
        ("9960000", 0, "1 × 10⁷"),
        ("1000000000000", 0, "1 × 10¹²"),
    ],
)
def test_large_values_are_powers_of_ten(value: str, decimals: int, text: str) -> None:
    assert in_print(Decimal(value), decimals) == text


def test_no_digit_of_a_report_is_hidden() -> None:
    assert decimals_as_reported(Decimal("74.500000"), 0, converted=False) == 1
    assert decimals_as_reported(Decimal("150.000000"), 1, converted=False) == 1
    assert decimals_as_reported(Decimal("241.110000"), 1, converted=True) == 1
