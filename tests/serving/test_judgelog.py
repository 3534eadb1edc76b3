"""The judge's log: every block whole, with its position, for ever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gonogo.serving.judgelog import JudgeLog, last_position, read_blocks
from gonogo.serving.segments import HEADER_BYTES, segment_path, segments_of
from gonogo.serving.tail import Place, Position
from gonogo.types.errors import LogFailed
from gonogo.types.traffic import OBSERVATION


def block(n: int, start: int = 0) -> np.ndarray:
    found = np.zeros(n, OBSERVATION)
    found["at_ns"] = np.arange(start, start + n)
    found["value"] = np.nan
    return found


def position(n: int) -> Position:
    return Position(places={"w0": Place(segment=1, offset=n, seq=n), "w1": Place(segment=2, offset=8 * n, seq=n)}, now_us=n)


def test_what_was_kept_is_read_back_byte_for_byte(tmp_path):
    with JudgeLog(tmp_path, segment_bytes=1 << 14) as log:
        for n in range(30):
            log.append(block(n, 100 * n), position(n))
        log.sync()
        found = list(read_blocks(tmp_path))  # while it is written, too
    assert [b.observations.tobytes() for b in found] == [block(n, 100 * n).tobytes() for n in range(30)]
    assert [b.position for b in found] == [position(n) for n in range(30)]
    assert last_position(tmp_path) == position(29)
    with JudgeLog(tmp_path, segment_bytes=1 << 14) as log:
        assert last_position(tmp_path) == position(29)
        log.append(block(1), position(99))
        assert last_position(tmp_path) == position(99)
    assert [b.position.now_us for b in read_blocks(tmp_path)] == [*range(30), 99]


def test_a_folder_without_a_log_has_no_blocks(tmp_path):
    assert list(read_blocks(tmp_path / "nowhere")) == []
    assert last_position(tmp_path / "nowhere") is None


def test_what_does_not_fit_or_is_of_another_layout_is_refused(tmp_path):
    with JudgeLog(tmp_path, segment_bytes=1 << 14) as log:
        with pytest.raises(ValueError, match="no block"):
            log.append(block(1000), position(1))
        with pytest.raises(ValueError, match="observations are"):
            log.append(np.zeros(3), position(1))


def test_a_block_that_cannot_be_written_is_an_error_and_not_a_gap(tmp_path, monkeypatch):
    with JudgeLog(tmp_path, segment_bytes=1 << 14) as log:
        log.append(block(3), position(1))
        with monkeypatch.context() as patched:
            patched.setattr(os, "posix_fallocate", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
            kept = 1
            with pytest.raises(LogFailed, match="nothing is judged"):  # noqa: PT012  which one fails is the disk's business
                while True:
                    log.append(block(50), position(kept + 1))
                    kept += 1
        assert log._log.wait_for_room(10)
        log.append(block(3), position(kept + 1))
    assert [b.position.now_us for b in read_blocks(tmp_path)] == list(range(1, kept + 2))


def test_a_damaged_block_is_told_and_never_passed_over(tmp_path):
    with JudgeLog(tmp_path, segment_bytes=1 << 14) as log:
        for n in range(5):
            log.append(block(5), position(n))
    path = segment_path(tmp_path, "judge", segments_of(tmp_path)["judge"][0])
    data = bytearray(path.read_bytes())
    data[HEADER_BYTES + 900] ^= 1
    path.write_bytes(data)
    with pytest.raises(LogFailed, match="damaged"):
        list(read_blocks(tmp_path))


KILLED = """
import sys
from pathlib import Path
import numpy as np
from gonogo.serving.judgelog import JudgeLog
from gonogo.serving.tail import Position
from gonogo.types.traffic import OBSERVATION
log = JudgeLog(Path(sys.argv[1]), segment_bytes=1 << 18)
for n in range(10**9):
    log.append(np.zeros(n % 7, OBSERVATION), Position(now_us=n))
    print(n, flush=True)
"""


def test_a_killed_controller_finds_every_block_that_it_kept(tmp_path: Path):
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(200)]
    process.send_signal(signal.SIGKILL)
    rest, _ = process.communicate()
    last = int([*said, *rest.splitlines(keepends=True)][-1 if rest.endswith(b"\n") or not rest else -2])
    found = [b.position.now_us for b in read_blocks(tmp_path)]
    assert found == list(range(len(found)))
    assert len(found) > last
