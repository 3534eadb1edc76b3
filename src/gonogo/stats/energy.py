"""How much work would it take to move one population onto the other?

The energy distance of one column is √(2 ∫ (F − G)²), exact in O(n log n) from one sort. In d dimensions it is, up to a constant, the mean
of that integral over all directions: 64 random ones give it without the n² distances between rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.features import Features, concluded_of, features_of, require_finite, rows_at_most, standardised
from gonogo.stats.figure import Figure
from gonogo.stats.refusals import NoSpread
from gonogo.stats.two_samples import Outcome, root_interval
from gonogo.types.evidence import Tested

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from gonogo.types.evidence import Array

_DIRECTIONS = 64
_NULL_ROWS = 5_000  # of either side, beyond which the labels of a part are permuted; of several columns _NULL_ROWS_OF_MANY
_NULL_ROWS_OF_MANY = 1_000
_DRAWS, _DRAWS_OF_MANY = 999, 499


@dataclass(frozen=True, kw_only=True, slots=True)
class Directions:
    """Unit vectors along which rows are laid out, and the constant by which their mean is the whole."""

    towards: Array  # (k, d)
    scale: float  # of each direction


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """The rows of both samples along one direction, in order."""

    row: NDArray[np.int64]  # (n,) which row; rows of b come after those of a
    gap: Array  # (n − 1,) to the next value, times the direction's scale


def energy_distance(a: ArrayLike, b: ArrayLike, *, max_rows: int = 20_000, level: float = 0.95, seed: int = 0) -> Tested:
    """Whether the distributions differ anywhere: the energy distance, √(2 E|X−Y| − E|X−X′| − E|Y−Y′|), of one column or several.

    a, b: (n,) or (n, d) finite numbers. One column is used whole, however long, in its own unit; of several, each column is divided by its
    pooled standard deviation and at most max_rows rows a side, drawn by seed, stand for all. statistic: the distance as it is in the
    samples, for one column SciPy's. The effect has the mean under the null taken off, so that equal populations give 0.
    p-value: labels permuted 999 times (499 for several columns); beyond 5,000 rows a side (1,000) those of a random part, whose null is
    the same once scaled by n·m/(n+m). Rows are taken as independent. Refused below 2 rows a side, for NaN and infinities, without spread.
    Source: Székely & Rizzo (2013), Journal of Statistical Planning and Inference 143; directions: Baringhaus & Franz (2004), Journal of
    Multivariate Analysis 88.

    >>> rng = np.random.default_rng(0)
    >>> found = energy_distance(rng.normal(size=300), rng.normal(1.0, size=300))
    >>> found.p_value, 0.4 < found.effect.value < 1.0
    (0.001, True)
    """
    features = features_of(a, b, level=level)
    return concluded_of(
        "energy distance, permuted labels",
        "both populations have the same distribution",
        lambda: _energy(features, max_rows, level, seed),
        features,
        metric="energy distance",
    )


def _energy(features: Features, max_rows: int, level: float, seed: int) -> Outcome:
    require_finite(features)
    rng = np.random.Generator(np.random.Philox(seed))
    if features.d == 1:
        rows, directions = features, Directions(towards=np.ones((1, 1)), scale=1.0)
    else:
        rows, directions = standardised(rows_at_most(features, max_rows, rng)), _directions(features.d, rng)
    n_a, n_b = len(rows.a), len(rows.b)
    square, expected, variance = 0.0, 0.0, 0.0
    moves = np.zeros(n_a + n_b)
    for line in _lines(rows, directions):
        square += _square(line, n_a, n_b, moves)
        expected += _mean_under_null(line, n_a, n_b)
    if expected <= 0:
        raise NoSpread("every value on both sides is the same: how far the truth may be is unknown")
    scale = n_a * n_b / (n_a + n_b)
    null = _under_null(rows, directions, rng)
    variance = float(moves[:n_a].var()) / n_a + float(moves[n_a:].var()) / n_b + float(null.var()) / scale**2
    method = "influence by row and permuted labels"
    interval = root_interval(square - expected, variance, level=level, df=min(n_a, n_b) - 1, method=method)
    value = math.sqrt(max(0.0, square - expected))
    figure = Figure(value=value, interval=interval, n_units=features.n_rows, n_rows=features.n_rows)
    # Permutations that give the same statistic up to rounding count as at least as large.
    p = (1 + int(np.sum(null >= scale * square * (1 - 1e-12)))) / (1 + len(null))
    return Outcome(statistic=math.sqrt(square), p_value=p, effect=figure)


def _directions(d: int, rng: np.random.Generator) -> Directions:
    """|x| = c · E|⟨x, θ⟩| over directions θ of the unit sphere, with c = √π Γ((d+1)/2) / Γ(d/2)."""
    towards = rng.standard_normal((_DIRECTIONS, d))
    towards /= np.sqrt(np.sum(towards * towards, axis=1, keepdims=True))
    constant = math.sqrt(math.pi) * math.exp(math.lgamma((d + 1) / 2) - math.lgamma(d / 2))
    return Directions(towards=towards, scale=constant / _DIRECTIONS)


def _lines(rows: Features, directions: Directions) -> list[Line]:
    found = []
    for towards in directions.towards:
        along = np.concatenate([np.einsum("ij,j->i", side, towards) for side in (rows.a, rows.b)])
        row = np.argsort(along, kind="stable")
        found.append(Line(row=row, gap=np.diff(along[row]) * directions.scale))
    return found


def _square(line: Line, n_a: int, n_b: int, moves: Array) -> float:
    """2 ∫ (G − F)²; adds to `moves` by how much each row moves it.

    A row of b at x lifts G from x on, and E² by 4 ∫_x (G − F); a row of a lifts F, and moves it the other way.
    """
    is_b = line.row >= n_a
    apart = np.cumsum(np.where(is_b, 1 / n_b, -1 / n_a))[:-1]
    steps = apart * line.gap
    square = 2 * float(np.sum(apart * steps))
    upto = np.concatenate([[0.0], np.cumsum(steps)])
    moves[line.row] += np.where(is_b, 4.0, -4.0) * (upto[-1] - upto)
    return square


def _mean_under_null(line: Line, n_a: int, n_b: int) -> float:
    """E² on average over permuted labels: what sampling alone gives."""
    n = n_a + n_b
    upto = np.arange(1.0, n)
    return 2 * float(np.sum(upto * (n - upto) * line.gap)) / (n - 1) / n_a / n_b


def _under_null(rows: Features, directions: Directions, rng: np.random.Generator) -> Array:
    """n·m/(n+m) · E² under permuted labels; one permutation of the rows is seen along every direction."""
    is_one = len(directions.towards) == 1
    part = rows_at_most(rows, _NULL_ROWS if is_one else _NULL_ROWS_OF_MANY, rng)
    n_a, n_b = len(part.a), len(part.b)
    lines = _lines(part, directions)
    row, gap = np.array([line.row for line in lines]), np.array([line.gap for line in lines])
    labels = np.concatenate([np.full(n_a, -1 / n_a), np.full(n_b, 1 / n_b)])
    found = np.empty(_DRAWS if is_one else _DRAWS_OF_MANY)
    for i in range(len(found)):
        rng.shuffle(labels)
        apart = np.cumsum(labels[row], axis=1)[:, :-1]
        found[i] = np.sum(apart * apart * gap)
    return found * (2 * n_a * n_b / (n_a + n_b))
