"""Is one of two models right more often, or is its loss smaller, than chance would make it?

Tests for decisions (McNemar) and for ranks of losses (Wilcoxon), each with the size of the effect beside its p-value. Where only the size
and its interval are asked, `compare` gives them for any metric.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.clustered import paired_difference
from gonogo.stats.distributions import binomial_cdf, normal_quantile
from gonogo.stats.estimates import Rows, estimated, rows_of
from gonogo.stats.figure import Figure
from gonogo.stats.linearised import RowLoss, compared, options_of
from gonogo.stats.randomisation import share_of_flips
from gonogo.stats.refusals import NoSpread, NotFinite, TooFewUnits
from gonogo.stats.scientific import tests
from gonogo.types.evidence import Estimate, Interval, Of, Tested, UnitScores

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from gonogo.types.evidence import Array

_ALIKE = "both models are right equally often"
_ROUNDING = 1e-12  # of the largest difference: what is smaller is rounding, not a difference


@dataclass(frozen=True, kw_only=True, slots=True)
class _Decisions:
    """Which rows each of two models got right."""

    rows: Rows
    ours: Array  # (n,) 1 where ours was right
    theirs: Array

    @property
    def only_ours(self) -> int:
        return int(np.count_nonzero(self.ours > self.theirs))

    @property
    def only_theirs(self) -> int:
        return int(np.count_nonzero(self.ours < self.theirs))


def mcnemar(
    y: ArrayLike, ours: ArrayLike, theirs: ArrayLike, *, unit: ArrayLike | None = None, level: float = 0.95, seed: int = 0
) -> Tested:
    """Are both models right equally often? Only the rows on which one is right and the other wrong speak.

    y: (n,) classes, as numbers; ours, theirs: (n,) decided classes (cut a score at its threshold first).
    Rows of their own: the mid-p test, which keeps the level and wastes less than the exact one; effect with Bonett and Price's interval.
    With units: the statistic Σd / √Σd² over the units' differences d (Durkalski), held against flipping whole units (all flips where they
    are few, else 9,999 by seed); effect with a clustered t interval. Refused where no row tells the models apart, and for NaN.
    Source: Fagerland, Lydersen & Laake (2013), BMC Medical Research Methodology 13; Bonett & Price (2012), J. Educational and Behavioral
    Statistics 37; Durkalski et al. (2003), Statistics in Medicine 22.

    >>> y = np.zeros(30)
    >>> test = mcnemar(y, y, np.r_[np.ones(9), np.zeros(21)])
    >>> test.effect.value, round(test.p_value, 5)
    (0.3, 0.00195)
    """
    decisions = _decisions(y, ours, theirs, unit, level)
    if unit is not None:
        return _mcnemar_by_unit(decisions, level, seed)
    return _mcnemar_by_row(decisions, level, test="McNemar, mid-p", p=_mid_p)


def mcnemar_exact(y: ArrayLike, ours: ArrayLike, theirs: ArrayLike, *, level: float = 0.95, seed: int = 0) -> Tested:
    """`mcnemar` of independent rows, exact: never above its level, at the price of power. seed: of no effect.

    Source: McNemar (1947), Psychometrika 12: the binomial of ½ over the rows on which one model alone is right.
    """
    return _mcnemar_by_row(_decisions(y, ours, theirs, None, level), level, test="McNemar, exact", p=_exact_p)


def wilcoxon(
    y: ArrayLike,
    ours: ArrayLike,
    theirs: ArrayLike,
    *,
    metric: str | RowLoss = "log_loss",
    weight: ArrayLike | None = None,
    unit: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
    **options: float,
) -> Tested:
    """Do the losses of two models lie as often, and as far, on one side as on the other? The signed-rank test, on the units' mean losses.

    metric: a figure that is a mean over rows (log_loss, brier_score, mean_absolute_error, …) or a function (y, score) → (n,).
    The effect is the pseudo-median of the units' differences ours − theirs (Hodges and Lehmann), not their mean: one unit far off hardly
    moves it, nor does its weight, and it says nothing of what the losses add up to. Both assume differences that are symmetric about it.
    Refused below 6 units that differ, where no interval of 95 % exists. seed: of no effect.
    Source: Wilcoxon (1945), Biometrics Bulletin 1; Hodges & Lehmann (1963), Annals of Mathematical Statistics 34.
    """
    figure = compared(metric)
    (taken,) = options_of((figure,), options)
    if figure.sums is None:
        raise ValueError(f"{figure.name} is no mean over rows: its units have no loss of their own")
    rows = tuple(rows_of(y, score, weight=weight, unit=unit, level=level) for score in (ours, theirs))

    def differences() -> Array:
        for of in rows:
            figure.check(of)
        return _differences_by_unit(rows[0], *(figure.sums(of, taken).u for of in rows))  # type: ignore[misc]

    return _signed_ranks(figure.name, figure.better, figure.measured_in, differences, rows[0], level)


# ── McNemar ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _decisions(y: ArrayLike, ours: ArrayLike, theirs: ArrayLike, unit: ArrayLike | None, level: float) -> _Decisions:
    rows, other = (rows_of(y, decided, weight=None, unit=unit, level=level) for decided in (ours, theirs))
    for decided in (rows.score, other.score):
        known = decided[np.isfinite(decided)]
        if (known != np.round(known)).any():
            raise ValueError("decisions are needed, not scores: cut a score at its threshold first, e.g. score >= 0.5")
    return _Decisions(rows=rows, ours=(rows.y == rows.score).astype(np.float64), theirs=(rows.y == other.score).astype(np.float64))


def _mcnemar_by_row(decisions: _Decisions, level: float, *, test: str, p: Callable[[int, int], float]) -> Tested:
    only_ours, only_theirs = decisions.only_ours, decisions.only_theirs
    effect = _accuracy_difference(decisions, lambda: _bonett_price(only_ours, only_theirs, decisions.rows.n, level))
    if effect.refused:
        return _refused(test, _ALIKE, effect)
    statistic = (only_ours - only_theirs) / math.sqrt(only_ours + only_theirs)
    return _tested(test, _ALIKE, statistic, p(min(only_ours, only_theirs), only_ours + only_theirs), effect)


def _mcnemar_by_unit(decisions: _Decisions, level: float, seed: int) -> Tested:
    unit, ones = decisions.rows.units, np.ones(decisions.rows.n)
    ours, theirs = UnitScores(unit, decisions.ours, ones), UnitScores(unit, decisions.theirs, ones)
    effect = _accuracy_difference(decisions, lambda: paired_difference(ours, theirs, level=level))
    test = "McNemar by unit, flips of whole units"
    if effect.refused:
        return _refused(test, _ALIKE, effect)
    d = np.bincount(unit, weights=decisions.ours - decisions.theirs, minlength=decisions.rows.n_units).astype(np.float64)
    statistic = float(d.sum()) / math.sqrt(float(np.sum(d * d)))
    return _tested(test, _ALIKE, statistic, share_of_flips(d, seed=seed), effect)


def _accuracy_difference(decisions: _Decisions, figure: Callable[[], Figure]) -> Estimate:
    def checked() -> Figure:
        if not (np.isfinite(decisions.rows.y).all() and np.isfinite(decisions.rows.score).all()):
            raise NotFinite("a class is NaN or infinite")
        if decisions.only_ours + decisions.only_theirs == 0:
            raise NoSpread("both models are right on the same rows: nothing here tells them apart")
        return figure()

    n = decisions.rows.n
    return estimated("accuracy", checked, n_rows=n, n_units=decisions.rows.n_units, better="higher", of=Of.DIFFERENCE)


def _bonett_price(only_ours: int, only_theirs: int, n: int, level: float) -> Figure:
    """The difference of two paired shares: Wald's interval after one row was added to either side, which mends what it lacks when few."""
    a, b = (only_ours + 1) / (n + 2), (only_theirs + 1) / (n + 2)
    half = normal_quantile((1 + level) / 2) * math.sqrt((a + b - (a - b) ** 2) / (n + 2))
    value = (only_ours - only_theirs) / n
    interval = Interval(
        low=max(-1.0, min(a - b - half, value)), high=min(1.0, max(a - b + half, value)), level=level, method="Bonett-Price, paired shares"
    )
    return Figure(value=value, interval=interval, n_units=n, n_rows=n)


def _mid_p(fewer: int, n: int) -> float:
    return min(1.0, binomial_cdf(fewer - 1, n, 0.5) + binomial_cdf(fewer, n, 0.5))


def _exact_p(fewer: int, n: int) -> float:
    return min(1.0, 2 * binomial_cdf(fewer, n, 0.5))


# ── Wilcoxon ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _differences_by_unit(rows: Rows, ours: Array, theirs: Array) -> Array:
    """(units,) weighted mean of ours − theirs in each unit that has weight."""
    if rows.unit is None and rows.weight is None:
        return ours - theirs
    weights = np.bincount(rows.units, weights=rows.weights, minlength=rows.n_units)
    sums = np.bincount(rows.units, weights=rows.weights * (ours - theirs), minlength=rows.n_units)
    return np.asarray(sums[weights > 0] / weights[weights > 0])


def _signed_ranks(name: str, better: str, measured_in: str, differences: Callable[[], Array], rows: Rows, level: float) -> Tested:
    signed_rank = tests().wilcoxon

    test, null = "Wilcoxon signed rank, on the units' means", "the units' differences are symmetric about 0"
    found: list[Array] = []

    def pseudo_median() -> Figure:
        d = differences()
        found.append(d[np.abs(d) > _ROUNDING * np.abs(d).max(initial=0.0)])  # a unit of no difference has no rank
        return _hodges_lehmann(found[0], n_units=len(d), n_rows=rows.n, level=level)

    effect = estimated(name, pseudo_median, n_rows=rows.n, n_units=rows.n_units, better=better, measured_in=measured_in, of=Of.DIFFERENCE)
    if effect.refused:
        return _refused(test, null, effect)
    tested = signed_rank(found[0])
    return _tested(test, null, float(tested.statistic), float(tested.pvalue), effect)


def _hodges_lehmann(d: Array, *, n_units: int, n_rows: int, level: float) -> Figure:
    """The median of the averages of two units, and those that the test does not reject. Source: Hollander & Wolfe (1999), ch. 3.2."""
    n = len(d)
    pairs = n * (n + 1) // 2
    out = round(pairs / 2 - normal_quantile((1 + level) / 2) * math.sqrt(n * (n + 1) * (2 * n + 1) / 24))
    if out < 1:
        raise TooFewUnits(f"{n} units differ: so few have no signed-rank interval of {level:.0%}".replace("%", " %"))
    rising = np.sort(d)
    low, below, above, high = (_walsh(rising, rank) for rank in (out, (pairs + 1) // 2, pairs // 2 + 1, pairs - out + 1))
    interval = Interval(low=low, high=high, level=level, method="Hodges-Lehmann, averages of two units")
    return Figure(value=(below + above) / 2, interval=interval, n_units=n_units, n_rows=n_rows)


def _walsh(rising: Array, rank: int) -> float:
    """The rank-th smallest of the averages of two units, a unit with itself among them; rank counts from 1.

    Found by bisection: the n²/2 averages are counted, never written down.
    """
    place = np.arange(len(rising))
    low, high = float(np.nextafter(rising[0], -np.inf)), float(rising[-1])
    while low < (middle := low + (high - low) / 2) < high:
        at_most = np.searchsorted(rising, 2 * middle - rising, side="right") - place
        low, high = (low, middle) if int(np.maximum(at_most, 0).sum()) >= rank else (middle, high)
    return high


# ── records ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _tested(test: str, null: str, statistic: float, p: float, effect: Estimate) -> Tested:
    return Tested(test=test, null=null, statistic=statistic, p_value=p, effect=effect, n_units=effect.n_units, n_rows=effect.n_rows)


def _refused(test: str, null: str, effect: Estimate) -> Tested:
    return Tested(
        test=test,
        null=null,
        statistic=None,
        p_value=None,
        effect=effect,
        n_units=effect.n_units,
        n_rows=effect.n_rows,
        refused=effect.refused,
    )
