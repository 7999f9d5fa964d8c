"""Saving a visit's labs: what is stored, refused, merged, and what leaves no trace."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from patients import actions, draws, selectors
from patients.entries import LabEntry
from patients.models import LabResult, Patient, Visit
from tests import factories
from trial import audit, clock, protocol
from trial.models import AuditEntry, Revision, User
from trial.refusals import Conflict, Refused

pytestmark = pytest.mark.django_db

DAY = date(2024, 2, 12)


@pytest.fixture
def patient(sites: dict[str, object]) -> Patient:
    return factories.a_patient(site=sites["GE"])


def entry(analyte: str, text: str, unit: str = "", comparator: str = "") -> LabEntry:
    return LabEntry(
        analyte=analyte,
        value=Decimal(text),
        typed_text=f"{comparator}{text}",
        typed_unit=unit,
        comparator=comparator,
    )


def save(patient: Patient, by: User, *entries: LabEntry, **options: object) -> actions.WrittenLabs:
    given = {"patient": patient, "week": 4, "visited_on": DAY} | options
    if "visit" in options:
        del given["patient"], given["week"]
    written = actions.record_labs(entries=entries, by=by, **given)
    audit.settle()
    return written


def result(patient: Patient, analyte: str) -> LabResult:
    return LabResult.objects.get(patient=patient, analyte=analyte, visit__week=4, visit__voided_at=None)


def problems(refused: pytest.ExceptionInfo[Refused]) -> dict[str, str]:
    return {problem.field: problem.rule for problem in refused.value.problems}


def test_a_value_is_stored_in_the_standard_unit_and_as_typed(patient: Patient, coordinator: User) -> None:
    written = save(
        patient, coordinator, entry("tbil", "8.2", "mg/dL"), entry("hbv_dna", "20", comparator="<")
    )

    tbil, dna = result(patient, "tbil"), result(patient, "hbv_dna")
    assert (tbil.value, tbil.typed_text, tbil.typed_unit) == (Decimal("140.22"), "8.2", "mg/dL")
    assert (dna.value, dna.comparator, dna.typed_text, dna.typed_unit) == (Decimal(20), "<", "<20", "IU/mL")
    assert tbil.visit.visited_on == DAY
    assert (written.entered, written.changed) == (2, 0)
    assert written.number == audit.latest_revision()
    assert Revision.objects.get(number=written.number).actor == coordinator


def test_equal_entries_leave_no_trace(patient: Patient, coordinator: User) -> None:
    save(patient, coordinator, entry("tbil", "8.2", "mg/dL"))
    before = audit.latest_revision()

    written = save(patient, coordinator, entry("tbil", "8.20", "mg/dL"))

    assert written.number is None
    assert audit.latest_revision() == before
    assert result(patient, "tbil").version == 1


def test_a_new_result_needs_no_reason_and_keeps_the_others(patient: Patient, coordinator: User) -> None:
    save(patient, coordinator, entry("tbil", "140"))
    written = save(patient, coordinator, entry("tbil", "140"), entry("alt", "64"))

    assert (written.entered, written.changed) == (1, 0)
    assert result(patient, "tbil").version == 1
    assert result(patient, "alt").version == 2
    assert Visit.objects.get(patient=patient, week=4).version == 2


def test_a_changed_value_needs_a_reason(patient: Patient, coordinator: User) -> None:
    save(patient, coordinator, entry("tbil", "140"))

    with pytest.raises(Refused) as refused:
        save(patient, coordinator, entry("tbil", "141"))

    assert problems(refused) == {"reason": "reason_needed"}
    assert result(patient, "tbil").value == 140
    written = save(patient, coordinator, entry("tbil", "141"), reason="typing slip corrected")
    assert result(patient, "tbil").value == 141
    assert Revision.objects.get(number=written.number).reason == "typing slip corrected"


def test_the_unit_alone_is_a_change(patient: Patient, coordinator: User) -> None:
    save(patient, coordinator, entry("tbil", "8.2"))
    with pytest.raises(Refused):
        save(patient, coordinator, entry("tbil", "8.2", "mg/dL"))


def test_a_reason_for_no_value_is_stored_and_can_become_a_value(patient: Patient, coordinator: User) -> None:
    save(patient, coordinator, LabEntry(analyte="afp", missing_reason="haemolysed"))
    afp = result(patient, "afp")
    assert (afp.value, afp.missing_reason, afp.typed_text) == (None, "haemolysed", "")

    save(patient, coordinator, entry("afp", "9.8"), reason="laboratory amended its report")
    afp = result(patient, "afp")
    assert (afp.value, afp.missing_reason, afp.typed_text) == (Decimal("9.8"), "", "9.8")


@pytest.mark.parametrize(
    "analyte", [a for a in protocol.PANEL if a.hard.low and a.hard.high], ids=lambda a: a.code
)
def test_hard_limits_hold_on_both_sides(
    patient: Patient, coordinator: User, analyte: protocol.Analyte
) -> None:
    low, high = analyte.hard.low, analyte.hard.high
    step = Decimal("0.000001")
    for outside in (low - step, high + step):
        with pytest.raises(Refused) as refused:
            save(patient, coordinator, entry(analyte.code, str(outside)))
        assert problems(refused) == {analyte.code: "hard_limit"}
    assert not LabResult.objects.filter(patient=patient).exists()
    save(patient, coordinator, entry(analyte.code, str(low)))
    save(patient, coordinator, entry(analyte.code, str(high)), reason="typing slip corrected")
    assert result(patient, analyte.code).value == high


def test_nothing_is_stored_when_one_value_is_refused(patient: Patient, coordinator: User) -> None:
    before = audit.latest_revision()
    with pytest.raises(Refused) as refused:
        save(patient, coordinator, entry("tbil", "140"), entry("sodium", "999"), entry("alt", "1", "mg/dL"))

    assert problems(refused) == {"sodium": "hard_limit", "alt": "unit_not_accepted"}
    assert not Visit.objects.filter(patient=patient).exists()
    assert audit.latest_revision() == before
    assert refused.value.problems[0].value == "999"
    assert "100" in str(refused.value.problems[0]) and "200" in str(refused.value.problems[0])


@pytest.mark.parametrize(
    ("day", "rule"),
    [
        pytest.param(1, "future", id="tomorrow"),
        pytest.param(0, None, id="today"),
    ],
)
def test_a_visit_is_not_in_the_future_of_its_site(
    patient: Patient, coordinator: User, day: int, rule: str | None
) -> None:
    when = clock.today_at(patient.site) + timedelta(days=day)
    if rule is None:
        assert save(patient, coordinator, entry("alt", "5"), visited_on=when).number
        return
    with pytest.raises(Refused) as refused:
        save(patient, coordinator, entry("alt", "5"), visited_on=when)
    assert problems(refused) == {"visited_on": rule}


def test_a_visit_is_after_birth_and_asked_about_after_a_death(patient: Patient, coordinator: User) -> None:
    with pytest.raises(Refused) as refused:
        save(patient, coordinator, entry("alt", "5"), visited_on=patient.birth_date)
    assert problems(refused) == {"visited_on": "before_birth"}
    actions.record_outcome(patient=patient, kind="death", happened_on=DAY, by=coordinator)
    save(patient, coordinator, entry("alt", "5"), visited_on=DAY)
    save(patient, coordinator, entry("alt", "5"), week=12, visited_on=DAY + timedelta(days=90))
    visit = Visit.objects.get(patient=patient, week=12)
    assert "after_death" in {doubt.rule for doubt in draws.standing_doubts(visit)}


def test_an_unscheduled_draw_has_a_day_of_its_own(patient: Patient, coordinator: User) -> None:
    with pytest.raises(Refused) as refused:
        save(patient, coordinator, entry("alt", "5"), week=None, visited_on=None)
    assert problems(refused) == {"visited_on": "no_date"}
    first = save(patient, coordinator, entry("alt", "5"), week=None, visited_on=DAY).visit
    second = save(
        patient, coordinator, entry("alt", "6"), week=None, visited_on=DAY + timedelta(days=3)
    ).visit
    assert first and second and first.pk != second.pk
    with pytest.raises(Refused) as refused:
        save(patient, coordinator, visit=second, visited_on=DAY, reason="typing slip corrected")
    assert problems(refused) == {"visited_on": "day_taken"}


def test_fields_that_do_not_collide_are_merged(
    patient: Patient, coordinator: User, hepatologist: User
) -> None:
    save(patient, coordinator, entry("tbil", "140"), entry("alt", "64"))
    visit = Visit.objects.get(patient=patient, week=4)
    save(patient, hepatologist, entry("tbil", "150"), entry("ast", "70"), reason="typing slip corrected")

    # the other page still shows 140 and 64, and changes only the 64
    save(
        patient,
        coordinator,
        entry("tbil", "140"),
        entry("alt", "65"),
        version=visit.version,
        reason="typing slip corrected",
    )

    assert result(patient, "tbil").value == 150
    assert result(patient, "alt").value == 65
    assert result(patient, "ast").value == 70


def test_a_collision_shows_mine_theirs_and_before_and_saves_nothing(
    patient: Patient, coordinator: User, hepatologist: User
) -> None:
    save(patient, coordinator, entry("tbil", "140"), entry("alt", "64"))
    version = Visit.objects.get(patient=patient, week=4).version
    save(patient, hepatologist, entry("tbil", "150"), reason="typing slip corrected")
    before = audit.latest_revision()

    with pytest.raises(Conflict) as conflict:
        save(
            patient,
            coordinator,
            entry("tbil", "160"),
            entry("alt", "65"),
            version=version,
            reason="typing slip corrected",
        )

    (clash,) = conflict.value.clashes
    assert (clash.field, clash.mine, clash.theirs, clash.before) == (
        "tbil",
        "160 µmol/L",
        "150 µmol/L",
        "140 µmol/L",
    )
    assert clash.by == hepatologist.shown_name
    assert audit.latest_revision() == before
    assert result(patient, "alt").value == 64
    # with the version of the conflict the choice has been made knowingly
    save(
        patient,
        coordinator,
        entry("tbil", "160"),
        version=conflict.value.version,
        reason="typing slip corrected",
    )
    assert result(patient, "tbil").value == 160


def test_two_people_begin_the_same_visit(patient: Patient, coordinator: User, hepatologist: User) -> None:
    save(patient, hepatologist, entry("tbil", "150"), entry("alt", "64"), version=0)

    with pytest.raises(Conflict) as conflict:
        save(patient, coordinator, entry("tbil", "160"), entry("ast", "70"), version=0)
    assert [(c.field, c.before) for c in conflict.value.clashes] == [("tbil", "")]
    # what is equal or new merges
    save(patient, coordinator, entry("tbil", "150"), entry("ast", "70"), version=0)
    assert Visit.objects.filter(patient=patient).count() == 1
    assert {r.analyte for r in LabResult.objects.filter(patient=patient)} == {"tbil", "alt", "ast"}


def test_the_date_of_a_visit_collides_too(patient: Patient, coordinator: User, hepatologist: User) -> None:
    save(patient, coordinator, entry("tbil", "140"))
    save(patient, hepatologist, visited_on=DAY + timedelta(days=1), reason="checked against the source")
    visit = Visit.objects.get(patient=patient, week=4)
    assert visit.visited_on == DAY + timedelta(days=1)

    with pytest.raises(Conflict) as conflict:
        save(patient, coordinator, visited_on=DAY + timedelta(days=2), version=1, reason="source checked")
    assert [c.field for c in conflict.value.clashes] == ["visited_on"]
    save(patient, coordinator, entry("alt", "64"), visited_on=DAY, version=1)
    visit.refresh_from_db()
    assert visit.visited_on == DAY + timedelta(days=1)


def test_the_time_of_the_draw_is_of_the_whole_panel(patient: Patient, coordinator: User) -> None:
    from datetime import time

    save(patient, coordinator, entry("tbil", "140"))
    at = clock.moment_at(patient.site, DAY, time(7, 40))
    save(patient, coordinator, entry("alt", "64"), sampled_at=at)
    assert {r.sampled_at for r in LabResult.objects.filter(patient=patient)} == {at}
    later = clock.moment_at(patient.site, DAY, time(8, 0))
    with pytest.raises(Refused) as refused:
        save(patient, coordinator, entry("alt", "64"), sampled_at=later)
    assert problems(refused) == {"reason": "reason_needed"}


def test_a_voided_visit_frees_its_week(patient: Patient, coordinator: User) -> None:
    visit = save(patient, coordinator, entry("tbil", "140")).visit
    assert visit is not None
    with pytest.raises(Refused):
        actions.void_visit(visit=visit, by=coordinator, reason=" ")
    actions.void_visit(visit=visit, by=coordinator, reason="belonged to another subject")
    with pytest.raises(Refused) as refused:
        actions.void_visit(visit=visit, by=coordinator, reason="again")
    assert problems(refused) == {"": "voided"}

    again = save(patient, coordinator, entry("tbil", "20")).visit
    assert again is not None and again.pk != visit.pk
    assert selectors.visit_of_week(patient, 4) == again
    assert AuditEntry.objects.filter(table="patients_visit", row=visit.pk, op="U").exists()


def test_last_values_look_back_from_the_draw(patient: Patient, coordinator: User) -> None:
    save(patient, coordinator, entry("tbil", "200"), week=1, visited_on=DAY - timedelta(days=20))
    save(patient, coordinator, entry("tbil", "150"), week=None, visited_on=DAY - timedelta(days=2))
    save(patient, coordinator, entry("tbil", "90"), week=12, visited_on=DAY + timedelta(days=60))
    visit = Visit(patient=patient, week=4)

    last = selectors.last_values(patient, visit=visit, drawn_on=DAY)

    assert (last["tbil"].value, last["tbil"].drawn_on) == (Decimal(150), DAY - timedelta(days=2))
    assert selectors.last_values(patient, visit=visit, drawn_on=DAY - timedelta(days=20)) == {}
