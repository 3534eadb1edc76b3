"""Which rows do two samples hold, and how far may a difference of them lie from the truth?

A difference B − A of two statistics is, to first order, a sum over rows: each row has a share in its error. Rows of one unit move together,
so shares are added up by unit first. Units of A and of B are told apart by their label: the same label on both sides is the same unit, and
what moves both sides of it alike cancels.

With E_g the sum of the shares of unit g, the variance is Σ_g (√c_A · E_Ag + √c_B · E_Bg)², c = G/(G−1) for each side, and the degrees of
freedom are Welch's (Satterthwaite 1946, Biometrics Bulletin 2) where no unit is on both sides, else one less than the smaller side's units.
Where every row is a unit of its own, this is Welch's variance of two means.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.distributions import t_quantile
from gonogo.stats.estimates import as_floats, estimated, require_level, require_weights, unit_codes
from gonogo.stats.figure import Figure
from gonogo.stats.refusals import NoSpread, NotFinite, Refused, TooFewUnits, Undefined
from gonogo.types.evidence import Interval, Of, Tested

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from gonogo.types.evidence import Array, IntArray

LARGEST = 1e100  # of what is squared, and added up
_ROUNDING = 1e-13  # a spread below this share of the values' own size is rounding, not spread


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """One sample."""

    values: Array  # (n,) float64 without NaN; infinities are values
    weight: Array | None  # (n,) ≥ 0; None where every row weighs 1
    unit: IntArray | None  # (n,) codes that both sides share; None where every row is a unit of its own
    n_units: int

    @property
    def n(self) -> int:
        """Rows."""
        return len(self.values)

    @property
    def weights(self) -> Array:
        """(n,) weights, ones where none were given."""
        return np.ones(self.n) if self.weight is None else self.weight


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """Two samples that are to be compared."""

    a: Side
    b: Side
    n_codes: int  # unit codes on both sides together
    is_shared: bool  # some unit has rows on both sides

    @property
    def n_rows(self) -> int:
        """Rows of both sides."""
        return self.a.n + self.b.n

    @property
    def n_units(self) -> int:
        """Independent units of both sides."""
        return self.n_codes if self.a.unit is not None else self.n_rows


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """How far a difference may lie from the truth."""

    standard_error: float
    df: float

    def half_width(self, level: float) -> float:
        """Half the interval of that level, by Student's t."""
        return t_quantile((1 + level) / 2, self.df) * self.standard_error


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a test found."""

    statistic: float
    p_value: float
    effect: Figure


def pair_of(
    a: ArrayLike,
    b: ArrayLike,
    *,
    weight_a: ArrayLike | None = None,
    weight_b: ArrayLike | None = None,
    unit_a: ArrayLike | None = None,
    unit_b: ArrayLike | None = None,
    level: float = 0.95,
) -> Pair:
    """The arguments of a two-sample test as arrays. Raises ValueError for shapes, types or a level that make no sense.

    What the values are is asked later, by `require_comparable`: NaN is the data's fault, not the caller's.
    """
    require_level(level)
    if (unit_a is None) != (unit_b is None):
        raise ValueError("units are given for one side only: rows of the other side would be taken as independent")
    values_a, values_b = as_floats(a, "a"), as_floats(b, "b")
    codes_a, codes_b, n_codes, is_shared = joint_codes(unit_a, unit_b, len(values_a), len(values_b))
    return Pair(a=_side(values_a, weight_a, codes_a, "a"), b=_side(values_b, weight_b, codes_b, "b"), n_codes=n_codes, is_shared=is_shared)


def joint_codes(
    unit_a: ArrayLike | None, unit_b: ArrayLike | None, n_a: int, n_b: int
) -> tuple[IntArray | None, IntArray | None, int, bool]:
    """Unit codes 0 … n − 1 of both sides, how many there are, and whether any unit is on both sides."""
    if unit_a is None or unit_b is None:
        return None, None, 0, False
    given_a, given_b = np.asarray(unit_a), np.asarray(unit_b)
    if given_a.shape != (n_a,) or given_b.shape != (n_b,):
        raise ValueError(f"units have the shapes {given_a.shape} and {given_b.shape} for {n_a:,} and {n_b:,} rows")
    codes, n_codes = unit_codes(np.concatenate([given_a, given_b]), n_a + n_b)
    assert codes is not None
    seen_a, seen_b = (np.bincount(side, minlength=n_codes) > 0 for side in (codes[:n_a], codes[n_a:]))
    return codes[:n_a], codes[n_a:], n_codes, bool((seen_a & seen_b).any())


def require_comparable(pair: Pair, *, finite: bool) -> None:
    """Raises the refusal of what two samples cannot be compared for: too few, NaN, a bad weight; infinities where `finite`."""
    for side, name in ((pair.a, "a"), (pair.b, "b")):
        if side.n_units < 2:
            raise TooFewUnits(f"{side.n_units} unit{'' if side.n_units == 1 else 's'} in {name}: two are needed to see any spread")
        missing = int(np.isnan(side.values).sum())
        if missing:
            raise NotFinite(f"{missing:,} of {side.n:,} values of {name} are NaN: compare those that are there, and the share that is not")
        if finite and not np.isfinite(side.values).all():
            raise NotFinite(f"{name} holds infinite values, of which there is no mean: compare ranks")
        if finite and np.abs(side.values).max(initial=0.0) > LARGEST:
            raise NotFinite(f"{name} holds values beyond {LARGEST:g}, whose squares are no numbers any more: compare ranks")
        require_weights(side.weight)
        if side.weight is not None and side.weight.sum() <= 0:
            raise Undefined(f"no row of {name} has weight")


def spread(error_a: Array, error_b: Array, pair: Pair) -> Spread:
    """The spread of a difference from each row's share in its error. error_a: (n_a,), error_b: (n_b,), each of mean zero."""
    sums_a, sums_b = _by_unit(error_a, pair.a, pair.n_codes), _by_unit(error_b, pair.b, pair.n_codes)
    factor_a, factor_b = (side.n_units / (side.n_units - 1) for side in (pair.a, pair.b))
    if not pair.is_shared:
        variance_a, variance_b = factor_a * float(np.sum(sums_a * sums_a)), factor_b * float(np.sum(sums_b * sums_b))
        return spread_of_variances(variance_a, variance_b, pair.a.n_units, pair.b.n_units)
    both = math.sqrt(factor_a) * sums_a + math.sqrt(factor_b) * sums_b
    return Spread(standard_error=math.sqrt(float(np.sum(both * both))), df=min(pair.a.n_units, pair.b.n_units) - 1)


def spread_of_variances(variance_a: float, variance_b: float, n_a: int, n_b: int) -> Spread:
    """The spread of a difference of two independent figures, with Welch's degrees of freedom."""
    variance = variance_a + variance_b
    below = variance_a * variance_a / (n_a - 1) + variance_b * variance_b / (n_b - 1)
    return Spread(standard_error=math.sqrt(variance), df=variance * variance / below if below > 0 else min(n_a, n_b) - 1)


def require_spread(found: Spread, size: float) -> None:
    """Raises NoSpread where what is left is rounding. size: of the values that were added up."""
    if found.standard_error <= _ROUNDING * size:
        raise NoSpread("neither side varies: how far the truth may be is unknown")


def root_interval(square: float, variance: float, *, level: float, df: float, most: float = math.inf, method: str) -> Interval:
    """The interval of √θ from an unbiased estimate of θ ≥ 0 and its variance. It begins at 0 where 0 cannot be excluded."""
    half = t_quantile((1 + level) / 2, df) * math.sqrt(max(0.0, variance))
    # An estimate below 0 is noise: samples that are more alike than chance makes them must not end in an interval of no width.
    low, high = math.sqrt(max(0.0, square - half)), math.sqrt(max(0.0, square) + half)
    return Interval(low=min(low, most), high=min(high, most), level=level, method=method)


def concluded(test: str, null: str, found: Callable[[], Outcome], pair: Pair, *, metric: str, measured_in: str = "") -> Tested:
    """What `found` gives as a Tested; where it raises Refused, one without statistic and p-value that says why."""
    outcomes: list[Outcome] = []

    def effect() -> Figure:
        outcomes.append(found())
        return outcomes[0].effect

    estimate = estimated(metric, effect, n_rows=pair.n_rows, n_units=pair.n_units, better="", measured_in=measured_in, of=Of.DIFFERENCE)
    outcome = outcomes[0] if outcomes else None
    return Tested(
        test=test,
        null=null,
        statistic=None if outcome is None else outcome.statistic,
        p_value=None if outcome is None else min(1.0, max(0.0, outcome.p_value)),
        effect=estimate,
        n_units=pair.n_units,
        n_rows=pair.n_rows,
        refused=estimate.refused,
    )


def refused_where_not(condition: bool, sentence: str) -> None:
    """Raises Refused with that sentence unless the condition holds."""
    if not condition:
        raise Refused(sentence)


def _side(values: Array, weight: ArrayLike | None, codes: IntArray | None, name: str) -> Side:
    weights = None if weight is None else as_floats(weight, f"weight_{name}")
    if weights is not None and len(weights) != len(values):
        raise ValueError(f"{len(weights):,} weights for {len(values):,} rows of {name}")
    n_units = len(values) if codes is None else int(np.count_nonzero(np.bincount(codes))) if len(codes) else 0
    return Side(values=values, weight=weights, unit=codes, n_units=n_units)


def _by_unit(error: Array, side: Side, n_codes: int) -> Array:
    """The shares added up by unit."""
    return error if side.unit is None else np.bincount(side.unit, weights=error, minlength=n_codes).astype(np.float64)
