"""A save is there as soon as it is confirmed, and wholly or not at all when its process dies."""

from __future__ import annotations

import signal

import pytest

from patients.models import LabResult
from tests import processes
from tests.faults.checks import Saves, a_study, saving

pytestmark = [pytest.mark.committed, pytest.mark.slow]


def stored(save: tuple[int, str, str]) -> bool:
    result = LabResult.objects.get(visit=save[0], analyte=save[1])
    return float(result.value) == float(save[2])


@pytest.mark.parametrize(
    ("failpoint", "is_there"),
    [
        pytest.param("record_before_write", False, marks=pytest.mark.exhaustive),
        pytest.param("record_after_write", False, marks=pytest.mark.exhaustive),
        ("record_before_commit", False),
        ("record_after_commit", True),
    ],
)
def test_a_saver_killed(failpoint: str, is_there: bool) -> None:
    a_study(4)
    all_saves = Saves()
    for seed, turn in enumerate((1, 2, 9), start=1):
        env = processes.environment(CORDLINE_FAILPOINT=f"{failpoint}=kill@{turn}")
        with saving(20, seed=seed, pause=0, env=env) as saves:
            pass
        assert saves.ended == -signal.SIGKILL
        assert len(saves.tried) == len(saves.done) + 1
        assert stored(saves.tried[-1]) is is_there
        all_saves.tried += saves.tried
        all_saves.done += saves.done
        all_saves.assert_kept()
