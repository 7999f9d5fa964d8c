"""Recording, correcting and voiding infusions; registering lots."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from infusions import actions, selectors
from infusions.models import CellLot, Infusion
from infusions.particulars import NewLot, Particulars
from patients.models import Patient
from tests import factories
from tests.factories import RECRUITED_ON, a_patient, an_infusion
from trial import audit, protocol
from trial.models import AuditEntry, Revision, Site, User
from trial.refusals import Conflict

FIRST = RECRUITED_ON + timedelta(days=7)


@pytest.fixture
def patient(sites: dict[str, Site]) -> Patient:
    return a_patient(site=sites["GE"], diagnosis=protocol.Diagnosis.LIVER_FAILURE)


@pytest.fixture
def lot(patient: Patient, coordinator: User) -> CellLot:
    return factories.a_lot("UC-2608-C", FIRST + timedelta(days=60))


def give(patient: Patient, by: User, number: int = 1, **fields: Any) -> actions.Recorded:
    given: dict[str, Any] = {
        "given_on": RECRUITED_ON + timedelta(days=7 * number),
        "weight_kg": Decimal("64.5"),
        "cells": Decimal(64500000),
        "volume_ml": Decimal(100),
    }
    recorded = actions.give_infusion(patient=patient, number=number, by=by, **(given | fields))
    audit.settle()
    return recorded


def errors(raised: pytest.ExceptionInfo[ValidationError]) -> dict[str, list[str]]:
    return raised.value.message_dict


# --- giving ---------------------------------------------------------------------------------


def test_an_infusion_is_stored_exactly_under_one_revision(
    patient: Patient, lot: CellLot, coordinator: User
) -> None:
    before = audit.latest_revision()
    recorded = give(
        patient, coordinator, lot=lot, started_at=time(9, 5), stopped_at=time(10, 0), reaction="chill"
    )
    stored = Infusion.objects.get(patient=patient)
    assert (stored.weight_kg, stored.cells, stored.volume_ml) == (Decimal("64.5"), 64_500_000, 100)
    assert (stored.lot, stored.started_at, stored.reaction) == (lot, time(9, 5), "chill")
    assert recorded.written.number == before + 1
    assert Revision.objects.get(number=before + 1).actor == coordinator


def test_the_fifth_turns_b_into_a(patient: Patient, lot: CellLot, coordinator: User) -> None:
    factories.a_decision(patient)
    changes = [give(patient, coordinator, number, lot=lot).group for number in range(1, 6)]
    assert [(change.group_before, change.group_after) for change in changes] == [
        (None, "B"),
        ("B", "B"),
        ("B", "B"),
        ("B", "B"),
        ("B", "A"),
    ]


def test_a_new_lot_is_registered_with_its_infusion_in_one_revision(
    patient: Patient, coordinator: User
) -> None:
    before = audit.latest_revision()
    give(patient, coordinator, lot=NewLot("UC-9", date(2030, 1, 1)), deviation="lot_unavailable")
    assert Infusion.objects.get().lot == CellLot.objects.get(code="UC-9", expires_on=date(2030, 1, 1))
    assert audit.latest_revision() == before + 1


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        pytest.param({"cells": Decimal(51600000)}, None, id="20_percent_below_needs_nothing"),
        pytest.param({"cells": Decimal(51599999)}, "below the target", id="less_needs_a_deviation"),
        pytest.param({"cells": Decimal(77400001)}, "above the target", id="more_needs_a_deviation"),
        pytest.param({"given_on": RECRUITED_ON - timedelta(days=1)}, "recruited on", id="before_recruitment"),
        pytest.param({"lot": None}, "is not recorded", id="no_lot"),
        pytest.param({"weight_kg": None, "cells": None}, "is not recorded", id="no_dose"),
        pytest.param({"given_on": FIRST + timedelta(days=61)}, "The lot expired", id="lot_expired"),
    ],
)
def test_outside_the_protocol_a_deviation_is_asked_for_and_never_a_refusal(
    patient: Patient, lot: CellLot, coordinator: User, fields: dict[str, Any], said: str | None
) -> None:
    fields = {"lot": lot, **fields}
    if said is not None:
        with pytest.raises(ValidationError) as raised:
            give(patient, coordinator, **fields)
        assert said in errors(raised)["deviation"][0]
        assert not Infusion.objects.exists()
        fields["deviation"] = "clinical_decision"
    give(patient, coordinator, **fields)
    assert Infusion.objects.get().deviation == fields.get("deviation", "")


def test_a_gap_too_short_needs_a_deviation(patient: Patient, lot: CellLot, coordinator: User) -> None:
    give(patient, coordinator, 1, lot=lot)
    with pytest.raises(ValidationError, match="Only 4 days from infusion 1"):
        give(patient, coordinator, 2, lot=lot, given_on=FIRST + timedelta(days=4))
    give(patient, coordinator, 2, lot=lot, given_on=FIRST + timedelta(days=5))


def test_a_subject_not_enrolled_needs_a_deviation(
    lot: CellLot, coordinator: User, sites: dict[str, Site]
) -> None:
    screened = a_patient(site=sites["GE"], status=Patient.Status.SCREENING)
    with pytest.raises(ValidationError, match="not enrolled"):
        give(screened, coordinator, lot=lot)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({"number": 0}, "number", id="no_infusion_0"),
        pytest.param({"number": 9}, "number", id="no_ninth"),
        pytest.param({"given_on": date(2999, 1, 1)}, "given_on", id="not_in_the_future"),
        pytest.param({"given_on": date(1975, 5, 4)}, "given_on", id="not_on_the_day_of_birth"),
        pytest.param({"weight_kg": Decimal("24.9")}, "weight_kg", id="weight_too_small"),
        pytest.param({"weight_kg": Decimal("250.1")}, "weight_kg", id="weight_too_large"),
        pytest.param({"cells": Decimal(0)}, "cells", id="no_cells"),
        pytest.param({"volume_ml": Decimal(0)}, "volume_ml", id="no_volume"),
        pytest.param({"started_at": time(10), "stopped_at": time(10)}, "stopped_at", id="no_time"),
        pytest.param({"deviation": "because"}, "deviation", id="deviation_of_the_list"),
        pytest.param({"deviation": "other"}, "deviation_note", id="other_needs_a_note"),
        pytest.param({"deviation": "", "deviation_note": "x"}, "deviation_note", id="note_without_deviation"),
        pytest.param({"reaction": "x" * 301}, "reaction", id="reaction_too_long"),
        pytest.param({"lot": NewLot("lower case")}, "code", id="no_lot_code"),
    ],
)
def test_what_cannot_be_is_refused_at_its_field_and_nothing_is_written(
    patient: Patient, lot: CellLot, coordinator: User, fields: dict[str, Any], field: str
) -> None:
    before = audit.latest_revision()
    with pytest.raises(ValidationError) as raised:
        give(patient, coordinator, **{"lot": lot, "deviation": "clinical_decision", **fields})
    assert field in errors(raised)
    assert not Infusion.objects.exists()
    assert audit.latest_revision() == before


def test_a_deviation_rests_on_nothing_when_nothing_differs(
    patient: Patient, lot: CellLot, coordinator: User
) -> None:
    """A cause may be named all the same: partly given, within tolerance."""
    give(patient, coordinator, lot=lot, deviation="partly_given")
    assert Infusion.objects.get().deviation == "partly_given"


def test_a_number_is_given_once(patient: Patient, lot: CellLot, coordinator: User) -> None:
    give(patient, coordinator, lot=lot)
    with pytest.raises(ValidationError, match=r"recorded already, given on 2024-01-15"):
        give(patient, coordinator, lot=lot, given_on=FIRST + timedelta(days=7))


def test_after_the_death_nothing_was_given(patient: Patient, lot: CellLot, coordinator: User) -> None:
    from patients.actions import record_outcome

    record_outcome(patient=patient, kind="death", happened_on=FIRST - timedelta(days=1), by=coordinator)
    with pytest.raises(ValidationError) as raised:
        give(patient, coordinator, lot=lot, deviation="clinical_decision")
    assert "after the death" in errors(raised)["given_on"][0]


def test_nobody_writes_without_a_name(patient: Patient) -> None:
    with pytest.raises(Exception, match="without an actor"), transaction.atomic():
        Infusion.objects.create(patient=patient, number=1, given_on=FIRST)


@pytest.mark.parametrize("deviation", ["because", "OTHER"])
def test_the_database_knows_the_codes_too(patient: Patient, coordinator: User, deviation: str) -> None:
    with pytest.raises(IntegrityError, match="deviation_is_coded"), audit.revision(by=coordinator):
        Infusion.objects.create(patient=patient, number=1, given_on=FIRST, deviation=deviation)


# --- correcting -----------------------------------------------------------------------------


def correct(
    infusion: Infusion, by: User, *, version: int | None = None, reason: str = "typing slip", **fields: Any
) -> actions.Recorded:
    given = replace(Particulars.of(infusion), **fields)
    recorded = actions.correct_infusion(
        infusion=infusion, version=version or infusion.version, given=given, by=by, reason=reason
    )
    audit.settle()
    return recorded


def test_a_correction_keeps_the_old_value_in_the_trail(patient: Patient, coordinator: User) -> None:
    infusion = an_infusion(patient, 1)
    recorded = correct(infusion, coordinator, weight_kg=Decimal("62.0"))
    stored = Infusion.objects.get()
    assert (stored.weight_kg, stored.version) == (Decimal("62.0"), 2)
    entry = AuditEntry.objects.filter(table="infusions_infusion", op="U").get()
    assert (entry.old["weight_kg"], entry.new["weight_kg"]) == (60.0, 62.0)
    assert entry.revision.number == recorded.written.number
    assert entry.revision.reason == "typing slip"


def test_the_same_again_leaves_no_trace(patient: Patient, coordinator: User) -> None:
    infusion, before = an_infusion(patient, 1), audit.latest_revision()
    assert correct(infusion, coordinator).written.number is None
    assert audit.latest_revision() == before
    assert Infusion.objects.get().version == 1


def test_a_correction_needs_a_reason(patient: Patient, coordinator: User) -> None:
    infusion = an_infusion(patient, 1)
    with pytest.raises(ValidationError) as raised:
        correct(infusion, coordinator, reason=" ", weight_kg=Decimal(61))
    assert "reason" in errors(raised)


def test_a_correction_obeys_the_rules_of_giving(patient: Patient, coordinator: User) -> None:
    infusion = an_infusion(patient, 1)
    with pytest.raises(ValidationError, match="above the target"):
        correct(infusion, coordinator, cells=Decimal("90e6"), deviation="")
    assert Infusion.objects.get().cells == 60_000_000


def test_two_people_who_change_different_fields_both_win(
    patient: Patient, coordinator: User, data_manager: User
) -> None:
    opened = an_infusion(patient, 1)
    correct(opened, data_manager, reaction="fever 38.4")
    correct(opened, coordinator, version=1, weight_kg=Decimal("61.0"))
    stored = Infusion.objects.get()
    assert (stored.reaction, stored.weight_kg, stored.version) == ("fever 38.4", Decimal("61.0"), 3)


def test_two_people_who_change_the_same_field_are_shown_all_three_values(
    patient: Patient, coordinator: User, data_manager: User
) -> None:
    opened = an_infusion(patient, 1)
    correct(opened, data_manager, weight_kg=Decimal("66.0"))
    with pytest.raises(Conflict) as raised:
        correct(opened, coordinator, version=1, weight_kg=Decimal("61.0"))
    (clash,) = raised.value.clashes
    assert (clash.field, clash.mine, clash.theirs, clash.before) == ("weight_kg", "61.0", "66.0", "60.0")
    assert (clash.by, raised.value.version) == (data_manager.shown_name, 2)
    assert Infusion.objects.get().weight_kg == Decimal("66.0")


def test_a_version_that_never_was_conflicts_instead_of_overwriting(
    patient: Patient, coordinator: User
) -> None:
    opened = an_infusion(patient, 1)
    with pytest.raises(Conflict):
        correct(opened, coordinator, version=7, weight_kg=Decimal("61.0"))


# --- voiding --------------------------------------------------------------------------------


def test_voiding_keeps_the_row_and_the_later_numbers(patient: Patient, coordinator: User) -> None:
    five = [an_infusion(patient, number) for number in range(1, 6)]
    voided = actions.void_infusion(infusion=five[1], by=coordinator, reason="it was never given")
    audit.settle()
    assert (voided.group.group_before, voided.group.group_after) == ("A", "B")
    assert [i.number for i in selectors.valid_infusions(patient)] == [1, 3, 4, 5]
    assert Infusion.objects.count() == 5
    again = factories.an_infusion(patient, 2)
    assert again.pk != five[1].pk


@pytest.mark.parametrize("reason", ["", "  "])
def test_voiding_needs_a_reason(patient: Patient, coordinator: User, reason: str) -> None:
    infusion = an_infusion(patient, 1)
    with pytest.raises(ValidationError):
        actions.void_infusion(infusion=infusion, by=coordinator, reason=reason)
    assert Infusion.objects.valid().count() == 1


def test_what_is_voided_stays_so(patient: Patient, coordinator: User) -> None:
    infusion = an_infusion(patient, 1)
    actions.void_infusion(infusion=infusion, by=coordinator, reason="entered twice")
    with pytest.raises(ValidationError, match="voided"):
        actions.void_infusion(infusion=infusion, by=coordinator, reason="entered twice")
    with pytest.raises(ValidationError, match="voided"):
        correct(infusion, coordinator, weight_kg=Decimal(61))


def test_what_somebody_changed_meanwhile_is_not_voided_unseen(
    patient: Patient, coordinator: User, data_manager: User
) -> None:
    opened = an_infusion(patient, 1)
    correct(opened, data_manager, reaction="fever")
    with pytest.raises(Conflict):
        actions.void_infusion(infusion=opened, by=coordinator, reason="never given", version=1)
    assert Infusion.objects.valid().count() == 1


# --- lots -----------------------------------------------------------------------------------


def test_a_lot_is_registered_once(lot: CellLot, coordinator: User) -> None:
    with pytest.raises(ValidationError) as raised:
        actions.register_lot(code="UC-2608-C", by=coordinator)
    assert "registered already" in errors(raised)["code"][0]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({"code": "uc-1"}, "code", id="small_letters"),
        pytest.param({"code": ""}, "code", id="empty"),
        pytest.param({"code": "X" * 25}, "code", id="too_long"),
        pytest.param({"viability_percent": Decimal("100.01")}, "viability_percent", id="over_100"),
    ],
)
def test_a_lot_that_cannot_be(coordinator: User, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as raised:
        actions.register_lot(**{"code": "UC-1", "by": coordinator, **fields})
    assert field in errors(raised)


@pytest.mark.committed
def test_two_at_once_record_one_infusion(patient: Patient, coordinator: User) -> None:
    """The database decides; the loser is told, and nothing is stored twice."""
    from threading import Barrier, Thread

    from django.db import connections

    barrier, outcomes = Barrier(2), []

    def record() -> None:
        barrier.wait(timeout=20)
        try:
            actions.give_infusion(
                patient=patient,
                number=1,
                given_on=FIRST,
                weight_kg=Decimal(60),
                cells=Decimal("60e6"),
                deviation="not_documented",
                by=coordinator,
            )
            outcomes.append("recorded")
        except ValidationError as refusal:
            outcomes.append(next(iter(refusal.message_dict)))
        finally:
            connections.close_all()

    threads = [Thread(target=record) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(outcomes) == ["number", "recorded"]
    assert Infusion.objects.count() == 1
