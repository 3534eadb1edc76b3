"""A learner is chosen on validate, under its budgets, and kept so that it can be fitted again."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from gonogo.backends.files import FileBlobs
from gonogo.families.tabular.prior import PriorModel, PriorRate
from gonogo.ledger.artifacts import restore_artifact
from gonogo.training.fit import Fitted
from gonogo.types.candidate import Trial
from gonogo.types.contract import Budget
from gonogo.types.errors import BudgetSpent, UsageError
from gonogo.types.record import canonical
from tests.training.worlds import WORLD, XGBOOST, contract, family, run


def trial(fitted: Fitted, learner: str) -> Trial:
    return next(one for one in fitted.challenger.trials if one.learner == learner)


def test_the_learner_that_is_best_on_validate_is_chosen(tmp_path: Path) -> None:
    fitted = run(tmp_path, contract())
    scores = {one.learner: one.score for one in fitted.challenger.trials}
    assert fitted.challenger.learner == min(scores, key=lambda name: scores[name])
    assert [one.learner for one in fitted.challenger.trials if one.chosen] == [fitted.challenger.learner]
    assert trial(fitted, fitted.challenger.learner).note
    assert trial(fitted, "prior_rate").note == "the baseline that a candidate must beat"


def test_a_figure_that_is_better_when_higher_can_choose_too(tmp_path: Path) -> None:
    fitted = run(tmp_path, contract(select_by="roc_auc"))
    scores = {one.learner: one.score for one in fitted.challenger.trials}
    assert fitted.challenger.learner == max(scores, key=lambda name: scores[name])


def test_the_baseline_is_fitted_and_stored_too(tmp_path: Path) -> None:
    fitted = run(tmp_path, contract())
    assert fitted.baseline.learner == "prior_rate"
    assert list(fitted.baseline.artifact) == ["model.json"]


def test_what_was_stored_is_what_was_chosen(tmp_path: Path) -> None:
    fitted = run(tmp_path, contract())
    folder = restore_artifact(FileBlobs(tmp_path / "blobs"), fitted.challenger.artifact, tmp_path / "restored")
    predictions = family().load(folder).predict(WORLD.validate.inputs)
    loss = family().metrics[0].score(predictions, WORLD.validate.outcomes).value.mean()
    assert loss <= trial(fitted, fitted.challenger.learner).score + 1e-12  # recalibration may only have lowered it


def test_two_folders_and_other_threads_give_the_same_candidates(tmp_path: Path) -> None:
    first = run(tmp_path / "first", contract(threads=1, budget=Budget(latency_p99_ms=1000.0)))
    second = run(tmp_path / "second", contract(threads=2, budget=Budget(latency_p99_ms=1000.0)))
    assert canonical(first.challenger) == canonical(second.challenger)
    assert canonical(first.baseline) == canonical(second.baseline)


def test_a_tie_goes_to_the_learner_that_is_named_first(tmp_path: Path) -> None:
    fitted = run(tmp_path, contract(("xgboost", XGBOOST), ("xgboost", {**XGBOOST, "early_stopping_rounds": 29})))
    assert fitted.challenger.params["early_stopping_rounds"] == 30


def test_parameters_left_at_their_default_are_recorded(tmp_path: Path) -> None:
    params = run(tmp_path, contract(("xgboost", XGBOOST))).challenger.params
    assert params["n_rounds"] == 30
    assert params["reg_lambda"] == 1.0


@pytest.mark.parametrize(
    ("learner", "message"),
    [
        (("logistic", {}), "did you mean 'logistic_regression'"),
        (("xgboost", {"n_round": 5}), "did you mean 'n_rounds'"),
        (("xgboost", {"n_rounds": -5}), "n_rounds"),
    ],
)
def test_an_unknown_learner_or_parameter_is_refused_before_anything_is_fitted(
    learner: tuple[str, dict[str, Any]], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        run(tmp_path, contract(learner))
    assert not (tmp_path / "scratch").exists()


def test_an_unknown_selecting_metric_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'log_loss'"):
        run(tmp_path, contract(select_by="logloss"))


@dataclasses.dataclass(frozen=True)
class Dawdling:
    """The truth, very slowly."""

    def fit(self, train: Any, validate: Any, **_: Any) -> DawdlingModel:
        return DawdlingModel(rate=PriorRate().fit(train, validate, inputs=(), seed=0, threads=1, budget_s=None).rate)


class DawdlingModel(PriorModel):
    def predict(self, inputs: pa.Table) -> pa.Table:
        until = time.thread_time() + (0.003 if inputs.num_rows == 1 else 0)
        while time.thread_time() < until:
            pass
        return pa.table({"p": [self.rate] * inputs.num_rows})


def test_a_learner_that_answers_too_late_is_left_out_and_the_reason_holds_no_measured_number(tmp_path: Path) -> None:
    slow = dataclasses.replace(family(), learners={**family().learners, "dawdling": Dawdling})
    terms = contract(("dawdling", {}), ("prior_rate", {}), budget=Budget(latency_p99_ms=2.0))
    fitted = run(tmp_path, terms, with_family=slow)
    assert fitted.challenger.learner == "prior_rate"
    assert trial(fitted, "dawdling").note == "left out: one-row p99 is beyond budget.latency_p99_ms = 2"
    measured = {one.learner: one for one in fitted.measured}
    assert measured["dawdling"].low_ms > 2.0 > measured["prior_rate"].low_ms


def test_without_any_learner_within_its_budget_nothing_is_chosen(tmp_path: Path) -> None:
    with pytest.raises(BudgetSpent, match="no learner") as refused:
        run(tmp_path, contract(budget=Budget(training_s=0.0)))
    assert "logistic_regression: left out" in refused.value.found
