"""By which figures can two models be compared, and how does each row sway them?

Each figure of `FIGURES` takes one model on its rows and gives its value and each row's share in its error (its influence), so that the
spread of a difference follows from sums by unit. Most are ratios of sums, Σu / Σv, with the influence w·(u − R·v) / Σwv (Cochran 1977,
Sampling techniques, ch. 6); rankings come from `influence`; the rest takes the delta method.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from gonogo.stats.estimates import require_binary, require_weights
from gonogo.stats.refusals import NotFinite, Undefined

if TYPE_CHECKING:
    from gonogo.stats.estimates import Rows
    from gonogo.stats.influence import RankedRows
    from gonogo.types.evidence import Array

Options: TypeAlias = Mapping[str, float]
RowLoss: TypeAlias = "Callable[[Array, Array], Array]"
FEWEST_OF_A_CLASS = 50  # below it intervals of figures of two classes hold the truth too seldom
CLIP = 1e-15  # a probability of 0 or 1 that was wrong costs −log(1e-15) = 34.5 nats, not infinity


@dataclass(frozen=True)
class Model:
    """One model on its rows; what several figures need of it is made once."""

    rows: Rows

    @cached_property
    def ranked(self) -> RankedRows:
        """The rows in the order of falling scores: one sort."""
        from gonogo.stats.influence import rank_rows

        return rank_rows(self.rows.y, self.rows.score, self.rows.weight)


@dataclass(frozen=True, kw_only=True, slots=True)
class Swayed:
    """A figure and each row's share in its error: value − truth ≈ Σ influence."""

    value: float
    influence: Array  # (n,)


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """A figure by which two models can be compared."""

    name: str
    better: str  # "higher" | "lower"
    measured_in: str = ""
    of: Callable[[Model, Options], Swayed]
    options: Options = field(default_factory=lambda: MappingProxyType({}))  # name → what holds without it
    of_two_classes: bool = True  # outcomes are 0 and 1
    fewest: int = 0  # rows of the rarer class below which it is refused


def compared(metric: str | RowLoss) -> Compared:
    """The figure of that name; a function (y, score) → (n,) is the mean of a loss, of which less is better.

    Raises ValueError for a name that is not known.
    """
    if callable(metric):
        return Compared(
            name=getattr(metric, "__name__", "loss").replace("<lambda>", "loss"),
            better="lower",
            of=lambda model, _: _mean(model, _loss_of(metric, model.rows)),
            of_two_classes=False,
        )
    if metric not in FIGURES:
        raise ValueError(f"no figure is named {metric!r}: give one of {', '.join(FIGURES)}, or a function (y, score) → loss by row")
    return FIGURES[metric]


def row_loss(metric: str | RowLoss, rows: Rows) -> Array:
    """(n,) what each row costs. Raises ValueError for a figure that is no mean over rows, and as the loss itself does."""
    if callable(metric):
        return _loss_of(metric, rows)
    if metric not in LOSSES:
        raise ValueError(f"{metric!r} is no mean of a loss by row: give one of {', '.join(LOSSES)}, or a function (y, score) → loss by row")
    check_rows(rows, two_classes=FIGURES[metric].of_two_classes)
    return LOSSES[metric](rows)


def check_rows(rows: Rows, *, two_classes: bool, fewest: int = 0) -> None:
    """Raises Refused for rows of which nothing can be said: NaN, outcomes that are not two classes, too few of the rarer one."""
    require_weights(rows.weight)
    if two_classes:
        require_binary(rows.y)
    elif not np.isfinite(rows.y).all():
        raise NotFinite("an outcome is NaN or infinite")
    if np.isnan(rows.score).any():
        raise NotFinite("a score is NaN")
    if fewest:
        _require_both_classes(rows, fewest)


def _require_both_classes(rows: Rows, fewest: int) -> None:
    positives = int(np.count_nonzero(rows.y if rows.weight is None else rows.y * rows.weight))
    weighted = rows.n if rows.weight is None else int(np.count_nonzero(rows.weight))
    rarer, name = min((positives, "positives"), (weighted - positives, "negatives"))
    if rarer == 0:
        raise Undefined("one class only: there is nothing to tell apart")
    if rarer < fewest:
        raise Undefined(f"{rarer} {name} of {fewest} asked: an interval of so few holds the truth too seldom")


# ── losses by row ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _log_loss(rows: Rows) -> Array:
    _require_probability(rows.score)
    said = np.where(rows.y > 0, rows.score, 1 - rows.score)
    return np.asarray(-np.log(np.clip(said, CLIP, 1.0))) + 0.0


def _brier(rows: Rows) -> Array:
    _require_probability(rows.score)
    return np.asarray((rows.score - rows.y) ** 2)


def _absolute_error(rows: Rows) -> Array:
    _require_finite(rows.score)
    return np.abs(rows.score - rows.y)


def _squared_error(rows: Rows) -> Array:
    _require_finite(rows.score)
    return np.asarray((rows.score - rows.y) ** 2)


LOSSES: Mapping[str, Callable[[Rows], Array]] = {
    "log_loss": _log_loss,
    "brier_score": _brier,
    "mean_absolute_error": _absolute_error,
    "mean_squared_error": _squared_error,
}


def _loss_of(metric: RowLoss, rows: Rows) -> Array:
    loss = np.asarray(metric(rows.y, rows.score), dtype=np.float64)
    if loss.shape != rows.y.shape:
        raise ValueError(f"the loss gave the shape {loss.shape} for {rows.n:,} rows")
    if not np.isfinite(loss).all():
        raise NotFinite("the loss of a row is NaN or infinite")
    return loss


def _require_probability(score: Array) -> None:
    if ((score < 0) | (score > 1)).any():
        raise NotFinite("a score lies outside 0 and 1: it is no probability")


def _require_finite(score: Array) -> None:
    if not np.isfinite(score).all():
        raise NotFinite("a score is infinite")


# ── ratios of sums ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _mean(model: Model, loss: Array) -> Swayed:
    return _ratio(model.rows, loss, np.ones(len(loss)))


def _ratio(rows: Rows, u: Array, v: Array) -> Swayed:
    """Σwu / Σwv."""
    if rows.weight is not None:
        u, v = rows.weight * u, rows.weight * v
    total = float(v.sum())
    if total <= 0:
        raise Undefined("no row counts here: the figure does not exist")
    value = float(u.sum()) / total
    return Swayed(value=value, influence=(u - value * v) / total)


def _at_threshold(u_and_v: Callable[[Array, Array, Options], tuple[Array, Array]]) -> Callable[[Model, Options], Swayed]:
    """A ratio of sums of what came true (n,) and what was called (n,), each 0 or 1: a row is called at the threshold and above."""

    def of(model: Model, options: Options) -> Swayed:
        rows = model.rows
        u, v = u_and_v(rows.y, (rows.score >= options["threshold"]).astype(np.float64), options)
        return _ratio(rows, u, v)

    return of


def _f_beta(y: Array, called: Array, options: Options) -> tuple[Array, Array]:
    """(1 + β²) tp over (1 + β²) tp + β² fn + fp. Source: van Rijsbergen (1979), Information retrieval, ch. 7."""
    square = options["beta"] ** 2
    return (1 + square) * y * called, square * y + called


def _cost(y: Array, called: Array, options: Options) -> tuple[Array, Array]:
    return options["false_positive"] * (1 - y) * called + options["false_negative"] * y * (1 - called), np.ones(len(y))


# ── the delta method ────────────────────────────────────────────────────────────────────────────────────────────────────


def _root_mean_squared_error(model: Model, options: Options) -> Swayed:
    squared = _mean(model, _squared_error(model.rows))
    if squared.value <= 0:
        raise Undefined("every prediction is exact: how far the truth may be is unknown")
    root = math.sqrt(squared.value)
    return Swayed(value=root, influence=squared.influence / (2 * root))


def _matthews(model: Model, options: Options) -> Swayed:
    """φ = (m − pq) / √(p(1−p) q(1−q)): m the share of true positives, p of positives, q of calls. Source: Matthews (1975), BBA 405."""
    rows, y = model.rows, model.rows.y
    called = (rows.score >= options["threshold"]).astype(np.float64)
    ones = np.ones(rows.n)
    both, positive, call = (_ratio(rows, of, ones) for of in (y * called, y, called))
    p, q = positive.value, call.value
    spread = math.sqrt(p * (1 - p) * q * (1 - q))
    if spread <= 0:
        raise Undefined("every row is called alike, or of one class: the correlation does not exist")
    value = (both.value - p * q) / spread
    of_p = (1 - 2 * p) / (2 * p * (1 - p))
    of_q = (1 - 2 * q) / (2 * q * (1 - q))
    influence = (both.influence - q * positive.influence - p * call.influence) / spread
    return Swayed(value=value, influence=influence - value * (of_p * positive.influence + of_q * call.influence))


# ── rankings ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _ranking(name: str) -> Callable[[Model, Options], Swayed]:
    """A figure of `influence` under that name, its options in their order."""

    def of(model: Model, options: Options) -> Swayed:
        from gonogo.stats import influence

        found = getattr(influence, name)(model.ranked, *options.values())
        return Swayed(value=float(found.value[0]), influence=found.influence)

    return of


_TWO_CLASSES = FEWEST_OF_A_CLASS
_HALF = MappingProxyType({"threshold": 0.5})
_ALL = (
    Compared(name="roc_auc", better="higher", of=_ranking("roc_auc"), fewest=_TWO_CLASSES),
    Compared(name="average_precision", better="higher", of=_ranking("average_precision"), fewest=_TWO_CLASSES),
    Compared(
        name="recall_at_false_positive_rate",
        better="higher",
        of=_ranking("recall_at_false_positive_rate"),
        options={"rate": 0.1},
        fewest=_TWO_CLASSES,
    ),
    Compared(name="precision_at_recall", better="higher", of=_ranking("precision_at_recall"), options={"recall": 0.5}, fewest=_TWO_CLASSES),
    Compared(name="log_loss", better="lower", measured_in="nats", of=lambda model, _: _mean(model, _log_loss(model.rows))),
    Compared(name="brier_score", better="lower", of=lambda model, _: _mean(model, _brier(model.rows))),
    Compared(
        name="accuracy",
        better="higher",
        of=_at_threshold(lambda y, called, _: ((y == called).astype(np.float64), np.ones(len(y)))),
        options=_HALF,
    ),
    Compared(
        name="precision",
        better="higher",
        of=_at_threshold(lambda y, called, _: (y * called, called)),
        options=_HALF,
        fewest=_TWO_CLASSES,
    ),
    Compared(name="recall", better="higher", of=_at_threshold(lambda y, called, _: (y * called, y)), options=_HALF, fewest=_TWO_CLASSES),
    Compared(
        name="false_positive_rate",
        better="lower",
        of=_at_threshold(lambda y, called, _: ((1 - y) * called, 1 - y)),
        options=_HALF,
        fewest=_TWO_CLASSES,
    ),
    Compared(name="f_beta", better="higher", of=_at_threshold(_f_beta), options={"threshold": 0.5, "beta": 1.0}, fewest=_TWO_CLASSES),
    Compared(name="matthews_correlation", better="higher", of=_matthews, options=_HALF, fewest=_TWO_CLASSES),
    Compared(
        name="cost_per_decision",
        better="lower",
        of=_at_threshold(_cost),
        options={"threshold": 0.5, "false_positive": 1.0, "false_negative": 1.0},
    ),
    Compared(
        name="mean_absolute_error", better="lower", of=lambda model, _: _mean(model, _absolute_error(model.rows)), of_two_classes=False
    ),
    Compared(name="mean_squared_error", better="lower", of=lambda model, _: _mean(model, _squared_error(model.rows)), of_two_classes=False),
    Compared(name="root_mean_squared_error", better="lower", of=_root_mean_squared_error, of_two_classes=False),
)
FIGURES: Mapping[str, Compared] = {figure.name: figure for figure in _ALL}
