"""The demonstration: a whole study, people to look at it, and a history that looks like work."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Count, Q
from django.utils import timezone

from analytics import synthetic
from analytics.demonstration import PEOPLE
from infusions.models import CellLot, Infusion
from patients.models import LabResult, Outcome, Patient, PatientIdentity, Screening, ScreeningAnswer, Visit
from trial import audit, protocol
from trial.models import AuditEntry, Site, User
from trial.roles import Role

pytestmark = pytest.mark.django_db


def seed(**options: Any) -> str:
    out = io.StringIO()
    call_command("seed_demo", stdout=out, stderr=io.StringIO(), **options)
    audit.settle()
    return out.getvalue()


def test_the_study_is_whole_and_its_groups_are_the_papers() -> None:
    assert "No real patient" in seed()
    given = Patient.objects.annotate(given=Count("infusions", filter=Q(infusions__voided_at=None))).filter(
        given__gt=0
    )
    groups = dict.fromkeys(protocol.GROUP_CODES, 0)
    for patient in given:
        groups[protocol.group_of(patient.diagnosis, patient.given)] += 1
    assert groups == {"A": 37, "B": 27, "C": 28, "D": 31}
    assert set(Site.objects.values_list("code", "name")) == {
        ("GE", "Guangzhou East"),
        ("GS", "Guangzhou South"),
        ("FO", "Foshan"),
        ("ZH", "Zhongshan"),
    }
    assert Patient.objects.filter(status="screen_failed").count() > 30
    assert Screening.objects.count() == Patient.objects.count() == PatientIdentity.objects.count()
    assert ScreeningAnswer.objects.count() == Screening.objects.count() * len(protocol.CRITERIA)
    assert all(
        name.startswith("Synthetic ") for name in PatientIdentity.objects.values_list("name", flat=True)
    )
    assert Outcome.objects.filter(kind="death").exists()
    assert LabResult.objects.filter(comparator="<").exists()
    assert LabResult.objects.filter(typed_unit="mg/dL").exists()
    assert LabResult.objects.exclude(missing_reason="").exists()
    assert not Infusion.objects.filter(given_on__gt=timezone.localdate()).exists()
    assert CellLot.objects.filter(expires_on__gte=timezone.localdate()).exists()


def test_the_history_looks_like_work() -> None:
    seed()
    entries = AuditEntry.objects.select_related("revision", "revision__actor")
    authors = set(entries.values_list("revision__actor__username", flat=True))
    assert {"huang.lei", "li.min", "he.jing"} <= authors
    correction = entries.get(table="patients_labresult", op="U", revision__reason="typing slip corrected")
    assert correction.old is not None
    assert correction.new is not None
    assert correction.old["value"] == 10 * correction.new["value"]
    assert correction.revision.actor.username == "li.min"
    assert Infusion.objects.exclude(voided_at=None).count() == 1
    assert Visit.objects.filter(week=None).exists()


def test_everything_made_up_is_stored() -> None:
    day = timezone.localdate() - timedelta(days=3)
    seed(patients=20, seed=7, today=day)
    made = {
        (subject.subject_id, visit.visited_on, code, cell.text)
        for subject in synthetic.generate(patients=20, seed=7, today=day).enrolled
        for visit in subject.visits
        for code, cell in visit.labs.items()
    }
    stored = set(
        LabResult.objects.values_list("patient__subject_id", "visit__visited_on", "analyte", "typed_text")
    )
    # the slip is corrected by then, and a day on the ward adds a few
    assert len(made - stored) <= 1
    assert len(stored - made) < 12


def test_everybody_can_log_in_with_the_one_password_or_nobody() -> None:
    seed(patients=3, password="correct horse battery")
    people = {person.username: person for person in PEOPLE}
    users = list(User.objects.exclude(username=audit.SERVICE_ACCOUNT))
    assert {user.username for user in users} == set(people)
    assert len({user.password for user in users}) == 1
    assert users[0].check_password("correct horse battery")
    for user in users:
        assert (user.role, user.site.code if user.site else "") == (
            people[user.username].role,
            people[user.username].site,
        )
    assert {user.role for user in users} == set(Role)
    assert {user.site.code for user in users if user.role == Role.COORDINATOR and user.site} == {
        "GE",
        "GS",
        "FO",
        "ZH",
    }


def test_without_a_password_nobody_can_log_in() -> None:
    seed(patients=2)
    for user in User.objects.exclude(username=audit.SERVICE_ACCOUNT):
        assert not user.has_usable_password()


def test_a_study_that_has_subjects_is_left_alone() -> None:
    seed(patients=2)
    before = audit.latest_revision()
    with pytest.raises(CommandError, match="empty database"):
        seed(patients=2)
    assert audit.latest_revision() == before


def test_a_site_of_the_same_code_is_named_before_anything_is_written(sites: dict[str, Site]) -> None:
    assert "GE" in sites
    before = audit.latest_revision()
    with pytest.raises(CommandError, match="empty database"):
        seed(patients=2)
    assert audit.latest_revision() == before


def test_an_installation_that_is_not_labelled_synthetic_is_left_alone(settings: Any) -> None:
    settings.SYNTHETIC = False
    with pytest.raises(CommandError, match="synthetic"):
        seed()
    assert not Site.objects.exists()


def test_nobody_asks_for_fewer_than_one() -> None:
    with pytest.raises(CommandError, match="at least 1"):
        seed(patients=0)
