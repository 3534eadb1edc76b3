"""kill -9 on the edges of the table: what the ledger did not give, nobody gets, and the rollout goes on where the ledger stands.

A part of what `benchmarks/serving/kills.py` does at every edge.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gonogo.types.release import Phase
from gonogo.workflow.release import release
from gonogo.workflow.rollback import rollback
from tests.faults import killing
from tests.web.served import NAME, Served, calling, serving, wait_for

TO = {"shadow": 1, "canary": 2, "full": 3, "probation": 4, "settled": 5}  # epochs of the first rollout in this world


@contextmanager
def watched(world) -> Iterator[Served]:
    """A server under traffic that is killed where it is armed; in the end nothing happened that the ledger did not give."""
    with serving(world, environment=killing.environment(world)) as served, calling(served) as callers:
        routes = killing.RoutesSeen(served.places)
        yield served
        wait_for(lambda: len(served.pages()) == 2 and all(page.heartbeat_ns and page.holds.ready for page in served.pages()))
        n = callers.n(200)
        wait_for(lambda: callers.n(200) > n + 50)
        callers.end()
        assert {status for status, *_ in callers.answers} <= {0, 200}  # 0: cut off with the process that it was connected to
        assert killing.broken(served, routes.end(), ()) == []


def reached(folder, *places):
    wait_for(lambda: not killing.unreached(folder), what=f"{killing.unreached(folder)}")
    assert sorted(kill.place for kill in killing.kills(folder)) == sorted(places)


@pytest.mark.parametrize(
    "places",
    [
        {"shadow": "recorded", "canary": "judged", "full": "committing", "probation": "half", "settled": "routed"},
        {"canary": "follows", "full": "sees", "probation": "says"},
    ],
    ids=["controller", "worker"],
)
def test_a_rollout_goes_all_the_way_though_somebody_is_killed_at_its_edges(world, places):
    with watched(world) as served:
        for phase, place in places.items():
            killing.arm(world, place, TO[phase])
        killing.arm(world, "loaded", "challenger")
        release(folder=world)
        served.reaches(Phase.SETTLED, timeout_s=60)
        reached(world, "loaded", *places.values())


@pytest.mark.parametrize("place", ["committing", "recorded"])
def test_an_order_whose_giver_is_killed_is_given_or_is_not(world, place):
    with watched(world) as served:
        release(folder=world)
        now = served.reaches(Phase.SHADOW, Phase.CANARY, Phase.FULL, Phase.PROBATION)
        for ahead in range(1, 5):  # it may have gone on before the order is given
            killing.arm(world, place, now.epoch + ahead)
        command = [sys.executable, "-m", "gonogo.cli.main", "rollback", NAME, "--why", "enough", "--folder", str(world)]
        subprocess.run(command, env={**os.environ, **killing.environment(world)}, timeout=60, check=False, capture_output=True)
        killing.disarm(world)
        if served.standing().phase is not Phase.ROLLED_BACK:
            rollback(NAME, "enough", folder=world)
        assert served.standing().phase is Phase.ROLLED_BACK
        wait_for(lambda: served.get(f"/v1/contracts/{NAME}")[1]["position"]["challenger"] == "")


def killed_at_random(served) -> int:
    """The process that was killed; 0 where the one drawn had ended by itself since it was listed."""
    pids = [served.controller(), *(page.pid for page in served.pages())]
    pid = random.choice([pid for pid in pids if pid] or [0])
    try:
        if pid:
            os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return 0
    return pid


def test_what_is_killed_at_random_comes_back(world):
    with watched(world) as served:
        release(folder=world)
        for _ in range(4):
            pid = wait_for(lambda: killed_at_random(served))
            wait_for(lambda pid=pid: served.controller() not in (0, pid) and pid not in [page.pid for page in served.pages()])
        served.reaches(Phase.SETTLED, Phase.ROLLED_BACK, timeout_s=60)


def test_workers_that_died_before_a_release_are_not_held_against_it(world):
    def die(served, n):
        for page in served.pages()[:n]:
            os.kill(page.pid, signal.SIGKILL)
            wait_for(lambda pid=page.pid: len(left := served.pages()) == 2 and all(p.pid != pid and p.heartbeat_ns for p in left))

    with watched(world) as served:
        release(folder=world)
        served.reaches(Phase.SHADOW)
        rollback(NAME, "not today", folder=world)
        die(served, 2)
        release(folder=world)
        served.reaches(Phase.SHADOW)
        die(served, 1)
        served.reaches(Phase.SETTLED, timeout_s=60)


def test_a_challenger_that_kills_whoever_loads_it_is_brought_back(world):
    with watched(world) as served:
        (world / "fatal").touch()
        release(folder=world)
        served.reaches(Phase.ROLLED_BACK)
        assert "Workers died" in served.standing().why


def test_a_challenger_that_was_refused_is_tried_again_when_it_is_released_again(world):
    with watched(world) as served:
        (world / "refuse").touch()
        release(folder=world)
        served.reaches(Phase.ROLLED_BACK)
        (world / "refuse").unlink()
        release(folder=world)
        served.reaches(Phase.SETTLED, timeout_s=60)
