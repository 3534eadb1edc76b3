"""How well does a score rank, and how sure is that?

Every figure comes with an interval from its influence by unit, on the logit scale, so that it costs less than the bare figure does
elsewhere and no resampling. That the intervals hold the truth as often as they say is simulated in `benchmarks/truth/scores.py`; at 50
to 100 positives they do so better than a percentile bootstrap, because t has the degrees of freedom that the few positives allow.

Common to all of them:
    y:      (n,) 0 or 1; score: (n,) higher is likelier positive, infinite ones rank like any other.
    weight: (n,) ≥ 0; None: every row weighs 1.
    unit:   (n,) what tells independent units apart: numbers, text, times; None: every row is a unit of its own.
    level:  the probability that the interval holds the truth.
    seed:   accepted like everywhere in `stats`; these are closed forms, so it changes nothing.
Refused, with a sentence: one class only; fewer than 50 rows of the rarer class; a perfect ranking or another figure that no unit sways;
fewer than 5 units; NaN; outcomes other than 0 and 1; weights that are negative or not finite. ValueError: arrays of other lengths.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats import influence
from gonogo.stats.estimates import Rows, estimated, require_binary, require_weights, rows_of
from gonogo.stats.figure import Figure
from gonogo.stats.influence import LOGIT, RankedRows, Scale, interval_of_influence, logit_up_to
from gonogo.stats.refusals import NoSpread, TooFewUnits, Undefined

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from gonogo.types.evidence import Estimate, Linearised

LEAST_OF_A_CLASS = 50
LEAST_UNITS = 5


def roc_auc(
    y: ArrayLike, score: ArrayLike, *, weight: ArrayLike | None = None, unit: ArrayLike | None = None, level: float = 0.95, seed: int = 0
) -> Estimate:
    """The chance that a positive scores above a negative, ties counting half, with DeLong's interval by unit on the logit scale.

    Source: Hanley & McNeil (1982), Radiology 143; DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44; by cluster Obuchowski (1997),
    Biometrics 53; the logit: Pepe (2003), The statistical evaluation of medical tests, 5.2.

    >>> rng = np.random.default_rng(0)
    >>> y = rng.random(1000) < 0.3
    >>> print(roc_auc(y, rng.normal(size=1000) + y))
    roc_auc 0.766 [0.7324, 0.7966], DeLong by unit on the logit scale, t, 1,000 units
    """
    return _estimate("roc_auc", rows_of(y, score, weight=weight, unit=unit, level=level), influence.roc_auc, level, LOGIT, source="DeLong")


def average_precision(
    y: ArrayLike, score: ArrayLike, *, weight: ArrayLike | None = None, unit: ArrayLike | None = None, level: float = 0.95, seed: int = 0
) -> Estimate:
    """Precision averaged over the positives, each at its own threshold: Σ (Rₖ − Rₖ₋₁) Pₖ, without interpolation.

    Source: the definition is scikit-learn's; Boyd, Eng & Page (2013), ECML, for the logit scale.

    >>> rng = np.random.default_rng(0)
    >>> y = rng.random(1000) < 0.3
    >>> average_precision(y, rng.normal(size=1000) + y).interval.method
    'influence by unit on the logit scale, t'
    """
    return _estimate(
        "average_precision", rows_of(y, score, weight=weight, unit=unit, level=level), influence.average_precision, level, LOGIT
    )


def precision_at_recall(
    y: ArrayLike,
    score: ArrayLike,
    *,
    recall: float = 0.5,
    weight: ArrayLike | None = None,
    unit: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """Precision at the highest threshold that finds at least the share `recall` of the positives.

    That the threshold is itself found on these rows is in the interval: what it will do elsewhere, `choose_threshold` tells.

    >>> rng = np.random.default_rng(0)
    >>> y = rng.random(1000) < 0.3
    >>> precision_at_recall(y, rng.normal(size=1000) + y, recall=0.8).metric
    'precision_at_recall_80'
    """
    _require_share(recall, "recall")
    rows = rows_of(y, score, weight=weight, unit=unit, level=level)
    return _estimate(
        f"precision_at_recall_{100 * recall:g}", rows, lambda ranked: influence.precision_at_recall(ranked, recall), level, LOGIT
    )


def recall_at_false_positive_rate(
    y: ArrayLike,
    score: ArrayLike,
    *,
    rate: float = 0.1,
    weight: ArrayLike | None = None,
    unit: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """The largest share of positives found by a threshold whose share of negatives called positive is at most `rate`.

    >>> rng = np.random.default_rng(0)
    >>> y = rng.random(1000) < 0.3
    >>> recall_at_false_positive_rate(y, rng.normal(size=1000) + y).metric
    'recall_at_false_positive_rate_10'
    """
    _require_share(rate, "rate")
    rows = rows_of(y, score, weight=weight, unit=unit, level=level)
    name = f"recall_at_false_positive_rate_{100 * rate:g}"
    return _estimate(name, rows, lambda ranked: influence.recall_at_false_positive_rate(ranked, rate), level, LOGIT)


def lift(
    y: ArrayLike,
    score: ArrayLike,
    *,
    share: float = 0.1,
    weight: ArrayLike | None = None,
    unit: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """How many times likelier than any row a row of the highest-scored `share` is to be positive; between 0 and 1 / share.

    Where equal scores straddle the edge, their positives count by the part of them that is within.

    >>> rng = np.random.default_rng(0)
    >>> y = rng.random(1000) < 0.3
    >>> 1 < lift(y, rng.normal(size=1000) + y).interval.low
    True
    """
    _require_share(share, "share")
    rows = rows_of(y, score, weight=weight, unit=unit, level=level)
    scale = logit_up_to(1 / share)
    return _estimate(f"lift_{100 * share:g}", rows, lambda ranked: influence.lift(ranked, share), level, scale)


def _estimate(
    name: str, rows: Rows, figure: Callable[[RankedRows], Linearised], level: float, scale: Scale, *, source: str = "influence"
) -> Estimate:
    def found() -> Figure:
        ranked = _ranked(rows)
        n_units = _require_enough(rows)
        linearised = figure(ranked)
        value, errors = float(linearised.value[0]), linearised.influence
        if rows.unit is not None:
            errors = np.bincount(rows.unit, weights=errors, minlength=rows.n_units).astype(np.float64)
        try:
            interval = interval_of_influence(value, errors, n_units, level=level, scale=scale, source=source)
        except NoSpread:
            raise NoSpread(f"{name} is {value:g} whatever the units: how far the truth may be is unknown") from None
        return Figure(value=value, interval=interval, n_units=n_units, n_rows=rows.n)

    return estimated(name, found, n_rows=rows.n, n_units=rows.n_units, better="higher")


def _ranked(rows: Rows) -> RankedRows:
    if rows.unit is None and rows.weight is None:
        return influence.rank_anonymous_rows(rows.y, rows.score)
    return influence.rank_rows(rows.y, rows.score, rows.weight)


def _require_enough(rows: Rows) -> int:
    """The number of units with weight. Raises Undefined for one class only, TooFewUnits for too few of a class or too few units."""
    require_binary(rows.y)
    require_weights(rows.weight)
    weighs = np.ones(rows.n, dtype=np.bool_) if rows.weight is None else rows.weight > 0
    positives, n = int(np.count_nonzero(rows.y[weighs])), int(np.count_nonzero(weighs))
    if positives in (0, n):
        raise Undefined("one class only: there is nothing to rank")
    rarer = min(positives, n - positives)
    if rarer < LEAST_OF_A_CLASS:
        which = "positives" if positives <= n - positives else "negatives"
        raise TooFewUnits(f"{rarer} {which} of {n:,} rows: an interval that can be trusted needs {LEAST_OF_A_CLASS}")
    n_units = n if rows.unit is None else int(np.count_nonzero(np.bincount(rows.unit[weighs])))
    if n_units < LEAST_UNITS:
        raise TooFewUnits(f"{n_units} units with weight: an interval that can be trusted needs {LEAST_UNITS}")
    return n_units


def _require_share(value: float, name: str) -> None:
    if not 0 < value < 1:
        raise ValueError(f"{name} is {value}: it must lie between 0 and 1, e.g. 0.1")
