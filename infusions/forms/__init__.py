"""Forms of the ward: infusions, lots, plans and the decision on the course."""

from infusions.forms.infusion import CorrectionForm, InfusionForm, VoidForm
from infusions.forms.lots import CustodyForm, LotEditForm, LotForm, ReleaseForm, ReleaseTestsForm
from infusions.forms.planning import CallOffForm, DecisionForm, PlanForm

__all__ = [
    "CallOffForm",
    "CorrectionForm",
    "CustodyForm",
    "DecisionForm",
    "InfusionForm",
    "LotEditForm",
    "LotForm",
    "PlanForm",
    "ReleaseForm",
    "ReleaseTestsForm",
    "VoidForm",
]
