"""The label of synthetic data: on where the demonstration stands, off where somebody began their own study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trial import synthetic_label


def test_who_begins_a_study_of_their_own_is_not_called_invented(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR, settings.SYNTHETIC = tmp_path / "data", True
    assert synthetic_label.is_on()
    synthetic_label.put_on()
    synthetic_label.take_off()
    synthetic_label.take_off()
    assert not synthetic_label.is_on()
    synthetic_label.put_on()
    assert synthetic_label.is_on()


def test_production_never_wears_it(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR, settings.SYNTHETIC = tmp_path, False
    synthetic_label.put_on()
    assert not synthetic_label.is_on()
