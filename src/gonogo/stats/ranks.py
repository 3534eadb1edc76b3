"""Do two populations differ in the order of their values?

Everything here follows from a `Tally`: the distinct values of both samples in order, and how many of either side are at most each. One sort
gives it, so every test is exact in O(n log n); ties are counted as they are.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.distributions import normal_cdf, normal_quantile, t_quantile, t_tail
from gonogo.stats.estimates import as_floats
from gonogo.stats.figure import Figure
from gonogo.stats.refusals import NoSpread, TooFewUnits
from gonogo.stats.scientific import special, tests
from gonogo.stats.two_samples import (
    Outcome,
    Pair,
    Side,
    Spread,
    concluded,
    pair_of,
    require_comparable,
    spread,
    spread_of_variances,
)
from gonogo.types.evidence import Interval, Tested

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from gonogo.types.evidence import Array, IntArray

    CountArray = NDArray[np.int32] | NDArray[np.int64]

_EXACT_ROWS = 10_000  # up to which Kolmogorov and Smirnov's distance has its exact null, as in SciPy
_EXACT_SIDE, _EXACT_OTHER = 8, 1_000  # the same for Mann and Whitney's U: one side so small, the other not so large that counting is dear
_GRID = 99  # points at which clustered distribution functions are compared
_GRID_CELLS = 20_000_000  # units times points, at most
_SUP_DRAWS = 4_000
_PART = 1 << 20
_ROUNDING = 1e-12  # of a share
_AD_WEIGHTS = 100
_AD_NODES = 200  # values at which the null of tied samples is laid out


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """Two samples as counts over their distinct values, in rising order. The values themselves are not needed any more."""

    upto_a: CountArray  # (k,) how many values of a are at most the k-th
    upto_b: CountArray

    @property
    def n_values(self) -> int:
        """Distinct values."""
        return len(self.upto_a)

    @property
    def n_a(self) -> int:
        """Values of a."""
        return int(self.upto_a[-1])

    @property
    def n_b(self) -> int:
        """Values of b."""
        return int(self.upto_b[-1])

    @property
    def distance(self) -> float:
        """Kolmogorov and Smirnov's D."""
        return max(float(np.max(np.abs(part.upto_a / self.n_a - part.upto_b / self.n_b))) for part in self.parts())

    def parts(self) -> Iterator[Part]:
        """A million values at a time: what is computed from them needs no memory to speak of."""
        for start in range(0, self.n_values, _PART):
            rows = slice(start, start + _PART)
            upto_a, upto_b = self.upto_a[rows].astype(np.int64), self.upto_b[rows].astype(np.int64)
            before_a, before_b = (int(upto[start - 1]) if start else 0 for upto in (self.upto_a, self.upto_b))
            yield Part(upto_a=upto_a, upto_b=upto_b, of_a=np.diff(upto_a, prepend=before_a), of_b=np.diff(upto_b, prepend=before_b))


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Some neighbouring values of a tally."""

    upto_a: IntArray
    upto_b: IntArray
    of_a: IntArray  # how many of a are this value
    of_b: IntArray


def mann_whitney(
    a: ArrayLike,
    b: ArrayLike,
    *,
    weight_a: ArrayLike | None = None,
    weight_b: ArrayLike | None = None,
    unit_a: ArrayLike | None = None,
    unit_b: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Tested:
    """Whether one population tends to lie above the other: the effect is P(b > a) + P(b = a)/2, 0.5 where neither does.

    statistic: U, the pairs in which b is above a. p-value: of U under one and the same distribution, exact for a side of at most 8 without
    ties, else normal with ties and continuity corrected, as SciPy's; with units or weights, of the effect itself by clustered t.
    The interval is DeLong's on the logit scale with t: it holds for unequal variances too. Where every pair falls one way it is Wilson's
    for as many pairs as the smaller side has units. Infinities are values; NaN is refused. seed has no effect.
    Source: Mann & Whitney (1947), Annals of Mathematical Statistics 18; Brunner & Munzel (2000), Biometrical Journal 42.

    >>> found = mann_whitney([1, 2, 3, 4], [3, 4, 5, 7])
    >>> found.statistic, found.effect.value
    (14.0, 0.875)
    """
    del seed
    pair = pair_of(a, b, weight_a=weight_a, weight_b=weight_b, unit_a=unit_a, unit_b=unit_b, level=level)
    plain = _is_plain(pair)
    return concluded(
        "Mann–Whitney U" if plain else "probability of superiority, t by unit",
        "both populations have the same distribution" if plain else "neither population tends to lie above the other",
        lambda: superiority_test(pair, level=level),
        pair,
        metric="probability of superiority",
        measured_in="",
    )


def kolmogorov_smirnov(
    a: ArrayLike,
    b: ArrayLike,
    *,
    unit_a: ArrayLike | None = None,
    unit_b: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Tested:
    """Whether the distributions differ anywhere: D, the largest difference of the shares at or below any value.

    Without units the p-value is exact up to 10,000 rows a side, then Kolmogorov's, as SciPy's; ties make it larger, never smaller. The
    interval reaches down by Kolmogorov's simultaneous band and up by the pointwise one at its widest: it holds D at least as often as its
    level says. With units, D is taken at 99 pooled percentiles, and its null is the largest of a Gaussian vector with the clustered
    covariance (4,000 draws by seed). Infinities are values; NaN is refused.
    Source: Smirnov (1939); Raghavachari (1973), Annals of Statistics 1, for the limit away from the null.

    >>> round(kolmogorov_smirnov([1, 2, 3, 4], [3, 4, 5, 7]).effect.value, 3)
    0.5
    """
    pair = pair_of(a, b, unit_a=unit_a, unit_b=unit_b, level=level)
    return concluded(
        "Kolmogorov–Smirnov" if pair.a.unit is None else "Kolmogorov–Smirnov at percentiles, by unit",
        "both populations have the same distribution",
        lambda: _distance_of_rows(pair, level) if pair.a.unit is None else _distance_by_unit(pair, level, seed),
        pair,
        metric="largest difference of shares",
        measured_in="",
    )


def anderson_darling(a: ArrayLike, b: ArrayLike, *more: ArrayLike, level: float = 0.95, seed: int = 0) -> Tested:
    """Whether two or more samples come from one distribution, with weight on the tails.

    statistic: the standardised A² with midranks, as SciPy's. p-value: of its limit, Σ χ²(k−1)/(j(j+1)) where nothing ties, not cut off at
    0.001 and 0.25. The effect is the largest Kolmogorov–Smirnov distance between two of the samples, its interval at a level that all pairs
    share (Bonferroni). Rows are taken as independent. seed has no effect.
    Source: Scholz & Stephens (1987), JASA 82.

    >>> found = anderson_darling([1, 2, 3, 4, 5], [3, 4, 5, 7, 9])
    >>> round(found.statistic, 3), round(found.p_value, 3)
    (1.341, 0.117)
    """
    del seed
    samples = (a, b, *more)
    pairs = [pair_of(one, other, level=level) for one, other in itertools.combinations(samples, 2)]
    everything = Pair(a=pairs[0].a, b=_together([as_floats(one, "sample") for one in samples[1:]]), n_codes=0, is_shared=False)
    return concluded(
        "Anderson–Darling",
        "all populations have the same distribution",
        lambda: _anderson_darling(pairs, [as_floats(one, "sample") for one in samples], level),
        everything,
        metric="largest difference of shares",
        measured_in="",
    )


def tally(a: Array, b: Array) -> Tally:
    """The counts of two samples over their distinct values. a, b: without NaN, at least one value between them."""
    a, b = np.sort(a), np.sort(b)
    values = np.concatenate([a, b])
    values.sort(kind="stable")  # two rising runs: merged, not sorted again
    is_new = np.empty(len(values), dtype=bool)
    is_new[0] = True
    np.not_equal(values[1:], values[:-1], out=is_new[1:])
    values = values[is_new]
    return Tally(upto_a=_upto(a, values), upto_b=_upto(b, values))


def _upto(ranked: Array, values: Array) -> CountArray:
    """How many are at most each value; 32 bits where they do, for there may be as many values as rows."""
    found: CountArray = np.empty(len(values), dtype=np.int32) if len(ranked) < 2**31 else np.empty(len(values), dtype=np.int64)
    for start in range(0, len(values), _PART):
        found[start : start + _PART] = np.searchsorted(ranked, values[start : start + _PART], side="right")
    return found


def superiority_test(pair: Pair, *, level: float) -> Outcome:
    """`mann_whitney` of a pair, or its refusal."""
    require_comparable(pair, finite=False)
    return superiority_of(tally(pair.a.values, pair.b.values), level=level) if _is_plain(pair) else _superiority_by_unit(pair, level)


def superiority_of(counts: Tally, *, level: float) -> Outcome:
    """Mann and Whitney's test of a tally of independent rows."""
    if counts.n_values == 1:
        raise NoSpread("every value on both sides is the same: how far the truth may be is unknown")
    effect, _ = superiority(counts, level=level)
    u = effect.value * counts.n_a * counts.n_b
    return Outcome(statistic=u, p_value=_p_of_u(u, counts), effect=effect)


def superiority(counts: Tally, *, level: float = 0.95) -> tuple[Figure, Spread]:
    """P(b > a) + P(b = a)/2 of independent rows, with its interval."""
    n_a, n_b = counts.n_a, counts.n_b
    share = sum(float(np.sum(part.of_b * (part.upto_a - 0.5 * part.of_a))) for part in counts.parts()) / n_a / n_b
    variance_a, variance_b = 0.0, 0.0
    for part in counts.parts():
        beaten_by_b = (part.upto_a - 0.5 * part.of_a) / n_a  # by a value of b: the share of a below it
        variance_b += float(np.sum(part.of_b * (beaten_by_b - share) ** 2)) / (n_b * (n_b - 1))
        above_a = 1 - (part.upto_b - 0.5 * part.of_b) / n_b
        variance_a += float(np.sum(part.of_a * (above_a - share) ** 2)) / (n_a * (n_a - 1))
    found = spread_of_variances(variance_a, variance_b, n_a, n_b)
    return _superiority_figure(share, found, n_a, n_b, n_units=n_a + n_b, n_rows=n_a + n_b, level=level), found


def distance_interval(distance: float, n_a: float, n_b: float, *, level: float) -> Interval:
    """The interval of D between independent samples: it holds D with at least that probability."""
    kolmogi = special().kolmogi

    tail, scale = (1 - level) / 2, math.sqrt(1 / n_a + 1 / n_b)
    return Interval(
        low=max(0.0, distance - float(kolmogi(tail)) * scale),
        high=min(1.0, distance + 0.5 * normal_quantile(1 - tail) * scale),
        level=level,
        method="Kolmogorov band below, pointwise above",
    )


def _is_plain(pair: Pair) -> bool:
    return pair.a.unit is None and pair.a.weight is None and pair.b.weight is None


def _superiority_by_unit(pair: Pair, level: float) -> Outcome:
    weight_a, weight_b = (side.weights / side.weights.sum() for side in (pair.a, pair.b))
    above_a = _share_below(pair.a.values, weight_a, pair.b.values)
    below_b = 1 - _share_below(pair.b.values, weight_b, pair.a.values)
    share = float(np.sum(weight_b * above_a))
    share = round(share) * 1.0 if min(share, 1 - share) < _ROUNDING else share  # of sums of weights, that may pass 1
    found = spread(weight_a * (below_b - share), weight_b * (above_a - share), pair)
    found = found if found.standard_error > _ROUNDING else replace(found, standard_error=0.0)
    if found.standard_error == 0 and share == 0.5:
        raise NoSpread("every value on both sides is the same: how far the truth may be is unknown")
    sizes = pair.a.n_units, pair.b.n_units
    effect = _superiority_figure(share, found, *sizes, n_units=pair.n_units, n_rows=pair.n_rows, level=level)
    t = (share - 0.5) / found.standard_error if found.standard_error > 0 else math.copysign(math.inf, share - 0.5)
    # Where every pair falls one way there is no spread to judge by: then by the chance that as many pairs of fair coins do.
    p = 2 * t_tail(abs(t), found.df) if math.isfinite(t) else 2.0 ** (1 - min(sizes))
    return Outcome(statistic=share, p_value=p, effect=effect)


def _superiority_figure(share: float, found: Spread, n_a: int, n_b: int, *, n_units: int, n_rows: int, level: float) -> Figure:
    from gonogo.stats.clustered import wilson

    if found.standard_error == 0 or share in (0.0, 1.0):
        interval = wilson(share, 0.0, n_units=min(n_a, n_b), n_effective=min(n_a, n_b), level=level)
    else:
        half = t_quantile((1 + level) / 2, found.df) * found.standard_error / (share * (1 - share))
        log_odds = math.log(share / (1 - share))
        interval = Interval(
            low=_logistic(log_odds - half), high=_logistic(log_odds + half), level=level, method="DeLong on the logit scale, t"
        )
    return Figure(value=share, interval=interval, n_units=n_units, n_rows=n_rows)


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def _share_below(values: Array, weight: Array, at: Array) -> Array:
    """Of each of `at`: the share of weight below it, and half of that which equals it."""
    order = np.argsort(values, kind="stable")
    ranked, upto = values[order], np.concatenate([[0.0], np.cumsum(weight[order])])
    return np.asarray(0.5 * (upto[np.searchsorted(ranked, at, side="left")] + upto[np.searchsorted(ranked, at, side="right")]))


def _p_of_u(u: float, counts: Tally) -> float:
    n_a, n_b = counts.n_a, counts.n_b
    has_ties = counts.n_values < n_a + n_b
    if min(n_a, n_b) <= _EXACT_SIDE and max(n_a, n_b) <= _EXACT_OTHER and not has_ties:
        mannwhitneyu = tests().mannwhitneyu

        return float(mannwhitneyu(*_as_ranks(counts), method="exact").pvalue)
    n = n_a + n_b
    ties = sum(_ties((part.of_a + part.of_b).astype(np.float64)) for part in counts.parts())
    variance = n_a * n_b / 12 * ((n + 1) - ties / (n * (n - 1)))
    z = (abs(u - n_a * n_b / 2) - 0.5) / math.sqrt(variance)
    return min(1.0, 2 * normal_cdf(-z))


def _ties(same: Array) -> float:
    return float(np.sum(same * (same * same - 1)))


def _as_ranks(counts: Tally) -> tuple[IntArray, IntArray]:
    """Samples that are ordered as the two are: each value as its number among the distinct ones."""
    place = np.arange(counts.n_values)
    return np.repeat(place, np.diff(counts.upto_a, prepend=0)), np.repeat(place, np.diff(counts.upto_b, prepend=0))


def _distance_of_rows(pair: Pair, level: float) -> Outcome:
    require_comparable(pair, finite=False)
    return distance_of(tally(pair.a.values, pair.b.values), level=level)


def distance_of(counts: Tally, *, level: float) -> Outcome:
    """Kolmogorov and Smirnov's test of a tally of independent rows."""
    distance, n_a, n_b = counts.distance, counts.n_a, counts.n_b
    interval = distance_interval(distance, n_a, n_b, level=level)
    effect = Figure(value=distance, interval=interval, n_units=n_a + n_b, n_rows=n_a + n_b)
    return Outcome(statistic=distance, p_value=_p_of_distance(distance, counts), effect=effect)


def _p_of_distance(distance: float, counts: Tally) -> float:
    n_a, n_b = counts.n_a, counts.n_b
    if max(n_a, n_b) <= _EXACT_ROWS:
        import warnings

        ks_2samp = tests().ks_2samp

        with warnings.catch_warnings():  # SciPy warns where the exact count overflows, and then gives the limit
            warnings.simplefilter("ignore", RuntimeWarning)
            return float(ks_2samp(*_as_ranks(counts)).pvalue)
    kstwo = tests().kstwo

    return float(kstwo.sf(distance, round(n_a * n_b / (n_a + n_b))))


def _distance_by_unit(pair: Pair, level: float, seed: int) -> Outcome:
    require_comparable(pair, finite=False)
    points = _percentiles(pair)
    gap_a, covering_a = _steps_by_unit(pair.a, points, pair.n_codes)
    gap_b, covering_b = _steps_by_unit(pair.b, points, pair.n_codes)
    errors = covering_b - covering_a
    if not pair.is_shared:  # units of one side only: their rows of `errors` are that side's alone
        errors = np.where(covering_a.any(axis=1, keepdims=True), -covering_a, covering_b)
    distance = float(np.max(np.abs(gap_b - gap_a)))
    covariance = np.einsum("gi,gj->ij", errors, errors)
    least = min(pair.a.n_units, pair.b.n_units)
    largest, widest = _largest_of_gaussians(covariance, seed), math.sqrt(float(covariance.diagonal().max()))
    if widest == 0:  # one value everywhere: each unit counts once
        interval = distance_interval(distance, pair.a.n_units, pair.b.n_units, level=level)
        effect = Figure(value=distance, interval=interval, n_units=pair.n_units, n_rows=pair.n_rows)
        return Outcome(statistic=distance, p_value=1.0 if distance == 0 else 2.0 ** (1 - least), effect=effect)
    tail = (1 - level) / 2
    t = t_quantile(1 - tail, least - 1)
    few = t / normal_quantile(1 - tail)  # few units: the covariance is itself uncertain
    low = max(0.0, distance - few * float(np.quantile(largest, 1 - tail)))
    interval = Interval(low=low, high=min(1.0, distance + t * widest), level=level, method="clustered band below, pointwise above")
    p = (1 + int(np.sum(few * largest >= distance))) / (1 + len(largest))
    return Outcome(
        statistic=distance, p_value=p, effect=Figure(value=distance, interval=interval, n_units=pair.n_units, n_rows=pair.n_rows)
    )


def _percentiles(pair: Pair) -> Array:
    """Distinct pooled percentiles, fewer where units are many; the largest value is none, for both shares are 1 there."""
    n_points = max(9, min(_GRID, _GRID_CELLS // max(1, pair.n_codes)))
    pooled = np.sort(np.concatenate([pair.a.values, pair.b.values]))
    at = (np.arange(1, n_points + 1) * len(pooled)) // (n_points + 1)
    points = np.unique(pooled[at])
    return points[points < pooled[-1]] if points[0] < pooled[-1] else points[:1]


def _steps_by_unit(side: Side, points: Array, n_codes: int) -> tuple[Array, Array]:
    """(p,) the share at or below each point, and (units, p) each unit's share in its error, scaled by √(G/(G−1))."""
    assert side.unit is not None
    bins = np.searchsorted(points, side.values, side="left")  # values at most points[j] are in bins 0 … j
    width = len(points) + 1
    counts = np.bincount(side.unit * width + bins, minlength=n_codes * width).reshape(n_codes, width).astype(np.float64)
    upto = np.cumsum(counts, axis=1)
    share = upto[:, :-1].sum(axis=0) / side.n
    errors = (upto[:, :-1] - share * upto[:, -1:]) / side.n
    return share, errors * math.sqrt(side.n_units / (side.n_units - 1))


def _largest_of_gaussians(covariance: Array, seed: int) -> Array:
    """Draws of the largest |component| of a Gaussian vector with that covariance."""
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    draws = np.random.Generator(np.random.Philox(seed)).standard_normal((_SUP_DRAWS, len(values)))
    return np.asarray(np.abs(np.einsum("dk,pk->dp", draws, root, optimize=True)).max(axis=1))


def _together(samples: list[Array]) -> Side:
    joined = np.concatenate(samples)
    return Side(values=joined, weight=None, unit=None, n_units=len(joined))


def _anderson_darling(pairs: list[Pair], samples: list[Array], level: float) -> Outcome:
    for pair in pairs:
        require_comparable(pair, finite=False)
    pooled = np.sort(np.concatenate(samples))
    if pooled[0] == pooled[-1]:
        raise NoSpread("every value on every side is the same: how far the truth may be is unknown")
    standardised = _standardised_a2(samples, pooled)
    m = len(samples) - 1
    # The limit's mean is m and its variance, without ties, m · 2 · Σ 1/(j(j+1))² = m · 2(π²/3 − 3).
    limit = m + standardised * math.sqrt(m * 2 * (math.pi**2 / 3 - 3))
    has_ties = bool((pooled[1:] == pooled[:-1]).any())
    p = _tied_tail(limit, m, pooled) if has_ties else anderson_darling_tail(limit, m)
    farthest = max((tally(pair.a.values, pair.b.values) for pair in pairs), key=lambda counts: counts.distance)
    each = 1 - (1 - level) / len(pairs)
    interval = distance_interval(farthest.distance, farthest.n_a, farthest.n_b, level=each)
    shared = Interval(low=interval.low, high=interval.high, level=level, method=interval.method)
    effect = Figure(value=farthest.distance, interval=shared, n_units=len(pooled), n_rows=len(pooled))
    return Outcome(statistic=standardised, p_value=p, effect=effect)


def anderson_darling_tail(value: float, m: int) -> float:
    """P(Σ_j χ²(m)/(j(j+1)) > value): the limit of Anderson–Darling's A² of m + 1 samples."""
    from gonogo.stats.quadratic_forms import weighted_chi_square_tail

    j = np.arange(1, _AD_WEIGHTS + 1)
    rest = m / (_AD_WEIGHTS + 1)  # Σ over the other j of m/(j(j+1)): so many small parts hardly vary
    return weighted_chi_square_tail(value - rest, 1 / (j * (j + 1.0)), times=m)


def _tied_tail(value: float, m: int, pooled: Array) -> float:
    """The same where values tie: the limit's weights are then the eigenvalues of the midranks' covariance, each divided by its own spread.

    Taken at no more than 200 values that stand for equal parts of the rows.
    """
    from gonogo.stats.quadratic_forms import weighted_chi_square_tail

    values, same = np.unique(pooled, return_counts=True)
    share = same / len(pooled)
    upto = np.cumsum(share)
    part = np.minimum((upto - share / 2) * _AD_NODES, _AD_NODES - 1).astype(np.int64)
    node = np.unique(part, return_index=True)[1] if len(values) > _AD_NODES else np.arange(len(values))
    mass = np.add.reduceat(share, node)
    middle = upto[node] - share[node] / 2
    covariance = np.minimum.outer(middle, middle) * (1 - np.maximum.outer(middle, middle))
    spread_at = middle * (1 - middle) - share[node] / 4
    np.fill_diagonal(covariance, spread_at)
    root = np.sqrt(mass / spread_at)
    weights = np.linalg.eigvalsh(covariance * np.multiply.outer(root, root))
    return weighted_chi_square_tail(value, np.maximum(weights, 0.0), times=m)


def _standardised_a2(samples: list[Array], pooled: Array) -> float:
    """(A² with midranks − (k−1)) / σ. Scholz & Stephens (1987), equations 4, 6 and 7."""
    values, first, same = np.unique(pooled, return_index=True, return_counts=True)
    n, k = len(pooled), len(samples)
    below = first + same / 2  # rows below, and half of those that tie
    spread_at = below * (n - below) - n * same / 4
    a2 = 0.0
    for sample in samples:
        ranked = np.sort(sample)
        upto = np.searchsorted(ranked, values, side="right")
        here = upto - np.searchsorted(ranked, values, side="left")
        at = upto - here / 2
        a2 += float(np.sum(same / n * (n * at - below * len(sample)) ** 2 / spread_at)) / len(sample)
    a2 *= (n - 1) / n
    return (a2 - (k - 1)) / math.sqrt(_variance_of_a2([len(sample) for sample in samples]))


def _variance_of_a2(sizes: list[int]) -> float:
    n, k = sum(sizes), len(sizes)
    if min(sizes) < 1 or n < 4:
        raise TooFewUnits(f"{n} rows: four are needed")
    reciprocal = sum(1 / size for size in sizes)
    i = np.arange(1, n)
    h = float(np.sum(1 / i))
    # Σ_{i<n−1} Σ_{j>i} 1/((n−i) j) = Σ_i (h − h_i)/(n−i), by cumulated sums.
    upto = np.cumsum(1 / i)
    g = float(np.sum((h - upto[:-1]) / (n - i[:-1])))
    a = (4 * g - 6) * (k - 1) + (10 - 6 * g) * reciprocal
    b = (2 * g - 4) * k**2 + 8 * h * k + (2 * g - 14 * h - 4) * reciprocal - 8 * h + 4 * g - 6
    c = (6 * h + 2 * g - 2) * k**2 + (4 * h - 4 * g + 6) * k + (2 * h - 6) * reciprocal + 4 * h
    d = (2 * h + 6) * k**2 - 4 * h * k
    return float((a * n**3 + b * n**2 + c * n + d) / ((n - 1.0) * (n - 2.0) * (n - 3.0)))
