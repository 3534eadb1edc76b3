"""What should a person see of two models' probabilities on the same rows?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gonogo.families.tabular.outcome import read_outcome, read_probability, read_unit
from gonogo.families.tabular.priced import best_threshold
from gonogo.stats.discrimination import operating_points, precision_recall_points, roc_points
from gonogo.stats.reliability_diagram import reliability_bins
from gonogo.types.evidence import Curve, Point, Series

if TYPE_CHECKING:
    import pyarrow as pa

    from gonogo.types.contract import Cost
    from gonogo.types.evidence import Array, IntArray

N_BINS = 12  # of the reliability diagram
N_POINTS = 80  # of a line
N_BARS = 20  # of the histogram


def curves(challenger: pa.Table, champion: pa.Table, outcomes: pa.Table, cost: Cost) -> tuple[Curve, ...]:
    """Reliability, ROC, precision and recall, positives found, what each threshold costs, and the spread of the probabilities."""
    y, unit = read_outcome(outcomes), read_unit(outcomes)
    both = {"challenger": read_probability(challenger), "champion": read_probability(champion)}
    if len(y) == 0:
        return ()
    return (
        Curve(
            name="reliability",
            title="When the model says 30 %, does it happen in 30 of 100 cases?",
            x_label="probability that was said",
            y_label="share that came true",
            series=tuple(reliability_series(name, y, p, unit) for name, p in both.items()),
            diagonal=True,
            marks="points",
        ),
        Curve(
            name="roc",
            title="How many true cases are found for how many false alarms?",
            x_label="share of the others that raise a false alarm",
            y_label="share of true cases found",
            series=tuple(_series(name, roc_points(y, p, n_points=N_POINTS)) for name, p in both.items()),
            diagonal=True,
        ),
        Curve(
            name="precision_recall",
            title="How many alarms are true, the more of the true cases are found?",
            x_label="share of true cases found",
            y_label="share of alarms that are true",
            series=tuple(_series(name, precision_recall_points(y, p, n_points=N_POINTS)) for name, p in both.items()),
        ),
        Curve(
            name="lift",
            title="How many true cases lie in the part that is ranked highest?",
            x_label="share of rows, highest first",
            y_label="share of true cases found",
            series=tuple(_series(name, _gains(y, p)) for name, p in both.items()),
            diagonal=True,
        ),
        *_cost_curves(both, y, cost),
        Curve(
            name="scores",
            title="Which probabilities does the challenger give?",
            x_label="probability that was said",
            y_label="share of rows",
            series=(
                _histogram("came true", both["challenger"][y > 0], len(y)),
                _histogram("did not", both["challenger"][y == 0], len(y)),
            ),
            marks="bars",
        ),
    )


def reliability_series(name: str, y: Array, p: Array, unit: IntArray) -> Series:
    """One point per bin of about equally many rows, with its interval clustered by unit."""
    return Series(
        name=name,
        points=tuple(
            Point(
                x=one.said,
                y=one.came_true,
                low=one.interval.low if one.interval else None,
                high=one.interval.high if one.interval else None,
                n=one.n_rows,
            )
            for one in reliability_bins(y, p, unit, n_bins=N_BINS)
        ),
    )


def _cost_curves(both: dict[str, Array], y: Array, cost: Cost) -> tuple[Curve, ...]:
    """What a decision costs for each threshold; nothing where a mistake costs nothing, for then no threshold is better than another."""
    threshold = best_threshold(cost)
    if threshold is None:
        return ()
    return (
        Curve(
            name="cost_by_threshold",
            title=f"What does a decision cost, from which probability on one acts? Honest ones are cheapest at {threshold:.3g}",
            x_label="probability from which on one acts",
            y_label="USD per decision",
            series=tuple(_series(name, _costs(y, p, cost)) for name, p in both.items()),
        ),
    )


def _costs(y: Array, p: Array, cost: Cost) -> tuple[tuple[float, float], ...]:
    """(threshold, USD per row) over even steps of probability."""
    threshold = np.linspace(0, 1, N_POINTS + 1)
    positives, negatives = np.sort(p[y > 0]), np.sort(p[y == 0])
    missed = np.searchsorted(positives, threshold, side="left")
    alarms = len(negatives) - np.searchsorted(negatives, threshold, side="left")
    paid = (cost.false_positive_usd * alarms + cost.false_negative_usd * missed) / len(y)
    return tuple(zip(threshold.tolist(), paid.tolist(), strict=True))


def _gains(y: Array, p: Array) -> tuple[tuple[float, float], ...]:
    """(share of rows called, share of positives found) at each threshold; rows of equal probability enter together."""
    at = operating_points(y, p)
    if at.positives <= 0:
        return ()
    called = (at.true_positives + at.false_positives) / len(y)
    found = at.true_positives / at.positives
    kept = np.unique(np.searchsorted(called, np.linspace(0, 1, N_POINTS)).clip(0, len(called) - 1))
    return ((0.0, 0.0), *zip(called[kept].tolist(), found[kept].tolist(), strict=True))


def _histogram(name: str, p: Array, n_rows: int) -> Series:
    counts, edges = np.histogram(p, bins=N_BARS, range=(0.0, 1.0))
    middles = (edges[:-1] + edges[1:]) / 2
    points = tuple(Point(x=float(x), y=int(count) / n_rows, n=int(count)) for x, count in zip(middles, counts, strict=True))
    return Series(name=name, points=points)


def _series(name: str, points: tuple[tuple[float, float], ...]) -> Series:
    return Series(name=name, points=tuple(Point(x=x, y=y) for x, y in points))
