"""How good is a model on every slice of its rows, all of them in one pass?

    table = by_slice(y, score, {"origin": origin, "distance": distance}, theirs=champion, unit=day)
    print(table)
    table.find("roc_auc", "origin=JFK").interval

The scores are sorted once. Then each column costs one counting sort and one walk, with the interval of every figure; nothing of the size
slices × units is made. Losses are ratios of sums; areas and average precisions have their influence function (`influence`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.estimates import Rows, estimated, require_binary, require_weights, rows_of
from gonogo.stats.figure import Figure
from gonogo.stats.influence import LOGIT, PLAIN, RankedRows, Scale, average_precision, rank_rows, roc_auc
from gonogo.stats.probabilities import EPS, LEAST_OF_A_CLASS, require_probabilities
from gonogo.stats.refusals import Refused, TooFewUnits, Undefined
from gonogo.stats.scores import LEAST_OF_A_CLASS as LEAST_RANKED
from gonogo.stats.scores import LEAST_UNITS
from gonogo.stats.slice_columns import Columns, Cut, cut_columns
from gonogo.stats.spread_by_unit import UnitRows, interval_of_powers, powers_of_units, unit_rows
from gonogo.types.evidence import Estimate, Linearised, Of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from gonogo.types.evidence import Array, IntArray


@dataclass(frozen=True, kw_only=True, slots=True)
class Slices:
    """Every figure of every slice: the whole table first (slice ""), then column by column."""

    estimates: tuple[Estimate, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The slices, "origin=JFK" and so on, in their order."""
        return tuple(dict.fromkeys(one.slice for one in self.estimates if one.slice))

    def of(self, metric: str, of: Of = Of.CHALLENGER) -> tuple[Estimate, ...]:
        """One figure for every slice, the whole table left out."""
        return tuple(one for one in self.estimates if one.metric == metric and one.of is of and one.slice)

    def find(self, metric: str, slice: str = "", of: Of = Of.CHALLENGER) -> Estimate:  # noqa: A002
        """One figure of one slice; "" is the whole table. Raises KeyError where it was not asked for."""
        found = (one for one in self.estimates if (one.metric, one.slice, one.of) == (metric, slice, of))
        for one in found:
            return one
        raise KeyError(f"{metric} of {slice or 'the whole table'}")

    def __iter__(self) -> Iterator[Estimate]:
        return iter(self.estimates)

    def __len__(self) -> int:
        return len(self.estimates)

    def __str__(self) -> str:
        return "\n".join(str(one) for one in self.estimates)


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """One figure of each of n slices, and what its spread is made of."""

    value: Array  # (n,) NaN where it is undefined
    squares: Array  # (n,) Σ e² over units
    fourths: Array  # (n,) Σ e⁴ over units; 0 for losses, whose t has G − 1 degrees of freedom


@dataclass(frozen=True, kw_only=True, slots=True)
class Sliced:
    """How many rows and units each slice holds, and its figures."""

    labels: tuple[str, ...]
    n_rows: IntArray  # (n,)
    n_units: IntArray  # (n,) with weight
    positives: IntArray  # (n,) rows with weight
    negatives: IntArray  # (n,)
    figures: dict[tuple[str, Of], Measured]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Kind:
    """What a figure is, apart from its value."""

    measured_in: str
    better: str
    scale: Scale
    source: str  # of its interval
    least: int  # rows of the rarer class
    is_ranking: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Arm:
    """One model's scores, sorted once."""

    ranked: RankedRows | None  # None where no figure of a ranking is asked for
    losses: dict[str, Array]  # name → (n,)
    centres: dict[str, float]  # name → the mean loss of the whole table
    centred: Array  # (n, losses): each loss about its centre; without rows where sums alone will not do


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Rows with one or two models, prepared for any number of cuts."""

    rows: Rows
    arms: dict[Of, Arm]
    metrics: tuple[str, ...]
    is_plain: bool  # one model, and rows without weight or unit: sums will do, no row's influence is needed
    positives: IntArray  # row numbers of the positives that have weight
    units: UnitRows


def by_slice(
    y: ArrayLike,
    score: ArrayLike,
    columns: Columns,
    *,
    theirs: ArrayLike | None = None,
    metrics: tuple[str, ...] = ("log_loss", "brier_score", "roc_auc", "average_precision"),
    pairs: bool = False,
    bins: int = 5,
    min_units: int = 30,
    weight: ArrayLike | None = None,
    unit: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Slices:
    """Every metric with its interval, for the whole table and for every slice of every column.

    columns: name → (n,) values. Words, and numbers of at most 20 values, are slices as they stand; other numbers are cut into `bins` of
    about equally many rows. pairs: every pair of columns as well. theirs: the scores of another model on the same rows; each figure is
    then given for both, and for the paired difference. metrics: some of METRICS.
    A slice of fewer than min_units units is refused, as is a loss below 20 and a ranking below 50 rows of the rarer class. Intervals are
    closed forms, each by itself at `level`: clustered t for losses, DeLong and influence on the logit scale for rankings; `seed` has no
    effect.
    Raises ValueError for columns of other rows, columns of more than 10,000 values and metrics that are not among METRICS.

    >>> rng = np.random.default_rng(0)
    >>> p = rng.uniform(size=4000)
    >>> y = rng.uniform(size=4000) < p
    >>> table = by_slice(y, p, {"place": np.arange(4000) % 2}, metrics=("roc_auc",))
    >>> table.names
    ('place=0', 'place=1')
    >>> table.find("roc_auc", "place=1").n_rows
    2000
    """
    rows = rows_of(y, score, weight=weight, unit=unit, level=level)
    other = None if theirs is None else rows_of(y, theirs, weight=weight, unit=None).score
    if unknown := set(metrics) - set(METRICS):
        raise ValueError(f"no figure by slice is called {', '.join(sorted(unknown))}; there are {', '.join(METRICS)}")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        cutting = pool.submit(cut_columns, columns, rows.n, bins=bins, pairs=pairs)
        try:
            table = prepare(rows, other, metrics)
        except Refused as refused:
            return Slices(estimates=tuple(_refused(rows, cutting.result(), metrics, other is not None, str(refused))))
        measured = list(pool.map(partial(measure_cut, table), (_whole(rows.n), *cutting.result())))
    said = (_estimates(table, one, min_units if i else 2, level) for i, one in enumerate(measured))
    return Slices(estimates=tuple(estimate for some in said for estimate in some))


# ── prepared once ───────────────────────────────────────────────────────────────────────────────────────────────────────


def prepare(rows: Rows, theirs: Array | None, metrics: tuple[str, ...]) -> Table:
    """Losses row by row and scores sorted, for one model or two. Raises Refused for values of which no figure can be made."""
    require_binary(rows.y)
    require_weights(rows.weight)
    scores = {Of.CHALLENGER: rows.score} | ({} if theirs is None else {Of.CHAMPION: theirs})
    is_plain = rows.weight is None and rows.unit is None and theirs is None
    arms = {of: _arm(rows, one, metrics, is_plain=is_plain) for of, one in scores.items()}
    positives = np.flatnonzero(rows.y if rows.weight is None else rows.y * rows.weight)
    return Table(rows=rows, arms=arms, metrics=metrics, is_plain=is_plain, positives=positives, units=unit_rows(rows.unit, rows.n_units))


def _arm(rows: Rows, score: Array, metrics: tuple[str, ...], *, is_plain: bool) -> Arm:
    asked = {name: loss for name, loss in _LOSSES.items() if name in metrics}
    if asked:
        require_probabilities(score)
    losses = {name: loss(rows.y, score) for name, loss in asked.items()}
    centres = {name: float(loss.mean()) if len(loss) else 0.0 for name, loss in losses.items()}
    centred = np.empty((rows.n if is_plain else 0, len(losses)))
    if is_plain:
        for i, (name, loss) in enumerate(losses.items()):
            np.subtract(loss, centres[name], out=centred[:, i])
    is_ranked = any(METRICS[name].is_ranking for name in metrics)
    ranked = rank_rows(rows.y, score, rows.weight) if is_ranked else None
    return Arm(ranked=ranked, losses=losses, centres=centres, centred=centred)


def _whole(n: int) -> Cut:
    return Cut(labels=("",), code=np.zeros(n, dtype=np.int16))


# ── one cut ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def measure_cut(table: Table, cut: Cut) -> Sliced:
    """Every figure of every slice of one column."""
    return _of_sums(table, cut) if table.is_plain else _of_influences(table, cut)


def _of_sums(table: Table, cut: Cut) -> Sliced:
    """Rows of no weight and no unit, of one model: no row's influence is needed."""
    from gonogo.stats.kernels_slices import moments_by_slice

    arm = table.arms[Of.CHALLENGER]
    sums = moments_by_slice(arm.centred, cut.code, len(cut.labels))
    n_rows, positives = sums[:, 0].astype(np.int64), np.bincount(cut.code[table.positives], minlength=len(cut.labels))
    found = _plain_losses(arm, sums)
    if arm.ranked is not None:
        found |= _plain_rankings(arm.ranked, cut, n_rows)
    return Sliced(
        labels=cut.labels,
        n_rows=n_rows,
        n_units=n_rows,
        positives=positives,
        negatives=n_rows - positives,
        figures={(name, Of.CHALLENGER): found[name] for name in table.metrics},
    )


def _plain_losses(arm: Arm, sums: Array) -> dict[str, Measured]:
    """The squares are taken about the mean of the whole table, so that a loss that hardly varies is not lost in its own size."""
    n, found = sums[:, 0], {}
    with np.errstate(divide="ignore", invalid="ignore"):
        for i, (name, centre) in enumerate(arm.centres.items()):
            first, second = sums[:, 1 + 2 * i], sums[:, 2 + 2 * i]
            squares = np.maximum(second - first * first / n, 0.0) / n**2
            found[name] = Measured(value=centre + first / n, squares=squares, fourths=np.zeros(len(n)))
    return found


def _plain_rankings(ranked: RankedRows, cut: Cut, n_rows: IntArray) -> dict[str, Measured]:
    from gonogo.stats.kernels_slices import deal, ranking_sums

    start = np.concatenate([[0], np.cumsum(n_rows)])
    sums = ranking_sums(deal(ranked.row, ranked.key, cut.code, start), start)
    negatives, positives = sums[:, 0], sums[:, 1]
    lost, below, swayed, others = sums[:, 2:6], sums[:, 6:10], sums[:, 11:15], sums[:, 15:17]
    with np.errstate(divide="ignore", invalid="ignore"):
        miss = np.where(negatives > 0, lost[:, 0] / positives, np.nan)  # 1 − the area
        of_positives, of_negatives = _central(lost, positives, miss), _central(below, negatives, miss)
        area = Measured(
            value=1 - miss,
            squares=of_positives[0] / positives**2 + of_negatives[0] / negatives**2,
            fourths=of_positives[1] / positives**4 + of_negatives[1] / negatives**4,
        )
        precision = sums[:, 10] / positives
        of_positives = _central(swayed, positives, precision)
        mean_precision = Measured(
            value=precision,
            squares=(of_positives[0] + others[:, 0]) / positives**2,
            fourths=(of_positives[1] + others[:, 1]) / positives**4,
        )
    return {"roc_auc": area, "average_precision": mean_precision}


def _central(powers: Array, n: Array, centre: Array) -> tuple[Array, Array]:
    """Σ (x − centre)² and Σ (x − centre)⁴ from Σ x … Σ x⁴ of n numbers."""
    p1, p2, p3, p4 = powers.T
    second = p2 - 2 * centre * p1 + n * centre**2
    fourth = p4 - 4 * centre * p3 + 6 * centre**2 * p2 - 4 * centre**3 * p1 + n * centre**4
    return np.maximum(second, 0.0), np.maximum(fourth, 0.0)


def _of_influences(table: Table, cut: Cut) -> Sliced:
    """Rows with weights, units or two models: every row's influence, added up by unit."""
    grouped = {
        of: None if arm.ranked is None else arm.ranked.by_group(cut.code.astype(np.int64), len(cut.labels))
        for of, arm in table.arms.items()
    }
    n_units = np.zeros(len(cut.labels), dtype=np.int64)
    figures: dict[tuple[str, Of], Measured] = {}
    for name in table.metrics:
        found = {of: linearise(table, cut, name, of, grouped[of]) for of in table.arms}
        if len(found) == 2:
            ours, theirs = found[Of.CHALLENGER], found[Of.CHAMPION]
            found[Of.DIFFERENCE] = Linearised(ours.value - theirs.value, ours.influence - theirs.influence)
        influence = np.stack([one.influence for one in found.values()], axis=1)
        powers = powers_of_units(influence, cut.code, len(cut.labels), table.units, table.rows.weight)
        n_units, fourths = powers.n_units, powers.fourths * METRICS[name].is_ranking
        for i, (of, one) in enumerate(found.items()):
            figures[name, of] = Measured(value=one.value, squares=powers.squares[:, i], fourths=fourths[:, i])
    n, weight = len(cut.labels), table.rows.weight
    n_rows = np.bincount(cut.code, minlength=n)
    there = n_rows if weight is None else np.bincount(cut.code[weight > 0], minlength=n)
    positives = np.bincount(cut.code[table.positives], minlength=n)
    return Sliced(labels=cut.labels, n_rows=n_rows, n_units=n_units, positives=positives, negatives=there - positives, figures=figures)


def linearise(table: Table, cut: Cut, name: str, of: Of, grouped: RankedRows | None) -> Linearised:
    """One figure of one model by slice, and each row's share in its error."""
    if name in _RANKINGS and grouped is not None:
        return _RANKINGS[name](grouped)
    loss, weight = table.arms[of].losses[name], table.rows.weight
    n = len(cut.labels)
    total = np.bincount(cut.code, weights=weight, minlength=n).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.bincount(cut.code, weights=loss if weight is None else loss * weight, minlength=n) / total
        share = (1 / total)[cut.code] if weight is None else weight / total[cut.code]
    return Linearised(mean, np.where(share > 0, (loss - mean[cut.code]) * share, 0.0))


# ── estimates ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _estimates(table: Table, sliced: Sliced, min_units: int, level: float) -> Iterator[Estimate]:
    for i, label in enumerate(sliced.labels):
        for name in table.metrics:
            for of in _arms(len(table.arms) == 2):
                yield estimated(
                    name,
                    partial(figure_of_slice, sliced, i, name, of, min_units=min_units, level=level),
                    n_rows=int(sliced.n_rows[i]),
                    n_units=int(sliced.n_units[i]),
                    better=METRICS[name].better,
                    measured_in=METRICS[name].measured_in,
                    of=of,
                    slice=label,
                )


def _arms(is_paired: bool) -> tuple[Of, ...]:
    return tuple(Of) if is_paired else (Of.CHALLENGER,)


def figure_of_slice(sliced: Sliced, i: int, name: str, of: Of, *, min_units: int, level: float) -> Figure:
    """One figure of one slice with its interval. Raises Refused where the slice is too small, or holds one class only."""
    n_units, kind, measured = int(sliced.n_units[i]), METRICS[name], sliced.figures[name, of]
    require_enough(sliced, i, kind, min_units=min_units)
    value, squares, fourths = (float(one[i]) for one in (measured.value, measured.squares, measured.fourths))
    scale, source = (PLAIN, f"paired {kind.source}") if of is Of.DIFFERENCE else (kind.scale, kind.source)
    interval = interval_of_powers(value, squares, fourths, n_units, level=level, scale=scale, source=source)
    return Figure(value=value, interval=interval, n_units=n_units, n_rows=int(sliced.n_rows[i]))


def require_enough(sliced: Sliced, i: int, kind: _Kind, *, min_units: int) -> None:
    """Raises Refused for a slice of too few units, of one class only, or of too few rows of the rarer class."""
    n_units, rarer = int(sliced.n_units[i]), int(min(sliced.positives[i], sliced.negatives[i]))
    least = max(min_units, LEAST_UNITS if kind.is_ranking else 2)
    if n_units < least:
        raise TooFewUnits(f"{n_units:,} units of {least:,} asked")
    if rarer == 0:
        raise Undefined(
            "one class only: there is nothing to rank" if kind.is_ranking else "one class only: what the other costs was never seen"
        )
    if rarer < kind.least:
        raise TooFewUnits(f"{rarer} rows of the rarer class of {kind.least} needed")


# ── the figures there are ───────────────────────────────────────────────────────────────────────────────────────────────


def _log_losses(y: Array, score: Array) -> Array:
    return np.asarray(-np.log(np.clip(np.where(y == 1, score, 1 - score), EPS, 1.0)))


def _squared_errors(y: Array, score: Array) -> Array:
    return np.square(score - y)


_LOSSES: dict[str, Callable[[Array, Array], Array]] = {"log_loss": _log_losses, "brier_score": _squared_errors}
_RANKINGS: dict[str, Callable[[RankedRows], Linearised]] = {"roc_auc": roc_auc, "average_precision": average_precision}
METRICS = {
    "log_loss": _Kind(measured_in="nats", better="lower", scale=PLAIN, source="cluster-robust", least=LEAST_OF_A_CLASS, is_ranking=False),
    "brier_score": _Kind(measured_in="", better="lower", scale=PLAIN, source="cluster-robust", least=LEAST_OF_A_CLASS, is_ranking=False),
    "roc_auc": _Kind(measured_in="", better="higher", scale=LOGIT, source="DeLong", least=LEAST_RANKED, is_ranking=True),
    "average_precision": _Kind(measured_in="", better="higher", scale=LOGIT, source="influence", least=LEAST_RANKED, is_ranking=True),
}


def _refused(rows: Rows, cuts: tuple[Cut, ...], metrics: tuple[str, ...], is_paired: bool, why: str) -> Iterator[Estimate]:
    """Every figure of every slice, without a value: no figure can be made of such rows."""
    for cut in (_whole(rows.n), *cuts):
        n_rows = np.bincount(cut.code, minlength=len(cut.labels))
        for i, label in enumerate(cut.labels):
            for name in metrics:
                for of in _arms(is_paired):
                    yield Estimate(
                        metric=name,
                        of=of,
                        slice=label,
                        value=None,
                        interval=None,
                        n_units=rows.n_units if not label else 0,
                        n_rows=int(n_rows[i]),
                        measured_in=METRICS[name].measured_in,
                        better=METRICS[name].better,
                        refused=why,
                    )
