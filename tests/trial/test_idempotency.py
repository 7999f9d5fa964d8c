"""The same form sent twice, or by several at once, is one change."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import date, timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test import Client, RequestFactory
from django.urls import reverse

from patients.models import LabResult, Patient, Visit
from tests import factories
from trial import audit, idempotency
from trial.models import ApiAnswer, Revision, User

SignIn = Callable[[User], Client]


def post(user: User, path: str = "/here/", **fields: str):
    request = RequestFactory().post(path, fields)
    request.user = user
    return request


@pytest.mark.django_db
def test_a_submission_is_named_by_who_where_key_and_content(coordinator: User, hepatologist: User) -> None:
    name = idempotency.request_id(post(coordinator, submission_key="k", a="1"))
    assert name.startswith("k.")
    assert name == idempotency.request_id(
        post(coordinator, submission_key="k", a="1", csrfmiddlewaretoken="t")
    )
    others = [
        post(hepatologist, submission_key="k", a="1"),
        post(coordinator, "/there/", submission_key="k", a="1"),
        post(coordinator, submission_key="l", a="1"),
        post(coordinator, submission_key="k", a="2"),
        post(coordinator, submission_key="k", a="1", b=""),
        post(coordinator, submission_key="k", ab="1"),
        post(coordinator, submission_key="k", a="1", code="UC-1"),
        post(coordinator, submission_key="k", a="1", code="UC-2"),
    ]
    signed = {"submission_key": "k", "a": "1", "password": "x"}
    assert idempotency.request_id(post(coordinator, **signed, code="123456")) == name
    assert len({name, *(idempotency.request_id(other) for other in others)}) == len(others) + 1


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["", "x" * 65])
def test_without_a_usable_key_every_submission_counts(coordinator: User, key: str) -> None:
    request = post(coordinator, submission_key=key)
    assert idempotency.request_id(request) == ""
    assert idempotency.key_of(request) != key
    with idempotency.once(request, by=coordinator) as attempt:
        assert not attempt.is_repeated


@pytest.mark.django_db
def test_a_new_page_gets_a_new_key_and_a_sent_one_keeps_its_own(coordinator: User) -> None:
    fresh = post(coordinator)
    assert idempotency.key_of(fresh) != idempotency.key_of(fresh)
    assert idempotency.key_of(post(coordinator, submission_key="k")) == "k"


@pytest.mark.django_db
def test_what_failed_is_not_taken_for_done(coordinator: User) -> None:
    request = post(coordinator, submission_key="k")
    with pytest.raises(RuntimeError), idempotency.once(request, by=coordinator):
        factories.Site.objects.create(code="FO", name="Foshan")
        raise RuntimeError
    assert not factories.Site.objects.filter(code="FO").exists()
    with idempotency.once(request, by=coordinator) as attempt:
        assert attempt.earlier is None


@pytest.mark.committed
def test_eight_clicks_at_once_are_one_change_and_one_answer(coordinator: User, signed_in: SignIn) -> None:
    patient = factories.a_patient(site=coordinator.site)
    address = reverse("patients:enter_visit", args=[patient.subject_id, 4])
    form = {
        "visited_on": "2024-02-12",
        "version": "0",
        "tbil": "140",
        "alt": "64",
        "submission_key": "one-click",
    }
    clients = [signed_in(coordinator) for _ in range(8)]
    before = audit.latest_revision()
    start, answers = threading.Barrier(len(clients)), []

    def click(client: Client) -> None:
        start.wait()
        response = client.post(address, form)
        answers.append((response.status_code, response.get("Location")))
        connection.close()

    threads = [threading.Thread(target=click, args=[client]) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == [(302, f"{address}?saved=2")] * len(clients)
    assert Visit.objects.filter(patient=patient).count() == 1
    assert LabResult.objects.filter(patient=patient).count() == 2
    assert audit.latest_revision() == before + 1
    assert Revision.objects.filter(request_id__startswith="one-click.").count() == 1


@pytest.mark.committed
def test_of_two_different_saves_at_once_one_wins_and_the_other_is_asked(
    coordinator: User, data_manager: User, signed_in: SignIn
) -> None:
    patient = factories.a_patient(site=coordinator.site)
    address = reverse("patients:enter_visit", args=[patient.subject_id, 4])
    people = [(signed_in(coordinator), "140"), (signed_in(data_manager), "150")]
    for round_ in range(10):
        Patient.objects.get(pk=patient.pk)
        visit = Visit.objects.filter(patient=patient).first()
        version = visit.version if visit else 0
        start, answers = threading.Barrier(2), {}

        def save(
            client: Client, value: str, start=start, answers=answers, version=version, round_=round_
        ) -> None:
            start.wait()
            form = {
                "visited_on": date(2024, 2, 12).isoformat(),
                "version": str(version),
                "reason": "typing_slip",
            }
            response = client.post(address, form | {"tbil": f"{value}.{round_}"})
            answers[f"{value}.{round_}"] = response.status_code
            connection.close()

        threads = [threading.Thread(target=save, args=person) for person in people]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sorted(answers.values()) == [302, 409]
        winner = next(value for value, status in answers.items() if status == 302)
        stored = LabResult.objects.get(patient=patient, analyte="tbil")
        assert stored.typed_text == winner


@pytest.mark.django_db
def test_answers_to_programs_go_when_no_try_can_come_any_more(coordinator: User) -> None:
    for key, age in (("old", idempotency.ANSWERS_KEPT), ("young", idempotency.ANSWERS_KEPT / 2)):
        answer = ApiAnswer.objects.create(owner=coordinator, key=key, digest="0" * 64, status=200, body="{}")
        ApiAnswer.objects.filter(pk=answer.pk).update(made_at=Now() - age - timedelta(seconds=1))
    assert idempotency.purge_answers() == 1
    assert ApiAnswer.objects.get().key == "young"
