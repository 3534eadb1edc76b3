"""How sure is an area under the ROC curve, without resampling?

Each positive has the share of negatives that it beats, each negative the share of positives that beat it (ties count half). How far these
lie from the area, summed by unit, is the unit's share in the area's error e_g; the variance is G/(G−1) · Σ e_g². The interval is made on
the logit scale, so that it stays within 0 and 1.
Source: DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44; by cluster: Obuchowski (1997), Biometrics 53; the logit: Pepe (2003), 5.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.discrimination import rank
from gonogo.stats.distributions import t_quantile
from gonogo.stats.figure import Figure
from gonogo.stats.refusals import NoSpread, TooFewUnits, Undefined
from gonogo.types.evidence import Interval

if TYPE_CHECKING:
    from gonogo.types.evidence import Array, IntArray


@dataclass(frozen=True, kw_only=True, slots=True)
class _Area:
    """An area, and each unit's share in its error."""

    value: float
    errors: Array  # (units,)


def roc_auc_interval(y: Array, score: Array, unit: IntArray, weight: Array | None = None, *, level: float = 0.95) -> Figure:
    """The area under the ROC curve with an interval clustered on the unit, on the logit scale.

    Arguments as in `discrimination.roc_auc`; unit: (n,) codes. Raises Undefined for one class only, TooFewUnits below 2 units, NoSpread
    where every unit gave the same, a perfect ranking among them.

    >>> figure = roc_auc_interval(np.array([0, 0, 1, 1, 0, 1]), np.array([0.1, 0.4, 0.35, 0.8, 0.2, 0.3]), np.arange(6))
    >>> round(figure.value, 4), figure.n_units
    (0.7778, 6)
    """
    codes, n_units = _codes(unit)
    area = _area(y, score, codes, n_units, weight)
    error = _standard_error(area.errors, n_units)
    spread = t_quantile((1 + level) / 2, n_units - 1) * error / (area.value * (1 - area.value))
    centre = math.log(area.value / (1 - area.value))
    interval = Interval(
        low=1 / (1 + math.exp(spread - centre)),
        high=1 / (1 + math.exp(-spread - centre)),
        level=level,
        method="DeLong by unit on the logit scale, t(G-1)",
    )
    return Figure(value=area.value, interval=interval, n_units=n_units, n_rows=len(codes))


def roc_auc_difference(y: Array, ours: Array, theirs: Array, unit: IntArray, weight: Array | None = None, *, level: float = 0.95) -> Figure:
    """The area of ours minus that of theirs on the same rows, with an interval clustered on the unit. Raises as `roc_auc_interval`."""
    codes, n_units = _codes(unit)
    a, b = (_area(y, score, codes, n_units, weight) for score in (ours, theirs))
    half = t_quantile((1 + level) / 2, n_units - 1) * _standard_error(a.errors - b.errors, n_units)
    value = a.value - b.value
    interval = Interval(low=value - half, high=value + half, level=level, method="paired DeLong by unit, t(G-1)")
    return Figure(value=value, interval=interval, n_units=n_units, n_rows=len(codes))


def _area(y: Array, score: Array, codes: IntArray, n_units: int, weight: Array | None) -> _Area:
    ranking = rank(y, score)
    w = np.ones(len(codes)) if weight is None else np.asarray(weight, dtype=np.float64)
    w, positive = w[ranking.order], ranking.positive.astype(np.float64)
    run = np.cumsum(np.r_[False, ranking.last[:-1]]) if len(w) else np.zeros(0, dtype=np.int64)
    in_tp, in_fp = (np.bincount(run, weights=part).astype(np.float64) for part in (w * positive, w * (1 - positive)))
    positives, negatives = float(in_tp.sum()), float(in_fp.sum())
    if positives <= 0 or negatives <= 0:
        raise Undefined("one class only: there is nothing to rank")
    beaten = (negatives - np.cumsum(in_fp) + in_fp / 2) / negatives
    beating = (np.cumsum(in_tp) - in_tp / 2) / positives
    value = float(np.sum(in_tp * beaten) / positives)
    error = w * np.where(positive > 0, (beaten[run] - value) / positives, (beating[run] - value) / negatives)
    return _Area(value=value, errors=np.bincount(codes[ranking.order], weights=error, minlength=n_units).astype(np.float64))


def _standard_error(errors: Array, n_units: int) -> float:
    error = math.sqrt(n_units / (n_units - 1) * float(np.sum(errors * errors)))
    if error <= 1e-12:
        raise NoSpread("every unit gave the same: how far the truth may be is unknown")
    return error


def _codes(unit: IntArray) -> tuple[IntArray, int]:
    values, codes = np.unique(np.asarray(unit), return_inverse=True)
    if len(values) < 2:
        raise TooFewUnits(f"{len(values)} unit: two are needed to see any spread")
    return codes.astype(np.int64), len(values)
