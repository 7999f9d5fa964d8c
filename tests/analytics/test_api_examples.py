"""The examples of docs/api.md do what they say, over a real connection."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from patients.models import LabResult
from tests import factories
from tests.api import a_token
from trial.models import Site, User

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text(encoding="utf-8")


@pytest.mark.committed
def test_the_python_examples_run(
    live_server: Any, data_manager: User, sites: dict[str, Site], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    patient = factories.a_patient(site=sites["GE"], subject_id="GE-001")
    monkeypatch.setenv("CORDLINE_URL", live_server.url)
    monkeypatch.setenv("CORDLINE_TOKEN", a_token(data_manager))
    read, change, write = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    exec(write, {})
    assert LabResult.objects.filter(patient=patient).count() == 2
    printed = capsys.readouterr().out
    assert "tbil entered 140.22 umol/L" in printed
    known: dict[str, Any] = {}
    exec(read.replace("limit=1000", "limit=1"), known)
    assert [row["analyte"] for row in known["rows"]] == ["tbil", "alt"]
    exec(write, {})
    assert "tbil same" in capsys.readouterr().out
    for version in (1, 1):
        exec(change, {})
        assert re.fullmatch(rf'200 "[0-9]+\.{version}"\n', capsys.readouterr().out), (
            "the same again changes nothing"
        )
    assert LabResult.objects.get(patient=patient, visit__week=4).value == 64
