"""The archive: every row of the log once, as tables, whenever it is killed."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gonogo.backends.disk import Incoming
from gonogo.serving import archive as archiving
from gonogo.serving.archive import archive, archived_events, files, manifests, retain
from gonogo.serving.predictionlog import PredictionLog, Shape
from gonogo.serving.segments import HEADER_BYTES, segment_path, segments_of
from gonogo.serving.tail import Tail
from gonogo.types.errors import LogFailed
from gonogo.types.traffic import FrameKind

SHAPE = Shape(
    candidate="sha256:ab",
    key={"id": "integer"},
    question={"carrier": "text", "distance": "number", "at": "time"},
    inputs={"mean": "number"},
    outputs={"p": "number"},
)
SMALL = 1 << 14


def write(log: PredictionLog, first: int, n: int) -> None:
    shape = log.declare(SHAPE)
    for i in range(first, first + n):
        assert log.log.wait_for_room(5)
        log.append_prediction(
            request=i,
            request_id=f"r{i}",
            shape=shape,
            key=(i,),
            question=("UA", 2.5, datetime(2024, 1, 1, tzinfo=UTC)),
            inputs=(0.1,),
            answer=(i / 1000,),
            arm=i % 2,
            status=i % 3,
            propensity=0.05,
            unit=2**64 - 1,
            decided_us=1_704_067_200_000_000,
        )


def filled(folder: Path, n: int = 300, writer: str = "w0") -> Path:
    with PredictionLog(folder / "log", writer, segment_bytes=SMALL) as log:
        write(log, 0, n)
    return folder / "log"


def archived(folder: Path, kind: FrameKind = FrameKind.PREDICTION) -> list[int]:
    return sorted(r for path in files(folder, kind) for r in pq.read_table(path, columns=["request"])["request"].to_pylist())


def test_rows_are_readable_columns(tmp_path):
    log, out = filled(tmp_path, 3), tmp_path / "archive"
    made = archive(log, out, kept_us=0)
    assert made.n_rows == 3
    path = files(out, FrameKind.PREDICTION)[0]
    rows = duckdb.sql(
        "SELECT request_id, key.id AS id, question.carrier AS carrier, question.at AT TIME ZONE 'UTC' AS at, inputs.mean AS mean, "
        f"answer.p AS p, arm, status, propensity::decimal(3, 2)::text AS propensity, candidate, unit, score FROM '{path}' ORDER BY seq"
    ).fetchall()
    assert rows[1] == ("r1", 1, "UA", datetime(2024, 1, 1), 0.1, 0.001, "challenger", "stale", "0.05", "sha256:ab", 2**64 - 1, 0.001)


def test_every_row_of_closed_segments_is_in_the_archive_once_and_the_log_keeps_the_rest(tmp_path):
    out = tmp_path / "archive"
    with PredictionLog(tmp_path / "log", "w0", segment_bytes=SMALL) as log:
        write(log, 0, 500)
        archive(log.folder, out, kept_us=0)
        left = Tail(log.folder).poll().frames["request"].tolist()
        assert archived(out) + left == list(range(500))
        write(log, 500, 300)
        archive(log.folder, out, kept_us=0)
        left = Tail(log.folder).poll().frames["request"].tolist()
        assert archived(out) + left == list(range(800))
    archive(tmp_path / "log", out, kept_us=0)
    assert archived(out) == list(range(800))
    assert archive(tmp_path / "log", out, kept_us=0).manifests == ()


def test_a_segment_stays_until_every_reader_has_passed_it(tmp_path):
    log, out = filled(tmp_path), tmp_path / "archive"
    tail = Tail(log)
    behind = tail.position
    assert archive(log, out, [behind], kept_us=0).n_deleted == 0
    seen = tail.poll(at_most=100).frames["request"].tolist()
    n = len(segments_of(log)["w0"])
    assert 0 < archive(log, out, [tail.position], kept_us=0).n_deleted < n
    while len(batch := tail.poll()):
        seen += batch.frames["request"].tolist()
    assert seen == list(range(300))
    assert archive(log, out, [tail.position]).n_deleted == 0  # it is young, and a worker may still look for events in it
    archive(log, out, [tail.position], kept_us=0)
    assert len(segments_of(log)["w0"]) == 1


def test_numbers_go_on_after_everything_was_archived(tmp_path):
    log, out = filled(tmp_path), tmp_path / "archive"
    archive(log, out, kept_us=0)
    tail = Tail(log)
    tail.poll()
    archive(log, out, kept_us=0)
    with PredictionLog(log, "w0", segment_bytes=SMALL) as again:
        assert again.log.seq == 300
        write(again, 300, 200)
    archive(log, out, kept_us=0)
    assert archived(out) == list(range(500))
    assert tail.poll().frames["kind"].tolist().count(FrameKind.LOST) == 1  # it was not asked, and is told what it missed


class Killed(BaseException):
    pass


@given(after=st.integers(0, 60), data=st.data())
@settings(max_examples=12, deadline=None)
def test_a_kill_at_any_point_loses_and_doubles_nothing(tmp_path_factory, after, data):
    tmp_path = tmp_path_factory.mktemp("archive")
    log, out = filled(tmp_path, 150), tmp_path / "archive"
    filled(tmp_path, 80, "w1")
    steps = iter(range(after))

    def step(real):
        def stepping(*arguments, **named):
            if next(steps, None) is None:
                raise Killed
            return real(*arguments, **named)

        return stepping

    with pytest.MonkeyPatch.context() as patched:
        for name in ("write_whole", "_tables"):
            patched.setattr(archiving, name, step(getattr(archiving, name)))
        patched.setattr(archiving._Files, "add", step(archiving._Files.add))
        patched.setattr("gonogo.backends.disk.Incoming.keep_as", step(Incoming.keep_as))
        patched.setattr(Path, "unlink", step(Path.unlink))
        with contextlib.suppress(Killed):
            archive(log, out, at_once=data.draw(st.integers(1, 4)), kept_us=0)
    archive(log, out, at_once=data.draw(st.integers(1, 4)), kept_us=0)
    assert archived(out) == sorted([*range(150), *range(80)])
    assert sorted(p for p in out.rglob("*.parquet")) == sorted(files(out, FrameKind.PREDICTION))
    assert not list(out.rglob(".incoming-*"))


def test_what_is_damaged_is_counted_and_the_rest_is_kept(tmp_path):
    log, out = filled(tmp_path, 90), tmp_path / "archive"
    path = segment_path(log, "w0", segments_of(log)["w0"][0])
    data = bytearray(path.read_bytes())
    data[HEADER_BYTES + 300] ^= 4
    path.write_bytes(data)
    archive(log, out, kept_us=0)
    assert sum(m.lost for m in manifests(out)) == 1
    assert len(archived(out)) == 89


def test_values_of_another_type_and_rows_of_no_shape_are_kept_as_they_can_be(tmp_path):
    out = tmp_path / "archive"
    with PredictionLog(tmp_path / "log", "w0") as log:
        shape = log.declare(SHAPE)
        log.append_prediction(request=1, shape=shape, key=(2**70,), question=(5, "far"), answer=(1, 2, 3))
        log.append_prediction(request=2, shape="unheard", key=(1,), question=(), answer=(0.5,))
        log.append_shadow(request=1, shape=shape, key=(1,), answer=(0.5,), inputs=(1,))
        log.append_outcome(key=(1,), values={"y": 1}, source="f")
        log.log.append(FrameKind.EVENT, b"\xff nonsense")
    (manifest,) = archive(tmp_path / "log", out, kept_us=0).manifests
    assert manifest.rows == {"lost": 1, "outcomes": 1, "predictions": 2, "shadows": 1}
    assert manifest.unfit == 2  # the key beyond 64 bits, and a distance that is a word
    known, unknown = (next(p for p in files(out, FrameKind.PREDICTION) if part in str(p)) for part in (shape, "unknown"))
    (row,) = pq.read_table(known).to_pylist()
    assert (row["key"], row["question"], row["answer"]) == ({"id": None}, {"carrier": "5", "distance": None, "at": None}, {"p": 1.0})
    assert b"unheard" in pq.read_table(unknown)["payload"][0].as_py()
    outcome = pq.read_table(files(out, FrameKind.OUTCOME)[0]).to_pylist()[0]
    assert (json.loads(outcome["key"]), json.loads(outcome["outcome"]), outcome["source"]) == ([1], {"y": 1}, "f")


def test_events_are_read_back_as_they_were(tmp_path):
    event = {"id": 1, "at": datetime(2024, 1, 1, tzinfo=UTC), "x": None, "y": 2.5}
    with PredictionLog(tmp_path / "log", "w0") as log:
        log.append_event(source="flights", values=event)
    archive(tmp_path / "log", tmp_path / "archive")
    assert [(e.source, e.values) for e in archived_events(tmp_path / "archive")] == [("flights", event)]
    assert list(archived_events(tmp_path / "archive", since_us=2**60)) == []


def test_what_is_too_old_or_too_much_goes_oldest_first_and_stays_gone(tmp_path):
    log, out = filled(tmp_path, 300), tmp_path / "archive"
    archive(log, out, at_once=1, kept_us=0)
    last = max(m.to_us for m in manifests(out))
    size = sum(sum(m.files.values()) for m in manifests(out))
    assert retain(log, out, now_us=last, days=1) == 0
    n = len(manifests(out))
    assert retain(log, out, now_us=last, n_bytes=size // 2) > 0
    left = archived(out)
    assert left == list(range(300 - len(left), 300))
    retain(log, out, now_us=last + 10 * 86_400_000_000, days=1)
    assert 0 < len(manifests(out)) < n  # what still lies in the log is not deleted, for it would be archived again
    assert archive(log, out, kept_us=0).manifests == ()
    (out / "manifests" / f"{manifests(out)[0].name}.json").rename(out / "manifests" / "w0.gone")  # killed while it was retained
    retain(log, out, now_us=last)
    assert list(out.rglob("*.gone")) == []
    assert len(list(out.rglob("*.parquet"))) == sum(len(m.files) for m in manifests(out))


def test_a_manifest_that_cannot_be_read_stops_the_archive_and_deletes_nothing(tmp_path):
    log, out = filled(tmp_path), tmp_path / "archive"
    archive(log, out, kept_us=0)
    manifest = next((out / "manifests").glob("*.json"))
    manifest.write_text("{")
    before = sorted(out.rglob("*.parquet"))
    with pytest.raises(LogFailed):
        archive(log, out, kept_us=0)
    assert sorted(out.rglob("*.parquet")) == before
