"""What is written down of each prediction, outcome and event?

A typed front of `log.Log`. Numbers that the judge and the join need are in the frame's header; the rest is msgpack, a tuple whose places
are named below. Names of columns are not repeated in every row: a Shape holds them, is written once to a file beside the segments, and
rows carry its short name.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from gonogo.backends.disk import write_whole
from gonogo.serving.log import SYNC_EVERY_S, Log
from gonogo.serving.rowkey import row_key
from gonogo.serving.segments import SEGMENT_BYTES
from gonogo.types.errors import LogFailed
from gonogo.types.record import digest
from gonogo.types.traffic import FrameKind

SHAPES = "shapes"  # the folder, inside the log's
_MOST_US = 0xFFFFFFFF
_NAN = float("nan")
_PREDICTION, _SHADOW, _OUTCOME, _EVENT = (
    int(kind) for kind in (FrameKind.PREDICTION, FrameKind.SHADOW, FrameKind.OUTCOME, FrameKind.EVENT)
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """The names and types of what a row's payload holds. types: number | integer | boolean | text | time; "" is told by the values."""

    candidate: str  # digest of who answers
    key: Mapping[str, str]  # column → type, in the order of the contract's rows.key
    question: Mapping[str, str]  # fields of the request
    inputs: Mapping[str, str]  # what was computed for the model; plain fields of the request need not be repeated
    outputs: Mapping[str, str]

    @property
    def name(self) -> str:
        """16 hex digits that stand for it."""
        return digest([self.candidate, *(list(of.items()) for of in (self.key, self.question, self.inputs, self.outputs))])[7:23]


class Prediction(NamedTuple):
    """The payload of a PREDICTION or SHADOW frame, place by place."""

    request_id: str  # as the caller named it; "" if nobody did
    shape: str
    key: tuple[Any, ...]
    decided_us: int | None  # the moment that the answer is for, µs UTC
    question: tuple[Any, ...]  # empty for a shadow: the caller's prediction has it
    inputs: tuple[Any, ...]
    answer: tuple[Any, ...]  # empty where nothing was answered
    why: str  # of a fallback or a failure


class Outcome(NamedTuple):
    """The payload of an OUTCOME frame."""

    key: tuple[Any, ...]
    values: dict[str, Any]  # outcome column → value
    known_us: int
    source: str  # who said so: a file's name, "http", a key's name


class Event(NamedTuple):
    """The payload of an EVENT frame."""

    source: str
    values: dict[str, Any]


def _plain(value: Any) -> Any:
    """What msgpack has no word for, as text or a plain number."""
    return value.item() if hasattr(value, "item") else str(value)


_ENCODE = msgspec.msgpack.Encoder(enc_hook=_plain).encode
_DECODERS: dict[FrameKind, msgspec.msgpack.Decoder[Any]] = {
    FrameKind.PREDICTION: msgspec.msgpack.Decoder(Prediction),
    FrameKind.SHADOW: msgspec.msgpack.Decoder(Prediction),
    FrameKind.OUTCOME: msgspec.msgpack.Decoder(Outcome),
    FrameKind.EVENT: msgspec.msgpack.Decoder(Event),
}


def encoded(payload: Any) -> bytes:
    """Msgpack of a payload. A number beyond 64 bits is written as text: nothing that was answered may be left out."""
    try:
        return _ENCODE(payload)
    except (OverflowError, ValueError, TypeError):
        return _ENCODE(_as_text(payload))


def _as_text(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _as_text(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_as_text(v) for v in value]
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return str(value)
    return value if value is None or isinstance(value, bool | int | float | datetime) else str(value)


def decoded(kind: int, payload: bytes) -> Any:
    """The Prediction, Outcome or Event of a frame's payload. Raises LogFailed for bytes that are none."""
    try:
        return _DECODERS[FrameKind(kind)].decode(payload)
    except (KeyError, ValueError, msgspec.MsgspecError) as error:
        raise LogFailed("A row of the log cannot be understood.", found=str(error), where=f"a frame of kind {kind}") from error


class PredictionLog:
    """What one process writes of its predictions, shadows, outcomes and events."""

    def __init__(
        self,
        folder: Path,
        writer: str,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        sync_every_s: float = SYNC_EVERY_S,
        wait_s: float = 0.0,
    ) -> None:
        """Go on behind what that writer wrote last. folder: FOLDER/.gonogo/serving/log. Raises LogFailed (see log.Log)."""
        self.log = Log(folder, writer, segment_bytes=segment_bytes, sync_every_s=sync_every_s, wait_s=wait_s)
        self._write = self.log.append
        self.folder = folder
        self._shapes: dict[str, Shape] = {}

    @property
    def lost(self) -> int:
        """Rows of this process that could not be written."""
        return self.log.lost

    @property
    def blocked(self) -> str:
        """Why nothing can be written at the moment; "" if it can."""
        return self.log.blocked

    @property
    def has_room(self) -> bool:
        """Whether a row can be written now: a contract that refuses to answer without a log asks first."""
        return self.log.has_room

    def declare(self, shape: Shape) -> str:
        """The short name of a shape, stored beside the segments before the first row that carries it. Not for the hot path."""
        name = shape.name
        if name not in self._shapes:
            path = self.folder / SHAPES / f"{name}.json"
            if not path.exists():
                path.parent.mkdir(exist_ok=True)
                write_whole(path, json.dumps(dataclasses.asdict(shape)).encode())
            self._shapes[name] = shape
        return name

    def append_prediction(
        self,
        *,
        request: int,
        shape: str,
        key: tuple[Any, ...],
        question: tuple[Any, ...],
        answer: tuple[Any, ...],
        inputs: tuple[Any, ...] = (),
        request_id: str = "",
        decided_us: int | None = None,
        why: str = "",
        at_ns: int = 0,
        wall_us: int = 0,
        unit: int = 0,
        bucket: int = 0,
        slices: int = 0,
        epoch: int = 0,
        arm: int = 0,
        status: int = 0,
        propensity: float = 1.0,
        latency_us: int = 0,
        key_hash: int | None = None,
    ) -> bool:
        """Write one answer; False if it was lost. Header fields as in types/traffic.FRAME, payload as in `Prediction`.

        shape: the name that `declare` gave. key: values of the row's key; key_hash: their `row_key` where it is known already.
        """
        score = answer[0] if answer else _NAN
        return self._write(
            _PREDICTION,
            encoded((request_id, shape, key, decided_us, question, inputs, answer, why)),
            at_ns,
            wall_us,
            request,
            row_key(key) if key_hash is None else key_hash,
            unit,
            bucket,
            slices,
            epoch,
            arm,
            status,
            propensity,
            latency_us if latency_us < _MOST_US else _MOST_US,
            score if type(score) is float else _number(score),
        )

    def append_shadow(
        self,
        *,
        request: int,
        shape: str,
        key: tuple[Any, ...],
        answer: tuple[Any, ...],
        inputs: tuple[Any, ...] = (),
        decided_us: int | None = None,
        why: str = "",
        at_ns: int = 0,
        wall_us: int = 0,
        unit: int = 0,
        bucket: int = 0,
        slices: int = 0,
        epoch: int = 0,
        arm: int = 0,
        status: int = 0,
        propensity: float = 1.0,
        latency_us: int = 0,
        key_hash: int | None = None,
    ) -> bool:
        """Write what the other arm's model said to the same request, to nobody; False if it was lost.

        propensity: that of the answer which it shadows.
        """
        score = answer[0] if answer else _NAN
        return self._write(
            _SHADOW,
            encoded(("", shape, key, decided_us, (), inputs, answer, why)),
            at_ns,
            wall_us,
            request,
            row_key(key) if key_hash is None else key_hash,
            unit,
            bucket,
            slices,
            epoch,
            arm,
            status,
            propensity,
            latency_us if latency_us < _MOST_US else _MOST_US,
            score if type(score) is float else _number(score),
        )

    def append_outcome(
        self,
        *,
        key: tuple[Any, ...],
        values: Mapping[str, Any],
        known_us: int | None = None,
        source: str = "",
        key_hash: int | None = None,
    ) -> bool:
        """Write what came true of the row with that key; False if it was lost. known_us: when anybody could know it; None is now."""
        known = time.time_ns() // 1000 if known_us is None else known_us
        hashed = row_key(key) if key_hash is None else key_hash
        return self.log.append(_OUTCOME, encoded((key, dict(values), known, source)), key=hashed)

    def append_event(self, *, source: str, values: Mapping[str, Any]) -> bool:
        """Write an event for the online features; False if it was lost."""
        return self.log.append(_EVENT, encoded((source, dict(values))))

    def sync(self) -> None:
        """Return once the disk holds every row written so far. Raises LogFailed."""
        self.log.sync()

    def close(self) -> None:
        """Close the log; rows appended after it are lost, and counted."""
        self.log.close()

    def __enter__(self) -> PredictionLog:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


def read_shapes(folder: Path) -> dict[str, Shape]:
    """Short name → shape, of all that were ever declared in this log."""
    found = {}
    for path in sorted((folder / SHAPES).glob("*.json")):
        with contextlib.suppress(ValueError, TypeError):  # a file that is none: rows that name it are kept as they are
            found[path.stem] = Shape(**json.loads(path.read_bytes()))
    return found


def _number(value: Any) -> float:
    """The first output where it is a number, else NaN."""
    try:
        return float(value) if isinstance(value, int | float) else _NAN
    except OverflowError:
        return _NAN
