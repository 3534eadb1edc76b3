"""How large is a share at each of many thresholds, and how sure is that?

What `cells.ratio_of_cells` says of one threshold, for a whole row of them: every row is added up once, and the thresholds go through the
formulas together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.scientific import special

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gonogo.stats.falling import Falling
    from gonogo.types.evidence import Array, IntArray

    Mask = NDArray[np.bool_]

_AT_ONCE = 4_000_000  # sums of a unit at a threshold that are held in memory
# Whose calls are counted, and among whom.
_COUNTED = {
    "precision": ("positive", "called"),
    "recall": ("positive", "positive"),
    "false_positive_rate": ("negative", "negative"),
    "alert_rate": ("row", "row"),
}
_ROUNDING = 1e-12  # as in `clustered`: a spread below this share of its size is rounding


@dataclass(frozen=True, kw_only=True, slots=True)
class Shares:
    """A share at each of m thresholds; NaN where it does not exist or too few units stand behind it."""

    value: Array  # (m,)
    low: Array
    high: Array
    n_units: IntArray  # behind each
    method: str = "Wilson on the effective sample size, t(G-1)"


def shares_along(rows: Falling, numbers: IntArray, figure: str, *, level: float) -> Shares:
    """precision, recall, false_positive_rate or alert_rate at those thresholds (numbers rising), each with Wilson's interval by unit."""
    member, among = _COUNTED[figure]
    ends = rows.ends[numbers]
    above = _sums(rows, ends, member)
    below = _sums(rows, ends, "row") if among == "called" else _sums(rows, np.array([len(rows.y)]), among)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = above.weight / below.weight
        # e of a row that counts is (1 − R)/D, of the others −R/D.
        independent = ((1 - value) ** 2 * above.squared + value**2 * (below.squared - above.squared)) / below.weight**2
        if rows.unit is None:
            squares, n_units = independent, np.broadcast_to(below.rows, value.shape)
        else:
            of_all = None if among == "called" else _members(rows, among)
            squares, n_units = _between_units(rows, ends, _members(rows, member), of_all, value, below.weight)
        spread = squares * n_units / (n_units - 1)
        return _wilson(value, spread, independent, n_units, below.weight**2 / below.squared, level)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sums:
    weight: Array
    squared: Array
    rows: IntArray


def _sums(rows: Falling, ends: IntArray, member: str) -> _Sums:
    """Over the first `ends` rows, of those that are members."""
    if rows.weight is None:
        hits = rows.hits[ends - 1]
        count = {"positive": hits, "negative": ends - hits, "row": ends}[member]
        return _Sums(weight=count.astype(np.float64), squared=count.astype(np.float64), rows=count)
    counts = _members(rows, member)
    weight = np.where(counts, rows.weight, 0.0)
    rows_then = np.cumsum(counts, dtype=np.int64)[ends - 1]
    return _Sums(weight=np.cumsum(weight)[ends - 1], squared=np.cumsum(weight * weight)[ends - 1], rows=rows_then)


def _members(rows: Falling, member: str) -> Mask:
    if member == "row":
        return np.ones(len(rows.y), dtype=np.bool_)
    return rows.y > 0 if member == "positive" else rows.y <= 0


def _between_units(rows: Falling, ends: IntArray, member: Mask, among: Mask | None, value: Array, total: Array) -> tuple[Array, IntArray]:
    """Σ over units of the squared error, and units with weight, at each threshold."""
    assert rows.unit is not None
    n_units, m = rows.n_units, len(ends)
    w = np.ones(len(rows.y)) if rows.weight is None else rows.weight
    fixed = None if among is None else np.bincount(rows.unit, weights=w * among, minlength=n_units)
    total = np.broadcast_to(total, (m,))
    squares, seen = np.empty(m), np.empty(m, dtype=np.int64)
    above_so_far, below_so_far, done = np.zeros(n_units), np.zeros(n_units), 0
    step = max(1, _AT_ONCE // n_units)
    for a in range(0, m, step):
        b = min(m, a + step)
        here = slice(done, int(ends[b - 1]))
        cell = np.searchsorted(ends[a:b], np.arange(here.start, here.stop), side="right") * n_units + rows.unit[here]
        above = _running(cell, w[here] * member[here], b - a, above_so_far)
        below = _running(cell, w[here], b - a, below_so_far) if fixed is None else fixed[None, :]
        errors = (above - value[a:b, None] * below) / total[a:b, None]
        squares[a:b] = np.sum(errors * errors, axis=1)
        seen[a:b] = np.sum(below > 0, axis=1)
        above_so_far, below_so_far, done = above[-1], below[-1], here.stop
    return squares, seen


def _running(cell: IntArray, weight: Array, n: int, before: Array) -> Array:
    """(n, units) sums of the weights up to each threshold, on top of what was before."""
    table = np.bincount(cell, weights=weight, minlength=n * len(before)).reshape(n, len(before)).astype(np.float64, copy=False)
    table[0] += before
    return np.asarray(np.cumsum(table, axis=0))


def _wilson(value: Array, spread: Array, independent: Array, n_units: IntArray, kish: Array, level: float) -> Shares:
    """`clustered.wilson` of many shares; the effective size is at most that of independent rows."""
    stdtrit = special().stdtrit

    variance = value * (1 - value)
    within = variance > 0
    most = np.where(within, variance / independent, kish)
    counted = np.where(within, n_units, np.maximum(2, np.minimum(n_units, np.floor(most))))
    seen = within & (spread > _ROUNDING * variance / most)
    n = np.where(seen, np.minimum(variance / spread, most), counted)
    t = stdtrit(np.maximum(counted - 1, 1), (1 + level) / 2)
    centre = (value + t * t / (2 * n)) / (1 + t * t / n)
    half = t / (1 + t * t / n) * np.sqrt(variance / n + t * t / (4 * n * n))
    known = n_units >= 2
    low = np.where(known, np.maximum(0.0, np.minimum(centre - half, value)), np.nan)
    high = np.where(known, np.minimum(1.0, np.maximum(centre + half, value)), np.nan)
    return Shares(value=np.where(known, value, np.nan), low=low, high=high, n_units=n_units)
