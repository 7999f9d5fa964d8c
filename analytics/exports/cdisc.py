"""What the CDISC formats share: identifiers, types, keys, and the time of a file.

The time of a file is that of the revision it holds, so that the same data are the
same bytes whenever they are written.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time
from types import MappingProxyType

from django.conf import settings

from analytics.adam import STUDY
from analytics.datasets import Column, Dataset, Kind
from trial import audit, protocol, synthetic_label
from trial.models import Revision

SYSTEM = "Cordline"
STUDY_OID = f"ST.{STUDY}"
VERSION_OID = f"MDV.{protocol.VERSION}"

KEYS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "subjects": ("subject_id",),
        "screening": ("subject_id", "screened_on", "screened_day"),
        "infusions": ("subject_id", "number"),
        "visits": ("subject_id", "week", "visit_date", "visit_day"),
        "labs_long": ("subject_id", "week", "visit_date", "visit_day", "analyte"),
        "labs_wide": ("subject_id", "week", "visit_date", "visit_day"),
        "events": ("subject_id", "date", "day", "event", "term"),
        "scores": ("subject_id", "week", "visit_date", "visit_day", "score"),
        "cells": ("population", "measure", "group1", "group2", "analyte", "week_from", "week_to"),
        "tests": ("population", "measure", "group1", "group2", "analyte", "week_from", "week_to", "method"),
        "audit": ("revision", "table", "row"),
        "adsl": ("STUDYID", "USUBJID"),
        "adlb": ("STUDYID", "USUBJID", "PARAMCD", "AVISITN", "ADT", "ADY"),
        "adtte": ("STUDYID", "USUBJID", "PARAMCD"),
    }
)
"""The columns that order the rows of a dataset and tell them apart; those an export leaves out are skipped."""


def item_group_oid(dataset: Dataset) -> str:
    """Return the identifier of a dataset."""
    return f"IG.{dataset.name.upper()}"


def item_oid(dataset: Dataset, column: Column) -> str:
    """Return the identifier of a column."""
    return f"IT.{dataset.name.upper()}.{column.name.upper()}"


def made_at() -> str:
    """Return the time of the newest revision, UTC, as ISO 8601; of an empty study the day it began."""
    found = Revision.objects.filter(number=audit.latest_revision()).values_list("made_at", flat=True).first()
    moment = found or datetime.combine(protocol.STUDY_STARTED_ON, time.min, UTC)
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def system_version() -> str:
    """Return which release wrote the file."""
    return str(settings.CODE_VERSION)


def originator() -> str:
    """Return who the file comes from; of synthetic data that they are."""
    return f"{SYSTEM}, synthetic data" if synthetic_label.is_on() else SYSTEM


def iso(kind: Kind, text: str) -> str:
    """Return a date or a moment as ISO 8601 has it."""
    return text.replace(" ", "T", 1) if kind is Kind.TIME else text
