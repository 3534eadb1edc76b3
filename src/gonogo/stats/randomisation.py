"""How would the difference of two models look if it were chance which is which, or if other units had been drawn?

Approximate randomisation exchanges the two models in whole units and asks how often the difference is as large as it was: no
distribution is assumed, but under the null the two must be exchangeable within a unit. The paired bootstrap draws whole units again,
the same for both. Both suit figures that have no formula, and both cost thousands of evaluations where `compare` costs one.
Source: Noreen (1989), Computer-intensive methods for testing hypotheses; Yeh (2000), COLING; for rankings, exchanged as ranks:
Venkatraman & Begg (1996), Biometrika 83.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from gonogo.stats.bootstrap import paired_draws_of_rankings
from gonogo.stats.comparison import Pair
from gonogo.stats.distributions import normal_quantile, t_tail
from gonogo.stats.estimates import estimated, rows_of
from gonogo.stats.figure import Figure
from gonogo.stats.linearised import Compared, Model, Options, RowLoss, Sums, compared, options_of
from gonogo.stats.refusals import Undefined
from gonogo.stats.resampling import percentile_interval, unit_draws
from gonogo.stats.scientific import tests
from gonogo.types.evidence import Estimate, Of, Tested

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from gonogo.types.evidence import Array

    Flips: TypeAlias = NDArray[np.bool_]

FLIPS, DRAWS = 9_999, 2_000
_ALL_FLIPS_OF = 14  # units: their 16,384 flips are gone through one by one
_LEAST_DRAWS = 19  # with which p can reach 0.05
_CELLS = 1 << 22  # flips × units held at once: memory grows with neither
_HAVE_A_KERNEL = ("roc_auc", "average_precision")
_ROUNDING = 1e-12  # a flip within this share of the difference is as large: what was seen is one of the flips
_UNDEFINED_AT_MOST = 0.01  # share of the draws without a figure (one class only, say) that may be left out


def approximate_randomisation(
    y: ArrayLike,
    ours: ArrayLike,
    theirs: ArrayLike,
    *,
    metric: str | RowLoss = "log_loss",
    weight: ArrayLike | None = None,
    unit: ArrayLike | None = None,
    n_draws: int = FLIPS,
    level: float = 0.95,
    seed: int = 0,
    **options: float,
) -> Tested:
    """Is it chance which of the two models is which? The two are exchanged in whole units; p = (1 + as large) / (1 + n_draws).

    metric, options: as for `compare`, but neither matthews_correlation nor root_mean_squared_error. Where at most 14 units differ, every
    exchange is gone through and p is exact. Rankings exchange ranks, so that the two need not share a scale. The effect is `compare`'s.
    Refused where `compare` refuses. Same seed, same p, whatever the machine.

    >>> rng = np.random.default_rng(1)
    >>> y = rng.random(500)
    >>> test = approximate_randomisation(y, y + rng.normal(size=500), y + 2 * rng.normal(size=500), metric="mean_absolute_error")
    >>> test.p_value
    0.0001
    """
    _require_draws(n_draws)
    figure, taken, pair = _asked(y, ours, theirs, metric, weight, unit, level, options)
    test, null = "approximate randomisation, by unit", "within each unit, it is chance which model is which"
    effect = pair.difference(figure, taken, level)
    if effect.refused or effect.value is None:
        return _tested(test, null, effect, None)
    if figure.sums is None:
        p = _share(_exchanged_ranks(figure, taken, pair), effect.value, pair.rows.n_units, n_draws, seed)
    else:
        sums = (figure.sums(model.rows, taken) for model in (pair.ours, pair.theirs))
        p = _share(*_exchanged_sums(pair, *sums), n_draws, seed)
    return _tested(test, null, effect, p)


def paired_bootstrap(
    y: ArrayLike,
    ours: ArrayLike,
    theirs: ArrayLike,
    *,
    metric: str | RowLoss = "average_precision",
    weight: ArrayLike | None = None,
    unit: ArrayLike | None = None,
    n_draws: int = DRAWS,
    level: float = 0.95,
    seed: int = 0,
    **options: float,
) -> Tested:
    """Would the difference vanish on other units? Whole units are drawn again, the same for both models.

    metric, options, refusals: as for `approximate_randomisation`. The effect has the expanded percentile interval of the draws, and the
    p-value is read off the same draws: 0 lies outside a 95 % interval exactly where p < 0.05, up to the grain of the draws.
    """
    _require_draws(n_draws)
    figure, taken, pair = _asked(y, ours, theirs, metric, weight, unit, level, options)
    test, null = f"paired bootstrap by unit, {n_draws:,} draws", "the two differ by 0"
    effect = pair.difference(figure, taken, level)
    if effect.refused or effect.value is None:
        return _tested(test, null, effect, None)
    draws: list[Array] = []

    def drawn() -> Figure:
        draws.append(_known(_redrawn(figure, taken, pair, n_draws, seed)))
        interval = percentile_interval(draws[0], n_units=pair.n_units, level=level)
        low, high = min(interval.low, effect.value), max(interval.high, effect.value)  # type: ignore[type-var]
        return Figure(value=effect.value, interval=replace(interval, low=low, high=high), n_units=pair.n_units, n_rows=pair.rows.n)  # type: ignore[arg-type]

    resampled = estimated(
        figure.name,
        drawn,
        n_rows=pair.rows.n,
        n_units=pair.n_units,
        better=figure.better,
        measured_in=figure.measured_in,
        of=Of.DIFFERENCE,
    )
    return _tested(test, null, resampled, None if resampled.refused else _p_of_draws(draws[0], pair.n_units))


def share_of_flips(differences: Array, *, n_draws: int = FLIPS, seed: int = 0) -> float:
    """p of Σ differences when the sign of each unit's is chance: (1 + as large) / (1 + n_draws), or the exact share of all flips.

    differences: (units,). Under a flip a unit's difference changes sign, so Σ falls by twice the difference of the flipped units.
    """
    total = float(differences.sum())
    moved = np.flatnonzero(differences)
    flipped = -2 * differences[moved]
    return _share(lambda flips: total + np.where(flips, flipped, 0.0).sum(axis=1), total, len(moved), n_draws, seed)


def _require_draws(n_draws: int) -> None:
    if n_draws < _LEAST_DRAWS:
        raise ValueError(f"{n_draws} draws: a p-value of so few says nothing; give {_LEAST_DRAWS} or more")


def _asked(
    y: ArrayLike,
    ours: ArrayLike,
    theirs: ArrayLike,
    metric: str | RowLoss,
    weight: ArrayLike | None,
    unit: ArrayLike | None,
    level: float,
    options: Options,
) -> tuple[Compared, Options, Pair]:
    figure = compared(metric)
    if figure.sums is None and figure.prepare is None:
        raise ValueError(f"{figure.name} cannot be taken over thousands of draws here: use compare")
    (taken,) = options_of((figure,), options)
    a, b = (Model(rows_of(y, score, weight=weight, unit=unit, level=level)) for score in (ours, theirs))
    return figure, taken, Pair(ours=a, theirs=b)


# ── exchanging the two ──────────────────────────────────────────────────────────────────────────────────────────────────


def _share(difference: Callable[[Flips], Array], seen: float, n_units: int, n_draws: int, seed: int) -> float:
    """How often an exchange gives a difference as large as was seen. difference: flips (draws, units) → (draws,)."""
    least = abs(seen) * (1 - _ROUNDING)
    if n_units <= _ALL_FLIPS_OF:
        flips = (np.arange(1 << n_units)[:, None] >> np.arange(n_units)) & 1 == 1
        return float(np.mean(np.abs(difference(flips)) >= least))
    as_large = sum(int(np.count_nonzero(np.abs(difference(flips)) >= least)) for flips in _random_flips(n_units, n_draws, seed))
    return (1 + as_large) / (1 + n_draws)


def _random_flips(n_units: int, n_draws: int, seed: int) -> Iterator[Flips]:
    """Chunks of (draws, units), read bit by bit from one raw stream of Philox: draw by draw, so the size of the chunks changes nothing."""
    stream, n_words = np.random.Philox(key=np.array([seed, n_units], dtype=np.uint64)), (n_units + 63) // 64
    at_once = max(1, _CELLS // n_units)
    for first in range(0, n_draws, at_once):
        words = stream.random_raw((min(at_once, n_draws - first), n_words))
        yield np.unpackbits(words.astype("<u8").view(np.uint8), axis=1, count=n_units, bitorder="little").astype(np.bool_)


@dataclass(frozen=True, kw_only=True, slots=True)
class _UnitSums:
    """Σwu and Σwv of each unit, under each of the two models."""

    u: tuple[Array, Array]
    v: tuple[Array, Array]


def _by_unit(pair: Pair, ours: Sums, theirs: Sums) -> _UnitSums:
    weight = pair.rows.weight

    def summed(values: Array) -> Array:
        return pair.by_unit(values if weight is None else weight * values)

    return _UnitSums(u=(summed(ours.u), summed(theirs.u)), v=(summed(ours.v), summed(theirs.v)))


def _exchanged_sums(pair: Pair, ours: Sums, theirs: Sums) -> tuple[Callable[[Flips], Array], float, int]:
    """The difference of two ratios of sums under flips of the units in which they differ, the difference seen, and how many those are."""
    by_unit = _by_unit(pair, ours, theirs)
    (our_u, their_u), (our_v, their_v) = ((float(a.sum()), float(b.sum())) for a, b in (by_unit.u, by_unit.v))
    du, dv = (b - a for a, b in (by_unit.u, by_unit.v))
    moved = np.flatnonzero((du != 0) | (dv != 0))
    du, dv = du[moved], dv[moved]
    has_own_v = bool(dv.any())

    def difference(flips: Flips) -> Array:
        u = np.where(flips, du, 0.0).sum(axis=1)
        v = np.where(flips, dv, 0.0).sum(axis=1) if has_own_v else 0.0
        with np.errstate(divide="ignore", invalid="ignore"):  # a flip that leaves nothing called has no precision: not as large
            return np.asarray((our_u + u) / (our_v + v) - (their_u - u) / (their_v - v))

    return difference, our_u / our_v - their_u / their_v, len(moved)


def _exchanged_ranks(figure: Compared, options: Options, pair: Pair) -> Callable[[Flips], Array]:
    """The difference of two rankings under flips. Both models' rows stand in one ranking; a flip says which of a row's two counts."""
    rankdata = tests().rankdata

    assert figure.prepare is not None, figure.name
    rows = pair.rows
    ranks = np.concatenate([rankdata(pair.ours.rows.score), rankdata(pair.theirs.rows.score)])
    weighted = figure.prepare(np.concatenate([rows.y, rows.y]), ranks, *options.values())

    def one(flips: NDArray[np.bool_]) -> float:
        flipped = flips if rows.unit is None else flips[rows.unit]
        theirs = np.where(flipped, rows.weights, 0.0)
        ours = rows.weights - theirs
        values = weighted(np.concatenate([ours, theirs])), weighted(np.concatenate([theirs, ours]))
        return math.nan if values[0] is None or values[1] is None else values[0] - values[1]

    return lambda flips: np.array([one(flip) for flip in flips])


# ── drawing units again ─────────────────────────────────────────────────────────────────────────────────────────────────


def _redrawn(figure: Compared, options: Options, pair: Pair, n_draws: int, seed: int) -> Array:
    """(n_draws,) the difference on units drawn again; NaN where a draw leaves it undefined."""
    if figure.name in _HAVE_A_KERNEL:
        drawn = paired_draws_of_rankings(pair.ours.ranked, pair.theirs.ranked, pair.rows.unit, n_draws=n_draws, seed=seed)
        return np.asarray(getattr(drawn, figure.name))
    difference = _ranks_under(figure, options, pair) if figure.sums is None else _sums_under(figure, options, pair)
    n_units = pair.rows.n_units
    at_once = max(1, _CELLS // n_units)
    chunks = (unit_draws(n_units, min(at_once, n_draws - first), seed, first=first) for first in range(0, n_draws, at_once))
    return np.array([difference(draw) for chunk in chunks for draw in chunk])


def _sums_under(figure: Compared, options: Options, pair: Pair) -> Callable[[Array], float]:
    assert figure.sums is not None, figure.name
    of = _by_unit(pair, *(figure.sums(model.rows, options) for model in (pair.ours, pair.theirs)))

    def difference(draw: Array) -> float:
        (our_u, their_u), (our_v, their_v) = (((draw * a).sum(), (draw * b).sum()) for a, b in (of.u, of.v))
        return float(our_u / our_v - their_u / their_v) if our_v > 0 and their_v > 0 else math.nan

    return difference


def _ranks_under(figure: Compared, options: Options, pair: Pair) -> Callable[[Array], float]:
    assert figure.prepare is not None, figure.name
    rows = pair.rows
    ours, theirs = (figure.prepare(model.rows.y, model.rows.score, *options.values()) for model in (pair.ours, pair.theirs))

    def difference(draw: Array) -> float:
        weight = (draw if rows.unit is None else draw[rows.unit]) * (1.0 if rows.weight is None else rows.weight)
        a, b = ours(weight), theirs(weight)
        return math.nan if a is None or b is None else a - b

    return difference


def _known(draws: Array) -> Array:
    known = draws[~np.isnan(draws)]
    if len(known) < (1 - _UNDEFINED_AT_MOST) * len(draws):
        raise Undefined(f"undefined in {len(draws) - len(known):,} of {len(draws):,} draws: too few units hold both outcomes")
    return known


def _p_of_draws(draws: Array, n_units: int) -> float:
    """Two-sided p: the level at which the expanded percentile interval just reaches 0."""
    beyond = min(int(np.count_nonzero(draws <= 0)), int(np.count_nonzero(draws >= 0)))
    z = -normal_quantile(min(0.5, (1 + beyond) / (1 + len(draws))))
    return min(1.0, 2 * t_tail(z * math.sqrt((n_units - 1) / n_units), n_units - 1))


def _tested(test: str, null: str, effect: Estimate, p: float | None) -> Tested:
    return Tested(
        test=test,
        null=null,
        statistic=None if p is None else effect.value,
        p_value=p,
        effect=effect,
        n_units=effect.n_units,
        n_rows=effect.n_rows,
        refused=effect.refused,
    )
