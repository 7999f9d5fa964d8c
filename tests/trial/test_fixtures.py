"""The ground the other tests stand on."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from trial import audit
from trial.models import Revision, Site, User


def test_people_are_made_in_revisions_of_their_own(coordinator: User, hepatologist: User) -> None:
    assert coordinator.site == hepatologist.site
    assert not Revision.objects.filter(number=None).exists()
    with audit.revision(by=coordinator, reason="moved") as written:
        Site.objects.filter(code="GE").update(name="Guangzhou Northeast")
    audit.settle()
    assert written.number == audit.latest_revision()
    assert Revision.objects.get(number=written.number).actor == coordinator


@pytest.mark.committed
@pytest.mark.parametrize("round_", [1, 2])
def test_a_committed_test_leaves_nothing_behind(round_: int, coordinator: User) -> None:
    assert set(User.objects.values_list("username", flat=True)) == {"cordline", "li.min"}
    assert audit.latest_revision() == 4, "the service account, two sites and the coordinator"


def test_the_software_can_write_after_committed_tests(db: None) -> None:
    assert audit.service_account().pk == 1


def test_a_signed_in_browser_is_known(signed_in: Callable[[User], Client], coordinator: User) -> None:
    assert signed_in(coordinator).session["_auth_user_id"] == str(coordinator.pk)
