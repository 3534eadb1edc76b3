"""What is written down of a prediction: all of it, whatever its values are."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from gonogo.serving.predictionlog import Event, Outcome, Prediction, PredictionLog, Shape, decoded, read_shapes
from gonogo.serving.rowkey import NO_KEY, row_key
from gonogo.serving.tail import Position, Tail
from gonogo.types.errors import LogFailed
from gonogo.types.traffic import FrameKind

SHAPE = Shape(
    candidate="sha256:ab", key={"id": "text"}, question={"x": "number", "y": "text"}, inputs={"z": "number"}, outputs={"p": "number"}
)


@pytest.fixture
def log(tmp_path: Path):
    with PredictionLog(tmp_path / "log", "w0", segment_bytes=1 << 16) as opened:
        yield opened


def test_a_prediction_is_read_back_as_it_was_written(log):
    shape = log.declare(SHAPE)
    assert log.append_prediction(
        request=7,
        request_id="abc",
        shape=shape,
        key=("k",),
        question=(1.5, None),
        inputs=(2,),
        answer=(0.25,),
        decided_us=99,
        why="late",
        unit=1,
        bucket=2,
        slices=3,
        epoch=4,
        arm=1,
        status=3,
        propensity=0.5,
        latency_us=2**40,
    )
    batch = Tail(log.folder).poll()
    frame = batch.frames[0]
    assert decoded(frame["kind"], batch.payload(0)) == Prediction("abc", shape, ("k",), 99, (1.5, None), (2,), (0.25,), "late")
    assert [int(frame[n]) for n in ("kind", "request", "key", "unit", "bucket", "slices", "epoch", "arm", "status", "latency_us")] == [
        FrameKind.PREDICTION,
        7,
        row_key(("k",)),
        1,
        2,
        3,
        4,
        1,
        3,
        2**32 - 1,
    ]
    assert (frame["propensity"], frame["score"]) == (0.5, 0.25)
    assert read_shapes(log.folder) == {shape: SHAPE}


def test_shadows_outcomes_and_events_are_told_apart(log):
    log.append_shadow(request=7, shape=log.declare(SHAPE), key=("k",), answer=(0.5,), arm=1)
    log.append_outcome(key=("k",), values={"y": 1}, known_us=5, source="file.csv")
    log.append_event(source="flights", values={"id": 1, "at": datetime(2024, 1, 1, tzinfo=UTC)})
    batch = Tail(log.folder).poll()
    assert batch.frames["kind"].tolist() == [FrameKind.SHADOW, FrameKind.OUTCOME, FrameKind.EVENT]
    assert batch.frames["key"].tolist() == [row_key(("k",)), row_key(("k",)), 0]
    assert decoded(FrameKind.OUTCOME, batch.payload(1)) == Outcome(("k",), {"y": 1}, 5, "file.csv")
    event = decoded(FrameKind.EVENT, batch.payload(2))
    assert event == Event("flights", {"id": 1, "at": datetime(2024, 1, 1, tzinfo=UTC)})


@pytest.mark.parametrize(
    "value", [2**70, -(2**70), "\ud800", Decimal("1.10"), date(2024, 1, 1), np.float64(1.5), math.inf, object, (2**65, [])]
)
def test_no_value_keeps_a_row_out_of_the_log(log, value):
    assert log.append_prediction(request=1, shape="s", key=("k",), question=(value,), answer=("text",), unit=1)
    assert log.append_event(source="s", values={"x": value})
    batch = Tail(log.folder).poll()
    assert len(decoded(FrameKind.PREDICTION, batch.payload(0)).question) == 1
    assert math.isnan(batch.frames["score"][0])


@pytest.mark.parametrize(("answer", "score"), [((), math.nan), ((True,), 1.0), ((3,), 3.0), ((10**400,), math.nan), ((None,), math.nan)])
def test_the_score_is_the_first_output_where_that_is_a_number(log, answer, score):
    log.append_prediction(request=1, shape="s", key=(), question=(), answer=answer)
    assert str(float(Tail(log.folder).poll().frames["score"][0])) == str(score)


def test_a_shape_has_one_name_for_ever_and_another_order_has_another(log):
    assert log.declare(SHAPE) == log.declare(SHAPE) == SHAPE.name
    turned = Shape(
        candidate="sha256:ab", key={"id": "text"}, question={"y": "text", "x": "number"}, inputs={"z": "number"}, outputs={"p": "number"}
    )
    assert turned.name != SHAPE.name


def test_a_row_that_is_none_is_refused_with_its_kind():
    for kind, payload in ((FrameKind.OUTCOME, b"\xc0"), (FrameKind.LOST, b"\xc0"), (99, b""), (FrameKind.EVENT, b"\xff\xff")):
        with pytest.raises(LogFailed):
            decoded(kind, payload)


def test_keys_are_what_they_look_like_part_by_part():
    assert row_key((1, "x")) == row_key(("1", "x")) == row_key((1.0, "x"))
    assert len({row_key(k) for k in ((1, 23), (12, 3), ("1", "2", "3"), (123,), ("",), ("", ""))}) == 6
    assert row_key((None,)) == row_key(("a", None)) == row_key((math.nan,)) == NO_KEY


def test_bytes_that_are_no_position_are_refused():
    whole = Position(now_us=5).to_bytes()
    assert Position.from_bytes(whole) == Position(now_us=5)
    for data in (b"", whole[:-1], whole[:8] + b"\x05\x00"):
        with pytest.raises(LogFailed):
            Position.from_bytes(data)
