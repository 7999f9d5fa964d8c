"""Forms of accounts: who may come in, as what, and where; and a person's own password."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from allauth.account.forms import ChangePasswordForm
from allauth.core import context
from django import forms
from django.contrib import messages
from django.db import transaction
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext, pgettext_lazy

from trial import accounts, actions, tokens
from trial.models import Site, User
from trial.roles import ROLE_LABELS, Role

LONGEST_NOTE = 200


class OwnPasswordForm(ChangePasswordForm):  # type: ignore[misc]
    """Another password for oneself; programs that act for a person keep their tokens unless the person says so.

    Who was given a password by somebody else may have lost the old one to a
    stranger: then taking the tokens away is what happens without a word.
    """

    revoke_tokens = forms.BooleanField(label=_("Revoke my tokens for programs"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.tokens = list(tokens.valid_tokens_of(self.user))
        if self.tokens:
            self.fields["revoke_tokens"].initial = accounts.has_foreign_password(self.user)
        else:
            del self.fields["revoke_tokens"]

    def save(self) -> None:
        """Keep the password, and take the tokens away if that is wanted."""
        with transaction.atomic():
            super().save()
            revoked = tokens.revoke_all(by=self.user) if self.cleaned_data.get("revoke_tokens") else 0
        if revoked:
            text = ngettext("%(n)s token is revoked.", "%(n)s tokens are revoked.", revoked)
            messages.success(context.request, text % {"n": revoked})


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
        label=pgettext_lazy("of a place", "Name"),
        max_length=120,
        error_messages={"required": _("It is empty. Type the name of the hospital.")},
    )
    time_zone = forms.ChoiceField(label=_("Time zone"), initial="Asia/Shanghai")

    def __init__(self, data: Any = None) -> None:
        super().__init__(data)
        zones = sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith("Etc/"))
        self.fields["time_zone"].choices = [(zone, zone) for zone in zones]  # type: ignore[attr-defined]
