"""What did the data look like, as it could be known at that time?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from gonogo.types.record import Digest


class Kind(Enum):
    """What an input column is to a learner."""

    NUMBER = "number"
    CATEGORY = "category"
    TEXT = "text"


class Missing(Enum):
    """What happens where an input is null: the policy, per feature, in the contract."""

    REFUSE = "refuse"  # a null is a failed finding
    NATIVE = "native"  # handed to a learner that knows missing values; others impute with an indicator
    INDICATE = "indicate"  # imputed, and a 0/1 column says so


@dataclass(frozen=True, kw_only=True, slots=True)
class Input:
    """One column that a model may see."""

    name: str  # "origin_departures__share_late__3h"
    kind: Kind
    missing: Missing
    feature: str  # the declaration it came from: "origin_departures"
    exact: bool = True  # False: marked approximate, outside the claim of equal bits


class FindingStatus(Enum):
    """What a check found."""

    CLEAN = "clean"  # it ran and found nothing
    NOTE = "note"  # worth reading, blocks nothing
    OPEN = "open"  # a defect; a gate on findings does not pass until it is mended or waived
    SKIPPED = "skipped"  # it could not run, and says why: never a pass


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What one check found in one place, with its evidence."""

    code: str  # "GNG-K003": the page that explains it
    check: str  # "known_after_decision"
    status: FindingStatus
    where: str  # "features.air_time", "train.dep_delay", "sources.weather"
    sentence: str  # what was found, with its numbers
    expected: str = ""
    next: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)  # the numbers behind the sentence


@dataclass(frozen=True, kw_only=True, slots=True)
class SourcePin:
    """One source as it was read: by content, not by path."""

    name: str
    digest: Digest  # of the bytes read, or of the table a `python:` entry returned
    n_rows: int
    columns: Mapping[str, str]  # name → type


@dataclass(frozen=True, kw_only=True, slots=True)
class TablePin:
    """One table of a snapshot: "train", "validate", "test", "window"."""

    blob: Digest  # a Parquet file in Blobs
    n_rows: int
    n_units: int
    decided_from: str  # first decided_at, UTC, ISO 8601
    decided_until: str  # last decided_at


@dataclass(frozen=True, kw_only=True, slots=True)
class Dropped:
    """Rows that a policy of the contract, the split or immaturity took out: nothing is dropped silently."""

    reason: str  # "cancelled (policy)", "embargo", "label not mature"
    n_rows: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """Immutable, content-hashed inputs: the same sources and contract give the same digest on any day."""

    contract_part: Digest  # of the parts of the contract that shape the data
    as_of: str  # UTC: nothing known later is in here
    sources: tuple[SourcePin, ...]
    inputs: tuple[Input, ...]
    keys: tuple[str, ...]  # key columns of a row
    slices: tuple[str, ...]  # columns kept for slicing
    tables: Mapping[str, TablePin]
    dropped: tuple[Dropped, ...]
    findings: tuple[Finding, ...]
    facts: Mapping[str, Any]  # label maturity, the naive set's bias, parity counts: numbers for the page
