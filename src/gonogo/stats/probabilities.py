"""What does a probability cost, when it is held against what came true?

Both figures are means over rows, so that their intervals are closed forms: a ratio of sums, clustered on the unit (`clustered`).

    y       (n,) 0 or 1, what came true; rows of weight 0 are not there
    score   (n,) the probability of 1 that was said, in [0, 1]

Refused: a score that is no probability, NaN, one class only, fewer than `LEAST_OF_A_CLASS` rows of the rarer class, fewer than 2 units.
The methods are closed forms: `seed` has no effect.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.clustered import UnitSums, ratio_of_unit_sums
from gonogo.stats.estimates import Rows, estimated, require_binary, require_weights, rows_of, unit_codes
from gonogo.stats.refusals import NotFinite, TooFewUnits, Undefined

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from numpy.typing import ArrayLike

    from gonogo.types.evidence import Array, Estimate

    _Loss: TypeAlias = Callable[[Array, Array], Array]

EPS = float(np.finfo(np.float64).eps)  # probabilities are taken from [EPS, 1 − EPS] before a logarithm, as scikit-learn does
LEAST_OF_A_CLASS = 20  # rows; below, fewer than 92 of 100 intervals of a loss hold the truth: the rare rows make all of its spread


def log_loss(
    y: ArrayLike, score: ArrayLike, *, weight: ArrayLike | None = None, unit: ArrayLike | None = None, level: float = 0.95, seed: int = 0
) -> Estimate:
    """Mean of −log of the probability that was said of what came true, in nats; 0 and 1 are clipped to EPS and 1 − EPS.

    Equals scikit-learn's `log_loss` on float64. A row that was surely wrong costs 36 nats, not infinitely many.
    Source: Good (1952), Rational decisions, JRSS B 14; the interval: `clustered.ratio_of_sums`.

    >>> y, p = np.arange(100) % 2, np.tile([0.2, 0.6], 50)
    >>> print(log_loss(y, p))
    log_loss 0.367 [0.3383, 0.3957] nats, cluster-robust t(G-1), 100 units
    """
    rows = rows_of(y, score, weight=weight, unit=unit, level=level)
    return estimated(
        "log_loss",
        lambda: ratio_of_unit_sums(_sums(told_of_both_classes(rows), _log_losses), level=level),
        n_rows=rows.n,
        n_units=rows.n_units,
        better="lower",
        measured_in="nats",
    )


def brier_score(
    y: ArrayLike, score: ArrayLike, *, weight: ArrayLike | None = None, unit: ArrayLike | None = None, level: float = 0.95, seed: int = 0
) -> Estimate:
    """Mean of (score − y)²: 0 is perfect, 0.25 is what one half always costs. Source: Brier (1950), Monthly Weather Review 78.

    Where every score is 0 or 1 it is the share of wrong answers, with Wilson's interval.

    >>> round(brier_score(np.arange(100) % 2, np.tile([0.2, 0.6], 50)).value, 6)
    0.1
    """
    rows = rows_of(y, score, weight=weight, unit=unit, level=level)
    return estimated(
        "brier_score",
        lambda: ratio_of_unit_sums(_sums(told_of_both_classes(rows), _squared_errors), level=level),
        n_rows=rows.n,
        n_units=rows.n_units,
        better="lower",
    )


def told(rows: Rows) -> Rows:
    """Those rows that have weight, if they are outcomes with probabilities. Raises NotFinite and Undefined, each with its sentence."""
    require_binary(rows.y)
    require_weights(rows.weight)
    require_probabilities(rows.score)
    return with_weight(replace(rows, weight=_tame(rows.weight)))


def told_of_both_classes(rows: Rows) -> Rows:
    """`told`, if there is enough of either class to see a spread, and two units at least. Raises Undefined and TooFewUnits as well."""
    seen = told(rows)
    require_both_classes(seen.y)
    if seen.n_units < 2:
        raise TooFewUnits(f"{seen.n_units} unit with weight: two are needed to see any spread")
    return seen


def require_probabilities(score: Array) -> None:
    """Raises NotFinite for NaN, Undefined for a score outside [0, 1]."""
    if not ((score >= 0) & (score <= 1)).all():
        if not np.isfinite(score).all():
            raise NotFinite("a score is NaN or infinite")
        raise Undefined("a score lies outside 0 and 1: it is no probability")


def require_both_classes(y: Array) -> None:
    """Raises Undefined for one class only, TooFewUnits below LEAST_OF_A_CLASS rows of the rarer one."""
    positives = int(np.count_nonzero(y))
    rarer = min(positives, len(y) - positives)
    if rarer == 0:
        raise Undefined("one class only: what the other costs was never seen")
    if rarer < LEAST_OF_A_CLASS:
        raise TooFewUnits(f"{rarer} rows of the rarer class: {LEAST_OF_A_CLASS} are needed to see how far it spreads")


def with_weight(rows: Rows) -> Rows:
    """The rows whose weight is above 0, and their units."""
    if rows.weight is None or (rows.weight > 0).all():
        return rows
    kept = rows.weight > 0
    unit, n_units = unit_codes(None if rows.unit is None else rows.unit[kept], int(kept.sum()))
    return replace(rows, y=rows.y[kept], score=rows.score[kept], weight=rows.weight[kept], unit=unit, n_units=n_units)


def _tame(weight: Array | None) -> Array | None:
    """The weights, by a power of two smaller or larger where their squares would overflow or vanish: no figure of theirs moves by a bit."""
    largest = 1.0 if weight is None else float(weight.max(initial=0.0))
    if weight is None or largest == 0 or 1e-100 < largest < 1e100:
        return weight
    return np.ldexp(weight, -math.frexp(largest)[1])


def _sums(rows: Rows, loss: _Loss) -> UnitSums:
    """A loss added up by unit. A row that is a unit of its own needs no adding."""
    weight = rows.weights
    value = loss(rows.y, rows.score)
    if rows.weight is not None:
        value = value * weight
    return UnitSums(
        value=_by_unit(rows, value),
        weight=_by_unit(rows, weight),
        squared=float(np.sum(weight * weight)),
        size=float(value.sum()),
        n_rows=rows.n,
        is_share=bool(((value == 0) | (value == weight)).all()),
    )


def _by_unit(rows: Rows, value: Array) -> Array:
    return value if rows.unit is None else np.bincount(rows.unit, weights=value, minlength=rows.n_units).astype(np.float64, copy=False)


def _log_losses(y: Array, score: Array) -> Array:
    said = np.abs(1 - y - score)  # of what came true: score where y is 1, 1 − score where it is 0
    np.clip(said, EPS, 1 - EPS, out=said)
    np.log(said, out=said)
    return np.negative(said, out=said)


def _squared_errors(y: Array, score: Array) -> Array:
    error = score - y
    return np.multiply(error, error, out=error)
