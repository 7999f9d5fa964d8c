"""Comparing with the source, signing, and what later changes do to both."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from patients import actions, casebook_rows, signatures, verifications
from patients.actions.signing import sign
from patients.actions.verification import Claim, unverify, verify
from patients.models import LabResult, Patient, Signature, Verification, Visit
from tests import factories
from trial.models import AuditEntry, User
from trial.refusals import Conflict, Refused

pytestmark = pytest.mark.django_db

PASSWORD = "correct-horse-battery"
SignedIn = Callable[[User], Client]


@pytest.fixture
def patient(coordinator: User) -> Patient:
    return factories.a_patient(site=coordinator.site, subject_id="GE-001")


@pytest.fixture
def visit(patient: Patient) -> Visit:
    factories.a_visit(patient, 0, tbil="100")
    return factories.a_visit(patient, 4, tbil="171", inr="1.8", creatinine="81")


def claims(visit: Visit) -> list[Claim]:
    return [Claim(verifications.LABS, r.pk, r.version) for r in visit.lab_results.order_by("pk")]


def correct(visit: Visit, by: User, **values: str) -> None:
    actions.record_labs(
        visit=Visit.objects.get(pk=visit.pk),
        entries=factories._entries(dict(values)),
        by=by,
        reason="typing slip corrected",
    )
    factories.settle()


# --- verification ---------------------------------------------------------------------------


def test_what_is_verified_is_counted_and_marked(patient: Patient, visit: Visit, monitor: User) -> None:
    done = verify(patient=patient, rows=claims(visit)[:2], by=monitor)
    assert done.marked == 2
    assert verifications.shares(patient)[visit.pk] == verifications.Share(2, 4)
    assert verify(patient=patient, rows=claims(visit)[:2], by=monitor).id is None
    # three results and one, and the rows of the two visits themselves
    assert verifications.shares_by_site(monitor)[patient.site_id] == verifications.Share(2, 6)


def test_a_later_change_is_said_and_the_share_shrinks(
    patient: Patient, visit: Visit, monitor: User, coordinator: User
) -> None:
    verify(patient=patient, rows=claims(visit), by=monitor)
    factories.settle()
    correct(visit, coordinator, tbil="17.1")
    tbil = LabResult.objects.get(visit=visit, analyte="tbil")
    inr = LabResult.objects.get(visit=visit, analyte="inr")
    found = verifications.marks(patient)
    assert not found[verifications.LABS, tbil.pk].is_current
    assert found[verifications.LABS, tbil.pk].words(None).endswith("by Chen Yu, changed since")
    assert found[verifications.LABS, inr.pk].is_current
    assert verifications.shares(patient)[visit.pk] == verifications.Share(2, 4)
    again = verify(patient=patient, rows=claims(visit), by=monitor)
    assert again.marked == 1
    assert verifications.marks(patient)[verifications.LABS, tbil.pk].is_current


def test_a_version_that_moved_is_refused_with_what_changed(
    patient: Patient, visit: Visit, monitor: User, coordinator: User
) -> None:
    seen = claims(visit)
    correct(visit, coordinator, tbil="17.1")
    with pytest.raises(Conflict) as conflict:
        verify(patient=patient, rows=seen, by=monitor)
    value = next(c for c in conflict.value.clashes if "value" in c.field)
    assert (value.mine, value.theirs, value.by) == ("171.0", "17.1", "Li Min")
    assert not Verification.objects.exists()


def test_every_kind_of_record_is_verified_alike(patient: Patient, monitor: User) -> None:
    infusion, outcome = factories.an_infusion(patient, 1), factories.an_outcome(patient)
    rows = [
        Claim("infusions_infusion", infusion.pk, infusion.version),
        Claim("patients_outcome", outcome.pk, outcome.version),
    ]
    assert verify(patient=patient, rows=rows, by=monitor).marked == 2
    assert [item.is_verified for item in verifications.items(patient, kind="infusions")] == [True]
    assert verifications.shares(patient)["outcomes"].is_complete


def test_a_visits_own_row_is_verified_until_it_says_something_else(
    patient: Patient, visit: Visit, monitor: User, coordinator: User
) -> None:
    own = Claim(verifications.VISITS, visit.pk, visit.version)
    assert verify(patient=patient, rows=[own], by=monitor).marked == 1
    factories.settle()
    correct(visit, coordinator, tbil="17.1")
    assert Visit.objects.get(pk=visit.pk).version > visit.version
    # a result moves the version of the visit, and says nothing new about the visit itself
    assert verifications.marks(patient)[verifications.VISITS, visit.pk].is_current
    assert verifications.shares(patient)[visit.pk] == verifications.Share(1, 4)
    assert verify(patient=patient, rows=[own], by=monitor).marked == 0
    assert verifications.next_visits(monitor)[patient.site_id][2] == 0

    stored = Visit.objects.get(pk=visit.pk)
    actions.record_labs(
        visit=stored,
        entries=[],
        visited_on=date(2024, 2, 9),
        by=coordinator,
        reason="typing slip corrected",
    )
    factories.settle()
    found = verifications.marks(patient)[verifications.VISITS, visit.pk]
    assert found.words(None).endswith("by Chen Yu, changed since")
    assert verifications.shares(patient)[visit.pk].verified == 0
    with pytest.raises(Conflict) as conflict:
        verify(patient=patient, rows=[own], by=monitor)
    (clash,) = conflict.value.clashes
    assert (clash.theirs, clash.by) == ("2024-02-09", "Li Min")
    item = verifications.items(patient, visit=visit)[0]
    assert "2024-02-09" in dict(item.facts).values()
    assert verify(patient=patient, rows=[Claim(item.table, item.row, item.version)], by=monitor).marked == 1
    assert verifications.marks(patient)[verifications.VISITS, visit.pk].is_current


def test_only_rows_of_the_subject_and_of_known_tables(patient: Patient, visit: Visit, monitor: User) -> None:
    other = factories.a_visit(factories.a_patient(), 0, tbil="50")
    for row in (claims(other)[0], Claim("trial_user", monitor.pk, 1), Claim(verifications.LABS, 10**9, 1)):
        with pytest.raises(Refused):
            verify(patient=patient, rows=[row], by=monitor)


def test_a_mark_is_taken_back_with_a_reason_and_stays_in_the_trail(
    patient: Patient, visit: Visit, monitor: User
) -> None:
    verify(patient=patient, rows=claims(visit), by=monitor)
    factories.settle()
    with pytest.raises(Refused):
        unverify(patient=patient, rows=claims(visit)[:1], by=monitor, reason=" ")
    unverify(patient=patient, rows=claims(visit)[:1], by=monitor, reason="wrong patient file")
    factories.settle()
    assert verifications.shares(patient)[visit.pk].verified == 2
    entry = AuditEntry.objects.filter(table="patients_verification", op="U").get()
    assert entry.revision.reason == "wrong patient file"
    assert verify(patient=patient, rows=claims(visit), by=monitor).marked == 1


# --- signatures -----------------------------------------------------------------------------


def signed(patient: Patient, by: User, visit: Visit | None = None) -> Signature:
    digest = casebook_rows.read(patient).digest(visit.pk if visit else None)
    found = sign(patient=patient, visit=visit, meaning="approved", digest=digest, by=by)
    factories.settle()
    return found


def test_a_signature_is_void_since_the_revision_that_changed_what_it_covers(
    patient: Patient, visit: Visit, hepatologist: User, coordinator: User
) -> None:
    signed(patient, hepatologist, visit)
    assert [s.is_valid for s in signatures.signatures(patient)] == [True]
    factories.a_visit(patient, 12, tbil="60")
    assert [s.is_valid for s in signatures.signatures(patient)] == [True]
    correct(visit, coordinator, tbil="17.1")
    number = AuditEntry.objects.filter(table="patients_labresult", op="U").latest("id").revision.number
    (found,) = signatures.signatures(patient)
    assert not found.is_valid
    assert found.why_void == f"void since revision {number} because W4 TBIL changed"
    signed(patient, hepatologist, visit)
    assert [(s.is_valid, s.is_newest) for s in signatures.signatures(patient)] == [
        (True, True),
        (False, False),
    ]


def test_the_casebook_is_void_by_anything_new(patient: Patient, visit: Visit, hepatologist: User) -> None:
    signed(patient, hepatologist)
    factories.an_infusion(patient, 1)
    (found,) = signatures.signatures(patient)
    assert "Infusion · 1" in found.why_void


def test_what_was_not_on_screen_is_not_signed(
    patient: Patient, visit: Visit, hepatologist: User, coordinator: User
) -> None:
    digest = casebook_rows.read(patient).digest(visit.pk)
    correct(visit, coordinator, tbil="17.1")
    with pytest.raises(Refused) as refused:
        sign(patient=patient, visit=visit, meaning="approved", digest=digest, by=hepatologist)
    assert refused.value.problems[0].rule == "moved"
    with pytest.raises(Refused):
        sign(patient=patient, visit=visit, meaning="", digest=digest, by=hepatologist)
    assert not Signature.objects.exists()


# --- the pages ------------------------------------------------------------------------------


@pytest.fixture
def signer(hepatologist: User) -> User:
    hepatologist.set_password(PASSWORD)
    with factories.by_the_software():
        hepatologist.save(update_fields=["password"])
    return hepatologist


def post_signature(client: Client, visit: Visit, **fields: str) -> Any:
    url = f"/patients/GE-001/sign/?visit={visit.pk}"
    digest = casebook_rows.read(visit.patient).digest(visit.pk)
    return client.post(url, {"digest": digest, "meaning": "approved", "submission_key": "k1", **fields})


def test_signing_asks_for_the_password_each_time_and_never_keeps_it(
    visit: Visit, signer: User, signed_in: SignedIn
) -> None:
    client = signed_in(signer)
    nothing = post_signature(client, visit, meaning="")
    assert nothing.status_code == 422 and set(nothing.context["problems"]) == {"meaning", "password"}
    assert post_signature(client, visit, password="wrong").status_code == 422
    assert not Signature.objects.exists()
    answer = post_signature(client, visit, password=PASSWORD)
    assert answer.status_code == 302
    assert post_signature(client, visit, password=PASSWORD).status_code == 302
    assert Signature.objects.count() == 1
    assert Signature.objects.get().printed_name == "Zhou Hui"
    page = client.get("/patients/GE-001/signatures/").content.decode()
    assert "Zhou Hui" in page
    assert "I confirm that these data are complete and correct" in page
    assert "UTC" in page


def test_wrong_passwords_lock_the_account_out(visit: Visit, signer: User, signed_in: SignedIn) -> None:
    client = signed_in(signer)
    answers = [post_signature(client, visit, password=f"wrong {n}").status_code for n in range(5)]
    assert answers[:4] == [422] * 4
    assert answers[4] == 429
    assert post_signature(client, visit, password=PASSWORD).status_code == 429
    assert AccessAttempt.objects.filter(username=signer.username).exists()
    assert not Signature.objects.exists()


def test_a_code_is_needed_where_the_account_has_one(visit: Visit, signer: User, signed_in: SignedIn) -> None:
    from allauth.mfa.totp.internal import auth

    secret = auth.generate_totp_secret()
    auth.TOTP.activate(signer, secret)
    client = signed_in(signer)
    for code in ("", "000000"):
        answer = post_signature(client, visit, password=PASSWORD, code=code)
        assert answer.status_code == 422
        assert "authenticator" in answer.content.decode()
    counter = next(iter(auth.yield_hotp_counters_from_time()))
    code = auth.format_hotp_value(auth.hotp_value(secret, counter))
    assert post_signature(client, visit, password=PASSWORD, code=code).status_code == 302
    assert Signature.objects.count() == 1


def test_the_monitor_verifies_all_except_one_on_the_page(
    visit: Visit, monitor: User, signed_in: SignedIn
) -> None:
    client = signed_in(monitor)
    url = f"/patients/GE-001/verify/?visit={visit.pk}"
    page = client.get(url).content.decode()
    sent = [f"{c.table}:{c.row}:{c.version}" for c in claims(visit)]
    assert all(f'value="{claim}"' in page for claim in sent)
    for do, key in (("verify", "v2"), ("unverify", "v3")):
        nothing = client.post(url, {"shown": sent, "do": do, "submission_key": key})
        assert nothing.status_code == 422, do
    assert "Nothing is ticked." in client.post(url, {"shown": sent, "submission_key": "v4"}).content.decode()
    all_ticked = client.post(url, {"shown": sent, "row": sent, "do": "except", "submission_key": "v5"})
    assert "Nothing is left to verify" in all_ticked.content.decode()
    answer = client.post(url, {"shown": sent, "row": sent[:1], "do": "except", "submission_key": "v1"})
    assert answer.status_code == 302
    assert verifications.shares(visit.patient)[visit.pk] == verifications.Share(2, 4)


@pytest.mark.parametrize("query", ["visit=x", "visit=-1", "visit=99999999999999999999", "of=labs", "visit=²"])
def test_addresses_that_name_nothing_are_not_found(
    query: str, visit: Visit, monitor: User, signed_in: SignedIn
) -> None:
    assert signed_in(monitor).get(f"/patients/GE-001/verify/?{query}").status_code == 404


@pytest.mark.parametrize("row", ["", "x", "patients_labresult:1", "patients_labresult:²:1", "a:b:c:d"])
def test_rows_that_name_nothing_are_not_found(
    row: str, visit: Visit, monitor: User, signed_in: SignedIn
) -> None:
    assert signed_in(monitor).post("/patients/GE-001/verify/", {"row": row}).status_code == 404


def test_queries_of_the_pages_do_not_grow(
    patient: Patient, signer: User, signed_in: SignedIn, django_assert_max_num_queries: Any
) -> None:
    for week in (0, 1, 4, 12, 24):
        signed(patient, signer, factories.a_visit(patient, week, tbil="100"))
    client = signed_in(signer)
    client.get("/patients/GE-001/signatures/")
    with django_assert_max_num_queries(75):
        client.get("/patients/GE-001/signatures/")


def test_tables_of_a_subject_show_what_is_verified_in_as_many_questions(
    patient: Patient, signed_in: SignedIn, coordinator: User, monitor: User
) -> None:
    browser = signed_in(coordinator)
    address, asked = reverse("patients:events", args=["GE-001"]), []
    browser.get(address)  # the session is written once
    for number in (1, 2, 3):
        treatment = factories.a_treatment(patient, started_on=date(2024, 1, 10 + number))
        verify(patient=patient, rows=[Claim("patients_treatment", treatment.pk, 1)], by=monitor)
        with CaptureQueriesContext(connection) as captured:
            page = browser.get(address).content.decode()
        asked.append(len(captured))
        assert len(re.findall(r'record-mark" title="verified \d\d-\d\d by', page)) == number
    assert asked[1] == asked[2]
