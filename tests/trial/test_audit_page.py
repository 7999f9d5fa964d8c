"""The trail on screen: who sees which revision, what is kept back, and filters that live in the address."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from infusions.models import CellLot, CustodyEvent
from patients.models import LabResult, Patient, PatientIdentity, Visit
from tests import factories
from trial import audit, selectors
from trial.models import Revision, Site, User
from trial.roles import Permission

pytestmark = pytest.mark.django_db

SignedIn = Callable[[User], Client]


def _numbers(client: Client, query: str = "", status: int = 200) -> list[int]:
    response = client.get(f"/audit/{query}")
    assert response.status_code == status, response.content.decode()[:2000]
    return [listed.revision.number for listed in response.context["page"].revisions]


def _patient(site: Site, subject_id: str) -> Patient:
    return Patient.objects.create(
        subject_id=subject_id, site=site, sex="F", birth_date=date(1974, 3, 2), diagnosis="cirrhosis"
    )


@pytest.fixture
def world(
    sites: dict[str, Site], coordinator: User, coordinator_elsewhere: User, data_manager: User
) -> dict[str, int]:
    """Five revisions: one of each site, one of both, one of accounts, one correction."""
    numbers: dict[str, int] = {}

    def written(name: str, by: User, **said: Any) -> Any:
        class Numbered:
            def __enter__(self) -> None:
                self.context = audit.revision(by=by, **said)
                self.written = self.context.__enter__()

            def __exit__(self, *error: object) -> None:
                self.context.__exit__(*error)
                factories.settle()
                numbers[name] = self.written.number or 0

        return Numbered()

    with written("own", coordinator, source="visit entry"):
        own = _patient(sites["GE"], "GE-001")
        visit = Visit.objects.create(patient=own, week=12, visited_on=date(2024, 4, 8))
        LabResult.objects.create(
            patient=own,
            visit=visit,
            analyte="tbil",
            value=Decimal(171),
            typed_text="171",
            typed_unit="umol/L",
        )
        PatientIdentity.objects.create(patient=own, name="Canary-王芳", phone="138-CANARY")
    with written("elsewhere", coordinator_elsewhere, source="visit entry"):
        _patient(sites["GS"], "GS-001")
    with written("both", data_manager, reason="monthly file", source="import of subjects.csv"):
        for code in ("GE", "GS"):
            for n in range(2, 5):
                _patient(sites[code], f"{code}-00{n}")
        CellLot.objects.create(code="UC-1")
    with written("accounts", data_manager, reason="married"):
        User.objects.filter(pk=coordinator.pk).update(last_name="Ma")
    with written("correction", coordinator, reason="typing slip corrected: the point was dropped"):
        LabResult.objects.update(value=Decimal("17.1"), typed_text="17.1")
        Visit.objects.update(version=2)
    return numbers


# --- who sees what --------------------------------------------------------------------------


def test_all_sites_see_every_revision(world: dict[str, int], signed_in: SignedIn, monitor: User) -> None:
    assert _numbers(signed_in(monitor)) == list(range(audit.latest_revision(), 0, -1))


def test_a_site_sees_what_touched_its_subjects(
    world: dict[str, int], signed_in: SignedIn, hepatologist: User, hepatologist_elsewhere: User
) -> None:
    assert _numbers(signed_in(hepatologist)) == [world["correction"], world["both"], world["own"]]
    assert _numbers(signed_in(hepatologist_elsewhere)) == [world["both"], world["elsewhere"]]


@pytest.mark.parametrize("name", ["elsewhere", "accounts"])
def test_revision_of_another_site_is_not_there(
    world: dict[str, int], name: str, signed_in: SignedIn, hepatologist: User
) -> None:
    client = signed_in(hepatologist)
    assert client.get(f"/audit/{world[name]}/").status_code == 404
    assert client.get(f"/audit/{10**30}/").status_code == 404


def test_account_admin_sees_no_trail(signed_in: SignedIn, account_admin: User) -> None:
    assert not account_admin.may(Permission.VIEW_AUDIT)
    assert signed_in(account_admin).get("/audit/").status_code == 403
    assert signed_in(account_admin).get("/audit/1/").status_code == 403


def test_stranger_is_sent_to_the_login(client: Client) -> None:
    assert client.get("/audit/").url.startswith("/login/")  # type: ignore[attr-defined]


def test_revision_of_two_sites_shows_own_rows_and_counts_the_others(
    world: dict[str, int], signed_in: SignedIn, hepatologist: User, monitor: User
) -> None:
    page = signed_in(hepatologist).get(f"/audit/{world['both']}/")
    text = page.content.decode()
    assert (page.context["shown"].rows, page.context["shown"].rows_elsewhere) == (4, 3)
    assert "3 more rows, of other sites, are not shown." in text
    assert "GE-002" in text
    assert "UC-1" in text, "a lot belongs to every site"
    assert "GS-00" not in text
    everything = signed_in(monitor).get(f"/audit/{world['both']}/").content.decode()
    assert "GS-002" in everything
    assert "not shown" not in everything


def test_list_of_a_site_counts_only_its_own_rows(
    world: dict[str, int], signed_in: SignedIn, hepatologist: User
) -> None:
    page = signed_in(hepatologist).get("/audit/").context["page"]
    told = {listed.revision.number: [str(one) for one in listed.told] for listed in page.revisions}
    assert told[world["both"]] == ["3 subjects, 1 lot entered"]


def test_own_revision_without_subjects_is_seen(
    sites: dict[str, Site], coordinator: User, hepatologist: User, signed_in: SignedIn
) -> None:
    with audit.revision(by=coordinator, source="lot"):
        lot = CellLot.objects.create(code="UC-7")
        CustodyEvent.objects.create(lot=lot, step="received", happened_at=timezone.now())
    factories.settle()
    number = audit.latest_revision()
    seen = signed_in(coordinator).get(f"/audit/{number}/")
    assert seen.status_code == 200
    assert "received on the ward" in seen.content.decode() and "of other sites" not in seen.content.decode()
    assert signed_in(hepatologist).get(f"/audit/{number}/").status_code == 404


@pytest.mark.parametrize(
    ("person", "sees"), [("coordinator", True), ("statistician", False), ("monitor", False)]
)
def test_identity_is_kept_from_those_who_may_not_see_it(
    world: dict[str, int], person: str, sees: bool, signed_in: SignedIn, request: pytest.FixtureRequest
) -> None:
    client = signed_in(request.getfixturevalue(person))
    for address in (f"/audit/{world['own']}/", "/audit/", "/patients/GE-001/history/"):
        text = client.get(address).content.decode()
        if not sees:
            assert "1974-03-02" not in text, address
        # nobody reads these here: only on the page whose every view is logged
        for secret in ("Canary-王芳", "138-CANARY"):
            assert secret not in text, address
    assert ("1974-03-02" in client.get(f"/audit/{world['own']}/").content.decode()) is sees


# --- one revision ---------------------------------------------------------------------------


def test_correction_reads_as_a_diff(world: dict[str, int], signed_in: SignedIn, coordinator: User) -> None:
    text = signed_in(coordinator).get(f"/audit/{world['correction']}/").content.decode()
    assert '<s class="diff-before">171.0 µmol/L</s>' in text
    assert '<ins class="diff-after">17.1 µmol/L</ins>' in text
    assert '<span class="diff-same">µmol/L</span>' in text
    assert "typing slip corrected" in text
    assert "“the point was dropped”" in text
    assert "2 rows, 2 tables" in text


def test_time_is_local_with_utc_in_the_hint(
    world: dict[str, int], signed_in: SignedIn, coordinator: User
) -> None:
    text = signed_in(coordinator).get(f"/audit/{world['own']}/").content.decode()
    made = Revision.objects.get(number=world["own"]).made_at
    assert f'title="{made:%Y-%m-%d %H:%M:%S} UTC"' in text
    assert f"{made + timedelta(hours=8):%Y-%m-%d %H:%M:%S}" in text
    assert "Times of Asia/Shanghai;" in signed_in(coordinator).get("/audit/").content.decode()


def test_earlier_and_later_skip_what_may_not_be_seen(
    world: dict[str, int], signed_in: SignedIn, hepatologist: User
) -> None:
    shown = signed_in(hepatologist).get(f"/audit/{world['both']}/").context["shown"]
    assert (shown.earlier, shown.later) == (world["own"], world["correction"])
    first = signed_in(hepatologist).get(f"/audit/{world['own']}/").context["shown"]
    assert (first.earlier, first.later) == (None, world["both"])


def test_long_revision_is_read_in_pages(signed_in: SignedIn, monitor: User) -> None:
    with audit.revision(by=audit.service_account()):
        CellLot.objects.bulk_create(CellLot(code=f"L-{n:03}") for n in range(selectors.ROWS_PER_PAGE + 30))
    factories.settle()
    client, address, seen = signed_in(monitor), f"/audit/{audit.latest_revision()}/", []
    query = ""
    for _page in range(2):
        page = client.get(address + query)
        seen += re.findall(r"L-\d{3}", page.content.decode())
        query = f"?rows_after={page.context['shown'].next_rows_after}"
    assert sorted(set(seen)) == [f"L-{n:03}" for n in range(selectors.ROWS_PER_PAGE + 30)]
    assert page.context["shown"].next_rows_after is None


@pytest.mark.parametrize("junk", ["x", "-1", "9" * 40, "%00", "1e5", "٣"])
def test_page_within_a_revision_survives_junk(
    world: dict[str, int], junk: str, signed_in: SignedIn, coordinator: User
) -> None:
    response = signed_in(coordinator).get(f"/audit/{world['own']}/?rows_after={junk}")
    assert response.status_code in {200, 400}


# --- filters --------------------------------------------------------------------------------


def test_filters_narrow_the_list(
    world: dict[str, int], signed_in: SignedIn, monitor: User, coordinator: User, data_manager: User
) -> None:
    client = signed_in(monitor)
    made = dict(world)

    def found(query: str) -> set[str]:
        return {name for name, number in made.items() if number in _numbers(client, f"?{query}")}

    assert found(f"who={coordinator.pk}") == {"own", "correction"}
    assert found(f"who={data_manager.pk}") == {"both", "accounts"}
    assert found("subject=ge-001") == {"own", "correction"}
    assert found("subject=GE-999") == set()
    assert found("table=patients_labresult") == {"own", "correction"}
    assert found("table=trial_user") == {"accounts"}
    assert found("source=IMPORT") == {"both"}
    assert found("corrections=on") == {"accounts", "correction"}
    assert found(f"who={coordinator.pk}&corrections=on&table=patients_labresult") == {"correction"}
    today = timezone.now() + timedelta(hours=8)
    assert found(f"day_from={today:%Y-%m-%d}&day_to={today:%Y-%m-%d}") == set(made)
    assert found(f"day_to={today - timedelta(days=1):%Y-%m-%d}") == set()
    assert found("day_to=9999-12-31&day_from=0001-01-01") == set(made)


def test_counter_that_moved_is_no_correction(
    sites: dict[str, Site], coordinator: User, signed_in: SignedIn
) -> None:
    with audit.revision(by=coordinator):
        patient = _patient(sites["GE"], "GE-001")
    factories.settle()
    with audit.revision(by=coordinator, reason="results added"):
        Patient.objects.filter(pk=patient.pk).update(version=2)
    factories.settle()
    assert _numbers(signed_in(coordinator), "?corrections=on") == []


def test_site_cannot_find_others_subjects_by_filter(
    world: dict[str, int], signed_in: SignedIn, hepatologist: User, coordinator_elsewhere: User
) -> None:
    client = signed_in(hepatologist)
    assert _numbers(client, "?subject=GS-001") == _numbers(client, "?subject=GS-999") == []
    refused = [
        client.get(f"/audit/?{query}")
        for query in (f"who={coordinator_elsewhere.pk}", "who=9999", "table=trial_user")
    ]
    assert [answer.status_code for answer in refused] == [400] * 3
    elsewhere, nobody = (answer.content.decode().partition("<main")[2] for answer in refused[:2])
    assert elsewhere.replace(f"“{coordinator_elsewhere.pk}”", "“9999”") == nobody


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("day_from=19.03.2026", "Write the day as 2026-03-19."),
        ("day_from=2026-03-20&day_to=2026-03-19", "It lies before the first day."),
    ],
)
def test_filter_that_cannot_be_read_says_so_and_keeps_what_was_typed(
    query: str, message: str, signed_in: SignedIn, monitor: User
) -> None:
    response = signed_in(monitor).get(f"/audit/?{query}")
    assert response.status_code == 422
    text = response.content.decode()
    assert message in text
    assert response.context["page"].revisions
    if "day_from" in query:
        assert query.split("=")[1].split("&", maxsplit=1)[0] in text


def test_nothing_found_says_what_to_do(signed_in: SignedIn, monitor: User) -> None:
    text = signed_in(monitor).get("/audit/?subject=NOBODY").content.decode()
    assert "No revision answers to this." in text
    assert "Show every revision" in text


def test_pages_follow_each_other_without_gap_or_overlap(signed_in: SignedIn, monitor: User) -> None:
    for n in range(2 * selectors.PER_PAGE + 5):
        with audit.revision(by=audit.service_account()):
            CellLot.objects.create(code=f"L-{n}")
        factories.settle()
    client, seen, query = signed_in(monitor), [], ""
    pages = []
    while True:
        page = client.get(f"/audit/{query}").context["page"]
        pages.append([listed.revision.number for listed in page.revisions])
        seen += pages[-1]
        if page.older_before is None:
            break
        query = f"?before={page.older_before}"
    assert seen == list(range(audit.latest_revision(), 0, -1))
    back = client.get(f"/audit/?after={page.newer_after}").context["page"]
    assert [listed.revision.number for listed in back.revisions] == pages[-2]
    first = client.get(f"/audit/?after={back.newer_after}").context["page"]
    assert first.newer_after is None
    beyond = client.get("/audit/?before=1")
    assert beyond.context["page"].revisions == ()


# --- cost -----------------------------------------------------------------------------------


def _queries(client: Client, address: str) -> int:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert client.get(address).status_code == 200
    return len(captured)


@pytest.mark.parametrize("person", ["coordinator", "monitor"])
def test_list_costs_the_same_however_much_there_is(
    sites: dict[str, Site],
    person: str,
    signed_in: SignedIn,
    coordinator: User,
    request: pytest.FixtureRequest,
) -> None:
    client = signed_in(request.getfixturevalue(person))

    def write(revisions: int, rows: int) -> None:
        for r in range(revisions):
            with audit.revision(by=coordinator):
                for n in range(rows):
                    _patient(sites["GE"], f"GE-{audit.latest_revision()}-{r}-{n}")
            factories.settle()

    write(1, 1)
    client.get("/audit/")
    few = _queries(client, "/audit/"), _queries(client, f"/audit/{audit.latest_revision()}/")
    write(8, 1)
    write(2, 60)
    many = _queries(client, "/audit/"), _queries(client, f"/audit/{audit.latest_revision()}/")
    assert many == few
    assert few[0] <= 9, "session, person, people, revisions, counts, entries, names and the site"
    assert few[1] <= 11
