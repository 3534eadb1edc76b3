"""How does a figure move when the units are drawn again, thousands of times?

Draw b gives unit u a Poisson(1) weight that is a function of (seed, b, u) alone. So any figure may be asked under the same draws, which
makes differences paired; any number of threads and any chunking give the same bits; and nothing that grows with rows × draws is held.
Source: Efron (1979), Annals of Statistics 7; independent Poisson weights: Hanley & MacGibbon (2006), Computer Methods and Programs in
Biomedicine 83; Chamandy et al. (2012), Estimating uncertainty for massive data streams.

The area under the ROC curve and average precision are found together in a compiled loop over presorted rows. Intervals are the expanded
percentile intervals of `resampling`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.influence import RankedRows
from gonogo.stats.refusals import Undefined
from gonogo.stats.resampling import percentile_interval
from gonogo.stats.twins_bootstrap import END, START, START_TIED, TIE, drawn_pair

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from gonogo.types.evidence import Array, IntArray, Interval

N_DRAWS = 2000
_BLOCK = 16  # draws that the compiled loop takes side by side
_MAY_LACK = 0.05  # the share of draws that may leave a figure undefined before it is refused


@dataclass(frozen=True, kw_only=True, slots=True)
class RankedDraws:
    """The figures of a ranking under each draw; NaN where a draw left a class without weight."""

    roc_auc: Array  # (n_draws,)
    average_precision: Array  # (n_draws,)

    def __sub__(self, other: RankedDraws) -> RankedDraws:
        return RankedDraws(roc_auc=self.roc_auc - other.roc_auc, average_precision=self.average_precision - other.average_precision)


def bootstrap(
    figure: Callable[[Array], float | None],
    n_units: int,
    *,
    unit: ArrayLike | None = None,
    n_draws: int = N_DRAWS,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """The interval of any figure of row weights.

    figure: takes (n,) float64 weights of the rows and gives the figure, or None where it does not exist; unit: (n,) codes 0 … n_units − 1
    of the rows, None where every row is a unit. Raises Undefined where more than 5 % of the draws leave no figure, and as
    `percentile_interval`.

    >>> waits = np.arange(30.0)
    >>> interval = bootstrap(lambda weight: float(np.average(waits, weights=weight)), 30)
    >>> interval.low < 14.5 < interval.high
    True
    """
    codes = None if unit is None else np.asarray(unit)
    values = np.full(n_draws, np.nan)
    for b in range(n_draws):
        drawn = draw_weights(n_units, 1, seed, first=b)[0].astype(np.float64)
        found = figure(drawn if codes is None else drawn[codes])
        values[b] = np.nan if found is None else found
    return interval_of_draws(values, n_units=n_units, level=level)


def interval_of_draws(values: Array, *, n_units: int, level: float = 0.95) -> Interval:
    """The expanded percentile interval of the draws that have the figure. Raises Undefined where more than 5 % have none."""
    known = values[np.isfinite(values)]
    if len(known) < (1 - _MAY_LACK) * len(values):
        raise Undefined(f"{len(values) - len(known):,} of {len(values):,} draws of the units leave no figure: too few units carry it")
    return percentile_interval(known, n_units=n_units, level=level)


def draws_of_ranking(
    ranked: RankedRows, unit: IntArray | None = None, *, n_draws: int = N_DRAWS, seed: int = 0, threads: int | None = None
) -> RankedDraws:
    """ROC-AUC and average precision of one group of rows under each draw.

    ranked: all rows, as `influence.rank_rows` gives them; unit: (n,) codes ≥ 0 in row order, None where every row is a unit; threads: None
    for as many as there are cores. Each draw equals the figure of the rows with `draw_weights(...)[b][unit]` times their own weights.

    >>> from gonogo.stats.influence import rank_rows
    >>> ranked = rank_rows(np.array([0.0, 0, 1, 1] * 9), np.array([0.1, 0.4, 0.35, 0.8] * 9))
    >>> draws_of_ranking(ranked, n_draws=3).roc_auc.shape
    (3,)
    """
    from gonogo.stats.kernels_bootstrap import score_draws

    places = Readings.of(ranked)
    who = (places.row if unit is None else np.asarray(unit)[places.row]).astype(np.uint32)
    n_blocks = -(-n_draws // _BLOCK)
    keys = draw_keys(seed, 0, n_blocks * _BLOCK // 2)
    auc, precision = np.empty(n_blocks * _BLOCK), np.empty(n_blocks * _BLOCK)

    def score(first: int, last: int) -> None:
        pairs, draws = slice(first * _BLOCK // 2, last * _BLOCK // 2), slice(first * _BLOCK, last * _BLOCK)
        score_draws(who, places.weight if places.weight.size else None, places.at, places.kind, keys[pairs], auc[draws], precision[draws])

    _over_threads(score, n_blocks, threads)
    return RankedDraws(roc_auc=auc[:n_draws], average_precision=precision[:n_draws])


def paired_draws_of_rankings(
    ours: RankedRows,
    theirs: RankedRows,
    unit: IntArray | None = None,
    *,
    n_draws: int = N_DRAWS,
    seed: int = 0,
    threads: int | None = None,
) -> RankedDraws:
    """The differences of ours minus theirs, the same rows ranked by two scores, under the same draws. Arguments as `draws_of_ranking`."""
    if len(ours.row) != len(theirs.row):
        raise ValueError(f"{len(ours.row):,} rows of ours and {len(theirs.row):,} of theirs are not the same rows")
    ours_drawn = draws_of_ranking(ours, unit, n_draws=n_draws, seed=seed, threads=threads)
    return ours_drawn - draws_of_ranking(theirs, unit, n_draws=n_draws, seed=seed, threads=threads)


def draw_weights(n_units: int, n_draws: int, seed: int = 0, *, first: int = 0) -> NDArray[np.uint8]:
    """(n_draws, n_units): how often draws first, first + 1, … drew each unit.

    >>> draw_weights(5, 2, seed=1)[1].tolist() == draw_weights(9, 1, seed=1, first=1)[0, :5].tolist()
    True
    """
    who = np.arange(n_units, dtype=np.uint32)
    weights = np.empty((n_draws, n_units), dtype=np.uint8)
    for pair in range(first // 2, -(-(first + n_draws) // 2)):
        for half, drawn in enumerate(drawn_pair(who, draw_keys(seed, pair, 1)[0])):
            if 0 <= 2 * pair + half - first < n_draws:
                weights[2 * pair + half - first] = drawn
    return weights


def draw_keys(seed: int, first_pair: int, n_pairs: int) -> NDArray[np.uint32]:
    """(n_pairs, 2): two words for each two draws, by SplitMix64 (Steele, Lea & Flood 2014, OOPSLA) of the seed and the pair's number."""
    mixed = _split_mix(np.array([seed % 2**64], dtype=np.uint64))
    words = np.add(mixed, np.arange(first_pair, first_pair + n_pairs, dtype=np.uint64), dtype=np.uint64)
    return _split_mix(words).astype("<u8").view("<u4").reshape(n_pairs, 2).astype(np.uint32)


@dataclass(frozen=True, kw_only=True, slots=True)
class Readings:
    """Rows by falling score, negatives before positives of the same score, and where their running weight must be read.

    For every score that positives have: where the negatives of that score begin (only where there are any), where its positives begin, and
    where they end. What lies between tells positives, negatives and ties of every draw; negatives elsewhere need no reading.
    """

    row: IntArray  # (n,)
    weight: Array  # (n,) or empty
    at: IntArray  # (k,) rising places 0 … n
    kind: NDArray[np.uint8]  # (k,) TIE, START_TIED, START, END

    @classmethod
    def of(cls, ranked: RankedRows) -> Readings:
        """The readings of one group of rows."""
        if ranked.n_groups != 1:
            raise ValueError(f"{ranked.n_groups} groups: draws are scored a group at a time")
        row, key, weight = ranked.row, ranked.key, ranked.weight
        if (key[1:] < key[:-1]).any():
            order = np.argsort(key, kind="stable")
            row, key, weight = row[order], key[order], weight[order] if weight.size else weight
        changes = np.flatnonzero(np.diff(key, prepend=-1))
        ends = np.append(changes[1:], len(key))
        positive = np.flatnonzero(key[changes] & 1)
        tied = (positive > 0) & (key[changes[positive - 1]] == key[changes[positive]] - 1)
        at = np.stack([changes[positive - 1], changes[positive], ends[positive]], axis=1)
        kind = np.stack([np.full(len(positive), TIE), np.where(tied, START_TIED, START), np.full(len(positive), END)], axis=1)
        wanted = np.stack([tied, np.ones_like(tied), np.ones_like(tied)], axis=1)
        return cls(row=row, weight=weight, at=at[wanted].astype(np.int64), kind=kind[wanted].astype(np.uint8))


def _over_threads(score: Callable[[int, int], None], n_blocks: int, threads: int | None) -> None:
    n_threads = max(1, min(n_blocks, threads or os.cpu_count() or 1))
    if n_threads == 1:
        return score(0, n_blocks)
    edges = [n_blocks * i // n_threads for i in range(n_threads + 1)]
    with ThreadPoolExecutor(n_threads) as pool:
        for done in [pool.submit(score, first, last) for first, last in pairwise(edges)]:
            done.result()
    return None


def _split_mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (state + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
