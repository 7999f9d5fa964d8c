"""The forms of infusions say what is missing and how to mend it."""

from __future__ import annotations

from infusions.forms import VoidForm
from infusions.forms.fields import text_field


def test_a_missing_reason_names_its_remedy() -> None:
    form = VoidForm({"version": "1"})
    assert form.errors["reason"] == ["No reason is given. Choose one."]
    assert "why" in str(text_field("Grounds", required=True).error_messages["required"])
