"""One corrected value, committed and in the results: against computing everything again."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import count

from django.db import connection

from analytics import refresh
from patients import actions
from patients.models import LabResult, Patient
from tests.benchmarks.stopwatch import MakeTable, Way
from tests.benchmarks.test_analysis import forget
from trial import audit, protocol

EDITS = (("alt", 12), ("tbil", 12), ("tbil", 0))


def without_results() -> None:
    """Let the next refresh start from nothing, as after the first import."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE analytics_cell, analytics_score, analytics_failure, analytics_run CASCADE")
    refresh.forget()
    forget()


def values(analyte: str) -> Iterator[str]:
    """Yield values that nobody has, one after the other."""
    return (f"{100 + number}.37" for number in count())


class Edit:
    """Corrects one value of one patient, every time to another."""

    def __init__(self, analyte: str, week: int) -> None:
        found = LabResult.objects.filter(analyte=analyte, visit__week=week, value__isnull=False)
        result = found.select_related("visit", "patient").order_by("patient__subject_id")[7]
        self.patient, self.visit, self.analyte = result.patient, result.visit, analyte
        self.values, self.by = values(analyte), audit.service_account()

    def commit(self) -> None:
        text = next(self.values)
        entry = actions.LabEntry(
            analyte=self.analyte,
            value=Decimal(text),
            comparator="",
            typed_text=text,
            typed_unit=protocol.ANALYTES[self.analyte].unit,
            missing_reason="",
        )
        actions.record_labs(visit=self.visit, entries=[entry], by=self.by, reason="read again")

    def commit_and_refresh(self) -> None:
        self.commit()
        refresh.refresh()


def test_one_edit(study: int, table: MakeTable) -> None:
    refresh.refresh()
    patients = Patient.objects.count()
    edits = {f"{analyte} of week {week}": Edit(analyte, week) for analyte, week in EDITS}
    first = edits[next(iter(edits))]

    ways = {
        "full refresh, every row stored anew": Way(lambda: refresh.refresh(full=True), without_results),
        "full refresh, results already there": Way(lambda: refresh.refresh(full=True), forget),
    }
    ways |= {
        f"{name}: committed, results current": Way(edit.commit_and_refresh) for name, edit in edits.items()
    }
    ways["the edit alone, committed"] = Way(first.commit)
    results = table(
        f"One edit against a full refresh, {patients} patients, {LabResult.objects.count()} values"
    )
    results.measure(ways)
    refresh.refresh()
    wrong = refresh.differences()
    assert not wrong, wrong[:3]
    results.note("afterwards the stored rows equal those of a full computation")
