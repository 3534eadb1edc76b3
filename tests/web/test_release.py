"""From a verdict to all of the traffic, by real processes."""

from __future__ import annotations

import contextlib
import os
import signal

import pytest

from gonogo.types.errors import NotConfirmed, ReleaseRefused
from gonogo.types.release import Phase
from gonogo.workflow import rollout
from gonogo.workflow.release import release
from gonogo.workflow.rollback import rollback
from tests.web.served import NAME, calling, entries, serving, wait_for


def test_a_good_challenger_goes_all_the_way_and_nobody_is_refused_an_answer(world):
    with serving(world) as served, calling(served) as callers:
        opened = release(folder=world)
        served.reaches(Phase.SETTLED)
        wait_for(lambda: callers.n(200, "champion") > 50)
        callers.end()
        assert callers.n() == callers.n(200)
        kinds = [(e.kind, e.body.get("to")) for e in entries(world) if e.kind.startswith(("rollout", "release"))]
        assert kinds == [
            ("rollout_opened", None),
            ("rollout_step", "shadow"),
            ("rollout_step", "canary"),
            ("rollout_step", "full"),
            ("release", None),
            ("rollout_step", "settled"),
        ]
        # A worker follows the ledger a moment later.
        champions = iter(lambda: served.get(f"/v1/contracts/{NAME}")[1]["position"]["champion"], None)
        wait_for(lambda: next(champions) == opened.plan.challenger)


def test_before_any_release_the_baseline_answers_and_says_so(world):
    with serving(world, workers=1) as served:
        status, said = served.ask()
        assert (status, said["by"], said["arm"]) == (200, "model", "champion")
        assert "nothing is released" in served.said()


def test_a_rollback_is_said_once_every_worker_has_confirmed_it(world):
    with serving(world) as served, calling(served) as callers:
        release(folder=world)
        served.reaches(Phase.CANARY, Phase.FULL, Phase.PROBATION)
        wait_for(lambda: callers.n(arm="challenger"))
        done = rollback(NAME, "I do not trust it", folder=world, by="ada")
        n = callers.n(arm="challenger")
        wait_for(lambda: callers.n(arm="champion") > 200)
        # Each caller may have had one answer on its way to it.
        assert callers.n(arm="challenger") - n <= 3
        assert done.workers == (1, 2)
        assert entries(world)[-1].by == "ada"
        assert served.standing().phase is Phase.ROLLED_BACK


def test_where_nobody_serves_a_rollback_is_recorded_and_the_next_server_follows_it(world):
    with serving(world) as served, calling(served):
        release(folder=world)
        served.reaches(Phase.CANARY, Phase.FULL, Phase.PROBATION, Phase.SETTLED)
    assert rollback(NAME, "too late at night", folder=world).workers == ()
    with serving(world, workers=1) as served:
        status, said = served.ask()
        assert (status, said["arm"]) == (200, "champion")
        assert served.standing().phase is Phase.ROLLED_BACK
        assert served.get(f"/v1/contracts/{NAME}")[1]["position"]["challenger"] == ""


def test_a_worker_that_hangs_is_not_taken_for_one_that_has_confirmed(world, monkeypatch):
    monkeypatch.setattr("gonogo.workflow.confirm.PATIENCE_S", 0.3)
    with serving(world) as served, calling(served, n=1):
        release(folder=world)
        served.reaches(Phase.SHADOW, Phase.CANARY, Phase.FULL, Phase.PROBATION)
        hung = served.pages()[0].pid
        os.kill(hung, signal.SIGSTOP)
        try:
            with pytest.raises(NotConfirmed) as caught:
                rollback(NAME, "harm", folder=world)
            assert f"process {hung}" in caught.value.found
            assert served.standing().phase is Phase.ROLLED_BACK
        finally:
            with contextlib.suppress(ProcessLookupError):  # the server may have ended it by now, and started another
                os.kill(hung, signal.SIGCONT)


def test_a_rollout_waits_while_it_is_held_and_goes_on_after(world):
    with serving(world) as served, calling(served):
        release(folder=world)
        rollout.hold(world, why="the owner is at lunch")
        held = served.standing()
        with pytest.raises(ReleaseRefused, match="under way"):
            release(folder=world)
        wait_for(lambda: rollout.latest_judgement(served.places, held) is not None or held.phase is Phase.REGISTERED)
        assert served.standing().step == held.step
        rollout.resume(world, why="back again")
        served.reaches(Phase.SETTLED)


def test_over_http_who_did_it_stands_in_the_ledger(world):
    with serving(world, workers=1) as served, calling(served):
        status, said = served.post("/v1/releases", {}, timeout_s=120)
        assert (status, said["contract"]) == (201, NAME)
        served.reaches(Phase.CANARY, Phase.FULL, Phase.PROBATION, Phase.SETTLED)
        status, said = served.post(f"/v1/contracts/{NAME}/rollback", {"why": "over HTTP"})
        assert (status, said["command"], said["workers"]) == (200, "rollback", [1])
        assert entries(world)[-1].by == "local"
        assert served.get(f"/v1/contracts/{NAME}/rollout")[1]["standing"]["phase"] == "rolled_back"
        assert served.post(f"/v1/contracts/{NAME}/rollback", {"why": "again"})[0] == 409
        assert served.post(f"/v1/contracts/{NAME}/rollback", {})[0] == 422
        assert served.post("/v1/contracts/others/rollback", {"why": "x"})[0] == 404
