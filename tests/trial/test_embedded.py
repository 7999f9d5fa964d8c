"""The embedded server through starts, ends and every kind of death of its users."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from trial import embedded
from trial.embedded import Account, Server

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import os, select, sys
from pathlib import Path
from trial import embedded
server = embedded.Server(Path(sys.argv[1]), embedded.Account(int(sys.argv[2]), int(sys.argv[3])))
embedded._server = lambda data_dir: server
try:
    embedded.hold(Path("/data"))
    {then}
    print("ready", flush=True)
    # in turns: Python answers a signal that came just before a read only after it
    while not select.select([sys.stdin], [], [], 0.1)[0]:
        pass
    sys.stdin.readline()
except KeyboardInterrupt:
    pass
"""


def account() -> Account:
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        return Account(nobody.pw_uid, nobody.pw_gid)
    return Account(os.geteuid(), os.getegid())


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A directory that the server's account can reach."""
    directory = Path(tempfile.mkdtemp(prefix="embedded-", dir="/tmp"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def cluster(place: Path) -> Server:
    """One home for all tests of this module, in a path with spaces and a quote."""
    home = place / "a person's study"
    home.mkdir(mode=0o700)
    os.chown(home, account().uid, account().gid)
    return Server(home / "postgres", account())


Starts = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(cluster: Server) -> Iterator[Starts]:
    """Start processes that hold the server; whatever a test leaves behind is ended."""
    started: list[subprocess.Popen[str]] = []

    def begin(server: Server = cluster, *, wait: bool = True, then: str = "pass") -> subprocess.Popen[str]:
        user = subprocess.Popen(
            [sys.executable, "-c", SCRIPT.format(then=then), str(server.home)]
            + [str(server.account.uid), str(server.account.gid)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(user)
        if wait:
            become_ready(user)
        return user

    yield begin
    for user in started:
        user.kill()
        user.wait()
        assert user.stdin and user.stdout
        user.stdin.close()
        user.stdout.close()
    stop_by_hand(cluster)


def become_ready(user: subprocess.Popen[str]) -> None:
    assert user.stdout
    assert user.stdout.readline() == "ready\n"


def end(user: subprocess.Popen[str]) -> None:
    """Let a user end by itself."""
    assert user.stdin
    user.stdin.write("\n")
    user.stdin.flush()
    assert user.wait(timeout=30) == 0


def answers(server: Server, role: str = "app") -> bool:
    try:
        with psycopg.connect(
            host=str(server.sockets), port=embedded.PORT, user=embedded.ROLES[role], dbname=embedded.DATABASE
        ) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def processes(server: Server) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(server.cluster):
                found.append(process)
        except psutil.Error:
            continue
    return found


def stop_by_hand(server: Server) -> None:
    for process in processes(server):
        process.kill()
    psutil.wait_procs(processes(server), timeout=10)


def gone(server: Server) -> bool:
    """Return whether every process of the server ends within a few seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if not processes(server):
            return True
        time.sleep(0.02)
    return False


def postmaster(server: Server) -> psutil.Process:
    return psutil.Process(int((server.cluster / "postmaster.pid").read_text().split()[0]))


def test_first_user_starts_it_and_last_user_stops_it(cluster: Server, start: Starts) -> None:
    first = start()
    second = start()
    end(first)
    assert answers(cluster)
    end(second)
    assert gone(cluster)


def test_three_first_starts_at_once(place: Path, start: Starts) -> None:
    fresh = Server(place / "three", account())
    users = [start(fresh, wait=False) for _ in range(3)]
    for user in users:
        become_ready(user)
    assert answers(fresh)
    for user in users:
        end(user)
    assert gone(fresh)


def test_two_roles_of_which_only_the_owner_makes_tables(cluster: Server, start: Starts) -> None:
    user = start()
    for role, may in (("owner", True), ("app", False)):
        with psycopg.connect(
            host=str(cluster.sockets), user=embedded.ROLES[role], dbname=embedded.DATABASE
        ) as connection:
            (allowed,) = connection.execute(
                "SELECT has_schema_privilege('public', 'CREATE') AND NOT (SELECT rolsuper FROM pg_roles"
                " WHERE rolname = current_user)"
            ).fetchone() or (None,)
        assert allowed is may, role
    end(user)


def test_killing_the_starter_leaves_the_server_to_the_others(cluster: Server, start: Starts) -> None:
    starter = start()
    other = start()
    starter.kill()
    starter.wait()
    assert answers(cluster)
    end(other)
    assert gone(cluster)


def test_server_whose_users_were_all_killed_is_adopted_and_stopped(cluster: Server, start: Starts) -> None:
    for user in (start(), start()):
        user.kill()
        user.wait()
    before = postmaster(cluster).pid
    heir = start()
    assert postmaster(cluster).pid == before
    end(heir)
    assert gone(cluster)


def test_killed_postmaster_is_replaced_for_the_next_user(cluster: Server, start: Starts) -> None:
    first = start()
    postmaster(cluster).kill()
    second = start()
    assert answers(cluster)
    end(second)
    assert answers(cluster), "the first user still counts"
    end(first)
    assert gone(cluster)


def test_user_can_have_its_killed_server_revived(cluster: Server, start: Starts) -> None:
    again = "print('ready', flush=True); sys.stdin.readline(); embedded.hold(Path('/data'), check=True)"
    user = start(then=again)
    postmaster(cluster).kill()
    assert user.stdin
    user.stdin.write("\n")
    user.stdin.flush()
    become_ready(user)
    assert answers(cluster)
    end(user)
    assert gone(cluster)


def test_stale_process_number_may_belong_to_a_stranger_by_now(cluster: Server, start: Starts) -> None:
    end(start())
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        for stale in (cluster.cluster / "postmaster.pid", cluster.sockets / f".s.PGSQL.{embedded.PORT}.lock"):
            stale.write_text(
                f"{stranger.pid}\n{cluster.cluster}\n{int(time.time())}\n{embedded.PORT}\n\n\n\nready\n"
            )
            os.chown(stale, cluster.account.uid, cluster.account.gid)
        user = start()
        assert answers(cluster)
        assert stranger.poll() is None
        end(user)
    finally:
        stranger.kill()
        stranger.wait()
    assert gone(cluster)


def test_path_too_long_for_a_socket(place: Path, start: Starts) -> None:
    home = place / ("long" * 30) / "postgres"
    home.parent.mkdir(mode=0o700)
    os.chown(home.parent, account().uid, account().gid)
    server = Server(home, account())
    user = start(server)
    assert answers(server)
    assert stat.S_IMODE(server.sockets.stat().st_mode) == 0o700
    end(user)
    assert gone(server)
    shutil.rmtree(server.sockets)


def test_exit_of_a_forked_child_does_not_stop_the_server(cluster: Server, start: Starts) -> None:
    user = start(then="pid = os.fork()\n    if pid == 0: sys.exit(0)\n    os.waitpid(pid, 0)")
    assert answers(cluster)
    end(user)
    assert gone(cluster)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signalled_user_still_stops_the_server(
    cluster: Server, start: Starts, number: signal.Signals
) -> None:
    user = start()
    os.killpg(user.pid, number)  # as Ctrl+C does: everybody in the group
    assert user.wait(timeout=30) == {signal.SIGTERM: 143, signal.SIGINT: 0}[number]
    assert gone(cluster)


def test_ctrl_c_of_one_user_does_not_reach_the_server_of_another(cluster: Server, start: Starts) -> None:
    starter = start()
    other = start()
    os.killpg(starter.pid, signal.SIGINT)
    starter.wait(timeout=30)
    assert answers(cluster)
    end(other)
    assert gone(cluster)


def test_server_runs_apart_from_root(cluster: Server, start: Starts) -> None:
    user = start()
    main = postmaster(cluster)
    assert set(main.uids()) == {cluster.account.uid} != {0}
    assert set(main.gids()) == {cluster.account.gid}
    assert "CORDLINE_DATA" not in main.environ()
    end(user)


def test_somebody_elses_directory_is_refused_and_left_alone() -> None:
    before = Path("/etc").stat()
    stranger = Account(before.st_uid + 12345, before.st_gid)
    with pytest.raises(embedded.ServerError, match="/etc belongs to another account"):
        embedded._make_private(Path("/etc"), stranger)
    assert Path("/etc").stat() == before


def test_path_that_a_shell_would_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(embedded.ServerError, match="CORDLINE_DATA"):
        embedded._make_private(tmp_path / "$HOME", account())
    assert not (tmp_path / "$HOME").exists()


def test_copied_programs_run(place: Path) -> None:
    programs = embedded._binaries(Server(place, account()))
    package = programs.parents[1]
    copy = embedded._copied(package, place / "copy of the programs")
    assert embedded._may_execute(Server(place, account()), copy / package.name / "pginstall18" / "bin")
    assert embedded._copied(package, copy) == copy, "made once"


def test_secret_key_is_private_and_the_same_for_all(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    script = "import sys; from pathlib import Path; from trial import embedded; print(embedded.secret_key(Path(sys.argv[1])))"
    users = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(data_dir)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    keys = {user.communicate()[0].strip() for user in users}
    assert keys == {embedded.secret_key(data_dir)}
    assert len(keys.pop()) >= 50
    assert [file.name for file in data_dir.iterdir()] == ["secret_key"]
    assert stat.S_IMODE((data_dir / "secret_key").stat().st_mode) == 0o600
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another account")
def test_root_gets_a_new_database_with_a_new_data_directory(tmp_path: Path) -> None:
    first = embedded.connection(tmp_path / "data")["HOST"]
    assert first.startswith("/var/lib/cordline-")
    assert embedded.connection(tmp_path / "data")["HOST"] == first
    (tmp_path / "data" / "secret_key").unlink()
    assert embedded.connection(tmp_path / "data")["HOST"] != first
