"""Registration, screening, outcomes and labs: each page by the same checklist."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from patients import actions, verifications
from patients.actions.verification import Claim, verify
from patients.models import DataQuery, Outcome, Patient, PatientIdentity, Screening, Visit
from tests import factories
from tests.patients.scores import score
from trial import audit, clock, protocol
from trial.models import Site, User
from trial.roles import Role

pytestmark = pytest.mark.django_db

SignIn = Callable[[User], Client]
HOSTILE = ("'\"><script>", "１" * 300, "9" * 30, "\u202e😀{{ 7 }}" + "x" * 5000)


@pytest.fixture
def browser(signed_in: SignIn, coordinator: User) -> Client:
    return signed_in(coordinator)


@pytest.fixture
def patient(sites: dict[str, Site]) -> Patient:
    return factories.a_patient(site=sites["GE"], subject_id="GE-001", status=Patient.Status.SCREENING)


def text(response: HttpResponse) -> str:
    return response.content.decode()


def at(name: str, *args: Any) -> str:
    return reverse(f"patients:{name}", args=args)


# --- who may open what ----------------------------------------------------------------------

READ = {"labs", "eligibility", "outcomes"}
WRITE = {"screen", "enter_unscheduled"}


@pytest.mark.parametrize("name", sorted(READ | WRITE))
def test_own_site_other_site_missing(
    name: str, patient: Patient, browser: Client, signed_in: SignIn, coordinator_elsewhere: User
) -> None:
    assert browser.get(at(name, "GE-001")).status_code == 200
    elsewhere = signed_in(coordinator_elsewhere)
    assert elsewhere.get(at(name, "GE-001")).status_code == 404
    assert browser.get(at(name, "GE-999")).status_code == 404
    if name != "labs" and name != "eligibility":
        assert elsewhere.post(at(name, "GE-001"), {}).status_code == 404


@pytest.mark.parametrize("who", ["hepatologist", "monitor", "statistician"])
def test_readers_read_and_do_not_write(
    who: str, patient: Patient, signed_in: SignIn, request: pytest.FixtureRequest
) -> None:
    reader = signed_in(request.getfixturevalue(who))
    for name in READ:
        assert reader.get(at(name, "GE-001")).status_code == 200, name
    for name in WRITE:
        assert reader.get(at(name, "GE-001")).status_code == 403, name
    assert reader.post(at("outcomes", "GE-001"), {"kind": "death"}).status_code == 403
    assert reader.post(at("verdict", "GE-001"), {}).status_code == 403
    assert reader.get(at("register")).status_code == 403
    page = text(reader.get(at("outcomes", "GE-001")))
    assert "Record an outcome" not in page


def test_account_admins_see_no_subject(patient: Patient, signed_in: SignIn, account_admin: User) -> None:
    admin = signed_in(account_admin)
    for name in READ | WRITE:
        assert admin.get(at(name, "GE-001")).status_code == 403, name


# --- registration ---------------------------------------------------------------------------

WANG = {
    "sex": "F",
    "birth_date": "1980-02-01",
    "diagnosis": "liver_failure",
}


def test_a_subject_is_registered_then_screened(browser: Client, coordinator: User) -> None:
    response = browser.post(at("register"), WANG | {"name": "王丽", "hospital_number": "H-77"})
    patient = Patient.objects.get()
    assert response.url == at("screen", "GE-001")
    assert (patient.status, patient.site, patient.recruited_on) == ("screening", coordinator.site, None)
    assert patient.identity.name == "王丽"
    assert browser.get(response.url).status_code == 200


def test_the_same_registration_twice_is_one_subject(browser: Client) -> None:
    key = re.search(r'name="submission_key" value="([^"]+)"', text(browser.get(at("register"))))
    assert key
    first = browser.post(at("register"), WANG | {"submission_key": key[1]})
    audit.settle()
    second = browser.post(at("register"), WANG | {"submission_key": key[1]})
    assert first.url == second.url == at("screen", "GE-001")
    assert Patient.objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"birth_date": ""}, "Neither date of birth nor age"),
        ({"birth_date": "", "age": "1,5"}, "has a comma"),
        ({"birth_date": "", "age": "121"}, "from 0 to 120"),
        ({"birth_date": "02/03/1980"}, "Type 1980-02-03 or 1980-03-02"),
        ({"birth_date": "2023-02-29"}, "does not exist"),
        ({"birth_date": "2999-01-01"}, "outside the dates"),
        ({"sex": ""}, "No sex is given. Choose one."),
        ({"sex": "X"}, "X is not one of the available choices"),
        ({"diagnosis": "flu"}, "flu is not one of the available choices"),
        ({"subject_id": "GS-001"}, "is not a code of this site"),
        ({"subject_id": "GE-" + "1" * 40}, "is not a code of this site"),
        ({"name": "x" * 121}, "121 characters"),
    ],
)
def test_a_registration_that_cannot_be_says_why_and_keeps_what_was_typed(
    browser: Client, fields: dict[str, str], sentence: str
) -> None:
    response = browser.post(at("register"), WANG | {"phone": "138 0000"} | fields)
    assert response.status_code == 422
    assert sentence in text(response)
    assert 'value="138 0000"' in text(response)
    assert not Patient.objects.exists()


def test_a_known_hospital_number_names_the_subject_of_this_site_only(
    browser: Client, signed_in: SignIn, coordinator_elsewhere: User
) -> None:
    browser.post(at("register"), WANG | {"hospital_number": "H-77"})
    audit.settle()
    again = browser.post(at("register"), WANG | {"hospital_number": "H-77"})
    assert again.status_code == 422
    assert "may be registered already" in text(again)
    assert 'name="another_than" value="GE-001"' in text(again)
    elsewhere = signed_in(coordinator_elsewhere)
    assert elsewhere.post(at("register"), WANG | {"hospital_number": "H-77"}).status_code == 302
    assert elsewhere.post(at("register"), WANG | {"subject_id": "GE-001"}).status_code == 422


def test_who_sees_all_sites_chooses_one_and_is_not_asked_who_the_person_is(
    sites: dict[str, Site], signed_in: SignIn, data_manager: User
) -> None:
    manager = signed_in(data_manager)
    page = text(manager.get(at("register")))
    assert 'name="site"' in page
    assert 'name="hospital_number"' not in page
    refused = manager.post(at("register"), WANG)
    assert "No site is chosen" in text(refused)
    done = manager.post(at("register"), WANG | {"site": "GS", "name": "王丽", "hospital_number": "H-77"})
    assert done.url == at("screen", "GS-001")
    assert not PatientIdentity.objects.exists()


def test_a_coordinator_cannot_register_at_another_site(browser: Client, sites: dict[str, Site]) -> None:
    assert browser.post(at("register"), WANG | {"site": "GS"}).status_code == 422
    assert not Patient.objects.exists()
    browser.post(at("register"), WANG)
    assert Patient.objects.get().site == sites["GE"]


# --- screening ------------------------------------------------------------------------------


def answers(**changed: str) -> dict[str, str]:
    return (
        {"screened_on": "2024-01-09", "version": "0"}
        | {c.code: c.passes.value for c in protocol.CRITERIA}
        | changed
    )


def test_a_screening_is_saved_with_its_verdict(browser: Client, patient: Patient) -> None:
    fields = answers(evidence_inclusion_a="HBsAg 2021", on_inclusion_a="2021-03-01")
    response = browser.post(at("screen", "GE-001"), fields)
    assert response.url == at("eligibility", "GE-001")
    page = text(browser.get(response.url))
    assert "eligible" in page and "HBsAg 2021" in page and "2021-03-01" in page
    assert "Eligible, not enrolled yet" in page
    patient.refresh_from_db()
    assert patient.status == Patient.Status.SCREENING


def test_eligible_then_enrolled(browser: Client, sites: dict[str, Site]) -> None:
    patient = factories.a_patient(
        site=sites["GE"], subject_id="GE-002", status=Patient.Status.SCREENING, recruited_on=None
    )
    assert browser.post(at("enrol", "GE-002"), {"recruited_on": "2024-01-10"}).status_code == 422
    browser.post(at("screen", "GE-002"), answers())
    audit.settle()
    early = browser.post(at("enrol", "GE-002"), {"recruited_on": "2024-01-08", "planned_course": "standard"})
    assert early.status_code == 422
    assert "is before the screening on 2024-01-09" in text(early)
    assert 'value="2024-01-08"' in text(early)
    done = browser.post(at("enrol", "GE-002"), {"recruited_on": "2024-01-10", "planned_course": "prolonged"})
    assert done.url == at("eligibility", "GE-002")
    patient.refresh_from_db()
    assert (patient.status, patient.recruited_on, patient.planned_course) == (
        "enrolled",
        date(2024, 1, 10),
        "prolonged",
    )
    assert "not enrolled yet" not in text(browser.get(done.url))


FACTS = {
    "fact_tbil": "300",
    "unit_tbil": "umol/L",
    "day_tbil": "2024-01-08",
    "day_hbsag_first_on": "2020-01-01",
    "day_rupture_on": "0",
    "day_septicaemia_on": "2023-10-01",
    "fact_imaging": "yes",
    "fact_encephalopathy_grade": "0",
}


def test_facts_are_saved_shown_again_and_judged(browser: Client, patient: Patient) -> None:
    assert browser.post(at("screen", "GE-001"), answers(**FACTS)).status_code == 302
    audit.settle()
    page = text(browser.get(at("eligibility", "GE-001")))
    for said in ("300 µmol/L, 2024-01-08", "positive since 2020-01-01", "APASL", "apasl/1, cirrhosis/1"):
        assert said in page
    again = text(browser.get(at("screen", "GE-001") + "?on=2024-01-09"))
    for name, value in (("fact_tbil", "300"), ("day_tbil", "2024-01-08"), ("day_rupture_on", "0")):
        assert re.search(rf'name="{name}" value="{value}"', again), name
    assert '<option value="yes" selected>' in again
    # the same once more is no change, and needs no reason
    same = browser.post(at("screen", "GE-001"), answers(version="1", **FACTS))
    assert same.status_code == 302
    assert Screening.objects.get().version == 1


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"fact_tbil": "three"}, "is not a number"),
        ({"fact_tbil": "30,5"}, "has a comma"),
        ({"fact_tbil": "1701"}, "is not possible"),
        ({"day_tbil": "2024-01-10"}, "after the day of screening"),
        ({"day_tbil": ""}, "a value and no day"),
        ({"fact_imaging": "perhaps"}, "yes or no"),
        ({"fact_encephalopathy_grade": "7"}, "from 0 to 4"),
        ({"day_rupture_on": "sometime"}, "Type 0 if it never was."),
        ({"fact_tbil": "three", "day_tbil": "2024-02-30"}, "TBIL: “three” is not a number"),
        ({"fact_tbil": "three", "day_tbil": "2024-02-30"}, "Day of TBIL: “2024-02-30” does not exist"),
        ({"fact_albumin": "5", "day_albumin": "2024-01-08"}, "did you mean g/dL"),
    ],
)
def test_a_fact_that_cannot_be_stays_on_the_screen(
    browser: Client, patient: Patient, fields: dict[str, str], sentence: str
) -> None:
    response = browser.post(at("screen", "GE-001"), answers(**(FACTS | fields)))
    assert response.status_code == 422
    assert sentence in text(response)
    for name, value in fields.items():
        if name not in ("fact_imaging", "fact_encephalopathy_grade"):
            assert re.search(rf'name="{name}" value="{value}"', text(response)), name
    assert not Screening.objects.exists()


def test_a_doubted_fact_is_saved_once_somebody_says_it_is_right(browser: Client, patient: Patient) -> None:
    doubted = FACTS | {"fact_albumin": "5", "day_albumin": "2024-01-08"}
    page = text(browser.post(at("screen", "GE-001"), answers(**doubted)))
    sure = re.search(r'name="sure_albumin" id="sure_albumin" value="([^"]+)"', page)
    assert sure
    other = browser.post(
        at("screen", "GE-001"), answers(**doubted | {"fact_albumin": "5.1", "sure_albumin": sure[1]})
    )
    assert other.status_code == 422
    assert browser.post(at("screen", "GE-001"), answers(**doubted, sure_albumin=sure[1])).status_code == 302
    query = DataQuery.objects.get(patient=patient)
    assert (query.topic, query.row, query.field, query.state) == (
        "screening",
        Screening.objects.get().pk,
        "albumin",
        "open",
    )
    mended = doubted | {"fact_albumin": "35", "reason": "typing_slip", "version": "1"}
    assert browser.post(at("screen", "GE-001"), answers(**mended)).status_code == 302
    query.refresh_from_db()
    assert query.state == "closed"


def test_screening_again_on_its_day_goes_on_with_it(browser: Client, patient: Patient) -> None:
    today = clock.today_at(patient.site)
    assert browser.post(at("screen", "GE-001"), answers(screened_on=today.isoformat())).status_code == 302
    assert browser.get(at("screen", "GE-001")).context["form"].screening == Screening.objects.get()


def test_a_day_that_has_a_screening_is_said_and_takes_nothing_away(browser: Client, patient: Patient) -> None:
    first = answers(screened_on="2024-01-05", day_hbsag_first_on="2019-05-02")
    assert browser.post(at("screen", "GE-001"), first).status_code == 302
    offered = text(browser.get(at("screen", "GE-001") + "?on=2024-01-09"))
    ticked = re.search(r'name="take_hbsag_first_on" id="take_hbsag_first_on" value="([^"]+)"', offered)
    assert ticked
    # typed as a new screening, with what the earlier one offers, and dated to the day of the earlier one
    again = answers(screened_on="2024-01-05", take_hbsag_first_on=ticked[1], exclusion_d="yes")
    told = browser.post(at("screen", "GE-001"), again)
    assert told.status_code == 409
    page = text(told)
    assert "There is a screening of 2024-01-05 already" in page and "Somebody else saved" not in page
    assert re.search(r'name="day_hbsag_first_on" value="2019-05-02"', page)


def test_known_labs_are_offered_and_used_only_when_taken(browser: Client, patient: Patient) -> None:
    factories.a_draw(patient, date(2024, 1, 5), tbil="171", inr="1.8")
    page = text(browser.post(at("verdict", "GE-001"), answers()))
    assert "171" not in page
    page = text(browser.get(at("screen", "GE-001") + "?on=2024-01-09"))
    taken = re.search(r'name="take_tbil" id="take_tbil" value="([^"]+)"', page)
    assert taken and taken[1] == "171|umol/L|2024-01-05|labs"
    assert re.search(r'name="fact_tbil" value=""', page)
    stale = browser.post(at("screen", "GE-001"), answers(take_tbil="170|umol/L|2024-01-05|labs"))
    assert stale.status_code == 422
    assert "has changed meanwhile" in text(stale)
    assert browser.post(at("screen", "GE-001"), answers(take_tbil=taken[1])).status_code == 302
    fact = Screening.objects.get().facts.get()
    assert (fact.fact, fact.typed_text, fact.happened_on, fact.source) == (
        "tbil",
        "171",
        date(2024, 1, 5),
        "labs",
    )


def test_a_tick_against_the_data_needs_its_reason(browser: Client, patient: Patient) -> None:
    young = FACTS | {"day_hbsag_first_on": "2023-12-01"}
    refused = browser.post(at("screen", "GE-001"), answers(**young))
    assert refused.status_code == 422
    assert "write in the evidence why it stands" in text(refused)
    kept = browser.post(at("screen", "GE-001"), answers(**young, evidence_inclusion_a="2015 elsewhere"))
    assert kept.status_code == 302


def test_screening_again_shows_what_was_answered_before(browser: Client, patient: Patient) -> None:
    browser.post(at("screen", "GE-001"), answers(**FACTS, exclusion_h="yes", evidence_exclusion_h="MR 3 cm"))
    audit.settle()
    page = text(browser.get(at("screen", "GE-001")))
    assert 'name="version" value="0"' in page
    assert "2024-01-09: yes" in page and "MR 3 cm" in page
    assert re.search(r'id="exclusion_h_unknown" value="unknown" checked', page)
    assert 'value="||2020-01-01|screening"' in page
    assert 'data-draft="screening:GE-001:new"' in page
    assert Screening.objects.count() == 1


def test_the_log_names_every_failed_criterion(
    browser: Client, patient: Patient, signed_in: SignIn, coordinator_elsewhere: User
) -> None:
    failed = {
        "exclusion_h": "yes",
        "evidence_exclusion_h": "MR 3 cm",
        "on_exclusion_h": "2024-01-03",
        "exclusion_b": "yes",
        "evidence_exclusion_b": "ANA",
    }
    browser.post(at("screen", "GE-001"), answers(**failed))
    audit.settle()
    page = text(browser.get(at("screen_failures")))
    for said in ("GE-001", "liver cancer", "MR 3 cm", "2024-01-03", "another autoimmune disease", "ANA"):
        assert said in page, said
    assert "GE-001" in text(browser.get(at("screen_failures"), {"criterion": "exclusion_h"}))
    for nothing in (
        {"criterion": "exclusion_c"},
        {"state": "eligible"},
        {"last": "2024-01-08"},
        {"first": "2024-01-10"},
    ):
        assert "No screening fits" in text(browser.get(at("screen_failures"), nothing)), nothing
    assert "02/03/2024" in text(browser.get(at("screen_failures"), {"first": "02/03/2024"}))
    assert "GE-001" not in text(signed_in(coordinator_elsewhere).get(at("screen_failures")))


def test_the_verdict_follows_while_answering_and_nothing_is_saved(browser: Client, patient: Patient) -> None:
    page = text(browser.post(at("verdict", "GE-001"), answers(exclusion_h="unknown")))
    assert "pending" in page and "10 of 11 answered" in page and "liver cancer" in page
    page = text(browser.post(at("verdict", "GE-001"), answers(exclusion_h="yes")))
    assert "not eligible" in page
    page = text(browser.post(at("verdict", "GE-001"), answers()))
    assert "11 of 11 answered" in page and 'hx-swap-oob="true"' in page
    assert not Screening.objects.exists()


def test_the_data_stand_beside_the_tick_and_disagree_aloud(browser: Client, patient: Patient) -> None:
    page = text(browser.post(at("verdict", "GE-001"), answers(inclusion_c="no")))
    assert "the data say otherwise" in page
    assert "48 years old on 2024-01-09" in page


def test_an_answer_changes_only_with_a_reason(browser: Client, patient: Patient) -> None:
    browser.post(at("screen", "GE-001"), answers())
    audit.settle()
    page = text(browser.get(at("screen", "GE-001") + "?on=2024-01-09"))
    assert 'name="version" value="1"' in page
    refused = browser.post(at("screen", "GE-001"), answers(version="1", exclusion_h="yes"))
    assert refused.status_code == 422
    assert "no reason is given" in text(refused)
    assert re.search(r'id="exclusion_h_yes" value="yes" checked', text(refused))
    done = browser.post(
        at("screen", "GE-001"), answers(version="1", exclusion_h="yes", reason="source_checked")
    )
    assert done.status_code == 302
    assert Screening.objects.get().verdict == "not_eligible"


def test_a_screening_of_somebody_else_is_not_overwritten(
    browser: Client, patient: Patient, signed_in: Callable[[User], Client]
) -> None:
    colleague = factories.a_user(username="wang.fang", role=Role.COORDINATOR, site=patient.site)
    assert signed_in(colleague).post(at("screen", "GE-001"), answers()).status_code == 302
    audit.settle()
    response = browser.post(at("screen", "GE-001"), answers(exclusion_b="yes"))
    assert response.status_code == 409
    assert "Somebody else saved this meanwhile" in text(response)
    assert Screening.objects.get().verdict == "eligible"


def test_the_pending_screening_is_opened_again(browser: Client, patient: Patient) -> None:
    browser.post(at("screen", "GE-001"), answers(exclusion_g="unknown"))
    audit.settle()
    page = text(browser.get(at("screen", "GE-001")))
    assert 'value="2024-01-09"' in page
    assert re.search(r'id="exclusion_g_unknown" value="unknown" checked', page)
    fresh = text(browser.get(at("screen", "GE-001") + "?on=nonsense"))
    assert 'value="2024-01-09"' not in fresh


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"screened_on": ""}, "the date is empty"),
        ({"screened_on": "2999-01-01"}, "outside the dates"),
        ({"inclusion_a": "maybe"}, "yes, no or unknown"),
        ({"on_inclusion_a": "02/03/2020"}, "2020-02-03 or 2020-03-02"),
        ({"evidence_inclusion_a": "x" * 301}, "301 characters"),
    ],
)
def test_a_screening_that_cannot_be_read(
    browser: Client, patient: Patient, fields: dict[str, str], sentence: str
) -> None:
    response = browser.post(at("screen", "GE-001"), answers(**fields))
    assert response.status_code == 422
    assert sentence in text(response)
    assert not Screening.objects.exists()


# --- outcomes -------------------------------------------------------------------------------


def test_an_outcome_is_recorded_corrected_and_voided(browser: Client, patient: Patient) -> None:
    death = {"kind": "death", "happened_on": "2024-03-01", "what": "septic shock", "version": "0"}
    assert browser.post(at("outcomes", "GE-001"), death).status_code == 302
    audit.settle()
    page = text(browser.get(at("outcomes", "GE-001") + "?kind=death"))
    assert "septic shock" in page and 'value="2024-03-01"' in page and "Correct an outcome" in page

    moved = death | {"happened_on": "2024-03-02", "version": "1"}
    assert browser.post(at("outcomes", "GE-001"), moved).status_code == 422
    assert browser.post(at("outcomes", "GE-001"), moved | {"reason": "source_checked"}).status_code == 302
    audit.settle()
    outcome = Outcome.objects.get()
    assert outcome.happened_on == date(2024, 3, 2)

    void = at("void_outcome", "GE-001", outcome.pk)
    assert browser.get(void).status_code == 200
    assert "No reason is given" in text(browser.post(void, {}))
    assert browser.post(void, {"reason": "wrong_subject"}).status_code == 302
    assert browser.get(void).status_code == 404
    assert "Nothing has ended the follow-up" in text(browser.get(at("outcomes", "GE-001")))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"kind": ""}, "No outcome is chosen. Choose one."),
        ({"kind": "cured"}, "cured is not one of the available choices"),
        ({"happened_on": ""}, "the date is empty"),
        ({"happened_on": "31/02/2024"}, "does not exist"),
        ({"happened_on": "2024-01-07"}, "before the subject was recruited"),
        ({"what": "x" * 301}, "301 characters"),
    ],
)
def test_an_outcome_that_cannot_be(
    browser: Client, patient: Patient, fields: dict[str, str], sentence: str
) -> None:
    given = {"kind": "lost", "happened_on": "2024-03-01", "what": "moved away", "version": "0"} | fields
    response = browser.post(at("outcomes", "GE-001"), given)
    assert response.status_code == 422
    assert sentence in text(response)
    assert not Outcome.objects.exists()


def test_who_enters_after_the_end_of_follow_up_is_told(browser: Client, patient: Patient) -> None:
    assert "Follow-up has ended" not in text(browser.get("/patients/GE-001/visits/4/"))
    given = {"kind": "withdrawal", "happened_on": "2024-03-01", "what": "", "version": "0"}
    assert browser.post(at("outcomes", "GE-001"), given).status_code == 302
    page = text(browser.get("/patients/GE-001/visits/4/"))
    assert "on 2024-03-01." in page and "Follow-up has ended" in page
    assert "left out of the analysis" not in page


def test_an_outcome_tomorrow_is_refused(browser: Client, patient: Patient) -> None:
    tomorrow = clock.today_at(patient.site) + timedelta(days=1)
    given = {"kind": "lost", "happened_on": tomorrow.isoformat(), "version": "0"}
    response = browser.post(at("outcomes", "GE-001"), given)
    assert response.status_code == 422
    assert "is after today" in text(response)


# --- labs -----------------------------------------------------------------------------------


def test_the_matrix_shows_values_flags_changes_and_what_was_typed(
    browser: Client, patient: Patient, coordinator: User
) -> None:
    factories.an_infusion(patient, 1, deviation="other", deviation_note="test")
    factories.a_visit(patient, 0, date(2024, 1, 14), tbil="171", alt="64")
    entries = [
        actions.LabEntry(analyte="tbil", value=protocol.Decimal("8.2"), typed_text="8.2", typed_unit="mg/dL"),
        actions.LabEntry(analyte="afp", missing_reason="haemolysed"),
        actions.LabEntry(analyte="hbv_dna", value=protocol.Decimal(39_000_000)),
    ]
    actions.record_labs(
        patient=patient, week=4, visited_on=date(2024, 2, 12), entries=entries, by=coordinator
    )
    audit.settle()
    page = text(browser.get(at("labs", "GE-001")))
    assert "140.2" in page and "−30.8" in page and "typed 8.2 mg/dL" in page
    assert "haemolysed" in page and "3.9 × 10⁷" in page
    assert "5 missing" in page
    assert at("enter_visit", "GE-001", 4) + "#row-tbil" in page
    assert "day 28" in page


def test_the_matrix_shows_scores_with_what_was_clamped_or_missing(browser: Client, patient: Patient) -> None:
    day = date(2024, 1, 14)
    score(factories.a_visit(patient, 0, day, tbil="171"), 21)
    clamped = [{"code": "creatinine", "used": "88.4", "clamped_from": "70", "note": None}]
    score(factories.a_visit(patient, 1, day + timedelta(days=7), tbil="150"), 18, inputs=clamped)
    score(factories.a_visit(patient, 4, day + timedelta(days=28), tbil="90"), None, revision=7)
    page = text(browser.get(at("labs", "GE-001")))
    assert "21.0" in page and "18.0" in page and "−3.0" in page
    assert "Creatinine 70 → 88.4" in page
    assert "INR missing" in page
    assert "as of revision 7" in page


def test_the_matrix_asks_the_same_number_of_questions_for_any_history(
    browser: Client, patient: Patient, monitor: User
) -> None:
    def visited(week: int) -> None:
        day = date(2024, 1, 14) + timedelta(days=week * 7)
        visit = factories.a_visit(patient, week, day, tbil="171", alt="64")
        rows = [Claim(verifications.LABS, row.pk, row.version) for row in visit.lab_results.all()]
        verify(patient=patient, rows=rows, by=monitor)

    def asked() -> int:
        with CaptureQueriesContext(connection) as captured:
            browser.get(at("labs", "GE-001"))
        return len(captured)

    browser.get(at("labs", "GE-001"))  # the session is written once
    empty = asked()
    visited(0)
    one = asked()
    for week in (1, 4):
        visited(week)
    # the head of the subject asks 10, what was measured 6, queries and marks 6; session, person, subject and site 4
    assert empty <= one == asked() <= 26


def test_a_visit_is_voided_with_a_reason(browser: Client, patient: Patient) -> None:
    visit = factories.a_visit(patient, 0, date(2024, 1, 14), tbil="171")
    void = at("void_visit", "GE-001", visit.pk)
    page = text(browser.get(void))
    assert "Its one result leaves the analysis" in page
    assert browser.post(void, {"reason": "other"}).status_code == 422
    assert browser.post(void, {"reason": "wrong_subject", "note": "GE-002"}).status_code == 302
    assert Visit.objects.get(pk=visit.pk).voided_at is not None
    assert browser.get(void).status_code == 404
    assert browser.get(at("void_visit", "GE-001", 10**30)).status_code == 404


# --- hostile --------------------------------------------------------------------------------


@pytest.mark.exhaustive
def test_hostile_values_in_every_field_of_every_form(browser: Client, patient: Patient) -> None:
    outcome = actions.record_outcome(
        patient=patient, kind="lost", happened_on=date(2024, 3, 1), by=User.objects.get(username="li.min")
    )
    audit.settle()
    forms = {
        at("register"): WANG
        | {"name": "", "hospital_number": "", "phone": "", "age": "", "subject_id": "", "site": ""},
        at("screen", "GE-001"): answers(
            evidence_inclusion_a="", on_inclusion_a="", reason="", note="", **FACTS
        )
        | {"take_inr": "", "sure_tbil": ""},
        at("enrol", "GE-001"): {"recruited_on": "", "planned_course": "", "version": ""},
        at("verdict", "GE-001"): answers(evidence_inclusion_a="", on_inclusion_a=""),
        at("outcomes", "GE-001"): {
            "kind": "lost",
            "happened_on": "",
            "what": "",
            "version": "",
            "reason": "",
            "note": "",
        },
        at("void_outcome", "GE-001", outcome.pk): {"reason": "", "note": ""},
    }
    before = Patient.objects.count()
    for address, fields in forms.items():
        for name in [*fields, "submission_key"]:
            for hostile in HOSTILE:
                response = browser.post(
                    address, fields | {"birth_date": "x", "screened_on": "x"} | {name: hostile}
                )
                assert response.status_code in {200, 409, 422}, (address, name, hostile[:20])
                assert "<script>" not in text(response).replace('<script src="', "").replace(
                    "<script>", "<script>", 0
                )
    for parameter in ("kind", "on", "saved"):
        for name in ("outcomes", "screen", "labs", "eligibility"):
            for hostile in HOSTILE:
                answer = browser.get(at(name, "GE-001"), {parameter: hostile[:500]})
                # a word of an address that is offered and names nothing is said to name nothing
                is_read = (parameter, name) == ("kind", "outcomes")
                assert answer.status_code in ({200, 400} if is_read else {200}), (parameter, name)
    assert Patient.objects.count() == before
    assert Outcome.objects.get().voided_at is None
