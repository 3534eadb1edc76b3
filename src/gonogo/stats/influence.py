"""How much does each row sway a figure of a ranking, for the whole table and for every slice, after one sort?

The influence of a row is its share in the figure's error: value − truth ≈ Σ influence. Summed by unit, the errors e_g give the variance
G/(G−1) · Σ e_g² of any set of rows, so that a figure costs one pass and no resampling.
Source: Hampel (1974), The influence curve, JASA 69; the area: DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44, by cluster Obuchowski
(1997), Biometrics 53; the density term of a figure at a quantile: Bahadur (1966), Annals of Mathematical Statistics 37.

    ranked = rank_rows(y, score)                   # one sort
    whole = roc_auc(ranked)                        # one group: all rows
    slices = ranked.by_group(origin, n_origins)    # one stable counting sort
    roc_auc(slices), average_precision(slices)     # one pass each
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.distributions import normal_cdf, normal_quantile, t_quantile
from gonogo.stats.estimates import require_binary, require_weights
from gonogo.stats.refusals import NoSpread, NotFinite, TooFewUnits
from gonogo.types.evidence import Interval, Linearised

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gonogo.types.evidence import Array, IntArray

_ROUNDING = 1e-12  # a share of the weight that a sum may miss by rounding: 0.1 · n must still be reached


@dataclass(frozen=True, kw_only=True, slots=True)
class RankedRows:
    """Rows group by group, and within a group by falling score."""

    row: IntArray  # (n,) row numbers
    key: NDArray[np.int32]  # (n,) in that order: 2 · (number of the distinct score) + (1 for a positive)
    weight: Array  # (n,) in that order; empty where every row weighs 1
    start: IntArray  # (n_groups + 1,) where each group begins

    @property
    def n_groups(self) -> int:
        """Groups, empty ones among them."""
        return len(self.start) - 1

    def by_group(self, group: IntArray, n_groups: int) -> RankedRows:
        """The same rows, ranked within each group: one stable counting sort. group: (n,) codes 0 … n_groups − 1 in row order."""
        from gonogo.stats.kernels_influence import group_rows

        codes = np.ascontiguousarray(group, dtype=np.int64)
        if codes.shape != self.row.shape:
            raise ValueError(f"group has the shape {codes.shape} for {len(self.row):,} rows")
        if codes.size and not 0 <= codes.min() <= codes.max() < n_groups:
            raise ValueError(f"a group lies outside 0 … {n_groups - 1}")
        start = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=n_groups))])
        row, key, weight = group_rows(self.row, self.key, self.weight, codes, start)
        return RankedRows(row=row, key=key, weight=weight, start=start)


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """Where an interval is made, so that it stays within what the figure can be."""

    words: str
    there: Callable[[float], float]
    back: Callable[[float], float]
    slope: Callable[[float], float]  # of `there`
    low: float = -math.inf  # what the figure cannot reach and still have an interval here
    high: float = math.inf


def logit_up_to(top: float) -> Scale:
    """The logit of a figure that lies between 0 and `top`."""
    return Scale(
        words=" on the logit scale",
        low=0.0,
        high=top,
        there=lambda value: math.log(value / (top - value)),
        back=lambda odds: top / (1 + math.exp(-odds)) if odds > -700 else 0.0,
        slope=lambda value: top / (value * (top - value)),
    )


LOGIT = logit_up_to(1.0)
LOG = Scale(words=" on the log scale", low=0.0, there=math.log, back=lambda x: math.exp(min(x, 700.0)), slope=lambda value: 1 / value)
PLAIN = Scale(words="", there=float, back=float, slope=lambda _: 1.0)


def roc_auc(ranked: RankedRows) -> Linearised:
    """The chance that a positive scores above a negative, ties counting half, in each group; NaN where a class has no weight.

    >>> ranked = rank_rows(np.array([0.0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    >>> roc_auc(ranked).value, roc_auc(ranked).influence
    (array([0.75]), array([ 0.125, -0.125, -0.125,  0.125]))
    """
    from gonogo.stats.kernels_influence import area

    return _whole(ranked, area)


def average_precision(ranked: RankedRows) -> Linearised:
    """Precision averaged over the positives of each group, each at its own threshold; NaN where they have no weight."""
    from gonogo.stats.kernels_influence import mean_precision

    return _whole(ranked, mean_precision)


def recall_at_false_positive_rate(ranked: RankedRows, rate: float) -> Linearised:
    """The largest share of positives found by a threshold whose share of negatives called positive is at most `rate`, in each group.

    The threshold moves with the negatives: a negative counts by the slope of the ROC curve there, which is read off between two false-
    positive rates around `rate` on normal quantiles, where curves are nearly straight. NaN where a class has no weight.
    """
    cut = _cut(ranked, 0, rate * (1 + _ROUNDING), strictly=True)
    positives = cut.positives
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(cut.negatives > 0, cut.before[:, 1] / positives, np.nan)
        reached = cut.before[:, 0] / cut.negatives
        slope = _curve_slope(ranked, cut, along=0, share=rate)
        step = _steps(
            negative=(slope * reached / cut.negatives, slope * (reached - 1) / cut.negatives),
            positive=(-value / positives, (1 - value) / positives),
        )
    return _stepped(ranked, cut, value, step, part=np.zeros(ranked.n_groups))


def precision_at_recall(ranked: RankedRows, recall: float) -> Linearised:
    """Precision at the highest threshold that finds at least the share `recall` of the positives, in each group.

    The threshold moves with the positives: a positive counts also by the slope of the ROC curve there. NaN where no positive has weight.
    """
    cut = _cut(ranked, 1, recall * (1 - _ROUNDING), strictly=False)
    false, true = cut.after[:, 0], cut.after[:, 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(cut.positives > 0, true / (true + false), np.nan)
        reached = true / cut.positives
        # d precision = p(1−p) (d log true − d log false), written so that no false positive is no division by 0.
        gained, lost = value * (1 - value), value / (true + false)
        moved = lost * cut.negatives * _curve_slope(ranked, cut, along=1, share=recall)
        step = _steps(
            negative=(np.zeros(ranked.n_groups), -lost),
            positive=((gained - moved * reached) / cut.positives, (gained + moved * (1 - reached)) / cut.positives),
        )
    return _stepped(ranked, cut, value, step, part=np.ones(ranked.n_groups))


def lift(ranked: RankedRows, share: float) -> Linearised:
    """How many times likelier than any row a row of the highest-scored `share` is to be positive, in each group.

    Where equal scores straddle the edge, their positives count by the part of them that is within. The edge moves with every row, and the
    share of positives near it says what that does. NaN where no positive has weight.
    """
    cut = _cut(ranked, 2, share, strictly=False)
    weight = cut.positives + cut.negatives
    run = cut.after - cut.before
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.clip((share * weight - cut.before.sum(axis=1)) / run.sum(axis=1), 0.0, 1.0)
        part[run.sum(axis=1) == 0] = 0.0
        recall = (cut.before[:, 1] + part * run[:, 1]) / cut.positives
        value = np.where(cut.positives > 0, recall / share, np.nan)
        near = _positives_near(ranked, cut, share)
        step = _steps(
            negative=(near, near * (1 - 1 / share)),
            positive=(near - value, near + (1 - near) / share - value),
        )
    return _stepped(ranked, cut, value, step / cut.positives[:, None, None], part)


def roc_auc_by_group(y: Array, score: Array, group: IntArray, n_groups: int, weight: Array | None = None) -> Linearised:
    """`roc_auc` of each group of rows; group: (n,) codes 0 … n_groups − 1."""
    return roc_auc(rank_rows(y, score, weight).by_group(group, n_groups))


def average_precision_by_group(y: Array, score: Array, group: IntArray, n_groups: int, weight: Array | None = None) -> Linearised:
    """`average_precision` of each group of rows."""
    return average_precision(rank_rows(y, score, weight).by_group(group, n_groups))


def recall_at_false_positive_rate_by_group(
    y: Array, score: Array, group: IntArray, n_groups: int, rate: float, weight: Array | None = None
) -> Linearised:
    """`recall_at_false_positive_rate` of each group of rows."""
    return recall_at_false_positive_rate(rank_rows(y, score, weight).by_group(group, n_groups), rate)


def precision_at_recall_by_group(
    y: Array, score: Array, group: IntArray, n_groups: int, recall: float, weight: Array | None = None
) -> Linearised:
    """`precision_at_recall` of each group of rows."""
    return precision_at_recall(rank_rows(y, score, weight).by_group(group, n_groups), recall)


def rank_rows(y: Array, score: Array, weight: Array | None = None) -> RankedRows:
    """All rows as one group. Raises NotFinite for NaN scores, outcomes other than 0 and 1, weights that are NaN, infinite or negative.

    y, score, weight: (n,). Infinite scores rank like any other.
    """
    y, score = _checked(y, score)
    require_weights(weight)
    # Equal scores are one run whatever their order, so a sum of counts needs no stable sort; a sum of weights does, to the last bit.
    order = np.argsort(-score, kind=None if weight is None else "stable").astype(np.int64, copy=False)
    falling = score[order]
    key = np.zeros(len(order), dtype=np.int32)
    np.cumsum(falling[1:] != falling[:-1], out=key[1:])
    key *= 2
    key += y[order] == 1
    ordered = np.zeros(0) if weight is None else np.ascontiguousarray(weight, dtype=np.float64)[order]
    return RankedRows(row=order, key=key, weight=ordered, start=np.array([0, len(order)]))


def rank_anonymous_rows(y: Array, score: Array) -> RankedRows:
    """Rows of no weight and no unit, of which only the figure and its spread are asked: sorted class by class, a third of the time.

    Row numbers are places in the ranking, so influence comes by falling score, not in the order of the rows. Raises as `rank_rows`.
    """
    from gonogo.stats.kernels_influence import merge_classes

    y, score = _checked(y, score)
    is_positive = y == 1
    key = merge_classes(np.sort(score[is_positive]), np.sort(score[~is_positive]))
    return RankedRows(row=np.arange(len(key)), key=key, weight=np.zeros(0), start=np.array([0, len(key)]))


def interval_of_influence(
    value: float, errors_by_unit: Array, n_units: int, *, level: float = 0.95, scale: Scale = PLAIN, source: str = "influence"
) -> Interval:
    """value ± t · √(G/(G−1) · Σ e²), made on a scale.

    errors_by_unit: the influence of each unit's rows, summed; units that have none may be left out or be 0. n_units: G, those with weight.
    The t has the degrees of freedom that the errors' own size allows, at most G − 1: where 50 units of 50,000 carry all the error, their
    sum of squares is no better known than that of 50. Source: Satterthwaite (1946), Biometrics Bulletin 2, with the variance of Σ e² from
    Σ e⁴, as Lipsitz, Ibrahim & Parzen (1999), Statistics in Medicine 18.
    Raises TooFewUnits below 2 units, NoSpread where no unit sways the figure or it lies at an end of its scale.
    """
    if n_units < 2:
        raise TooFewUnits(f"{n_units} unit with weight: two are needed to see any spread")
    squares = float(np.sum(errors_by_unit * errors_by_unit))
    error = math.sqrt(n_units / (n_units - 1) * squares)
    if error <= _ROUNDING * max(abs(value), 1e-3) or not scale.low < value < scale.high:
        raise NoSpread("every unit gave the same: how far the truth may be is unknown")
    half = t_quantile((1 + level) / 2, degrees_of_freedom(errors_by_unit, n_units)) * error * scale.slope(value)
    centre = scale.there(value)
    return Interval(low=scale.back(centre - half), high=scale.back(centre + half), level=level, method=f"{source} by unit{scale.words}, t")


def degrees_of_freedom(errors_by_unit: Array, n_units: int) -> float:
    """How many of n_units the sum of squared errors is worth: 2 (Σe²)² / (Σe⁴ − (Σe²)²/G), at most G − 1; G for normal errors."""
    squared = errors_by_unit * errors_by_unit
    squares, fourths = float(np.sum(squared)), float(np.sum(squared * squared))
    spread = fourths - squares * squares / n_units
    limit = float(n_units - 1)
    if spread <= 2 * squares * squares / limit:
        return limit
    return float(max(1.0, round(2 * squares * squares / spread)))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Cut:
    """Where a threshold comes to lie in each group."""

    negatives: Array  # (n_groups,) weight
    positives: Array  # (n_groups,) weight
    rows: Array  # (n_groups, 2) negatives and positives, counted
    before: Array  # (n_groups, 2) weight of negatives and positives above the crossing run of equal scores
    after: Array  # (n_groups, 2) with that run
    place: IntArray  # (n_groups, 2) where that run begins and ends


def _whole(ranked: RankedRows, kernel: Callable[..., None]) -> Linearised:
    value, influence = np.empty(ranked.n_groups), np.zeros(len(ranked.row))
    kernel(ranked.row, ranked.key, ranked.start, ranked.weight, value, influence)
    return Linearised(value=value, influence=influence)


def _stepped(ranked: RankedRows, cut: _Cut, value: Array, step: Array, part: Array) -> Linearised:
    from gonogo.stats.kernels_influence import spread_steps

    influence = np.zeros(len(ranked.row))
    step = np.where(np.isfinite(value)[:, None, None], step, 0.0)
    spread_steps(ranked.row, ranked.key, ranked.start, ranked.weight, cut.place, part, step, influence)
    return Linearised(value=value, influence=influence)


def _steps(*, negative: tuple[Array, Array], positive: tuple[Array, Array]) -> Array:
    """(n_groups, 2, 2): class, then not called and called."""
    return np.stack([np.stack(negative, axis=-1), np.stack(positive, axis=-1)], axis=1)


def _cut(ranked: RankedRows, axis: int, share: float, *, strictly: bool) -> _Cut:
    total, before, after, place = _crossings(ranked, axis, np.full((ranked.n_groups, 1), share), strictly=strictly)
    return _Cut(negatives=total[:, 0], positives=total[:, 1], rows=total[:, 2:], before=before[:, 0], after=after[:, 0], place=place[:, 0])


def _crossings(ranked: RankedRows, axis: int, share: Array, *, strictly: bool) -> tuple[Array, Array, Array, IntArray]:
    from gonogo.stats.kernels_influence import crossings

    n_groups, k = share.shape
    total, before, after = np.empty((n_groups, 4)), np.empty((n_groups, k, 2)), np.empty((n_groups, k, 2))
    place = np.empty((n_groups, k, 2), dtype=np.int64)
    crossings(ranked.key, ranked.start, ranked.weight, axis, share, strictly, total, before, after, place)
    return total, before, after, place


def _curve_slope(ranked: RankedRows, cut: _Cut, *, along: int, share: float) -> Array:
    """d other / d share of the ROC curve at `share` of the class `along` (0 negatives, 1 positives), in each group.

    On normal quantiles the ROC curve of any two classes is nearly straight (Swets 1986, Psychological Bulletin 99), so its slope is read
    off a window there, as wide as n^(−1/5) of the rarer class, and brought back.
    """
    rarer = np.maximum(cut.rows.min(axis=1), 1)
    at = _normal_quantiles(np.array([share]))
    ends = at + rarer[:, None] ** -0.2 * np.array([-1.0, 0.0, 1.0])
    # A share of none or all is at least half a row short of it: its normal quantile is then finite.
    least = 0.5 / np.maximum(cut.rows[:, 1 - along, None], 1)
    whole = np.stack([cut.negatives, cut.positives], axis=1)[:, 1 - along, None]
    shares = np.clip(_read(ranked, along, _normal_cdfs(ends))[:, :, 1 - along] / whole, least, 1 - least)
    there = _normal_quantiles(shares)
    straight = (there[:, 2] - there[:, 0]) / (ends[:, 2] - ends[:, 0])
    slope: Array = straight * np.exp((at * at - there[:, 1] ** 2) / 2)
    return np.where(np.isfinite(slope), slope, 0.0)


def _positives_near(ranked: RankedRows, cut: _Cut, share: float) -> Array:
    """The share of positives among the rows near the highest-scored `share`, in each group."""
    rarer = np.maximum(cut.rows.min(axis=1), 1)
    ends = _normal_cdfs(_normal_quantiles(np.array([share])) + rarer[:, None] ** -0.2 * np.array([-1.0, 1.0]))
    called = _read(ranked, 2, ends)
    near = called[:, 1] - called[:, 0]
    return np.where(near.sum(axis=1) > 0, near[:, 1] / near.sum(axis=1), 0.0)


def _read(ranked: RankedRows, axis: int, share: Array) -> Array:
    """(n_groups, k, 2): weight of negatives and positives called where the axis reaches each share, equal scores by their part."""
    total, before, after, _ = _crossings(ranked, axis, share, strictly=False)
    whole = total[:, :2].sum(axis=1) if axis == 2 else total[:, axis]
    low, high = (called.sum(axis=2) if axis == 2 else called[:, :, axis] for called in (before, after))
    part = np.divide(share * whole[:, None] - low, high - low, out=np.zeros_like(low), where=high > low)
    return before + np.clip(part, 0.0, 1.0)[:, :, None] * (after - before)


def _normal_quantiles(probability: Array) -> Array:
    return np.array([normal_quantile(p) for p in probability.ravel().tolist()]).reshape(probability.shape)


def _normal_cdfs(value: Array) -> Array:
    return np.array([normal_cdf(x) for x in value.ravel().tolist()]).reshape(value.shape)


def _checked(y: Array, score: Array) -> tuple[Array, Array]:
    y, score = np.asarray(y, dtype=np.float64), np.asarray(score, dtype=np.float64)
    if y.shape != score.shape or y.ndim != 1:
        raise ValueError(f"outcomes {y.shape} and scores {score.shape} are not the same rows")
    require_binary(y)
    if np.isnan(score).any():
        raise NotFinite("a score is NaN")
    return y, score
