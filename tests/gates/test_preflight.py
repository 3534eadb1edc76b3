"""Facts about what is said before the first step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gonogo.gates.judge import Judge
from gonogo.gates.preflight import choose_slices, planned_sample, preflight
from gonogo.types.record import canonical, from_bytes
from gonogo.types.release import Preflight, Traffic
from gonogo.types.verdict import Status
from tests.gates.rollout_worlds import CANARY, EPOCH, HALF, SHADOW, WATCHES, answers, losses, plan, shadowed, watch
from tests.gates.test_plan_of_release import LOSS, contract

BUSY = Traffic(
    requests_per_hour=50_000.0, units_per_hour=10_000.0, units=1_000_000.0, rates={"errors": 0.02, "fallbacks": 0.01, "latency_p95": 0.001},
    spreads={"brier": 0.02}, slices={"carrier=UA": 0.3, "carrier=HA": 0.00001},
)  # fmt: skip
ALL = plan(*WATCHES.values())


def test_busy_traffic_decides_every_watch_and_says_how_long_it_takes() -> None:
    found = preflight(ALL, BUSY)
    assert found.undecidable == ()
    assert found.hours is not None
    assert found.hours >= sum(stage.bake_us for stage in ALL.stages) / 3.6e9 * (1 - 1e-9)
    assert from_bytes(Preflight, canonical(found)) == found


def test_what_traffic_cannot_decide_is_named_with_its_numbers() -> None:
    found = preflight(plan(), Traffic(units_per_hour=10.0, units=40.0, rates={"errors": 0.02}))
    assert found.hours is None
    assert len(found.undecidable) == 1
    assert "needs" in found.undecidable[0]
    assert "your traffic holds 40" in found.undecidable[0]


def test_what_only_the_shadow_can_certify_is_named_for_the_last_canary_needs_it_too() -> None:
    found = preflight(plan(), Traffic(units_per_hour=1_000.0, units=1_000.0, rates={"errors": 0.05}))
    decidable = {f.step: f.hours_to_certificate is not None for f in found.forecasts}
    assert decidable[SHADOW]
    assert not any(decidable[step] for step in (CANARY, HALF))
    assert "750 units of the challenger at 50 %; your traffic holds 500" in found.undecidable[0]
    assert preflight(plan(), Traffic(units_per_hour=1_000.0, units=1_600.0, rates={"errors": 0.05})).undecidable == ()


def test_what_is_not_known_is_not_guessed() -> None:
    found = preflight(ALL, Traffic())
    assert found.hours is None
    assert all(forecast.hours_to_certificate is None for forecast in found.forecasts)
    assert any("is not known" in sentence for sentence in found.undecidable)
    without_pace = preflight(ALL, replace(BUSY, units_per_hour=None))
    assert (without_pace.undecidable, without_pace.hours) == ((), None)


def test_a_champion_that_never_errs_can_be_certified_by_rate_alone() -> None:
    spotless = replace(BUSY, rates={"errors": 0.0})
    assert preflight(plan(), spotless).undecidable
    assert not preflight(plan(watch(rate_at_most=0.05)), spotless).undecidable


def test_slices_whose_traffic_cannot_decide_are_not_watched_and_named() -> None:
    sliced = [watch(slice=one, slice_bit=bit) for bit, one in enumerate(("carrier=UA", "carrier=HA", "carrier=XX"))]
    draft = plan(watch(), *sliced, slices=("carrier=UA", "carrier=HA", "carrier=XX"))
    kept, left = choose_slices(draft, BUSY)
    assert kept == ("carrier=UA",)
    assert [sentence.split(" ")[0] for sentence in left] == ["carrier=HA", "carrier=XX"]
    assert "needs" in left[0]
    assert "not known" in left[1]
    assert choose_slices(draft, Traffic())[0] == ()


@pytest.mark.parametrize(
    ("step", "kind"), [(CANARY, "count"), (SHADOW, "count"), (CANARY, "rate"), (CANARY, "loss"), (CANARY, "latency ratio")]
)
def test_what_is_foretold_comes_true_within_a_third_half_of_the_times(step: int, kind: str) -> None:
    the_plan = plan(WATCHES[kind])
    forecast = next(one for one in preflight(the_plan, BUSY).forecasts if one.step == step)
    took = []
    for seed in range(21):
        judge = Judge(the_plan, step, epoch=EPOCH)
        for block in _blocks(kind, step, seed):
            judge.take(block)
            if judge.judgement().rulings[0].status is Status.PASS:
                break
        took.append(judge.judgement().rulings[0].n_challenger)
    assert np.median(took) == pytest.approx(forecast.units_to_certificate, rel=0.34)


def _blocks(kind: str, step: int, seed: int) -> list[np.ndarray]:
    if kind == "loss":
        return np.split(losses(2_000, seed=seed), 400)
    if step == SHADOW:
        return np.split(shadowed(15_000, rates=(0.02, 0.02), seed=seed), 150)
    rate = 0.01 if kind == "rate" else 0.02
    return np.split(answers(60_000, rates=(rate, rate), seed=seed), 300)


def test_the_sample_of_an_experiment_follows_from_spread_and_margin() -> None:
    experiment = contract(LOSS, method="ab", shares=(0.5, 1.0))
    assert planned_sample(experiment, Traffic()) is None
    small, large = (planned_sample(experiment, Traffic(spreads={"log_loss": sd})) for sd in (0.5, 1.0))
    assert small is not None
    assert large is not None
    assert large == pytest.approx(4 * small, rel=0.02)
    assert small == pytest.approx(0.5 * (2.80 * 0.5 / 0.05) ** 2, rel=0.02)  # (z(0.975) + z(0.8))² sd² / margin²
