"""What could a comparison have seen, and how many units does it take to see it?

"No difference was seen" says something only beside the difference that would have been seen. Everything here follows from one number, the
standard error of the difference over independent units, and from Student's t with G − 1 degrees of freedom: a true difference of δ puts
the statistic at a noncentral t with noncentrality δ/SE, and the power is its chance of lying beyond ± t(1 − α/2).
Source: Cohen (1988), Statistical power analysis, ch. 2. The error shrinks with the root of the units, never of the rows.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.distributions import normal_cdf, t_quantile
from gonogo.stats.estimates import require_level
from gonogo.stats.refusals import TooFewUnits, Undefined
from gonogo.types.evidence import Estimate

if TYPE_CHECKING:
    from gonogo.types.evidence import Array

_FAR = 40.0  # standard errors beyond which every power is 1 to double precision, few units excepted
_NODES = 160  # of the integral: with them powers agree with SciPy's noncentral t to 1e-9, from 2 units to a million
_MOST_UNITS = 10**15


def minimum_detectable_difference(
    spread: Estimate | float, n_units: int | None = None, *, power: float = 0.8, level: float = 0.95
) -> float:
    """The smallest true difference that a two-sided test at 1 − level finds with that power.

    spread:  an estimate of the difference, whose interval tells its standard error; or that error itself, with n_units beside it.
    Raises Undefined for an estimate that was refused, TooFewUnits below 2 units, ValueError for a power that the level cannot have.

    >>> round(minimum_detectable_difference(0.0014, 400), 4)
    0.0039
    """
    error, n = _spread(spread, n_units)
    _require_power(power, level)
    return error * _noncentrality(n, power, level)


def power_of_difference(difference: float, spread: Estimate | float, n_units: int | None = None, *, level: float = 0.95) -> float:
    """The chance that a true difference of that size is found by a two-sided test at 1 − level. spread, n_units and raises: see above.

    >>> round(power_of_difference(0.004, 0.0014, 400), 3)
    0.813
    """
    error, n = _spread(spread, n_units)
    require_level(level)
    if not math.isfinite(difference):
        raise ValueError(f"the difference is {difference}: a finite number is needed")
    return _power(abs(difference) / error, n, level)


def units_needed(
    difference: float, spread: Estimate | float, n_units: int | None = None, *, power: float = 0.8, level: float = 0.95
) -> int:
    """The least number of units of which a true difference of that size is found with that power, at the spread that was seen.

    The standard error over m units is taken to be SE · √(n_units / m). Raises as above, and ValueError for a difference of 0.

    >>> units_needed(0.002, 0.0014, 400)
    1541
    """
    error, n = _spread(spread, n_units)
    _require_power(power, level)
    if not math.isfinite(difference) or difference == 0:
        raise ValueError(f"the difference is {difference}: how many units would show nothing is no question")
    per_unit = abs(difference) / (error * math.sqrt(n))
    low, high = 1, 2
    while _power(per_unit * math.sqrt(high), high, level) < power:
        low, high = high, high * 2
        if high > _MOST_UNITS:
            raise ValueError("so small a difference takes more units than there will ever be")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _power(per_unit * math.sqrt(middle), middle, level) >= power else (middle, high)
    return high


def could_have_seen(difference: Estimate, *, power: float = 0.8, level: float = 0.95) -> str:
    """The sentence that belongs beside "no difference was seen"."""
    try:
        least = minimum_detectable_difference(difference, power=power, level=level)
    except Undefined as refused:
        return f"this test could have seen nothing: {refused}"
    return f"this test could have seen {f'{least:.2g} {difference.measured_in}'.rstrip()} ({power:.0%} power)".replace("%", " %")


def standard_error(estimate: Estimate) -> float:
    """The standard error that an interval of a t(G − 1) stands for: half its width over t. Raises Undefined where there is none."""
    if estimate.interval is None:
        raise Undefined(estimate.refused or f"{estimate.metric} has no interval")
    if estimate.n_units < 2:
        raise TooFewUnits(f"{estimate.n_units} unit: two are needed to see any spread")
    interval = estimate.interval
    return (interval.high - interval.low) / (2 * t_quantile((1 + interval.level) / 2, estimate.n_units - 1))


def _spread(spread: Estimate | float, n_units: int | None) -> tuple[float, int]:
    """The standard error, and of how many units."""
    error, n = (standard_error(spread), spread.n_units) if isinstance(spread, Estimate) else (float(spread), n_units)
    if n is None:
        raise ValueError("a standard error alone does not say of how many units: give n_units")
    if n < 2:
        raise TooFewUnits(f"{n} unit: two are needed to see any spread")
    if not 0 < error < math.inf:
        raise ValueError(f"the standard error is {error}: it must be above 0")
    return error, n


def _require_power(power: float, level: float) -> None:
    require_level(level)
    if not 1 - level < power < 1:
        raise ValueError(f"the power is {power}: it must lie between {1 - level:.3g}, the chance of a false alarm, and 1")


@lru_cache(maxsize=1024)
def _noncentrality(n_units: int, power: float, level: float) -> float:
    """δ/SE at which the test has that power."""
    low, high = 0.0, 4.0
    while _power(high, n_units, level) < power:  # with a single degree of freedom t itself lies at 12.7
        low, high = high, high * 2
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if _power(middle, n_units, level) >= power else (middle, high)
    return high


def _power(noncentrality: float, n_units: int, level: float) -> float:
    """P(|T| > t) of a noncentral t: (Z + δ)/S lies beyond t where Z lies beyond tS − δ, taken over the χ/√ν distribution of S."""
    beyond = t_quantile((1 + level) / 2, n_units - 1)
    if noncentrality - beyond > _FAR:
        return 1.0
    s, mass = _chi(n_units - 1)
    right, wrong = _normal_tails(beyond * s - noncentrality), _normal_tails(beyond * s + noncentrality)
    return float(np.sum(mass * (right + wrong)))


@lru_cache(maxsize=64)
def _chi(df: int) -> tuple[Array, Array]:
    """Nodes and masses of S = √(χ²/ν): Gauss-Legendre over 12 of its standard deviations to either side."""
    half = 12 / math.sqrt(2 * df)
    low, high = max(0.0, 1 - half), 1 + half
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    s = (low + high) / 2 + (high - low) / 2 * nodes
    log_density = math.log(2) + df / 2 * math.log(df / 2) - math.lgamma(df / 2) + (df - 1) * np.log(s) - df / 2 * s * s
    return s, (high - low) / 2 * weights * np.exp(log_density)


def _normal_tails(values: Array) -> Array:
    return np.array([normal_cdf(-value) for value in values.tolist()])
