"""The form that takes a subject into the study."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from patients.forms.fields import TypedForm, said, text_field
from trial import clock, protocol, typed
from trial.models import Site
from trial.refusals import Refused
from trial.typed import Unreadable

IDENTITY: tuple[tuple[str, Any, int], ...] = (
    ("name", _("Name"), 120),
    ("hospital_number", _("Hospital number"), 40),
    ("phone", _("Telephone"), 40),
)
_AGE_LIMITS = (Decimal(0), Decimal(120))


def _choices(labels: Any) -> list[tuple[str, Any]]:
    return [(code.value, label) for code, label in labels.items()]


class RegistrationForm(TypedForm):
    """Who is to be screened: what the study needs, and apart from it who the person is."""

    site = forms.ChoiceField(label=_("Site"), required=False)
    subject_id = text_field(_("Subject code"))
    sex = forms.ChoiceField(
        label=_("Sex"),
        choices=_choices(protocol.SEX_LABELS),
        error_messages={"required": _("No sex is given. Choose one.")},
    )
    birth_date = text_field(_("Date of birth"))
    age = text_field(_("or age in years"))
    diagnosis = forms.ChoiceField(
        label=_("Diagnosis"),
        choices=_choices(protocol.DIAGNOSIS_LABELS),
        error_messages={"required": _("No diagnosis is given. Choose one.")},
    )
    another_than = text_field(_("somebody else"))

    def __init__(self, data: Any = None, *, sites: Sequence[Site], asks_identity: bool) -> None:
        super().__init__(data)
        self.may_be: list[str] = []
        self.sites, self.asks_identity = {site.code: site for site in sites}, asks_identity
        self.fields["site"].choices = [(site.code, site.name) for site in sites]  # type: ignore[attr-defined]
        self.identity_names = [name for name, _label, _most in IDENTITY] if asks_identity else []
        if asks_identity:
            for name, label, _most in IDENTITY:
                self.fields[name] = text_field(label)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        cleaned["site"] = site = self._site()
        if site is None:
            return cleaned
        today = clock.today_at(site)
        cleaned["subject_id"] = self._subject_id(site)
        cleaned["birth_date"] = self.read_day("birth_date", today=today, needed=False)
        cleaned["age"] = read_age(self, "age")
        if (
            cleaned["birth_date"] is None
            and cleaned["age"] is None
            and not self._has_errors("birth_date", "age")
        ):
            self.add_error("birth_date", _("Neither date of birth nor age is given. Give one of them."))
        cleaned["another_than"] = [code for code in self.posted("another_than")[:200].split(",") if code]
        if self.asks_identity:
            cleaned["identity"] = {name: self.read_text(name, most=most) for name, _label, most in IDENTITY}
        return cleaned

    def add_problems(self, refused: Refused) -> None:
        """Ask whether it is the same person; show everything else beside its field."""
        self.may_be = [
            code
            for problem in refused.problems
            if problem.rule == "known_person"
            for code in problem.value.split(",")
        ]
        super().add_problems(refused)

    def _has_errors(self, *names: str) -> bool:
        return any(name in self.errors for name in names)

    def _site(self) -> Site | None:
        if len(self.sites) == 1:
            return next(iter(self.sites.values()))
        code = self.posted("site")
        if code not in self.sites:
            if "site" not in self.errors:
                self.add_error("site", _("No site is chosen. Choose the hospital that recruits."))
            return None
        return self.sites[code]

    def _subject_id(self, site: Site) -> str | None:
        code = self.posted("subject_id").strip().upper()
        if not code:
            return None
        # a code of the site's own, so that nothing can be learned about another site's
        if not re.fullmatch(rf"{site.code}-[A-Z0-9_.-]{{1,{23 - len(site.code)}}}", code):
            self.add_error(
                "subject_id",
                gettext(
                    "“%(code)s” is not a code of this site. Codes begin with %(site)s-; leave it empty for the next."
                )
                % {"code": typed.printable(code), "site": site.code},
            )
        return code


def read_age(form: TypedForm, name: str) -> Decimal | None:
    """Read the age in a field, or say beside it why it cannot be."""
    text = form.posted(name)
    if not text.strip():
        return None
    try:
        number = typed.read_number_alone(text)
    except Unreadable as error:
        form.add_error(name, said(error))
        return None
    low, high = _AGE_LIMITS
    if number.comparator or number.unit or not low <= number.value <= high:
        form.add_error(name, _("An age is a number from 0 to 120 without a sign. Type it in years."))
        return None
    return number.value
