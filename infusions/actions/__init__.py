"""What the ward does with infusions and lots: one function per intention.

An infusion that was given is recorded whatever it was like; where it lies
outside the protocol, a coded deviation says why. Only what cannot have happened
is refused: a ninth infusion, a day in the future, one after the subject's death.
A plan, on the other hand, is refused where the protocol says no.
"""

from infusions.actions.deciding import decide_course, void_decision
from infusions.actions.giving import SOURCE, Recorded, correct_infusion, give_infusion, void_infusion
from infusions.actions.lots import (
    TestResult,
    add_custody,
    decide_release,
    edit_lot,
    record_release_tests,
    register_lot,
)
from infusions.actions.planning import call_off, cancel_plan, plan_infusion

__all__ = [
    "SOURCE",
    "Recorded",
    "TestResult",
    "add_custody",
    "call_off",
    "cancel_plan",
    "correct_infusion",
    "decide_course",
    "decide_release",
    "edit_lot",
    "give_infusion",
    "plan_infusion",
    "record_release_tests",
    "register_lot",
    "void_decision",
    "void_infusion",
]
