"""Bias or variance: what holds a model back, its data or its form?

A learning curve is the loss on train and on validate at growing numbers of training rows. What it says:

    a gap between the lines           variance: the model fits its own rows better than new ones; more data or a simpler model closes it
    no gap, flat, above the target    bias: the model cannot follow; a richer one or better features can
    no gap, flat, at the target       the floor: nothing is left to gain here
    no gap, flat, no target known     bias or the floor: these curves alone cannot say which
    intervals wider than what matters nothing yet

What another doubling of the data would buy is an extrapolation by a power law (`power_law`), the form that the losses of most learners
were seen to follow (Hestness et al. 2017, arXiv:1712.00409; Viering & Loog 2022, IEEE TPAMI 45), and is said to be one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.estimates import as_floats, estimated, require_level
from gonogo.stats.figure import Figure
from gonogo.stats.loss_lines import Line, Losses, difference, line_of
from gonogo.stats.power_law import gain_of_a_doubling
from gonogo.stats.refusals import NoSpread, Refused
from gonogo.types.evidence import Curve, Estimate, Of, Point, Series

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from gonogo.types.evidence import Array, Interval

WORTH = 0.02  # of the last validate loss: what a difference is worth minding where nothing else is said


class Limit(Enum):
    """What holds a model back."""

    VARIANCE = "high variance"
    BIAS = "high bias"
    BOTH = "high bias and high variance"
    FLOOR = "near the floor"
    BIAS_OR_FLOOR = "bias or the floor"
    UNKNOWN = "cannot tell"


@dataclass(frozen=True, kw_only=True, slots=True)
class Diagnosis:
    """What holds a model back, by what figures, and what to do."""

    limited_by: Limit
    because: str  # the figures in words
    remedy: str
    train: Estimate  # the loss at the largest size
    validate: Estimate
    gap: Estimate  # validate − train at the largest size
    doubling: Estimate  # by how much the validate loss would fall with twice the rows: extrapolated, refused below three sizes
    worth: float  # the difference of losses that counts
    curve: Curve  # both lines with their intervals

    @property
    def sentence(self) -> str:
        """The whole diagnosis in words."""
        return f"{self.limited_by.value.capitalize()}: {self.because}. {self.remedy}."

    def __str__(self) -> str:
        """The sentence."""
        return self.sentence


def diagnose(
    sizes: ArrayLike,
    train_losses: Losses,
    validate_losses: Losses,
    *,
    target: float | None = None,
    worth: float | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Diagnosis:
    """What holds a model back: bias, variance, neither, or that the curves cannot tell.

    sizes:    (m,) training rows, rising.
    train_losses, validate_losses: the loss at each size on the rows that were fitted, and on new ones; less is better (of a share of hits
              give the share of misses). Either m Estimates, each size trained once; or (m, r) losses of r repeats, each with training rows
              of its own. Folds of one cross-validation share most of theirs, and make intervals too narrow.
    target:   a loss that is known to be within reach: another model's, a person's. Without it bias cannot be told from the floor.
    worth:    the difference of losses that counts; WORTH of the last validate loss where None.
    seed has no effect: all is in closed form.

    More data cannot buy more than the gap, as the best model of a form fits its own rows no better than the fitted one. What a doubling
    would buy is extrapolated from repeats, and refused where each size was trained once.
    Raises ValueError for sizes that do not rise. Losses that cannot be judged (NaN, refused, one repeat, or repeats all
    alike) are Limit.UNKNOWN, which says why.

    >>> rng = np.random.default_rng(0)
    >>> sizes = np.array([100, 200, 400, 800])
    >>> noise = 0.02 * rng.normal(size=(4, 40))
    >>> found = diagnose(sizes, 0.3 - 20 / sizes[:, None] + noise, 0.3 + 20 / sizes[:, None] + noise)
    >>> found.limited_by
    <Limit.VARIANCE: 'high variance'>
    >>> print(found.remedy)
    More data pays, and so may a simpler or more regularised model: a doubling is extrapolated to buy 0.0172 [0.0123, 0.0233]
    """
    require_level(level)
    rows = _rising(sizes)
    try:
        train = line_of(train_losses, "train_losses", len(rows))
        validate = line_of(validate_losses, "validate_losses", len(rows))
        difference(validate, train, len(rows) - 1, level)
    except Refused as refused:
        return _undiagnosed(str(refused), worth)
    if worth is not None and not worth > 0:
        raise ValueError(f"worth is {worth}: the difference of losses that counts lies above 0")
    seen = _Seen(
        rows=rows,
        train=train,
        validate=validate,
        level=level,
        target=target,
        worth=WORTH * abs(float(validate.mean[-1])) if worth is None else worth,
        doubling=_estimate("gain of a doubling", lambda: gain_of_a_doubling(rows, validate, level=level), validate, Of.DIFFERENCE),
    )
    limit, because, remedy = _judged(seen)
    return Diagnosis(
        limited_by=limit,
        because=because,
        remedy=remedy,
        train=_estimate("train loss", lambda: _last(train, level), train),
        validate=_estimate("validate loss", lambda: _last(validate, level), validate),
        gap=_estimate("validate − train", lambda: seen.gap, validate, Of.DIFFERENCE),
        doubling=seen.doubling,
        worth=seen.worth,
        curve=_curve(seen, f"{limit.value.capitalize()}: {because}"),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Seen:
    rows: Array  # (m,)
    train: Line
    validate: Line
    level: float
    target: float | None
    worth: float
    doubling: Estimate  # what twice the rows would buy, extrapolated

    @property
    def gap(self) -> Figure:
        return difference(self.validate, self.train, len(self.rows) - 1, self.level)


def _judged(seen: _Seen) -> tuple[Limit, str, str]:
    gap = seen.gap.interval
    if gap.low > seen.worth:
        return _of_variance(seen)
    if gap.high > seen.worth:
        return Limit.UNKNOWN, f"validate lies {_range(seen.gap)} above train, and {number(seen.worth)} would count", _more_rows(seen)
    if gap.high < -seen.worth:
        because = f"validate lies {number(-gap.high)} or more below train, where rows that were fitted should fare better"
        return Limit.UNKNOWN, because, "See whether both are losses of the same kind, on the same population"
    flat = f"validate and train lie within {number(max(abs(gap.low), abs(gap.high)))} of each other"
    gain = seen.doubling.interval
    if gain is not None and gain.low > seen.worth:
        because = f"{flat}, yet a doubling of the data is extrapolated to buy {number(gain.low)} or more"
        return Limit.UNKNOWN, because, "More data seems to pay, though not for want of it: see whether the training was cut short"
    flat += ", so that more data buys no more than that"
    if seen.target is None:
        remedy = "More data of this kind will not pay. Try a richer model or better features; if they do no better, this is the noise"
        return Limit.BIAS_OR_FLOOR, flat, remedy
    return _against_target(seen, seen.target, flat)


def _of_variance(seen: _Seen) -> tuple[Limit, str, str]:
    because = f"validate lies {_range(seen.gap)} above train"
    fitted = seen.train.interval(len(seen.rows) - 1, seen.level).low
    if seen.target is not None and fitted - seen.target > seen.worth:
        because += f", and even train lies {number(fitted - seen.target)} or more above the target of {number(seen.target)}"
        return Limit.BOTH, because, "A richer model or better features first; then " + _pays(seen)
    pays = _pays(seen)
    return Limit.VARIANCE, because, pays[0].upper() + pays[1:]


def _pays(seen: _Seen) -> str:
    """What a doubling buys decides between more data and a simpler model."""
    gain = seen.doubling
    if gain.value is None or gain.interval is None:
        return "regularise, take a simpler model, or more data, which buys at most the gap"
    said = f"a doubling is extrapolated to buy {_span(gain.value, gain.interval)}"
    if gain.interval.low > seen.worth:
        return f"more data pays, and so may a simpler or more regularised model: {said}"
    if gain.interval.high <= seen.worth:
        return f"regularise or take a simpler model rather than more data: {said}, and {number(seen.worth)} would count"
    return f"regularise or take a simpler model; more data may pay: {said}"


def _against_target(seen: _Seen, target: float, flat: str) -> tuple[Limit, str, str]:
    last = len(seen.rows) - 1
    train, validate = (line.interval(last, seen.level) for line in (seen.train, seen.validate))
    if train.low - target > seen.worth:
        because = f"{flat}, but train lies {number(train.low - target)} or more above the target of {number(target)}"
        return Limit.BIAS, because, "A richer model or better features; more data of this kind will not help"
    if validate.high - target <= seen.worth:
        because = f"{flat}, and validate at most {number(max(0.0, validate.high - target))} above the target of {number(target)}"
        return Limit.FLOOR, because, "Nothing that counts is left to gain here"
    between = f"{number(validate.low - target)} and {number(validate.high - target)}"
    because = f"{flat}, and validate lies between {between} above the target of {number(target)}"
    return Limit.UNKNOWN, because, "More rows in the losses of train and validate would tell bias from the floor"


def _more_rows(seen: _Seen) -> str:
    gap = seen.gap.interval
    times = ((gap.high - gap.low) / seen.worth) ** 2
    return f"About {number(times, digits=1)} times as many units in the losses would tell"


def _rising(sizes: ArrayLike) -> Array:
    rows = as_floats(sizes, "sizes")
    if not len(rows) or not np.isfinite(rows).all() or rows[0] <= 0 or (np.diff(rows) <= 0).any():
        raise ValueError("sizes are numbers of training rows, above 0 and rising")
    return rows


def _last(line: Line, level: float) -> Figure:
    interval = line.interval(len(line.mean) - 1, level)
    if not interval.low < interval.high:
        raise NoSpread("every repeat gave the same loss: how far the truth may be is unknown")
    return Figure(value=float(line.mean[-1]), interval=interval, n_units=line.units[-1], n_rows=line.units[-1])


def _estimate(metric: str, figure: Callable[[], Figure], line: Line, of: Of = Of.CHALLENGER) -> Estimate:
    return estimated(metric, figure, n_rows=line.n_units, n_units=line.n_units, better="lower", of=of)


def _undiagnosed(why: str, worth: float | None) -> Diagnosis:
    def lacking(metric: str, of: Of = Of.CHALLENGER) -> Estimate:
        return Estimate(metric=metric, of=of, value=None, interval=None, n_units=0, n_rows=0, measured_in="", better="lower", refused=why)

    return Diagnosis(
        limited_by=Limit.UNKNOWN,
        because=why,
        remedy="Give losses of more rows, all of them finite, or of more repeats",
        train=lacking("train loss"),
        validate=lacking("validate loss"),
        gap=lacking("validate − train", Of.DIFFERENCE),
        doubling=lacking("gain of a doubling", Of.DIFFERENCE),
        worth=math.nan if worth is None else worth,
        curve=Curve(name="learning", title=why, x_label="rows of train", y_label="loss", series=()),
    )


def _curve(seen: _Seen, title: str) -> Curve:
    series = (series_of("train", seen.rows, seen.train, seen.level), series_of("validate", seen.rows, seen.validate, seen.level))
    return Curve(name="learning", title=title, x_label="rows of train", y_label="loss", series=series)


def series_of(name: str, x: Array, line: Line, level: float) -> Series:
    """A line of a curve with its intervals; a point without spread has none."""
    intervals = [line.interval(i, level) for i in range(len(x))]
    ends = [(one.low, one.high) if one.low < one.high else (None, None) for one in intervals]
    points = (
        Point(x=float(at), y=float(mean), low=low, high=high, n=n)
        for at, mean, (low, high), n in zip(x, line.mean, ends, line.units, strict=True)
    )
    return Series(name=name, points=tuple(points))


def _range(figure: Figure) -> str:
    return _span(figure.value, figure.interval)


def _span(value: float, interval: Interval) -> str:
    return f"{number(value)} [{number(interval.low)}, {number(interval.high)}]"


def number(value: float, *, digits: int = 3) -> str:
    """For a sentence: three digits, and commas from a thousand on."""
    rounded = float(f"{value:.{digits}g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 1000 else f"{rounded:g}"
