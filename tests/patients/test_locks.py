"""What is locked stays as it is, whichever way somebody writes."""

from __future__ import annotations

import contextlib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, connection, models, transaction
from django.urls import reverse

from infusions.models import Infusion
from patients import actions, locks
from patients.actions import locking
from patients.models import LabResult, Outcome, Patient, Visit
from tests import factories
from tests.trial import study_rows
from trial import audit
from trial.lock_functions import CASEBOOK_LOCKED, SITE_FROZEN, VISIT_LOCKED
from trial.models import AuditEntry, Site, User
from trial.refusals import Refused

pytestmark = pytest.mark.django_db

LOCKED_TABLES = (
    "patients_labresult",
    "patients_visit",
    "patients_screening",
    "patients_screeninganswer",
    "patients_screeningfact",
    "patients_adverseevent",
    "patients_confirmedgrade",
    "patients_treatment",
    "patients_outcome",
    "infusions_infusion",
    "infusions_vitalsigns",
    "infusions_plannedinfusion",
    "infusions_coursedecision",
)
OPEN_TABLES = ("patients_dataquery", "patients_querymessage", "patients_verification", "patients_signature")


def lock(patient: Patient) -> None:
    locking.lock_casebook(patient=patient, by=audit.service_account(), reason="data base lock")
    factories.settle()


def rules(refused: pytest.ExceptionInfo[Refused]) -> list[str]:
    return [problem.rule for problem in refused.value.problems]


def patient_of(row: models.Model) -> Patient:
    found: Patient = row.patient  # type: ignore[attr-defined]
    return found


# --- every table ----------------------------------------------------------------------------


@pytest.mark.parametrize("table", LOCKED_TABLES)
def test_no_row_of_a_locked_casebook_appears_changes_or_goes(table: str) -> None:
    sample = study_rows.SAMPLES[table]
    row = study_rows.saved(sample.make())
    another = sample.make()
    lock(patient_of(row))
    with pytest.raises(Refused) as refused, audit.revision(by=audit.service_account(), reason="x"):
        type(row)._default_manager.filter(pk=row.pk).update(**{sample.column: sample.value})
    assert rules(refused) == [CASEBOOK_LOCKED]
    with pytest.raises(Refused) as refused, audit.revision(by=audit.service_account(), reason="x"):
        type(row)._default_manager.filter(pk=row.pk)._raw_delete("default")
    assert rules(refused) == [CASEBOOK_LOCKED]
    lock(patient_of(another))
    with pytest.raises(Refused) as refused, audit.revision(by=audit.service_account(), reason="x"):
        another.save(force_insert=True)
    assert rules(refused) == [CASEBOOK_LOCKED]


@pytest.mark.parametrize("table", OPEN_TABLES)
def test_queries_verifications_and_signatures_go_on(table: str) -> None:
    sample = study_rows.SAMPLES[table]
    row = sample.make()
    lock(patient_of(row))
    study_rows.saved(row)
    if table in study_rows.ADDED_TO_ONLY:
        return
    with audit.revision(by=audit.service_account(), reason="x"):
        type(row)._default_manager.filter(pk=row.pk).update(**{sample.column: sample.value})


def test_every_table_of_a_subject_is_either_locked_or_said_to_stay_open() -> None:
    from trial.triggers import registered

    of_a_subject = {
        model._meta.db_table
        for model in study_rows.MODELS
        if any(field.name == "patient" for field in model._meta.fields)
    }
    locked = {model._meta.db_table for model, trigger in registered() if trigger.name == "lock_update"}
    assert locked == {*LOCKED_TABLES, "patients_patient"}
    assert of_a_subject - locked - set(OPEN_TABLES) <= {"patients_patientidentity", "patients_identityview"}


def test_what_stays_as_it_is_may_be_written_again() -> None:
    row = study_rows.saved(study_rows.a_result())
    lock(row.patient)
    with audit.revision(by=audit.service_account(), reason="x") as written:
        LabResult.objects.filter(pk=row.pk).update(value=row.value)
    assert written.id is None


def test_another_subject_is_not_held_up() -> None:
    lock(factories.a_patient())
    factories.a_visit(factories.a_patient(), 0, tbil="171")


# --- the visit, the subject, the site -------------------------------------------------------


@pytest.fixture
def visit(sites: dict[str, Site]) -> Visit:
    patient = factories.a_patient(site=sites["GE"], subject_id="GE-001")
    factories.a_visit(patient, 0, tbil="100")
    return factories.a_visit(patient, 4, tbil="171", inr="1.8")


def test_a_locked_visit_keeps_its_results_and_its_day_and_the_others_go_on(
    visit: Visit, coordinator: User, data_manager: User
) -> None:
    locking.lock_visit(visit=visit, by=data_manager, reason="cleaned")
    factories.settle()
    for write in (
        lambda: actions.record_labs(
            visit=visit,
            entries=factories._entries({"tbil": "17"}),
            by=coordinator,
            reason="typing slip corrected",
        ),
        lambda: actions.void_visit(visit=visit, by=coordinator, reason="typing slip corrected"),
    ):
        with pytest.raises(Refused) as refused:
            write()
        assert rules(refused) == [VISIT_LOCKED]
        assert "W4" in str(refused.value)
        assert "GE-001" in str(refused.value)
    factories.an_infusion(visit.patient, 1)
    factories.a_visit(visit.patient, 12, tbil="60")


def test_a_result_does_not_move_out_of_a_locked_visit(visit: Visit, data_manager: User) -> None:
    other = factories.a_visit(visit.patient, 12, alt="60")
    locking.lock_visit(visit=visit, by=data_manager, reason="cleaned")
    factories.settle()
    with pytest.raises(Refused), audit.revision(by=data_manager, reason="x"):
        LabResult.objects.filter(visit=visit, analyte="tbil").update(visit=other)
    with pytest.raises(Refused), audit.revision(by=data_manager, reason="x"):
        LabResult.objects.filter(visit=other).update(visit=visit)


def test_unlocking_and_changing_in_one_statement_is_refused(visit: Visit, data_manager: User) -> None:
    locking.lock_visit(visit=visit, by=data_manager, reason="cleaned")
    factories.settle()
    with pytest.raises(Refused), audit.revision(by=data_manager, reason="x"):
        Visit.objects.filter(pk=visit.pk).update(locked_at=None, visited_on=date(2024, 3, 1))
    lock(visit.patient)
    with pytest.raises(Refused), audit.revision(by=data_manager, reason="x"):
        Patient.objects.filter(pk=visit.patient_id).update(locked_at=None, sex="F")


def test_a_frozen_site_writes_nothing_and_registers_nobody(
    visit: Visit, coordinator: User, data_manager: User, sites: dict[str, Site]
) -> None:
    locking.freeze_site(site=sites["GE"], by=data_manager, reason="interim analysis")
    factories.settle()
    frozen = Patient.objects.get(pk=visit.patient_id)
    found = locks.lock_on(frozen)
    assert found is not None
    assert found.what == f"{sites['GE'].name} is frozen."
    with pytest.raises(Refused) as refused:
        actions.record_outcome(
            patient=frozen, kind="death", happened_on=date(2024, 5, 1), note="", by=coordinator
        )
    assert rules(refused) == [SITE_FROZEN]
    with pytest.raises(Refused) as refused:
        factories.an_infusion(frozen, 1)
    assert rules(refused) == [SITE_FROZEN]
    with pytest.raises(Refused):
        factories.a_patient(site=Site.objects.get(code="GE"))
    factories.a_patient(site=sites["GS"])
    assert not Outcome.objects.exists()
    assert not Infusion.objects.exists()
    locking.unfreeze_site(site=sites["GE"], by=data_manager, reason="done")
    factories.settle()
    factories.an_infusion(Patient.objects.get(pk=visit.patient_id), 1)


def test_locking_tells_who_when_and_why_and_unlocking_keeps_it(visit: Visit, data_manager: User) -> None:
    assert locks.lock_on(visit.patient, visit) is None
    locking.lock_visit(visit=visit, by=data_manager, reason="cleaned")
    factories.settle()
    visit.refresh_from_db()
    found = locks.lock_on(visit.patient, visit)
    assert found is not None
    assert (found.rule, found.by, found.reason) == (VISIT_LOCKED, "Huang Lei", "cleaned")
    assert found.since == visit.locked_at
    locking.unlock_visit(visit=visit, by=data_manager, reason="late result")
    factories.settle()
    visit.refresh_from_db()
    assert locks.lock_on(visit.patient, visit) is None
    entries = AuditEntry.objects.filter(table="patients_visit", row=visit.pk, op="U").order_by("-id")
    assert [entry.revision.reason for entry in entries[:2]] == ["late result", "cleaned"]


@pytest.mark.parametrize("reason", ["", "  ", "\N{NO-BREAK SPACE}"])
def test_locking_needs_a_reason(visit: Visit, data_manager: User, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        locking.lock_visit(visit=visit, by=data_manager, reason=reason)
    assert rules(refused) == ["reason_needed"]


def test_locking_twice_is_said(visit: Visit, data_manager: User) -> None:
    locking.lock_visit(visit=visit, by=data_manager, reason="cleaned")
    with pytest.raises(Refused) as refused:
        locking.lock_visit(visit=visit, by=data_manager, reason="cleaned")
    assert rules(refused) == ["state"]


# --- other ways in --------------------------------------------------------------------------


def test_raw_sql_is_refused_with_rule_subject_and_remedy(visit: Visit, data_manager: User) -> None:
    locking.lock_visit(visit=visit, by=data_manager, reason="cleaned")
    factories.settle()
    with pytest.raises(IntegrityError) as error, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('cordline.actor', %s, true)", [str(data_manager.pk)])
        cursor.execute("SELECT set_config('cordline.reason', 'raw', true)")
        cursor.execute("UPDATE patients_labresult SET value = 1 WHERE visit_id = %s", [visit.pk])
    assert "visit_is_locked" in str(error.value)
    assert "GE-001 | W4 | GE" in str(error.value)
    assert "unlocked with a reason" in str(error.value)


def test_copy_is_refused(visit: Visit, data_manager: User) -> None:
    lock(visit.patient)
    statement = "COPY patients_outcome (patient_id, kind, happened_on, note, version) FROM STDIN"
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('cordline.actor', %s, true)", [str(data_manager.pk)])
        with connection.wrap_database_errors, cursor.cursor.copy(statement) as copy:
            copy.write_row((visit.patient_id, "death", date(2024, 5, 1), "", 1))
    assert not Outcome.objects.exists()


def imported(tmp_path: Path, kind: str, text: str, by: User) -> dict[str, Any]:
    """Import a file and return its report."""
    import json

    from django.core.management import call_command

    file, out = tmp_path / "file.csv", tmp_path / "out.json"
    file.write_text(text)
    with contextlib.suppress(SystemExit):
        call_command(
            "import_data", str(file), kind=kind, report=out, by=by.username, reason="late file", verbosity=0
        )
    factories.settle()
    return dict(json.loads(out.read_text()))


def test_an_import_refuses_locked_rows_by_line_and_takes_the_others(
    visit: Visit, data_manager: User, tmp_path: Path
) -> None:
    other = factories.a_patient(site=visit.patient.site, subject_id="GE-002")
    locking.lock_visit(visit=visit, by=data_manager, reason="cleaned")
    factories.settle()
    report = imported(
        tmp_path,
        "visits",
        "subject_id,week,alt (U/L)\nGE-001,4,80\nGE-001,0,81\nGE-002,0,82\n",
        data_manager,
    )
    refused = report["refused"] if isinstance(report.get("refused"), list) else report["problems"]
    assert [(row["line"], row["rule"]) for row in refused] == [(2, "The visit W4 of GE-001 is locked.")]
    assert "unlocked with a reason" in refused[0]["suggestion"]
    assert set(LabResult.objects.filter(analyte="alt").values_list("patient__subject_id", "visit__week")) == {
        ("GE-001", 0),
        (other.subject_id, 0),
    }


def test_an_import_of_what_is_there_is_no_change_of_what_is_locked(
    visit: Visit, data_manager: User, tmp_path: Path
) -> None:
    lock(visit.patient)
    report = imported(tmp_path, "visits", "subject_id,week,tbil (umol/L)\nGE-001,4,171\n", data_manager)
    assert "locked" not in str(report)


def test_imports_of_infusions_and_subjects_are_refused_too(
    visit: Visit, data_manager: User, tmp_path: Path
) -> None:
    locking.freeze_site(site=visit.patient.site, by=data_manager, reason="interim analysis")
    factories.settle()
    given = imported(tmp_path, "infusions", "subject_id,number,given_on\nGE-001,1,2024-01-15\n", data_manager)
    new = imported(
        tmp_path,
        "subjects",
        "subject_id,site,sex,age,diagnosis\nGE-001,GE,F,40,LC\nGE-777,GE,F,40,LC\n",
        data_manager,
    )
    assert "The site GE is frozen." in str(given)
    assert str(new).count("The site GE is frozen.") == 2
    assert not Infusion.objects.exists()
    assert not Patient.objects.filter(subject_id="GE-777").exists()


# --- forms ----------------------------------------------------------------------------------


def test_a_lock_sent_again_with_another_reason_does_not_open_again(
    sites: dict[str, Site], signed_in: Any, data_manager: User
) -> None:
    patient = factories.a_patient(site=sites["GE"], subject_id="GE-001")
    browser, address = signed_in(data_manager), reverse("patients:lock", args=["GE-001"])
    for reason, status in (("cleaned", 302), ("cleaned and read", 422)):
        sent = {"target": "casebook", "locked": "", "reason": reason, "submission_key": "k"}
        assert browser.post(address, sent).status_code == status
        audit.settle()
    patient.refresh_from_db()
    assert patient.locked_at is not None
    address = reverse("patients:freeze", args=["GE"])
    for reason, status in (("interim", 302), ("interim analysis", 422)):
        sent = {"frozen": "", "reason": reason, "submission_key": "k"}
        assert browser.post(address, sent).status_code == status
        audit.settle()
    sites["GE"].refresh_from_db()
    assert sites["GE"].frozen_at is not None


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("patients:screen", ()),
        ("patients:new_event", ()),
        ("patients:outcomes", ()),
        ("patients:mark_not_done", (4,)),
        ("infusions:plan", (1,)),
        ("infusions:give", (1,)),
    ],
)
def test_a_locked_form_says_why_before_anybody_types(
    sites: dict[str, Site], signed_in: Any, coordinator: User, name: str, more: tuple[int, ...]
) -> None:
    patient = factories.a_patient(site=sites["GE"], subject_id="GE-001", recruited_on=date(2024, 1, 10))
    browser, address = signed_in(coordinator), reverse(name, args=["GE-001", *more])
    page = browser.get(address, follow=True).content.decode()
    assert 'method="post"' in page and 'class="locked-form" disabled' not in page
    lock(patient)
    page = browser.get(address, follow=True).content.decode()
    assert 'class="locked-form" disabled' in page
    assert "data base lock" in page and "The casebook of this subject is locked." in page
