"""What is claimed of bending probabilities: it finds what was bent, takes sampling back exactly, and seldom harms an honest model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from benchmarks.truth.claims import Claim

from gonogo.families.tabular.boosted import XGBoost
from gonogo.families.tabular.by_slice import ShiftedModel
from gonogo.families.tabular.calibrated import refine
from gonogo.families.tabular.logistic import LogisticRegression
from gonogo.stats.calibration import Beta, Recalibration, Temperature, fit_beta, fit_platt, fit_temperature, logistic
from gonogo.stats.clustered import ratio_of_sums
from gonogo.stats.imbalance import prior_correction
from gonogo.types.evidence import UnitScores
from gonogo.types.protocols import Examples, Learner
from gonogo.types.snapshot import Input, Kind, Missing

CHI_SQUARE_95 = {1: 3.841, 2: 5.991, 3: 7.815}  # by degrees of freedom


# ── does the fit find what was bent? ────────────────────────────────────────────────────────────────────────────────────


def temperature_holds(seed: int) -> bool:
    return _likelihood_region_holds(seed, Temperature(temperature=1.6), fit_temperature, parameters=1)


def platt_holds(seed: int) -> bool:
    return _likelihood_region_holds(seed, Beta(a=0.7, b=0.7, c=-0.5), fit_platt, parameters=2)


def beta_holds(seed: int) -> bool:
    return _likelihood_region_holds(seed, Beta(a=0.6, b=1.6, c=-0.4), fit_beta, parameters=3)


def _likelihood_region_holds(seed: int, truth: Recalibration, fit, *, parameters: int) -> bool:
    """Wilks: twice the log of how much likelier the fit is than the truth follows chi-square, if the fit is the likeliest."""
    rng = np.random.default_rng(seed)
    score = rng.uniform(0.01, 0.99, 2_000)
    p = truth.apply(score)
    y = (rng.random(2_000) < p).astype(float)
    fitted = fit(y, score).apply(score)
    twice = 2 * float(np.sum(np.where(y > 0, np.log(fitted / p), np.log((1 - fitted) / (1 - p)))))
    return twice <= CHI_SQUARE_95[parameters]


# ── is the prior correction exact? ──────────────────────────────────────────────────────────────────────────────────────


def corrected_scores_tell_the_rate(seed: int) -> bool:
    """Two normals, scored as if they were equally frequent; 8 % are positive, in units that share a shift."""
    rng = np.random.default_rng(seed)
    y = (rng.random(3_000) < 0.08).astype(float)
    x = rng.normal(np.where(y > 0, 1.0, -1.0), 1.0)
    balanced = logistic(2 * x)
    p = prior_correction(trained_rate=0.5, deployed_rate=0.08).apply(balanced)
    top = p > 0.3  # where a correction that is off in its form, not only in its mean, would show
    interval = ratio_of_sums(UnitScores(np.arange(top.sum()), (y - p)[top], np.ones(int(top.sum())))).interval
    return interval.low <= 0 <= interval.high


def linear_weighted_costs_more(seed: int) -> bool:
    return _costs_more(seed, LogisticRegression(), LogisticRegression(positive_weight=20.0), n=20_000, at_most=0.01)


def linear_sampled_costs_more(seed: int) -> bool:
    return _costs_more(seed, LogisticRegression(), LogisticRegression(negatives_kept=0.1), n=20_000, at_most=0.01)


TREES = XGBoost(n_rounds=200, learning_rate=0.1, max_depth=4, early_stopping_rounds=20)


def trees_weighted_cost_more(seed: int) -> bool:
    return _costs_more(seed, TREES, replace(TREES, positive_weight=20.0), n=20_000, at_most=0.06)


def trees_sampled_cost_more(seed: int) -> bool:
    return _costs_more(seed, TREES, replace(TREES, negatives_kept=0.1), n=20_000, at_most=0.06)


def _costs_more(seed: int, untouched: Learner, imbalanced: Learner, *, n: int, at_most: float) -> bool:
    """The expected log loss, from the true probabilities, rises by more than that share."""
    train, _ = _rare(seed, n)
    validate, _ = _rare(seed + 1_000_000, n // 2)
    test, truth = _rare_test()
    losses = []
    for learner in (untouched, imbalanced):
        model = learner.fit(train, validate, inputs=_INPUTS, seed=seed, threads=1, budget_s=None)
        losses.append(_expected_loss(truth, model.predict(test.inputs).column("p").to_numpy()))
    return losses[1] > (1 + at_most) * losses[0]


def _rare(seed: int, n: int) -> tuple[Examples, np.ndarray]:
    """About 3 % positives; two inputs work together, which a linear model cannot say."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    truth = logistic(1.2 * x[:, 0] - 0.8 * x[:, 1] + 0.5 * x[:, 1] * x[:, 2] - 4.2)
    y = (rng.random(n) < truth).astype(np.int64)
    return _examples({f"x{i}": pa.array(x[:, i]) for i in range(3)}, y, np.arange(n)), truth


@cache
def _rare_test() -> tuple[Examples, np.ndarray]:
    return _rare(0, 100_000)


_INPUTS = tuple(Input(name=f"x{i}", kind=Kind.NUMBER, missing=Missing.NATIVE, feature=f"x{i}") for i in range(3))


# ── does refining harm? ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Said:
    """A model that says logistic(boldness · x), where the truth is logistic(x)."""

    boldness: float = 1.0

    def predict(self, inputs: pa.Table) -> pa.Table:
        return pa.table({"p": logistic(self.boldness * inputs.column("x").to_numpy())})

    def save(self, folder: Path) -> None:
        raise NotImplementedError

    def effects(self) -> tuple[()]:
        return ()


def refining_an_honest_model_harms(seed: int) -> bool:
    return _refining_harms(seed, Said())


def refining_a_slightly_bold_model_harms(seed: int) -> bool:
    return _refining_harms(seed, Said(boldness=1.15))


def refining_helps_a_bold_model(seed: int) -> bool:
    return _changed(seed, Said(boldness=1.6), _airports(seed, 2_400, units=80)[0]) < 0


def shifting_one_airport_helps(seed: int) -> bool:
    """Said too low by 0.8 log-odds at one of three airports: a shift of that one is found, and fresh rows gain by it."""
    validate, _ = _airports(seed, 6_000, units=120, tilt=0.8)
    return isinstance(refine(Said(), validate, 0).model, ShiftedModel) and _changed(seed, Said(), validate, tilt=0.8) < 0


def _refining_harms(seed: int, model: Said) -> bool:
    """The expected log loss on fresh rows rises."""
    return _changed(seed, model, _airports(seed, 2_400, units=80)[0]) > 1e-12


def _changed(seed: int, model: Said, validate: Examples, *, tilt: float = 0.0) -> float:
    """What refining adds to the expected log loss on fresh rows."""
    fresh, truth = _airports_test(tilt)
    refined = refine(model, validate, 0).model
    before, after = (_expected_loss(truth, one.predict(fresh.inputs).column("p").to_numpy()) for one in (model, refined))
    return after - before


def _airports(seed: int, n: int, *, units: int, tilt: float = 0.0) -> tuple[Examples, np.ndarray]:
    """The airport is told; tilt log-odds are added at JFK, which the model does not know."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 1.5, n)
    origin = rng.integers(0, 3, n)
    truth = logistic(x + tilt * (origin == 1))
    y = (rng.random(n) < truth).astype(np.int64)
    return _examples({"x": pa.array(x), "origin": pa.array(np.array(["EWR", "JFK", "LGA"])[origin])}, y, np.arange(n) * units // n), truth


@cache
def _airports_test(tilt: float) -> tuple[Examples, np.ndarray]:
    return _airports(0, 20_000, units=100, tilt=tilt)


def _examples(columns: dict[str, pa.Array], y: np.ndarray, unit: np.ndarray) -> Examples:
    rows = np.arange(len(y))
    return Examples(
        keys=pa.table({"row": rows}),
        inputs=pa.table(columns),
        outcomes=pa.table({"unit": unit, "decided_at": rows, "y": y}),
        slices=pa.table({name: column for name, column in columns.items() if pa.types.is_string(column.type)}),
    )


def _expected_loss(truth: np.ndarray, p: np.ndarray) -> float:
    return float(-np.mean(truth * np.log(p) + (1 - truth) * np.log1p(-p)))


SOUND = (0.93, 0.97)
CLAIMS = (
    Claim(
        name="the temperature that bent 2,000 scores",
        method="likelihood region of fit_temperature",
        kind="coverage",
        band=SOUND,
        world=temperature_holds,
    ),
    Claim(name="the line that bent 2,000 scores", method="likelihood region of fit_platt", kind="coverage", band=SOUND, world=platt_holds),
    Claim(
        name="the beta curve that bent 2,000 scores", method="likelihood region of fit_beta", kind="coverage", band=SOUND, world=beta_holds
    ),
    Claim(
        name="mean of outcome minus corrected score above 0.3, trained at 50 %, deployed at 8 %",
        method="prior_correction",
        kind="coverage",
        band=SOUND,
        world=corrected_scores_tell_the_rate,
    ),
    Claim(
        name="logistic regression with positives weighted by 20 costs at most 1 % more log loss",
        method="correction of the intercept",
        kind="promise",
        band=(0.0, 0.05),
        world=linear_weighted_costs_more,
        worlds=300,
    ),
    Claim(
        name="logistic regression on a tenth of the negatives costs at most 1 % more log loss",
        method="correction of the intercept",
        kind="promise",
        band=(0.0, 0.05),
        world=linear_sampled_costs_more,
        worlds=300,
    ),
    Claim(
        name="trees with positives weighted by 20 cost at most 6 % more log loss",
        method="correction of the log-odds",
        kind="promise",
        band=(0.0, 0.05),
        world=trees_weighted_cost_more,
        worlds=80,
    ),
    Claim(
        name="trees on a tenth of the negatives cost at most 6 % more log loss",
        method="correction of the log-odds",
        kind="promise",
        band=(0.0, 0.05),
        world=trees_sampled_cost_more,
        worlds=80,
    ),
    Claim(
        name="refining leaves an honest model no worse, four kinds and three airports tried",
        method="held-out gain beyond doubt",
        kind="promise",
        band=(0.0, 0.05),
        world=refining_an_honest_model_harms,
    ),
    Claim(
        name="refining leaves a slightly bold model (slope 1.15) no worse",
        method="held-out gain beyond doubt",
        kind="promise",
        band=(0.0, 0.05),
        world=refining_a_slightly_bold_model_harms,
    ),
    Claim(
        name="refining helps a bold model (slope 1.6), 2,400 rows",
        method="held-out gain beyond doubt",
        kind="power",
        band=(0.95, 1.0),
        world=refining_helps_a_bold_model,
        worlds=1000,
    ),
    Claim(
        name="one airport of three that is said too low by 0.8 is shifted, 6,000 rows",
        method="held-out gain beyond doubt, divided by the values tried",
        kind="power",
        band=(0.9, 1.0),
        world=shifting_one_airport_helps,
        worlds=300,
    ),
)
