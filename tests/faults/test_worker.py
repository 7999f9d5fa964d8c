"""A real worker: results follow every save, whatever is killed, and whenever the worker comes."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import ExitStack
from functools import partial

import psutil
import pytest
from django.utils import timezone

from analytics.models import Failure, Run
from tests import processes
from tests.faults.checks import (
    a_study,
    assert_equal_to_a_full_recompute,
    checking,
    is_current,
    saving,
    somebody_refreshes,
    touch,
    wait_until_current,
)
from trial import audit

pytestmark = [pytest.mark.committed, pytest.mark.slow]

SAVES = 200
FAILPOINTS = ("refresh_after_read", "refresh_before_store", "refresh_before_commit", "refresh_after_commit")


def test_results_follow_saves_before_it_started_one_by_one_and_in_a_burst() -> None:
    """One worker for the three: most of the seconds of each would be its start."""
    ward = a_study()
    with saving(20, pause=0) as early:
        pass
    assert len(early.done) == 20
    assert not is_current()

    with processes.worker():
        wait_until_current()
        assert Run.objects.count() == 1
        early.assert_kept()

        waits = []
        for _ in range(5):
            number = touch(ward)
            waits.append(wait_until_current())
            run = Run.objects.first()
            assert run
            assert run.revision == number
            assert not run.full

        before = Run.objects.count()
        with saving(100, seed=2, pause=0) as burst:
            pass
        wait_until_current()

    runs = Run.objects.count() - before
    print(
        f"\nsave to current, s: median {sorted(waits)[2]:.2f}, longest {max(waits):.2f}; {runs} runs for 100 saves"
    )
    assert len(burst.done) == 100
    assert runs < 100
    burst.assert_kept()
    assert_equal_to_a_full_recompute()


def a_child_was_replaced(worker: subprocess.Popen[bytes], seen: set[int]) -> bool:
    """Return whether a child that was killed has a successor."""
    seen.update(child.pid for child in psutil.Process(worker.pid).children())
    return len(seen) > 2


@pytest.mark.parametrize(
    "failpoints",
    [
        pytest.param(("refresh_before_store", "refresh_after_commit"), id="two"),
        pytest.param(FAILPOINTS, id="all", marks=pytest.mark.exhaustive),
    ],
)
def test_workers_killed_in_mid_refresh_lose_nothing_and_no_label_lies(failpoints: tuple[str, ...]) -> None:
    a_study()
    with checking() as checker:
        with saving(SAVES) as saves:
            for failpoint in failpoints:
                # a refresh lies open at the failpoint, and the whole worker dies there
                stopped = processes.environment(CORDLINE_FAILPOINT=f"{failpoint}=sleep:2")
                with processes.worker(env=stopped) as worker:
                    processes.wait_until(somebody_refreshes, "a refresh is at work")
                    os.killpg(worker.pid, signal.SIGKILL)
                # a refresh kills its process there, and the worker goes on with another
                struck = processes.environment(CORDLINE_FAILPOINT=f"{failpoint}=kill@2")
                with processes.worker(env=struck) as worker:
                    processes.wait_until(partial(a_child_was_replaced, worker, set()), "a child was replaced")
                    os.killpg(worker.pid, signal.SIGKILL)
        with processes.worker():
            wait_until_current(60)
            with saving(20, seed=2, pause=0.2) as later:
                pass
            wait_until_current()

    print(
        f"\n{len(saves.done)} saves, {2 * len(failpoints)} kills, {checker.looks} looks, {checker.current} of them called current,"
        f" {Run.objects.count()} runs"
    )
    assert saves.ended == 0
    assert len(saves.done) >= SAVES
    assert checker.current >= 10
    later.tried[:0], later.done[:0] = saves.tried, saves.done
    later.assert_kept()
    runs = list(Run.objects.order_by("id").values_list("revision", flat=True))
    assert runs == sorted(set(runs))
    assert runs[-1] == audit.latest_revision()
    assert_equal_to_a_full_recompute()


@pytest.mark.exhaustive
def test_an_idle_child_that_dies_does_not_stop_the_results() -> None:
    """A killed idle child can take the in-process broker's lock with it: then the pump does the work itself."""
    ward = a_study()
    hasty = processes.environment(CORDLINE_STUCK_SECONDS="1")
    with processes.worker(env=hasty, concurrency=1) as worker:
        wait_until_current()
        for child in psutil.Process(worker.pid).children():
            child.kill()
        touch(ward)
        wait_until_current(40)
        touch(ward)
        wait_until_current(40)
    assert_equal_to_a_full_recompute()


@pytest.mark.exhaustive
def test_another_worker_takes_over() -> None:
    ward = a_study()
    with ExitStack() as stack:
        first = stack.enter_context(processes.worker(concurrency=1))
        wait_until_current()
        stack.enter_context(processes.worker(concurrency=1))
        os.killpg(first.pid, signal.SIGKILL)
        touch(ward)
        wait_until_current()
    assert_equal_to_a_full_recompute()


@pytest.mark.exhaustive
def test_a_refresh_that_fails_is_tried_again_with_pauses() -> None:
    a_study()
    started = timezone.now()
    with processes.worker(env=processes.environment(CORDLINE_FAILPOINT="refresh_before_store=raise")):
        processes.wait_until(lambda: Failure.objects.count() >= 2, "it failed twice")
        seconds = (timezone.now() - started).total_seconds()
        assert Failure.objects.count() <= 2 + seconds / 2, "never a hot loop"
        assert not is_current()
    with processes.worker():
        wait_until_current()
    assert_equal_to_a_full_recompute()
