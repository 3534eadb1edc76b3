"""How good are ranked lists, and how sure is that?

One list is what one query (a user, a search, a session) was shown; each figure is the mean over lists. y and score come in two forms:

- (n_lists, n_items): each row is a list; weight and unit, where given, have one entry per list.
- (n,) with `query`, (n,) labels that say whose list a row belongs to; weight and unit have one entry per row, the same within a list.
  Without `query` the rows of one `unit` are one list.

The list is the independent unit where none is given. `k` counts places from the top, None takes the whole list. `seed` has no effect: all
is in closed form. `n_rows` of an estimate counts the lists, `n_units` the units that entered the mean.

Ties. Equal scores have no order, so each figure is its expected value over all orders of the tied items. For a run of m tied items that
begins after p items, holds r relevant ones and has c relevant ones before it (McSherry & Najork 2008, Computing information retrieval
performance measures efficiently in the presence of tied scores, ECIR):

    discounted gain     mean gain of the run · Σ 1/log₂(t + 1) over its places t = p+1 … p+m
    average precision   Σ r/m · (c + 1 + (t − p − 1)(r − 1)/(m − 1)) / t
    reciprocal rank     Σ C(m − j, r − 1)/C(m, r) / (p + j) over j = 1 … m − r + 1, for the first run with r > 0
    hits in the top k   r · s/m with s = the run's places within k; none at all with C(m − r, s)/C(m, s)

Lists without a relevant item say nothing of an order: they are left out of the mean, and the interval's method counts them. `empty=0` lets
each of them count 0 instead, as scikit-learn's ndcg_score does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.clustered import UnitSums, ratio_of_unit_sums, sums_by_unit
from gonogo.stats.estimates import as_floats, estimated, require_level, require_weights, unit_codes
from gonogo.stats.figure import Figure
from gonogo.stats.influence import LOGIT, interval_of_influence
from gonogo.stats.refusals import NotFinite, TooFewUnits, Undefined
from gonogo.types.evidence import UnitScores

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from gonogo.types.evidence import Array, Estimate, IntArray

_AT_ONCE = 65_536  # rows of whole lists worked on together; half a megabyte a column stays in the cache


def ndcg(
    y: ArrayLike,
    score: ArrayLike,
    *,
    k: int | None = None,
    query: ArrayLike | None = None,
    empty: float | None = None,
    weight: ArrayLike | None = None,
    unit: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """Normalised discounted cumulative gain: the gain of the first k places, each worth 1/log₂(place + 1), as a share of the best order's.

    y: gains ≥ 0, which count as they are (for exponential gains give 2**grade − 1). Refuses negative gains, for which no best order bounds
    the share (scikit-learn gave 396), NaN, and fewer than two lists. Source: Järvelin & Kekäläinen (2002), ACM TOIS 20(4).

    >>> round(ndcg([[3, 0, 1], [0, 2, 0]], [[0.9, 0.5, 0.1], [0.2, 0.8, 0.3]]).value, 4)
    0.982
    """
    return _mean_over_lists("ndcg", _discounted_gains, _require_gains, y, score, k, query, empty, weight, unit, level)


def mean_average_precision(
    y: ArrayLike,
    score: ArrayLike,
    *,
    k: int | None = None,
    query: ArrayLike | None = None,
    empty: float | None = None,
    weight: ArrayLike | None = None,
    unit: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """Mean over lists of the precision at each relevant item among the first k, added up and divided by min(relevant items, k).

    y: 0 or 1. Refuses other outcomes (say which grades are relevant: y >= 3), NaN, and fewer than two lists.

    >>> round(mean_average_precision([[1, 0, 1], [0, 1, 0]], [[0.9, 0.5, 0.1], [0.2, 0.8, 0.3]]).value, 4)
    0.9167
    """
    return _mean_over_lists(
        "mean_average_precision", _average_precisions, _require_yes_or_no, y, score, k, query, empty, weight, unit, level
    )


def mean_reciprocal_rank(
    y: ArrayLike,
    score: ArrayLike,
    *,
    k: int | None = None,
    query: ArrayLike | None = None,
    empty: float | None = None,
    weight: ArrayLike | None = None,
    unit: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """Mean over lists of 1/place of the first relevant item, 0 where it lies beyond k. y: 0 or 1. Refuses as `mean_average_precision`.

    >>> mean_reciprocal_rank([[1, 0, 1], [0, 0, 1]], [[0.9, 0.5, 0.1], [0.2, 0.8, 0.3]]).value
    0.75
    """
    return _mean_over_lists("mean_reciprocal_rank", _reciprocal_ranks, _require_yes_or_no, y, score, k, query, empty, weight, unit, level)


def recall_at_k(
    y: ArrayLike,
    score: ArrayLike,
    *,
    k: int = 10,
    query: ArrayLike | None = None,
    empty: float | None = None,
    weight: ArrayLike | None = None,
    unit: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """Mean over lists of the share of all relevant items that stand within the first k. y: 0 or 1. Refuses as `mean_average_precision`.

    >>> recall_at_k([[1, 0, 1], [0, 1, 0]], [[0.9, 0.5, 0.1], [0.2, 0.8, 0.3]], k=1).value
    0.75
    """
    return _mean_over_lists("recall_at_k", _recalls, _require_yes_or_no, y, score, k, query, empty, weight, unit, level)


def hit_rate(
    y: ArrayLike,
    score: ArrayLike,
    *,
    k: int = 10,
    query: ArrayLike | None = None,
    empty: float | None = None,
    weight: ArrayLike | None = None,
    unit: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """Share of lists with a relevant item within the first k. y: 0 or 1. Refuses as `mean_average_precision`.

    >>> hit_rate([[1, 0, 1], [0, 0, 1]], [[0.9, 0.5, 0.1], [0.2, 0.8, 0.3]], k=1).value
    0.5
    """
    return _mean_over_lists("hit_rate", _hits, _require_yes_or_no, y, score, k, query, empty, weight, unit, level)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Lists:
    """Rows grouped by list, outcomes and scores still in the order in which they came within it."""

    y: Array  # (n,)
    score: Array  # (n,)
    start: IntArray  # (n_lists,) first row of each list
    size: IntArray  # (n_lists,)
    weight: Array | None  # (n_lists,)
    unit: IntArray  # (n_lists,) codes
    n_units: int


@dataclass(frozen=True, kw_only=True, slots=True)
class _Runs:
    """Runs of equal scores in falling order, list after list; the words of the module's formulas."""

    of: IntArray  # (runs,) its list
    p: IntArray  # (runs,) items of the list before it
    m: IntArray  # (runs,) items in it
    r: Array  # (runs,) gain in it: relevant items, where outcomes are 0 or 1
    total: Array  # (n_lists,) gain of the whole list

    def add(self, value: Array) -> Array:
        """(n_lists,) sums of what each run gives."""
        return np.bincount(self.of, weights=value, minlength=len(self.total)).astype(np.float64)

    @property
    def c(self) -> Array:
        """(runs,) relevant items of the list before the run; whole numbers, so that the long running sum is exact."""
        before = np.cumsum(self.r) - self.r
        return before - before[np.flatnonzero(self.p == 0)][self.of]


def _mean_over_lists(
    metric: str,
    figures: Callable[[_Lists, _Runs, int], Array],
    require: Callable[[Array], None],
    y: ArrayLike,
    score: ArrayLike,
    k: int | None,
    query: ArrayLike | None,
    empty: float | None,
    weight: ArrayLike | None,
    unit: ArrayLike | None,
    level: float,
) -> Estimate:
    _require_call(k, empty, level)
    lists = _lists_of(y, score, query, weight, unit)

    def figure() -> Figure:
        require(lists.y)
        require_weights(lists.weight)
        if not np.isfinite(lists.score).all():
            raise NotFinite("a score is NaN or infinite")
        if len(lists.y) == 0:
            raise TooFewUnits("no rows: nothing was ranked")
        return _mean(lists, _by_list(lists, figures, None if k is None else int(k)), empty, level)

    return estimated(metric, figure, n_rows=len(lists.size), n_units=lists.n_units, better="higher")


def _by_list(lists: _Lists, figures: Callable[[_Lists, _Runs, int], Array], k: int | None) -> Array:
    """(n_lists,) each list's figure, NaN where nothing in it is relevant."""
    values = []
    for some in _in_pieces(lists):
        runs = _runs_of(some)
        values.append(np.where(runs.total > 0, figures(some, runs, len(lists.y) if k is None else k), np.nan))
    return np.concatenate(values)


def _in_pieces(lists: _Lists) -> Iterator[_Lists]:
    """Whole lists, about _AT_ONCE rows at a time: what a processor keeps near. No list's figure depends on where the cuts lie."""
    end = lists.start + lists.size
    first = 0
    while first < len(end):
        last = max(first + 1, int(np.searchsorted(end, lists.start[first] + _AT_ONCE, side="right")))
        rows = slice(int(lists.start[first]), int(end[last - 1]))
        here = slice(first, last)
        start = lists.start[here] - lists.start[first]
        yield replace(lists, y=lists.y[rows], score=lists.score[rows], start=start, size=lists.size[here])
        first = last


def _mean(lists: _Lists, values: Array, empty: float | None, level: float) -> Figure:
    """The mean of the lists' figures, with an interval clustered on the unit that stays within 0 and 1."""
    seen = ~np.isnan(values)
    weight = np.ones(len(values)) if lists.weight is None else lists.weight
    if empty is None:
        values, weight, unit = values[seen], weight[seen], lists.unit[seen]
        if not len(values):
            raise Undefined("no list has a relevant item: there is nothing to find")
    else:
        values, unit = np.where(seen, values, empty), lists.unit
    found = _share(sums_by_unit(UnitScores(unit, values * weight, weight)), level)
    lacking = len(seen) - int(seen.sum())
    if not lacking:
        return found
    said = "left out" if empty is None else f"count {empty:g}"
    method = f"{found.interval.method}; {lacking:,} of {len(seen):,} lists without a relevant item {said}"
    return replace(found, interval=replace(found.interval, method=method))


def _share(sums: UnitSums, level: float) -> Figure:
    """Σvalue / Σweight of values within 0 and 1: Wilson where each is one of the two, else t on the logit scale.

    A mean near 0 or 1 is skewed; on the logit scale far less so (simulated: 0.90 becomes 0.95). What a scale cannot mend is a mean that a
    few lists make: a reciprocal rank of 0.08 was held by 85 of 100 intervals of 20 lists, by 93 of 100 lists.
    """
    if sums.is_share:
        return ratio_of_unit_sums(sums, level=level)
    total = float(sums.weight.sum())
    if total <= 0:
        raise Undefined("no list has weight: the figure does not exist here")
    value = float(sums.value.sum()) / total
    errors, n_units = (sums.value - value * sums.weight) / total, int((sums.weight > 0).sum())
    interval = interval_of_influence(value, errors, n_units, level=level, scale=LOGIT, source="ratio of sums")
    return Figure(value=value, interval=interval, n_units=n_units, n_rows=sums.n_rows)


def _discounted_gains(lists: _Lists, runs: _Runs, k: int) -> Array:
    longest = int(lists.size.max())
    discount = np.where(np.arange(longest) < k, 1 / np.log2(np.arange(longest) + 2), 0.0)
    if len(runs.m) == len(lists.y):  # nothing is tied: each run is one place
        gained = np.add.reduceat(runs.r * discount[runs.p], lists.start)
    else:
        upto = np.r_[0.0, np.cumsum(discount)]
        gained = runs.add(runs.r / runs.m * (upto[runs.p + runs.m] - upto[runs.p]))
    best = _ideal_gains(lists, discount, k)
    return np.divide(gained, best, out=np.zeros_like(gained), where=best > 0)


def _ideal_gains(lists: _Lists, discount: Array, k: int) -> Array:
    """(n_lists,) the discounted gain of the order by falling gain."""
    size = int(lists.size[0])
    if (lists.size == size).all():
        best = np.sort(lists.y.reshape(-1, size), axis=1)[:, ::-1][:, :k]
        return np.asarray((best * discount[: best.shape[1]]).sum(axis=1), dtype=np.float64)
    order = _falling(lists.y, lists.start, lists.size)
    place = np.arange(len(order)) - np.repeat(lists.start, lists.size)
    return np.add.reduceat(lists.y[order] * discount[place], lists.start)


def _average_precisions(lists: _Lists, runs: _Runs, k: int) -> Array:
    here = np.flatnonzero((runs.r > 0) & (runs.p < k))
    p, m, r, c = runs.p[here], runs.m[here], runs.r[here], runs.c[here]
    run = np.repeat(np.arange(len(here)), m)  # one entry per item of a run that holds a relevant one
    j = np.arange(len(run)) - np.repeat(np.cumsum(m) - m, m)
    place = p[run] + j + 1
    found = c[run] + 1 + j * ((r - 1) / np.maximum(m - 1, 1))[run]
    precision = np.where(place <= k, (r / m)[run] * found / place, 0.0)
    added = np.bincount(runs.of[here][run], weights=precision, minlength=len(runs.total))
    return added / np.maximum(np.minimum(runs.total, k), 1)


def _reciprocal_ranks(lists: _Lists, runs: _Runs, k: int) -> Array:
    def expected(m: int, r: int, p: int) -> float:
        j = np.arange(1, m - r + 2)
        chance = np.cumprod(np.r_[r / m, (m - j - r + 1)[:-1] / (m - j)[:-1]])  # that the first relevant item is the run's j-th
        return float(np.sum(np.where(p + j <= k, chance / (p + j), 0.0)))

    return _by_first_relevant(runs, k, lambda p: 1 / (p + 1), expected)


def _hits(lists: _Lists, runs: _Runs, k: int) -> Array:
    def expected(m: int, r: int, p: int) -> float:
        drawn = np.arange(min(k - p, m))
        return float(1 - np.prod(np.maximum(m - r - drawn, 0) / (m - drawn)))

    return _by_first_relevant(runs, k, lambda p: np.ones(len(p)), expected)


def _by_first_relevant(runs: _Runs, k: int, sure: Callable[[IntArray], Array], mixed: Callable[[int, int, int], float]) -> Array:
    """(n_lists,) what the first run with a relevant item gives, 0 where it begins beyond k.

    sure: of p, where the whole run is relevant, as a single item is; mixed: of m, r and p elsewhere, asked once for all runs alike.
    """
    first = np.flatnonzero((runs.r > 0) & (runs.c == 0) & (runs.p < k))
    found = np.zeros(len(runs.total))
    found[runs.of[first]] = sure(runs.p[first])
    tied = first[runs.r[first] < runs.m[first]]
    alike = np.stack([runs.m[tied], runs.r[tied].astype(np.int64), runs.p[tied]], axis=1)
    kinds, kind = np.unique(alike, axis=0, return_inverse=True)
    found[runs.of[tied]] = np.array([mixed(int(m), int(r), int(p)) for m, r, p in kinds])[kind.ravel()]
    return found


def _recalls(lists: _Lists, runs: _Runs, k: int) -> Array:
    within = np.clip(k - runs.p, 0, runs.m)
    return runs.add(runs.r * within / runs.m) / np.maximum(runs.total, 1)


def _runs_of(lists: _Lists) -> _Runs:
    order = _falling(lists.score, lists.start, lists.size)
    score, gain = lists.score[order], lists.y[order]
    begins = np.empty(len(score), dtype=np.bool_)
    np.not_equal(score[1:], score[:-1], out=begins[1:])
    begins[lists.start] = True
    first = np.flatnonzero(begins)
    of = np.repeat(np.arange(len(lists.size)), np.add.reduceat(begins, lists.start, dtype=np.int64))
    return _Runs(
        of=of,
        p=first - lists.start[of],
        m=np.diff(first, append=len(score)),
        r=np.add.reduceat(gain, first),
        total=np.add.reduceat(gain, lists.start),
    )


def _falling(values: Array, start: IntArray, size: IntArray) -> IntArray:
    """(n,) row numbers, list after list, by falling value within each."""
    width = int(size[0])
    if (size == width).all():
        return (np.argsort(-values.reshape(-1, width), axis=1) + start[:, None]).ravel()
    return _stably_by(np.repeat(np.arange(len(size)), size), np.argsort(-values))


def _stably_by(code: IntArray, order: IntArray) -> IntArray:
    """`order` sorted by code, equal codes staying as they are: sixteen bits at a time, for which NumPy's stable sort is linear."""
    for bits in range(0, int(code.max(initial=0)).bit_length(), 16):
        digit = ((code[order] >> bits) & 0xFFFF).astype(np.uint16)
        order = order[np.argsort(digit, kind="stable")]
    return order


def _lists_of(y: ArrayLike, score: ArrayLike, query: ArrayLike | None, weight: ArrayLike | None, unit: ArrayLike | None) -> _Lists:
    outcomes, scores = np.asarray(y), np.asarray(score)
    if outcomes.shape != scores.shape:
        raise ValueError(f"y has the shape {outcomes.shape} and score {scores.shape}: they must be the same items")
    if outcomes.ndim == 2:
        return _lists_of_rows(outcomes, scores, query, weight, unit)
    return _lists_of_queries(as_floats(outcomes, "y"), as_floats(scores, "score"), query, weight, unit)


def _lists_of_rows(y: np.ndarray, score: np.ndarray, query: ArrayLike | None, weight: ArrayLike | None, unit: ArrayLike | None) -> _Lists:
    if query is not None:
        raise ValueError("query says which rows of one column are one list; each row of a table is a list already")
    n_lists, width = y.shape
    codes, n_units = unit_codes(unit, n_lists)
    return _Lists(
        y=as_floats(y.ravel(), "y"),
        score=as_floats(score.ravel(), "score"),
        start=np.arange(n_lists) * width,
        size=np.full(n_lists, width),
        weight=None if weight is None else _one_for_each(as_floats(weight, "weight"), n_lists),
        unit=np.arange(n_lists) if codes is None else codes,
        n_units=n_units,
    )


def _lists_of_queries(y: Array, score: Array, query: ArrayLike | None, weight: ArrayLike | None, unit: ArrayLike | None) -> _Lists:
    # With neither, all rows are one list, and one list shows no spread: the figure is refused.
    whose = query if query is not None else unit if unit is not None else np.zeros(len(y), dtype=np.int64)
    code, n_lists = unit_codes(whose, len(y))
    assert code is not None
    order = np.arange(len(y)) if (code[1:] >= code[:-1]).all() else _stably_by(code, np.arange(len(y)))
    size = np.bincount(code, minlength=n_lists)
    start = np.cumsum(size) - size
    units, n_units = unit_codes(unit, len(y)) if query is not None and unit is not None else (code, n_lists)
    assert units is not None
    weights = None if weight is None else _one_for_each(as_floats(weight, "weight"), len(y))
    return _Lists(
        y=y[order],
        score=score[order],
        start=start,
        size=size,
        weight=None if weights is None else _same_within(weights[order], start, size, "weight"),
        unit=_same_within(units[order], start, size, "unit"),
        n_units=n_units,
    )


def _one_for_each(weight: Array, n: int) -> Array:
    if len(weight) != n:
        raise ValueError(f"{len(weight):,} weights for {n:,} {'rows' if n else 'lists'}")
    return weight


def _same_within(values: np.ndarray, start: IntArray, size: IntArray, name: str) -> np.ndarray:
    each = values[start]
    if not np.array_equal(np.repeat(each, size), values, equal_nan=values.dtype.kind == "f"):
        raise ValueError(f"{name} differs within a list: one list has one {name}")
    return each


def _require_call(k: int | None, empty: float | None, level: float) -> None:
    require_level(level)
    if k is not None and not (k >= 1 and k % 1 == 0):
        raise ValueError(f"k is {k}: it counts places from the top, 1 or more")
    if empty is not None and not 0 <= empty <= 1:
        raise ValueError(f"empty is {empty}: what a list without a relevant item counts lies between 0 and 1")


def _require_gains(y: Array) -> None:
    if not np.isfinite(y).all():
        raise NotFinite("a gain is NaN or infinite")
    negative = int((y < 0).sum())
    if negative:
        raise NotFinite(f"{negative:,} gains are negative: no best order bounds the share then; shift or drop them")


def _require_yes_or_no(y: Array) -> None:
    if not ((y == 0) | (y == 1)).all():
        raise NotFinite("an outcome is neither 0 nor 1: say which grades count as relevant, e.g. y >= 3")
