"""Everything on one machine: database, web server and worker, until Ctrl+C."""

from __future__ import annotations

import secrets
import signal
import socket
import sys
import time
from http.client import HTTPConnection, HTTPException
from importlib import import_module
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from trial import synthetic_label
from trial.models import Site, User
from trial.roles import ROLE_LABELS, Role
from trial.supervisor import Child, Supervisor

LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that is taken for another
USUAL_PORT = 8000
READY_WITHIN = 120.0


class Command(BaseCommand):
    """Start Cordline on this machine, with a demonstration study when there is none."""

    help = "Run the database, the web server and a worker on this machine until Ctrl+C."
    requires_system_checks: list[str] = []  # migrate checks; twice would cost a second

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--port", type=int, help=f"port to listen on (default: {USUAL_PORT}, or a free one)"
        )
        parser.add_argument("--empty", action="store_true", help="do not create the demonstration study")

    def handle(self, *args: Any, port: int | None, empty: bool, **options: Any) -> None:
        if settings.PRODUCTION:
            raise CommandError(
                "this is for one machine; in production start web and worker apart (docker-compose.yml)"
            )
        begun = time.monotonic()
        with _listen(port) as listener:
            try:
                password = self.prepare(empty=empty)
            except KeyboardInterrupt:
                sys.exit("\nStopped before it was ready.")
            address = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            supervisor = Supervisor([_web(listener), _worker()], say=self.stderr.write)
            supervisor.listen()
            supervisor.start()
            try:
                if supervisor.wait_until(lambda: _is_ready(listener), seconds=READY_WITHIN):
                    self.introduce(address, password, time.monotonic() - begun)
                    supervisor.watch()
                elif not supervisor.stopping:
                    raise CommandError(
                        f"{address} did not become ready within {READY_WITHIN:.0f} s; see above"
                    )
            finally:
                self.stdout.write("\nStopping…")
                supervisor.stop()

    def prepare(self, *, empty: bool) -> str:
        """Bring the database up to date, with a study to look at; return the demonstration's password."""
        unfinished = settings.DATA_DIR / "synthetic_study_unfinished"
        if unfinished.exists():
            raise CommandError(
                f"The synthetic study in {settings.DATA_DIR} was interrupted while it was made, and part of it is missing."
                " Start over with make clean, or with another directory in CORDLINE_DATA."
            )
        self.stdout.write("Preparing the database…")
        call_command("migrate", verbosity=0)
        password = _demonstration_password(settings.DATA_DIR / "demonstration_password")
        if empty and not Site.objects.exists():
            synthetic_label.take_off()
        if not empty and settings.SYNTHETIC and not Site.objects.exists():
            self.stdout.write("Creating a synthetic study…")
            unfinished.touch()
            try:
                call_command("seed_demo", password=password, stdout=self.stdout)
            except CommandError:
                # refused before it began: what is there is somebody's own
                if not Site.objects.exists():
                    unfinished.unlink()
                raise
            unfinished.unlink()
        connections.close_all()
        return password

    def introduce(self, address: str, password: str, seconds: float) -> None:
        """Say where it is and how to get in."""
        write = self.stdout.write
        write(f"\nCordline is ready after {seconds:.0f} s:  {self.style.SUCCESS(address)}\n")
        people = _one_person_per_role()
        known = [user for user in people.values() if user.check_password(password)]
        if known:
            write("Synthetic data, no real person. Log in as:")
            for role, user in people.items():
                if user in known:
                    site = f", {user.site}" if user.site else ""
                    write(f"  {user.username:<12} {ROLE_LABELS[role]}{site}")
            write(f"Password of each: {self.style.SUCCESS(password)}")
        elif not people:
            write("There is no account yet: manage.py create_account")
        connections.close_all()
        write("Ctrl+C ends it.")


def _one_person_per_role() -> dict[Role, User]:
    people: dict[Role, User] = {}
    for user in User.objects.filter(is_active=True).exclude(role="").select_related("site").order_by("pk"):
        people.setdefault(Role(user.role), user)
    return {role: people[role] for role in Role if role in people}


def _demonstration_password(file: Path) -> str:
    """Return the password of the demonstration accounts, made at the first run."""
    if not file.exists():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text("-".join("".join(secrets.choice(LETTERS) for _ in range(4)) for _ in range(3)) + "\n")
    return file.read_text().strip()


def _listen(port: int | None) -> socket.socket:
    """Return a listening socket; it outlives the web server, so that nobody takes the port at a restart."""
    for wanted in [port] if port is not None else [USUAL_PORT, 0]:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", wanted))
        except OSError as error:
            listener.close()
            reason = error
            continue
        listener.listen(128)
        return listener
    raise CommandError(f"port {port}: {reason.strerror}. Choose another with --port.")


def _web(listener: socket.socket) -> Child:
    number = listener.fileno()
    command = [sys.executable, "-m", "gunicorn", "trial.wsgi:application", "--bind", f"fd://{number}"]
    command += ["--workers", "2", "--threads", "4", "--graceful-timeout", "5", "--log-level", "warning"]
    command.append("--preload")  # the application is imported once, not by each of its processes
    known = {
        flag for setting in import_module("gunicorn.config").KNOWN_SETTINGS for flag in setting.cli or ()
    }
    if "--no-control-socket" in known:
        command.append("--no-control-socket")
    return Child("Web server", command, keep_open=(number,), environment={"CORDLINE_POOL": "1"})


def _worker() -> Child:
    # a container's only account is root, and no task runs what a message says
    quiet = ["-W", "ignore:You're running the worker"]
    command = [sys.executable, *quiet, "-m", "celery", "-A", "trial", "worker", "--concurrency", "2"]
    command += [
        "--pool",
        "prefork",
        "--loglevel",
        "WARNING",
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
    ]
    # finished or dropped is the same to a task: the database knows what is still to be done
    return Child("Worker", command, drop_work=signal.SIGQUIT)


def _is_ready(listener: socket.socket) -> bool:
    connection = HTTPConnection("127.0.0.1", listener.getsockname()[1], timeout=5)
    try:
        connection.request("GET", "/health/ready/")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
