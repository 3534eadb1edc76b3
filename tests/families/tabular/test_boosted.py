"""Boosted trees: the bits do not depend on threads, and every parameter does what it says."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gonogo.families.tabular import FAMILY
from gonogo.families.tabular.boosted import BoostedModel, XGBoost
from gonogo.families.tabular.growing import exact_gradients
from gonogo.types.errors import BudgetSpent, DataError, ExtraMissing, OutcomeRefused, UsageError
from tests.contracts.learner_suite import World
from tests.contracts.model_suite import read_folder
from tests.families.tabular.worlds import world

WORLD = world(n=6000)
SMALL = XGBoost(n_rounds=40, learning_rate=0.2, max_depth=4)


def fit(learner: XGBoost, of: World = WORLD, *, threads: int = 1, seed: int = 0, budget_s: float | None = None) -> BoostedModel:
    return learner.fit(of.train, of.validate, inputs=of.inputs, seed=seed, threads=threads, budget_s=budget_s)


def p_of(model: BoostedModel, inputs: pa.Table) -> np.ndarray:
    return model.predict(inputs).column("p").to_numpy()


def loss_of(model: BoostedModel, of: World = WORLD) -> float:
    return float(FAMILY.metrics[0].score(model.predict(of.test.inputs), of.test.outcomes).value.mean())


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 1000))
def test_sums_of_gradients_are_the_same_in_every_order(seed: int, positive_weight: float) -> None:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, 500).astype(float)
    both = exact_gradients(rng.normal(0, 5, 500).astype(np.float32), y, np.where(y > 0, positive_weight, 1.0))
    for values in both:
        order = rng.permutation(500)
        cut = int(rng.integers(1, 499))
        exact = values.astype(np.float64)
        assert float(np.cumsum(exact)[-1]) == float(np.cumsum(exact[order][:cut])[-1] + np.cumsum(exact[order][cut:])[-1])


@pytest.mark.parametrize("extra", [{}, {"subsample": 0.6}, {"colsample_bytree": 0.5}, {"positive_weight": 7.3}], ids=str)
def test_one_and_two_threads_grow_the_same_trees(extra: dict[str, float], tmp_path: Path) -> None:
    learner = dataclasses.replace(SMALL, **extra)
    for threads in (1, 2):
        fit(learner, threads=threads).save(tmp_path / str(threads))
    assert read_folder(tmp_path / "1") == read_folder(tmp_path / "2")


def test_it_is_as_good_as_xgboost_with_its_own_gradients() -> None:
    import xgboost

    codec = fit(SMALL)._header.inputs
    train, validate, test = (codec.columns(codec.codec.encode(part.inputs)) for part in (WORLD.train, WORLD.validate, WORLD.test))
    data = xgboost.DMatrix(train, WORLD.train.outcomes.column("y").to_numpy())
    held_out = xgboost.DMatrix(validate, WORLD.validate.outcomes.column("y").to_numpy())
    params = {"objective": "binary:logistic", "max_depth": 4, "learning_rate": 0.2, "nthread": 1, "eval_metric": "logloss"}
    theirs = xgboost.train(params, data, 40, evals=[(held_out, "validate")], early_stopping_rounds=30, verbose_eval=False)
    p = theirs.predict(xgboost.DMatrix(test), iteration_range=(0, theirs.best_iteration + 1)).astype(float)
    y = WORLD.test.outcomes.column("y").to_numpy()
    their_loss = float(-np.mean(np.where(y > 0, np.log(p), np.log(1 - p))))
    assert loss_of(fit(SMALL)) == pytest.approx(their_loss, abs=0.003)


def test_trees_after_the_best_round_on_validate_are_cut_off() -> None:
    model = fit(dataclasses.replace(SMALL, n_rounds=400, early_stopping_rounds=5))
    assert model._booster.num_boosted_rounds() < 100


def test_a_rising_input_never_lowers_the_answer() -> None:
    model = fit(dataclasses.replace(SMALL, rising=("x0",), falling=("x3",)))
    steps = np.linspace(-3, 3, 50)
    still = {name: pa.array(np.zeros(50)) for name in ("x1", "x2")} | {"k": pa.array(["a"] * 50)}
    up = p_of(model, pa.table({**still, "x0": steps, "x3": np.zeros(50)}))
    down = p_of(model, pa.table({**still, "x0": np.zeros(50), "x3": steps}))
    assert (np.diff(up) >= 0).all()
    assert up[-1] > up[0]
    assert (np.diff(down) <= 0).all()


def test_a_rising_input_that_is_no_number_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"'x00' is no number.*did you mean 'x0'"):
        fit(dataclasses.replace(SMALL, rising=("x00",)))


def test_a_class_weight_does_not_move_the_mean_probability() -> None:
    rate = WORLD.test.outcomes.column("y").to_numpy().mean()
    plain, weighted = (p_of(fit(dataclasses.replace(SMALL, positive_weight=w)), WORLD.test.inputs) for w in (1.0, 8.0))
    assert plain.mean() == pytest.approx(rate, abs=0.03)
    assert weighted.mean() == pytest.approx(rate, abs=0.04)


def test_a_column_whose_nulls_are_to_be_indicated_has_an_indicator() -> None:
    names = {effect.name for effect in fit(SMALL).effects()}
    assert "x2 is null" in names
    assert "x1 is null" not in names


def test_shares_of_gain_add_up_to_one() -> None:
    assert sum(effect.value for effect in fit(SMALL).effects()) == pytest.approx(1)


def test_an_unknown_category_is_answered_as_a_missing_one() -> None:
    model = fit(SMALL)
    row = WORLD.test.inputs.slice(0, 1)
    at = row.schema.get_field_index("k")
    unknown, missing = (row.set_column(at, "k", pa.array([text], type=pa.string())) for text in ("zebra", None))
    assert model.predict(unknown).equals(model.predict(missing))


def test_an_infinite_input_is_refused() -> None:
    at = WORLD.train.inputs.schema.get_field_index("x3")
    inputs = WORLD.train.inputs.set_column(at, "x3", pa.array(np.full(WORLD.train.inputs.num_rows, np.inf)))
    with pytest.raises(DataError, match="infinite"):
        fit(SMALL, dataclasses.replace(WORLD, train=dataclasses.replace(WORLD.train, inputs=inputs)))


def test_an_outcome_that_is_not_finite_is_refused() -> None:
    y = WORLD.train.outcomes.column("y").to_numpy().astype(float)
    y[5] = np.nan
    at = WORLD.train.outcomes.schema.get_field_index("y")
    outcomes = WORLD.train.outcomes.set_column(at, "y", pa.array(y))
    with pytest.raises(OutcomeRefused):
        fit(SMALL, dataclasses.replace(WORLD, train=dataclasses.replace(WORLD.train, outcomes=outcomes)))


def test_growing_beyond_the_budget_is_stopped() -> None:
    with pytest.raises(BudgetSpent, match="still growing"):
        fit(dataclasses.replace(SMALL, n_rounds=100_000, early_stopping_rounds=0), budget_s=0.05)


def test_without_xgboost_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xgboost", None)
    with pytest.raises(ExtraMissing) as refused:
        fit(SMALL)
    assert "gonogo[tabular]" in refused.value.next


@pytest.mark.parametrize("params", [{"n_rounds": 0}, {"learning_rate": 2.0}, {"max_depth": 0.5}, {"subsample": 0}, {"rising": "x0"}])
def test_parameters_that_make_no_sense_are_refused(params: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=next(iter(params))):
        XGBoost(**params)
