"""Production refuses to start half configured; nothing set means development."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCTION = {
    "CORDLINE_PRODUCTION": "1",
    "SECRET_KEY": "a-key-of-a-test-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGH",
    "ALLOWED_HOSTS": "study.example, other.example",
    "DATABASE_URL": "postgres://app:p%40ss@db.example:5432/cordline?sslmode=require",
    "DATABASE_OWNER_URL": "postgres://owner:secret@db.example:5432/cordline",
    "REDIS_URL": "redis://redis.example:6379/0",
}
SHOW = """
import json
from django.conf import settings
names = "ALLOWED_HOSTS DEBUG EMBEDDED SESSION_COOKIE_NAME SESSION_COOKIE_SECURE SYNTHETIC CELERY_BROKER_URL".split()
print(json.dumps({name: getattr(settings, name) for name in names} | {"databases": settings.DATABASES}, default=str))
"""


def start(environment: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command with no settings but these."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.run(
        [sys.executable, *(command or ("-c", SHOW))],
        env=kept | {"DJANGO_SETTINGS_MODULE": "trial.settings"} | environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


def settings_of(environment: dict[str, str]) -> dict[str, object]:
    done = start(environment)
    assert done.returncode == 0, done.stderr
    shown: dict[str, object] = json.loads(done.stdout)
    return shown


@pytest.mark.parametrize("name", ["SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL", "REDIS_URL"])
def test_production_does_not_start_without(name: str) -> None:
    done = start({key: value for key, value in PRODUCTION.items() if key != name})
    assert done.returncode != 0
    assert f"ImproperlyConfigured: {name} is not set" in done.stderr


@pytest.mark.parametrize(("name", "value"), [("DEBUG", "1"), ("ALLOWED_HOSTS", "*")])
def test_production_does_not_start_with(name: str, value: str) -> None:
    done = start(PRODUCTION | {name: value})
    assert done.returncode != 0
    assert f"ImproperlyConfigured: {name}" in done.stderr


def test_production_is_strict_and_keeps_what_the_addresses_say() -> None:
    shown = settings_of(PRODUCTION)
    assert shown["ALLOWED_HOSTS"] == ["study.example", "other.example"]
    assert (shown["DEBUG"], shown["SYNTHETIC"], shown["EMBEDDED"]) == (False, False, False)
    assert shown["SESSION_COOKIE_NAME"] == "__Host-session"
    assert shown["SESSION_COOKIE_SECURE"] is True
    databases = shown["databases"]
    assert isinstance(databases, dict)
    assert databases["default"]["PASSWORD"] == "p@ss"
    assert databases["default"]["OPTIONS"]["sslmode"] == "require"
    assert "statement_timeout=300s" in databases["default"]["OPTIONS"]["options"]
    assert (databases["owner"]["USER"], databases["default"]["USER"]) == ("owner", "app")


def test_secrets_may_come_from_files(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(PRODUCTION["SECRET_KEY"])
    without = {key: value for key, value in PRODUCTION.items() if key != "SECRET_KEY"}
    assert settings_of(without | {"SECRET_KEY_FILE": str(secret)})["DEBUG"] is False


def test_production_passes_djangos_own_check() -> None:
    done = start(PRODUCTION, "manage.py", "check", "--deploy", "--fail-level", "WARNING")
    assert done.returncode == 0, done.stderr


def test_one_role_for_everything_fails_that_check() -> None:
    one = PRODUCTION | {"DATABASE_OWNER_URL": PRODUCTION["DATABASE_URL"]}
    done = start(one, "manage.py", "check", "--deploy", "--fail-level", "WARNING")
    assert done.returncode != 0
    assert "trial.W001" in done.stderr


def test_nothing_set_is_development_on_the_embedded_server(tmp_path: Path) -> None:
    shown = settings_of({"CORDLINE_DATA": str(tmp_path / "data")})
    assert (shown["EMBEDDED"], shown["SYNTHETIC"], shown["DEBUG"]) == (True, True, False)
    assert shown["CELERY_BROKER_URL"] == "memory://localhost"
    databases = shown["databases"]
    assert isinstance(databases, dict)
    assert (databases["default"]["USER"], databases["owner"]["USER"]) == ("cordline_app", "cordline_owner")


def test_asking_for_help_starts_no_server(tmp_path: Path) -> None:
    done = start({"CORDLINE_DATA": str(tmp_path / "data")}, "manage.py", "migrate", "--help")
    assert done.returncode == 0, done.stderr
    assert [file.name for file in (tmp_path / "data").iterdir()] == ["secret_key"]
