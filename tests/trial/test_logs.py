"""What goes wrong is logged with its place and kind, without a value."""

from __future__ import annotations

import io
import logging
from errno import ENOSPC

import pytest
from django.db import IntegrityError, transaction

from tests.trial.test_settings import PRODUCTION, start
from trial.logs import Discreet
from trial.models import Site, User

SECRET = "王小明 13800138000"


def logged(error: BaseException) -> str:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Discreet("{levelname} {message}", style="{"))
    record = logging.LogRecord(
        "test", logging.ERROR, __file__, 1, "it broke", None, (type(error), error, error.__traceback__)
    )
    handler.handle(record)
    return stream.getvalue()


def test_kind_and_place_without_the_message() -> None:
    try:
        int(SECRET)
    except ValueError as error:
        line = logged(error)
    assert line.startswith("ERROR it broke\n")
    assert "test_logs.py" in line
    assert line.rstrip().endswith("builtins.ValueError")
    assert SECRET not in line


def test_a_full_disk_is_called_one() -> None:
    line = logged(OSError(ENOSPC, SECRET, SECRET))
    assert line.rstrip().endswith("builtins.OSError (ENOSPC)")
    assert SECRET not in line


def test_causes_are_named_and_say_nothing_either() -> None:
    try:
        try:
            raise KeyError(SECRET)
        except KeyError as error:
            raise RuntimeError(SECRET) from error
    except RuntimeError as error:
        line = logged(error)
    assert line.index("builtins.KeyError") < line.index("caused this") < line.index("builtins.RuntimeError")
    assert SECRET not in line


@pytest.mark.django_db
def test_refused_row_is_not_quoted(coordinator: User) -> None:
    from trial import audit

    with pytest.raises(IntegrityError) as refusal, transaction.atomic(), audit.revision(by=coordinator):
        Site.objects.create(code="GE", name=SECRET)
    line = logged(refusal.value)
    assert "psycopg.errors.UniqueViolation (23505)" in line
    assert "Key (code)" in str(refusal.value)
    assert "Key (code)" not in line
    assert SECRET not in line


def test_production_logs_that_way() -> None:
    script = (
        "import django, logging; django.setup();\n"
        f"try: int({SECRET!r})\n"
        "except ValueError: logging.getLogger('trial').exception('it broke')"
    )
    done = start(PRODUCTION, "-c", script)
    assert "builtins.ValueError" in done.stderr
    assert SECRET not in done.stderr
