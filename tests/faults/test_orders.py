"""Orders that rest on what was true at another time are refused."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest

from gonogo.gates.rollout import Act, Move
from gonogo.ledger import registry, rollouts
from gonogo.serving.places import Places
from gonogo.serving.route import RouteReader, RouteWriter
from gonogo.serving.workerpage import Holds, WorkerPage
from gonogo.types.errors import LedgerBusy, LogFailed, ReleaseRefused, StorageFailed
from gonogo.types.evidence import Evidence
from gonogo.types.record import canonical
from gonogo.types.release import Phase, Plan
from gonogo.types.verdict import Verdict
from gonogo.workflow import routes
from gonogo.workflow.control import Controller
from gonogo.workflow.release import release
from gonogo.workflow.rollout import advance
from gonogo.workflow.serve import prepare
from gonogo.workflow.workspace import open_workspace
from tests.gates.rollout_worlds import judgement
from tests.web.served import NAME, entries, wait_for

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
    monkeypatch.setattr("gonogo.workflow.trial.warm", lambda plan: comes.wait(60))
    controller = Controller(world, NAME, clock=lambda: now[0], say=lambda text: None)
    reader = RouteReader(Places.of(world).route)
    try:
        controller.turn()
        assert not reader.is_watched(now[0])
        comes.set()
        wait_for(lambda: controller.turn() or reader.is_watched(now[0]))
    finally:
        comes.set()
        controller.close()
        reader.close()


def test_a_contract_that_was_edited_after_its_verdict_is_not_released(world):
    path = world / "contract.toml"
    path.write_text(path.read_text().replace("ratio_at_most = 2.0", "ratio_at_most = 50.0"))
    with pytest.raises(ReleaseRefused, match="contract has changed since the verdict"):
        release(folder=world)


def test_a_verdict_that_is_not_the_last_word_is_not_released(world):
    workspace = open_workspace(world)
    entry = registry.last(workspace.ledger.entries(), "verdict", contract=NAME)
    newer = workspace.records.put(replace(workspace.records.get(Verdict, entry.body["verdict"]), waivers=("sha256:" + "0" * 64,)))
    workspace.ledger.append("verdict", {**entry.body, "verdict": newer})
    with pytest.raises(ReleaseRefused, match="not the last word"):
        release(entry.body["verdict"], folder=world)


def test_a_verdict_against_another_model_than_the_live_one_is_refused(world):
    workspace = open_workspace(world)
    entry = registry.last(workspace.ledger.entries(), "verdict", contract=NAME)
    verdict = workspace.records.get(Verdict, entry.body["verdict"])
    workspace.ledger.append("release", {"contract": NAME, "candidate": verdict.candidate, "verdict": entry.body["verdict"]})
    with pytest.raises(ReleaseRefused, match="another model than the one that is live"):
        release(folder=world)


def test_a_second_release_waits_for_the_end_of_the_first(world):
    release(folder=world)
    n = len(entries(world))
    with pytest.raises(ReleaseRefused, match="under way"):
        release(folder=world)
    assert len(entries(world)) == n  # not even an entry that is void


@pytest.mark.parametrize("failure", [LedgerBusy, StorageFailed, LogFailed])
def test_a_controller_in_trouble_gives_no_sign_of_life(world, monkeypatch, failure):
    prepare(world)
    now = [10**12]
    controller = Controller(world, NAME, clock=lambda: now[0], say=lambda text: None)
    reader = RouteReader(Places.of(world).route)

    def fails(new: object = None) -> None:
        raise failure("it cannot be written")

    try:
        controller.turn()
        assert reader.is_watched(now[0])
        with monkeypatch.context() as patch:
            patch.setattr(controller, "_watch", fails)
            now[0] += 3 * 10**9
            controller.turn()
            assert not reader.is_watched(now[0])
        controller.turn()
        assert reader.is_watched(now[0])
    finally:
        controller.close()
        reader.close()


@pytest.mark.parametrize(("beats", "follows"), [(True, False), (False, True)])
def test_a_step_forward_waits_for_every_worker_and_a_step_back_for_none(world, beats, follows):
    """One worker gives no sign of life, or follows an earlier route."""
    release(folder=world)
    _, standing = stepped(world, Phase.SHADOW, share=0.0)
    now = [10**12]
    controller = Controller(world, NAME, clock=lambda: now[0], say=lambda text: None)
    places = Places.of(world)
    pages = [WorkerPage(places.workers, number) for number in (1, 2)]
    try:
        controller._read_ledger()
        pages[0].beat(now[0], follows=1, epoch=standing.epoch)
        pages[1].beat(now[0] if beats else now[0] - 3 * 10**9, follows=1, epoch=standing.epoch if follows else 0)
        stepping = Move(act=Act.STEP, because="certificate", why="all is shown", to=Phase.CANARY, step=1, share=0.2)
        controller._act(controller._plan, standing, stepping, None)
        assert controller.standing == standing
        pages[1].beat(now[0], follows=1, epoch=standing.epoch)
        controller._act(controller._plan, standing, stepping, None)
        assert controller.standing.phase is Phase.CANARY
        pages[1].beat(now[0] - 3 * 10**9, follows=1, epoch=0)
        back = Move(act=Act.ROLLBACK, because="harm", why="harm is shown", to=Phase.ROLLED_BACK)
        controller._act(controller._plan, controller.standing, back, None)
        assert controller.standing is None
    finally:
        for page in pages:
            page.close()
        controller.close()


def test_no_share_is_given_before_every_worker_holds_both_models(world):
    release(folder=world)
    _, standing = stepped(world, Phase.CANARY, share=0.2)
    prepare(world)
    now = [10**12]
    controller = Controller(world, NAME, clock=lambda: now[0], say=lambda text: None)
    places = Places.of(world)
    reader, page = RouteReader(places.route), WorkerPage(places.workers, 1)
    try:
        controller._read_ledger()
        packages = routes.packages(open_workspace(world).ledger.entries())
        both = (packages[standing.champion], packages[standing.challenger])
        controller._route.renew(now[0])
        for ready, share in (((), 0.0), (both[:1], 0.0), (both, 0.2)):
            page.beat(now[0], follows=1, epoch=standing.epoch)
            page.hold(Holds(ready=ready))
            controller._set_route()
            assert reader.current(now[0]).share == share
    finally:
        page.close()
        reader.close()
        controller.close()
