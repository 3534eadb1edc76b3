"""Does bending the probabilities help, and by how much on units that the bend was not fitted on?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from gonogo.families.tabular.curves import reliability_series
from gonogo.families.tabular.metrics import log_loss
from gonogo.families.tabular.outcome import PREDICTION, read_outcome, read_probability, read_unit
from gonogo.families.tabular.storage import read_kind, read_record, write_record
from gonogo.stats.calibration import Isotonic, Platt, Recalibration, fit_isotonic, fit_platt
from gonogo.stats.clustered import paired_difference
from gonogo.stats.refusals import Refused
from gonogo.types.errors import ArtifactRefused
from gonogo.types.evidence import Curve, Interval, UnitScores
from gonogo.types.protocols import Refined

if TYPE_CHECKING:
    from gonogo.types.evidence import Array, Effect, IntArray
    from gonogo.types.protocols import Examples, Model

CALIBRATION_FILE = "calibration.json"
BLOCKS = 5  # of units, one after the other in time: each is judged by a fit on the others
LEVEL = 0.975  # two kinds are tried, so each must show its gain at half the usual error


class CalibratedModel:
    """A model whose probabilities are bent by a recalibration."""

    def __init__(self, model: Model, recalibration: Platt | Isotonic) -> None:
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
    """One kind of recalibration, judged on units that it was not fitted on."""

    name: str
    p: Array  # (n,) held-out probabilities
    before: float  # mean nats
    after: float
    interval: Interval  # of after - before

    @property
    def helps(self) -> bool:
        """Even the worst end of its interval is a gain."""
        return self.interval.high < 0


def refine(model: Model, validate: Examples, seed: int) -> Refined:
    """The model, recalibrated on validate if that lowers the log loss of held-out units beyond doubt; else as it was.

    Folds are blocks of units in time, so nothing is drawn and the seed is not used.
    """
    y, unit = read_outcome(validate.outcomes), read_unit(validate.outcomes)
    p = read_probability(model.predict(validate.inputs))
    block = _blocks(unit)
    if block is None:
        return Refined(model=model, note=f"left as it was: fewer than {BLOCKS} units to judge a recalibration by")
    attempts = [attempt for name in FITS if (attempt := _attempt(name, p, y, unit, block)) is not None]
    helpful = [attempt for attempt in attempts if attempt.helps]
    if not helpful:
        tried = "; ".join(_said(attempt) for attempt in attempts) or "nothing could be fitted"
        return Refined(model=model, note=f"left as it was: no recalibration helps beyond doubt ({tried})")
    best = min(helpful, key=lambda attempt: attempt.after)
    return Refined(
        model=CalibratedModel(model, FITS[best.name](p, y)),
        note=_said(best) + f" on held-out units of validate, {len(np.unique(unit))} of them",
        curves=(_before_and_after(best, p, y, unit),),
    )


def load_around(model: Model, folder: Path) -> Model:
    """The model, with the recalibration that lies in its folder, if one does."""
    if not (folder / CALIBRATION_FILE).exists():
        return model
    kind = read_kind(folder, CALIBRATION_FILE)
    if kind not in KINDS:
        where = f"{folder.name}/{CALIBRATION_FILE}"
        raise ArtifactRefused("this kind of recalibration is not known", found=kind, expected=", ".join(KINDS), where=where)
    return CalibratedModel(model, read_record(folder, CALIBRATION_FILE, KINDS[kind]))


def _fit_platt(p: Array, y: Array) -> Platt:
    fitted = fit_platt(y, p)
    # Ten digits: the last bits of a sum over many rows may differ with the linear-algebra library's threads.
    return Platt(slope=float(f"{fitted.slope:.10g}"), intercept=float(f"{fitted.intercept:.10g}"))


def _fit_isotonic(p: Array, y: Array) -> Isotonic:
    fitted = fit_isotonic(y, p)
    # n rows never show that something cannot happen: the ends keep one row's worth of doubt.
    doubt = 1 / (len(y) + 2)
    inside = tuple(min(max(probability, doubt), 1 - doubt) for probability in fitted.probabilities)
    return Isotonic(scores=fitted.scores, probabilities=inside)


FITS: dict[str, Callable[[Array, Array], Platt | Isotonic]] = {"Platt": _fit_platt, "isotonic": _fit_isotonic}
KINDS: dict[str, type[Platt] | type[Isotonic]] = {"platt": Platt, "isotonic": Isotonic}


def _blocks(unit: IntArray) -> IntArray | None:
    """(n,) block of each row: units in the order in which they first appear, cut into BLOCKS runs; None where there are too few."""
    units, first, place = np.unique(unit, return_index=True, return_inverse=True)
    if len(units) < BLOCKS:
        return None
    rank = np.empty(len(units), dtype=np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(units))
    return np.asarray(rank[place] * BLOCKS // len(units))


def _attempt(name: str, p: Array, y: Array, unit: IntArray, block: IntArray) -> Attempt | None:
    """None where the kind cannot be fitted or judged: one class in a fold, no spread."""
    held_out = np.empty_like(p)
    try:
        for b in range(BLOCKS):
            recalibration: Recalibration = FITS[name](p[block != b], y[block != b])
            held_out[block == b] = recalibration.apply(p[block == b])
        before, after, ones = log_loss(p, y), log_loss(held_out, y), np.ones(len(y))
        difference = paired_difference(UnitScores(unit, after, ones), UnitScores(unit, before, ones), level=LEVEL)
    except Refused:
        return None
    return Attempt(name=name, p=held_out, before=float(np.mean(before)), after=float(np.mean(after)), interval=difference.interval)


def _said(attempt: Attempt) -> str:
    ends = f"[{attempt.interval.low:+.4f}, {attempt.interval.high:+.4f}]"
    return f"{attempt.name}: log loss {attempt.before:.4f} → {attempt.after:.4f} nats, difference {ends}"


def _before_and_after(attempt: Attempt, p: Array, y: Array, unit: IntArray) -> Curve:
    return Curve(
        name="calibration",
        title=f"What {attempt.name} recalibration did, on units of validate that it was not fitted on",
        x_label="probability that was said",
        y_label="share that came true",
        series=(reliability_series("before", y, p, unit), reliability_series("after", y, attempt.p, unit)),
        diagonal=True,
        marks="points",
    )
