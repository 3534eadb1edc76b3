"""What the judge is told of the prediction log, and of what came true."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from gonogo.families.registry import find
from gonogo.types.evidence import UnitScores
from gonogo.types.traffic import FRAME, OBSERVATION, AnswerStatus, Arm, FrameKind, ObservationKind
from gonogo.workflow.losses import Matured, losses, metrics_of
from gonogo.workflow.observe import mark, observations

PREDICTION, SHADOW, OUTCOME, EVENT, LOST = (
    FrameKind.PREDICTION,
    FrameKind.SHADOW,
    FrameKind.OUTCOME,
    FrameKind.EVENT,
    FrameKind.LOST,
)


def frames(*rows):
    """Frames of (kind, arm, propensity), each of its own unit 1, 2, 3, …"""
    found = np.zeros(len(rows), FRAME)
    for i, (kind, arm, propensity) in enumerate(rows):
        found[i]["kind"], found[i]["arm"], found[i]["propensity"], found[i]["unit"] = kind, arm, propensity, i + 1
    return found


def test_answers_and_shadows_are_told_in_their_order_and_nothing_else():
    told = observations(
        frames((PREDICTION, Arm.CHAMPION, 1), (OUTCOME, 0, 0), (SHADOW, Arm.CHALLENGER, 1), (EVENT, 0, 0), (PREDICTION, Arm.CHAMPION, 1)),
        (),
    )
    assert told["kind"].tolist() == [ObservationKind.ANSWER, ObservationKind.SHADOW, ObservationKind.ANSWER]
    assert told["unit"].tolist() == [1, 3, 5]


def test_the_share_is_the_one_under_which_a_request_was_routed():
    share = np.float32(0.05)
    told = observations(frames((PREDICTION, Arm.CHALLENGER, share), (PREDICTION, Arm.CHAMPION, 1 - share)), (0.05, 0.25))
    assert told["share"].tolist() == [share, share]


def test_a_shadow_has_the_share_of_the_answer_that_it_shadows():
    told = observations(frames((SHADOW, Arm.CHAMPION, 0.25), (SHADOW, Arm.CHALLENGER, 0.75)), (0.25,))
    assert told["share"].tolist() == [0.25, 0.25]


def test_both_halves_of_a_request_name_it_alike_and_two_requests_differ():
    rows = frames((PREDICTION, Arm.CHAMPION, 1), (PREDICTION, Arm.CHAMPION, 1), (SHADOW, Arm.CHALLENGER, 1), (SHADOW, Arm.CHALLENGER, 1))
    rows["request"] = [2**64 - 1, 2**64 - 1 - 2**12, 2**64 - 1, 2**64 - 1 - 2**12]
    told = observations(rows, ())["value"].tolist()
    assert told == [2.0**53 - 1, 2.0**53 - 3, 2.0**53 - 1, 2.0**53 - 3]


def test_an_answer_that_nobody_watched_was_given_at_a_share_of_zero():
    assert observations(frames((PREDICTION, Arm.CHAMPION, 1.0)), (0.25,))["share"].tolist() == [0.0]


def test_lost_rows_are_told_with_their_number():
    (told,) = observations(frames((LOST, 0, 0)), ())
    assert (told["kind"], told["value"], told["unit"]) == (ObservationKind.LOST, 1.0, 0)


def test_no_frames_are_no_observations():
    assert len(observations(frames(), ())) == 0
    assert len(observations(frames((EVENT, 0, 0)), ())) == 0


def test_a_mark_has_no_numbers_that_could_be_taken_for_a_score():
    (tick,) = mark(ObservationKind.TICK, 7, 3)
    assert (tick["at_ns"], tick["epoch"]) == (7, 3)
    assert math.isnan(tick["score"])
    assert math.isnan(tick["value"])


def matured(own, other, y):
    n = len(own)
    return Matured(
        at_ns=np.arange(n),
        unit=np.arange(1, n + 1, dtype=np.uint64),
        slices=np.zeros(n, np.uint64),
        epoch=np.full(n, 4, np.uint32),
        arm=np.full(n, Arm.CHALLENGER, np.uint8),
        status=np.full(n, AnswerStatus.ANSWERED, np.uint8),
        share=np.full(n, 0.25),
        own=np.array(own, float),
        other=np.array(other, float),
        outcomes={"y": y},
    )


@pytest.fixture(scope="module")
def metrics():
    return metrics_of(find("tabular"), ("brier_score", "no_such_metric"))


def test_both_arms_are_scored_on_the_same_outcome(metrics):
    found = losses(matured([0.9, 0.2], [0.5, math.nan], [1, 1]), metrics[:1], "p")
    assert found.dtype == OBSERVATION
    assert found["kind"].tolist() == [ObservationKind.LOSS] * 2
    assert found["value"] == pytest.approx([0.01, 0.64])
    assert found["other"][0] == pytest.approx(0.25)
    assert math.isnan(found["other"][1])


def test_a_metric_that_the_family_does_not_have_gives_no_loss_and_not_zero(metrics):
    found = losses(matured([0.9], [0.5], [1]), metrics, "p")
    assert found["watch"].tolist() == [0, 1]
    assert math.isnan(found["value"][1])


def test_one_outcome_that_cannot_be_scored_silences_no_other(metrics):
    found = losses(matured([0.9, 0.9, 1.5], [0.5, 0.5, 0.5], [1, 7, 1]), metrics[:1], "p")
    assert found["value"][0] == pytest.approx(0.01)
    assert np.isnan(found["value"][1:]).all()


def test_nothing_matured_is_no_loss(metrics):
    assert len(losses(matured([], [], []), metrics, "p")) == 0


@dataclass(frozen=True)
class Odd:
    """A plugin's metric that says something else than was asked of it."""

    says: Callable[[int], np.ndarray]
    name: str = "odd"
    measured_in: str = ""
    better: str = "lower"

    def score(self, predictions, outcomes):
        value = self.says(len(predictions))
        return UnitScores(unit=np.arange(len(value)), value=value, weight=np.ones(len(value)))


def _raise(n: int) -> np.ndarray:
    raise ZeroDivisionError("by nought")


@pytest.mark.parametrize("says", [_raise, lambda n: np.array([0.25, 0.5]), lambda n: np.full((n, 1), 0.1), lambda n: np.zeros(0)])
def test_a_metric_that_raises_or_says_another_number_of_losses_gives_none(says):
    found = losses(matured([0.9, 0.2, 0.4], [0.5, 0.1, 0.3], [1, 1, 0]), (Odd(says),), "p")
    assert np.isnan(found["value"]).all()
    assert np.isnan(found["other"]).all()


def test_one_number_for_all_rows_is_not_laid_on_each_of_them():
    found = losses(matured([0.9, 0.2], [0.5, 0.1], [1, 1]), (Odd(lambda n: np.array([0.25 * n])),), "p")
    assert found["value"].tolist() == [0.25, 0.25]  # each row was asked alone
