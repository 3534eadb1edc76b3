"""How well are several classes told apart, and how sure is that?

    y        (n,) the class of each row: text, numbers, anything that sorts; rows of weight 0 are not there
    score    either (n,) the predicted class, or (n, k) a probability (or any score) of each class; the highest, the first of equal ones,
             is then the predicted class
    labels   (k,) which class each column of `score` is about; needed where `score` has columns

A class of which y has no row has no recall and nothing to rank: it is left out of means over classes, and the interval's method names it.
It is never counted as 0, as scikit-learn's macro averages do. What was predicted as that class stays wrong for the others.

All intervals come from sums by unit, with the delta method where a figure is no ratio of sums: `seed` has no effect. Refused: NaN, fewer
than 2 units, and classes too small for their figure's interval.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gonogo.stats.clustered import ratio_of_sums, ratio_of_unit_sums, sums_by_unit
from gonogo.stats.estimates import as_floats, estimated, require_level, require_weights, unit_codes
from gonogo.stats.figure import Figure
from gonogo.stats.influence import LOGIT, interval_of_influence, rank_rows, roc_auc
from gonogo.stats.refusals import NoSpread, NotFinite, Undefined
from gonogo.types.evidence import UnitScores

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from gonogo.types.evidence import Array, Estimate, IntArray

LEAST_TO_RANK = 50  # rows of a class and of the others, as for the area of two classes
LEAST_TO_NAME = 20  # rows of a class, below which the interval of its F1 holds the truth too seldom
EPS = float(np.finfo(np.float64).eps)  # a probability of 0 of what came true costs −log(EPS) = 36 nats, as in scikit-learn
_SUM_TO_ONE = 1e-4  # how far probabilities of 32 bits may miss


def accuracy(
    y: ArrayLike,
    score: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    unit: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """The share of rows whose predicted class came true, with Wilson's interval by unit.

    >>> accuracy(["a", "b", "c", "a"], ["a", "b", "a", "a"]).value
    0.75
    """
    rows = _rows_of(y, score, labels, weight, unit, level)
    return _estimate("accuracy", rows, lambda: _ratio(rows, rows.truth == rows.called, np.ones(rows.n), level))


def micro_f1(
    y: ArrayLike,
    score: ArrayLike,
    *,
    classes: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    unit: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """F1 of all decisions about `classes` pooled: 2 · hits over (rows of these classes + rows called one of them).

    Of all classes, which is the default, it equals the accuracy; so give those that matter and leave out "none of them". A share of
    mentions, with Wilson's interval by unit. Refuses where none of them is in y.

    >>> micro_f1(["a", "b", "-", "a"], ["a", "b", "a", "-"], classes=["a", "b"]).value.__round__(4)
    0.6667
    """
    rows = _rows_of(y, score, labels, weight, unit, level)

    def figure() -> Figure:
        counted = _counted(rows, classes)
        require_weights(rows.weight)
        if not counted[rows.truth[rows.weights > 0]].any():
            raise Undefined("no row is of a class that counts")
        true, called = counted[rows.truth].astype(np.float64), counted[rows.called].astype(np.float64)
        return _ratio(rows, 2 * true * (rows.truth == rows.called), true + called, level)

    return _estimate("micro_f1", rows, figure)


def macro_f1(
    y: ArrayLike,
    score: ArrayLike,
    *,
    classes: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    unit: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """The mean over classes of F1 = 2 · hits / (rows of the class + rows called it): rare classes count as much as common ones.

    classes: which count; None for all that y has. The interval is the delta method's by unit on the logit scale.
    Refuses a class of fewer than LEAST_TO_NAME rows, by name: leave it out with `classes`, or join it to another.

    >>> y = ["a", "b", "b", "c"] * 25
    >>> print(macro_f1(y, ["a", "b", "c", "c"] * 24 + ["b", "b", "b", "b"]))
    macro_f1 0.7679 [0.6854, 0.834], delta method by unit on the logit scale, t, 100 units
    """
    rows = _rows_of(y, score, labels, weight, unit, level)

    def figure() -> Figure:
        counted = _present(rows, classes)
        _require_rows(rows, counted, LEAST_TO_NAME)
        of, called = _by_class(rows, rows.truth), _by_class(rows, rows.called)
        hits = _by_class(rows, rows.truth, rows.truth == rows.called)
        both = np.where(counted, of + called, 1.0)
        each = np.where(counted, 2 * hits / both, 0.0)
        share = counted / counted.sum()
        # dF = (2 d hits − F d(of + called)) / (of + called), row by row.
        per, lost = share / both, share * each / both
        influence = rows.weights * (2 * per[rows.truth] * (rows.truth == rows.called) - lost[rows.truth] - lost[rows.called])
        return _left_out(rows, classes, _by_unit(rows, float(np.sum(share * each)), influence, level, "delta method"))

    return _estimate("macro_f1", rows, figure)


def one_vs_rest_auc(
    y: ArrayLike,
    score: ArrayLike,
    *,
    labels: ArrayLike,
    classes: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    unit: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """The mean over classes of the chance that a row of the class has a higher score for it than a row of another; ties count half.

    score: (n, k), one column for each of `labels`; classes: which count, None for all that y has. The interval is DeLong's, the classes'
    influences averaged row by row (they are measured on the same rows), on the logit scale. Refuses a class of fewer than LEAST_TO_RANK
    rows, by name. Source: Fawcett (2006), Pattern Recognition Letters 27; Provost & Domingos (2000) weigh by class instead.

    >>> y, p = np.tile([0, 1, 2], 60), np.tile([[0.5, 0.2, 0.3], [0.4, 0.4, 0.2], [0.5, 0.2, 0.3]], (60, 1))
    >>> p[:90] = p[:90, [2, 0, 1]]
    >>> round(one_vs_rest_auc(y, p, labels=[0, 1, 2]).value, 3)
    0.521
    """
    rows = _rows_of(y, score, labels, weight, unit, level)
    scores = _scores(rows)

    def figure() -> Figure:
        counted = _present(rows, classes)
        if int(counted.sum()) == 1 and len(np.unique(rows.truth)) == 1:
            raise Undefined("one class only: there is nothing to rank")
        _require_rows(rows, counted, LEAST_TO_RANK)
        areas = [roc_auc(rank_rows(rows.truth == c, scores[:, rows.column(c)], rows.weight)) for c in np.flatnonzero(counted).tolist()]
        value = float(np.mean([area.value[0] for area in areas]))
        influence = np.sum([area.influence for area in areas], axis=0) / len(areas)
        return _left_out(rows, classes, _by_unit(rows, value, influence, level, "DeLong"))

    return _estimate("one_vs_rest_auc", rows, figure)


def multiclass_log_loss(
    y: ArrayLike,
    score: ArrayLike,
    *,
    labels: ArrayLike,
    weight: ArrayLike | None = None,
    unit: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """Mean of −log of the probability that was said of the class that came true, in nats; 0 is clipped to EPS.

    score: (n, k) probabilities, one column for each of `labels`. Refuses rows of a class without a column, of which no probability was
    said, and rows that are no probabilities: outside 0 and 1, or not adding up to 1.

    >>> round(multiclass_log_loss(["a", "b"], [[0.5, 0.5], [0.2, 0.8]], labels=["a", "b"]).value, 4)
    0.4581
    """
    rows = _rows_of(y, score, labels, weight, unit, level)
    scores = _scores(rows)

    def figure() -> Figure:
        _require_probabilities(scores)
        came = np.unique(rows.truth[rows.weights > 0])
        unsaid = came[rows.columns[came] < 0]
        if len(unsaid):
            raise Undefined(f"no probability was said of {_names(rows, unsaid)}, which came true")
        said = scores[np.arange(rows.n), rows.columns[rows.truth]]
        return _mean_loss(rows, -np.log(np.clip(said, EPS, 1.0)) + 0.0, level)

    return _estimate("multiclass_log_loss", rows, figure, better="lower", measured_in="nats")


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassFigures:
    """How one class fares against all others."""

    label: Any
    n_rows: int  # of the class
    precision: Estimate  # of the rows called it, the share that are it
    recall: Estimate  # of its rows, the share called it
    f1: Estimate  # the harmonic mean of the two


def per_class(
    y: ArrayLike,
    score: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    unit: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[ClassFigures, ...]:
    """Precision, recall and F1 of each class that occurs or was predicted, in the order of the labels, with Wilson's intervals by unit.

    F1 is a ratio of sums too: 2 · hits over (rows of the class + rows called it). What a class lacks is refused: precision where nothing
    was called it, recall where no row is of it.

    >>> a, b = per_class(["a", "a", "a", "b", "b"], ["a", "a", "b", "b", "b"])
    >>> a.label, a.precision.value, round(a.recall.value, 2), b.n_rows
    ('a', 1.0, 0.67, 2)
    """
    rows = _rows_of(y, score, labels, weight, unit, level)
    seen = np.union1d(rows.truth, rows.called)
    return tuple(_figures_of(rows, int(c), level) for c in seen)


def _figures_of(rows: _Rows, c: int, level: float) -> ClassFigures:
    true, called = (rows.truth == c).astype(np.float64), (rows.called == c).astype(np.float64)
    name = str(rows.names[c])

    def estimate(metric: str, value: Array, of: Array, lacking: str) -> Estimate:
        def figure() -> Figure:
            require_weights(rows.weight)
            if not of[rows.weights > 0].any():
                raise Undefined(lacking)
            return _ratio(rows, value, of, level)

        return _estimate(metric, rows, figure, slice=name)

    hits = true * called
    return ClassFigures(
        label=rows.names.tolist()[c],
        n_rows=int(true.sum()),
        precision=estimate("precision", hits, called, f"no row was called {name}"),
        recall=estimate("recall", hits, true, f"no row is {name}"),
        f1=estimate("f1", 2 * hits, true + called, f"no row is {name}, and none was called it"),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Rows:
    """Classes as codes into `names`, shapes checked, values not yet."""

    names: NDArray[Any]  # (n_names,) sorted: every class of y, of the predictions and of the columns
    truth: IntArray  # (n,) codes
    called: IntArray  # (n,) codes
    scores: Array | None  # (n, k) where columns were given
    columns: IntArray  # (n_names,) which column is about the class; −1 where none is
    weight: Array | None
    unit: IntArray | None
    n_units: int

    @property
    def n(self) -> int:
        return len(self.truth)

    @property
    def weights(self) -> Array:
        return np.ones(self.n) if self.weight is None else self.weight

    @property
    def units(self) -> IntArray:
        return np.arange(self.n) if self.unit is None else self.unit

    def column(self, c: int) -> int:
        """The column about class c. Raises Undefined where there is none."""
        if self.columns[c] < 0:
            raise Undefined(f"no column of scores is about {self.names[c]}, which came true")
        return int(self.columns[c])


def _rows_of(
    y: ArrayLike, score: ArrayLike, labels: ArrayLike | None, weight: ArrayLike | None, unit: ArrayLike | None, level: float
) -> _Rows:
    require_level(level)
    truth, given = _labels(y, "y"), np.asarray(score)
    if given.ndim not in (1, 2) or len(given) != len(truth):
        raise ValueError(f"score has the shape {given.shape} for {len(truth):,} rows")
    weights = None if weight is None else as_floats(weight, "weight")
    if weights is not None and len(weights) != len(truth):
        raise ValueError(f"{len(weights):,} weights for {len(truth):,} rows")
    codes, n_units = unit_codes(unit, len(truth))
    columns = _columns(given, labels)
    scores = None if columns is None else np.ascontiguousarray(given, dtype=np.float64)
    called = _labels(given, "score") if columns is None else columns[:0]
    named = (truth, called, truth[:0] if columns is None else columns)
    names, coded = np.unique(np.concatenate(named), return_inverse=True)
    n = len(truth)
    of_column = coded[n + len(called) :]
    where = np.full(len(names), -1, dtype=np.int64)
    where[of_column] = np.arange(len(of_column))
    return _Rows(
        names=names,
        truth=coded[:n],
        called=coded[n : n + len(called)] if scores is None else of_column[np.argmax(scores, axis=1)],
        scores=scores,
        columns=where,
        weight=weights,
        unit=codes,
        n_units=n_units,
    )


def _labels(values: ArrayLike, name: str) -> NDArray[Any]:
    given = np.asarray(values)
    if given.ndim != 1:
        raise ValueError(f"{name} has the shape {given.shape}: one class for each row is needed")
    if given.dtype.kind == "f" and np.isnan(given).any():
        raise ValueError(f"a class of {name} is NaN: which one it is must be known")
    if given.dtype.kind == "O" and any(one is None or one != one for one in given.tolist()):
        raise ValueError(f"a class of {name} is missing (None or NaN): which one it is must be known")
    return given


def _columns(given: NDArray[Any], labels: ArrayLike | None) -> NDArray[Any] | None:
    """(k,) the class of each column; None where score is one predicted class for each row."""
    if given.ndim == 1:
        return None
    if labels is None:
        raise ValueError("score has columns: `labels` must say which class each is about")
    named = _labels(labels, "labels")
    if len(named) != given.shape[1] or len(np.unique(named)) != len(named) or not len(named):
        raise ValueError(f"{len(named)} labels, {len(np.unique(named))} of them different, for {given.shape[1]} columns")
    if given.dtype.kind not in "biuf":
        raise ValueError(f"score has columns of the type {given.dtype}: numbers are needed")
    return named


def _scores(rows: _Rows) -> Array:
    if rows.scores is None:
        raise ValueError("score must have a column for each of `labels`: predicted classes alone have no order")
    return rows.scores


def _counted(rows: _Rows, classes: ArrayLike | None) -> NDArray[np.bool_]:
    """(n_names,) which classes count."""
    if classes is None:
        return np.ones(len(rows.names), dtype=np.bool_)
    asked = _labels(classes, "classes")
    strange = np.setdiff1d(asked, rows.names)
    if len(strange):
        raise ValueError(f"no row and no column is of the class {strange[0]}")
    return np.isin(rows.names, asked)


def _present(rows: _Rows, classes: ArrayLike | None) -> NDArray[np.bool_]:
    """(n_names,) which classes count and have rows of weight."""
    require_weights(rows.weight)
    _require_known(rows)
    there = _counted(rows, classes) & (_by_class(rows, rows.truth) > 0)
    if not there.any():
        raise Undefined("no row is of a class that counts")
    return there


def _left_out(rows: _Rows, classes: ArrayLike | None, figure: Figure) -> Figure:
    """The figure, its method naming the classes that have no row."""
    absent = np.flatnonzero(_counted(rows, classes) & ~_present(rows, classes))
    if not len(absent):
        return figure
    method = f"{figure.interval.method}; without {_names(rows, absent)}, of which there is no row"
    return replace(figure, interval=replace(figure.interval, method=method))


def _require_rows(rows: _Rows, counted: NDArray[np.bool_], least: int) -> None:
    """Raises Undefined where one class that counts, or all others together, have fewer rows of weight."""
    there = np.bincount(rows.truth[rows.weights > 0], minlength=len(rows.names))
    total = int(there.sum())
    few = np.flatnonzero(counted & (np.minimum(there, total - there) < least)) if total else np.flatnonzero(counted)
    if len(few):
        c = few[np.argmin(np.minimum(there, total - there)[few])]
        fewest, name = min((int(there[c]), f"{rows.names[c]}"), (total - int(there[c]), f"not {rows.names[c]}"))
        raise Undefined(f"{fewest} rows are {name}, {least} are asked: an interval of so few holds the truth too seldom")


def _by_class(rows: _Rows, code: IntArray, counts: NDArray[np.bool_] | None = None) -> Array:
    """(n_names,) weight of the rows with each code."""
    weight = rows.weights if counts is None else rows.weights * counts
    return np.bincount(code, weights=weight, minlength=len(rows.names)).astype(np.float64)


def _ratio(rows: _Rows, value: Array | NDArray[np.bool_], of: Array, level: float) -> Figure:
    """Σw·value / Σw·of, clustered on the unit."""
    require_weights(rows.weight)
    _require_known(rows)
    return ratio_of_sums(UnitScores(rows.units, value * rows.weights, of * rows.weights), level=level)


def _mean_loss(rows: _Rows, loss: Array, level: float) -> Figure:
    """Σw·loss / Σw. Losses that are all 0 are no share of none: their spread is unknown."""
    require_weights(rows.weight)
    sums = sums_by_unit(UnitScores(rows.units, loss * rows.weights, rows.weights), n_units=rows.n_units)
    return ratio_of_unit_sums(replace(sums, is_share=False), level=level)


def _by_unit(rows: _Rows, value: float, influence: Array, level: float, source: str) -> Figure:
    errors = influence
    if rows.unit is not None:
        errors = np.bincount(rows.unit, weights=influence, minlength=rows.n_units).astype(np.float64)
    n_units = rows.n_units
    if rows.weight is not None:
        seen = rows.weight > 0
        n_units = int(seen.sum()) if rows.unit is None else len(np.unique(rows.unit[seen]))
    if not 0 < value < 1:
        raise NoSpread("every row was told right, or none: how far the truth may be is unknown")
    interval = interval_of_influence(value, errors, n_units, level=level, scale=LOGIT, source=source)
    return Figure(value=value, interval=interval, n_units=n_units, n_rows=rows.n)


def _require_known(rows: _Rows) -> None:
    """Raises NotFinite for a score that is NaN: which class is the highest is then unknown, whatever argmax says."""
    if rows.scores is not None and np.isnan(rows.scores).any():
        raise NotFinite("a score is NaN")


def _require_probabilities(scores: Array) -> None:
    if not np.isfinite(scores).all() or (scores < 0).any() or (scores > 1).any():
        raise NotFinite("a score is NaN or lies outside 0 and 1: it is no probability")
    missed = int(np.count_nonzero(np.abs(scores.sum(axis=1) - 1) > _SUM_TO_ONE))
    if missed:
        raise NotFinite(f"the probabilities of {missed:,} rows do not add up to 1")


def _names(rows: _Rows, codes: IntArray) -> str:
    shown = ", ".join(str(name) for name in rows.names[codes[:5]])
    return shown if len(codes) <= 5 else f"{shown} and {len(codes) - 5} more classes"


def _estimate(
    metric: str,
    rows: _Rows,
    figure: Callable[[], Figure],
    *,
    better: str = "higher",
    measured_in: str = "",
    slice: str = "",  # noqa: A002
) -> Estimate:
    return estimated(metric, figure, n_rows=rows.n, n_units=rows.n_units, better=better, measured_in=measured_in, slice=slice)
