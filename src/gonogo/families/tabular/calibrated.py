"""Does bending the probabilities help, and by how much on units that the bend was not fitted on?

Four kinds are tried on all rows (temperature, Platt, beta, isotonic), then a shift for single values of an input (`by_slice`). Each is kept
only where its gain on held-out units is beyond doubt. What class weights and sampling did to the odds is not repaired here: the learners
take it out exactly before a model leaves them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa

from gonogo.families.tabular.bends import CALIBRATION_FILE, KINDS, Stored, read_recalibration
from gonogo.families.tabular.by_slice import HeldShifts, ShiftedModel, fit_shifts, shifts_that_hold
from gonogo.families.tabular.by_slice import load_around as load_shifted
from gonogo.families.tabular.curves import reliability_series
from gonogo.families.tabular.held_out import BLOCKS, Gain, Judged, answered, blocks_in_time, fitted_on_the_others, gain
from gonogo.families.tabular.outcome import PREDICTION, read_outcome, read_probability, read_unit
from gonogo.families.tabular.storage import write_record
from gonogo.stats.calibration import (
    Beta,
    Identity,
    Isotonic,
    Platt,
    Recalibration,
    Temperature,
    fit_beta,
    fit_isotonic,
    fit_platt,
    fit_temperature,
)
from gonogo.stats.miscalibration import expected_calibration_error
from gonogo.stats.refusals import Refused
from gonogo.types.evidence import Curve
from gonogo.types.protocols import Refined

if TYPE_CHECKING:
    from gonogo.types.evidence import Array, Effect, Estimate
    from gonogo.types.protocols import Examples, Model

F = TypeVar("F", Platt, Temperature, Beta)


class CalibratedModel:
    """A model whose probabilities are bent by a recalibration."""

    def __init__(self, model: Model, recalibration: Stored) -> None:
        self._model = model
        self._recalibration = recalibration

    def predict(self, inputs: pa.Table) -> pa.Table:
        """(n,) recalibrated probabilities. Raises what the model raises."""
        return pa.table({PREDICTION: self._recalibration.apply(read_probability(self._model.predict(inputs)))})

    def save(self, folder: Path) -> None:
        """Write the model's files and calibration.json."""
        self._model.save(folder)
        kind = next(name for name, cls in KINDS.items() if isinstance(self._recalibration, cls))
        write_record(folder, CALIBRATION_FILE, kind, self._recalibration)

    def effects(self) -> tuple[Effect, ...]:
        """Those of the model: bending changes no order."""
        return self._model.effects()


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One kind of recalibration of all rows, judged on units that it was not fitted on."""

    name: str
    recalibrations: tuple[Recalibration, ...]  # of each block, fitted on the others
    gain: Gain

    def __str__(self) -> str:
        return f"{self.name}: {self.gain}"


def refine(model: Model, validate: Examples, seed: int) -> Refined:
    """The model, recalibrated on validate where that lowers the log loss of held-out units beyond doubt; else as it was.

    Blocks are of units in time, so nothing is drawn: the seed goes to the interval of the calibration error alone. A recalibration of all
    rows that makes an honest model worse is kept in at most 1 of 40 cases, and so are shifts of single values.
    """
    unit = read_unit(validate.outcomes)
    block = blocks_in_time(unit)
    if block is None:
        return Refined(model=model, note=f"left as it was: fewer than {BLOCKS} units to judge a recalibration by")
    p = read_probability(model.predict(validate.inputs))
    judged = Judged(y=read_outcome(validate.outcomes), p=p, unit=unit, block=block)
    tried = [attempt for name in FITS if (attempt := _attempt(name, judged)) is not None]
    best = min((attempt for attempt in tried if attempt.gain.is_beyond_doubt), key=lambda one: one.gain.after, default=None)
    recalibrations = (Identity(),) * BLOCKS if best is None else best.recalibrations
    held = shifts_that_hold(validate, judged, recalibrations)
    if best is None and held is None:
        said = "; ".join(map(str, tried)) or "nothing could be fitted"
        return Refined(model=model, note=f"left as it was: no recalibration helps beyond doubt ({said})")
    after = answered(recalibrations, judged) if held is None else held.p
    return Refined(
        model=_bent(model, validate, judged, best, held),
        note=f"{_said(best, held)}; {_errors(judged, after, seed)} on held-out units of validate, {judged.n_units} of them",
        curves=(_before_and_after(judged, after),),
    )


def load_around(model: Model, folder: Path) -> Model:
    """The model, with the recalibration and the shifts that lie in its folder, where they do."""
    return load_shifted(_load_recalibrated(model, folder), folder)


def _load_recalibrated(model: Model, folder: Path) -> Model:
    recalibration = read_recalibration(folder)
    return model if recalibration is None else CalibratedModel(model, recalibration)


def _bent(model: Model, validate: Examples, judged: Judged, best: Attempt | None, held: HeldShifts | None) -> Model:
    """The model with what was kept, fitted on the whole of validate."""
    fitted = Identity() if best is None else FITS[best.name](judged.y, judged.p)
    bent = model if isinstance(fitted, Identity) else CalibratedModel(model, fitted)
    if held is None:
        return bent
    return ShiftedModel(bent, fit_shifts(validate, judged.y, fitted.apply(judged.p), held))


def _attempt(name: str, judged: Judged) -> Attempt | None:
    """None where the kind cannot be fitted or judged: one class in a fold, no spread."""
    try:
        recalibrations = fitted_on_the_others(FITS[name], judged)
        seen = gain(judged.y, judged.p, answered(recalibrations, judged), judged.unit, level=LEVEL)
    except Refused:
        return None
    return Attempt(name=name, recalibrations=recalibrations, gain=seen)


def _fit_platt(y: Array, p: Array) -> Platt:
    return _of_ten_digits(fit_platt(y, p))


def _fit_temperature(y: Array, p: Array) -> Temperature:
    return _of_ten_digits(fit_temperature(y, p))


def _fit_beta(y: Array, p: Array) -> Beta:
    return _of_ten_digits(fit_beta(y, p))


def _of_ten_digits(fitted: F) -> F:
    """The last bits of a sum over many rows may differ from one processor to the next."""
    return dataclasses.replace(fitted, **{name: float(f"{value:.10g}") for name, value in dataclasses.asdict(fitted).items()})


def _fit_isotonic(y: Array, p: Array) -> Isotonic:
    fitted = fit_isotonic(y, p)
    # n rows never show that something cannot happen: the ends keep one row's worth of doubt.
    doubt = 1 / (len(y) + 2)
    inside = tuple(min(max(probability, doubt), 1 - doubt) for probability in fitted.probabilities)
    return Isotonic(scores=fitted.scores, probabilities=inside)


FITS: dict[str, Callable[[Array, Array], Platt | Temperature | Beta | Isotonic]] = {
    "temperature": _fit_temperature,
    "Platt": _fit_platt,
    "beta": _fit_beta,
    "isotonic": _fit_isotonic,
}
LEVEL = 1 - 0.05 / len(FITS)  # so many kinds are tried, and each must show its gain with its part of the usual doubt


def _said(best: Attempt | None, held: HeldShifts | None) -> str:
    return "; ".join(str(kept) for kept in (best, held) if kept is not None)


def _errors(judged: Judged, after: Array, seed: int) -> str:
    """The calibration error with its interval, before and after."""
    both = (expected_calibration_error(judged.y, p, unit=judged.unit, seed=seed) for p in (judged.p, after))
    return "calibration error " + " → ".join(map(_with_interval, both))


def _with_interval(estimate: Estimate) -> str:
    if estimate.value is None or estimate.interval is None:
        return f"refused ({estimate.refused})"
    return f"{estimate.value:.4f} [{estimate.interval.low:.4f}, {estimate.interval.high:.4f}]"


def _before_and_after(judged: Judged, after: Array) -> Curve:
    before = reliability_series("before", judged.y, judged.p, judged.unit)
    return Curve(
        name="calibration",
        title="What recalibration did, on units of validate that it was not fitted on",
        x_label="probability that was said",
        y_label="share that came true",
        series=(before, reliability_series("after", judged.y, after, judged.unit)),
        diagonal=True,
        marks="points",
    )
