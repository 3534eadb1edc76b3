"""Where is a model worse than elsewhere, without anybody having said where to look?

Who looks through thousands of slices always finds a bad one. So one half of the units says where to look, and the other half, which had no
say in it, says whether it is true: its p-values are honest, and so are its effects, which the search would have picked too large.

    half one    every value, and every conjunction of values of up to `depth` columns, is scored by how far its loss exceeds the mean
                (Σ e / √Σ e² over units). The worst is noted and its excess taken out of its rows, so that parts and wholes of it, which
                only repeat it, no longer stand out. Then the next.
    half two    each noted slice against all other rows: a t-test by unit. Benjamini and Yekutieli keep the expected share of false ones
                among those reported at `fdr`, however they overlap; their intervals hold as often among the reported ones.

Source: splitting: Cox (1975), Biometrika 62; Benjamini & Yekutieli (2001), Annals of Statistics 29; intervals of what was selected:
Benjamini & Yekutieli (2005), JASA 100.
"""

from __future__ import annotations

import itertools
import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial, reduce
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.distributions import t_quantile, t_tail
from gonogo.stats.estimates import as_floats, require_level, require_weights, unit_codes
from gonogo.stats.multiplicity import benjamini_hochberg
from gonogo.stats.refusals import NotFinite, Refused, TooFewUnits, Undefined
from gonogo.stats.slice_columns import Columns, Cut, cross, cut_columns
from gonogo.stats.spread_by_unit import UnitRows, powers_of_units, unit_rows
from gonogo.types.evidence import Estimate, Interval, Of, Tested

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from gonogo.types.evidence import Array, IntArray

STANDS_OUT = 3.0  # standard errors by which a slice must exceed the mean in the search; chance alone reaches it in a few hundred slices
ALIKE = 1.0  # standard errors within which two slices say the same: the one of fewer conditions is then noted
SEARCHED_AGAIN = 200  # combinations of columns
_ROUNDING = 1e-12  # a spread below this share of the loss's own size is rounding, not spread


@dataclass(frozen=True, kw_only=True, slots=True)
class WorstSlices:
    """Where the loss is higher than in all other rows."""

    found: tuple[Tested, ...]  # worst first, by the low end of the excess; `effect.slice` says where, "origin=JFK & hour=[17, 20)"
    searched: int  # slices looked at in the first half
    tested: int  # noted there, and held against the second half
    fdr: float  # expected share of false ones among `found`
    refused: str = ""  # why nothing could be searched

    def __str__(self) -> str:
        if self.refused:
            return f"no search: {self.refused}"
        head = f"{len(self.found)} of {self.searched:,} slices are worse than the rest (false discoveries at most {self.fdr:.0%})"
        return "\n".join([head, *(f"{one.effect}, p {one.p_value:.2g}" for one in self.found)])


@dataclass(frozen=True, kw_only=True, slots=True)
class _Half:
    """Some of the units, with all of their rows."""

    loss: Array  # (n,)
    weight: Array  # (n,)
    unit: IntArray | None  # (n,) codes; None where each row is its own
    n_units: int
    cuts: tuple[Cut, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Noted:
    """A slice that stood out in the search."""

    label: str
    columns: tuple[int, ...]  # which cuts it takes
    standing: float  # Σ e / √Σ e²


def worst_slices(
    loss: ArrayLike,
    columns: Columns,
    *,
    depth: int = 2,
    bins: int = 5,
    min_units: int = 60,
    fdr: float = 0.1,
    at_most: int = 10,
    weight: ArrayLike | None = None,
    unit: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
    metric: str = "loss",
    measured_in: str = "",
) -> WorstSlices:
    """The slices whose mean loss is higher than that of all other rows, at most `at_most`, each proved on units that the search never saw.

    loss: (n,) of each row, higher is worse; columns: as in `by_slice`; depth: how many columns a conjunction may take, 1 to 3. min_units:
    half of it must be in the slice in either half. seed decides which units search and which prove. metric, measured_in: what to call the
    loss. Nothing is said (`refused`) where the loss is NaN or fewer than min_units units are there. Raises ValueError for wrong calls.

    >>> rng = np.random.default_rng(0)
    >>> place, hour = rng.choice(["x", "y", "z"], 4000), rng.integers(0, 4, 4000)
    >>> loss = rng.exponential(1.0, 4000) + 1.0 * ((place == "x") & (hour == 2))
    >>> [one.effect.slice for one in worst_slices(loss, {"place": place, "hour": hour}).found]
    ['place=x & hour=2']
    """
    require_level(level)
    if not 1 <= depth <= 3 or at_most < 1 or min_units < 4:
        raise ValueError(f"depth {depth}, at_most {at_most}, min_units {min_units}: depth is 1 to 3, the others at least 1 and 4")
    if not 0 < fdr < 1:
        raise ValueError(f"the share of false discoveries is {fdr}: it must lie between 0 and 1")
    losses = as_floats(loss, "loss")
    weights = np.ones(len(losses)) if weight is None else as_floats(weight, "weight")
    if weights.shape != losses.shape:
        raise ValueError(f"{len(weights):,} weights for {len(losses):,} rows")
    codes, n_units = unit_codes(unit, len(losses))
    cuts = cut_columns(columns, len(losses), bins=bins)
    try:
        _require_searchable(losses, weights, n_units, min_units)
    except Refused as refused:
        return WorstSlices(found=(), searched=0, tested=0, fdr=fdr, refused=str(refused))
    searching, proving = _halves(losses, weights, codes, n_units, cuts, seed)
    noted, searched = _search(searching, depth, min_units // 2, at_most)
    tested = [_prove(proving, one, min_units // 2) for one in noted]
    return WorstSlices(found=_reported(tested, fdr, level, metric, measured_in), searched=searched, tested=len(noted), fdr=fdr)


def _require_searchable(loss: Array, weight: Array, n_units: int, min_units: int) -> None:
    require_weights(weight)
    if not np.isfinite(loss).all():
        raise NotFinite("a loss is NaN or infinite")
    if n_units < min_units:
        raise TooFewUnits(f"{n_units:,} units of {min_units:,} asked")
    if not weight.any():
        raise Undefined("no row has weight: there is nothing to search")


def _halves(loss: Array, weight: Array, unit: IntArray | None, n_units: int, cuts: tuple[Cut, ...], seed: int) -> tuple[_Half, _Half]:
    """The units dealt to two halves by the raw stream of Philox, which NumPy keeps stable."""
    drawn = np.random.Philox(key=np.array([seed, 0], dtype=np.uint64)).random_raw(n_units) >> np.uint64(63) == 0
    searches = drawn if unit is None else drawn[unit]
    first, second = (_half(loss, weight, unit, n_units, cuts, np.flatnonzero(here)) for here in (searches, ~searches))
    return first, second


def _half(loss: Array, weight: Array, unit: IntArray | None, n_units: int, cuts: tuple[Cut, ...], rows: IntArray) -> _Half:
    return _Half(
        loss=loss[rows],
        weight=weight[rows],
        unit=None if unit is None else unit[rows],
        n_units=len(rows) if unit is None else n_units,
        cuts=tuple(Cut(labels=cut.labels, code=cut.code[rows]) for cut in cuts),
    )


# ── half one: where to look ─────────────────────────────────────────────────────────────────────────────────────────────


def _search(half: _Half, depth: int, min_units: int, at_most: int) -> tuple[list[_Noted], int]:
    """The slices that stand out, each beyond what those before it explain; and how many were looked at."""
    excess = _centred(half.loss, half.weight)
    combinations = [c for size in range(1, depth + 1) for c in itertools.combinations(range(len(half.cuts)), size)]
    units = unit_rows(half.unit, half.n_units)
    noted: list[_Noted] = []
    searched = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        while len(noted) < at_most:
            found = list(pool.map(partial(_standings, half, excess, units, min_units), combinations))
            standings = [one for some in found for one in some]
            if not noted:
                searched = len(standings)
                combinations = _most_standing(combinations, found)
            worst = _worst(standings)
            if worst is None or worst.standing < STANDS_OUT or any(worst.label == one.label for one in noted):
                break
            noted.append(worst)
            here = _rows_of(half, worst)
            excess[here] -= np.average(excess[here], weights=half.weight[here])
    return noted, searched


def _most_standing(combinations: list[tuple[int, ...]], found: list[list[_Noted]]) -> list[tuple[int, ...]]:
    """The combinations of columns that are searched again: what does not stand out at first does not once others are explained."""
    tops = [max((one.standing for one in some), default=-math.inf) for some in found]
    order = sorted(range(len(combinations)), key=lambda i: -tops[i])
    return [combinations[i] for i in sorted(order[:SEARCHED_AGAIN])]


def _worst(standings: list[_Noted]) -> _Noted | None:
    """The one that stands out most; of those as good as it, the one of the fewest conditions."""
    if not standings:
        return None
    top = max(one.standing for one in standings)
    return min((one for one in standings if one.standing >= top - ALIKE), key=lambda one: (len(one.columns), -one.standing, one.label))


def _standings(half: _Half, excess: Array, units: UnitRows, min_units: int, columns: tuple[int, ...]) -> list[_Noted]:
    """Every slice of those columns that has units enough, and how far it stands out."""
    from gonogo.stats.kernels_slices import sums_by_slice

    cut = reduce(cross, (half.cuts[column] for column in columns))
    n, value = len(cut.labels), (excess * half.weight)[:, None]
    total = sums_by_slice(value, cut.code, n)[:, 0]
    powers = powers_of_units(value, cut.code, n, units, half.weight)
    squares, n_units = powers.squares[:, 0], powers.n_units
    standing = np.divide(total, np.sqrt(squares), out=np.zeros(n), where=squares > 0)
    # A column of one value only repeats the columns beside it, and a slice of every row has no rest to be worse than.
    asked = np.flatnonzero((n_units >= min_units) & (n > 1))
    return [_Noted(label=cut.labels[i], columns=columns, standing=float(standing[i])) for i in asked.tolist()]


def _rows_of(half: _Half, noted: _Noted) -> NDArray[np.bool_]:
    cut = reduce(cross, (half.cuts[column] for column in noted.columns))
    if noted.label not in cut.labels:
        return np.zeros(len(half.loss), dtype=np.bool_)
    return np.asarray(cut.code == cut.labels.index(noted.label))


def _centred(loss: Array, weight: Array) -> Array:
    return loss - np.average(loss, weights=weight) if weight.any() else loss.copy()


# ── half two: is it true? ───────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, kw_only=True, slots=True)
class _Proved:
    """A noted slice against the rest, on units that did not search."""

    label: str
    excess: float  # mean loss of the slice minus that of the rest
    error: float  # its standard error; NaN where it cannot be told
    n_units: int
    n_rows: int

    @property
    def p_value(self) -> float | None:
        """That the slice is no worse than the rest; None where it cannot be told."""
        return None if math.isnan(self.error) else t_tail(self.excess / self.error, self.n_units - 1)


def _prove(half: _Half, noted: _Noted, min_units: int) -> _Proved:
    here = _rows_of(half, noted)
    (inside, errors_inside, n_units), (outside, errors_outside, n_outside) = (_mean(half, rows) for rows in (here, ~here))
    error = math.nan
    if min(n_units, n_outside) >= min_units:
        # The smaller side's factor: 30 units against 3,000 are known as well as 30 are.
        error = math.sqrt(n_units / (n_units - 1) * float(np.sum(np.square(errors_inside - errors_outside))))
        if error <= _ROUNDING * float(np.max(np.abs(half.loss))):
            error = math.nan
    return _Proved(label=noted.label, excess=inside - outside, error=error, n_units=n_units, n_rows=int(here.sum()))


def _mean(half: _Half, rows: NDArray[np.bool_]) -> tuple[float, Array, int]:
    """The mean loss of those rows, each unit's share in its error, and the units with weight."""
    weight = np.where(rows, half.weight, 0.0)
    value = weight * half.loss
    if half.unit is not None:
        value, weight = (np.bincount(half.unit, weights=one, minlength=half.n_units).astype(np.float64) for one in (value, weight))
    total = float(weight.sum())
    mean = float(value.sum()) / total if total > 0 else math.nan
    return mean, (value - mean * weight) / total if total > 0 else value, int(np.count_nonzero(weight > 0))


def _reported(tested: list[_Proved], fdr: float, level: float, metric: str, measured_in: str) -> tuple[Tested, ...]:
    """Those that Benjamini and Yekutieli let stand, with intervals at the level that holds among the reported."""
    if not tested:
        return ()
    harmonic = sum(1 / i for i in range(1, len(tested) + 1))
    adjusted = np.minimum(1.0, harmonic * benjamini_hochberg([one.p_value for one in tested]))
    kept = [(one, float(p)) for one, p in zip(tested, adjusted, strict=True) if p <= fdr]
    stricter = 1 - (1 - level) * len(kept) / len(tested)
    found = (_as_tested(one, p, stricter, metric, measured_in) for one, p in kept)
    return tuple(sorted(found, key=lambda one: -(one.effect.interval.low if one.effect.interval else -math.inf)))


def _as_tested(one: _Proved, p_value: float, level: float, metric: str, measured_in: str) -> Tested:
    half = t_quantile((1 + level) / 2, one.n_units - 1) * one.error
    method = "cluster-robust t(G-1) on units that did not search, level for what was selected"
    interval = Interval(low=one.excess - half, high=one.excess + half, level=level, method=method)
    effect = Estimate(
        metric=metric,
        of=Of.DIFFERENCE,
        slice=one.label,
        value=one.excess,
        interval=interval,
        n_units=one.n_units,
        n_rows=one.n_rows,
        measured_in=measured_in,
        better="lower",
    )
    return Tested(
        test="t by unit of a slice against the rest, one-sided, Benjamini-Yekutieli",
        null=f"the mean {metric} of {one.label} is at most that of all other rows",
        statistic=one.excess / one.error,
        p_value=p_value,
        effect=effect,
        n_units=one.n_units,
        n_rows=one.n_rows,
    )
