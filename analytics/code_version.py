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
    {"__init__", "adam", "adlb", "apps", "bedside", "captured", "causes", "cell_history", "code_version", "contrast_files", "contrast_page", "contrast_sensitivity", "contrast_source", "contrast_table_files", "contrast_tables", "contrast_words", "cox", "datasets", "declarations", "export_form", "export_page", "fact_columns", "fairness", "family", "figures", "flow", "flow_figure", "flow_files", "flow_reading", "follow_up", "followed", "forms", "guarantee_time", "import_groups", "import_page", "liver_scores", "locks", "looks", "meld_preview", "mixed", "models", "models_reading", "moved", "moves",
     "paper", "paper_documents", "paper_drawing", "paper_figures", "paper_methods", "paper_set",
     "paper_tables", "paper_words", "pump", "regression", "reports", "rows_behind", "score_history", "score_table", "shared_columns", "safety", "safety_reading", "selectors", "sensitivity", "snapshot_archive", "snapshot_diff", "snapshots", "survival", "survival_figure", "survival_files", "survival_reading", "synthetic_bedside", "tasks", "touched", "trend", "trend_figure", "trend_group", "trend_lanes", "trend_paper", "trend_table", "trend_terms", "trend_words", "urls", "whereabouts", "words"}
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


def digest_of(*modules: str) -> str:
    """Return a hash of modules that compute no cell, for reports that must not outlive their code."""
    digest = hashlib.sha256()
    for name in modules:
        digest.update(name.encode() + b"\0" + (_HERE / f"{name}.py").read_bytes())
    return digest.hexdigest()[:8]


CURRENT = f"{settings.CODE_VERSION}+{_digest()}"
READ_AT = timezone.now()
