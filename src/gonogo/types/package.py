"""What must be known to answer with a candidate, without the libraries and the data that made it?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gonogo.types.record import Digest
from gonogo.types.snapshot import Input


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """One value of a request."""

    name: str
    type: str  # "number" | "integer" | "boolean" | "text" | "time"
    needed: bool  # False: null and absent are the same, and allowed


@dataclass(frozen=True, kw_only=True, slots=True)
class Package:
    """A candidate made ready to answer. No clock touches it; everything it names is a blob."""

    candidate: Digest
    contract: Digest  # by which it was trained: its features are computed as they were then
    family: str
    artifact: Mapping[str, Digest]  # file name → blob
    inputs: tuple[Input, ...]  # what the scorer reads, in order
    outputs: tuple[str, ...]
    fields: tuple[Field, ...]  # what a request holds
    key: tuple[str, ...]
    plan: Digest  # canonical JSON of the feature plan (data/planning.py)
    seeds: Mapping[str, Digest]  # source → Arrow file of the events that windows may still reach, as of packaging
    probes: Digest  # Probes: rows of inputs, and what the training library answered to them
    tolerance: float  # |difference| up to which an answer to a probe is the same


@dataclass(frozen=True, kw_only=True, slots=True)
class Probes:
    """Rows, and what the model that was trained answered to them: whoever answers otherwise is not that model."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]  # plain JSON values, None for null
    answers: tuple[tuple[Any, ...], ...]  # one value per output
