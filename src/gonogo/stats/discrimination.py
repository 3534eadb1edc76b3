"""How well does a score tell positives from negatives?

Each figure exists twice: as a plain function in NumPy, which is its definition, and as `prepare_…`, which sorts once and gives a function
from row weights to the figure, for resampling. The two agree to 1e-12; so do they with scikit-learn's, ties and weights included.

y: (n,) 0 or 1; score: (n,) higher is likelier positive; weight: (n,) ≥ 0, None for ones. A figure of one class only is None.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from gonogo.stats.refusals import NotFinite

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gonogo.types.evidence import Array, IntArray

Weighted: TypeAlias = "Callable[[Array], float | None]"
_ROUNDING = 1e-12  # a share of the weight that a sum may miss by rounding: 0.1 · n must still be reached


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranking:
    """Rows in the order of falling scores. Equal scores are one run; their order among themselves never matters."""

    order: IntArray  # (n,) row numbers
    positive: NDArray[np.uint8]  # (n,) in that order
    last: NDArray[np.bool_]  # (n,) in that order: ends a run of equal scores
    threshold: Array  # (n,) scores in that order


@dataclass(frozen=True, kw_only=True, slots=True)
class Operating:
    """A curve over thresholds: at `threshold` and above a row is called positive."""

    threshold: Array  # (k,) falling
    true_positives: Array  # (k,) weight
    false_positives: Array  # (k,) weight
    positives: float
    negatives: float


def roc_auc(y: Array, score: Array, weight: Array | None = None) -> float | None:
    """The chance that a positive scores above a negative, ties counting half. Source: Hanley & McNeil (1982), Radiology 143.

    >>> roc_auc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    0.75
    """
    at = operating_points(y, score, weight)
    if at.positives <= 0 or at.negatives <= 0:
        return None
    tp, fp = np.r_[0.0, at.true_positives], np.r_[0.0, at.false_positives]
    return float(np.sum(np.diff(fp) * (tp[1:] + tp[:-1]) / 2) / (at.positives * at.negatives))


def average_precision(y: Array, score: Array, weight: Array | None = None) -> float | None:
    """Precision averaged over the positives, each at its own threshold: Σ (Rₖ − Rₖ₋₁) Pₖ, without interpolation.

    >>> average_precision(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    0.8333333333333333
    """
    at = operating_points(y, score, weight)
    if at.positives <= 0:
        return None
    gained = np.diff(np.r_[0.0, at.true_positives])
    here = gained > 0
    called = (at.true_positives + at.false_positives)[here]
    return float(np.sum(gained[here] * at.true_positives[here] / called) / at.positives)


def recall_at_false_alarm_rate(y: Array, score: Array, rate: float, weight: Array | None = None) -> float | None:
    """The largest share of positives found by a threshold whose share of negatives called positive is at most `rate`."""
    at = operating_points(y, score, weight)
    if at.positives <= 0 or at.negatives <= 0:
        return None
    within = at.false_positives <= _allowed(rate) * at.negatives
    return float(np.max(at.true_positives[within], initial=0.0) / at.positives)


def precision_at_recall(y: Array, score: Array, recall: float, weight: Array | None = None) -> float | None:
    """Precision at the highest threshold that finds at least the share `recall` of the positives."""
    at = operating_points(y, score, weight)
    if at.positives <= 0:
        return None
    first = int(np.argmax(at.true_positives >= _needed(recall) * at.positives))
    return float(at.true_positives[first] / (at.true_positives[first] + at.false_positives[first]))


def prepare_roc_auc(y: Array, score: Array) -> Weighted:
    """`roc_auc` of those rows as a function of their weights; sorts once."""
    from gonogo.stats.kernels import area

    r = rank(y, score)
    return lambda weight: _known(area(_floats(weight), r.order, r.positive, r.last))


def prepare_average_precision(y: Array, score: Array) -> Weighted:
    """`average_precision` of those rows as a function of their weights; sorts once."""
    from gonogo.stats.kernels import mean_precision

    r = rank(y, score)
    return lambda weight: _known(mean_precision(_floats(weight), r.order, r.positive, r.last))


def prepare_recall_at_false_alarm_rate(y: Array, score: Array, rate: float) -> Weighted:
    """`recall_at_false_alarm_rate` of those rows as a function of their weights; sorts once."""
    from gonogo.stats.kernels import first_beyond

    r = rank(y, score)

    def figure(weight: Array) -> float | None:
        tp, fp, tp_before, _, positives, negatives = first_beyond(_floats(weight), r.order, r.positive, r.last, False, _allowed(rate))
        if positives <= 0 or negatives <= 0:
            return None
        return float((tp if fp <= _allowed(rate) * negatives else tp_before) / positives)

    return figure


def prepare_precision_at_recall(y: Array, score: Array, recall: float) -> Weighted:
    """`precision_at_recall` of those rows as a function of their weights; sorts once."""
    from gonogo.stats.kernels import first_beyond

    r = rank(y, score)

    def figure(weight: Array) -> float | None:
        tp, fp, _, _, positives, _ = first_beyond(_floats(weight), r.order, r.positive, r.last, True, _needed(recall))
        return float(tp / (tp + fp)) if positives > 0 else None

    return figure


def rank(y: Array, score: Array) -> Ranking:
    """The rows in the order of falling scores. Raises NotFinite for a score that is NaN or an outcome that is neither 0 nor 1."""
    y, score = np.asarray(y), np.asarray(score, dtype=np.float64)
    if y.shape != score.shape or y.ndim != 1:
        raise ValueError(f"outcomes {y.shape} and scores {score.shape} are not the same rows")
    if np.isnan(score).any() or not np.isin(y, (0, 1)).all():
        raise NotFinite("a score is NaN, or an outcome is neither 0 nor 1")
    # Stable, so that the sums run in the same order, and to the same bits, on every machine.
    order = np.argsort(-score, kind="stable").astype(np.int64)
    falling = score[order]
    last = np.ones(len(order), dtype=np.bool_)
    last[:-1] = falling[1:] != falling[:-1]
    return Ranking(order=order, positive=(y[order] == 1).astype(np.uint8), last=last, threshold=falling)


def operating_points(y: Array, score: Array, weight: Array | None = None) -> Operating:
    """True and false positives at every distinct score, highest first. (k ≤ n points)."""
    r = rank(y, score)
    w = _checked_weight(weight, len(r.order))[r.order]
    tp, fp = np.cumsum(w * r.positive)[r.last], np.cumsum(w * (1 - r.positive))[r.last]
    totals = (float(tp[-1]), float(fp[-1])) if len(tp) else (0.0, 0.0)
    return Operating(threshold=r.threshold[r.last], true_positives=tp, false_positives=fp, positives=totals[0], negatives=totals[1])


def roc_points(y: Array, score: Array, weight: Array | None = None, *, n_points: int = 100) -> tuple[tuple[float, float], ...]:
    """(false-alarm rate, recall) from (0, 0) to (1, 1), thinned to about n_points; none where a class is absent."""
    at = operating_points(y, score, weight)
    if at.positives <= 0 or at.negatives <= 0:
        return ()
    x, recall = at.false_positives / at.negatives, at.true_positives / at.positives
    # Evenly along the curve's own length, so that its steep start keeps its shape.
    kept = _thinned(x + recall, n_points)
    return ((0.0, 0.0), *zip(x[kept].tolist(), recall[kept].tolist(), strict=True))


def precision_recall_points(y: Array, score: Array, weight: Array | None = None, *, n_points: int = 100) -> tuple[tuple[float, float], ...]:
    """(recall, precision) at falling thresholds, thinned to about n_points; none without a positive."""
    at = operating_points(y, score, weight)
    if at.positives <= 0:
        return ()
    called = at.true_positives + at.false_positives
    real = called > 0
    recall, precision = at.true_positives[real] / at.positives, at.true_positives[real] / called[real]
    kept = _thinned(recall, n_points)
    return tuple(zip(recall[kept].tolist(), precision[kept].tolist(), strict=True))


def _thinned(rising: Array, n_points: int) -> IntArray:
    """Indices of about n_points places spread evenly over a rising array, its last one included."""
    wanted = np.linspace(rising[0], rising[-1], n_points)
    return np.unique(np.r_[np.searchsorted(rising, wanted).clip(0, len(rising) - 1), len(rising) - 1]).astype(np.int64)


def _allowed(rate: float) -> float:
    return rate * (1 + _ROUNDING)


def _needed(recall: float) -> float:
    return recall * (1 - _ROUNDING)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _floats(weight: Array) -> Array:
    return np.ascontiguousarray(weight, dtype=np.float64)


def _checked_weight(weight: Array | None, n: int) -> Array:
    if weight is None:
        return np.ones(n)
    weight = np.asarray(weight, dtype=np.float64)
    if weight.shape != (n,):
        raise ValueError(f"{weight.shape} weights for {n} rows")
    if not np.isfinite(weight).all() or (weight < 0).any():
        raise NotFinite("a weight is NaN, infinite or negative")
    return weight
