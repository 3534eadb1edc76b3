"""Can a classifier tell the rows of two populations apart?

Half of the rows teach it, the other half are scored: the area under the ROC curve of those is 0.5 where nothing tells them apart. Scores of
rows that it has not seen are independent given the classifier, so the test on them is exact, and with any classifier.

It is not cross-fitted, on purpose. The areas of the two halves move together: a linear rule that is learnt on one half scores the other
just as that one's rule scores it. Their mean varies up to √2 times more than that of two independent areas would, and a test that takes
them for independent calls equal populations different up to three times too often.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.distributions import t_quantile
from gonogo.stats.features import Features, concluded_of, features_of
from gonogo.stats.figure import Figure
from gonogo.stats.ranks import superiority_test
from gonogo.stats.refusals import TooFewUnits
from gonogo.stats.scientific import special
from gonogo.stats.two_samples import Outcome, Pair, joint_codes, pair_of
from gonogo.types.evidence import Interval, Tested

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from gonogo.types.evidence import Array, IntArray

    Mask = NDArray[np.bool_]

_KNOTS = 65  # pooled quantiles between which a column is bent to a normal shape
_CROSSED = 12  # columns whose products are terms as well
_RIDGE = 0.01  # of a term's variance; and as many times more as there are terms for a row
_LEAST = 10  # rows of a side in either half
_LARGEST = 1e150  # what stands for infinity among the columns
_REPEATED = 0.01  # of the rows of a side: if fewer repeat within it, and more are on the other side too, those are one and the same
_TINY = 1e-12
_CHUNK = 4_096


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawn:
    """The rows of one side that take part."""

    rows: Array  # (n, d)
    unit: IntArray | None

    @property
    def n(self) -> int:
        """Rows."""
        return len(self.rows)


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """How rows become terms: learnt on the half that teaches."""

    bends: tuple[tuple[Array, Array], ...]  # of each column: values, and the normal value at each; straight lines between
    crossed: IntArray  # columns whose products are terms


def classifier_two_sample(
    a: ArrayLike,
    b: ArrayLike,
    *,
    unit_a: ArrayLike | None = None,
    unit_b: ArrayLike | None = None,
    max_rows: int = 20_000,
    level: float = 0.95,
    seed: int = 0,
) -> Tested:
    """Whether a classifier tells rows of a and b apart: the effect is the area under its ROC curve on rows it has not seen, 0.5 for chance.

    a, b: (n,) or (n, d) numbers; NaN is a value of its own, infinities are extremes. At most max_rows rows a side are used, drawn by seed.
    The classifier is a regularised linear discriminant over each column bent to normal shape, its square, whether it is missing, and the
    products of the 12 columns that tell most: it sees shifts, spreads and correlations. Where units are given, a unit is in one half only
    and the test is clustered. Refused below 20 rows a side: halves of fewer teach nothing.
    Source: Lopez-Paz & Oquab (2017), ICLR; Kim et al. (2021), Annals of Statistics 49.

    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(2000, 1))
    >>> found = classifier_two_sample(rng.normal(size=(2000, 2)), np.hstack([x, 0.8 * x + 0.6 * rng.normal(size=(2000, 1))]))
    >>> found.effect.value > 0.6, found.p_value < 0.001
    (True, True)
    """
    both = features_of(a, b, level=level)
    units = joint_codes(unit_a, unit_b, len(both.a), len(both.b))[:2]
    clustered = "" if units[0] is None else ", by unit"
    return concluded_of(
        f"classifier two-sample, held-out half{clustered}",
        "nothing tells rows of the two populations apart",
        lambda: _told_apart(both, units, max_rows, level, np.random.Generator(np.random.Philox(seed))),
        both,
        metric="area under the ROC curve",
    )


def _told_apart(
    both: Features, units: tuple[IntArray | None, IntArray | None], max_rows: int, level: float, rng: np.random.Generator
) -> Outcome:
    a, b = _drawn(both.a, units[0], max_rows, rng), _drawn(both.b, units[1], max_rows, rng)
    learns_a, learns_b = _learns(a, b, rng)
    if min(int(part.sum()) for part in (learns_a, ~learns_a, learns_b, ~learns_b)) < _LEAST:
        raise TooFewUnits(f"{a.n:,} and {b.n:,} rows: a classifier needs {2 * _LEAST} of each, half of them to learn from")
    terms = _learnt_terms(a.rows[learns_a], b.rows[learns_b])
    towards = _discriminant(terms, a.rows[learns_a], b.rows[learns_b])
    score_a, score_b = _scores(terms, towards, a.rows[~learns_a]), _scores(terms, towards, b.rows[~learns_b])
    if a.unit is None or b.unit is None:
        pair = pair_of(score_a, score_b, level=level)
    else:
        pair = pair_of(score_a, score_b, unit_a=a.unit[~learns_a], unit_b=b.unit[~learns_b], level=level)
    if not towards.any() and (a.rows != a.rows[0]).any():
        return _nothing_learnt(pair, level)
    return superiority_test(pair, level=level)


def _nothing_learnt(pair: Pair, level: float) -> Outcome:
    """One half, where the halves that teach do not differ at all, as those of two copies; as wide as any score's area under the null."""
    n_a, n_b = pair.a.n_units, pair.b.n_units
    half = t_quantile((1 + level) / 2, min(n_a, n_b) - 1) * math.sqrt((n_a + n_b + 1) / (12 * n_a * n_b))
    interval = Interval(low=max(0.0, 0.5 - half), high=min(1.0, 0.5 + half), level=level, method="of any score, where nothing differs")
    return Outcome(statistic=0.5, p_value=1.0, effect=Figure(value=0.5, interval=interval, n_units=pair.n_units, n_rows=pair.n_rows))


def _drawn(rows: Array, unit: IntArray | None, most: int, rng: np.random.Generator) -> Drawn:
    if len(rows) <= most:
        return Drawn(rows=rows, unit=unit)
    kept = np.sort(rng.choice(len(rows), most, replace=False))
    return Drawn(rows=rows[kept], unit=None if unit is None else unit[kept])


def _learns(a: Drawn, b: Drawn, rng: np.random.Generator) -> tuple[Mask, Mask]:
    """Which rows teach: half of either side, or half of the units with all their rows."""
    unit_a, unit_b = (a.unit, b.unit) if a.unit is not None and b.unit is not None else _alike(a.rows, b.rows)
    if unit_a is None or unit_b is None:
        return _half(a.n, rng), _half(b.n, rng)
    labels = np.union1d(unit_a, unit_b)
    learns = np.zeros(int(labels.max(initial=0)) + 1, dtype=bool)
    for those in (np.setdiff1d(labels, unit_b), np.setdiff1d(labels, unit_a), np.intersect1d(unit_a, unit_b)):
        learns[those[_half(len(those), rng)]] = True  # half of the units of a alone, of b alone, and of those on both sides
    return learns[unit_a], learns[unit_b]


def _alike(a: Array, b: Array) -> tuple[IntArray | None, IntArray | None]:
    """Which rows are one and the same, where rows hardly ever repeat within a side but do on both, which is then no chance; else None.

    Tables that overlap hold such rows. A classifier that learns that a row is of a errs where the same row of b is held out: its area falls
    below one half, and two copies of one file would seem to differ.
    """
    both = np.ascontiguousarray(np.concatenate([a, b])) + 0.0  # −0 is 0
    rows = both.view(np.dtype((np.void, both.itemsize * both.shape[1]))).ravel()
    _, code = np.unique(rows, return_inverse=True)
    of_a, of_b = code[: len(a)].astype(np.int64), code[len(a) :].astype(np.int64)
    is_seldom_within = all(len(np.unique(side)) >= (1 - _REPEATED) * len(side) for side in (of_a, of_b))
    is_often_on_both = len(np.intersect1d(of_a, of_b)) > _REPEATED * min(len(of_a), len(of_b))
    return (of_a, of_b) if is_seldom_within and is_often_on_both else (None, None)


def _half(n: int, rng: np.random.Generator) -> Mask:
    chosen = np.zeros(n, dtype=bool)
    chosen[rng.permutation(n)[: n // 2]] = True
    return chosen


def _learnt_terms(a: Array, b: Array) -> Terms:
    both = np.concatenate([a, b])
    bends = tuple(_bend(both[:, j]) for j in range(both.shape[1]))
    terms = Terms(bends=bends, crossed=np.arange(0))
    shaped_a, shaped_b = _shaped(terms, a), _shaped(terms, b)
    telling = np.abs(shaped_a.mean(axis=0) - shaped_b.mean(axis=0)) + np.abs((shaped_a**2).mean(axis=0) - (shaped_b**2).mean(axis=0))
    return Terms(bends=bends, crossed=np.sort(np.argsort(-telling, kind="stable")[:_CROSSED]))


def _bend(column: Array) -> tuple[Array, Array]:
    """Distinct pooled quantiles, and the normal value of the share of rows below each, half of those that equal it among them."""
    ndtri = special().ndtri

    known = np.sort(column[~np.isnan(column)])
    if not len(known):
        return np.zeros(1), np.zeros(1)
    knots = np.unique(known[np.linspace(0, len(known) - 1, _KNOTS).astype(np.int64)])
    middle = 0.5 * (np.searchsorted(known, knots, side="left") + np.searchsorted(known, knots, side="right")) / len(known)
    finite = np.clip(knots, -_LARGEST, _LARGEST)  # an infinite knot is an extreme, and lines to it stay numbers
    return finite, ndtri(np.clip(middle, 0.5 / len(known), 1 - 0.5 / len(known)))


def _shaped(terms: Terms, rows: Array) -> Array:
    """(n, d): each column bent to a normal shape, 0 where it is missing."""
    shaped = np.empty(rows.shape)
    for j, (knots, normal) in enumerate(terms.bends):
        column = np.clip(rows[:, j], -_LARGEST, _LARGEST)
        shaped[:, j] = np.where(np.isnan(column), 0.0, np.interp(column, knots, normal))
    return shaped


def _written(terms: Terms, rows: Array) -> Array:
    """(n, k): shape, square and missing of each column, and products of those that are crossed."""
    shaped = _shaped(terms, rows)
    first, second = np.triu_indices(len(terms.crossed), k=1)
    products = shaped[:, terms.crossed[first]] * shaped[:, terms.crossed[second]]
    return np.concatenate([shaped, shaped * shaped - 1, np.isnan(rows).astype(np.float64), products], axis=1)


def _discriminant(terms: Terms, a: Array, b: Array) -> Array:
    """Fisher's linear discriminant over the terms: (Σ + ridge)⁻¹ (mean of b − mean of a), each term in its own standard deviations."""
    written_a, written_b = _written(terms, a), _written(terms, b)
    mean_a, mean_b = written_a.mean(axis=0), written_b.mean(axis=0)
    within = np.concatenate([written_a - mean_a, written_b - mean_b])
    sd = within.std(axis=0)
    # What is the same in every row of a side tells all where the sides differ in it: then their distance is its scale.
    sd = np.where(sd > _TINY, sd, np.abs(mean_b - mean_a))
    sd = np.where(sd > _TINY, sd, np.inf)
    within /= sd
    covariance = np.einsum("ni,nj->ij", within, within, optimize=False) / len(within)
    ridge = _RIDGE + len(sd) / len(within)
    return np.asarray(np.linalg.solve(covariance + ridge * np.eye(len(sd)), (mean_b - mean_a) / sd) / sd)


def _scores(terms: Terms, towards: Array, rows: Array) -> Array:
    return np.concatenate(
        [np.zeros(0)]
        + [np.einsum("nk,k->n", _written(terms, rows[start : start + _CHUNK]), towards) for start in range(0, len(rows), _CHUNK)]
    )
