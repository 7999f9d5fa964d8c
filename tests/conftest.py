"""Sites, people and a clean trail for every test."""

from __future__ import annotations

import gc
import os
import signal
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.backends.postgresql.creation import DatabaseCreation
from django.test import Client, TransactionTestCase
from django.utils import translation
from whitenoise.middleware import WhiteNoiseMiddleware

from tests import factories, order
from tests.browsers import (  # noqa: F401
    address,
    browser,
    chromium,
    listen,
    new_page,
    open_page,
    shared_job_files,
    standing_server,
    worker,
)
from tests.world import World, a_world, standing  # noqa: F401
from trial import audit, embedded
from trial.models import Site, User
from trial.roles import Role

# thousands of tests are being collected, and all of them stay: looking for rubbish among them is a fourth of it
gc.disable()
# a crash of the whole machine may cost the tests' database; of killed processes nothing is lost for it
embedded.SETTINGS |= {"fsync": "off", "full_page_writes": "off"}
# statistics that another test left behind, at an hour that differs, make the same query slow in one run of many
embedded.SETTINGS |= {"autovacuum": "off"}

# a shell lets a job in the background ignore these two, and every process that a test starts would inherit that
for _ignored, _usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)):
    if signal.getsignal(_ignored) is signal.SIG_IGN:
        signal.signal(_ignored, _usual)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    for item in items:
        if item.get_closest_marker("committed"):
            item.add_marker(pytest.mark.django_db(transaction=True))
    yield
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers > 1:
        # pytest-django has put what commits behind what does not; that holds within each module still
        items[:] = order.in_parts(items, _group, workers)


def _group(item: pytest.Item) -> str:
    return item.path.parent.name if item.path.parent.name in order.LONG else item.path.stem


def pytest_collection_finish(session: pytest.Session) -> None:
    """Spare the collector what stays anyway: the application and thousands of collected tests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _tables_can_be_emptied() -> Iterator[None]:
    """Let a committed test clean up behind itself: the trail refuses TRUNCATE to everybody else."""
    teardown = TransactionTestCase._fixture_teardown

    def emptied(self: TransactionTestCase) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET session_replication_role = replica")
        try:
            teardown(self)
        finally:
            with connection.cursor() as cursor:
                cursor.execute("SET session_replication_role = origin")
        _create_service_account()

    TransactionTestCase._fixture_teardown = emptied  # type: ignore[method-assign]
    yield
    TransactionTestCase._fixture_teardown = teardown  # type: ignore[method-assign]


def _create_service_account() -> None:
    """Put back what a migration made and emptying the tables removed."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('cordline.actor', '1', true), set_config('cordline.source', 'tests', true)"
        )
        User.objects.create(
            pk=1, username=audit.SERVICE_ACCOUNT, first_name="Cordline", password="!", is_active=False
        )


@pytest.fixture(scope="session", autouse=True)
def _nobody_else_is_connected_at_the_end() -> Iterator[None]:
    """End what a test left connected, by name: dropping the database would wait for it in vain."""
    creation: Any = DatabaseCreation
    destroy = creation._destroy_test_db

    def destroyed(self: Any, test_database_name: str, verbosity: int) -> None:
        with self._nodb_cursor() as cursor:
            cursor.execute(
                "SELECT application_name, query, pg_terminate_backend(pid, 2000)"
                " FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'",
                [test_database_name],
            )
            for name, query, _ended in cursor.fetchall():
                warnings.warn(f"a test left a connection behind: {name} {query[:200]}", stacklevel=1)
        destroy(self, test_database_name, verbosity)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(creation, "_destroy_test_db", destroyed)
        yield


@pytest.fixture(scope="session", autouse=True)
def _static_files_are_listed_once() -> Iterator[None]:
    """Let the browsers of the tests share the list of static files, which each would make anew."""
    listing = WhiteNoiseMiddleware.add_files_from_finders
    listed: dict[str, Any] = {}

    def once(self: WhiteNoiseMiddleware) -> None:
        if not listed:
            listing(self)
            listed.update(self.files)
        self.files.update(listed)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", once)
        yield


@pytest.fixture(autouse=True)
def _own_language() -> Iterator[None]:
    """A request in Chinese leaves its thread in Chinese; the next test starts in English."""
    yield
    translation.deactivate()


@pytest.fixture(autouse=True)
def _own_job_files(settings: Any, tmp_path: Path) -> None:
    settings.JOB_FILES = tmp_path / "jobs"


@pytest.fixture
def sites(db: None) -> dict[str, Site]:
    """Two hospitals."""
    return {code: factories.a_site(code=code, name=name) for code, name in factories.SITES.items()}


def _person(username: str, role: Role | None, site: Site | None = None, **fields: Any) -> User:
    return factories.a_user(username=username, role=role, site=site, **fields)


@pytest.fixture
def coordinator(sites: dict[str, Site]) -> User:
    return _person("li.min", Role.COORDINATOR, sites["GE"], first_name="Min", last_name="Li")


@pytest.fixture
def coordinator_elsewhere(sites: dict[str, Site]) -> User:
    return _person("he.jing", Role.COORDINATOR, sites["GS"], first_name="Jing", last_name="He")


@pytest.fixture
def hepatologist(sites: dict[str, Site]) -> User:
    return _person("zhou.hui", Role.HEPATOLOGIST, sites["GE"], first_name="Hui", last_name="Zhou")


@pytest.fixture
def hepatologist_elsewhere(sites: dict[str, Site]) -> User:
    return _person("xu.lan", Role.HEPATOLOGIST, sites["GS"], first_name="Lan", last_name="Xu")


@pytest.fixture
def statistician(db: None) -> User:
    return _person("wu.qing", Role.STATISTICIAN, first_name="Qing", last_name="Wu")


@pytest.fixture
def monitor(db: None) -> User:
    return _person("chen.yu", Role.MONITOR, first_name="Yu", last_name="Chen")


@pytest.fixture
def data_manager(db: None) -> User:
    return _person("huang.lei", Role.DATA_MANAGER, first_name="Lei", last_name="Huang")


@pytest.fixture
def account_admin(db: None) -> User:
    return _person("admin", Role.ACCOUNT_ADMIN)


@pytest.fixture
def deactivated(sites: dict[str, Site]) -> User:
    """A coordinator who left."""
    return _person("sun.tao", Role.COORDINATOR, sites["GE"], is_active=False)


@pytest.fixture
def signed_in() -> Callable[[User], Client]:
    """Return a browser in which somebody is logged in."""

    def sign_in(user: User) -> Client:
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return sign_in


@pytest.fixture
def world(sites: dict[str, Site], data_manager: User) -> World:
    """A patient of each site with everything a route can name."""
    return a_world(sites, data_manager)
