"""Laboratories, their units and their ranges: what is stored, refused, and who may."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse

from patients import reference, reflagged
from patients.actions import laboratories as actions
from patients.models import Laboratory, LaboratoryUnit, LabResult, ReferenceRange
from tests import factories
from trial import audit
from trial.models import AuditEntry, Revision, Site, User
from trial.refusals import Conflict, Refused

pytestmark = pytest.mark.django_db

SignedIn = Callable[[User], Client]
JUNE = date(2024, 6, 30)


def an_entry(**fields: Any) -> actions.RangeEntry:
    given: dict[str, Any] = {
        "analyte": "alt",
        "low": Decimal(5),
        "high": Decimal(40),
        "unit": "U/L",
        "valid_from": date(2024, 1, 1),
    }
    return actions.RangeEntry(**(given | fields))


@pytest.fixture
def laboratory(sites: dict[str, Site]) -> Laboratory:
    return factories.a_laboratory(site=sites["GE"])


def rules(refused: pytest.ExceptionInfo[Refused]) -> list[str]:
    return [problem.rule for problem in refused.value.problems]


# --- laboratories ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "name", "rule"),
    [
        ("", "x", "code"),
        ("GE LAB", "x", "code"),
        ("-GE", "x", "code"),
        ("GE", " ", "empty"),
        ("GE-LAB", "x", "code_taken"),
    ],
)
def test_a_laboratory_needs_a_code_of_its_own_and_a_name(
    code: str, name: str, rule: str, laboratory: Laboratory, data_manager: User
) -> None:
    with pytest.raises(Refused) as refused:
        actions.create_laboratory(code=code, name=name, site=None, by=data_manager)
    assert rules(refused) == [rule]


def test_a_laboratory_changes_with_a_reason_and_nobodys_change_is_lost(
    laboratory: Laboratory, data_manager: User
) -> None:
    given: dict[str, Any] = {"laboratory": laboratory, "site": None, "by": data_manager, "is_active": True}
    with pytest.raises(Refused) as refused:
        actions.change_laboratory(name="Renamed", reason="", version=1, **given)
    assert rules(refused) == ["reason_needed"]
    actions.change_laboratory(name="Renamed", reason="renamed", version=1, **given)
    with pytest.raises(Conflict) as conflict:
        actions.change_laboratory(name="Another", reason="renamed", version=1, **given)
    assert conflict.value.version == 2
    stored = actions.change_laboratory(name="Renamed", reason="", version=1, **given)
    assert (stored.name, stored.version) == ("Renamed", 2)


def test_units_are_stored_where_they_are_not_the_standard_ones(
    laboratory: Laboratory, data_manager: User
) -> None:
    assert (
        actions.set_units(laboratory=laboratory, chosen={"tbil": "mg/dL", "alt": "U/L"}, by=data_manager) == 1
    )
    with pytest.raises(Refused):
        actions.set_units(laboratory=laboratory, chosen={"tbil": "umol/L"}, by=data_manager)
    actions.set_units(
        laboratory=laboratory, chosen={"tbil": "umol/L"}, by=data_manager, reason="new analyser"
    )
    assert LaboratoryUnit.objects.get(laboratory=laboratory).unit == "umol/L"
    with pytest.raises(Refused) as refused:
        actions.set_units(laboratory=laboratory, chosen={"pta": "mg/dL"}, by=data_manager)
    assert rules(refused) == ["unit"]


# --- ranges ---------------------------------------------------------------------------------


def test_a_range_is_stored_in_the_standard_unit_and_shown_in_its_own(
    laboratory: Laboratory, data_manager: User
) -> None:
    entry = an_entry(analyte="tbil", low=Decimal("0.3"), high=Decimal("1.53"), unit="mg/dL")
    row = actions.add_range(laboratory=laboratory, entry=entry, by=data_manager)
    row.refresh_from_db()
    assert (row.low, row.high) == (Decimal("5.13"), Decimal("26.163"))
    assert actions.in_unit(row.high, "tbil", "mg/dL") == Decimal("1.53")


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"low": None, "high": None}, "no_side"),
        ({"low": Decimal(40), "high": Decimal(40)}, "order"),
        ({"high": Decimal(10001)}, "beyond_hard_limits"),
        ({"age_from": 60, "age_to": 18}, "ages"),
        ({"age_to": 151}, "ages"),
        ({"valid_from": date(1989, 12, 31)}, "too_early"),
        ({"valid_to": date(2023, 12, 31)}, "dates"),
        ({"unit": "mg/dL"}, "unit"),
        ({"analyte": "x"}, "analyte"),
    ],
)
def test_a_range_that_cannot_be_is_refused(
    fields: dict[str, Any], rule: str, laboratory: Laboratory, data_manager: User
) -> None:
    with pytest.raises(Refused) as refused:
        actions.add_range(laboratory=laboratory, entry=an_entry(**fields), by=data_manager)
    assert rules(refused) == [rule]
    assert not ReferenceRange.objects.exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"low": None},
        {"high": None, "low": Decimal(5)},
        {"high": Decimal(10000)},
        {"age_from": 0, "age_to": 0},
        {"age_to": 150},
        {"valid_from": date(1990, 1, 1)},
        {"valid_to": date(2024, 1, 1)},
    ],
)
def test_a_range_on_the_right_side_of_each_rule_is_stored(
    fields: dict[str, Any], laboratory: Laboratory, data_manager: User
) -> None:
    assert actions.add_range(laboratory=laboratory, entry=an_entry(**fields), by=data_manager).pk


@pytest.mark.parametrize(
    ("fields", "overlaps"),
    [
        ({"valid_from": JUNE}, True),
        ({"valid_from": JUNE + timedelta(days=1)}, False),
        ({"sex": "F"}, True),
        ({"age_from": 61}, False),
        ({"age_from": 60}, True),
        ({"analyte": "ast"}, False),
    ],
)
def test_ranges_of_a_laboratory_never_overlap(
    fields: dict[str, Any], overlaps: bool, laboratory: Laboratory, data_manager: User
) -> None:
    first = an_entry(valid_to=JUNE, age_to=60)
    actions.add_range(laboratory=laboratory, entry=first, by=data_manager)
    second = an_entry(**fields)
    if overlaps:
        with pytest.raises(Refused) as refused:
            actions.add_range(laboratory=laboratory, entry=second, by=data_manager)
        assert rules(refused) == ["overlap"]
        row = ReferenceRange.objects.get()
        row.pk = None
        for name, value in fields.items():
            setattr(row, name, value)
        row.age_to = 150
        with (
            pytest.raises(IntegrityError, match="would hold for one result"),
            transaction.atomic(),
            audit.revision(by=data_manager),
        ):
            row.save(force_insert=True)
    else:
        actions.add_range(laboratory=laboratory, entry=second, by=data_manager)
        assert ReferenceRange.objects.count() == 2


def test_a_voided_range_is_in_nobodys_way(laboratory: Laboratory, data_manager: User) -> None:
    row = actions.add_range(laboratory=laboratory, entry=an_entry(), by=data_manager)
    with pytest.raises(Refused):
        actions.void_range(stored=row, by=data_manager, reason=" ")
    actions.void_range(stored=row, by=data_manager, reason="typed twice")
    with pytest.raises(Refused) as refused:
        actions.void_range(stored=row, by=data_manager, reason="typed twice")
    assert rules(refused) == ["voided"]
    assert actions.add_range(laboratory=laboratory, entry=an_entry(), by=data_manager).pk


def test_an_ended_range_makes_room_for_the_next(laboratory: Laboratory, data_manager: User) -> None:
    row = actions.add_range(laboratory=laboratory, entry=an_entry(), by=data_manager)
    ended = actions.change_range(
        stored=row, entry=an_entry(valid_to=JUNE), by=data_manager, reason="new analyser"
    )
    assert (ended.valid_to, ended.high, ended.version) == (JUNE, Decimal(40), 2)
    later = an_entry(high=Decimal(50), valid_from=JUNE + timedelta(days=1))
    actions.add_range(laboratory=laboratory, entry=later, by=data_manager)
    with pytest.raises(Refused) as refused:
        actions.change_range(
            stored=row,
            entry=an_entry(valid_to=JUNE + timedelta(days=1)),
            by=data_manager,
            reason="slip",
            version=2,
        )
    assert rules(refused) == ["overlap"]


def test_the_second_to_correct_a_range_sees_what_the_first_wrote(
    laboratory: Laboratory, data_manager: User
) -> None:
    row = actions.add_range(laboratory=laboratory, entry=an_entry(), by=data_manager)
    given: dict[str, Any] = {"stored": row, "by": data_manager, "version": 1}
    with pytest.raises(Refused):
        actions.change_range(entry=an_entry(high=Decimal(45)), reason="", **given)
    actions.change_range(entry=an_entry(high=Decimal(45)), reason="typing slip", **given)
    with pytest.raises(Conflict) as conflict:
        actions.change_range(entry=an_entry(high=Decimal(50)), reason="typing slip", **given)
    assert [(clash.field, Decimal(clash.theirs)) for clash in conflict.value.clashes] == [
        ("high", Decimal(45))
    ]


def test_changing_a_range_flags_only_the_results_drawn_in_its_dates(
    laboratory: Laboratory, data_manager: User
) -> None:
    patient = factories.a_patient()
    factories.a_visit(patient, 0, date(2024, 3, 1), alt="45", ast="30")
    factories.a_visit(patient, 12, date(2024, 8, 1), alt="45", ast="30")
    factories.measured_by(laboratory, patient)
    first = actions.add_range(
        laboratory=laboratory, entry=an_entry(high=Decimal(50), valid_to=JUNE), by=data_manager
    )
    later = an_entry(high=Decimal(50), valid_from=JUNE + timedelta(days=1))
    actions.add_range(laboratory=laboratory, entry=later, by=data_manager)

    def flags() -> dict[tuple[int | None, str], str]:
        results = list(LabResult.objects.filter(patient=patient).select_related("visit"))
        found = reference.references_for(results)
        return {(r.visit.week, r.analyte): found[r.pk].flag(r.value) for r in results}

    before = flags()
    stood = reflagged.flags(laboratory, "alt", data_manager)
    versions = list(LabResult.objects.order_by("pk").values_list("pk", "version"))
    actions.change_range(
        stored=first, entry=an_entry(high=Decimal(40), valid_to=JUNE), by=data_manager, reason="typing slip"
    )
    after = flags()
    assert {key for key in before if before[key] != after[key]} == {(0, "alt")}
    assert after[0, "alt"] == "high"
    now = reflagged.flags(laboratory, "alt", data_manager)
    said = reflagged.said(stood, now)
    assert said == f"Saved. 1 stored result is flagged anew: 1 now high ({patient.subject_id} W0)."
    assert reflagged.said(now, now) == "Saved. No stored result is flagged otherwise than before."
    assert list(LabResult.objects.order_by("pk").values_list("pk", "version")) == versions


@pytest.mark.committed
def test_two_who_add_the_same_range_at_once_do_not_both_succeed(data_manager: User) -> None:
    laboratory = factories.a_laboratory()
    verdicts: list[str] = []
    together = threading.Barrier(4)

    def add() -> None:
        try:
            together.wait(timeout=20)
            # past the action's own look: only the database can refuse here
            row = ReferenceRange(
                laboratory=laboratory,
                analyte="alt",
                valid_from=date(2024, 1, 1),
                high=Decimal(40),
                typed_unit="U/L",
            )
            with audit.revision(by=data_manager):
                row.save(force_insert=True)
            verdicts.append("stored")
        except IntegrityError:
            verdicts.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=add) for _each in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert sorted(verdicts) == ["refused", "refused", "refused", "stored"]
    assert ReferenceRange.objects.count() == 1


# --- pages ----------------------------------------------------------------------------------


def test_everybody_clinical_reads_and_the_data_manager_changes(
    laboratory: Laboratory,
    coordinator: User,
    coordinator_elsewhere: User,
    data_manager: User,
    signed_in: SignedIn,
) -> None:
    factories.a_range(laboratory, "alt", "5", "40", sex="M", age_from=18)
    page = signed_in(coordinator).get(reverse("patients:laboratory", args=[laboratory.code]))
    said = page.content.decode()
    assert "from 18 years" in said
    assert "male" in said
    assert reverse("patients:new_range", args=[laboratory.code, "alt"]) not in said
    assert signed_in(coordinator).get(reverse("patients:new_laboratory")).status_code == 403
    away = signed_in(coordinator_elsewhere).get(reverse("patients:laboratory", args=[laboratory.code]))
    assert away.status_code == 404
    assert (
        laboratory.name
        not in signed_in(coordinator_elsewhere).get(reverse("patients:laboratories")).content.decode()
    )
    managed = signed_in(data_manager).get(reverse("patients:laboratory", args=[laboratory.code]))
    assert reverse("patients:new_range", args=[laboratory.code, "alt"]) in managed.content.decode()


def test_a_laboratory_and_its_range_are_made_on_the_pages(data_manager: User, signed_in: SignedIn) -> None:
    client = signed_in(data_manager)
    made = client.post(
        reverse("patients:new_laboratory"),
        {"code": "ge-lab", "name": "Central", "site": "", "submission_key": "a"},
    )
    assert made.url == reverse("patients:laboratory", args=["GE-LAB"])
    url = reverse("patients:new_range", args=["GE-LAB", "tbil"])
    typed = {"low": "0.3", "high": "1,53", "unit": "mg/dL", "valid_from": "2024-01-01", "submission_key": "b"}
    wrong = client.post(url, typed)
    assert wrong.status_code == 422
    assert "1,53" in wrong.content.decode()
    for _twice in range(2):
        factories.settle()
        assert client.post(url, typed | {"high": "1.53"}).status_code == 302
    factories.settle()
    row = ReferenceRange.objects.get()
    assert (row.typed_unit, row.high, row.age_to) == ("mg/dL", Decimal("26.163"), 150)
    change = reverse("patients:change_range", args=["GE-LAB", row.pk])
    shown = client.get(change).content.decode()
    assert 'value="1.53"' in shown
    answer = client.post(
        change, typed | {"high": "1.6", "valid_to": "2024-06-30", "version": "1", "reason": "typing_slip"}
    )
    assert answer.status_code == 302
    stale = client.post(change, typed | {"high": "1.7", "version": "1", "reason": "typing_slip"})
    assert stale.status_code == 409
    factories.settle()
    page = client.get(reverse("patients:laboratory", args=["GE-LAB"])).content.decode()
    assert "2024-06-30" in page
    assert "typing slip corrected" in page
    void = reverse("patients:void_range", args=["GE-LAB", row.pk])
    assert client.post(void, {"reason": ""}).status_code == 422
    assert client.post(void, {"reason": "other", "note": "another laboratory"}).status_code == 302
    assert client.get(change).status_code == 404


def test_units_and_use_change_on_the_page_as_one_revision(
    laboratory: Laboratory, data_manager: User, signed_in: SignedIn
) -> None:
    client = signed_in(data_manager)
    url = reverse("patients:change_laboratory", args=[laboratory.code])
    form = client.get(url).context["form"]
    typed = {name: form.initial[name] for name in form.initial if name.startswith("unit_")}
    typed |= {"name": "Central", "site": "", "version": "1", "unit_albumin": "g/dL"}
    assert client.post(url, typed).status_code == 422
    before = Revision.objects.count()
    assert client.post(url, typed | {"reason": "source_checked"}).status_code == 302
    factories.settle()
    laboratory.refresh_from_db()
    assert (laboratory.is_active, laboratory.name, laboratory.site) == (False, "Central", None)
    assert LaboratoryUnit.objects.get().unit == "g/dL"
    assert Revision.objects.count() == before + 1
    assert AuditEntry.objects.filter(revision=Revision.objects.latest("pk")).count() == 2


def test_labs_and_trend_flag_by_the_range_of_the_date_and_name_the_laboratory(
    sites: dict[str, Site], laboratory: Laboratory, hepatologist: User, signed_in: SignedIn
) -> None:
    patient = factories.a_patient(site=sites["GE"])
    factories.a_visit(patient, 0, date(2024, 3, 1), alt="45", ast="30", tbil="8")
    factories.a_visit(patient, 12, date(2024, 8, 1), alt="45", ast="30", tbil="8")
    factories.measured_by(laboratory, patient)
    factories.a_range(laboratory, "alt", "5", "43", valid_to=JUNE)
    factories.a_range(laboratory, "alt", "5", "60", valid_from=JUNE + timedelta(days=1))
    client = signed_in(hepatologist)
    page = client.get(reverse("patients:labs", args=[patient.subject_id]))
    (line,) = [line for line in page.context["matrix"].lines if line.code == "alt"]
    assert [cell.flag for cell in line.cells] == ["high", ""]
    assert (line.reference_text, line.varies) == ("5–60", True)
    assert "Laboratory GE-LAB 5–43 since 2024-01-01" in page.content.decode()
    trend = client.get(reverse("analytics:trend", args=[patient.subject_id])).context["page"]
    (row,) = [row for row in trend.rows if row.label == "ALT"]
    assert [value.flag for value in row.values] == ["high", ""]
    (strip,) = [strip for strip in trend.figure.strips if strip.code == "alt"]
    assert len(strip.bands) == 2
    assert strip.reference_words == "ref 5 to 60"
    assert "Laboratory GE-LAB" in trend.figure.draws[0].cells[0].words
