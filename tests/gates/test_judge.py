"""Facts about what traffic says of a challenger, in worlds whose truth is known."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from gonogo.gates import judge_state
from gonogo.gates.judge import Judge, replay
from gonogo.gates.plan import spent
from gonogo.stats.bounded_mean import BoundedMean
from gonogo.stats.rate_limit import RateLimit
from gonogo.stats.relative_risk import RelativeRisk
from gonogo.stats.sample_ratio import SampleRatio
from gonogo.types.errors import ReplayDiffers
from gonogo.types.record import canonical
from gonogo.types.release import Judgement, Plan, WatchRuling
from gonogo.types.traffic import OBSERVATION, AnswerStatus, Arm, ObservationKind
from gonogo.types.verdict import Status
from tests.gates.rollout_worlds import (
    CANARY,
    EPOCH,
    FULL,
    HALF,
    PROBATION,
    SHADOW,
    SHARE,
    STAGES,
    WATCHES,
    answers,
    losses,
    mixed,
    plan,
    shadowed,
    ticks,
    watch,
)

ALL = plan(*WATCHES.values(), watch("errors", name="errors of UA", slice="carrier=UA", slice_bit=0), slices=("carrier=UA",))


def judged(the_plan: Plan, lines: np.ndarray, step: int = CANARY, certified: tuple[str, ...] = ()) -> Judgement:
    judge = Judge(the_plan, step, certified, epoch=EPOCH)
    judge.take(lines)
    return judge.judgement()


def of(found: Judgement, name: str = "errors") -> WatchRuling:
    return next(ruling for ruling in found.rulings if ruling.watch == name)


def test_a_challenger_that_is_as_good_is_certified_and_no_harm_is_shown() -> None:
    found = judged(ALL, mixed(answers(20_000), losses(5_000), ticks(20, 40)))
    assert {ruling.watch: ruling.status for ruling in found.rulings} == dict.fromkeys((r.watch for r in found.rulings), Status.PASS) | {
        "errors of UA [carrier=UA]": Status.MISSING  # no line belongs to the slice
    }
    assert judged(plan(), mixed(answers(20_000), ticks(20, 40))).status is Status.PASS


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("errors", answers(4_000, rates=(0.02, 0.1))),
        ("fallbacks", answers(4_000, rates=(0.02, 0.3))),
        ("latency_p95", lambda a: np.where(a["arm"] == 1, 150_000, a["latency_us"])),
        ("prediction", lambda a: np.where(a["arm"] == 1, 0.01, a["score"])),
        ("brier", losses(3_000, worse=0.15)),
    ],
)
def test_harm_of_each_kind_brings_the_release_back(name: str, lines: np.ndarray | Callable[[np.ndarray], np.ndarray]) -> None:
    if callable(lines):
        changed = lines(answers(6_000))
        lines = answers(6_000, **{"latency_us" if name == "latency_p95" else "score": changed})
    kind = next(key for key, one in WATCHES.items() if one.metric == name)
    judge = Judge(plan(WATCHES[kind]), CANARY, epoch=EPOCH)
    judge.take(lines)
    assert judge.decided
    assert judge.judgement().status is Status.FAIL
    swapped = lines.copy()  # arms swapped: the verdict flips
    swapped["arm"] = 1 - swapped["arm"]
    swapped["share"] = 1 - SHARE
    judge = Judge(plan(WATCHES[kind], stages=tuple(_at_share(1 - SHARE))), 0, epoch=EPOCH)
    judge.take(swapped)
    if name == "brier":
        assert judge.judgement().rulings[0].status is Status.PASS
    assert not judge.decided or name == "prediction"  # a moved distribution is moved whichever arm has it


def _at_share(share: float):  # type: ignore[no-untyped-def]
    from dataclasses import replace

    yield replace(plan().stages[CANARY], share=share)


@pytest.mark.parametrize("step", [SHADOW, CANARY, FULL, PROBATION])
def test_any_blocks_of_the_same_lines_give_the_same_bytes(step: int) -> None:
    stream = (
        answers(1_500, rates=(0.05, 0.08), units=400, slices=3)
        if step == CANARY
        else shadowed(900, rates=(0.05, 0.08), live=Arm.CHAMPION if step == SHADOW else Arm.CHALLENGER)
    )
    lines = mixed(stream, losses(800, worse=0.02), ticks(20, 50))
    whole = Judge(ALL, step, epoch=EPOCH)
    whole.take(lines)
    rng = np.random.default_rng(4)
    for cuts in ([1, 2, 3], sorted(rng.integers(0, len(lines), 40)), range(0, len(lines), 7)):
        parts = Judge(ALL, step, epoch=EPOCH)
        for block in np.split(lines, list(cuts)):
            parts.take(block)
        assert canonical(parts.judgement()) == canonical(whole.judgement())
    assert canonical(replay(ALL, whole.judgement(), lines)) == canonical(whole.judgement())


def test_lines_that_were_read_back_and_cannot_be_written_to_are_judged_as_they_were() -> None:
    lines = answers(9_000)  # more units than the first table holds
    judge, again = Judge(plan(), CANARY, epoch=EPOCH), Judge(plan(), CANARY, epoch=EPOCH)
    judge.take(lines)
    again.take(np.frombuffer(lines.tobytes(), OBSERVATION))
    assert again.unit_bytes > Judge(plan(), CANARY, epoch=EPOCH).unit_bytes
    assert canonical(again.judgement()) == canonical(judge.judgement())


def test_a_replay_of_other_lines_differs() -> None:
    lines = answers(500)
    found = judged(plan(), lines)
    with pytest.raises(ReplayDiffers):
        replay(plan(), found, lines[:-1])


def test_the_sequences_are_those_of_the_statistics_to_the_bit() -> None:
    lines = answers(3_000, rates=(0.05, 0.07), seed=3)
    judge = Judge(plan(watch(ratio_at_most=2.0, rate_at_most=0.2, alpha_certificate=1e-30, alpha_harm=1e-30)), CANARY, epoch=EPOCH)
    judge.take(lines)
    erred = lines["status"] == AnswerStatus.ERRED
    risk, rate, ratio = RelativeRisk(margin=2.0), RateLimit(0.2), SampleRatio()
    risk.take_many(lines["arm"][erred], SHARE)
    rate.take_many(erred[lines["arm"] == 1])
    ratio.take_many(lines["arm"], SHARE)
    at, kernel = judge.state.at[0], judge_state
    assert at[kernel.BEFORE, 4] == risk.highest_harm
    assert at[kernel.RATIO, 4] == risk.highest_safe
    assert at[kernel.RATED, 4] == rate.highest_safe
    assert judge.state.x[kernel.RATIO_E] == ratio.log_e


def test_paired_losses_are_bet_on_as_the_statistics_do() -> None:
    lines = losses(700, worse=0.01)
    judge = Judge(plan(watch("brier", alpha_harm=1e-30, alpha_certificate=1e-30)), CANARY, epoch=EPOCH)
    judge.take(lines)
    difference = np.where(lines["arm"] == 1, lines["value"] - lines["other"], lines["other"] - lines["value"])
    mean = BoundedMean(-1.0, 1.0, margin=0.1)
    mean.take_many(difference)
    found = of(judge.judgement(), "brier")
    assert judge.state.at[0, 0, 4] == pytest.approx(mean.highest_harm, rel=1e-12)
    assert judge.state.at[0, 2, 4] == pytest.approx(mean.highest_safe, rel=1e-12)
    assert found.value == pytest.approx(mean.value)
    assert (found.low, found.high) == pytest.approx(mean.interval(1e-30))


@pytest.mark.parametrize("repeat", [1, 20])
def test_a_unit_counts_once_however_often_it_errs_or_asks(repeat: int) -> None:
    once = answers(600, rates=(0.1, 0.1))
    found, again = judged(plan(), once), judged(plan(), np.repeat(once, repeat))
    assert of(found).n_challenger == of(again).n_challenger
    assert of(found).log10_e_harm == of(again).log10_e_harm
    assert of(found).log10_e_safe == of(again).log10_e_safe
    assert found.sample_ratio_log10_e == again.sample_ratio_log10_e


def test_a_unit_that_errs_later_still_shows_harm_but_certifies_nothing() -> None:
    first = answers(2_000, rates=(0.0, 0.0))
    later = first.copy()
    later["status"][later["arm"] == 1] = AnswerStatus.ERRED
    assert of(judged(plan(), np.concatenate([first, later]))).status is Status.FAIL
    both = first.copy()
    both["status"] = AnswerStatus.ERRED
    quiet = of(judged(plan(), np.concatenate([first, both])))
    assert quiet.log10_e_safe == 0.0  # first requests alone certify: those who erred before cannot thin out a ratio


def test_whom_nobody_watched_or_who_has_no_key_is_not_counted() -> None:
    lines = answers(500, rates=(0.5, 0.5))
    for change in ({"share": 0.0}, {"unit": 0}, {"epoch": EPOCH - 1}, {"epoch": EPOCH + 1}, {"share": 0.7}):
        changed = lines.copy()
        for name, value in change.items():
            changed[name] = value
        found = judged(plan(), changed)
        assert of(found).status is Status.MISSING
        assert (of(found).n_champion, of(found).n_challenger) == (0, 0)


def test_a_slice_is_judged_by_its_own_rows() -> None:
    lines = answers(8_000, rates=(0.02, 0.02))
    in_slice = np.arange(len(lines)) % 4 == 0
    lines["slices"] = in_slice
    lines["status"][in_slice & (lines["arm"] == 1)] = AnswerStatus.ERRED
    found = judged(plan(watch(slice="carrier=UA", slice_bit=0), slices=("carrier=UA",)), lines)
    assert found.rulings[0].watch == "errors [carrier=UA]"
    assert found.rulings[0].status is Status.FAIL
    assert found.rulings[0].n_challenger == int((in_slice & (lines["arm"] == 1)).sum())
    other = lines[~in_slice]
    assert judged(plan(watch(slice="carrier=UA", slice_bit=0), slices=("carrier=UA",)), other).rulings[0].status is Status.MISSING


def test_a_signal_that_fails_is_no_failure_of_the_stage() -> None:
    found = judged(plan(watch(), watch("fallbacks", action="pause", ratio_at_most=2.0)), answers(4_000, rates=(0.02, 0.2)))
    assert of(found, "fallbacks").status is Status.FAIL
    only = judged(plan(watch("fallbacks", action="pause", ratio_at_most=2.0)), answers(4_000, rates=(0.02, 0.2)))
    assert only.status is Status.INCONCLUSIVE
    judge = Judge(plan(watch("fallbacks", action="pause")), CANARY, epoch=EPOCH)
    judge.take(answers(4_000, rates=(0.02, 0.2)))
    assert not judge.decided


def test_a_rate_that_is_harmless_is_no_harm_whatever_the_ratio() -> None:
    lines = answers(30_000, rates=(0.0005, 0.01), seed=5)
    assert of(judged(plan(watch(ratio_at_most=2.0)), lines)).status is Status.FAIL
    assert of(judged(plan(watch(ratio_at_most=2.0, rate_at_most=0.05)), lines)).status is Status.PASS
    assert of(judged(plan(watch(ratio_at_most=2.0, rate_at_most=0.05)), answers(4_000, rates=(0.0005, 0.3)))).status is Status.FAIL


def test_an_outage_that_begins_late_is_found_in_units_that_were_well_before() -> None:
    well = answers(5_000, rates=(0.01, 0.01), units=2_000)
    ill = answers(3_000, rates=(0.01, 1.0), units=2_000)
    judge = Judge(plan(watch(rate_at_most=0.05)), CANARY, epoch=EPOCH)
    judge.take(np.concatenate([well, ill]))
    assert judge.decided


def test_with_no_errors_at_all_only_a_rate_can_be_certified() -> None:
    lines = answers(8_000, rates=(0.0, 0.0))
    assert of(judged(plan(), lines)).status is Status.INCONCLUSIVE
    assert of(judged(plan(watch(rate_at_most=0.05)), lines)).status is Status.PASS


def test_in_shadow_pairs_are_judged_and_what_both_share_tells_them_not_apart() -> None:
    shared = shadowed(4_000, rates=(0.0, 0.0))
    shared["status"] = np.repeat(np.random.default_rng(1).uniform(size=4_000) < 0.1, 2) * AnswerStatus.ERRED
    found = of(judged(plan(), shared, SHADOW))
    assert (found.status, found.log10_e_harm) == (Status.PASS, pytest.approx(math.log10(1.0), abs=0.5))
    assert of(judged(plan(), shadowed(4_000, rates=(0.01, 0.05)), SHADOW)).status is Status.FAIL
    assert of(judged(plan(), shadowed(4_000, rates=(0.05, 0.01)), SHADOW)).status is Status.PASS


def test_at_full_traffic_the_old_champion_in_the_shadow_is_the_control() -> None:
    assert of(judged(plan(), shadowed(4_000, rates=(0.01, 0.06), live=Arm.CHALLENGER), FULL)).status is Status.FAIL
    assert of(judged(plan(), shadowed(4_000, rates=(0.06, 0.06), live=Arm.CHALLENGER), FULL)).status is Status.PASS


@pytest.mark.parametrize("burst", [2, 7, 40])
@pytest.mark.parametrize(("step", "live"), [(SHADOW, Arm.CHAMPION), (FULL, Arm.CHALLENGER)])
def test_a_pair_is_of_one_request_also_where_a_unit_asks_again_before_its_shadow_has_answered(step: int, live: Arm, burst: int) -> None:
    """Both models fail on the first request of each burst and on no other: pairs across requests would blame the one that is shown them."""
    units = 400
    first = answers(units * burst, share=float(live), rates=(0.0, 0.0), arm=live)
    first["unit"] = np.repeat(np.arange(1, units + 1), burst)
    first["status"] = np.where(np.arange(len(first)) % burst == 0, AnswerStatus.ERRED, AnswerStatus.ANSWERED)
    first["value"] = np.arange(len(first)) + 5 * 2**40
    second = first.copy()
    second["kind"], second["arm"] = ObservationKind.SHADOW, 1 - live
    blocks = zip(np.split(first, units), np.split(second, units), strict=True)
    found = of(judged(plan(), np.concatenate([half for block in blocks for half in block]), step))
    assert found.log10_e_harm is not None
    assert found.log10_e_harm <= 1e-9
    assert (found.n_champion, found.n_challenger) == (units, units)
    if burst < 16:  # of longer ones a later request makes the pair
        assert (found.status, found.value) == (Status.PASS, 1.0)


def test_a_pair_whose_shadow_was_lost_is_given_up_in_the_end() -> None:
    lines = shadowed(40, rates=(0.0, 0.0))
    lines["unit"], lines["value"] = 1, np.repeat(np.arange(1, 41), 2)
    kept = np.concatenate([lines[:1], lines[2:]])  # the first request's shadow never came
    assert of(judged(plan(), kept, SHADOW)).n_challenger == 1


def test_a_shadow_that_says_nothing_is_missing_not_well() -> None:
    lines = shadowed(2_000)[::2]  # only what callers were answered
    found = judged(plan(), lines, SHADOW)
    assert of(found).status is Status.MISSING
    assert of(found, "(traffic)").status is Status.MISSING
    late = shadowed(2_000)
    late["status"][1::2] = AnswerStatus.LATE
    assert judged(plan(watch(rate_at_most=0.05)), late, SHADOW).status is not Status.PASS


def test_on_probation_losses_decide_and_errors_do_not() -> None:
    both = plan(watch(), watch("brier"))
    lines = mixed(shadowed(3_000, rates=(0.01, 0.5), live=Arm.CHALLENGER), losses(2_000))
    assert [r.metric for r in judged(both, lines, PROBATION).rulings if r.action == "rollback"] == ["brier"]
    assert of(judged(both, mixed(lines, losses(2_000, worse=0.3, first_unit=5_000)), PROBATION), "brier").status is Status.FAIL
    assert of(judged(plan(), shadowed(3_000, rates=(0.01, 0.05), live=Arm.CHALLENGER), PROBATION)).status is Status.FAIL


def test_a_certificate_of_an_earlier_stage_counts_where_there_is_traffic_and_no_harm() -> None:
    few = mixed(answers(200, rates=(0.0, 0.0)), ticks(20, 40))
    assert judged(plan(), few).status is Status.INCONCLUSIVE
    assert judged(plan(), few, certified=("errors",)).status is Status.PASS
    assert judged(plan(), few, certified=("errors",)).certified == ("errors",)
    assert judged(plan(), ticks(20, 40), certified=("errors",)).status is Status.MISSING
    assert judged(plan(), answers(3_000, rates=(0.01, 0.2)), certified=("errors",)).status is Status.FAIL


def test_an_earlier_certificate_passes_no_stage_that_speaks_for_harm() -> None:
    """Twice the errors, but only once the challenger answers callers: before harm is shown, what the shadow refuted holds no longer."""
    lines, statuses = answers(6_000, rates=(0.02, 0.04)), []
    judge = Judge(plan(), CANARY, ("errors",), epoch=EPOCH)
    for block in np.split(lines, 60):
        judge.take(block)
        statuses.append(of(judge.judgement()).status)
    assert statuses[0] is Status.PASS
    assert Status.INCONCLUSIVE in statuses
    found = of(judge.judgement())
    assert found.status in (Status.FAIL, Status.INCONCLUSIVE)
    for seed in range(20):  # arms that are equal hardly ever wait
        assert of(judged(plan(), answers(6_000, seed=seed), CANARY, ("errors",))).status is Status.PASS


def test_what_the_shadow_certified_of_counts_passes_a_canary_that_another_follows_and_no_stage_after() -> None:
    shadow = judged(plan(watch(), watch("brier")), mixed(shadowed(6_000), losses(2_000), ticks(20, 40)), SHADOW)
    assert shadow.certified == ("errors (in shadow)", "brier")
    few = mixed(answers(200, rates=(0.0, 0.0)), ticks(20, 40))
    assert judged(plan(), few, CANARY, ("errors (in shadow)",)).status is Status.PASS
    half = mixed(answers(200, rates=(0.0, 0.0), share=0.5), ticks(20, 40))
    found = judged(plan(), half, HALF, ("errors (in shadow)",))
    assert found.status is Status.INCONCLUSIVE
    assert "answers to callers do not yet" in found.sentence
    assert judged(plan(), half, HALF, ("errors",)).status is Status.PASS
    at_once = plan(stages=(STAGES[SHADOW], STAGES[FULL], STAGES[PROBATION]))
    assert judged(at_once, shadowed(200, rates=(0.0, 0.0), live=Arm.CHALLENGER), 1, ("errors (in shadow)",)).status is not Status.PASS


def test_a_challenger_that_is_harmful_only_where_it_answers_does_not_come_through_on_the_shadows_certificate() -> None:
    passed = [
        judged(plan(), answers(6_000, rates=(0.02, 0.04), share=0.5, seed=s), HALF, ("errors (in shadow)",)).rulings[0] for s in range(40)
    ]
    assert sum(ruling.status is Status.PASS for ruling in passed) <= 2  # 1 % of each 40, at the margin


def test_losses_of_earlier_answers_of_the_rollout_count_and_those_of_other_routes_do_not() -> None:
    for epoch, n in ((3, 500), (EPOCH, 500), (2, 0), (EPOCH + 1, 0)):
        judge = Judge(plan(watch("brier")), CANARY, epoch=EPOCH, first_epoch=3)
        judge.take(losses(500, epoch=epoch))
        assert of(judge.judgement(), "brier").n_challenger == n


def test_within_the_margin_a_certified_challenger_is_not_called_harmful() -> None:
    lines = losses(60_000, worse=0.02)
    found = of(judged(plan(watch("brier")), lines), "brier")
    assert found.status in (Status.PASS, Status.FAIL)
    quick = losses(60_000, worse=0.004)
    assert of(judged(plan(watch("brier")), quick), "brier").status is Status.PASS


def test_an_adaptive_share_is_judged_by_the_share_of_each_line() -> None:
    adaptive = plan(method="adaptive")
    lines = np.concatenate([answers(9_000, rates=(0.03, 0.03)), answers(9_000, rates=(0.03, 0.03), share=0.6, seed=9)])
    lines["unit"] = np.arange(1, 18_001)
    lines["epoch"][9_000:] = EPOCH + 1
    found = judged(adaptive, lines)
    assert of(found).n_champion + of(found).n_challenger == 18_000
    assert of(found, "(sample ratio)").status is Status.PASS
    assert of(found).status is Status.PASS


def test_units_dealt_otherwise_than_the_share_says_hold_and_blame_nobody() -> None:
    lines = mixed(answers(4_000, share=0.4, rates=(0.02, 0.02)), ticks(20, 40))
    lines["share"] = SHARE
    found = judged(plan(), lines)
    assert of(found, "(sample ratio)").status is Status.ERROR
    assert (found.status, found.alarm) == (Status.ERROR, "units are not dealt as the share says")


def test_memory_for_units_is_some_dozen_bytes_each() -> None:
    judge = Judge(plan(), CANARY, epoch=EPOCH)
    judge.take(answers(200_000))
    assert judge.unit_bytes < 200_000 * 60
    assert of(judge.judgement()).n_champion + of(judge.judgement()).n_challenger == 200_000


def test_what_is_spent_of_the_budget_never_exceeds_it() -> None:
    assert [spent(ALL, step) for step in range(5)] == sorted(spent(ALL, step) for step in range(5))
    assert judged(plan(), answers(10)).alpha_spent <= 0.05


def test_lines_of_another_shape_are_refused() -> None:
    with pytest.raises(TypeError, match="OBSERVATION"):
        Judge(plan(), CANARY, epoch=EPOCH).take(np.zeros(3))
    Judge(plan(), CANARY, epoch=EPOCH).take(np.zeros(0, OBSERVATION))
