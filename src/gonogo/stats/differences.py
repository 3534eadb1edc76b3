"""When is a difference between two populations worth a name?

Three answers, by where the interval of the effect lies: beyond the margin, they differ; within it, whatever there is is trivial, which is
shown and not assumed; across it, it cannot be told. A p-value alone gives none of them: at 10 million rows everything is significant, at 50
nothing is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from gonogo.stats.multiplicity import holm

if TYPE_CHECKING:
    from gonogo.types.evidence import Tested


class Answer(Enum):
    """What the data say about a difference."""

    DIFFERS = "differs"
    TRIVIAL = "trivial"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, kw_only=True, slots=True)
class Margins:
    """Up to which an effect is trivial, so that nobody would act on it."""

    hedges_g: float = 0.1  # difference of means, in standard deviations
    superiority: float = 0.03  # of P(b > a) from one half
    distance: float = 0.05  # largest difference of the shares at or below any value
    cramers_v: float = 0.05  # categories, yes and no
    rate: float = 0.1  # of an outcome: relative to the rarer of yes and no
    calibration: float = 0.1  # outcome less score: relative to the rarer of yes and no
    missing: float = 0.01  # difference of the shares that are missing
    auc: float = 0.05  # by which a classifier may beat one half

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"the margin {name} is {getattr(self, name)}: it must be above 0, or nothing could be shown to be trivial")


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """One effect held against its margin."""

    tested: Tested
    null: float  # the effect where nothing differs
    margin: float  # trivial up to so far from the null

    @property
    def answer(self) -> Answer:
        """By where the interval lies. An effect that was refused tells nothing."""
        interval = self.tested.effect.interval
        if interval is None:
            return Answer.CANNOT_TELL
        nearest = max(interval.low - self.null, self.null - interval.high, 0.0)
        farthest = max(interval.high - self.null, self.null - interval.low)
        if nearest > self.margin:
            return Answer.DIFFERS
        return Answer.TRIVIAL if farthest <= self.margin else Answer.CANNOT_TELL

    @property
    def times_margin(self) -> float:
        """How many margins the effect lies from its null: by this, columns are put in order."""
        value = self.tested.effect.value
        return 0.0 if value is None else abs(value - self.null) / self.margin

    @property
    def times_more(self) -> float | None:
        """How many times more units would narrow the interval until it lies on one side of the margin; None where that cannot be said."""
        value, interval = self.tested.effect.value, self.tested.effect.interval
        if value is None or interval is None:
            return None
        half = max(interval.high - value, value - interval.low)
        # An effect on the margin itself would never be told: a quarter of the margin is as near as is asked for.
        room = max(abs(abs(value - self.null) - self.margin), self.margin / 4)
        return max(1.0, (half / room) ** 2)


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """What was found of one column, or of all together."""

    column: str  # "" for all columns together
    kind: str  # "rate" | "feature" | "score" | "calibration" | "error" | "together" | "columns"
    answer: Answer
    measured: tuple[Measured, ...]  # the farthest beyond its margin first
    p_value: float | None  # that nothing of this column differs, adjusted for all columns (Holm); None where no test could be made
    units_needed: int | None  # on the smaller side, about, where it cannot be told
    sentence: str  # what was found, or why nothing was
    advice: str  # what to do; empty where nothing is to be done


@dataclass(frozen=True, kw_only=True, slots=True)
class Differences:
    """Two populations, column by column; those that differ most first."""

    n_rows_a: int
    n_rows_b: int
    n_units: int  # independent units of both sides
    level: float
    columns: tuple[Difference, ...]

    @property
    def answer(self) -> Answer:
        """They differ where any column does; they do not where every column is shown not to; else it cannot be told."""
        answers = [one.answer for one in self.columns]
        if Answer.DIFFERS in answers:
            return Answer.DIFFERS
        return Answer.TRIVIAL if answers and set(answers) == {Answer.TRIVIAL} else Answer.CANNOT_TELL

    def those(self, answer: Answer) -> tuple[Difference, ...]:
        """The columns of which that is the answer."""
        return tuple(one for one in self.columns if one.answer is answer)


@dataclass(frozen=True, kw_only=True, slots=True)
class Examined:
    """A column that was measured, before it is known how many others were."""

    column: str
    kind: str
    measured: tuple[Measured, ...]  # the one that exists for any values first; the others may be refused
    n_units: int  # of the smaller side
    refused: str = ""  # why nothing could be measured


def judged(examined: Sequence[Examined], *, level: float) -> tuple[Difference, ...]:
    """The answers, those that differ most first. p-values: Bonferroni within a column, Holm over the columns."""
    adjusted = holm([_p_of(one) for one in examined])
    found = [_difference(one, float(p), level) for one, p in zip(examined, adjusted, strict=True)]
    order = {Answer.DIFFERS: 0, Answer.CANNOT_TELL: 1, Answer.TRIVIAL: 2}
    return tuple(sorted(found, key=lambda one: (order[one.answer], -max((m.times_margin for m in one.measured), default=math.inf))))


def _p_of(one: Examined) -> float | None:
    known = [m.tested.p_value for m in one.measured if m.tested.p_value is not None]
    return min(1.0, len(known) * min(known)) if known else None


def _difference(one: Examined, p: float, level: float) -> Difference:
    known = tuple(sorted((m for m in one.measured if not m.tested.refused), key=lambda m: -m.times_margin))
    answer = _answer(one, known, p, level)
    return Difference(
        column=one.column,
        kind=one.kind,
        answer=answer,
        measured=(*known, *(m for m in one.measured if m.tested.refused)),
        p_value=None if math.isnan(p) else p,
        units_needed=_units_needed(one, known) if answer is Answer.CANNOT_TELL else None,
        sentence=one.refused or (_sentence(known[0]) if known else one.measured[0].tested.refused),
        advice=ADVICE[one.kind] if answer is Answer.DIFFERS else "",
    )


def _answer(one: Examined, known: Sequence[Measured], p: float, level: float) -> Answer:
    if not one.measured:
        return Answer.DIFFERS if one.kind == "columns" else Answer.CANNOT_TELL
    if any(m.answer is Answer.DIFFERS for m in known) and p <= 1 - level:
        return Answer.DIFFERS
    is_general = not one.measured[0].tested.refused
    return Answer.TRIVIAL if is_general and all(m.answer is Answer.TRIVIAL for m in known) else Answer.CANNOT_TELL


def _units_needed(one: Examined, known: Sequence[Measured]) -> int | None:
    times = [m.times_more for m in known if m.answer is Answer.CANNOT_TELL and m.times_more is not None]
    return _rounded_up(one.n_units * max(times)) if times else None


def _rounded_up(n: float) -> int:
    """To two digits: more would claim to know.

    >>> _rounded_up(12345.0), _rounded_up(87.2)
    (13000, 88)
    """
    unit = 10 ** max(0, math.floor(math.log10(max(n, 1))) - 1)
    return int(math.ceil(n / unit) * unit)


def _sentence(m: Measured) -> str:
    effect = m.tested.effect
    assert effect.value is not None
    assert effect.interval is not None
    limit = f"{m.null - m.margin:.4g} to {m.null + m.margin:.4g}" if m.null else f"{m.margin:.4g}"
    unit = f" {effect.measured_in}" if effect.measured_in else ""
    return f"{effect.metric} {effect.value:.4g} [{effect.interval.low:.4g}, {effect.interval.high:.4g}]{unit}, trivial up to {limit}"


ADVICE = {
    "rate": "The outcome is more or less frequent: correct for the new rate (stats.prior_correction) or train on rows like B.",
    "feature": "Look at how the column is made on either side. If the world has changed, train on rows like B and measure there, by slice.",
    "score": "The model answers differently: look at the features that differ. Alerts a day move too: choose thresholds on rows like B.",
    "calibration": "The same score means another rate: fit the calibration again on rows like B (stats.fit_platt), ranking may stay.",
    "error": "The model errs more or less on B: measure it there against the live one before it decides anything.",
    "together": "A classifier tells A from B. Where no single column differs, they go together otherwise: compare them in pairs.",
    "columns": "Make the column the same on both sides, or leave it out by name.",
}
