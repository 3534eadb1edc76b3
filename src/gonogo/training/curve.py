"""Would more data help, or a better model?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.learning import diagnose
from gonogo.training.interval import measured
from gonogo.training.learners import make_learner
from gonogo.training.score import selecting_score
from gonogo.types.contract import LearnerChoice
from gonogo.types.errors import OutcomeRefused
from gonogo.types.evidence import Curve, Estimate, Interval, Point, Series
from gonogo.types.protocols import Examples

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gonogo.types.candidate import Candidate
    from gonogo.types.contract import Contract
    from gonogo.types.protocols import Family, Model
    from gonogo.types.snapshot import Input

SHARES = (0.01, 0.03, 0.08)  # of train's units; with what each costs on validate, less than a quarter of the fit's work
FEWEST_DRAWN = 5  # units of a point whose interval is drawn: that of two or three is so wide that it flattens all other points


def learning_curve(
    contract: Contract, family: Family, examples: Mapping[str, Examples], *, inputs: tuple[Input, ...], chosen: Candidate, model: Model
) -> Curve | None:
    """The selecting figure on train and on validate against the rows of train, with what it says in the title: bias or variance.

    The chosen learner is fitted on shares of the units, each share within the next, drawn by a hash of unit and seed; `model` is the one on
    all rows, before recalibration, whose figure on validate is the candidate's own trial. Train's figure is of as many of its units as
    validate has rows for: more would not sharpen the gap. None where no share can be fitted.
    """
    score = selecting_score(family, contract.select_by)
    validate = examples["validate"]
    whole = next((trial.score for trial in chosen.trials if trial.chosen), None)
    sizes = list(_parts(contract, family, examples, inputs=inputs, chosen=chosen))
    if not sizes or whole is None:
        return None
    sizes.append((examples["train"], model))
    lines = [
        _Size(
            n=part.keys.num_rows,
            train=_figure(family, contract, one, _as_many(part, validate.keys.num_rows, contract.seed)),
            validate=_figure(family, contract, one, validate),
        )
        for part, one in sizes
    ]
    return Curve(
        name="learning",
        title=f"Would more data help? {_diagnosis(lines)}",
        x_label="rows of train",
        y_label=score.name + (f" ({score.measured_in})" if score.measured_in else ""),
        series=(
            _series("train", [(size.n, size.train) for size in lines]),
            _series("validate", [(size.n, size.validate) for size in lines]),
        ),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Size:
    """The selecting figure of one fit."""

    n: int  # rows of train
    train: Estimate
    validate: Estimate


def _parts(
    contract: Contract, family: Family, examples: Mapping[str, Examples], *, inputs: tuple[Input, ...], chosen: Candidate
) -> Iterator[tuple[Examples, Model]]:
    """The chosen learner on each share of train."""
    named = make_learner(family, LearnerChoice(name=chosen.learner, params=chosen.params), where="learners")
    train, validate = examples["train"], examples["validate"]
    for rows in _nested_rows(train, contract.seed):
        part = _take(train, rows)
        try:
            fitted = named.learner.fit(part, validate, inputs=inputs, seed=contract.seed, threads=contract.threads, budget_s=None)
        except OutcomeRefused:  # a small share may hold one class only
            continue
        yield part, fitted


def _figure(family: Family, contract: Contract, model: Model, rows: Examples) -> Estimate:
    return measured(family, contract.select_by, model.predict(rows.inputs), rows.outcomes, seed=contract.seed)


def _diagnosis(sizes: list[_Size]) -> str:
    """What the sizes that have intervals say, the last among them; else that they cannot."""
    known = [size for size in sizes if size.train.interval is not None and size.validate.interval is not None]
    if not known or known[-1] is not sizes[-1]:
        return "Cannot tell: " + (sizes[-1].train.refused or sizes[-1].validate.refused)
    return diagnose(
        np.array([size.n for size in known]), [_loss(size.train) for size in known], [_loss(size.validate) for size in known]
    ).sentence


def _loss(figure: Estimate) -> Estimate:
    """Of which less is better: of a share, what is missing from 1."""
    if figure.better == "lower" or figure.value is None or figure.interval is None:
        return figure
    interval: Interval = replace(figure.interval, low=1 - figure.interval.high, high=1 - figure.interval.low)
    return replace(figure, metric=f"1 − {figure.metric}", value=1 - figure.value, interval=interval, better="lower")


def _series(name: str, line: list[tuple[int, Estimate]]) -> Series:
    return Series(name=name, points=tuple(_point(n, figure) for n, figure in line if figure.value is not None))


def _point(n: int, figure: Estimate) -> Point:
    assert figure.value is not None
    if figure.interval is None or figure.n_units < FEWEST_DRAWN:
        return Point(x=float(n), y=figure.value, n=n)
    return Point(x=float(n), y=figure.value, low=figure.interval.low, high=figure.interval.high, n=n)


def _as_many(train: Examples, n_rows: int, seed: int) -> Examples:
    """All of train, or whole units of it of about n_rows."""
    if train.keys.num_rows <= n_rows:
        return train
    rank, place = _ranks(train, seed)
    last = int(np.searchsorted(np.cumsum(np.bincount(rank[place])), n_rows))
    return _take(train, np.flatnonzero(rank[place] <= last))


def _nested_rows(train: Examples, seed: int) -> list[NDArray[np.int64]]:
    """Rows of each share, in order; a share without a unit is left out."""
    rank, place = _ranks(train, seed)
    counts = sorted({round(share * len(rank)) for share in SHARES} - {0, len(rank)})
    return [np.flatnonzero(rank[place] < count) for count in counts]


def _ranks(train: Examples, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each unit's rank in an order by hash, and each row's unit."""
    units, place = np.unique(train.outcomes.column("unit").to_numpy(), return_inverse=True)
    keys = [hashlib.sha256(f"{seed}:{code}".encode()).digest() for code in units.tolist()]
    rank = np.empty(len(units), dtype=np.int64)
    rank[sorted(range(len(units)), key=keys.__getitem__)] = np.arange(len(units))
    return rank, place


def _take(examples: Examples, rows: NDArray[np.int64]) -> Examples:
    return Examples(
        keys=examples.keys.take(rows),
        inputs=examples.inputs.take(rows),
        outcomes=examples.outcomes.take(rows),
        slices=examples.slices.take(rows),
    )
