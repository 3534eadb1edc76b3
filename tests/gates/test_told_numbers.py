"""A ruling's numbers never say something else than the ruling."""

from __future__ import annotations

import numpy as np
import pytest

from gonogo.gates.judge import Judge
from gonogo.types.release import WatchRuling
from gonogo.types.traffic import AnswerStatus, Arm
from gonogo.types.verdict import Status
from tests.gates.rollout_worlds import CANARY, EPOCH, SHADOW, WATCHES, answers, losses, plan, shadowed

LOSS, COUNT = plan(WATCHES["loss"]), plan(WATCHES["count"])


def looked_at(the_plan, *streams: np.ndarray, every: int, step: int = CANARY) -> list[WatchRuling]:
    """The first ruling, at every look."""
    judge, lines = Judge(the_plan, step, epoch=EPOCH), np.concatenate(streams)
    found = []
    for begin in range(0, len(lines), every):
        judge.take(lines[begin : begin + every])
        found.append(judge.judgement().rulings[0])
    return found


def check(ruling: WatchRuling, none: float, margin: float) -> None:
    if ruling.low is None or ruling.high is None:
        return
    if ruling.status is Status.FAIL:
        assert ruling.low > none, ruling.sentence
    elif ruling.status is Status.PASS:
        assert ruling.high <= margin, ruling.sentence
    else:
        assert ruling.low <= none < margin < ruling.high, ruling.sentence


@pytest.mark.parametrize("worse", [0.0, 0.02, 0.05, 0.09, 0.15])
def test_a_difference_of_losses_is_told_with_ends_that_say_what_the_ruling_says_or_with_none(worse):
    rulings = looked_at(LOSS, losses(1_500, worse=worse, seed=3), every=7)
    for ruling in rulings:
        check(ruling, 0.0, 0.1)
    assert any(ruling.low is not None for ruling in rulings)


@pytest.mark.parametrize("rates", [(0.02, 0.02), (0.02, 0.06), (0.3, 0.3), (0.3, 0.5)])
def test_a_ratio_of_rates_is_told_with_ends_that_say_what_the_ruling_says_or_with_none(rates):
    rulings = looked_at(COUNT, answers(6_000, rates=rates, seed=5), every=40)
    for ruling in rulings:
        check(ruling, 1.0, 2.0)
    assert {ruling.status for ruling in rulings} & {Status.PASS, Status.FAIL}


def test_harm_that_was_shown_stands_and_the_sentence_says_when_not_what_came_since():
    """A bad hour, then a good day: the ends of all lines hold 0 again, and what brought it back was seen at a line."""
    bad, good = losses(120, worse=0.3, seed=1), losses(3_000, worse=-0.05, seed=2, first_unit=10_000)
    rulings = looked_at(LOSS, bad, good, every=60)
    first = next(i for i, ruling in enumerate(rulings) if ruling.status is Status.FAIL)
    last = rulings[-1]
    assert last.status is Status.FAIL
    assert last.value < 0
    assert (last.low, last.high) == (None, None)
    line = rulings[first].sentence.split("by line ")[1].split(" of the stage")[0]
    assert int(line) <= 60 * (first + 1)
    assert f"harm is shown: by line {line} of the stage the evidence of it had reached 10^" in last.sentence


def test_a_certificate_says_at_which_line_it_was_earned():
    rulings = looked_at(LOSS, losses(1_500, seed=3), every=20)
    assert rulings[-1].status is Status.PASS
    line = int(rulings[-1].sentence.split("by line ")[1].split(" of the stage")[0].replace(",", ""))
    assert rulings[line // 20 - 1].status is not Status.PASS
    assert rulings[-(-line // 20) - 1].status is Status.PASS


def test_arms_that_cannot_be_compared_are_told_without_ends():
    lines = answers(3_000, rates=(0.1, 0.1))
    lines["arm"] = np.arange(3_000) % 2  # half of the units, where a fifth was to be
    rulings = looked_at(COUNT, lines, every=3_000)
    assert rulings[-1].status is Status.ERROR
    assert (rulings[-1].low, rulings[-1].high) == (None, None)


def test_a_rate_is_called_a_rate_where_no_ratio_can_be_taken():
    """Nobody's first pair had an error; a later pair did: there is an event, and no rate of the champion's to divide by."""
    lines = shadowed(200, rates=(0.0, 0.0))
    again = lines[:2].copy()
    again["status"][again["arm"] == Arm.CHAMPION] = AnswerStatus.ERRED
    (ruling,) = looked_at(plan(), lines, again, every=1_000, step=SHADOW)
    assert ruling.value == 0
    assert "errors at 0 of units [0, " in ruling.sentence
