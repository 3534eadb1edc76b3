"""Which model was fitted, on what, and can it be fitted again?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gonogo.types.record import Digest


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One learner that was tried, with what it scored on the validate table."""

    learner: str
    params: Mapping[str, Any]
    score: float | None  # the selecting metric on validate; None where the trial was refused
    measured_in: str
    chosen: bool
    note: str = ""  # why it was refused or not chosen; what calibration did


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A fitted model, by content. No clock touches it."""

    contract: Digest
    snapshot: Digest
    learner: str
    params: Mapping[str, Any]
    seed: int
    artifact: Mapping[str, Digest]  # file name → blob; nothing in it executes when read
    environment: Mapping[str, str]  # package → version, and the digests of code and lock file
    trials: tuple[Trial, ...]
    derived_from: Digest | None = None
