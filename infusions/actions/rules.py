"""Steps that several actions on infusions and lots share: merging, reasons, refusals of the database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.utils.translation import gettext as _

from patients.actions.rules import violated_constraint
from trial.refusals import Clash, Conflict

ADDED_LATER = "added later"
"""Kept as the reason when only empty fields were filled in."""


def merged(
    mine: Mapping[str, Any],
    stored: Mapping[str, Any],
    before: Mapping[str, Any] | None,
    *,
    version: int,
    by: str = "",
) -> dict[str, Any]:
    """Join what two people changed, field by field; a field that both changed to another value is a conflict.

    ``before`` is what was on this person's screen; None when nobody knows it any more.
    """
    joined: dict[str, Any] = {}
    clashes = []
    for name, own in mine.items():
        other = stored.get(name)
        was = before.get(name) if before is not None else None
        if before is not None and own == was:
            joined[name] = other
        elif own == other or (before is not None and other == was):
            joined[name] = own
        else:
            clashes.append(Clash(name, shown(own), shown(other), shown(was), by))
    if clashes:
        raise Conflict(clashes, version)
    return joined


def shown(value: object) -> str:
    """Return a value as a conflict shows it."""
    return "" if value is None else str(getattr(value, "code", value))


def corrects(new: Mapping[str, Any], stored: Mapping[str, Any]) -> bool:
    """Return whether something that stands is changed, and not only something empty filled in."""
    return any(stored.get(name) not in (None, "") and stored[name] != value for name, value in new.items())


def demand_reason(reason: str) -> None:
    """Refuse a change of what was recorded without a reason."""
    if not reason.strip():
        raise ValidationError({"reason": _("A change of what was recorded needs a reason.")})


def as_sentence(error: IntegrityError, lot: str = "") -> ValidationError:
    """Turn a violated constraint into an error at the field it is about."""
    match constraint := violated_constraint(error):
        case "one_infusion_per_number":
            return ValidationError(
                {"number": _("This infusion was recorded a moment ago. Reload the course to see it.")}
            )
        case "one_plan_per_infusion":
            return ValidationError(
                {"number": _("This infusion was planned a moment ago. Reload the course to see it.")}
            )
        case "weight_is_25_to_250_kg":
            return ValidationError(
                {"weight_kg": _("A weight lies between 25 and 250 kg. Check value and unit.")}
            )
        case "cells_are_more_than_none":
            return ValidationError({"cells": _("The number of cells is more than none.")})
        case "volume_is_more_than_none":
            return ValidationError({"volume_ml": _("The volume is more than none.")})
        case "infusion_stops_after_it_starts":
            return ValidationError({"stopped_at": _("An infusion stops after it starts. Check both times.")})
        case "lot_code_is_letters_digits_and_dashes":
            sentence = _("Lot %(lot)s: a code has capital letters, digits, dashes and dots, 24 at most.")
            return ValidationError({"code": sentence % {"lot": lot}})
        case "viability_is_a_percentage":
            return ValidationError({"viability_percent": _("Viability is a percentage, 0 to 100.")})
        case "custody_temperature_is_possible":
            return ValidationError({"temperature_c": _("A temperature lies between -273 and 60 °C.")})
        case _ if constraint.startswith("infusions_celllot_code"):
            sentence = _("Lot %(lot)s is registered already. Pick it from the list.")
            return ValidationError({"code": sentence % {"lot": lot}})
    raise error
