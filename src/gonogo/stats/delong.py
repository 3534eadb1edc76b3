"""How sure is an area under the ROC curve, without resampling?

Each positive has the share of negatives that it beats, each negative the share of positives that beat it (ties count half). How far these
lie from the area, summed by unit, is the unit's share in the area's error e_g; the variance is G/(G−1) · Σ e_g². The interval is made on
the logit scale, so that it stays within 0 and 1. For codes of units at hand; `stats.roc_auc` takes anything and refuses more.
Source: DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44; by cluster: Obuchowski (1997), Biometrics 53; the logit: Pepe (2003), 5.2.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.distributions import t_quantile
from gonogo.stats.figure import Figure
from gonogo.stats.influence import LOGIT, interval_of_influence, rank_rows, roc_auc
from gonogo.stats.refusals import NoSpread, TooFewUnits, Undefined
from gonogo.types.evidence import Interval

if TYPE_CHECKING:
    from gonogo.types.evidence import Array, IntArray


def roc_auc_interval(y: Array, score: Array, unit: IntArray, weight: Array | None = None, *, level: float = 0.95) -> Figure:
    """The area under the ROC curve with an interval clustered on the unit, on the logit scale.

    Arguments as in `discrimination.roc_auc`; unit: (n,) codes. Raises Undefined for one class only, TooFewUnits below 2 units, NoSpread
    where every unit gave the same, a perfect ranking among them.

    >>> figure = roc_auc_interval(np.array([0, 0, 1, 1, 0, 1]), np.array([0.1, 0.4, 0.35, 0.8, 0.2, 0.3]), np.arange(6))
    >>> round(figure.value, 4), figure.n_units
    (0.7778, 6)
    """
    codes, n_units = _codes(unit, weight)
    value, errors = _area(y, score, codes, weight)
    interval = interval_of_influence(value, errors, n_units, level=level, scale=LOGIT, source="DeLong")
    return Figure(value=value, interval=interval, n_units=n_units, n_rows=len(codes))


def roc_auc_difference(y: Array, ours: Array, theirs: Array, unit: IntArray, weight: Array | None = None, *, level: float = 0.95) -> Figure:
    """The area of ours minus that of theirs on the same rows, with an interval clustered on the unit. Raises as `roc_auc_interval`."""
    codes, n_units = _codes(unit, weight)
    (our_value, our_errors), (their_value, their_errors) = (_area(y, score, codes, weight) for score in (ours, theirs))
    errors = our_errors - their_errors
    error = math.sqrt(n_units / (n_units - 1) * float(np.sum(errors * errors)))
    if error <= 1e-12:
        raise NoSpread("every unit gave the same: how far the truth may be is unknown")
    value, half = our_value - their_value, t_quantile((1 + level) / 2, n_units - 1) * error
    interval = Interval(low=value - half, high=value + half, level=level, method="paired DeLong by unit, t(G-1)")
    return Figure(value=value, interval=interval, n_units=n_units, n_rows=len(codes))


def _area(y: Array, score: Array, codes: IntArray, weight: Array | None) -> tuple[float, Array]:
    """The area, and each unit's share in its error."""
    found = roc_auc(rank_rows(y, score, weight))
    value = float(found.value[0])
    if math.isnan(value):
        raise Undefined("one class only: there is nothing to rank")
    return value, np.bincount(codes, weights=found.influence).astype(np.float64)


def _codes(unit: IntArray, weight: Array | None) -> tuple[IntArray, int]:
    """Each row's unit as a code, and how many units have weight."""
    codes = np.unique(np.asarray(unit), return_inverse=True)[1].astype(np.int64)
    n_units = len(np.unique(codes if weight is None else codes[np.asarray(weight) > 0]))
    if n_units < 2:
        raise TooFewUnits(f"{n_units} unit with weight: two are needed to see any spread")
    return codes, n_units
