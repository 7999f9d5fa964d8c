"""The forms of a query: to ask, and to take the next step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from patients import query_words
from patients.actions.queries import LONGEST_TEXT
from patients.forms.fields import TypedForm, text_field
from patients.query_life import Step
from patients.query_thread import Choice
from trial import protocol
from trial.models import Site, User

_LARGEST = 2**31 - 1


def _owner_choices(site: Site, owners: Sequence[User]) -> list[tuple[str, str]]:
    everybody = gettext("coordinators of %(site)s") % {"site": site.name}
    return [("", everybody), *((str(person.pk), query_words.person(person)) for person in owners)]


class AskForm(TypedForm):
    """A question: about what, to whom."""

    about = forms.ChoiceField(label=_("About"))
    field = forms.ChoiceField(label=_("Value"), required=False)
    owner = forms.ChoiceField(label=_("Who answers"), required=False)
    text = text_field(_("Question"))

    def __init__(
        self,
        data: Any = None,
        *,
        choices: Sequence[Choice],
        site: Site,
        owners: Sequence[User],
        initial: Any = None,
    ) -> None:
        super().__init__(data, initial=initial)
        self.things = {choice.code: choice for choice in choices}
        self.people = {str(person.pk): person for person in owners}
        self.fields["about"].choices = [(choice.code, choice.label) for choice in choices]  # type: ignore[attr-defined]
        self.fields["field"].choices = [  # type: ignore[attr-defined]
            ("", gettext("the whole of it")),
            *((analyte.code, gettext(analyte.label)) for analyte in protocol.PANEL),
        ]
        self.fields["owner"].choices = _owner_choices(site, owners)  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        cleaned["text"] = self.read_text("text", most=LONGEST_TEXT)
        thing = self.things.get(cleaned.get("about", ""))
        if cleaned.get("field") and thing is not None and thing.about.visit is None:
            self.add_error(
                "field", _("A value belongs to a visit. Choose the visit, or ask about the whole.")
            )
        return cleaned

    @property
    def thing(self) -> Choice:
        return self.things[self.cleaned_data["about"]]

    @property
    def asked_of(self) -> User | None:
        return self.people.get(self.cleaned_data.get("owner", ""))


class StepForm(TypedForm):
    """The next step of a query, with what is said."""

    step = forms.ChoiceField(
        choices=[(step.value, step.value) for step in Step if step is not Step.OPENED],
        error_messages={
            "required": _("No step is chosen. Answer, close, reopen, or pass the query on."),
            "invalid_choice": _("There is no such step. Answer, close, reopen, or pass the query on."),
        },
    )
    version = forms.IntegerField(min_value=0, max_value=_LARGEST, widget=forms.HiddenInput)
    to = forms.ChoiceField(label=_("Pass on to"), required=False)
    text = text_field(_("Message"))

    def __init__(self, data: Any = None, *, site: Site, owners: Sequence[User], initial: Any = None) -> None:
        super().__init__(data, initial=initial)
        self.people = {str(person.pk): person for person in owners}
        self.fields["to"].choices = _owner_choices(site, owners)  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        cleaned["text"] = self.read_text("text", most=LONGEST_TEXT)
        return cleaned

    @property
    def passed_to(self) -> User | None:
        return self.people.get(self.cleaned_data.get("to", ""))
