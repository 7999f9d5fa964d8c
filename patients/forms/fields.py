"""What the forms of the ward share: text fields, and days read out of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, time
from typing import Any, ClassVar

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from patients import edit_checks
from trial import marks, protocol, typed, vocabulary
from trial.refusals import Conflict, Problem, Refused
from trial.typed import Unreadable

NOTE_LENGTH = 200


def said(error: Unreadable | Problem | edit_checks.Breach) -> str:
    """Return rule and remedy in the reader's language."""
    return f"{error.sentence.said(gettext)} {error.remedy.said(gettext)}"


def named(label: str, error: str) -> str:
    """Return a message that says which field it is about, unless it does so already."""
    return error if label in error else f"{label}{marks.colon()}{error}"


def about(label: str, value: str, error: str) -> str:
    """Return a message that says which field and which value it is about.

    >>> about("Began on", "2024-02-31", "“2024-02-31” does not exist.")
    'Began on: “2024-02-31” does not exist.'
    >>> about("To age", "-3", "An age is whole years.")
    'To age “-3”: An age is whole years.'
    """
    shown = typed.printable(value.strip())
    if not label or error.startswith((f"{label}{marks.colon()}", f"{label} “")):
        return error
    is_said = not shown or f"“{shown}”" in error or error.startswith(shown)
    head = label if is_said else f"{label} “{shown}”"
    return f"{head}{marks.colon()}{error}"


def about_field(label: str, value: str, error: Any) -> forms.ValidationError:
    """Return what is wrong with a field, each message naming the field and its value.

    A question whether the value is meant stays as it is: it has its own place.
    """
    errors = error if isinstance(error, forms.ValidationError) else forms.ValidationError(error)
    return forms.ValidationError(
        [
            one
            if one.code == "to_confirm"
            else forms.ValidationError(about(label, value, one.messages[0]), code=one.code)
            for one in errors.error_list
        ]
    )


def text_field(label: Any = "", **options: Any) -> forms.CharField:
    """Return a field that keeps what was typed, for a reader of :mod:`trial.typed`."""
    return forms.CharField(label=label, required=False, strip=False, **options)


class TypedForm(forms.Form):
    """A form whose texts are read by :mod:`trial.typed` and whose rules are the actions'."""

    HOURS: ClassVar[Mapping[str, str]] = {}
    """The fields that are the hour of a day, with the field of that day."""

    def add_error(self, field: str | None, error: Any) -> None:
        """Say what is wrong; of something typed, with the name of its field and the value."""
        is_text = field is not None and isinstance(self.fields[field], forms.CharField)
        if field is not None and is_text and self.posted(field).strip():
            error = about_field(self._name_of(field), self.posted(field), error)
        super().add_error(field, error)

    def _name_of(self, field: str) -> str:
        day = self.HOURS.get(field)
        names = [day, field] if day is not None else [field]
        return marks.comma().join(str(self.fields[name].label or "") for name in names)

    def posted(self, name: str) -> str:
        """Return the text of a field as it was sent."""
        return str(self.data.get(name, "")) if self.is_bound else ""

    def shown(self, name: str) -> str:
        """Return the text a field shows: what was sent, or its initial value."""
        return self.posted(name) if self.is_bound else str(self.initial.get(name, "") or "")

    def read_day(
        self, name: str, *, today: date, life: edit_checks.Life | None = None, needed: bool = True
    ) -> date | None:
        """Read the day in a field, or say beside it why it cannot be."""
        text = self.posted(name)
        if not text.strip():
            if needed:
                self.add_error(
                    name,
                    _("%(field)s: the date is empty. Type it as year-month-day.")
                    % {"field": self.fields[name].label},
                )
            return None
        try:
            day = typed.read_date(text, today=today)
        except Unreadable as error:
            self.add_error(name, said(error))
            return None
        breach = edit_checks.day_breach(day, life or edit_checks.Life(today))
        if breach is not None:
            self.add_error(name, said(breach))
        return day

    def read_hour(self, name: str) -> time | None:
        """Read the hour in a field, or say beside it why it cannot be; empty is not known."""
        text = self.posted(name)
        if not text.strip():
            return None
        try:
            return typed.read_time(text)
        except Unreadable as error:
            self.add_error(name, said(error))
            return None

    def read_text(self, name: str, *, most: int) -> str:
        """Read the text in a field, or say beside it why it cannot be."""
        try:
            return typed.read_text(self.posted(name), most=most)
        except Unreadable as error:
            self.add_error(name, said(error))
            return ""

    def add_problems(self, refused: Refused) -> None:
        """Show what an action refused beside the fields it is about."""
        for problem in refused.problems:
            self.add_error(problem.field if problem.field in self.fields else None, problem.in_words)


class CorrectionForm(TypedForm):
    """A form that may change what is stored: the version on screen, and a coded reason with a note."""

    version = forms.IntegerField(required=False, min_value=0, max_value=2**31 - 1, widget=forms.HiddenInput)
    REASONS: ClassVar[Sequence[protocol.ChangeReason | vocabulary.Term]] = protocol.CHANGE_REASONS
    """The coded list that the form offers."""

    reason = forms.ChoiceField(label=_("Reason for the change"), required=False)
    note = text_field(_("Note"))

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["reason"].choices = [("", ""), *((code, label) for code, label in self._labels().items())]  # type: ignore[attr-defined]

    @property
    def reason_keys(self) -> list[tuple[int, Any]]:
        """The offered reasons, each with its key."""
        return list(enumerate(self.REASONS, start=1))

    def _labels(self) -> dict[str, str]:
        """Return every reason that is taken: those of a changed value too, which older drafts hold."""
        return {r.code: r.label for r in (*protocol.CHANGE_REASONS, *self.REASONS)}

    def read_reason(self) -> None:
        """Read the reason and its note, to be called while cleaning."""
        self.cleaned_data["note"] = self.read_text("note", most=NOTE_LENGTH)
        if self.cleaned_data.get("reason") == "other" and not self.posted("note").strip():
            self.add_error("note", _("The reason “other” needs a note that says what it was."))

    def reason_given(self) -> str:
        """Return the coded reason and its note as one sentence; empty when none is given."""
        labels = self._labels()
        code, note = self.cleaned_data.get("reason", ""), self.cleaned_data.get("note", "")
        return ": ".join(part for part in (labels.get(code, ""), note) if part)


def with_theirs(
    posted: QueryDict,
    conflict: Conflict,
    untouched: Iterable[str],
    stored: Mapping[str, Any],
    texts_of_field: Mapping[str, tuple[str, ...]],
) -> QueryDict:
    """Return the form as it was sent, on top of what the other person saved: mine stays where I typed."""
    merged = posted.copy()
    merged["version"] = str(conflict.version)
    for field in untouched:
        for name in texts_of_field.get(field, (field,)):
            merged[name] = "" if stored.get(name) is None else str(stored[name])
    return merged
