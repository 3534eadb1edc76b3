"""The prediction log: what is written is there, whole, once, and nobody waits for the disk."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gonogo.serving import segments
from gonogo.serving.log import Log, close_orphans
from gonogo.serving.segments import HEADER_BYTES, segment_path, segments_of
from gonogo.serving.tail import Position, Tail
from gonogo.types.errors import LogFailed
from gonogo.types.traffic import FrameKind

SMALL = 1 << 14  # a segment of some 100 rows


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "log"


def small(folder: Path, writer: str = "w0", **settings: float) -> Log:
    return Log(folder, writer, segment_bytes=SMALL, **settings)  # type: ignore[arg-type]


def write(log: Log, first: int, n: int) -> None:
    for i in range(first, first + n):
        assert log.wait_for_room(5)
        assert log.append(FrameKind.PREDICTION, b"row %d" % i, request=i)


def requests(tail: Tail) -> list[int]:
    """The request numbers of what comes now, with minus how many for what was lost."""
    found: list[int] = []
    while len(batch := tail.poll()):
        lost = batch.frames["kind"] == FrameKind.LOST
        found += np.where(lost, -batch.frames["unit"].astype(np.int64), batch.frames["request"].astype(np.int64)).tolist()
    return found


def wait_until(condition: object, *, at_most_s: float = 10.0) -> None:
    until = time.monotonic() + at_most_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < until, "it did not come true"
        time.sleep(0.002)


def test_a_row_is_there_for_a_reader_the_moment_it_is_written(folder):
    with small(folder) as log:
        tail = Tail(folder)
        assert log.append(FrameKind.EVENT, b"hello", at_ns=5, request=7, key=8, unit=9, epoch=3, arm=1, propensity=0.25, score=0.5)
        batch = tail.poll()
        frame = batch.frames[0]
        assert batch.payload(0) == b"hello"
        assert [int(frame[name]) for name in ("at_ns", "request", "key", "unit", "epoch", "arm", "seq")] == [5, 7, 8, 9, 3, 1, 1]
        assert (frame["propensity"], frame["score"]) == (0.25, 0.5)
        assert len(tail.poll()) == 0


def test_rows_go_on_over_segments_and_restarts_without_a_gap(folder):
    for start in (0, 500, 1000):
        with small(folder) as log:
            write(log, start, 500)
            assert log.seq == start + 500
    assert len(segments_of(folder)["w0"]) > 10
    assert requests(Tail(folder)) == list(range(1500))


def test_a_second_process_of_the_same_name_is_refused(folder):
    with small(folder), pytest.raises(LogFailed, match="Another process"):
        small(folder)
    small(folder).close()


@given(cuts=st.lists(st.integers(1, 40), max_size=12), payloads=st.lists(st.binary(max_size=300), min_size=1, max_size=60))
@settings(max_examples=25, deadline=None)
def test_a_reader_that_stops_and_goes_on_sees_every_row_once(tmp_path_factory, cuts, payloads):
    folder = tmp_path_factory.mktemp("log")
    with Log(folder, "w0", segment_bytes=4096) as log:
        for i, payload in enumerate(payloads):
            assert log.wait_for_room(5)
            assert log.append(FrameKind.EVENT, payload, request=i)
    seen: list[bytes] = []
    position = Position()
    for cut in [*cuts, *[1000] * 100]:
        tail = Tail(folder, position)
        batch = tail.poll(at_most=cut)
        seen += [batch.payload(i) for i in range(len(batch))]
        position = Position.from_bytes(tail.position.to_bytes())
        if len(seen) == len(payloads):
            break
    assert seen == [payload or b"\xc0" for payload in payloads]


def test_what_was_read_between_two_positions_is_read_again_in_the_same_order(folder):
    with small(folder, "w0") as one, small(folder, "w1") as two:
        tail, batches, positions = Tail(folder), [], []
        for i in range(12):
            write(one, 100 * i, 30)
            write(two, 10_000 + 100 * i, 20 if i % 3 else 0)
            batches.append(tail.poll(at_most=37))
            positions.append(tail.position)
    again = Tail(folder)
    for batch, position in zip(batches, positions, strict=True):
        found = again.read(position)
        assert found.frames.tobytes() == batch.frames.tobytes()
        assert again.position == position


@given(seed=st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_over_damage_too_what_was_read_once_is_read_again_alike(tmp_path_factory, seed):
    rng, folder = np.random.default_rng(seed), tmp_path_factory.mktemp("log")
    with small(folder) as log:
        write(log, 0, 400)
    for number in segments_of(folder)["w0"][:-1]:
        path = segment_path(folder, "w0", number)
        data = bytearray(path.read_bytes())
        for at in rng.integers(HEADER_BYTES, SMALL, rng.integers(0, 3)).tolist():
            data[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
    tail, again, n = Tail(folder), Tail(folder), 0
    until = time.monotonic() + 10
    while n < 400 and time.monotonic() < until:  # where a seal is spoilt the reader waits a while before it believes it
        batch = tail.poll(at_most=int(rng.integers(1, 60)))
        found = again.read(Position.from_bytes(tail.position.to_bytes()))
        assert again.position == tail.position
        for one in (batch, found):
            assert one.frames["kind"].tolist() == batch.frames["kind"].tolist()
        assert found.frames[["request", "unit", "seq"]].tolist() == batch.frames[["request", "unit", "seq"]].tolist()
        n += sum(int(f["unit"]) if f["kind"] == FrameKind.LOST else 1 for f in batch.frames)
    assert n == 400


def test_a_reader_may_pass_over_all_that_is_there(folder):
    with small(folder, "w0") as one, small(folder, "w1") as two:
        write(one, 0, 500)
        write(two, 0, 3)
        tail = Tail(folder)
        position = tail.skip()
        behind = Tail(folder)
        requests(behind)
        assert {name: place.seq for name, place in position.places.items()} == {"w0": 500, "w1": 3}
        assert position == behind.position
        write(one, 500, 2)
        write(two, 3, 1)
        assert sorted(requests(tail)) == [3, 500, 501]


def test_a_reader_knows_without_reading_that_a_row_has_come(folder):
    with small(folder) as log:
        tail = Tail(folder)
        write(log, 0, 3)
        assert not tail.has_news  # it has not found the writer yet
        requests(tail)
        assert not tail.has_news
        write(log, 3, 1)
        assert tail.has_news
        assert requests(tail) == [3]
        assert not tail.has_news
    assert not tail.has_news  # closed: nothing comes behind the seal


def test_rows_of_two_writers_come_in_the_order_of_the_clock_and_each_keeps_its_own(folder):
    with small(folder, "w0") as one, small(folder, "w1") as two:
        for at in (1, 5, 3):
            one.append(FrameKind.EVENT, b"x", at_ns=at)
        for at in (2, 4):
            two.append(FrameKind.EVENT, b"x", at_ns=at)
        batch = Tail(folder).poll()
    assert [(batch.writers[w], int(at)) for w, at in zip(batch.writer, batch.frames["at_ns"], strict=True)] == [
        ("w0", 1),
        ("w1", 2),
        ("w1", 4),
        ("w0", 5),
        ("w0", 3),
    ]


def test_a_reader_beside_a_busy_writer_never_sees_half_a_row(folder):
    n, seen = 6000, []
    with small(folder) as log:
        writer = threading.Thread(target=write, args=(log, 0, n))
        writer.start()
        tail = Tail(folder)
        while len(seen) < n:
            batch = tail.poll()
            for i in range(len(batch)):
                assert batch.frames["kind"][i] == FrameKind.PREDICTION
                assert batch.payload(i) == b"row %d" % int(batch.frames["request"][i])
            seen += batch.frames["request"].tolist()
        writer.join()
    assert seen == list(range(n))


KILLED = """
import sys
from pathlib import Path
from gonogo.serving.log import Log
log = Log(Path(sys.argv[1]), "w0", segment_bytes=1 << 16, wait_s=5)
i = int(sys.argv[2])
while True:
    if log.wait_for_room(5) and log.append(1, b"x" * (i % 200), request=i):
        i += 1
        sys.stdout.buffer.write(i.to_bytes(8, "little"))
        sys.stdout.buffer.flush()
"""


def test_a_killed_writer_loses_no_row_that_it_acknowledged(folder):
    for _ in range(8):
        before = requests(Tail(folder))
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(folder), str(len(before))], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.read(8 * 300)
        process.send_signal(signal.SIGKILL)
        rest, _ = process.communicate()
        acknowledged = int.from_bytes(rest[: len(rest) // 8 * 8][-8:], "little") if len(rest) >= 8 else 0
        after = requests(Tail(folder))
        assert after == list(range(len(after)))
        assert len(after) >= max(acknowledged, len(before) + 300)


def test_what_a_killed_writer_left_open_can_be_closed_by_another(folder):
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(folder), "0"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.read(8 * 10)
    assert close_orphans(folder) == ()
    process.kill()
    process.wait()
    process.stdout.close()
    assert close_orphans(folder) == ("w0",)
    numbers = segments_of(folder)["w0"]
    for number in numbers:
        map_ = segments.open_to_read(segment_path(folder, "w0", number))
        assert map_ is not None
        assert segments.sealed_end(map_) is not None
    assert close_orphans(folder) == ("w0",)  # twice changes nothing
    assert segments_of(folder)["w0"] == numbers


@given(where=st.integers(0, 12 * 1024), bit=st.integers(0, 7))
@settings(max_examples=60, deadline=None)
def test_a_flipped_bit_costs_the_rows_it_hit_and_says_how_many(tmp_path_factory, where, bit):
    folder = tmp_path_factory.mktemp("log")
    with small(folder) as log:
        write(log, 0, 250)
    first = segment_path(folder, "w0", segments_of(folder)["w0"][0])
    data = bytearray(first.read_bytes())
    data[HEADER_BYTES + where] ^= 1 << bit
    first.write_bytes(data)
    found = requests(Tail(folder))
    kept = [i for i in found if i >= 0]
    assert kept == sorted(set(kept))
    assert len(kept) - sum(i for i in found if i < 0) == 250
    assert len(kept) >= 249


@pytest.mark.parametrize("which", [0, 1, -1])
def test_a_segment_whose_header_is_spoilt_is_told_as_lost_as_a_whole(folder, which):
    with small(folder) as log:
        tail = Tail(folder)
        write(log, 0, 1)
        tail.poll()
        write(log, 1, 499)
    spoilt = segment_path(folder, "w0", segments_of(folder)["w0"][which])
    with spoilt.open("r+b") as file:
        file.write(b"\xff" * 100)
    with small(folder) as log:
        write(log, 500, 1)
    again = Tail(folder, tail.position)
    found = requests(again)
    assert [i for i in found if i >= 0][-1] == 500
    assert len([i for i in found if i < 0]) == 1
    assert len([i for i in found if i >= 0]) - sum(i for i in found if i < 0) == 500


def test_damage_in_a_segment_in_use_is_passed_once_whole_rows_lie_behind_it(folder):
    with small(folder) as log:
        write(log, 0, 10)
        path = segment_path(folder, "w0", segments_of(folder)["w0"][0])
        tail = Tail(folder)
        with path.open("r+b") as file:
            file.seek(HEADER_BYTES + 96)
            file.write(b"\xff" * 4)
        found: list[int] = []

        def all_told() -> bool:
            found.extend(requests(tail))
            return len(found) == 10

        wait_until(all_told)
        assert found == [-1, *range(1, 10)]
        write(log, 10, 5)
        assert requests(tail) == list(range(10, 15))


def test_a_crash_in_the_middle_of_a_segment_never_gives_a_sequence_number_twice(folder):
    log = small(folder)
    write(log, 0, 20)
    path = segment_path(folder, "w0", log._number)
    data = bytearray(path.read_bytes())
    log.close()
    for number in segments_of(folder)["w0"]:
        segment_path(folder, "w0", number).unlink()
    data[HEADER_BYTES + 5 * 104 : HEADER_BYTES + 8 * 104] = bytes(3 * 104)  # a page that the disk never got
    path.write_bytes(data)
    with small(folder) as log:
        assert log.seq == 20
        write(log, 20, 1)
    found = requests(Tail(folder))
    assert found == [0, 1, 2, 3, 4, -3, *range(8, 21)]


def test_on_a_full_disk_rows_are_counted_and_told_when_there_is_room_again(folder, monkeypatch):
    full = threading.Event()
    real = os.posix_fallocate

    def fallocate(descriptor: int, offset: int, size: int) -> None:
        if full.is_set():
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor, offset, size)

    monkeypatch.setattr(os, "posix_fallocate", fallocate)
    monkeypatch.setattr("gonogo.serving.log._RETRY_EVERY_S", 0.01)
    with small(folder) as log:
        wait_until(lambda: log._next is not None)
        full.set()
        written = 0
        while log.append(FrameKind.PREDICTION, b"x", request=written):
            written += 1
        for _ in range(9):
            assert not log.append(FrameKind.PREDICTION, b"x", request=0)
        assert (log.lost, log.has_room) == (10, False)
        wait_until(lambda: "No space" in log.blocked)
        full.clear()
        wait_until(lambda: log.has_room)
        assert log.append(FrameKind.PREDICTION, b"x", request=written)
        assert log.blocked == ""
    assert requests(Tail(folder)) == [*range(written), -10, written]


def test_a_disk_that_is_full_from_the_start_stops_nobody(folder, monkeypatch):
    def fallocate(descriptor: int, offset: int, size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "posix_fallocate", fallocate)
        patched.setattr("gonogo.serving.log._RETRY_EVERY_S", 0.01)
        log = small(folder)
        assert not log.append(FrameKind.PREDICTION, b"x")
        assert log.blocked == "No space left on device"
        patched.undo()
        wait_until(lambda: log.has_room)
    assert log.append(FrameKind.PREDICTION, b"x", request=1)
    log.close()
    assert requests(Tail(folder)) == [-1, 1]


def test_a_limit_on_file_sizes_is_a_full_disk_and_no_signal(folder):
    code = f"""
import resource
from pathlib import Path
from gonogo.serving.log import Log
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
log = Log(Path({str(folder)!r}), "w0", segment_bytes=1 << 16)
print(log.append(1, b"x"), log.blocked, log.lost)
log.close()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False File too large 1"


def test_a_disk_that_does_not_answer_holds_nobody_up(folder, monkeypatch):
    stuck, release = threading.Event(), threading.Event()

    def fdatasync(descriptor: int) -> None:
        stuck.set()
        release.wait(30)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", fdatasync)
        log = small(folder)
        log.append(FrameKind.PREDICTION, b"x")
        assert stuck.wait(10)
        written = sum(log.append(FrameKind.PREDICTION, b"x") for _ in range(1000))
        assert 0 < written < 1000
        assert log.lost == 1000 - written
        release.set()
    log.close()


def test_a_row_larger_than_a_segment_is_counted_and_the_next_one_goes_on(folder):
    with small(folder) as log:
        assert not log.append(FrameKind.PREDICTION, bytes(SMALL))
        assert log.append(FrameKind.PREDICTION, b"x", request=5)
    assert requests(Tail(folder)) == [-1, 5]


def test_an_interrupt_while_a_row_is_written_leaves_nothing_of_it(folder, monkeypatch):
    with small(folder) as log:
        write(log, 0, 3)
        with monkeypatch.context() as patched:
            patched.setattr("gonogo.serving.log._put_head", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
            with pytest.raises(KeyboardInterrupt):
                log.append(FrameKind.PREDICTION, b"\x01" * 4000)
        write(log, 3, 2)
    assert requests(Tail(folder)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("advice", [None, 9999])
def test_pages_that_are_made_ready_keep_what_is_in_them(folder, monkeypatch, advice):
    if advice:  # a kernel that does not know it
        monkeypatch.setattr("gonogo.serving.log._POPULATE_WRITE", advice)
    with small(folder) as log:
        for i in range(40):
            write(log, i, 1)
            log._touch_ahead()
        assert log._may_touch == (advice is None and sys.platform == "linux")
    assert requests(Tail(folder)) == list(range(40))


def test_many_threads_may_append(folder):
    with Log(folder, "w0", segment_bytes=1 << 20) as log:
        threads = [threading.Thread(target=write, args=(log, 1000 * t, 500)) for t in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = requests(Tail(folder))
    assert sorted(found) == sorted(1000 * t + i for t in range(4) for i in range(500))


def test_closing_twice_and_appending_after_it_do_no_harm(folder):
    log = small(folder)
    write(log, 0, 1)
    log.close()
    log.close()
    assert not log.append(FrameKind.PREDICTION, b"x")
    assert (log.lost, requests(Tail(folder))) == (1, [0])


def test_a_folder_that_is_not_there_has_no_rows(tmp_path):
    tail = Tail(tmp_path / "nowhere")
    assert (len(tail.poll()), tail.behind_bytes()) == (0, 0)


def test_a_name_that_is_no_writers_is_refused(folder):
    with pytest.raises(ValueError, match="no writer's name"):
        Log(folder, "../w0")


def test_a_folder_that_may_not_be_written_is_told(tmp_path):
    (tmp_path / "log").write_text("a file")
    with pytest.raises(LogFailed):
        Log(tmp_path / "log", "w0")


def test_the_first_row_after_a_quiet_time_reaches_the_disk_without_another_one(folder):
    with small(folder, sync_every_s=0.005) as log:
        for request in (1, 2, 3):
            wait_until(lambda: log._rests)
            write(log, request, 1)
            wait_until(lambda: log._synced == log.seq)


def test_a_log_that_rests_is_closed_at_once(folder):
    log = small(folder, sync_every_s=0.005)
    wait_until(lambda: log._rests)
    log.close()
    assert not log._thread.is_alive()
