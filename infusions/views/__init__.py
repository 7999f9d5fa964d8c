"""Pages of infusions: the place, lots, a subject's course, planning, giving, deciding."""

from infusions.views.course import course, decide, patient_lots, plan
from infusions.views.giving import check, give, void
from infusions.views.lots import add_custody, edit_lot, lot, lots, new_lot, recipients, release_tests
from infusions.views.missed import mark_missed
from infusions.views.place import place

__all__ = [
    "add_custody",
    "check",
    "course",
    "decide",
    "edit_lot",
    "give",
    "lot",
    "lots",
    "mark_missed",
    "new_lot",
    "patient_lots",
    "place",
    "plan",
    "recipients",
    "release_tests",
    "void",
]
