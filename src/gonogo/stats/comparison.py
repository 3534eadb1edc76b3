"""How much do two models differ on the same rows, and how sure is that?

What moves both alike, a hard day or an odd customer, cancels in the difference, so a paired comparison needs a fraction of the data of two
intervals side by side. Each row's share in the error of ours minus theirs is summed by unit; the variance is G/(G−1) · Σ e_g² and the
interval ± t(G−1) · SE. For the area under the ROC curve that is the paired test of DeLong.
Source: DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44; by cluster: Obuchowski (1997), Biometrics 53; Cameron & Miller (2015).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.distributions import t_quantile
from gonogo.stats.estimates import Rows, estimated, rows_of
from gonogo.stats.figure import Figure
from gonogo.stats.linearised import Compared, Model, Options, RowLoss, Swayed, compared, options_of
from gonogo.stats.refusals import NoSpread, TooFewUnits, Undefined
from gonogo.types.evidence import Estimate, Interval, Of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from gonogo.types.evidence import Array

EVERY_DAY = ("roc_auc", "average_precision", "log_loss")
_ROUNDING = 1e-12  # a spread below this share of the figures themselves is rounding, not spread


def compare(
    y: ArrayLike,
    ours: ArrayLike,
    theirs: ArrayLike,
    *,
    metric: str | RowLoss = "roc_auc",
    weight: ArrayLike | None = None,
    unit: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
    **options: float,
) -> Estimate:
    """Ours − theirs, paired: the same rows, with an interval that respects the independent unit.

    y:       (n,) outcomes; ours, theirs: (n,) scores of the same rows in the same order.
    metric:  a name (roc_auc, average_precision, log_loss, brier_score, recall_at_false_positive_rate, precision_at_recall, accuracy,
             precision, recall, false_positive_rate, f_beta, matthews_correlation, cost_per_decision, mean_absolute_error,
             mean_squared_error, root_mean_squared_error), or a function (y, score) → (n,) of what each row costs.
    options: of the metric: rate, recall, threshold, beta, false_positive, false_negative. seed: of no effect, for nothing is drawn.
    Refused where either figure does not exist or holds NaN, below 2 units, below 50 of the rarer class for rankings and for figures of
    one class, and where both models answer alike: they differ by 0 on these rows, and how far elsewhere is unknown.

    >>> rng = np.random.default_rng(0)
    >>> y = rng.random(4000) < 0.3
    >>> ours, theirs = y + rng.normal(size=(2, 4000)) * [[1.0], [1.2]]
    >>> found = compare(y, ours, theirs)
    >>> found.interval.low > 0, found.of.value
    (True, 'difference')
    """
    (found,) = compare_all(y, ours, theirs, metrics=(metric,), weight=weight, unit=unit, level=level, seed=seed, **options)
    return found


def compare_all(
    y: ArrayLike,
    ours: ArrayLike,
    theirs: ArrayLike,
    *,
    metrics: Sequence[str | RowLoss] = EVERY_DAY,
    weight: ArrayLike | None = None,
    unit: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
    **options: float,
) -> tuple[Estimate, ...]:
    """`compare` by several metrics, in their order; each model is sorted once. An option goes to every metric that takes it.

    Several differences are several chances of a false alarm: adjust their p-values (`margins.p_value`, `holm`) before one is believed.
    """
    a, b = (Model(rows_of(y, score, weight=weight, unit=unit, level=level)) for score in (ours, theirs))
    figures = tuple(compared(metric) for metric in metrics)
    pair = Pair(ours=a, theirs=b)
    return tuple(pair.difference(figure, of, level) for figure, of in zip(figures, options_of(figures, options), strict=True))


@dataclass(frozen=True)
class Pair:
    """Two models on the same rows."""

    ours: Model
    theirs: Model

    def difference(self, figure: Compared, options: Options, level: float) -> Estimate:
        """Ours − theirs, or why there is none."""
        return estimated(
            figure.name,
            lambda: self._difference(figure, options, level),
            n_rows=self.rows.n,
            n_units=self.n_units,
            better=figure.better,
            measured_in=figure.measured_in,
            of=Of.DIFFERENCE,
        )

    @property
    def rows(self) -> Rows:
        """The rows, with the scores of ours."""
        return self.ours.rows

    @cached_property
    def n_units(self) -> int:
        """Units with weight."""
        weight = self.rows.weight
        if weight is None:
            return self.rows.n_units
        return int(np.count_nonzero(self.by_unit((weight > 0).astype(np.float64))))

    def by_unit(self, values: Array) -> Array:
        """(units,) sums; the rows themselves where each is its own unit."""
        unit = self.rows.unit
        return values if unit is None else np.bincount(unit, weights=values, minlength=self.rows.n_units).astype(np.float64)

    def _difference(self, figure: Compared, options: Options, level: float) -> Figure:
        for model in (self.ours, self.theirs):
            figure.check(model.rows)
        if self.n_units < 2:
            raise TooFewUnits(f"{self.n_units} unit with weight: two are needed to see any spread")
        ours, theirs = (figure.of(model, options) for model in (self.ours, self.theirs))
        return self._interval(ours, theirs, level)

    def _interval(self, ours: Swayed, theirs: Swayed, level: float) -> Figure:
        value = ours.value - theirs.value
        errors = self.by_unit(ours.influence - theirs.influence)
        n = self.n_units
        error = math.sqrt(n / (n - 1) * float(np.sum(errors * errors)))
        if not math.isfinite(value) or not math.isfinite(error):
            raise Undefined("undefined on these rows: one class only, or no weight")
        if error <= _ROUNDING * (abs(ours.value) + abs(theirs.value)):
            raise NoSpread("both models answer alike in every unit: how far they differ elsewhere is unknown")
        half = t_quantile((1 + level) / 2, n - 1) * error
        interval = Interval(low=value - half, high=value + half, level=level, method="paired influence by unit, t(G-1)")
        return Figure(value=value, interval=interval, n_units=n, n_rows=self.rows.n)
