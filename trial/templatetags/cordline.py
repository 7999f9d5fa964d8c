"""Marks and numbers as the pages show them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from django import template
from django.conf import settings
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from trial import marks, protocol
from trial.unit_words import unit_said

register = template.Library()

MINUS = "\u2212"
NOTHING = "\u2013"
"""What stands where there is no number."""
THRESHOLD = Decimal("0.05")
_LONG = re.compile(r"(?<![.\d])[1-9]\d{4,}")


# --- marks ----------------------------------------------------------------------------------


@register.simple_tag
def icon(name: str, classes: str = "", label: str = "") -> SafeString:
    """Return a symbol of the sprite; with a label it speaks, without one it is silent.

    Parameters
    ----------
    name
        The part of the symbol's id after ``i-`` in ``cordline/icons.svg``.
    classes
        More classes, separated by spaces.
    label
        What a screen reader says; leave it out where a word stands beside it.
    """
    href = f"{static('cordline/icons.svg')}#i-{name}"
    if label:
        return format_html(
            '<svg class="icon {}" role="img" aria-label="{}"><use href="{}"></use></svg>',
            classes,
            label,
            href,
        )
    return format_html(
        '<svg class="icon {}" aria-hidden="true"><use href="{}"></use></svg>',
        classes,
        href,
    )


@register.simple_tag
def group_mark(code: str) -> str:
    """Return the coloured letter of a group, or nothing while there is none."""
    if code not in protocol.GROUP_CODES:
        return ""
    label = _("group %(code)s") % {"code": code}
    return format_html(
        '<span class="group-mark group-mark-{}" role="img" aria-label="{}">{}</span>',
        code.lower(),
        label,
        code,
    )


@register.simple_tag
def key(text: str) -> SafeString:
    """Return a key cap."""
    return format_html('<kbd class="key">{}</kbd>', text)


@register.simple_tag
def glyph(state: str, label: str = "") -> SafeString:
    """Return the mark of a due state; the shape differs, the colour only repeats it.

    ``state`` is one of overdue, closing, due, open, done, missed, note.
    """
    return icon(f"glyph-{state}", f"glyph glyph-{state}", label)


@register.simple_block_tag
def scrolled(content: SafeString, label: str) -> SafeString:
    """Put a wide table where it scrolls by itself, with the keyboard too; ``label`` is what a screen reader calls it."""
    return format_html(
        '<div class="table-scroll" tabindex="0" role="region" aria-label="{}">{}</div>', label, content
    )


# --- numbers --------------------------------------------------------------------------------


def _decimal(value: Any) -> Decimal | None:
    if value is None or value == "" or isinstance(value, bool):
        return None
    try:
        exact = value if isinstance(value, Decimal) else Decimal(str(value))
    except (InvalidOperation, ValueError):
        return None
    return exact if exact.is_finite() else None


def rounded(value: Decimal, decimals: int | None) -> str:
    """Return a decimal in plain digits with the typographic minus; never ``-0``."""
    if decimals is not None:
        value = value.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_EVEN)
    if value == 0:
        value = abs(value)
    return f"{value:f}".replace("-", MINUS)


def _places(decimals: Any) -> int | None:
    return None if decimals in (None, "") else int(decimals)


@register.filter
def number(value: Any, decimals: Any = None) -> str:
    """Return ``value`` with a true minus and, when given, so many decimals."""
    exact = _decimal(value)
    return NOTHING if exact is None else rounded(exact, _places(decimals))


@register.filter
def middle(value: Any, decimals: Any = None) -> str:
    """Return a median or a quartile as :func:`number` does; one that lies midway between whole numbers keeps its half."""
    exact, places = _decimal(value), _places(decimals)
    midway = exact is not None and places == 0 and exact % 1 != 0 and exact * 2 % 1 == 0
    return number(value, 1 if midway else decimals)


@register.filter
def signed(value: Any, decimals: Any = None) -> str:
    """Return a change with its sign; no change is a bare 0."""
    exact = _decimal(value)
    if exact is None:
        return NOTHING
    shown = rounded(exact, _places(decimals))
    positive = exact > 0 and any(digit in "123456789" for digit in shown)
    return f"+{shown}" if positive else shown


@register.filter
def limit(value: Any, decimals: Any = None) -> str:
    """Return an estimate or a limit of its interval: one decimal more than the values it is made of.

    A number that is not zero gets the decimals that show its sign, down to the six
    that differences have; a bare 0 is zero.
    """
    exact, places = _decimal(value), _places(decimals)
    if exact is None or places is None:
        return number(value, decimals)
    if not round(exact, protocol.DIFFERENCE_PLACES):
        return "0"
    places += 1
    while not round(exact, places):
        places += 1
    return rounded(exact, places)


@register.filter
def difference(value: Any, decimals: Any = None) -> str:
    """Return an estimated difference with its sign, in the digits of :func:`limit`."""
    shown = limit(value, decimals)
    exact = _decimal(value)
    positive = exact is not None and exact > 0 and any(digit in "123456789" for digit in shown)
    return f"+{shown}" if positive else shown


@register.filter
def apart(shown: str) -> str:
    """Set the thousands of a printed number apart from five digits on: ``407,193,766``, but ``1442``."""
    return _LONG.sub(lambda digits: f"{int(digits[0]):,}", shown)


@register.filter
def count(value: Any) -> str:
    """Return a whole number with thousands set apart, as in ``1,234``."""
    exact = _decimal(value)
    return NOTHING if exact is None else f"{int(exact):,}".replace("-", MINUS)


@register.filter
def p_value(value: Any) -> str:
    """Return a p as journals print it: two figures, three below 0.1, ``< 0.001`` below that.

    A p that would be rounded onto 0.05 gets the decimals that show its side.
    """
    exact = _decimal(value)
    if exact is None:
        return NOTHING
    if exact < Decimal("0.001"):
        return "< 0.001"
    decimals = 3 if exact < Decimal("0.1") else 2
    while decimals < 8 and exact != THRESHOLD and exact.quantize(Decimal(1).scaleb(-decimals)) == THRESHOLD:
        decimals += 1
    return rounded(exact, decimals)


@register.simple_tag
def comma() -> str:
    """The mark between the parts of one line; a Chinese line has marks of full width."""
    return marks.comma()


@register.simple_tag
def semicolon() -> str:
    """The mark between what could stand alone."""
    return marks.semicolon()


@register.simple_tag
def colon() -> str:
    """The mark before what is said of the thing in front of it."""
    return marks.colon()


@register.simple_tag
def stop() -> str:
    """The mark at the end of a sentence."""
    return marks.stop()


@register.filter
def listed(words: Iterable[Any]) -> str:
    """Join the words of a list."""
    return marks.listed(str(word) for word in words)


@register.filter
def unit(value: Any) -> str:
    """Return a unit as it is printed; stored units stay plain ASCII."""
    return unit_said(str(value or ""))


@register.filter
def of(found: Any, key: Any) -> Any:
    """Return what a mapping holds under a key, or nothing: ``{{ marks|of:visit.pk|of:"tbil" }}``."""
    return found.get(key, "") if isinstance(found, Mapping) else ""


# --- days and times -------------------------------------------------------------------------


@register.filter
def iso_date(value: date | datetime | None) -> str:
    """Return a day as ``2026-03-19``."""
    if value is None or value == "":
        return NOTHING
    return value.date().isoformat() if isinstance(value, datetime) else value.isoformat()


@register.filter
def study_day(value: date | None, first: date | None) -> str:
    """Return the day of the study, counted from ``first`` as day 0."""
    if not value or not first:
        return ""
    return _("day %(number)s") % {"number": rounded(Decimal((value - first).days), 0)}


@register.filter
def weeks(value: int | None) -> str:
    """Return ``week 4`` or, for a draw outside the schedule, ``unscheduled``."""
    return _("unscheduled") if value is None else _("week %(number)s") % {"number": value}


@register.filter
def days_apart(value: int) -> str:
    """Return a distance in days, as in ``5 days``."""
    return ngettext("%(number)s day", "%(number)s days", abs(value)) % {"number": abs(value)}


@register.simple_tag
def local_time(
    moment: datetime | None, zone: str | ZoneInfo | None = None, form: str = "minute"
) -> SafeString:
    """Return an instant in a site's time, with UTC in its title.

    ``form`` is ``minute`` (2026-03-19 10:42), ``second`` or ``clock`` (10:42).
    """
    if moment is None:
        return format_html("{}", NOTHING)
    place = zone if isinstance(zone, ZoneInfo) else ZoneInfo(zone or settings.TIME_ZONE)
    pattern = {
        "minute": "%Y-%m-%d %H:%M",
        "second": "%Y-%m-%d %H:%M:%S",
        "clock": "%H:%M",
    }[form]
    here, there = moment.astimezone(place), moment.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{} UTC">{}</time>',
        there.strftime("%Y-%m-%dT%H:%M:%SZ"),
        there.strftime("%Y-%m-%d %H:%M:%S"),
        here.strftime(pattern),
    )


# --- addresses ------------------------------------------------------------------------------


@register.simple_tag(takes_context=True)
def url_with(context: template.Context, **changes: Any) -> str:
    """Return the query string of this page with some parameters set, or left out when empty.

    A changed filter starts again at the first page, so ``page``, ``after`` and
    ``before`` go unless they are set here.
    """
    query = context["request"].GET.copy()
    for name in ("page", "after", "before"):
        query.pop(name, None)
    for name, value in changes.items():
        if value in (None, ""):
            query.pop(name, None)
        else:
            query[name] = str(value)
    return f"?{query.urlencode()}" if query else "?"
