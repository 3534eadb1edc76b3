"""What goes wrong with evidence, each with its safe outcome; and that no hole in the evidence is ever a pass."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gonogo.gates.judge import Judge
from gonogo.gates.rollout import Act, next_step
from gonogo.types.release import Judgement, Plan, WatchRuling
from gonogo.types.traffic import AnswerStatus, Arm, ObservationKind
from gonogo.types.verdict import Status
from tests.gates.rollout_worlds import (
    CANARY,
    EPOCH,
    FULL,
    PROBATION,
    SHADOW,
    WATCHES,
    answers,
    losses,
    mixed,
    plan,
    shadowed,
    standing,
    ticks,
    watch,
)

Lines = np.ndarray


def judged(the_plan: Plan, lines: Lines, step: int = CANARY, certified: tuple[str, ...] = ()) -> Judgement:
    judge = Judge(the_plan, step, certified, epoch=EPOCH)
    judge.take(lines)
    return judge.judgement()


def status_of(found: Judgement, name: str = "errors") -> Status:
    return next(ruling.status for ruling in found.rulings if ruling.watch == name)


def moved(the_plan: Plan, lines: Lines, step: int = CANARY) -> Act:
    return next_step(the_plan, standing(the_plan, step, approved=(2,)), judged(the_plan, lines, step)).act


GOOD = mixed(answers(20_000), losses(3_000), ticks(22, 44))


def test_the_good_stream_of_these_tests_does_pass() -> None:
    for one in WATCHES.values():
        assert moved(plan(one), GOOD) is Act.STEP, one.metric


# ── the matrix: every kind of watch × every hole in its evidence ────────────────────────────────────────────────────────────


def only_ticks(_: Lines) -> Lines:
    return ticks(20, 40)


def without_numbers(lines: Lines) -> Lines:
    lines["score"], lines["value"], lines["other"], lines["latency_us"] = np.nan, np.nan, np.nan, 0
    lines["status"][lines["kind"] == ObservationKind.ANSWER] = AnswerStatus.ERRED
    return lines


def stale(lines: Lines) -> Lines:
    return np.concatenate([lines, ticks(30, 30, begin=22)])


def of_another_route(lines: Lines) -> Lines:
    lines["epoch"] = EPOCH - 1
    return lines


def skipped(lines: Lines) -> Lines:
    """The share was 0 throughout: the router went on with the champion alone."""
    lines["share"], lines["arm"] = 0.0, Arm.CHAMPION
    return lines[lines["kind"] != ObservationKind.LOSS]


def crashed(lines: Lines) -> Lines:
    """What is measured on the challenger's rows could not be computed."""
    ours = lines["arm"] == 1
    lines["status"][ours], lines["latency_us"][ours] = AnswerStatus.FAILED, 0
    lines["value"] = np.nan
    return lines


def too_few(lines: Lines) -> Lines:
    return mixed(answers(12), losses(3), ticks(20, 40))


HOLES: dict[str, Callable[[Lines], Lines]] = {
    "missing": only_ticks,
    "NaN": without_numbers,
    "stale": stale,
    "wrong epoch": of_another_route,
    "skipped": skipped,
    "errored": crashed,
    "too few units": too_few,
}


@pytest.mark.parametrize("kind", list(WATCHES))
@pytest.mark.parametrize("hole", list(HOLES))
def test_no_hole_in_the_evidence_is_a_pass(kind: str, hole: str) -> None:
    the_plan = plan(WATCHES[kind])
    lines = HOLES[hole](GOOD.copy())
    assert judged(the_plan, lines).status is not Status.PASS
    assert moved(the_plan, lines) not in (Act.STEP, Act.RELEASE)


@pytest.mark.parametrize("kind", list(WATCHES))
def test_an_earlier_certificate_fills_no_hole_of_this_stage(kind: str) -> None:
    the_plan = plan(WATCHES[kind])
    name = the_plan.watches[0].name
    for hole in ("missing", "stale", "skipped"):
        assert judged(the_plan, HOLES[hole](GOOD.copy()), certified=(name,)).status is not Status.PASS


@pytest.mark.parametrize("step", [SHADOW, CANARY, FULL, PROBATION])
def test_no_check_configured_is_no_pass(step: int) -> None:
    empty = replace(plan(), watches=())
    stream = answers(3_000) if step == CANARY else shadowed(3_000, live=Arm.CHAMPION if step == SHADOW else Arm.CHALLENGER)
    found = judged(empty, mixed(stream, ticks(60, 80)), step)
    assert found.status is Status.MISSING
    assert next_step(empty, standing(empty, step, approved=(2,)), found).act is Act.STAY


# ── faults, one by one ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_empty_source_of_outcomes_holds_and_in_the_end_alarms() -> None:
    both = plan(watch(), watch("brier"))
    found = judged(both, mixed(answers(20_000), ticks(20, 40)))
    assert (found.status, status_of(found, "brier"), found.alarm) == (Status.MISSING, Status.MISSING, "")
    late = judged(both, mixed(answers(20_000), ticks(700, 1_400)))
    assert late.status is Status.MISSING
    assert late.alarm == "undecided for longer than rollout.patience"


def test_losses_that_are_no_numbers_are_no_evidence_and_no_zero() -> None:
    lines = losses(3_000)
    lines["other"][::3] = np.nan
    found = judged(plan(watch("brier")), mixed(answers(3_000), lines, ticks(20, 40)))
    assert (found.status, found.alarm) == (Status.ERROR, "a measurement failed")


@pytest.mark.parametrize("whose", [Arm.CHAMPION, Arm.CHALLENGER])
def test_zeros_stored_for_a_failed_computation_neither_pass_nor_blame(whose: Arm) -> None:
    lines = losses(3_000, worse=0.2)
    failed = lines["arm"] == whose
    lines["value"][failed] = 0.0
    lines["other"][~failed] = 0.0
    found = judged(plan(watch("brier")), mixed(answers(3_000), lines, ticks(20, 40)))
    assert found.status is Status.ERROR
    few = losses(3_000)
    few["value"][np.flatnonzero(few["arm"] == whose)[:6]] = 0.0
    assert judged(plan(watch("brier")), few).status is Status.ERROR
    lines["value"][np.flatnonzero(~failed)[:3]] = 0.0  # that the other's is exactly 0 once in a while makes the rest no evidence
    assert judged(plan(watch("brier")), mixed(answers(3_000), lines, ticks(20, 40))).status is Status.ERROR


def test_losses_that_are_often_exactly_0_for_both_are_losses() -> None:
    """As those of a yes or a no are: one arm is wrong on a fifth, the other on a quarter."""
    lines = losses(3_000)
    rng = np.random.default_rng(4)
    for name, wrong in (("value", 0.2), ("other", 0.25)):
        lines[name] = rng.uniform(size=3_000) < wrong
    assert judged(plan(watch("brier")), mixed(answers(3_000), lines, ticks(20, 40))).status is not Status.ERROR


def test_answers_without_a_latency_are_not_quick() -> None:
    lines = answers(20_000)
    lines["latency_us"][lines["arm"] == 1] = 0
    found = judged(plan(WATCHES["latency"]), mixed(lines, ticks(20, 40)))
    assert found.status is Status.ERROR


def test_an_error_that_comes_quickly_is_no_quick_answer() -> None:
    lines = answers(20_000, rates=(0.0, 0.3))
    lines["latency_us"] = 10
    assert judged(plan(WATCHES["latency"]), lines).status is Status.FAIL


def test_a_model_that_answers_nulls_has_another_distribution() -> None:
    lines = answers(6_000)
    lines["score"][lines["arm"] == 1] = np.nan
    assert judged(plan(WATCHES["distribution"]), lines).status is Status.FAIL
    constant = answers(6_000)
    constant["score"] = 0.3
    assert judged(plan(WATCHES["distribution"]), constant).status is Status.ERROR  # a champion that answers everybody alike


def test_an_outage_of_both_arms_alarms_holds_and_blames_nobody() -> None:
    well, ill = answers(20_000), answers(2_000, rates=(0.9, 0.9), seed=8)
    ill["unit"] += 1_000_000
    lines = np.concatenate([well, ticks(22, 44), ill])
    found = judged(plan(), lines)
    assert (found.status, found.alarm) == (Status.ERROR, "both arms fail")
    assert status_of(found) is Status.PASS  # the challenger is not blamed, and what was shown before stands
    assert moved(plan(), lines) is Act.STAY
    over = answers(20_000, seed=9)
    over["unit"] += 2_000_000
    assert judged(plan(), np.concatenate([lines, over])).status is Status.PASS


def test_an_outage_certifies_nothing_by_its_number_of_errors() -> None:
    ill = answers(20_000, rates=(0.95, 0.95))
    found = judged(plan(), ill)
    assert status_of(found) is not Status.PASS


@pytest.mark.parametrize("seed", range(20))
def test_an_outage_of_both_arms_from_the_first_minute_brings_nothing_back(seed: int) -> None:
    assert judged(plan(), answers(3_000, rates=(0.7, 0.7), seed=seed)).status is Status.ERROR


def test_traffic_that_stops_is_stale_bakes_no_further_and_does_not_move() -> None:
    begun = mixed(answers(20_000), ticks(5, 10))
    silent = np.concatenate([begun, ticks(600, 600, begin=5)])
    found = judged(plan(), silent)
    assert found.baked_us < 7 * 60_000_000
    assert (found.status, found.alarm) == (Status.MISSING, "undecided for longer than rollout.patience")
    assert moved(plan(), silent) is Act.STAY
    back = answers(100, seed=5)
    back["unit"] += 1_000_000
    again = judged(plan(), np.concatenate([silent, back]))
    assert again.status is Status.PASS
    assert again.baked_us == found.baked_us


def test_a_clock_that_leaps_or_goes_back_bakes_nothing() -> None:
    leap = np.concatenate([answers(20_000), ticks(1), ticks(60, begin=1), ticks(1, begin=61)])
    assert judged(plan(), leap).baked_us <= 3 * 60_000_000
    lines = np.concatenate([ticks(500, 2), answers(20_000), ticks(1, 2), ticks(1, 2, begin=0.2)])
    assert judged(plan(), lines).baked_us <= 2 * 60_000_000
    begun_again = np.concatenate([ticks(1), answers(20_000), _alive(900), ticks(1, begin=900)])
    assert judged(plan(), begun_again).baked_us <= 60_000_000


def _alive(minute: float) -> Lines:
    lines = ticks(0, begin=minute)
    lines["kind"] = ObservationKind.ALIVE
    return lines


def test_rows_that_are_missing_from_the_log_hold_and_alarm() -> None:
    lost = ticks(0)
    lost["kind"], lost["value"] = ObservationKind.LOST, 500
    found = judged(plan(), np.concatenate([GOOD, lost]))
    assert (found.status, found.alarm) == (Status.ERROR, "rows are missing from the log")
    lost["value"] = 2
    few = judged(plan(), np.concatenate([GOOD, lost]))
    assert (few.status, few.alarm) == (Status.PASS, "rows are missing from the log")


@pytest.mark.parametrize(("step", "live"), [(SHADOW, Arm.CHALLENGER), (FULL, Arm.CHAMPION)])
def test_an_arm_that_answers_where_it_should_not_holds_and_alarms(step: int, live: Arm) -> None:
    lines = mixed(shadowed(5_000, live=Arm(1 - live)), ticks(20, 40))
    lines["arm"][:2] = live
    found = judged(plan(), lines, step)
    assert (found.status, found.alarm) == (Status.ERROR, "an arm answers that should not")


def test_the_champion_that_answers_alone_while_nobody_watches_holds_nothing_up_at_full_traffic() -> None:
    lines = mixed(shadowed(5_000, rates=(0.06, 0.06), live=Arm.CHALLENGER), ticks(20, 40))
    with_alone = mixed(lines, shadowed(500, rates=(0.5, 0.5), live=Arm.CHAMPION))
    watched, found = judged(plan(), lines, FULL), judged(plan(), with_alone, FULL)
    assert (watched.status, found.status) == (Status.PASS, Status.PASS)
    # Lines that count for nothing still stand in the log: only the number of the line at which it was decided is another.
    assert [_unplaced(ruling) for ruling in found.rulings] == [_unplaced(ruling) for ruling in watched.rulings]


def _unplaced(ruling: WatchRuling) -> WatchRuling:
    return replace(ruling, sentence=re.sub(r"by line [\d,]+ of", "by line N of", ruling.sentence))


def test_a_contract_that_is_edited_changes_nothing_for_a_rollout_that_is_under_way() -> None:
    edited = plan(watch(ratio_at_most=50.0))
    found = judged(edited, answers(3_000))  # somebody judges by the new contract
    move = next_step(plan(), standing(plan()), found)
    assert (move.act, bool(move.alarm)) == (Act.STAY, True)


def test_a_threshold_that_is_breached_while_a_person_is_waited_for_brings_it_back() -> None:
    lines = np.concatenate([GOOD, _later(answers(4_000, rates=(0.02, 0.5), seed=6))])
    waiting = standing(plan(), waits_for_approval=True)
    assert next_step(plan(), waiting, judged(plan(), GOOD)).act is Act.WAIT
    assert next_step(plan(), waiting, judged(plan(), lines)).act is Act.ROLLBACK


def _later(lines: Lines) -> Lines:
    lines["unit"] += 1_000_000
    return lines


# ── properties ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(0, 1_500),
    rates=st.tuples(st.sampled_from([0.0, 0.02, 0.3, 1.0]), st.sampled_from([0.0, 0.02, 0.3, 1.0])),
    kind=st.sampled_from(list(WATCHES)),
    step=st.sampled_from([SHADOW, CANARY, FULL, PROBATION]),
)
def test_forward_is_only_by_a_pass_of_every_watch_with_traffic_and_back_only_by_shown_harm(
    seed: int, n: int, rates: tuple[float, float], kind: str, step: int
) -> None:
    the_plan = plan(WATCHES[kind])
    stream = answers(n, rates=rates, seed=seed) if step == CANARY else shadowed(
        n, rates=rates, seed=seed, live=Arm.CHAMPION if step == SHADOW else Arm.CHALLENGER
    )  # fmt: skip
    lines = mixed(stream, losses(n // 2, worse=rates[1] / 5, seed=seed), ticks(60, 80))
    found = judged(the_plan, lines, step)
    act = next_step(the_plan, standing(the_plan, step, approved=(2,)), found).act
    guarded = [ruling for ruling in found.rulings if ruling.action == "rollback"]
    if act in (Act.STEP, Act.RELEASE):
        assert guarded
        assert all(ruling.status is Status.PASS for ruling in found.rulings)
        assert all(ruling.log10_e_safe >= 2 - 1e-6 for ruling in guarded)  # 1 / alpha_certificate
        assert found.baked_us >= the_plan.stages[step].bake_us
    if act is Act.ROLLBACK:
        assert any(ruling.status is Status.FAIL for ruling in guarded)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), keep=st.sampled_from([0, 5, 50, 200]), what=st.sampled_from(["answers", "losses", "ticks"]))
def test_taking_a_kind_of_evidence_away_never_turns_a_hold_into_a_step(seed: int, keep: int, what: str) -> None:
    """Of a challenger whose rates are at the margin: fewer answers, outcomes or ticks show less, and less is never more."""
    both = plan(watch(), watch("brier"))
    parts = {
        "answers": answers(2_000, rates=(0.05, 0.1), seed=seed),
        "losses": losses(1_000, worse=0.1, seed=seed),
        "ticks": ticks(20, 40),
    }
    less = {**parts, what: parts[what][:keep]}
    if moved(both, mixed(*parts.values())) not in (Act.STEP, Act.RELEASE):
        assert moved(both, mixed(*less.values())) not in (Act.STEP, Act.RELEASE)


def test_a_good_challenger_is_brought_back_no_more_often_than_its_budget_says() -> None:
    """Looked at after every line: 400 streams without harm, at a level of 5 %: 20 false alarms are what the level allows, 32 its bound."""
    loose = plan(watch(alpha_harm=0.05))
    failed = sum(judged(loose, answers(1_500, rates=(0.05, 0.05), seed=seed)).status is Status.FAIL for seed in range(400))
    assert failed <= 32


def test_sticky_units_that_err_again_and_again_are_no_evidence_against_an_arm() -> None:
    """Few frail units, each asked twenty times: an arm that was dealt one more of them is not to blame."""
    failed = 0
    for seed in range(200):
        frail = np.random.default_rng(seed).uniform(size=401) < 0.05
        lines = answers(4_000, rates=(0.0, 0.0), units=400, seed=seed)
        erred = frail[lines["unit"].astype(np.int64)] & (np.random.default_rng(seed + 1).uniform(size=4_000) < 0.8)
        lines["status"] = np.where(erred, AnswerStatus.ERRED, AnswerStatus.ANSWERED)
        failed += judged(plan(watch(alpha_harm=0.05)), lines).status is Status.FAIL
    assert failed <= 18
