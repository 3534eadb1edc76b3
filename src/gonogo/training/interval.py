"""How sure is the figure by which learners are told apart, on one table?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.bootstrap import interval_of_draws
from gonogo.stats.clustered import ratio_of_sums
from gonogo.stats.estimates import estimated
from gonogo.stats.figure import Figure
from gonogo.stats.influence import LOGIT, PLAIN, interval_of_influence
from gonogo.stats.refusals import Undefined
from gonogo.stats.resampling import unit_draws

if TYPE_CHECKING:
    from gonogo.types.evidence import Array, Estimate, IntArray
    from gonogo.types.protocols import Family, Metric, Statistic, Table

_DRAWS = 200  # an interval for the eye, of a figure that decides nothing


def measured(family: Family, name: str, predictions: Table, outcomes: Table, *, seed: int) -> Estimate:
    """The family's metric or statistic of that name with an interval by unit; refused in words where the rows cannot give it."""
    metric = next((one for one in family.metrics if one.name == name), None)
    statistic = next((one for one in family.statistics if one.name == name), None)
    units, codes = np.unique(outcomes.column("unit").to_numpy(), return_inverse=True)

    def figure() -> Figure:
        if metric is not None:
            return ratio_of_sums(metric.score(predictions, outcomes))
        assert statistic is not None  # `selecting_score` has refused other names
        return _figure(statistic, predictions, outcomes, codes.astype(np.int64), len(units), seed)

    one: Metric | Statistic | None = metric or statistic
    assert one is not None
    return estimated(name, figure, n_rows=outcomes.num_rows, n_units=len(units), better=one.better, measured_in=one.measured_in)


def _figure(statistic: Statistic, predictions: Table, outcomes: Table, unit: IntArray, n_units: int, seed: int) -> Figure:
    analytic = statistic.linearise(predictions, outcomes)
    if analytic is not None:
        found = analytic.by_group(np.zeros(len(unit), dtype=np.int64), 1)
        value = float(found.value[0])
        if found.refused and found.refused[0]:
            raise Undefined(found.refused[0])
        if not np.isfinite(value):
            raise Undefined(f"{statistic.name} does not exist on these rows")
        errors = np.bincount(unit, weights=found.influence, minlength=n_units).astype(np.float64)
        interval = interval_of_influence(value, errors, n_units, scale=LOGIT if analytic.is_share else PLAIN)
        return Figure(value=value, interval=interval, n_units=n_units, n_rows=len(unit))
    of = statistic.prepare(predictions, outcomes)
    whole = of(np.ones(len(unit)))
    if whole is None:
        raise Undefined(f"{statistic.name} does not exist on these rows")
    drawn: Array = np.array([of(weight[unit]) for weight in unit_draws(n_units, _DRAWS, seed)], dtype=np.float64)  # None becomes NaN
    return Figure(value=whole, interval=interval_of_draws(drawn, n_units=n_units), n_units=n_units, n_rows=len(unit))
