"""How far apart are the mean pictures of two populations in a space where every difference shows?

The maximum mean discrepancy under a Gaussian kernel. The kernel is written out as random Fourier features, cos and sin of 64 random
frequencies, so that the picture of a row is 128 numbers, that of a sample their mean, and time and memory are linear in the rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.features import Features, concluded_of, features_of, require_finite, rows_at_most, standardised
from gonogo.stats.figure import Figure
from gonogo.stats.quadratic_forms import weighted_chi_square_tail
from gonogo.stats.refusals import NoSpread
from gonogo.stats.two_samples import Outcome, root_interval
from gonogo.types.evidence import Tested

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from gonogo.types.evidence import Array

_FREQUENCIES = 64
_WIDTH_ROWS = 500  # of either side, from whose distances the kernel's width is taken
_COVARIANCE_ROWS = 5_000  # of either side, from which the covariance of the pictures is taken
_CHUNK = 8_192


@dataclass(frozen=True, kw_only=True, slots=True)
class Pictures:
    """Where the rows lie among the features, as far as mean and spread go."""

    mean: Array  # (k,)
    covariance: Array  # (k, k) of one row, from at most `_COVARIANCE_ROWS` rows
    n: int


def maximum_mean_discrepancy(a: ArrayLike, b: ArrayLike, *, level: float = 0.95, seed: int = 0) -> Tested:
    """Whether the distributions differ anywhere: the maximum mean discrepancy, 0 for equal ones, at most √2.

    a, b: (n,) or (n, d) finite numbers; columns are divided by their pooled standard deviation. The kernel is Gaussian, its width the
    median distance of pooled rows; the 64 frequencies follow from seed. statistic: n·m/(n+m) times the squared distance of the means.
    p-value: of its limit Σ λ χ²(1), λ the eigenvalues of the pooled covariance. The effect has the mean under the null taken off.
    Rows are taken as independent. O(n) in time, chunk by chunk. Refused below 2 rows a side, for NaN and infinities, without any spread.
    Source: Gretton et al. (2012), JMLR 13; Rahimi & Recht (2007), NIPS 20.

    >>> rng = np.random.default_rng(0)
    >>> maximum_mean_discrepancy(rng.normal(size=300), rng.normal(0.0, 2.0, size=300)).p_value < 0.001
    True
    """
    features = features_of(a, b, level=level)
    return concluded_of(
        "maximum mean discrepancy, random Fourier features",
        "both populations have the same distribution",
        lambda: _discrepancy(features, level, seed),
        features,
        metric="maximum mean discrepancy",
    )


def _discrepancy(features: Features, level: float, seed: int) -> Outcome:
    require_finite(features)
    rng = np.random.Generator(np.random.Philox(seed))
    frequencies = _frequencies(features, rng)
    part = rows_at_most(features, _COVARIANCE_ROWS, rng)
    a, b = _pictures(features.a, part.a, frequencies), _pictures(features.b, part.b, frequencies)
    gap = b.mean - a.mean
    square, scale = float(np.sum(gap * gap)), a.n * b.n / (a.n + b.n)
    pooled = _pooled_covariance(a, b, gap)
    eigenvalues = np.maximum(np.linalg.eigvalsh(pooled), 0.0)
    trace = float(eigenvalues.sum())
    within = a.covariance / a.n + b.covariance / b.n
    unbiased = square - float(np.trace(within))
    variance = 4 * float(np.einsum("i,ij,j->", gap, within, gap)) + 2 * float(np.sum(within * within))
    interval = root_interval(
        unbiased, variance, level=level, df=min(a.n, b.n) - 1, most=math.sqrt(2), method="delta method of MMD² and its null variance"
    )
    figure = Figure(value=math.sqrt(max(0.0, unbiased)), interval=interval, n_units=features.n_rows, n_rows=features.n_rows)
    p = weighted_chi_square_tail(scale * square, eigenvalues[eigenvalues > 1e-9 * trace])
    return Outcome(statistic=scale * square, p_value=p, effect=figure)


def _frequencies(features: Features, rng: np.random.Generator) -> Array:
    """(d, 64): Gaussian, over each column's pooled spread and the median distance of pooled rows."""
    sample = rows_at_most(features, _WIDTH_ROWS, rng)
    sd = np.concatenate([sample.a, sample.b]).std(axis=0)
    rows = standardised(sample)
    both = np.concatenate([rows.a, rows.b])
    other = both[rng.permutation(len(both))]
    width = float(np.median(np.sqrt(np.sum((both - other) ** 2, axis=1))))
    if not np.any(sd > 0):
        raise NoSpread("every value on both sides is the same: how far the truth may be is unknown")
    # More than half of the pairs may tie: then the kernel is as wide as the columns' own spread.
    width = width if width > 0 else math.sqrt(features.d)
    spread = np.where(sd > 0, sd, np.inf)[:, None]
    return np.asarray(rng.standard_normal((features.d, _FREQUENCIES)) / (width * spread))


def _pictures(rows: Array, part: Array, frequencies: Array) -> Pictures:
    total = np.zeros(2 * _FREQUENCIES)
    for start in range(0, len(rows), _CHUNK):
        total += _picture(rows[start : start + _CHUNK], frequencies).sum(axis=0)
    drawn = _picture(part, frequencies)
    drawn -= drawn.mean(axis=0)
    return Pictures(mean=total / len(rows), covariance=np.einsum("ni,nj->ij", drawn, drawn, optimize=False) / (len(part) - 1), n=len(rows))


def _picture(rows: Array, frequencies: Array) -> Array:
    """(n, 128): the dot product of two rows' pictures is the kernel, on average over the frequencies."""
    angle = np.einsum("nd,dk->nk", rows, frequencies)
    return np.concatenate([np.cos(angle), np.sin(angle)], axis=1) / math.sqrt(_FREQUENCIES)


def _pooled_covariance(a: Pictures, b: Pictures, gap: Array) -> Array:
    """Of a row of either side around the mean of all: what permuted labels would see."""
    n = a.n + b.n
    return ((a.n - 1) * a.covariance + (b.n - 1) * b.covariance + a.n * b.n / n * np.multiply.outer(gap, gap)) / (n - 1)
