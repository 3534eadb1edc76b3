"""What may bend a model's probabilities, and what of it lies in the model's folder?

A recalibration of all rows (`calibration.json`), then a shift of the log-odds for single values of an input (`slices.json`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from gonogo.families.tabular.storage import read_kind, read_record
from gonogo.stats.calibration import Beta, Isotonic, Platt, Temperature
from gonogo.stats.imbalance import PriorCorrection
from gonogo.types.errors import ArtifactRefused

if TYPE_CHECKING:
    import pyarrow as pa

    from gonogo.types.evidence import Array

CALIBRATION_FILE = "calibration.json"
SLICES_FILE = "slices.json"
Stored: TypeAlias = Platt | Temperature | Beta | Isotonic | PriorCorrection
KINDS: dict[str, type[Stored]] = {"platt": Platt, "temperature": Temperature, "beta": Beta, "isotonic": Isotonic, "prior": PriorCorrection}


@dataclass(frozen=True, kw_only=True)
class SliceShifts:
    """Log-odds that are added where an input holds one of these values; every other value, null too, is left alone."""

    column: str
    values: tuple[str, ...]  # sorted
    shifts: tuple[float, ...]

    def apply(self, score: Array, texts: pa.ChunkedArray) -> Array:
        """(n,) probabilities from those of all rows and the input's values as text."""
        import pyarrow.compute as pc

        code = pc.fill_null(pc.index_in(texts, value_set=self._value_set), len(self.values)).to_numpy()
        up = np.exp(np.array([*self.shifts, 0.0]) / 2)[code]
        # Half of the factor to each class, as in `PriorCorrection`: 0 and 1 stay, and what is not shifted keeps its bits.
        return np.where(up == 1, score, score * up / (score * up + (1 - score) / up))

    @cached_property
    def _value_set(self) -> pa.Array:
        import pyarrow as pa

        return pa.array(self.values, type=pa.string())


def read_recalibration(folder: Path) -> Stored | None:
    """The recalibration of all rows; None where there is none. Raises ArtifactRefused for one of a kind that is not known."""
    if not (folder / CALIBRATION_FILE).exists():
        return None
    kind = read_kind(folder, CALIBRATION_FILE)
    if kind not in KINDS:
        where = f"{folder.name}/{CALIBRATION_FILE}"
        raise ArtifactRefused("this kind of recalibration is not known", found=kind, expected=", ".join(KINDS), where=where)
    return read_record(folder, CALIBRATION_FILE, KINDS[kind])


def read_shifts(folder: Path) -> SliceShifts | None:
    """The shifts of single values; None where there are none."""
    return read_record(folder, SLICES_FILE, SliceShifts) if (folder / SLICES_FILE).exists() else None
