"""Reads what a person typed or a file holds: numbers, units, dates, times, text.

One door for forms, imports and commands; the readers behind it are pure.
"""

from trial.typed_dates import read_date, read_time
from trial.typed_numbers import Typed, read_number, read_number_alone, read_unit
from trial.typed_text import read_text
from trial.unreadable import MOST_CHARACTERS, Unreadable, printable

__all__ = [
    "MOST_CHARACTERS",
    "Typed",
    "Unreadable",
    "printable",
    "read_date",
    "read_number",
    "read_number_alone",
    "read_text",
    "read_time",
    "read_unit",
]
