"""Logistic regression finds the coefficients that scikit-learn finds, and says how sure it is of them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from gonogo.families.tabular.design import Problem
from gonogo.families.tabular.logistic import LogisticModel, LogisticRegression
from gonogo.families.tabular.newton import factor, minimise, solve
from gonogo.types.errors import BudgetSpent, UsageError
from gonogo.types.protocols import Examples
from gonogo.types.snapshot import Missing
from tests.families.tabular.worlds import examples, inputs_of, world


def fit(learner: LogisticRegression, train: Examples, **missing: Missing) -> LogisticModel:
    inputs = inputs_of(dict.fromkeys(train.inputs.column_names), **missing)
    return learner.fit(train, train, inputs=inputs, seed=0, threads=1, budget_s=None)


def numbers(n: int, *betas: float, seed: int = 0, intercept: float = -0.5) -> Examples:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, len(betas)))
    y = (rng.random(n) < 1 / (1 + np.exp(-(x @ np.array(betas) + intercept)))).astype(np.int64)
    return examples({f"x{i}": pa.array(x[:, i]) for i in range(len(betas))}, y, np.arange(n))


def p_of(model: LogisticModel, table: pa.Table) -> np.ndarray:
    return model.predict(table).column("p").to_numpy()


def test_it_gives_the_probabilities_of_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression as TheirLogisticRegression

    train = world(n=4000).train
    x = train.inputs.drop_columns(["k"]).to_pandas().to_numpy()
    null = np.isnan(x)
    filled = np.where(null, np.nanmedian(x, axis=0), x)
    scaled = (filled - filled.mean(axis=0)) / filled.std(axis=0)
    k = np.array([text or "(null)" for text in train.inputs.column("k").to_pylist()])
    theirs = np.column_stack([scaled, null[:, 1], null[:, 2], *(k == level for level in np.unique(k))]).astype(float)
    y = train.outcomes.column("y").to_numpy()
    peer = TheirLogisticRegression(C=0.3, tol=1e-10, max_iter=10_000).fit(theirs, y)
    ours = fit(LogisticRegression(C=0.3, min_category_rows=1), train)
    np.testing.assert_allclose(p_of(ours, train.inputs), peer.predict_proba(theirs)[:, 1], atol=1e-6)


def test_a_strong_ridge_leaves_the_intercept_alone() -> None:
    train = numbers(2000, 1.0)
    p = p_of(fit(LogisticRegression(C=1e-9), train), train.inputs)
    np.testing.assert_allclose(p, train.outcomes.column("y").to_numpy().mean(), atol=1e-4)


def test_a_class_weight_moves_the_fit_and_not_the_mean_probability() -> None:
    train = numbers(20_000, 1.0, -0.5, intercept=-3.0)
    rate = train.outcomes.column("y").to_numpy().mean()
    weighted = p_of(fit(LogisticRegression(positive_weight=20.0), train), train.inputs)
    assert weighted.mean() == pytest.approx(rate, abs=0.005)


def test_odds_ratios_cover_the_truth_19_times_in_20() -> None:
    truth, covered, n_worlds = 0.7, 0, 150
    for seed in range(n_worlds):
        train = numbers(400, truth, 0.0, seed=seed)
        scale = train.inputs.column("x0").to_numpy().std()
        effect = next(e for e in fit(LogisticRegression(C=1e3), train).effects() if e.name == "x0")
        covered += effect.low <= np.exp(truth * scale) <= effect.high
    assert 0.90 <= covered / n_worlds <= 0.99


def test_rows_that_are_copied_within_their_unit_make_nothing_surer() -> None:
    once = numbers(600, 0.8)
    rows = np.repeat(np.arange(600), 5)
    copied = Examples(
        keys=once.keys.take(rows), inputs=once.inputs.take(rows), outcomes=once.outcomes.take(rows), slices=once.slices.take(rows)
    )
    alone, together = (fit(LogisticRegression(C=c), train).effects()[0] for c, train in ((5.0, once), (1.0, copied)))
    assert together.low == pytest.approx(alone.low, rel=1e-6)
    assert together.high == pytest.approx(alone.high, rel=1e-6)


def test_one_unit_gives_a_ratio_without_an_interval() -> None:
    train = numbers(300, 0.8)
    outcomes = train.outcomes.set_column(0, "unit", pa.array(np.zeros(300, dtype=np.int64)))
    effect = fit(LogisticRegression(), dataclasses.replace(train, outcomes=outcomes)).effects()[0]
    assert effect.value > 1
    assert effect.low is None


def test_rare_and_unknown_categories_share_a_coefficient() -> None:
    rng = np.random.default_rng(0)
    k = np.array(["often"] * 900 + ["rare"] * 5 + ["seldom"] * 5 + ["usual"] * 90, dtype=object)
    train = examples({"k": pa.array(k)}, rng.integers(0, 2, 1000), np.arange(1000))
    model = fit(LogisticRegression(min_category_rows=20), train)
    p = p_of(model, pa.table({"k": ["rare", "seldom", "never seen", "often"]}))
    assert p[0] == p[1] == p[2] != p[3]


def test_a_constant_column_and_one_of_nulls_are_left_out() -> None:
    train = numbers(500, 1.0)
    wider = train.inputs.append_column("x8", pa.array(np.full(500, 3.0))).append_column("x9", pa.nulls(500, pa.float64()))
    names = {effect.name for effect in fit(LogisticRegression(), dataclasses.replace(train, inputs=wider)).effects()}
    assert names == {"x0"}


def test_columns_that_are_null_together_share_one_indicator() -> None:
    rng = np.random.default_rng(0)
    gone = rng.random(1000) < 0.2
    x = {f"x{i}": pa.array(np.where(gone, np.nan, rng.normal(size=1000)), from_pandas=True) for i in (1, 3)}
    train = examples(x, rng.integers(0, 2, 1000), np.arange(1000))
    names = {effect.name for effect in fit(LogisticRegression(), train).effects()}
    assert "x1 and x3 is null" in names
    assert "x1 is null" not in names


def test_too_many_coefficients_to_hold_their_curvature_give_the_same_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    dense = np.column_stack([np.ones(800), rng.normal(size=(800, 20))])
    places = np.column_stack([rng.integers(21, 26, 800), np.where(rng.random(800) < 0.5, -1, 26)])
    y = (rng.random(800) < 1 / (1 + np.exp(-dense[:, 1]))).astype(float)
    problem = Problem(dense=dense, places=places, y=y, weight=np.ones(800), ridge=np.r_[0.0, np.ones(26)])
    narrow = minimise(problem, deadline=None)
    monkeypatch.setattr("gonogo.families.tabular.newton.WIDE", 10)
    wide = minimise(problem, deadline=None)
    assert wide.hessian is None
    np.testing.assert_allclose(wide.beta, narrow.beta, atol=1e-5)


def test_more_columns_than_rows_are_fitted() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 1500))
    train = examples({f"x{i:04d}": pa.array(x[:, i]) for i in range(1500)}, (x[:, 0] > 0).astype(np.int64), np.arange(100))
    p = p_of(fit(LogisticRegression(), train), train.inputs)
    assert (p[x[:, 0] > 0] > 0.5).all()


def test_outcomes_that_one_input_parts_are_fitted_all_the_same() -> None:
    x = np.linspace(-1, 1, 200)
    train = examples({"x1": pa.array(x)}, (x > 0).astype(np.int64), np.arange(200))
    effect = fit(LogisticRegression(C=1e6), train).effects()[0]
    assert effect.value > 100
    assert np.isfinite(effect.value)


def test_factor_and_solve_invert_a_positive_definite_matrix() -> None:
    rng = np.random.default_rng(0)
    root = rng.normal(size=(30, 30))
    matrix = root @ root.T + np.eye(30)
    right = rng.normal(size=(30, 3))
    np.testing.assert_allclose(matrix @ solve(factor(matrix), right), right, atol=1e-9)


def test_a_fit_beyond_its_budget_is_stopped() -> None:
    train = world(n=4000).train
    with pytest.raises(BudgetSpent):
        LogisticRegression().fit(train, train, inputs=inputs_of(dict.fromkeys(train.inputs.column_names)), seed=0, threads=1, budget_s=0.0)


@pytest.mark.parametrize(
    "params", [{"C": 0}, {"C": float("nan")}, {"C": True}, {"C": "1"}, {"min_category_rows": 0.5}, {"positive_weight": -1}]
)
def test_parameters_that_make_no_sense_are_refused(params: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=next(iter(params))):
        LogisticRegression(**params)
