"""Would more data help?"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from gonogo.training.learners import make_learner
from gonogo.training.score import selecting_score
from gonogo.types.contract import LearnerChoice
from gonogo.types.errors import OutcomeRefused
from gonogo.types.evidence import Curve, Point, Series
from gonogo.types.protocols import Examples

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gonogo.types.candidate import Candidate
    from gonogo.types.contract import Contract
    from gonogo.types.protocols import Family
    from gonogo.types.snapshot import Input

SHARES = (0.01, 0.03, 0.08)  # of train's units; with what each costs on validate, less than a quarter of the fit's work


def learning_curve(
    contract: Contract, family: Family, examples: Mapping[str, Examples], *, inputs: tuple[Input, ...], chosen: Candidate
) -> Curve | None:
    """The selecting figure on validate against the rows of train: the chosen learner on shares of the units, and on all of them.

    The point at all rows is the candidate's own trial, before recalibration. Shares hold whole units, drawn by a hash of unit and seed,
    each share within the next. None where no share can be fitted.
    """
    score = selecting_score(family, contract.select_by)
    train, validate = examples["train"], examples["validate"]
    named = make_learner(family, LearnerChoice(name=chosen.learner, params=chosen.params), where="learners")
    points = []
    for rows in _nested_rows(train, contract.seed):
        part = _take(train, rows)
        try:
            model = named.learner.fit(part, validate, inputs=inputs, seed=contract.seed, threads=contract.threads, budget_s=None)
        except OutcomeRefused:  # a small share may hold one class only
            continue
        value = score.of(model.predict(validate.inputs), validate.outcomes)
        if value is not None:
            points.append(Point(x=float(len(rows)), y=value, n=len(rows)))
    whole = next((trial.score for trial in chosen.trials if trial.chosen), None)
    if not points or whole is None:
        return None
    points.append(Point(x=float(train.keys.num_rows), y=whole, n=train.keys.num_rows))
    return Curve(
        name="learning",
        title="Would more data help? What the chosen learner reached with parts of the training data",
        x_label="rows of train",
        y_label=f"{score.name} on validate" + (f" ({score.measured_in})" if score.measured_in else ""),
        series=(Series(name="validate", points=tuple(points)),),
    )


def _nested_rows(train: Examples, seed: int) -> list[NDArray[np.int64]]:
    """Rows of each share, in order; a share without a unit is left out."""
    unit = train.outcomes.column("unit").to_numpy()
    units, place = np.unique(unit, return_inverse=True)
    keys = [hashlib.sha256(f"{seed}:{code}".encode()).digest() for code in units.tolist()]
    rank = np.empty(len(units), dtype=np.int64)
    rank[sorted(range(len(units)), key=keys.__getitem__)] = np.arange(len(units))
    counts = sorted({round(share * len(units)) for share in SHARES} - {0, len(units)})
    return [np.flatnonzero(rank[place] < count) for count in counts]


def _take(examples: Examples, rows: NDArray[np.int64]) -> Examples:
    return Examples(
        keys=examples.keys.take(rows),
        inputs=examples.inputs.take(rows),
        outcomes=examples.outcomes.take(rows),
        slices=examples.slices.take(rows),
    )
