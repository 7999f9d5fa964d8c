"""Registering lots, their release tests, their release and recall, and the chain of custody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from infusions import release, selectors
from infusions.actions.rules import ADDED_LATER, as_sentence, corrects, demand_reason, merged
from infusions.models import CellLot, CustodyEvent, ReleaseTest
from trial import audit
from trial.models import Site, User
from trial.refusals import Conflict
from trial.roles import Permission

SOURCE = "lot"
TEST_FIELDS = ("result", "finding", "tested_on")


@dataclass(frozen=True, slots=True)
class TestResult:
    """What a certificate says of one test; ``version`` is what the person had on screen, 0 for none."""

    __test__ = False

    result: str = "pending"
    finding: str = ""
    tested_on: date | None = None
    version: int = 0

    def values(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in TEST_FIELDS}


def register_lot(
    *,
    code: str,
    by: User,
    donor_code: str = "",
    passage: int | None = None,
    viability_percent: Decimal | None = None,
    expires_on: date | None = None,
    bags: int | None = None,
    site: Site | None = None,
    reason: str = "",
) -> CellLot:
    """Register a lot of cells under its code, in quarantine.

    Raises
    ------
    ValidationError
        If the code is taken or cannot be a code.
    """
    lot = CellLot(
        code=code,
        donor_code=donor_code,
        passage=passage,
        viability_percent=viability_percent,
        expires_on=expires_on,
        bags=bags,
        site=site,
    )
    with audit.revision(by=by, reason=reason, source=SOURCE):
        save_lot(lot)
    return lot


def edit_lot(*, lot: CellLot, version: int, by: User, reason: str = "", **values: Any) -> CellLot:
    """Change what is known of a lot besides its code and its release; filling in needs no reason.

    Raises
    ------
    Conflict
        If somebody else changed one of the same fields since ``version``.
    ValidationError
        By field, or when something that stands changes without a reason.
    """
    with audit.revision(by=by, reason=reason, source=SOURCE):
        stored = locked(lot)
        is_ = {name: getattr(stored, name) for name in values}
        if stored.version != version:
            before = selectors.row_as_it_was(stored, version)
            then = None if before is None else {name: getattr(before, name) for name in values}
            values = merged(values, is_, then, version=stored.version, by=selectors.last_writer(stored))
        if values == is_:
            return stored
        if corrects(values, is_):
            demand_reason(reason)
        for name, value in values.items():
            setattr(stored, name, value)
        stored.version += 1
        stored.clean_fields(exclude=["site"])
        with audit.revision(by=by, reason="" if reason.strip() else ADDED_LATER):
            _write(stored)
    return stored


def record_release_tests(
    *, lot: CellLot, tests: Mapping[str, TestResult], by: User, reason: str = ""
) -> tuple[str, ...]:
    """Record what the certificates say; returns the tests that were written.

    The first result of a test is no correction. A result that changes after it
    was read needs a reason.

    Raises
    ------
    Conflict
        If somebody else changed the same field of the same test meanwhile.
    ValidationError
        By field, when a result changes without a reason.
    """
    with audit.revision(by=by, reason=reason, source=SOURCE):
        stored_lot = locked(lot)
        rows = {row.test: row for row in ReleaseTest.objects.filter(lot=stored_lot)}
        written = []
        for test, mine in tests.items():
            row = rows.get(test) or ReleaseTest(lot=stored_lot, test=test, version=0)
            is_ = {name: getattr(row, name) for name in TEST_FIELDS}
            new = mine.values()
            if row.version != mine.version:
                before = selectors.row_as_it_was(row, mine.version) if mine.version else ReleaseTest()
                then = None if before is None else {name: getattr(before, name) for name in TEST_FIELDS}
                labelled = merged(
                    {f"{test}.{name}": value for name, value in new.items()},
                    {f"{test}.{name}": value for name, value in is_.items()},
                    None if then is None else {f"{test}.{name}": value for name, value in then.items()},
                    version=stored_lot.version,
                    by=selectors.last_writer(row),
                )
                new = {name.partition(".")[2]: value for name, value in labelled.items()}
            if new == is_:
                continue
            if row.pk and corrects(new, is_ if is_["result"] != "pending" else is_ | {"result": ""}):
                demand_reason(reason)
            for name, value in new.items():
                setattr(row, name, value)
            row.version += 1
            row.clean_fields(exclude=["lot"])
            with audit.revision(by=by, reason="" if reason.strip() else ADDED_LATER):
                row.save()
            written.append(test)
        if written:
            stored_lot.version += 1
            with audit.revision(by=by, reason="" if reason.strip() else "test recorded"):
                stored_lot.save(update_fields=["version"])
    return tuple(written)


def decide_release(*, lot: CellLot, to: str, reason: str, by: User, version: int | None = None) -> CellLot:
    """Release a lot, with or without a condition, reject it, recall it, or put it back into quarantine.

    Raises
    ------
    PermissionDenied
        If the person may not decide this.
    Conflict
        If somebody changed the lot or its tests since ``version``: the decision rests on them.
    ValidationError
        With every reason against it.
    """
    if not by.may(Permission.RELEASE_LOTS):
        raise PermissionDenied
    demand_reason(reason)
    with audit.revision(by=by, reason=reason, source=SOURCE):
        stored = locked(lot)
        if version is not None and stored.version != version:
            raise Conflict([], stored.version)
        results = selectors.release_results(stored)
        if against := release.obstacles(results, state=stored.release, to=to):
            raise ValidationError({"to": [sentence.said(_) for sentence in against]})
        stored.release = to
        stored.version += 1
        stored.save(update_fields=["release", "version"])
    return stored


def add_custody(
    *,
    lot: CellLot,
    step: str,
    happened_at: datetime,
    by: User,
    bag: str = "",
    place: str = "",
    person: str = "",
    temperature_c: Decimal | None = None,
    note: str = "",
) -> CustodyEvent:
    """Add a step to the chain of custody; it is never changed, a wrong one is followed by another.

    Raises
    ------
    ValidationError
        By field.
    """
    event = CustodyEvent(
        lot=lot,
        bag=bag,
        step=step,
        happened_at=happened_at,
        place=place,
        person=person,
        temperature_c=temperature_c,
        note=note,
    )
    with audit.revision(by=by, source=SOURCE):
        event.clean_fields(exclude=["lot"])
        try:
            with transaction.atomic():
                event.save(force_insert=True)
        except IntegrityError as error:
            raise as_sentence(error) from error
    return event


# --- the steps ------------------------------------------------------------------------------


def locked(lot: CellLot) -> CellLot:
    """Return the lot as it is stored, held until the transaction ends."""
    return CellLot.objects.select_for_update(no_key=True).get(pk=lot.pk)


def save_lot(lot: CellLot) -> None:
    """Insert a new lot, or say at which field it cannot be."""
    lot.clean_fields(exclude=["site"])
    try:
        with transaction.atomic():
            lot.save(force_insert=True)
    except IntegrityError as error:
        raise as_sentence(error, lot=lot.code) from error


def _write(lot: CellLot) -> None:
    try:
        with transaction.atomic():
            lot.save()
    except IntegrityError as error:
        raise as_sentence(error, lot=lot.code) from error
