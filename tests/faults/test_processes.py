"""What goes wrong with processes, disks, clocks and people while traffic shifts, each with its safe outcome."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from gonogo.serving.route import RouteReader
from gonogo.types.errors import ControllerBusy, RecordUnknown, ReleaseRefused
from gonogo.types.package import Package
from gonogo.types.release import Phase
from gonogo.workflow import rollout
from gonogo.workflow.control import Controller, take_lock
from gonogo.workflow.release import release
from gonogo.workflow.rollback import rollback
from gonogo.workflow.workspace import open_workspace
from tests.faults import canaries
from tests.web.served import NAME, calling, entries, serving, wait_for


@pytest.fixture
def slow(world):
    """A world whose canary bakes for so long that a test is over first. Its verdict is reached anew: the contract is another one."""
    import gonogo

    path = world / "contract.toml"
    path.write_text(path.read_text().replace('bake = "200ms"', 'bake = "60s"'))
    assert gonogo.run(world).verdict.go
    return world


def at_canary(served):
    release(folder=served.folder)
    return served.reaches(Phase.CANARY)


@pytest.mark.parametrize("kind", ["raise", "nan"])
def test_a_canary_that_fails_is_brought_back_and_every_caller_is_answered(slow, kind):
    with serving(slow, environment=canaries.environment(slow, kind)) as served, calling(served) as callers:
        at_canary(served)
        (slow / "fault").touch()
        served.reaches(Phase.ROLLED_BACK)
        callers.end()
        assert callers.n() == callers.n(200)
        assert callers.n(200, "challenger", "fallback") > 0
        assert entries(slow)[-1].kind == "rollback"
        assert entries(slow)[-1].body["judgement"]


def test_a_canary_that_hangs_is_answered_for_by_the_fallback_and_brought_back(slow):
    with serving(slow, environment=canaries.environment(slow, "hang")) as served, calling(served, n=6) as callers:
        at_canary(served)
        (slow / "fault").touch()
        served.reaches(Phase.ROLLED_BACK)
        callers.end()
        assert callers.n() == callers.n(200)
        assert callers.n(200, "challenger", "fallback") > 0


def test_a_canary_that_kills_its_workers_is_brought_back_and_they_answer_again(slow):
    with serving(slow, environment=canaries.environment(slow, "die")) as served, calling(served) as callers:
        at_canary(served)
        (slow / "fault").touch()
        served.reaches(Phase.ROLLED_BACK)
        assert "Workers died" in entries(slow)[-1].body["why"]
        wait_for(lambda: len(served.pages()) == 2 and all(page.holds.ready for page in served.pages()))
        n = callers.n(200, "champion")
        wait_for(lambda: callers.n(200, "champion") > n + 50)
        assert {key[0] for key in callers.answers} <= {0, 200}


def test_a_shadow_that_hangs_costs_no_caller_anything(world):
    with serving(world, environment=canaries.environment(world, "hang"), workers=1) as served, calling(served) as callers:
        release(folder=world)
        served.reaches(Phase.SHADOW)
        (world / "fault").touch()
        n = callers.n(200)
        wait_for(lambda: callers.n(200) > n + 200)
        callers.end()
        assert callers.n() == callers.n(200)
        (world / "fault").unlink()


def test_two_controllers_of_one_folder_are_impossible(world):
    with serving(world, workers=1) as served:
        assert served.controller()
        with pytest.raises(ControllerBusy):
            take_lock(served.places)
        with pytest.raises(ControllerBusy):
            Controller(world, NAME)


def test_a_stage_that_nobody_can_judge_yet_is_watched_by_nobody(slow, monkeypatch):
    with serving(slow) as served, calling(served):
        now = at_canary(served)
        places = served.places
    controller, reader = Controller(slow, NAME), RouteReader(places.route)
    with monkeypatch.context() as missing:
        missing.setattr(Controller, "_has_judge", lambda self, plan: False)
        wait_for(lambda: controller.turn() or not reader.is_watched(time.monotonic_ns()))
        assert reader.current(time.monotonic_ns()).share == 0.0
    wait_for(lambda: controller.turn() or reader.is_watched(time.monotonic_ns()))
    assert controller.standing == now
    controller.close()


def test_when_the_controller_hangs_the_champion_answers_alone_and_the_share_comes_back_with_it(slow):
    with serving(slow) as served, calling(served) as callers:
        now = at_canary(served)
        wait_for(lambda: callers.n(arm="challenger") > 5)
        reader = RouteReader(served.places.route)
        hung = served.controller()
        os.kill(hung, signal.SIGSTOP)
        wait_for(lambda: reader.current(time.monotonic_ns()).share == 0.0)
        n_challenger, n = callers.n(arm="challenger"), callers.n(arm="champion")
        wait_for(lambda: callers.n(arm="champion") > n + 200)
        assert callers.n(arm="challenger") - n_challenger <= 3
        os.kill(hung, signal.SIGCONT)
        wait_for(lambda: reader.current(time.monotonic_ns()).share == now.share)
        assert served.standing() == now
        reader.close()


def test_who_is_waited_for_is_named_until_he_is_replaced(world):
    with serving(world) as served, calling(served, n=1):
        hung = served.pages()[0].pid
        os.kill(hung, signal.SIGSTOP)
        release(folder=world)
        wait_for(lambda: f"worker 1 (process {hung}) has not loaded the challenger" in rollout.status(world).waits_for)
        assert served.standing().phase is Phase.REGISTERED
        served.reaches(Phase.SHADOW, Phase.CANARY, Phase.FULL, Phase.PROBATION, Phase.SETTLED)


def test_a_controller_that_is_not_there_is_what_is_waited_for(slow):
    with serving(slow) as served, calling(served):
        at_canary(served)
        hung = served.controller()
        os.kill(hung, signal.SIGSTOP)
        wait_for(lambda: "controller gives no sign of life" in rollout.status(slow).waits_for)
        os.kill(hung, signal.SIGCONT)
        wait_for(lambda: rollout.status(slow).waits_for == "")


def test_a_controller_that_is_killed_goes_on_where_the_ledger_stands(slow):
    with serving(slow) as served, calling(served) as callers:
        now = at_canary(served)
        killed = served.controller()
        os.kill(killed, signal.SIGKILL)
        wait_for(lambda: served.controller() not in (0, killed))
        reader = RouteReader(served.places.route)
        wait_for(lambda: reader.current(time.monotonic_ns()).share == now.share)
        assert served.standing() == now
        assert rollback(NAME, "enough", folder=slow).workers == (1, 2)
        callers.end()
        assert callers.n() == callers.n(200)
        reader.close()


def test_a_rollback_target_that_is_lost_is_found_before_the_first_step(world):
    baseline, _ = canaries.packages(world)
    workspace = open_workspace(world)
    lost = next(iter(workspace.records.get(Package, baseline).artifact.values()))
    _blob(world, lost).unlink()
    with pytest.raises(RecordUnknown):
        release(folder=world)
    assert rollout.status(world).standing is None


def test_a_rollback_target_that_is_damaged_under_way_holds_the_rollout_and_raises_an_alarm(slow):
    with serving(slow, environment={"GONOGO_PROVE_EVERY_S": "0.1"}) as served, calling(served):
        at_canary(served)
        baseline, _ = canaries.packages(slow)
        damaged = next(iter(open_workspace(slow).records.get(Package, baseline).artifact.values()))
        path = _blob(slow, damaged)
        path.chmod(0o644)
        path.write_bytes(b"{}")
        held = wait_for(lambda: now if (now := served.standing()).held else None, timeout_s=30)
        assert "rollback target" in held.held
        assert any(entry.kind == "alarm" for entry in entries(slow))
        # Who has it in memory still answers with it.
        assert rollback(NAME, "before it is worse", folder=slow).workers == (1, 2)
        assert served.ask()[0] == 200


def test_a_rollback_wins_over_a_promotion_that_is_under_way(world):
    with serving(world) as served, calling(served):
        release(folder=world)
        served.reaches(Phase.CANARY, Phase.FULL, Phase.PROBATION)
        rollback(NAME, "stop", folder=world)
        after = len(entries(world))
        assert served.standing().phase is Phase.ROLLED_BACK
        reader = RouteReader(served.places.route)
        for _ in range(20):
            assert reader.current(time.monotonic_ns()).share == 0.0
            time.sleep(0.01)
        assert len(entries(world)) == after
        reader.close()


def test_a_contract_that_is_edited_under_way_changes_nothing_of_the_rollout(slow):
    with serving(slow) as served, calling(served):
        now = at_canary(served)
        path = slow / "contract.toml"
        path.write_text(path.read_text().replace("shares = [0.2, 1.0]", "shares = [0.9, 1.0]"))
        wait_for(lambda: rollout.status(slow).judgement is not None)
        assert served.standing() == now
        with pytest.raises(ReleaseRefused):
            release(folder=slow)


def _blob(folder: Path, digest: str) -> Path:
    return folder / ".gonogo" / "blobs" / digest.removeprefix("sha256:")


def test_the_challengers_share_never_rises_while_a_killed_controller_comes_back(slow):
    with serving(slow) as served, calling(served) as callers:
        now = at_canary(served)
        reader = RouteReader(served.places.route)
        seen: set[float] = set()
        for _ in range(3):
            killed = served.controller()
            os.kill(killed, signal.SIGKILL)

            def is_back(killed: int = killed) -> bool:
                moment = time.monotonic_ns()
                seen.add(reader.current(moment).share)
                return served.controller() not in (0, killed) and reader.is_watched(moment) and reader.current(moment).share == now.share

            wait_for(is_back)
            assert served.standing() == now
        assert seen <= {0.0, now.share}
        callers.end()
        assert callers.n() == callers.n(200)
        reader.close()


CLOCK = """
import os, time
from pathlib import Path

MARK, seconds, nanoseconds = Path(os.environ["GONOGO_FAULT"]) / "jump", time.time, time.time_ns


def hours():
    return int(MARK.read_text()) if MARK.exists() else 0


time.time = lambda: seconds() + 3600 * hours()
time.time_ns = lambda: nanoseconds() + 3_600_000_000_000 * hours()
"""


def jump(world, hours):
    (world / "next").write_text(hours)
    (world / "next").replace(world / "jump")  # a clock that is read meanwhile shows the one hour or the other, never an empty file


def test_a_wall_clock_that_jumps_an_hour_either_way_orders_nothing(world):
    site = world / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(CLOCK)
    with (
        serving(world, environment=canaries.site_of(world)) as served,
        calling(served) as callers,
    ):
        release(folder=world)
        served.reaches(Phase.SHADOW)
        jump(world, "-1")
        served.reaches(Phase.CANARY, Phase.FULL)
        jump(world, "1")
        served.reaches(Phase.SETTLED)
        callers.end()
        assert callers.n() == callers.n(200), callers.answers
        epochs = [entry.body["epoch"] for entry in entries(world) if "epoch" in entry.body]
        assert epochs == sorted(set(epochs))


FULL = """
import errno, os
from pathlib import Path

FOLDER = Path(os.environ["GONOGO_FAULT"])

from gonogo.serving import log, segments

log.SEGMENT_BYTES = segments.SEGMENT_BYTES = 1 << 16
log.Log.__init__.__kwdefaults__["segment_bytes"] = 1 << 16
create = segments.create


def refused(path, size):
    if (FOLDER / "full").exists():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return create(path, size)


segments.create = refused
"""


def test_a_disk_that_is_full_costs_no_caller_an_answer_and_moves_nothing_forward(slow):
    site = slow / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(FULL)
    with (
        serving(slow, environment=canaries.site_of(slow)) as served,
        calling(served) as callers,
    ):
        now = at_canary(served)
        (slow / "full").touch()
        wait_for(lambda: sum(page.unlogged for page in served.pages()) > 20)
        n = callers.n(200)
        wait_for(lambda: callers.n(200) > n + 100)
        after = served.standing()
        assert after.phase in (Phase.CANARY, Phase.ROLLED_BACK)
        assert after.share <= now.share
        (slow / "full").unlink()
        callers.end()
        assert callers.n() == callers.n(200)


def test_a_challenger_that_no_longer_answers_its_probes_answers_nobody(slow):
    environment = {**canaries.environment(slow, "wrong"), "GONOGO_PROVE_EVERY_S": "0.2"}
    with serving(slow, environment=environment, workers=1) as served, calling(served) as callers:
        at_canary(served)
        challenger = canaries.packages(slow)[1]
        (slow / "fault").touch()
        wait_for(lambda: all(challenger in page.holds.refused for page in served.pages()))
        assert challenger not in served.pages()[0].holds.ready
        n, champion = callers.n(arm="challenger"), callers.n(arm="champion")
        wait_for(lambda: callers.n(arm="champion") > champion + 50)
        assert callers.n(arm="challenger") - n <= 3
        callers.end()
        assert callers.n() == callers.n(200)
