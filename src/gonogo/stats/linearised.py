"""By which figures can two models be compared, and how does each row sway them?

Each figure of `FIGURES` takes one model on its rows and gives its value and each row's share in its error (its influence), so that the
spread of a difference follows from sums by unit. Most are ratios of sums, Σu / Σv, with the influence w·(u − R·v) / Σwv (Cochran 1977,
Sampling techniques, ch. 6); rankings come from `influence`; the rest takes the delta method.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from gonogo.stats.discrimination import (
    prepare_average_precision,
    prepare_precision_at_recall,
    prepare_recall_at_false_alarm_rate,
    prepare_roc_auc,
)
from gonogo.stats.estimates import require_binary, require_weights
from gonogo.stats.refusals import NotFinite, Undefined

if TYPE_CHECKING:
    from gonogo.stats.discrimination import Weighted
    from gonogo.stats.estimates import Rows
    from gonogo.stats.influence import RankedRows
    from gonogo.types.evidence import Array

Options: TypeAlias = Mapping[str, float]
RowLoss: TypeAlias = "Callable[[Array, Array], Array]"
FEWEST_OF_A_CLASS = 50  # below it intervals of figures of two classes hold the truth too seldom
CLIP = float(np.finfo(np.float64).eps)  # as scikit-learn: a probability of 0 that was wrong costs 36 nats, not infinity


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
class Sums:
    """A figure that is Σwu / Σwv."""

    u: Array  # (n,)
    v: Array  # (n,)


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """A figure by which two models can be compared: a ratio of sums, or anything whose influence is known."""

    name: str
    better: str  # "higher" | "lower"
    measured_in: str = ""
    sums: Callable[[Rows, Options], Sums] | None = None  # where it is a ratio of sums
    sway: Callable[[Model, Options], Swayed] | None = None  # where it is not
    prepare: Callable[..., Weighted] | None = None  # (y, score, *options) → weights (n,) → figure, sorted once
    options: Options = field(default_factory=lambda: MappingProxyType({}))  # name → what holds without it
    of_two_classes: bool = True  # outcomes are 0 and 1
    fewest: int = 0  # rows of the rarer class below which it is refused

    def of(self, model: Model, options: Options) -> Swayed:
        """The figure of that model. Raises Refused where it does not exist."""
        if self.sums is not None:
            return _ratio(model.rows, self.sums(model.rows, options))
        assert self.sway is not None, self.name
        return self.sway(model, options)

    def check(self, rows: Rows) -> None:
        """Raises Refused for rows of which nothing can be said: NaN, outcomes that are not two classes, too few of the rarer one."""
        require_weights(rows.weight)
        if self.of_two_classes:
            require_binary(rows.y)
        elif not np.isfinite(rows.y).all():
            raise NotFinite("an outcome is NaN or infinite")
        if np.isnan(rows.score).any():
            raise NotFinite("a score is NaN")
        if self.fewest:
            _require_both_classes(rows, self.fewest)


def compared(metric: str | RowLoss) -> Compared:
    """The figure of that name; a function (y, score) → (n,) is the mean of a loss, of which less is better.

    Raises ValueError for a name that is not known.
    """
    if callable(metric):
        name = getattr(metric, "__name__", "loss").replace("<lambda>", "loss")
        return Compared(name=name, better="lower", sums=lambda rows, _: _mean_of(_checked_loss(metric, rows)), of_two_classes=False)
    if metric not in FIGURES:
        raise ValueError(f"no figure is named {metric!r}: give one of {', '.join(FIGURES)}, or a function (y, score) → loss by row")
    return FIGURES[metric]


def options_of(figures: Sequence[Compared], options: Options) -> tuple[Options, ...]:
    """The options of each figure, its defaults where nothing was given. Raises ValueError for an option that none of them takes."""
    taken = sorted({name for figure in figures for name in figure.options})
    for name, value in options.items():
        if name not in taken:
            raise ValueError(f"no metric asked for takes {name!r}; they take {', '.join(taken) or 'no options'}")
        if not math.isfinite(value):
            raise ValueError(f"{name} is {value}: a finite number is needed")
        if name in ("rate", "recall") and not 0 < value < 1:
            raise ValueError(f"{name} is {value}: it must lie between 0 and 1, e.g. 0.1")
        if name == "beta" and value <= 0:
            raise ValueError(f"beta is {value}: it must be a number above 0, e.g. 1, or 2 where recall counts twice")
    return tuple({name: options.get(name, default) for name, default in figure.options.items()} for figure in figures)


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


def _mean_of(loss: Array) -> Sums:
    return Sums(u=loss, v=np.ones(len(loss)))


def _mean(loss: Callable[[Rows], Array]) -> Callable[[Rows, Options], Sums]:
    return lambda rows, _: _mean_of(loss(rows))


def _checked_loss(metric: RowLoss, rows: Rows) -> Array:
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


def _ratio(rows: Rows, sums: Sums) -> Swayed:
    u, v = (sums.u, sums.v) if rows.weight is None else (rows.weight * sums.u, rows.weight * sums.v)
    total = float(v.sum())
    if total <= 0:
        raise Undefined("no row counts here: the figure does not exist")
    value = float(u.sum()) / total
    return Swayed(value=value, influence=(u - value * v) / total)


def _at_threshold(sums: Callable[[Array, Array, Options], tuple[Array, Array]]) -> Callable[[Rows, Options], Sums]:
    """u and v of what came true (n,) and what was called (n,), each 0 or 1: a row is called at the threshold and above."""

    def of(rows: Rows, options: Options) -> Sums:
        u, v = sums(rows.y, (rows.score >= options["threshold"]).astype(np.float64), options)
        return Sums(u=u, v=v)

    return of


def _accuracy(y: Array, called: Array, options: Options) -> tuple[Array, Array]:
    return (y == called).astype(np.float64), np.ones(len(y))


def _precision(y: Array, called: Array, options: Options) -> tuple[Array, Array]:
    return y * called, called


def _recall(y: Array, called: Array, options: Options) -> tuple[Array, Array]:
    return y * called, y


def _false_positive_rate(y: Array, called: Array, options: Options) -> tuple[Array, Array]:
    return (1 - y) * called, 1 - y


def _f_beta(y: Array, called: Array, options: Options) -> tuple[Array, Array]:
    """(1 + β²) tp over (1 + β²) tp + β² fn + fp. Source: van Rijsbergen (1979), Information retrieval, ch. 7."""
    square = options["beta"] ** 2
    return (1 + square) * y * called, square * y + called


def _cost(y: Array, called: Array, options: Options) -> tuple[Array, Array]:
    return options["false_positive"] * (1 - y) * called + options["false_negative"] * y * (1 - called), np.ones(len(y))


# ── the delta method ────────────────────────────────────────────────────────────────────────────────────────────────────


def _root_mean_squared_error(model: Model, options: Options) -> Swayed:
    squared = _ratio(model.rows, _mean_of(_squared_error(model.rows)))
    if squared.value <= 0:
        raise Undefined("every prediction is exact: how far the truth may be is unknown")
    root = math.sqrt(squared.value)
    return Swayed(value=root, influence=squared.influence / (2 * root))


def _matthews(model: Model, options: Options) -> Swayed:
    """φ = (m − pq) / √(p(1−p) q(1−q)): m the share of true positives, p of positives, q of calls. Source: Matthews (1975), BBA 405."""
    rows, y = model.rows, model.rows.y
    called = (rows.score >= options["threshold"]).astype(np.float64)
    ones = np.ones(rows.n)
    both, positive, call = (_ratio(rows, Sums(u=of, v=ones)) for of in (y * called, y, called))
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


_RANKING = partial(Compared, better="higher", fewest=FEWEST_OF_A_CLASS)
_DECISION = partial(Compared, better="higher", fewest=FEWEST_OF_A_CLASS, options=MappingProxyType({"threshold": 0.5}))
_LOSS = partial(Compared, better="lower")
_ERROR = partial(Compared, better="lower", of_two_classes=False)
_ALL = (
    _RANKING(name="roc_auc", sway=_ranking("roc_auc"), prepare=prepare_roc_auc),
    _RANKING(name="average_precision", sway=_ranking("average_precision"), prepare=prepare_average_precision),
    _RANKING(
        name="recall_at_false_positive_rate",
        sway=_ranking("recall_at_false_positive_rate"),
        prepare=prepare_recall_at_false_alarm_rate,
        options={"rate": 0.1},
    ),
    _RANKING(
        name="precision_at_recall",
        sway=_ranking("precision_at_recall"),
        prepare=prepare_precision_at_recall,
        options={"recall": 0.5},
    ),
    _LOSS(name="log_loss", measured_in="nats", sums=_mean(_log_loss)),
    _LOSS(name="brier_score", sums=_mean(_brier)),
    _DECISION(name="accuracy", sums=_at_threshold(_accuracy), fewest=0),
    _DECISION(name="precision", sums=_at_threshold(_precision)),
    _DECISION(name="recall", sums=_at_threshold(_recall)),
    _DECISION(name="false_positive_rate", sums=_at_threshold(_false_positive_rate), better="lower"),
    _DECISION(name="f_beta", sums=_at_threshold(_f_beta), options={"threshold": 0.5, "beta": 1.0}),
    _DECISION(name="matthews_correlation", sway=_matthews),
    _LOSS(name="cost_per_decision", sums=_at_threshold(_cost), options={"threshold": 0.5, "false_positive": 1.0, "false_negative": 1.0}),
    _ERROR(name="mean_absolute_error", sums=_mean(_absolute_error)),
    _ERROR(name="mean_squared_error", sums=_mean(_squared_error)),
    _ERROR(name="root_mean_squared_error", sway=_root_mean_squared_error),
)
FIGURES: Mapping[str, Compared] = MappingProxyType({figure.name: figure for figure in _ALL})
