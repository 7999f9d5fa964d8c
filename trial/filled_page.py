"""Puts what was typed back into a form of a finished page, whatever form it is.

Pure: text in, text out. It serves browsers without scripts, whose form arrived
after the session had ended: the page is built as always, then its form is filled
with what the person had typed, the one-time key included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from html.parser import HTMLParser

_UNTOUCHED_TYPES = frozenset({"submit", "button", "image", "reset", "file", "password"})
_UNTOUCHED_NAMES = frozenset({"csrfmiddlewaretoken"})

Fields = Mapping[str, Sequence[str]]


@dataclass(slots=True)
class _Tag:
    """A start tag: where it stands, what it says, and for a text area where its text ends."""

    start: int
    end: int
    attributes: dict[str, str | None]
    kind: str
    closes_at: int = 0
    options: list[_Tag] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.attributes.get("name") or ""


@dataclass(slots=True)
class _Form:
    tag: _Tag
    controls: list[_Tag] = field(default_factory=list)


class _Forms(HTMLParser):
    """Finds the forms that are kept as drafts, with their controls."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=False)
        self.forms: list[_Form] = []
        self._form: _Form | None = None
        self._select: _Tag | None = None
        self._area: _Tag | None = None
        self._lines = [0]
        for line in page.split("\n"):
            self._lines.append(self._lines[-1] + len(line) + 1)
        self.feed(page)
        self.close()

    def _here(self) -> int:
        line, column = self.getpos()
        return self._lines[line - 1] + column

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        here = self._here()
        found = _Tag(here, here + len(self.get_starttag_text() or ""), dict(attrs), tag)
        if tag == "form":
            self._form = _Form(found) if "data-draft" in found.attributes else None
            if self._form:
                self.forms.append(self._form)
        elif self._form is None:
            return
        elif tag == "option" and self._select is not None:
            self._select.options.append(found)
        elif tag in {"input", "select", "textarea"}:
            self._form.controls.append(found)
            self._select = found if tag == "select" else None
            self._area = found if tag == "textarea" else None

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = None
        elif tag == "textarea" and self._area is not None:
            self._area.closes_at = self._here()
            self._area = None


def fill(page: str, fields: Fields) -> str | None:
    """Return a page with what was typed in its form, or None when it has no form for it.

    Of several forms that are kept as drafts it fills the one that has most of the fields.

    Examples
    --------
    >>> fill('<form data-draft="x"><input name="alt" value="4"></form>', {"alt": ["44"]})
    '<form data-draft="x"><input name="alt" value="44"></form>'
    """
    forms = _Forms(page.replace("\r\n", "\n").replace("\r", "\n")).forms
    page = page.replace("\r\n", "\n").replace("\r", "\n")
    if not forms:
        return None
    best = max(forms, key=lambda form: len({control.name for control in form.controls} & set(fields)))
    left = {name: list(values) for name, values in fields.items()}
    edits: list[tuple[int, int, str]] = []
    for control in best.controls:
        edits += _edits(control, left)
    for start, end, text in sorted(edits, reverse=True):
        page = page[:start] + text + page[end:]
    return page


def _edits(control: _Tag, left: dict[str, list[str]]) -> list[tuple[int, int, str]]:
    name, kind = control.name, (control.attributes.get("type") or "text").lower()
    if not name or name in _UNTOUCHED_NAMES or (control.kind == "input" and kind in _UNTOUCHED_TYPES):
        return []
    is_choice = control.kind == "input" and kind in {"checkbox", "radio"}
    if name not in left:
        # a box that was not ticked is not sent
        return [_with(control, "checked", None)] if is_choice else []
    values = left[name]
    if is_choice:
        ticked = (control.attributes.get("value") or "on") in values
        return [_with(control, "checked", "" if ticked else None)]
    if control.kind == "select":
        return [
            _with(option, "selected", "" if (option.attributes.get("value") or "") in values else None)
            for option in control.options
        ]
    value = values.pop(0) if values else ""
    if control.kind == "textarea":
        return [(control.end, max(control.end, control.closes_at), "\n" + escape(value))]
    return [_with(control, "value", value)]


def _with(tag: _Tag, name: str, value: str | None) -> tuple[int, int, str]:
    """Return the edit that gives a tag an attribute, or takes it away."""
    attributes = {**tag.attributes, name: value}
    if value is None:
        del attributes[name]
    elif value == "" and name != "value":
        attributes[name] = None
    said = "".join(
        f" {key}" if given is None else f' {key}="{escape(given)}"' for key, given in attributes.items()
    )
    return tag.start, tag.end, f"<{tag.kind}{said}>"
