"""A subject registered twice becomes one, and two again."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from django.test import Client

from infusions.models import Infusion
from patients import selectors
from patients.actions.merge import collisions, merge, undo_merge
from patients.models import IdentityView, LabResult, Patient, Screening, Visit
from tests import factories
from trial import drafts, replay
from trial import selectors as trail
from trial.models import Revision, Site, User
from trial.refusals import Moved, Refused
from trial.selectors import listed, reader

pytestmark = pytest.mark.django_db
Sites = dict[str, Site]


@pytest.fixture
def pair(sites: Sites) -> tuple[Patient, Patient]:
    first = factories.a_patient(site=sites["GE"], subject_id="GE-001")
    factories.a_visit(first, 0, tbil="300", alt="90")
    factories.an_infusion(first, 1)
    second = factories.a_patient(site=sites["GE"], subject_id="GE-002")
    factories.a_visit(second, 0, tbil="310", inr="1.8")
    factories.a_visit(second, 4, tbil="200")
    factories.an_infusion(second, 1)
    factories.an_infusion(second, 2)
    return first, second


def together(pair: tuple[Patient, Patient], by: User, **choices: str) -> Any:
    first, second = pair
    chosen = {c.key: "first" for c in collisions(first, second)} | choices
    done = merge(first=first, second=second, choices=chosen, by=by, reason="registered twice")
    factories.settle()
    return done


def trail_tells(user: User) -> str:
    """Return what the list of revisions says first about the last one."""
    listed = trail.page(trail.reader(user), trail.Filters()).revisions[0]
    return str(listed.told[0])


def values(patient: Patient) -> dict[tuple[int | None, str], str]:
    found = LabResult.objects.filter(patient=patient, visit__voided_at=None)
    return {(r.visit.week, r.analyte): r.typed_text for r in found.select_related("visit")}


def test_places_that_both_hold_are_named(pair: tuple[Patient, Patient]) -> None:
    assert [c.key for c in collisions(*pair)] == ["infusions_infusion:1", "patients_visit:W0"]


def test_everything_moves_and_the_chosen_record_stays(
    pair: tuple[Patient, Patient], data_manager: User
) -> None:
    together(pair, data_manager)
    first, second = pair
    assert values(first) == {(0, "tbil"): "300", (0, "alt"): "90", (0, "inr"): "1.8", (4, "tbil"): "200"}
    assert sorted(Infusion.objects.valid().filter(patient=first).values_list("number", flat=True)) == [1, 2]
    assert not Infusion.objects.valid().filter(patient=second).exists()
    second.refresh_from_db()
    assert second.merged_into == first
    left = Visit.objects.get(patient=second)
    assert left.voided_at is not None
    assert [r.typed_text for r in left.lab_results.all()] == ["310"], "what was not chosen stays readable"
    assert replay.verify().is_clean


def test_the_other_record_may_stay(pair: tuple[Patient, Patient], data_manager: User) -> None:
    together(pair, data_manager, **{"patients_visit:W0": "second"})
    assert values(pair[0])[0, "tbil"] == "310"
    assert values(pair[0])[0, "alt"] == "90", "what only the other has is taken over"


def test_one_revision_and_back(pair: tuple[Patient, Patient], data_manager: User) -> None:
    before = [values(patient) for patient in pair]
    number = Revision.objects.exclude(number=None).latest("number").number
    together(pair, data_manager)
    assert Revision.objects.exclude(number=None).latest("number").number == (number or 0) + 1
    assert trail_tells(data_manager) == "GE-002 merged into GE-001"
    pair[1].refresh_from_db()
    undo_merge(second=pair[1], by=data_manager, reason="two brothers")
    factories.settle()
    newest = list(Revision.objects.exclude(number=None).order_by("-number")[:2])
    for row in pair:
        told = [
            str(line) for each in listed(reader(data_manager), newest, patient=row.pk) for line in each.told
        ]
        assert any("merged into GE-001" in line for line in told), "the history of both tells it"
    assert trail_tells(data_manager) == "GE-002 parted from GE-001 again"
    assert [values(patient) for patient in pair] == before
    assert Patient.objects.get(pk=pair[1].pk).merged_into is None
    assert replay.verify().is_clean


def test_what_changed_since_keeps_the_merge(
    pair: tuple[Patient, Patient], data_manager: User, coordinator: User
) -> None:
    together(pair, data_manager)
    from patients import actions
    from trial.protocol import OutcomeKind

    moved = Visit.objects.get(patient=pair[0], week=4)
    actions.void_visit(visit=moved, by=coordinator, reason="wrong subject")
    factories.settle()
    actions.record_outcome(
        patient=pair[0], kind=OutcomeKind.COMPLETED, happened_on=date(2024, 7, 1), by=coordinator
    )
    factories.settle()
    pair[1].refresh_from_db()
    undo_merge(second=pair[1], by=data_manager, reason="two brothers")
    factories.settle()
    assert Visit.objects.get(pk=moved.pk).patient == pair[1], "voided since, and still the other's"


def test_nothing_is_chosen_for_anybody(pair: tuple[Patient, Patient], data_manager: User) -> None:
    with pytest.raises(Refused) as refused:
        merge(first=pair[0], second=pair[1], choices={}, by=data_manager, reason="registered twice")
    assert {p.rule for p in refused.value.problems} == {"undecided"}
    assert Patient.objects.get(pk=pair[1].pk).merged_into is None


@pytest.mark.parametrize(
    "difference",
    [{"sex": "F"}, {"diagnosis": "liver_failure"}, {"birth_date": date(1980, 1, 1)}],
    ids=lambda difference: next(iter(difference)),
)
def test_two_people_are_not_one(sites: Sites, data_manager: User, difference: dict[str, Any]) -> None:
    first = factories.a_patient(site=sites["GE"])
    second = factories.a_patient(site=sites["GE"], **difference)
    with pytest.raises(Refused):
        merge(first=first, second=second, choices={}, by=data_manager, reason="registered twice")


def test_the_old_code_leads_to_the_new(
    pair: tuple[Patient, Patient], data_manager: User, signed_in: Callable[[User], Client]
) -> None:
    together(pair, data_manager)
    with pytest.raises(Moved):
        selectors.patient_or_404(data_manager, "GE-002")
    client = signed_in(data_manager)
    answer = client.get("/patients/GE-002/labs/?x=1")
    assert (answer.status_code, answer["Location"]) == (302, "/patients/GE-001/labs/?x=1")
    assert client.post("/patients/GE-002/visits/4/").status_code == 409


def test_on_the_page(
    pair: tuple[Patient, Patient], data_manager: User, signed_in: Callable[[User], Client]
) -> None:
    client = signed_in(data_manager)
    with factories.by_the_software():
        for patient in pair:
            Screening.objects.create(patient=patient, screened_on=date(2024, 1, 2), verdict="eligible")
    factories.settle()
    page = client.get("/patients/GE-001/merge/?with=ge-002").content.decode()
    assert "eligible, 0 of 11 criteria answered" in page
    assert "patients_visit:W0" in page
    assert "310" in page
    answer = client.post("/patients/GE-001/merge/", {"with": "GE-002", "reason": "wrong_subject"})
    assert answer.status_code == 422
    answer = client.post(
        "/patients/GE-001/merge/",
        {
            "with": "GE-002",
            "reason": "wrong_subject",
            "patients_visit:W0": "first",
            "infusions_infusion:1": "first",
            "patients_screening:2024-01-02": "first",
        },
    )
    assert answer.status_code == 302
    assert Patient.objects.get(pk=pair[1].pk).merged_into == pair[0]
    answer = client.post("/patients/GE-001/merge/GE-002/undo/", {"note": "two brothers"}, follow=True)
    assert "stands for itself again" in answer.content.decode()
    assert Patient.objects.get(pk=pair[1].pk).merged_into is None


def test_every_look_at_an_identity_is_logged(
    sites: Sites,
    coordinator: User,
    statistician: User,
    data_manager: User,
    signed_in: Callable[[User], Client],
) -> None:
    patient = factories.a_patient(site=sites["GE"], subject_id="GE-007", identity={"name": "王丽"})
    page = "/patients/GE-007/identity/"
    assert signed_in(statistician).get(page).status_code == 403
    assert not IdentityView.objects.exists()
    client = signed_in(coordinator)
    assert "王丽" in client.get(page).content.decode()
    assert [v.viewer for v in IdentityView.objects.filter(patient=patient)] == [coordinator]
    assert "王丽" not in client.get("/patients/GE-007/history/").content.decode()
    assert client.post(page, {"name": "王莉", "hospital_number": "", "phone": ""}).status_code == 422
    assert IdentityView.objects.filter(patient=patient, purpose="check").count() == 1
    changed = {"name": "王莉", "hospital_number": "", "phone": "", "reason": "typing_slip"}
    assert client.post(page, changed).status_code == 302
    assert "王莉" in client.get(page).content.decode()
    assert "GE-007" in signed_in(data_manager).get("/audit/identities/").content.decode()


def test_finding_out_whose_a_hospital_number_is_is_a_look(
    sites: Sites, coordinator: User, signed_in: Callable[[User], Client]
) -> None:
    known = factories.a_patient(site=sites["GE"], subject_id="GE-008", identity={"hospital_number": "4711"})
    factories.a_patient(site=sites["GE"], subject_id="GE-009")
    typed = {"name": "", "hospital_number": "4711", "phone": ""}
    answer = signed_in(coordinator).post("/patients/GE-009/identity/", typed)
    assert answer.status_code == 422 and "GE-008" in answer.content.decode()
    assert IdentityView.objects.filter(patient=known, viewer=coordinator, purpose="check").exists()
    answer = signed_in(coordinator).post(
        "/patients/new/",
        {"sex": "M", "diagnosis": "LIVER_FAILURE", "age": "40", "hospital_number": "4711", "name": "x"},
    )
    assert answer.status_code == 422
    assert IdentityView.objects.filter(patient=known).count() == 1 + ("GE-008" in answer.content.decode())


def test_the_log_of_looks_is_only_added_to(sites: Sites, coordinator: User) -> None:
    from django.db import DatabaseError, transaction

    view = IdentityView.objects.create(patient=factories.a_patient(site=sites["GE"]), viewer=coordinator)
    with pytest.raises(DatabaseError), transaction.atomic():
        IdentityView.objects.filter(pk=view.pk).update(purpose="check")
    with pytest.raises(DatabaseError), transaction.atomic():
        view.delete()


def test_what_was_typed_under_the_old_code_goes_on_under_the_new(
    pair: tuple[Patient, Patient],
    data_manager: User,
    coordinator: User,
    signed_in: Callable[[User], Client],
) -> None:
    browser = signed_in(coordinator)

    def keep(place: str, path: str, **fields: list[str]) -> None:
        sent = {"place": place, "path": path, "fields": json.dumps(fields)}
        assert browser.post("/account/draft/", sent).status_code == 200

    page = "/patients/GE-002/visits/12/"
    keep("visit:GE-002:12", page, alt=["44"], version=["3"], submission_key=["1"])
    together(pair, data_manager)

    sent = {"draft": "visit:GE-002:12", "alt": "44", "version": "3", "submission_key": "1"}
    answer = browser.post(page, sent, headers={"X-Form": "1"})
    assert answer.status_code == 204 and answer["X-Location"] == "/patients/GE-001/visits/12/"
    (draft,) = drafts.of(coordinator)
    assert (draft.place, draft.fields) == ("visit:GE-001:12", {"alt": ["44"]}), "no version of the old record"
    shown = browser.get(answer["X-Location"]).content.decode()
    assert "GE-002 is GE-001 now; nothing was saved yet." in shown

    # typed in a page that is still open, while a draft lies there already: it waits for its turn
    keep("visit:GE-002:12", page, ast=["51"])
    assert browser.post(page, sent, headers={"X-Form": "1"})["X-Location"] == page
    assert browser.get(page)["Location"] == answer["X-Location"]
    assert [found.fields for found in drafts.of(coordinator)] == [{"ast": ["51"]}, {"alt": ["44"]}]
    drafts.discard(coordinator, "visit:GE-001:12")
    assert browser.get(page).status_code == 302
    (draft,) = drafts.of(coordinator)
    assert (draft.place, draft.fields) == ("visit:GE-001:12", {"ast": ["51"]})


def test_a_form_without_a_draft_goes_on_under_the_new_code(
    pair: tuple[Patient, Patient],
    data_manager: User,
    coordinator: User,
    signed_in: Callable[[User], Client],
) -> None:
    together(pair, data_manager)
    sent = {"tbil": "", "alt": "44", "version": "1", "submission_key": "1"}
    answer = signed_in(coordinator).post("/patients/GE-002/visits/0/", sent, follow=True)
    assert answer.redirect_chain[0][0].startswith("/patients/GE-001/visits/0/?typed=")
    shown = answer.content.decode()
    assert 'value="44"' in shown and 'value="300"' in shown, "what was left empty takes nothing away"
    assert values(pair[0])[0, "alt"] == "90"
