"""Which code computed a result: the release and a hash of everything that computes.

Read once, when the process starts, so that it names the code that is loaded and
not what a deployment has put on the disk since.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path

from django.conf import settings
from django.utils import timezone

_HERE = Path(__file__).resolve().parent
_DOES_NOT_COMPUTE = frozenset(
    {"__init__", "apps", "code_version", "contrast_page", "datasets", "figures", "flow", "forms", "guarantee_time", "locks", "looks", "meld_preview", "models", "moved",
     "pump", "reports", "selectors", "tasks", "touched", "trend", "urls", "words"}
)  # fmt: skip
"""Modules of this floor without influence on a stored number; a new one counts until it is named here."""
_BELOW = ("protocol", "units")
_LIBRARIES = ("numpy", "scipy")


def _computing() -> list[Path]:
    here = [path for path in _HERE.glob("*.py") if path.stem not in _DOES_NOT_COMPUTE]
    return sorted(here) + [_HERE.parent / "trial" / f"{name}.py" for name in _BELOW]


def _digest() -> str:
    digest = hashlib.sha256()
    for path in _computing():
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    for library in _LIBRARIES:
        digest.update(f"{library} {version(library)}".encode())
    return digest.hexdigest()[:12]


CURRENT = f"{settings.CODE_VERSION}+{_digest()}"
READ_AT = timezone.now()
