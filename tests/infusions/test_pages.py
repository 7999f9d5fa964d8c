"""Pages of infusions: each works, keeps what was typed, and shows nobody what is not theirs."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from infusions import actions
from infusions.models import CellLot, Infusion
from infusions.particulars import Particulars
from patients.models import DataQuery, Patient
from tests.corpus import TEXTS
from tests.factories import RECRUITED_ON, a_decision, a_lot, a_patient, an_infusion, settle
from trial import audit, protocol
from trial.models import AuditEntry, Revision, Site, User

pytestmark = pytest.mark.django_db

SignIn = Callable[[User], Client]
FIRST = RECRUITED_ON + timedelta(days=7)


@pytest.fixture(autouse=True)
def _today() -> Any:
    """It is the day infusion 5 is due, ten in the morning in Guangzhou."""
    with time_machine.travel(f"{RECRUITED_ON + timedelta(days=35)}T02:00:00Z", tick=True):
        yield


@pytest.fixture
def patient(sites: dict[str, Site]) -> Patient:
    made = a_patient(
        site=sites["GE"],
        subject_id="GE-001",
        diagnosis=protocol.Diagnosis.LIVER_FAILURE,
        planned_course=protocol.Course.PROLONGED,
    )
    a_decision(made)
    return made


@pytest.fixture
def lot(patient: Patient, coordinator: User) -> CellLot:
    return a_lot("UC-2608-C", RECRUITED_ON + timedelta(days=60))


@pytest.fixture
def browser(signed_in: SignIn, coordinator: User) -> Client:
    return signed_in(coordinator)


def url(name: str, patient: Patient, *more: Any) -> str:
    return reverse(f"infusions:{name}", args=[patient.subject_id, *more])


def text_of(answer: Any) -> str:
    """Return what a person reads."""
    bare = re.sub(r"<(script|style)\b.*?</\1>|<[^>]+>", " ", answer.content.decode(), flags=re.DOTALL)
    return " ".join(html.unescape(bare).split())


def typed(lot: CellLot | None = None, /, **fields: Any) -> dict[str, Any]:
    given = {
        "submission_key": "a-key",
        "given_on": (RECRUITED_ON + timedelta(days=35)).isoformat(),
        "weight_kg": "60",
        "cells": "60",
        "volume_ml": "100",
        "lot": lot.pk if lot else "",
        "other_lot": "",
        "other_lot_expires_on": "",
        "started_at": "",
        "stopped_at": "",
        "reaction": "",
        "deviation": "",
        "deviation_note": "",
    }
    return {**given, **fields}


# --- giving ---------------------------------------------------------------------------------


def test_the_page_says_what_the_infusion_does(browser: Client, patient: Patient) -> None:
    for number in range(1, 5):
        an_infusion(patient, number)
    answer = browser.get(url("give", patient, 5))
    assert answer.status_code == 200
    page = text_of(answer)
    assert "The fifth infusion given: group B becomes A." in page
    assert "Last weight 60.0 kg, at infusion 4 on 2024-02-05." in page
    assert 'name="given_on" value="2024-02-12"' in answer.content.decode()


def test_giving_goes_to_the_course_and_says_revision_and_group(
    browser: Client, patient: Patient, lot: CellLot
) -> None:
    for number in range(1, 5):
        an_infusion(patient, number)
    answer = browser.post(
        url("give", patient, 5), typed(lot, reaction="chill", started_at="0905", stopped_at="10:00")
    )
    assert answer.status_code == 302
    assert answer.headers["Location"] == url("course", patient)
    stored = Infusion.objects.get(number=5)
    assert (stored.cells, stored.lot, stored.reaction) == (60_000_000, lot, "chill")
    page = text_of(browser.get(url("course", patient)))
    assert "Infusion 5 recorded" in page
    assert "group B → A." in page


@pytest.mark.committed
def test_the_message_names_the_revision(browser: Client, patient: Patient, lot: CellLot) -> None:
    browser.post(url("give", patient, 5), typed(lot))
    number = audit.latest_revision()
    assert f"Infusion 5 recorded, revision {number:,}." in text_of(browser.get(url("course", patient)))


def test_full_width_digits_and_decimal_cells_are_read_exactly(
    browser: Client, patient: Patient, lot: CellLot
) -> None:
    browser.post(url("give", patient, 5), typed(lot, weight_kg="６４．５", cells="64.500001"))
    stored = Infusion.objects.get()
    assert (stored.weight_kg, stored.cells) == (Decimal("64.5"), 64_500_001)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        pytest.param({"cells": "80"}, "33.3 % above the target of 60 × 10⁶ cells; 20 % are allowed", id="dose"),
        pytest.param({"lot": ""}, "The lot is not recorded.", id="no_lot"),
        pytest.param({"weight_kg": "60,5"}, "comma", id="comma"),
        pytest.param({"weight_kg": "600"}, "not between 25 and 250 kg", id="weight"),
        pytest.param({"weight_kg": "60.55"}, "more than 1 decimals", id="too_exact"),
        pytest.param({"cells": "64500000"}, "Type the number in millions", id="cells_in_full"),
        pytest.param({"cells": "<5"}, "not a plain number", id="comparator"),
        pytest.param({"given_on": "2024-02-13"}, "after today, 2024-02-12 at the site", id="tomorrow"),
        pytest.param({"given_on": "02/03/2024"}, "can be two days", id="ambiguous"),
        pytest.param({"given_on": ""}, "The day is missing.", id="no_day"),
        pytest.param({"started_at": "10:00", "stopped_at": "09:00"}, "before or when it started", id="times"),
        pytest.param({"started_at": "25:00"}, "not a time of day", id="no_time"),
        pytest.param({"other_lot": "UC-9"}, "is picked as well", id="two_lots"),
        pytest.param({"lot": "", "other_lot": "lower"}, "capital letters", id="lot_code"),
        pytest.param({"other_lot_expires_on": "2024-09-01"}, "belongs to another lot", id="expiry_alone"),
        pytest.param({"lot": "", "other_lot": "UC-2608-C", "other_lot_expires_on": "2024-09-01"}, "is registered with expiry", id="other_expiry"),
        pytest.param({"deviation": "other"}, "needs a note", id="other_without_note"),
        pytest.param({"reaction": "x" * 301}, "300", id="too_long"),
    ],
)  # fmt: skip
def test_a_refusal_says_why_keeps_what_was_typed_and_writes_nothing(
    browser: Client, patient: Patient, lot: CellLot, fields: dict[str, str], said: str
) -> None:
    before = audit.latest_revision()
    answer = browser.post(url("give", patient, 5), typed(lot, **{"reaction": "chill", **fields}))
    assert answer.status_code == 422
    assert said in text_of(answer)
    content = html.unescape(answer.content.decode())
    for name, value in {"volume_ml": "100", **fields}.items():
        if value and name not in {"deviation", "lot"}:
            assert f'value="{value}"' in content, name
    settle()
    assert not Infusion.objects.exists()
    assert audit.latest_revision() == before


def test_with_a_deviation_the_same_is_recorded(browser: Client, patient: Patient, lot: CellLot) -> None:
    answer = browser.post(
        url("give", patient, 5),
        typed(lot, cells="80", deviation="cells_available", deviation_note="two bags"),
    )
    assert answer.status_code == 302
    stored = Infusion.objects.get()
    assert (stored.deviation, stored.deviation_note) == ("cells_available", "two bags")
    page = text_of(browser.get(url("course", patient)))
    assert "33.3 % above the target" in page
    assert "the lot held fewer or more cells than ordered: two bags" in page


def test_a_weight_that_jumps_asks_once_more(browser: Client, patient: Patient, lot: CellLot) -> None:
    an_infusion(patient, 4)
    answer = browser.post(url("give", patient, 5), typed(lot, weight_kg="46", cells="46"))
    assert answer.status_code == 422
    assert "46.0 kg, but 60.0 kg at infusion 4" in text_of(answer)
    assert "Confirm the weight, or correct it." in text_of(answer)
    confirmed = typed(lot, weight_kg="46", cells="46", weight_confirmed="on")
    assert browser.post(url("give", patient, 5), confirmed).status_code == 302


def test_a_weight_outside_the_usual_asks_once_more_and_opens_a_query(
    browser: Client, patient: Patient, lot: CellLot
) -> None:
    answer = browser.post(url("give", patient, 5), typed(lot, weight_kg="39.9", cells="39.9"))
    assert answer.status_code == 422
    assert "39.9 kg: usual are 40 to 120 kg." in text_of(answer)
    confirmed = typed(lot, weight_kg="39.9", cells="39.9", weight_confirmed="on")
    assert browser.post(url("give", patient, 5), confirmed).status_code == 302
    query = DataQuery.objects.get()
    assert (query.topic, query.field, query.check_code, query.state) == (
        "infusion",
        "course",
        "weight",
        "open",
    )
    assert "Infusion 5: 39.9 kg: usual are 40 to 120 kg." in text_of(
        browser.get(reverse("patients:query", args=[patient.subject_id, query.pk]))
    )


def test_a_lot_that_is_not_in_the_list_is_registered_or_found(
    browser: Client, patient: Patient, lot: CellLot
) -> None:
    browser.post(
        url("give", patient, 5),
        typed(other_lot="UC-9", other_lot_expires_on="2024-12-31", deviation="lot_unavailable"),
    )
    assert Infusion.objects.get().lot == CellLot.objects.get(code="UC-9", expires_on=date(2024, 12, 31))
    again = typed(other_lot="UC-2608-C", submission_key="b", given_on=FIRST.isoformat())
    browser.post(url("give", patient, 1), again)
    assert Infusion.objects.get(number=1).lot == lot


def test_the_form_sent_twice_is_one_infusion_and_the_same_answer(
    browser: Client, patient: Patient, lot: CellLot
) -> None:
    first, second = (browser.post(url("give", patient, 5), typed(lot)) for _ in range(2))
    assert (first.status_code, first.headers["Location"]) == (second.status_code, second.headers["Location"])
    assert Infusion.objects.count() == 1
    settle()
    assert Revision.objects.filter(source="infusion").count() == 1


def test_a_number_somebody_else_recorded_is_refused_not_overwritten(
    browser: Client, patient: Patient, lot: CellLot
) -> None:
    an_infusion(patient, 5)
    answer = browser.post(url("give", patient, 5), typed(lot, submission_key="late"))
    assert answer.status_code == 422
    assert "is recorded already, given on 2024-02-12" in text_of(answer)


# --- the live check -------------------------------------------------------------------------


def test_the_check_says_target_and_breaches_and_writes_nothing(browser: Client, patient: Patient) -> None:
    answer = browser.post(
        url("check", patient, 5), typed(weight_kg="64.5", cells="80"), headers={"HX-Request": "true"}
    )
    assert answer.status_code == 200
    said = text_of(answer)
    assert "Target 64.5 × 10⁶" in said
    assert "+24.0 %" in said
    assert "Due on 2024-02-12; within the window." in said
    assert "lot is not recorded" not in said, "it may still be typed"
    assert 'data-shows="deviation"' in answer.content.decode()
    settle()
    assert not Infusion.objects.exists()


def test_the_check_survives_half_typed_values(browser: Client, patient: Patient) -> None:
    for fields in ({"weight_kg": "6"}, {"cells": "x"}, {"given_on": "2024-"}, {"given_on": ""}):
        assert browser.post(url("check", patient, 5), typed(**fields)).status_code == 200
    assert browser.get(url("check", patient, 5)).status_code == 405


# --- correcting -----------------------------------------------------------------------------


def correction(infusion: Infusion, **fields: Any) -> dict[str, Any]:
    return typed(
        **{
            "given_on": infusion.given_on.isoformat(),
            "deviation": "not_documented",
            "version": infusion.version,
            "reason": "typing_slip",
            "reason_note": "",
            "weight_confirmed": "on",
            **fields,
        }
    )


def test_a_recorded_infusion_opens_for_correction_with_what_is_stored(
    browser: Client, patient: Patient
) -> None:
    an_infusion(patient, 1, weight_kg=Decimal("61.4"), reaction="chill")
    answer = browser.get(url("give", patient, 1))
    content = answer.content.decode()
    assert "Correct infusion 1" in text_of(answer)
    for value in ("61.4", "60", "100", "chill"):
        assert f'value="{value}"' in content
    assert "−2.3 %" in text_of(answer)


def test_a_correction_writes_one_revision_with_its_reason(browser: Client, patient: Patient) -> None:
    infusion = an_infusion(patient, 1)
    answer = browser.post(url("give", patient, 1), correction(infusion, weight_kg="61"))
    assert answer.status_code == 302
    settle()
    assert Infusion.objects.get().weight_kg == 61
    assert AuditEntry.objects.filter(op="U").get().revision.reason == "typing slip corrected"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        pytest.param({"reason": ""}, "needs a reason", id="no_reason"),
        pytest.param({"reason": "other"}, "Say in the note", id="other_without_note"),
        pytest.param({"cells": "90", "deviation": ""}, "47.5 % above the target", id="rules_hold"),
    ],
)
def test_a_correction_is_refused_like_an_entry(
    browser: Client, patient: Patient, fields: dict[str, str], said: str
) -> None:
    infusion = an_infusion(patient, 1)
    answer = browser.post(url("give", patient, 1), correction(infusion, **{"weight_kg": "61", **fields}))
    assert answer.status_code == 422
    assert said in text_of(answer)
    assert Infusion.objects.get().weight_kg == 60


def test_a_conflict_shows_all_three_and_the_next_save_decides(
    browser: Client, patient: Patient, data_manager: User
) -> None:
    infusion = an_infusion(patient, 1)
    given = Particulars(
        **{
            **{name: getattr(infusion, name) for name in Particulars.__slots__},
            "weight_kg": Decimal(66),
        }
    )
    actions.correct_infusion(infusion=infusion, version=1, given=given, by=data_manager, reason="scales")
    settle()
    answer = browser.post(url("give", patient, 1), correction(infusion, weight_kg="61"))
    assert answer.status_code == 409
    said = text_of(answer)
    assert f"Body weight, kg 60.0 66.0 {data_manager.shown_name} 61.0" in said
    assert 'name="version" value="2"' in answer.content.decode()
    assert 'value="61"' in answer.content.decode()
    assert Infusion.objects.get().weight_kg == 66
    second = browser.post(url("give", patient, 1), correction(infusion, weight_kg="61", version=2))
    assert second.status_code == 302
    assert Infusion.objects.get().weight_kg == 61


# --- voiding --------------------------------------------------------------------------------


def test_voiding_says_what_it_does_and_does_it(browser: Client, patient: Patient) -> None:
    for number in range(1, 6):
        an_infusion(patient, number)
    page = text_of(browser.get(url("void", patient, 1)))
    assert "4 infusions are left: group A becomes B." in page
    assert "Visit weeks will count from 2024-01-22." in page
    answer = browser.post(url("void", patient, 1), {"version": 1, "reason": "never_given", "note": ""})
    assert answer.status_code == 302
    settle()
    assert Infusion.objects.valid().count() == 4
    assert AuditEntry.objects.filter(op="U").get().revision.reason == "it was never given"
    course = text_of(browser.get(url("course", patient)))
    assert "Infusion 1 voided" in course
    assert "group A → B." in course
    assert "kept, and left out of every count" in course
    assert browser.get(url("void", patient, 1)).status_code == 404


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        pytest.param({"reason": ""}, 422, id="no_reason"),
        pytest.param({"reason": "other"}, 422, id="other_without_note"),
        pytest.param({"version": 9}, 409, id="changed_meanwhile"),
    ],
)
def test_voiding_is_not_done_unseen(
    browser: Client, patient: Patient, fields: dict[str, Any], status: int
) -> None:
    an_infusion(patient, 1)
    answer = browser.post(
        url("void", patient, 1), {"version": 1, "reason": "never_given", "note": "", **fields}
    )
    assert answer.status_code == status
    assert Infusion.objects.valid().count() == 1


# --- the course and the place ---------------------------------------------------------------


def test_the_course_lists_every_number_with_its_state(
    browser: Client, patient: Patient, lot: CellLot
) -> None:
    an_infusion(patient, 1, lot=lot, deviation="")
    an_infusion(patient, 3, FIRST + timedelta(days=17), lot=lot, deviation="")
    page = text_of(browser.get(url("course", patient)))
    assert "day 0" in page
    assert "3 days late" in page
    assert "missed, closed 2024-01-24" in page
    assert "window open, open until 2024-02-14" in page
    assert "Record infusion 4" in page


def test_a_reader_sees_the_course_but_no_way_to_write(
    signed_in: SignIn, hepatologist: User, patient: Patient
) -> None:
    an_infusion(patient, 1)
    answer = signed_in(hepatologist).get(url("course", patient))
    assert answer.status_code == 200
    assert url("void", patient, 1) not in answer.content.decode()


def test_the_place_shows_what_is_due_what_was_given_and_who_got_a_lot(
    browser: Client, patient: Patient, lot: CellLot, sites: dict[str, Site]
) -> None:
    for number in (1, 2, 3, 4):
        an_infusion(patient, number, lot=lot, deviation="")
    other = a_patient(site=sites["GE"], subject_id="GE-002", recruited_on=RECRUITED_ON)
    an_infusion(other, 1)
    elsewhere = a_patient(site=sites["GS"], subject_id="GS-009", recruited_on=RECRUITED_ON)
    an_infusion(elsewhere, 1, lot=lot, deviation="")
    place = browser.get(reverse("infusions:list"))
    page = text_of(place)
    assert "Infusion 5 of 8" in page
    assert "would become A" in page
    assert "GS-009" not in page
    assert "UC-2608-C" in page
    recipients = text_of(browser.get(reverse("infusions:list"), {"lot": lot.code}))
    given = recipients.split("Who got lot UC-2608-C")[1]
    assert "GE-001" in given
    assert "GE-002" not in given
    assert "GS-009" not in given


def test_lots_that_expired_unused_are_left_out(browser: Client, patient: Patient, coordinator: User) -> None:
    day = RECRUITED_ON + timedelta(days=30)
    for code in ("UC-UNUSED", "UC-USED"):
        actions.register_lot(code=code, expires_on=day, by=coordinator)
    actions.register_lot(code="UC-GOOD", expires_on=day + timedelta(days=30), by=coordinator)
    an_infusion(patient, 1, lot=CellLot.objects.get(code="UC-USED"))
    page = text_of(browser.get(reverse("infusions:list")))
    assert "UC-USED in quarantine 2024-02-07 expired – 1" in page
    assert "UC-GOOD in quarantine 2024-03-08 – 0" in page
    assert "UC-UNUSED" not in page


def test_filters_of_the_place_live_in_its_address(
    signed_in: SignIn, statistician: User, patient: Patient, sites: dict[str, Site]
) -> None:
    an_infusion(patient, 1)
    elsewhere = a_patient(
        site=sites["GS"], subject_id="GS-009", recruited_on=RECRUITED_ON, planned_course="prolonged"
    )
    an_infusion(elsewhere, 1)
    client = signed_in(statistician)
    everything = text_of(client.get(reverse("infusions:list")))
    assert "GE-001" in everything
    assert "GS-009" in everything
    one = text_of(client.get(reverse("infusions:list"), {"site": "GS", "show": "today"}))
    assert "GE-001" not in one
    assert "GS-009" in one
    assert "Nobody whose record you may see" not in one
    assert "No lot has this code." in text_of(client.get(reverse("infusions:list"), {"lot": "NONE"}))


def test_a_lot_is_registered_with_its_particulars(browser: Client) -> None:
    answer = browser.post(
        reverse("infusions:new_lot"),
        {
            "code": "UC-1",
            "expires_on": "2030-01-31",
            "donor_code": "D-7",
            "passage": "4",
            "viability_percent": "91.25",
        },
    )
    assert answer.status_code == 302
    stored = CellLot.objects.get()
    assert (stored.expires_on, stored.passage, stored.viability_percent) == (
        date(2030, 1, 31),
        4,
        Decimal("91.25"),
    )
    again = browser.post(reverse("infusions:new_lot"), {"code": "UC-1"})
    assert again.status_code == 422
    assert "registered already" in text_of(again)


@pytest.mark.parametrize(("viability", "asks"), [("79.99", True), ("80", False)])
def test_a_lot_of_few_living_cells_says_so(browser: Client, viability: str, asks: bool) -> None:
    lot = a_lot("UC-1", viability_percent=Decimal(viability))
    page = browser.get(reverse("infusions:lot", args=[lot.code])).content.decode()
    facts = page[page.index("Viability</dt>") : page.index("Site</dt>")]
    assert ("at least 80 % before it is given" in facts) is asks


# --- who may ---------------------------------------------------------------------------------

NAMES = ("course", "give", "check", "void")


def ask(client: Client, name: str, patient: Patient | None, number: int = 1) -> int:
    subject = patient.subject_id if patient else "GE-999"
    more = [] if name == "course" else [number]
    address = reverse(f"infusions:{name}", args=[subject, *more])
    answer = client.post(address, typed()) if name == "check" else client.get(address)
    return answer.status_code


@pytest.mark.parametrize("name", NAMES)
def test_another_sites_subject_and_a_missing_one_look_alike(
    name: str, signed_in: SignIn, coordinator_elsewhere: User, patient: Patient
) -> None:
    an_infusion(patient, 1)
    client = signed_in(coordinator_elsewhere)
    assert ask(client, name, patient) == ask(client, name, None) == 404


@pytest.mark.parametrize("name", NAMES)
def test_an_infusion_out_of_the_protocol_is_missing(name: str, browser: Client, patient: Patient) -> None:
    if name != "course":
        assert {ask(browser, name, patient, number) for number in (0, 9, 10**18)} == {404}


@pytest.mark.parametrize("name", ["give", "check", "void"])
def test_readers_may_not_write(
    name: str, signed_in: SignIn, hepatologist: User, monitor: User, patient: Patient
) -> None:
    an_infusion(patient, 1)
    assert {ask(signed_in(user), name, patient) for user in (hepatologist, monitor)} == {403}


def test_account_admins_see_nothing_clinical(
    signed_in: SignIn, account_admin: User, patient: Patient
) -> None:
    client = signed_in(account_admin)
    assert client.get(reverse("infusions:list")).status_code == 403
    assert ask(client, "course", patient) == 403


@pytest.mark.parametrize("name", ["show", "site", "lot"])
def test_hostile_filters_narrow_to_nothing_at_worst(name: str, browser: Client, patient: Patient) -> None:
    for text in TEXTS[::20]:
        assert browser.get(reverse("infusions:list"), {name: text}).status_code in {200, 400}


def test_corrections_voids_and_lots_sent_twice_are_one_change(browser: Client, patient: Patient) -> None:
    infusion = an_infusion(patient, 1)
    changed = correction(infusion, weight_kg="61", submission_key="c")
    void = {"submission_key": "v", "version": 2, "reason": "never_given", "note": ""}
    lot = {"submission_key": "l", "code": "UC-1"}
    for address, form in (
        (url("give", patient, 1), changed),
        (url("void", patient, 1), void),
        (reverse("infusions:new_lot"), lot),
    ):
        first = browser.post(address, form)
        settle()  # what the commit would do: the next form is a revision of its own
        second = browser.post(address, form)
        assert (first.status_code, second.status_code) == (302, 302), address
        assert first.headers["Location"] == second.headers["Location"]
    settle()
    assert AuditEntry.objects.filter(table="infusions_infusion", op="U").count() == 2
    assert CellLot.objects.count() == 1
