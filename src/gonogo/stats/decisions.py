"""What does a threshold do? A row is called positive where its score is at or above it.

Every function takes y: (n,) 0 or 1; score: (n,), infinities allowed; threshold: a number, ±inf for none and all; weight: (n,) ≥ 0, None for
ones; unit: (n,) who was independent, None where each row was. `seed` has no effect: every interval here is a closed form.

A share has Wilson's interval on its effective sample size, so that 0 % and 100 % keep their width. A figure without rows to stand on, such
as the precision of a threshold that nothing reaches, is refused, not 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.cells import (
    FALSE_NEGATIVE,
    FALSE_POSITIVE,
    N_CELLS,
    TRUE_NEGATIVE,
    TRUE_POSITIVE,
    Cells,
    Ratio,
    cells_at,
    ratio_of_cells,
    share,
    variance_of,
)
from gonogo.stats.clustered import wilson
from gonogo.stats.distributions import t_quantile
from gonogo.stats.estimates import Rows, estimated, rows_of
from gonogo.stats.figure import Figure
from gonogo.stats.refusals import NoSpread, Refused, TooFewUnits, Undefined
from gonogo.types.evidence import Interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from gonogo.types.evidence import Array, Estimate

_ALL = (TRUE_NEGATIVE, FALSE_POSITIVE, FALSE_NEGATIVE, TRUE_POSITIVE)
_CALLED = (FALSE_POSITIVE, TRUE_POSITIVE)
_POSITIVE = (FALSE_NEGATIVE, TRUE_POSITIVE)
_NEGATIVE = (TRUE_NEGATIVE, FALSE_POSITIVE)
_NO_ROW = "no row has weight: there is nothing to decide"
_NONE_CALLED = "no score reaches the threshold: where nothing is called there is no precision"
_NO_POSITIVE = "no row is positive: there is nothing to find"
_NO_NEGATIVE = "no row is negative: nothing could be a false alarm"

PRECISION = share((TRUE_POSITIVE,), _CALLED, _NONE_CALLED)
RECALL = share((TRUE_POSITIVE,), _POSITIVE, _NO_POSITIVE)
FALSE_POSITIVE_RATE = share((FALSE_POSITIVE,), _NEGATIVE, _NO_NEGATIVE)
ALERT_RATE = share(_CALLED, _ALL, _NO_ROW)

# Figure → (its cells, which way is better). The four cells are shares of all rows.
_CONFUSION: dict[str, tuple[Ratio, str]] = {
    "true_positive": (share((TRUE_POSITIVE,), _ALL, _NO_ROW), "higher"),
    "false_positive": (share((FALSE_POSITIVE,), _ALL, _NO_ROW), "lower"),
    "false_negative": (share((FALSE_NEGATIVE,), _ALL, _NO_ROW), "lower"),
    "true_negative": (share((TRUE_NEGATIVE,), _ALL, _NO_ROW), "higher"),
    "precision": (PRECISION, "higher"),
    "recall": (RECALL, "higher"),
    "false_positive_rate": (FALSE_POSITIVE_RATE, "lower"),
    "specificity": (share((TRUE_NEGATIVE,), _NEGATIVE, _NO_NEGATIVE), "higher"),
    "accuracy": (share((TRUE_NEGATIVE, TRUE_POSITIVE), _ALL, _NO_ROW), "higher"),
    "alert_rate": (ALERT_RATE, ""),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Confusion:
    """What a threshold does with every row; each figure with its interval, or refused."""

    true_positive: Estimate  # share of all rows, as the next three
    false_positive: Estimate
    false_negative: Estimate
    true_negative: Estimate
    precision: Estimate  # share of the called rows that are positive
    recall: Estimate  # share of the positive rows that are called
    false_positive_rate: Estimate  # share of the negative rows that are called
    specificity: Estimate  # share of the negative rows that are not called
    accuracy: Estimate  # share of all rows that are called rightly
    alert_rate: Estimate  # share of all rows that are called

    def __str__(self) -> str:
        """One line per figure."""
        return "\n".join(str(getattr(self, field.name)) for field in fields(self))


def confusion(
    y: ArrayLike,
    score: ArrayLike,
    *,
    threshold: float,
    weight: ArrayLike | None = None,
    unit: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Confusion:
    """The four shares of rows at a threshold, and the six ratios that are made of them, in one pass.

    >>> said = confusion([1, 1, 1, 0, 0, 0, 0, 0], [0.9, 0.8, 0.2, 0.7, 0.1, 0.1, 0.3, 0.4], threshold=0.5)
    >>> said.true_positive.value, round(said.precision.value, 3), said.false_positive_rate.value, said.alert_rate.value
    (0.25, 0.667, 0.2, 0.375)
    """
    rows = rows_of(y, score, weight=weight, unit=unit, level=level)
    cells = _cells_or_refusal(rows, threshold)
    return Confusion(**{name: _share_of(name, rows, cells, level) for name in _CONFUSION})


def precision(
    y: ArrayLike,
    score: ArrayLike,
    *,
    threshold: float,
    weight: ArrayLike | None = None,
    unit: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """The share of the called rows that are positive; refused where nothing is called.

    >>> round(precision([1, 1, 0, 0], [0.9, 0.8, 0.7, 0.1], threshold=0.5).value, 3)
    0.667
    """
    rows = rows_of(y, score, weight=weight, unit=unit, level=level)
    return _share_of("precision", rows, _cells_or_refusal(rows, threshold), level)


def recall(
    y: ArrayLike,
    score: ArrayLike,
    *,
    threshold: float,
    weight: ArrayLike | None = None,
    unit: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """The share of the positive rows that are called; refused where none is positive.

    >>> recall([1, 1, 0, 0], [0.9, 0.3, 0.7, 0.1], threshold=0.5).value
    0.5
    """
    rows = rows_of(y, score, weight=weight, unit=unit, level=level)
    return _share_of("recall", rows, _cells_or_refusal(rows, threshold), level)


def false_positive_rate(
    y: ArrayLike,
    score: ArrayLike,
    *,
    threshold: float,
    weight: ArrayLike | None = None,
    unit: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """The share of the negative rows that are called; refused where none is negative.

    >>> false_positive_rate([1, 1, 0, 0], [0.9, 0.3, 0.7, 0.1], threshold=0.5).value
    0.5
    """
    rows = rows_of(y, score, weight=weight, unit=unit, level=level)
    return _share_of("false_positive_rate", rows, _cells_or_refusal(rows, threshold), level)


def f_beta(
    y: ArrayLike,
    score: ArrayLike,
    *,
    threshold: float,
    beta: float = 1.0,
    weight: ArrayLike | None = None,
    unit: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """The harmonic mean of precision and recall, in which recall counts beta times as much as precision.

    F = (1 + β²)TP / ((1 + β²)TP + FP + β²FN) is a ratio of sums between 0 and 1, and has Wilson's interval on its effective sample size.
    Refused where nothing is positive and nothing is called: TP + FP + FN is then 0.
    Source: van Rijsbergen (1979), Information retrieval, ch. 7.

    >>> round(f_beta([1, 1, 0, 0], [0.9, 0.3, 0.7, 0.1], threshold=0.5).value, 3)
    0.5
    """
    if not (math.isfinite(beta) and beta > 0):
        raise ValueError(f"beta is {beta}: it must be a number above 0, e.g. 1, or 2 where recall counts twice")
    many = 1 + beta * beta
    ratio = Ratio(
        numerator=(0.0, 0.0, 0.0, many),
        denominator=(0.0, 1.0, beta * beta, many),
        absent="no row is positive and none is called: there is no F-beta",
    )
    rows = rows_of(y, score, weight=weight, unit=unit, level=level)
    name = f"f_{beta:g}"
    return _estimate(name, rows, _cells_or_refusal(rows, threshold), lambda cells: ratio_of_cells(cells, ratio, level=level), "higher")


def matthews_correlation(
    y: ArrayLike,
    score: ArrayLike,
    *,
    threshold: float,
    weight: ArrayLike | None = None,
    unit: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """The correlation of what is called with what is positive, from −1 to 1; 0 is chance.

    The interval is the delta method's, by unit, on Fisher's z scale. Refused where a class is absent or everything or nothing is called
    (then it does not exist), and where every row is called rightly, or every row wrongly (then no spread is seen).
    Source: Matthews (1975), Biochimica et Biophysica Acta 405(2).

    >>> round(matthews_correlation([1, 1, 0, 0, 1, 0], [0.9, 0.3, 0.7, 0.1, 0.8, 0.2], threshold=0.5).value, 3)
    0.333
    """
    rows = rows_of(y, score, weight=weight, unit=unit, level=level)
    cells = _cells_or_refusal(rows, threshold)
    return _estimate("matthews_correlation", rows, cells, lambda known: _correlation(known, level), "higher")


def cost_per_decision(
    y: ArrayLike,
    score: ArrayLike,
    *,
    threshold: float,
    false_positive: float,
    false_negative: float,
    true_positive: float = 0.0,
    true_negative: float = 0.0,
    measured_in: str = "",
    weight: ArrayLike | None = None,
    unit: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """What a decision costs on average, where each of the four outcomes has a price; a gain is a negative cost.

    The interval adds up Wilson's intervals of the share of each outcome, whose correlation it heeds (MOVER). A miss that costs much and was
    not seen once on these rows is thus not taken for one that never happens.
    Raises ValueError for prices that are no numbers or all the same.
    Source: Zou & Donner (2008), Construction of confidence limits about effect measures, Statistics in Medicine 27(10).

    >>> cost_per_decision([1, 1, 0, 0], [0.9, 0.3, 0.7, 0.1], threshold=0.5, false_positive=2, false_negative=10).value
    3.0
    """
    prices = prices_of(
        false_positive=false_positive, false_negative=false_negative, true_positive=true_positive, true_negative=true_negative
    )
    rows = rows_of(y, score, weight=weight, unit=unit, level=level)
    cells = _cells_or_refusal(rows, threshold)
    return _estimate("cost_per_decision", rows, cells, lambda known: cost_of_cells(known, prices, level=level), "lower", measured_in)


def prices_of(*, false_positive: float, false_negative: float, true_positive: float, true_negative: float) -> Array:
    """(4,) prices in the order of the cells. Raises ValueError for what is no number, and where all four are the same."""
    prices = np.empty(N_CELLS)
    prices[[FALSE_POSITIVE, FALSE_NEGATIVE, TRUE_POSITIVE, TRUE_NEGATIVE]] = false_positive, false_negative, true_positive, true_negative
    if not np.isfinite(prices).all():
        raise ValueError(f"a price is no number: {prices.tolist()}")
    if float(np.ptp(prices)) == 0:
        raise ValueError(f"every outcome costs {prices[0]:g}: no decision can be cheaper than another")
    return prices


def cost_of_cells(cells: Cells, prices: Array, *, level: float) -> Figure:
    """The mean price of a row, with the interval that `cost_per_decision` describes. prices: (4,) in the order of the cells."""
    total = float(cells.weight.sum())
    if total <= 0:
        raise Undefined(_NO_ROW)
    n_units = cells.units_in(np.ones(N_CELLS, dtype=np.bool_))
    if n_units < 2:
        raise TooFewUnits(f"{n_units} unit with weight: two are needed to see any spread")
    # The commonest outcome is the one of which least can be unseen; the others' prices are counted from it.
    base = int(np.argmax(cells.weight))
    extra = prices - prices[base]
    value = float(prices[base]) + float(np.sum(extra * cells.weight)) / total
    shares = cells.weight / total
    errors = (np.eye(N_CELLS) - shares[:, None]) / total  # row c: how much one more of each cell moves the share of c
    products = cells.products()
    covariance = np.array([[_covariance(errors[a], errors[b], products) for b in range(N_CELLS)] for a in range(N_CELLS)])
    deviation = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    below, above = np.zeros(N_CELLS), np.zeros(N_CELLS)
    for c in np.flatnonzero(extra):
        error = math.sqrt(n_units / (n_units - 1)) * float(deviation[c])
        independent = float(np.sum(errors[c] * errors[c] * cells.squared))
        most = float(shares[c] * (1 - shares[c])) / independent if independent > 0 else total * total / float(cells.squared.sum())
        around = wilson(float(shares[c]), error, n_units=n_units, n_effective=most, level=level)
        ends = extra[c] * (np.array([around.low, around.high]) - shares[c])
        below[c], above[c] = ends.min(), ends.max()
    scale = np.outer(deviation, deviation)
    correlation = np.divide(covariance, scale, out=np.eye(N_CELLS), where=scale > 0)
    # A price counted from the base may be negative: then its cell's correlation with the others turns its sign.
    turned = correlation * np.outer(np.sign(extra), np.sign(extra))
    interval = Interval(
        low=max(float(prices.min()), value - _length(below, turned)),
        high=min(float(prices.max()), value + _length(above, turned)),
        level=level,
        method="MOVER of Wilson's intervals of the outcomes, t(G-1)",
    )
    return Figure(value=value, interval=interval, n_units=n_units, n_rows=int(cells.rows.sum()))


def _correlation(cells: Cells, level: float) -> Figure:
    share_of = cells.weight / max(float(cells.weight.sum()), 1e-300)
    tn, fp, fn, tp = (float(share_of[c]) for c in (TRUE_NEGATIVE, FALSE_POSITIVE, FALSE_NEGATIVE, TRUE_POSITIVE))
    positive, negative, called, passed = tp + fn, tn + fp, tp + fp, tn + fn
    if min(positive, negative) <= 0:
        raise Undefined("one class only: there is nothing to correlate with")
    if min(called, passed) <= 0:
        raise Undefined("every row is called alike: there is nothing to correlate")
    root = math.sqrt(positive * negative * called * passed)
    value = (tp * tn - fp * fn) / root
    if fp + fn <= 0 or tp + tn <= 0:
        raise NoSpread(f"every row is called {'rightly' if fp + fn <= 0 else 'wrongly'}: how far the truth may be is unknown")
    n_units = cells.units_in(np.ones(N_CELLS, dtype=np.bool_))
    if n_units < 2:
        raise TooFewUnits(f"{n_units} unit with weight: two are needed to see any spread")
    gradient = np.empty(N_CELLS)
    gradient[TRUE_POSITIVE] = tn / root - value / 2 * (1 / positive + 1 / called)
    gradient[FALSE_POSITIVE] = -fn / root - value / 2 * (1 / negative + 1 / called)
    gradient[FALSE_NEGATIVE] = -fp / root - value / 2 * (1 / positive + 1 / passed)
    gradient[TRUE_NEGATIVE] = tp / root - value / 2 * (1 / negative + 1 / passed)
    error = math.sqrt(variance_of(gradient / float(cells.weight.sum()), cells.products(), n_units))
    if error <= 1e-12:
        raise NoSpread("every unit gave the same: how far the truth may be is unknown")
    half = t_quantile((1 + level) / 2, n_units - 1) * error / (1 - value * value)
    centre = math.atanh(value)
    method = "delta method by unit on Fisher's z, t(G-1)"
    interval = Interval(low=math.tanh(centre - half), high=math.tanh(centre + half), level=level, method=method)
    return Figure(value=value, interval=interval, n_units=n_units, n_rows=int(cells.rows.sum()))


def _covariance(a: Array, b: Array, products: Array) -> float:
    return float(np.sum(a[:, None] * products * b[None, :]))


def _length(sides: Array, correlation: Array) -> float:
    return math.sqrt(max(0.0, float(np.sum(sides[:, None] * correlation * sides[None, :]))))


def _share_of(name: str, rows: Rows, cells: Cells | Refused, level: float) -> Estimate:
    ratio, better = _CONFUSION[name]
    return _estimate(name, rows, cells, lambda known: ratio_of_cells(known, ratio, level=level), better)


def _cells_or_refusal(rows: Rows, threshold: float) -> Cells | Refused:
    """Raises ValueError for a threshold that is NaN."""
    if math.isnan(threshold):
        raise ValueError("the threshold is NaN")
    try:
        return cells_at(rows, threshold)
    except Refused as refused:
        return refused


def _estimate(
    name: str, rows: Rows, cells: Cells | Refused, figure: Callable[[Cells], Figure], better: str, measured_in: str = ""
) -> Estimate:
    def of_known() -> Figure:
        if isinstance(cells, Refused):
            raise cells
        return figure(cells)

    return estimated(name, of_known, n_rows=rows.n, n_units=rows.n_units, better=better, measured_in=measured_in)
