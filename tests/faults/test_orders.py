"""Orders that rest on what was true at another time are refused."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest

from gonogo.ledger import registry, rollouts
from gonogo.serving.places import Places
from gonogo.serving.route import RouteReader, RouteWriter
from gonogo.types.errors import ReleaseRefused
from gonogo.types.evidence import Evidence
from gonogo.types.record import canonical
from gonogo.types.release import Phase, Plan
from gonogo.types.verdict import Verdict
from gonogo.workflow.control import Controller
from gonogo.workflow.release import release
from gonogo.workflow.rollout import advance
from gonogo.workflow.serve import prepare
from gonogo.workflow.workspace import open_workspace
from tests.gates.rollout_worlds import judgement
from tests.web.served import NAME, wait_for

DAYS_NS = 30 * 86_400_000_000_000


def stepped(folder, to: Phase, *, share: float):
    """The rollout of the folder, taken so far by hand, without anybody who serves."""
    workspace = open_workspace(folder)
    now = rollouts.standing(workspace.ledger.entries(), NAME)
    plan = workspace.records.get(Plan, now.rollout)
    while now.phase is not to:
        stage = plan.stages[now.step + 1]
        body = {"contract": NAME, "rollout": now.rollout, "from": now.phase.value, "to": stage.phase.value, "step": now.step + 1}
        workspace.ledger.append("rollout_step", {**body, "share": stage.share, "epoch": now.epoch + 1, "because": "certificate"})
        now = rollouts.standing(workspace.ledger.entries(), NAME)
    assert now.share == share
    return plan, now


def show(folder, plan, now) -> None:
    """A judgement that passes, as a controller left it before it ended."""
    path = Places.of(folder).judge_of(now.rollout) / "latest.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(canonical(replace(judgement(plan, now.step, baked_us=0), start=now.start, epoch=now.epoch)))


def test_nothing_is_advanced_on_what_a_controller_said_before_it_ended(world):
    release(folder=world)
    plan, now = stepped(world, Phase.SHADOW, share=0.0)
    show(world, plan, now)
    with pytest.raises(ReleaseRefused, match="Nobody judges this rollout now"):
        advance(world, why="it looked well")
    assert rollouts.standing(open_workspace(world).ledger.entries(), NAME) == now
    writer = RouteWriter(Places.of(world).route)
    writer.renew(time.monotonic_ns())
    writer.close()
    assert advance(world, why="it looks well").standing.phase is Phase.CANARY


def test_a_lease_of_an_earlier_start_of_the_machine_gives_the_challenger_nobody(world):
    """Its clock had run for a month: by this one's the lease would last as long."""
    release(folder=world)
    stepped(world, Phase.CANARY, share=0.2)
    places = Places.of(world)
    wanted = prepare(world).route
    assert wanted.share == 0.2
    writer = RouteWriter(places.route)
    writer.write(wanted)
    writer.renew(time.monotonic_ns() + DAYS_NS)
    writer.close()
    prepare(world)
    reader = RouteReader(places.route)
    assert reader.current(time.monotonic_ns()).share == 0.0
    reader.close()


def test_a_verdict_against_a_model_that_was_brought_back_since_is_refused(world):
    workspace = open_workspace(world)
    entry = registry.last(workspace.ledger.entries(), "verdict", contract=NAME)
    verdict = workspace.records.get(Verdict, entry.body["verdict"])
    evidence = replace(workspace.records.get(Evidence, verdict.evidence), champion_is="champion")
    of_another = workspace.records.put(replace(verdict, evidence=workspace.records.put(evidence)))
    workspace.ledger.append("verdict", {**entry.body, "verdict": of_another})
    with pytest.raises(ReleaseRefused, match="brought back since"):
        release(folder=world)


def test_an_experiment_whose_sample_cannot_be_worked_out_is_not_begun(world):
    import gonogo

    path = world / "contract.toml"
    path.write_text(path.read_text().replace("[rollout]", '[rollout]\nmethod = "ab"'))
    assert gonogo.run(world).verdict.go
    with pytest.raises(ReleaseRefused, match="cannot be worked out"):
        release(folder=world)


def test_a_controller_without_a_judge_gives_no_sign_of_life(world, monkeypatch):
    """His loops are compiled anew, or that never ends: nobody sees what the challenger does, so it answers nobody."""
    release(folder=world)
    stepped(world, Phase.CANARY, share=0.2)
    prepare(world)
    comes, now = threading.Event(), [10**12]
    monkeypatch.setattr("gonogo.workflow.control._call_judge", lambda plan: comes.wait(60))
    controller = Controller(world, NAME, clock=lambda: now[0], say=lambda text: None)
    reader = RouteReader(Places.of(world).route)
    try:
        controller.turn()
        assert reader.is_watched(now[0])
        now[0] += 11 * 10**9
        controller.turn()
        assert not reader.is_watched(now[0])
        comes.set()
        wait_for(lambda: controller.turn() or reader.is_watched(now[0]))
    finally:
        comes.set()
        controller.close()
        reader.close()
