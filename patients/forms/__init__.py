"""Forms of the ward, grown from the protocol. They read what was typed; actions decide."""

from patients.forms.enrolment import EnrolForm
from patients.forms.outcome import OutcomeForm, VoidForm
from patients.forms.panel import LabPanelForm, Row
from patients.forms.registration import RegistrationForm
from patients.forms.screening import ScreeningForm

__all__ = ["EnrolForm", "LabPanelForm", "OutcomeForm", "RegistrationForm", "Row", "ScreeningForm", "VoidForm"]
