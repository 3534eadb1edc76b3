"""How are trees grown so that the number of threads cannot be seen in them?

XGBoost adds up gradients in as many parts as it has threads, and the order of a float sum shows in its last bits. Here the gradients are
rounded to multiples of 2⁻²² of the largest weight before XGBoost sees them: sums of those are exact in float64 up to 2³¹ rows, so every
order gives the same histogram, the same split and the same leaf. The loss of validate is summed in row order.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from gonogo.types.errors import BudgetSpent

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gonogo.types.evidence import Array

GRID = 2.0**22  # float32 holds every multiple of 1/GRID from -1 to 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """One table, as trees read it."""

    columns: Array  # (n, k) NaN for missing
    y: Array  # (n,) 0 or 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """How to grow."""

    params: dict[str, Any]  # XGBoost's own
    n_rounds: int
    patience: int  # rounds without a better validate loss before it ends; 0: never
    positive_weight: float
    negative_weight: float
    shift: float  # from the log-odds that are learnt to those of validate: takes class weights and sampling back out
    max_bin: int
    threads: int
    deadline: float | None  # of time.monotonic()


def grow(xgboost: ModuleType, train: Rows, validate: Rows, plan: Plan) -> Any:
    """The booster, cut after the round that was best on validate. Raises BudgetSpent past the deadline."""
    weight = np.where(train.y > 0, plan.positive_weight, plan.negative_weight)
    data = _binned(xgboost, train, plan, like=None)
    held_out = _binned(xgboost, validate, plan, like=data) if len(validate.y) else None
    rate = float(np.sum(weight * train.y) / np.sum(weight))
    booster = xgboost.Booster({**plan.params, "base_score": rate}, [data] + ([held_out] if held_out else []))
    best_loss, best_round = np.inf, -1
    for i in range(plan.n_rounds):
        margin = booster.predict(data, output_margin=True, training=True)
        gradient, curvature = exact_gradients(margin, train.y, weight)
        booster.boost(data, iteration=i, grad=gradient, hess=curvature)
        if held_out is None:
            continue
        loss = log_loss(booster.predict(held_out, output_margin=True).astype(np.float64) + plan.shift, validate.y)
        if loss < best_loss:
            best_loss, best_round = loss, i
        elif plan.patience and i - best_round >= plan.patience:
            break
        if plan.deadline is not None and time.monotonic() > plan.deadline:
            raise BudgetSpent("the trees were still growing when budget.training_s had passed", found=f"{i + 1} of {plan.n_rounds} rounds")
    return booster[: best_round + 1] if best_round >= 0 else booster


def exact_gradients(margin: NDArray[np.float32], y: Array, weight: Array) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Gradient and curvature of the weighted log loss, on a grid on which sums of 2³¹ of them are exact.

    margin: (n,) log-odds. The curvature is at least one step of the grid, so that no row vanishes.
    """
    p = 1 / (1 + np.exp(-np.clip(margin, -40, 40).astype(np.float64)))
    steps = GRID / 2.0 ** np.ceil(np.log2(max(1.0, float(np.max(weight)))))
    gradient = np.rint(weight * (p - y) * steps) / steps
    curvature = np.maximum(np.rint(weight * p * (1 - p) * steps), 1) / steps
    return gradient.astype(np.float32), curvature.astype(np.float32)


def log_loss(log_odds: Array, y: Array) -> float:
    """Mean nats, summed in row order."""
    odds = log_odds.astype(np.float64)
    return float(np.mean(np.maximum(odds, 0) + np.log1p(np.exp(-np.abs(odds))) - y * odds))


def _binned(xgboost: ModuleType, rows: Rows, plan: Plan, *, like: Any) -> Any:
    return xgboost.QuantileDMatrix(rows.columns, rows.y, ref=like, max_bin=plan.max_bin, nthread=plan.threads)
