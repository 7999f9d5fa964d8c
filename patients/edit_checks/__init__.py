"""Hard and soft checks over typed values, the same for a form, a grid, a file and a laboratory's interface.

A hard check (:func:`breach`, :func:`day_breach`) refuses. A soft one (:func:`doubts`)
asks for a second look; what is kept all the same is saved and opens a query.
Limits that the protocol does not hold are ours and say so. What is measured at
an infusion is checked there. Pure: no database, no clock.
"""

from patients.edit_checks.days import day_breach, day_doubts
from patients.edit_checks.found import DAY_FIELD, Around, Breach, Course, Doubt, Earlier, Life, plain
from patients.edit_checks.hard import breach, unit_breach
from patients.edit_checks.panel import doubts

__all__ = [
    "DAY_FIELD",
    "Around",
    "Breach",
    "Course",
    "Doubt",
    "Earlier",
    "Life",
    "breach",
    "day_breach",
    "day_doubts",
    "doubts",
    "plain",
    "unit_breach",
]
