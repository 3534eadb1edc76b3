"""How does a loss move from one point of a curve to the next, and how sure is any combination of its points?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from gonogo.stats.distributions import t_quantile
from gonogo.stats.figure import Figure
from gonogo.stats.refusals import NoSpread, NotFinite, TooFewUnits
from gonogo.types.evidence import Estimate, Interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from gonogo.types.evidence import Array

_ROUNDING = 1e-12  # an error below this share of the losses is rounding, not spread

Losses: TypeAlias = "Sequence[Estimate] | ArrayLike"


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """Mean losses at the points of a curve, and how they err together."""

    mean: Array  # (m,)
    covariance: Array  # (m, m) of the means
    units: tuple[int, ...]  # (m,) behind each point
    trained_once: bool  # at each point: what another draw of training rows would change is then in no error

    def combined(self, shares: Array) -> tuple[float, float]:
        """Σ shares · mean, and its standard error. What moves all points alike cancels in a difference."""
        return float(np.sum(shares * self.mean)), math.sqrt(max(0.0, float(np.sum(shares[:, None] * self.covariance * shares))))

    @property
    def n_units(self) -> int:
        """Behind the point of the fewest."""
        return min(self.units)

    def interval(self, point: int, level: float) -> Interval:
        """Of the mean at one point."""
        value, error = self.combined(np.eye(len(self.mean))[point])
        half = t_quantile((1 + level) / 2, self.units[point] - 1) * error
        return Interval(low=value - half, high=value + half, level=level, method="t(G-1)")


def line_of(losses: Losses, name: str, n_points: int) -> Line:
    """A line from Estimates, or from repeats.

    losses: (n_points,) Estimates, each of a model that was trained once, taken for independent of each other, so that differences come out
    rather too wide; or (n_points, r) losses of r repeats, each with training rows of its own, column by column the same repeat.
    Raises ValueError for other shapes; TooFewUnits below 2 units or repeats; NotFinite for NaN, infinities and refused estimates.
    """
    given = list(losses)  # type: ignore[arg-type]
    if len(given) != n_points:
        raise ValueError(f"{name} has {len(given)} entries for {n_points} points of the curve")
    estimates = [one for one in given if isinstance(one, Estimate)]
    if len(estimates) == n_points:
        return _line_of_estimates(estimates, name)
    repeats = np.asarray(given)
    if repeats.ndim != 2 or repeats.dtype.kind not in "biuf":
        raise ValueError(f"{name} needs an Estimate, or a row of repeats, for each point of the curve")
    return _line_of_repeats(repeats.astype(np.float64), name)


def difference(ours: Line, theirs: Line, point: int, level: float) -> Figure:
    """ours − theirs at one point, measured on other rows: their errors add. Raises NoSpread where neither has any."""
    (value, error), (other, other_error) = (line.combined(np.eye(len(line.mean))[point]) for line in (ours, theirs))
    if math.hypot(error, other_error) <= _ROUNDING * max(abs(value), abs(other)):
        raise NoSpread("every repeat gave the same losses: how far the truth may be is unknown")
    n_units = min(ours.units[point], theirs.units[point])
    half = t_quantile((1 + level) / 2, n_units - 1) * math.hypot(error, other_error)
    gap = value - other
    interval = Interval(low=gap - half, high=gap + half, level=level, method="t(G-1), of other rows")
    return Figure(value=gap, interval=interval, n_units=n_units, n_rows=n_units)


def _line_of_repeats(losses: Array, name: str) -> Line:
    n = losses.shape[1]
    if n < 2:
        raise TooFewUnits(f"{name} has {n} repeat: two are needed to see any spread")
    if not np.isfinite(losses).all():
        raise NotFinite(f"a loss of {name} is NaN or infinite")
    mean = losses.mean(axis=1)
    errors = (losses - mean[:, None]) / n
    covariance = np.array([[float(np.sum(a * b)) for b in errors] for a in errors])  # no matrix product: its last bits go by threads
    return Line(mean=mean, covariance=n / (n - 1) * covariance, units=(n,) * len(mean), trained_once=False)


def _line_of_estimates(estimates: Sequence[Estimate], name: str) -> Line:
    errors = []
    for one in estimates:
        if one.value is None or one.interval is None:
            raise NotFinite(f"a point of {name} has no value: {one.refused}")
        reach = t_quantile((1 + one.interval.level) / 2, one.n_units - 1)
        errors.append((one.interval.high - one.interval.low) / 2 / reach)
    means = np.array([one.value for one in estimates], dtype=np.float64)
    return Line(mean=means, covariance=np.diag(np.square(errors)), units=tuple(one.n_units for one in estimates), trained_once=True)
