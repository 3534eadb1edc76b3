"""Facts about how a policy's share comes about, and when it may move."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gonogo.gates.allocation import STEERS, Periods, allot, ask, bounded, doubted, frozen, replay
from gonogo.gates.judge import Judge
from gonogo.gates.policies import epsilon_greedy, thompson
from gonogo.types.allocation import Allotment, Seen
from gonogo.types.errors import PolicyFailed, ReplayDiffers
from gonogo.types.record import canonical, digest, from_bytes
from gonogo.types.traffic import AnswerStatus
from gonogo.types.verdict import Status
from tests.gates.rollout_worlds import CANARY, EPOCH, MOVES, answers, judgement, losses, mixed, plan, ruling, standing, ticks, watch

PLAN = plan(method="adaptive", allocation="thompson", moves=MOVES)
OF_LOSS = plan(watch("brier"), method="adaptive", allocation="thompson", moves=replace(MOVES, reward="brier"))


def steering(lines: np.ndarray) -> np.ndarray:
    lines["unit"] |= np.uint64(STEERS)
    return lines


def periods_of(lines: np.ndarray, the_plan=PLAN, *, blocks: int = 1) -> Periods:
    periods = Periods(the_plan, CANARY, epoch=EPOCH, start=10)
    for block in np.array_split(lines, blocks):
        periods.take(block)
    return periods


def traffic(rates=(0.02, 0.02), *, minutes: int = 3, n: int = 3_000, **more) -> np.ndarray:
    return mixed(steering(answers(n, rates=rates, **more)), ticks(minutes, 60 * minutes + 1))


def test_a_period_closes_at_the_tick_that_ends_it_and_knows_what_it_saw() -> None:
    lines = traffic()
    closed = periods_of(lines).closed
    assert closed is not None
    assert closed.period == 2
    assert lines["kind"][closed.cut - 10 - 1] == 4
    assert 0 < closed.lately_challenger.units < closed.challenger.units
    within = lines[: closed.cut - 10]
    assert closed.challenger.units == np.sum((within["arm"] == 1) & (within["kind"] == 1))


def test_the_same_lines_in_any_blocks_give_the_same_bytes() -> None:
    lines = mixed(losses(150_000), ticks(4, 300))
    made = [allot(periods, periods.closed, 0.2, thompson, "1") for periods in (periods_of(lines, OF_LOSS, blocks=b) for b in (1, 7, 40))]
    assert len({canonical(one) for one in made}) == 1
    assert from_bytes(Allotment, canonical(made[0])) == made[0]


def test_of_what_is_counted_the_policy_sees_half_of_the_units_and_of_losses_all() -> None:
    lines = mixed(answers(3_000), ticks(2, 120))
    lines["unit"][::2] |= np.uint64(STEERS) * (lines["unit"][::2] > 0)
    closed = periods_of(lines).closed
    assert 0 < closed.champion.units + closed.challenger.units < 1_600
    of_loss = periods_of(mixed(losses(1_000), ticks(2, 120)), OF_LOSS).closed
    assert of_loss.gain.units == of_loss.champion.units == of_loss.challenger.units > 400


def test_a_unit_counts_once_however_often_it_asks() -> None:
    closed = periods_of(traffic(units=50, n=6_000)).closed
    assert closed.champion.units + closed.challenger.units <= 50


def test_a_reward_is_one_where_it_went_well_whatever_the_metric() -> None:
    lines = traffic((0.0, 1.0))
    closed = periods_of(lines).closed
    assert (closed.champion.mean, closed.challenger.mean) == (1.0, 0.0)
    slow = plan(watch("latency_p95", at_most=30.0), method="adaptive", moves=replace(MOVES, reward="latency_p95"))
    lines = traffic((0.0, 0.0))
    lines["latency_us"] = np.where(lines["arm"] == 1, 40_000, 1_000)
    closed = periods_of(lines, slow).closed
    assert (closed.champion.mean, closed.challenger.mean) == (1.0, 0.0)
    worse = periods_of(mixed(losses(1_000, worse=0.1), ticks(2, 120)), OF_LOSS).closed
    assert worse.gain.mean == pytest.approx(0.45, abs=0.01)


def test_what_is_not_the_canarys_traffic_is_not_seen() -> None:
    for other in ({"epoch": EPOCH - 1}, {"share": 0.0}, {"kind": 2}):
        lines = steering(answers(500))
        for name, value in other.items():
            lines[name] = value
        closed = periods_of(mixed(lines, ticks(2, 120))).closed
        assert closed.is_empty
    lines = losses(500)
    lines["other"] = np.nan
    assert periods_of(mixed(lines, ticks(2, 120)), OF_LOSS).closed.is_empty


@pytest.mark.parametrize(
    ("asked", "share", "given"),
    [(0.9, 0.2, 0.3), (0.0, 0.2, 0.1), (0.25, 0.2, 0.25), (0.0, 0.05, 0.01), (9.0, 0.58, 0.6), (0.2504, 0.2, 0.25), (-5.0, 0.01, 0.01)],
)
def test_the_bounds_are_laid_on_whatever_a_policy_says(asked: float, share: float, given: float) -> None:
    assert bounded(asked, share, MOVES) == given


@pytest.mark.parametrize("said", [float("nan"), float("inf"), None, "half", True])
def test_a_policy_that_gives_no_number_has_failed(said) -> None:
    periods = periods_of(traffic())
    with pytest.raises(PolicyFailed):
        allot(periods, periods.closed, 0.2, lambda seen: said, "1")


def test_a_policy_that_raises_or_says_two_things_has_failed() -> None:
    periods = periods_of(traffic())
    with pytest.raises(PolicyFailed) as caught:
        allot(periods, periods.closed, 0.2, lambda seen: 1 / 0, "1")
    assert caught.value.found.startswith("ZeroDivisionError")
    drawn = iter([0.1, 0.2])
    with pytest.raises(PolicyFailed, match="failed"):
        allot(periods, periods.closed, 0.2, lambda seen: next(drawn), "1")


def test_a_seed_is_of_the_rollout_and_the_period() -> None:
    told: list[Seen] = []
    for the_plan in (PLAN, PLAN, replace(PLAN, salt="another")):
        periods = periods_of(traffic(), the_plan)
        ask(lambda seen: told.append(seen) or 0.1, "p", allot(periods, periods.closed, 0.2, thompson, "1").seen)
    seeds = [seen.seed for seen in told[::2]]
    assert seeds[0] == seeds[1] != seeds[2]


def test_an_allotment_replays_to_the_same_bytes_and_no_other_policy_does() -> None:
    lines = traffic((0.1, 0.01))
    periods = periods_of(lines)
    made = allot(periods, periods.closed, 0.2, thompson, "1")
    assert made.share == 0.3
    its = lines[: made.cut - made.start]
    assert replay(PLAN, made, its, thompson, "1") == made
    with pytest.raises(ReplayDiffers, match="same bytes"):
        replay(PLAN, made, its, epsilon_greedy, "1")
    with pytest.raises(ReplayDiffers):
        replay(PLAN, made, its[:-1], thompson, "1")


# ── may it move ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", list(Status))
def test_what_is_missing_torn_or_held_freezes_the_share(status: Status) -> None:
    check = ruling(status, "hold", "(sample ratio)")
    found = judgement(PLAN, CANARY, ruling(Status.INCONCLUSIVE), check)
    assert bool(frozen(PLAN, standing(PLAN), found)) == (status not in (Status.PASS, Status.INCONCLUSIVE))
    assert frozen(PLAN, standing(PLAN, held="lunch"), found) == "on hold: lunch"
    assert frozen(PLAN, standing(PLAN), None)


def test_a_signal_freezes_the_share_until_a_person_has_accepted_it() -> None:
    signal = judgement(PLAN, CANARY, ruling(), ruling(Status.FAIL, "pause", "odd"), status=Status.INCONCLUSIVE)
    assert frozen(PLAN, standing(PLAN), signal) == "a signal asks for a person"
    assert frozen(PLAN, standing(PLAN, accepted=("odd",)), signal) == ""


def test_an_outage_a_mismatch_and_silence_freeze_it_by_the_judges_own_word() -> None:
    out = answers(2_000, rates=(0.9, 0.9))
    misdealt = answers(4_000, share=0.4)
    misdealt["share"] = 0.2
    for lines in (out, misdealt, ticks(30, 60)):
        judge = Judge(PLAN, CANARY, epoch=EPOCH)
        judge.take(lines)
        assert frozen(PLAN, standing(PLAN), judge.judgement())


def test_half_of_the_way_to_shown_harm_the_share_rises_no_further() -> None:
    for log10, is_doubted in ((0.5, False), (1.2, True)):  # alpha_harm is 0.005: shown at 2.3
        found = judgement(PLAN, CANARY, replace(ruling(Status.INCONCLUSIVE), log10_e_harm=log10))
        assert bool(doubted(PLAN, found)) == is_doubted


# ── the judge, under a share that follows the data ──────────────────────────────────────────────────────────────────────────


def test_units_that_steer_are_judged_by_their_first_request_alone_and_others_by_their_first_event() -> None:
    twice = np.concatenate([answers(2_000, rates=(0.0, 0.0)), answers(2_000, rates=(0.5, 0.5))])
    counted = {}
    for name, lines in (("steering", steering(twice.copy())), ("others", twice)):
        judge = Judge(PLAN, CANARY, epoch=EPOCH)
        judge.take(lines)
        counted[name] = judge.state.counts[0].copy()
    assert counted["steering"][0].sum() == counted["others"][0].sum() == 2_000
    assert counted["steering"][2].sum() == 0
    assert counted["others"][2].sum() > 900


def test_a_share_that_only_losses_move_leaves_every_unit_its_first_event() -> None:
    twice = steering(np.concatenate([answers(2_000, rates=(0.0, 0.0)), answers(2_000, rates=(0.5, 0.5))]))
    its = plan(watch(), watch("brier"), method="adaptive", moves=replace(MOVES, reward="brier"))
    judge = Judge(its, CANARY, epoch=EPOCH)
    judge.take(twice)
    assert judge.state.counts[0, 2].sum() > 900


def test_the_sample_ratio_of_a_moving_share_is_judged_by_whole_thousandths() -> None:
    lines = np.concatenate([answers(8_000, share=share, seed=i) for i, share in enumerate((0.137, 0.211, 0.058))])
    lines["unit"] = np.arange(1, len(lines) + 1)
    chance = np.where(lines["arm"] == 1, lines["share"], np.float32(1) - lines["share"])  # as it is logged
    lines["share"] = np.where(lines["arm"] == 1, chance, np.float32(1) - chance)
    judge = Judge(PLAN, CANARY, epoch=EPOCH)
    judge.take(lines)
    assert not judge.is_misdealt
    wrong = answers(8_000, share=0.137)
    wrong["share"] = 0.211
    judge = Judge(PLAN, CANARY, epoch=EPOCH)
    judge.take(wrong)
    assert judge.is_misdealt


def test_errors_bring_it_back_however_the_share_moved() -> None:
    lines = np.concatenate([answers(3_000, share=share, rates=(0.02, 0.2), seed=i) for i, share in enumerate((0.1, 0.2, 0.05))])
    lines["unit"] = np.arange(1, len(lines) + 1)
    lines["status"] = np.where(lines["status"] > 0, AnswerStatus.ERRED, 0)
    judge = Judge(PLAN, CANARY, epoch=EPOCH)
    judge.take(lines)
    assert judge.decided
    assert digest(PLAN) == judge.plan_digest
