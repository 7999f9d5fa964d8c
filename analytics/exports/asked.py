"""What was asked for in an export, besides the datasets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Asked:
    """Format, whose rows, with or without what identifies."""

    format: str = "csv"
    identified: bool = False
    population: str = ""
    byte_order_mark: bool = True
