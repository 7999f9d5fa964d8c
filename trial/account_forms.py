"""Forms of the account admin: who may come in, as what, and where."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.utils.translation import gettext_lazy as _

from trial import actions
from trial.models import Site, User
from trial.roles import ROLE_LABELS, Role

LONGEST_NOTE = 200


class NoteForm(forms.Form):
    """Why something is done to an account."""

    note = forms.CharField(label=_("Why"), max_length=LONGEST_NOTE, required=False)


class AccountForm(NoteForm):
    """Name, role and site of a person."""

    last_name = forms.CharField(label=_("Family name"), max_length=150, required=False)
    first_name = forms.CharField(label=_("Given name"), max_length=150, required=False)
    role = forms.ChoiceField(
        label=_("Role"), choices=[(role.value, name) for role, name in ROLE_LABELS.items()]
    )
    site = forms.ModelChoiceField(
        label=_("Site"),
        queryset=Site.objects.all(),
        to_field_name="code",
        required=False,
        empty_label=_("all sites"),
        error_messages={"invalid_choice": _("There is no such site. Choose one of the list.")},
    )
    seen = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, data: Any = None, *, account: User | None = None) -> None:
        initial = {}
        if account is not None:
            initial = {
                "last_name": account.last_name,
                "first_name": account.first_name,
                "role": account.role,
                "site": account.site.code if account.site else "",
                "seen": actions.standing_of(account),
            }
        super().__init__(data, initial=initial)

    def given(self) -> dict[str, Any]:
        """Return what the actions take."""
        cleaned = self.cleaned_data
        return {
            "role": Role(cleaned["role"]),
            "site": cleaned["site"],
            "first_name": cleaned["first_name"],
            "last_name": cleaned["last_name"],
        }


class NewAccountForm(AccountForm):
    """The same of somebody new, with the name to sign in with."""

    username = forms.CharField(
        label=_("Username"),
        max_length=150,
        error_messages={"required": _("It is empty. Type the name to sign in with, such as li.min.")},
    )
    note = None  # type: ignore[assignment]
    seen = None  # type: ignore[assignment]

    field_order = ["username", "last_name", "first_name", "role", "site"]


class SiteForm(forms.Form):
    """A hospital that joins the study."""

    code = forms.RegexField(
        label=_("Code"),
        regex=r"^[A-Z]{1,8}$",
        error_messages={
            "invalid": _("A code is one to eight capital letters, such as GE."),
            "required": _("It is empty. A code is one to eight capital letters, such as GE."),
        },
    )
    name = forms.CharField(
        label=_("Name"),
        max_length=120,
        error_messages={"required": _("It is empty. Type the name of the hospital.")},
    )
    time_zone = forms.ChoiceField(label=_("Time zone"), initial="Asia/Shanghai")

    def __init__(self, data: Any = None) -> None:
        super().__init__(data)
        zones = sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith("Etc/"))
        self.fields["time_zone"].choices = [(zone, zone) for zone in zones]  # type: ignore[attr-defined]
