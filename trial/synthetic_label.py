"""Whether everything this installation shows and hands out is labelled as synthetic.

The label is the rule outside production, because what stands there is the study that
``seed_demo`` makes. Who begins without it (``run --empty``) begins a study of their own,
and calling real patients invented would be as wrong as the reverse. A file beside the
database remembers that, so that the web server, the worker and every command agree.
"""

from __future__ import annotations

from django.conf import settings

_OWN = "own_study"


def is_on() -> bool:
    """Return whether data are labelled as synthetic now."""
    return settings.SYNTHETIC and not (settings.DATA_DIR / _OWN).exists()


def take_off() -> None:
    """Label nothing from now on: what comes is not from ``seed_demo``."""
    settings.DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
    (settings.DATA_DIR / _OWN).touch(mode=0o600)


def put_on() -> None:
    """Label everything again, where the installation allows it: a synthetic study is about to be made."""
    (settings.DATA_DIR / _OWN).unlink(missing_ok=True)
