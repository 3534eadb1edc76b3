"""Who answers whom, by what the ledger says."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gonogo.backends.sqlite import SqliteLog
from gonogo.ledger.ledger import Ledger
from gonogo.types.errors import Unavailable
from gonogo.types.release import Phase, Plan, Stage
from gonogo.workflow.routes import office, route

BASELINE, OLD, NEW, PLAN, VERDICT = (f"sha256:{letter * 64}" for letter in "bdef0")


@pytest.fixture
def ledger(tmp_path):
    return Ledger(SqliteLog(tmp_path / "ledger.sqlite"), by="test", now=lambda: datetime.now(UTC))


def plan():
    stages = (
        Stage(phase=Phase.SHADOW, share=0.0, bake_us=1, patience_us=1),
        Stage(phase=Phase.CANARY, share=0.05, bake_us=1, patience_us=1),
        Stage(phase=Phase.FULL, share=1.0, bake_us=1, patience_us=1),
    )
    return Plan(
        contract=VERDICT,
        contract_name="parcels",
        verdict=VERDICT,
        champion=BASELINE,
        challenger=NEW,
        method="canary",
        salt="s",
        bucket_by="depot",
        alpha=0.05,
        stages=stages,
        watches=(),
        slices=("depot=ams",),
        losses=("log_loss",),
        probation_us=1,
        label_window_us=1,
    )


def trained(ledger):
    ledger.append("training", {"contract": "parcels", "candidate": NEW, "baseline": BASELINE})


def opened(ledger):
    body = {"contract": "parcels", "rollout": PLAN, "verdict": VERDICT, "champion": BASELINE, "challenger": NEW}
    ledger.append("rollout_opened", body)


def step(ledger, origin, to, n, share, epoch):
    body = {"contract": "parcels", "rollout": PLAN, "from": origin, "to": to, "step": n, "share": share, "epoch": epoch, "because": "test"}
    ledger.append("rollout_step", body)


def routed(ledger):
    return route(office(ledger.entries(), "parcels"), plan(), lambda candidate: candidate.replace("sha256:", "package:"))


def test_before_any_release_the_baseline_answers(ledger):
    trained(ledger)
    held = office(ledger.entries(), "parcels")
    assert (held.champion, held.is_released) == (BASELINE, False)
    assert routed(ledger).challenger == ""


def test_without_a_training_nothing_can_answer(ledger):
    with pytest.raises(Unavailable):
        office(ledger.entries(), "parcels")


def test_a_rollout_that_is_opened_has_its_challenger_loaded_and_routed_nowhere(ledger):
    trained(ledger)
    opened(ledger)
    found = routed(ledger)
    assert (found.challenger, found.share, found.epoch) == ("", 0.0, 0)
    assert found.packages == (BASELINE.replace("sha256:", "package:"), NEW.replace("sha256:", "package:"))


def test_the_route_follows_each_step(ledger):
    trained(ledger)
    opened(ledger)
    step(ledger, "registered", "shadow", 0, 0.0, 1)
    assert (routed(ledger).phase, routed(ledger).share, routed(ledger).shadows) == (Phase.SHADOW, 0.0, True)
    step(ledger, "shadow", "canary", 1, 0.05, 2)
    found = routed(ledger)
    assert (found.phase, found.share, found.epoch, found.salt, found.slices) == (Phase.CANARY, 0.05, 2, "s", ("depot=ams",))
    assert found.alone().share == 0.0


def test_on_probation_the_challenger_is_champion_and_answers_when_nobody_watches(ledger):
    trained(ledger)
    opened(ledger)
    step(ledger, "registered", "shadow", 0, 0.0, 1)
    step(ledger, "shadow", "full", 1, 1.0, 2)
    assert routed(ledger).alone().share == 0.0
    ledger.append("release", {"contract": "parcels", "candidate": NEW, "verdict": VERDICT, "rollout": PLAN, "epoch": 3})
    found = routed(ledger)
    assert (found.phase, found.share, found.alone().share, found.champion) == (Phase.PROBATION, 1.0, 1.0, BASELINE)
    assert office(ledger.entries(), "parcels").is_released


def test_after_a_rollback_the_target_answers_alone_under_a_new_epoch(ledger):
    trained(ledger)
    opened(ledger)
    step(ledger, "registered", "shadow", 0, 0.0, 1)
    step(ledger, "shadow", "full", 1, 1.0, 2)
    ledger.append("rollback", {"contract": "parcels", "rollout": PLAN, "why": "harm"})
    trained(ledger)
    found = routed(ledger)
    assert (found.champion, found.challenger, found.share, found.epoch) == (BASELINE, "", 0.0, 3)


def test_a_step_that_comes_too_late_changes_no_route(ledger):
    trained(ledger)
    opened(ledger)
    step(ledger, "registered", "shadow", 0, 0.0, 1)
    ledger.append("rollback", {"contract": "parcels", "rollout": PLAN, "why": "harm"})
    before = routed(ledger)
    step(ledger, "shadow", "canary", 1, 0.05, 3)
    assert routed(ledger) == before
