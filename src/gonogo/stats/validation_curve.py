"""Which value of a hyper-parameter is best, which are as good, and on which side does bias or variance begin?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.distributions import t_quantile
from gonogo.stats.estimates import as_floats, require_level
from gonogo.stats.learning import number, series_of
from gonogo.stats.loss_lines import Line, Losses, line_of
from gonogo.stats.refusals import Refused
from gonogo.types.evidence import Curve

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from gonogo.types.evidence import Array


_ROUNDING = 1e-12  # an error below this share of the losses is rounding, not spread


@dataclass(frozen=True, kw_only=True, slots=True)
class ValidationDiagnosis:
    """How the loss goes with a hyper-parameter. A value is in exactly one of the four groups."""

    best: float | None  # of the least validate loss; None where nothing can be said
    as_good: tuple[float, ...]  # not told from the best, the best itself among them
    too_simple: tuple[float, ...]  # worse than the best, and fits its own rows worse too: bias
    too_rich: tuple[float, ...]  # worse than the best, though it fits its own rows better: variance
    worse: tuple[float, ...]  # worse than the best, and train does not tell why
    at_edge: bool  # the best is the first or the last value: a better one may lie beyond
    sentence: str
    curve: Curve  # both lines with their intervals

    def __str__(self) -> str:
        """The sentence."""
        return self.sentence


def diagnose_validation_curve(
    values: ArrayLike, train_losses: Losses, validate_losses: Losses, *, level: float = 0.95, seed: int = 0
) -> ValidationDiagnosis:
    """Where between too simple and too rich the values of a hyper-parameter lie.

    values: (m,) numbers, rising. Losses as in `diagnose`: m Estimates, or (m, r) repeats (then also validate rows are fine: what is asked
    is which of these models is better, pair by pair). A value is worse than the best where the interval of its difference lies above 0, at
    `level` for all values together (Bonferroni). The best is chosen on these same losses, so its own loss is too good by a little;
    take it from a table that chose nothing. seed has no effect.

    >>> noise = 0.01 * np.random.default_rng(0).normal(size=(2, 5, 30))
    >>> depth = np.array([1, 2, 4, 8, 16])
    >>> train, validate = np.array([0.9, 0.6, 0.4, 0.2, 0.1]), np.array([0.9, 0.65, 0.5, 0.6, 0.8])
    >>> print(diagnose_validation_curve(depth, train[:, None] + noise[0], validate[:, None] + noise[1]))
    Best at 4. Too simple (bias): 1, 2. Too rich (variance): 8, 16.
    """
    require_level(level)
    x = as_floats(values, "values")
    if len(x) < 2 or not np.isfinite(x).all() or (np.diff(x) <= 0).any():
        raise ValueError("values are at least two numbers, rising")
    try:
        train = line_of(train_losses, "train_losses", len(x))
        validate = line_of(validate_losses, "validate_losses", len(x))
    except Refused as refused:
        return _undiagnosed(str(refused))
    best = int(np.argmin(validate.mean))
    groups: dict[str, list[float]] = {"as_good": [], "too_simple": [], "too_rich": [], "worse": []}
    for i, value in enumerate(x.tolist()):
        groups[_group(train, validate, i, best, level)].append(value)
    at_edge = best in (0, len(x) - 1)
    sentence = _sentence(x, best, groups, at_edge)
    series = (series_of("train", x, train, level), series_of("validate", x, validate, level))
    return ValidationDiagnosis(
        best=float(x[best]),
        at_edge=at_edge,
        sentence=sentence,
        curve=Curve(name="validation", title=sentence, x_label="value", y_label="loss", series=series),
        **{name: tuple(members) for name, members in groups.items()},
    )


def _group(train: Line, validate: Line, i: int, best: int, level: float) -> str:
    if i == best or _beyond(validate, i, best, level)[0] <= 0:
        return "as_good"
    low, high = _beyond(train, i, best, level)
    return "too_simple" if low > 0 else "too_rich" if high < 0 else "worse"


def _beyond(line: Line, i: int, best: int, level: float) -> tuple[float, float]:
    """The interval of the loss at i minus that at the best, for all m − 1 comparisons together; without end where no spread was seen."""
    share = np.zeros(len(line.mean))
    share[i], share[best] = 1, -1
    value, error = line.combined(share)
    if error <= _ROUNDING * max(abs(line.mean[i]), abs(line.mean[best])):
        return -math.inf, math.inf
    half = t_quantile(1 - (1 - level) / 2 / (len(line.mean) - 1), line.n_units - 1) * error
    return value - half, value + half


def _sentence(x: Array, best: int, groups: dict[str, list[float]], at_edge: bool) -> str:
    said = [f"Best at {number(float(x[best]))}"]
    others = [value for value in groups["as_good"] if value != x[best]]
    if others:
        said.append(f"Not told from it: {_listed(others)}")
    for name, words in (
        ("too_simple", "Too simple (bias)"),
        ("too_rich", "Too rich (variance)"),
        ("worse", "Worse, train does not tell why"),
    ):
        if groups[name]:
            said.append(f"{words}: {_listed(groups[name])}")
    if at_edge:
        said.append("It is the last value tried on its side: look beyond")
    return ". ".join(said) + "."


def _listed(values: list[float]) -> str:
    return ", ".join(number(value) for value in values)


def _undiagnosed(why: str) -> ValidationDiagnosis:
    return ValidationDiagnosis(
        best=None,
        as_good=(),
        too_simple=(),
        too_rich=(),
        worse=(),
        at_edge=False,
        sentence=f"Cannot tell: {why}.",
        curve=Curve(name="validation", title=why, x_label="value", y_label="loss", series=()),
    )
