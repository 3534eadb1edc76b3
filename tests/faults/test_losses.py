"""What came true decides: outcomes are posted, joined and judged, and move a release on or bring it back."""

from __future__ import annotations

import http.client
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gonogo.serving.places import Places
from gonogo.types.release import Judgement, Phase
from gonogo.workflow.release import release
from gonogo.workflow.rollout import resume, status
from gonogo.workflow.workspace import open_workspace
from tests.faults import canaries
from tests.faults.test_processes import CLOCK, jump
from tests.web.served import NAME, Served, entries, question, serving, wait_for

GUARDRAIL = """
[[guardrails]]
name = "no worse than before"
metric = "log_loss"
at_most = 0.5
range = [0.0, 3.0]
"""
WATCH = "no worse than before"


@pytest.fixture
def lossy(world):
    """A world whose release is judged by what came true as well."""
    import gonogo

    path = world / "contract.toml"
    path.write_text(path.read_text() + GUARDRAIL)
    assert gonogo.run(world).verdict.go
    return world


@contextmanager
def living_through(served: Served, n: int = 3) -> Iterator[list[int]]:
    """Callers who say later what came of it: one parcel in four is late. Gives the refusals."""
    stop, refused = threading.Event(), list[int]()

    def live(first: int) -> None:
        i = first
        while not stop.is_set():
            asked = question()
            late = {"parcel": asked["parcel"], "y": int(i % 4 == 0), "known_at": "2024-06-15T00:00:00Z"}
            try:
                told = [served.ask(asked)[0], served.post(f"/v1/contracts/{NAME}/outcomes", late)[0]]
            except (OSError, http.client.HTTPException):
                told = [0]
            refused.extend(status for status in told if status != 200)
            i += 1

    threads = [threading.Thread(target=live, args=(i,), daemon=True) for i in range(n)]
    for thread in threads:
        thread.start()
    try:
        yield refused
    finally:
        stop.set()
        for thread in threads:
            thread.join(15)


def rulings(folder, entry):
    judgement = open_workspace(folder).records.get(Judgement, entry.body["judgement"])
    return {ruling.watch: ruling for ruling in judgement.rulings}


def test_losses_of_what_came_true_promote_a_challenger_that_is_no_worse(lossy):
    with serving(lossy) as served, living_through(served) as refused:
        release(folder=lossy)
        served.reaches(Phase.PROBATION, Phase.SETTLED)
    assert refused == []
    released = next(entry for entry in entries(lossy) if entry.kind == "release")
    assert WATCH in released.body["certified"]


@pytest.mark.parametrize("hours", ["1", "-1"])
def test_a_wall_clock_that_jumps_while_labels_are_waited_for_holds_until_a_person_has_set_it_right(lossy, hours):
    """Also where the controller dies at the same moment: what it counted by is kept."""
    site = lossy / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(CLOCK)
    with serving(lossy, environment=canaries.site_of(lossy)) as served, living_through(served):
        release(folder=lossy)
        began = served.reaches(Phase.SHADOW, Phase.CANARY)
        wait_for((Places.of(lossy).judge_of(began.rollout) / "clock.json").exists, timeout_s=30)
        jump(lossy, hours)
        os.kill(wait_for(served.controller), signal.SIGKILL)  # never 0, which is everybody
        wait_for(lambda: status(lossy).standing.held.startswith("Clock: "), timeout_s=60)
        stands = status(lossy)
        assert any(alarm.startswith("the clocks disagree: ") for alarm in stands.alarms)
        assert stands.standing.phase in (Phase.SHADOW, Phase.CANARY)
        jump(lossy, "0")
        resume(lossy, why="the clock is right again")
        served.reaches(Phase.PROBATION, Phase.SETTLED)
    assert [entry.kind for entry in entries(lossy)].count("rollout_held") == 1


def test_losses_of_what_came_true_bring_back_a_challenger_that_answers_wrongly(lossy):
    environment = {**canaries.environment(lossy, "wrong"), "GONOGO_PROVE_EVERY_S": "600"}  # its probes must not find it first
    with serving(lossy, environment=environment) as served, living_through(served) as refused:
        (lossy / "fault").unlink(missing_ok=True)
        release(folder=lossy)
        served.reaches(Phase.SHADOW)
        (lossy / "fault").touch()
        served.reaches(Phase.ROLLED_BACK)
    assert refused == []
    last = entries(lossy)[-1]
    assert last.body["because"] == "harm"
    ruling = rulings(lossy, last)[WATCH]
    assert ruling.status.value == "fail"
    assert "harm is shown: by line " in ruling.sentence
    assert ruling.low is None or ruling.low > 0  # no end that says otherwise
