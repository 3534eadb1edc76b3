"""Facts about kill -9, several processes and full disks."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gonogo.backends.files import FileBlobs
from gonogo.backends.sqlite import SqliteLog
from gonogo.ledger.ledger import Ledger
from gonogo.ledger.verify import verify

WRITER = Path(__file__).with_name("writer.py")


def start(folder: Path, *arguments: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(WRITER), str(folder), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def kill_at_random(folder: Path, rng: random.Random) -> list[str]:
    """What a writer that was killed had been told is safe."""
    with start(folder, "writer", 10_000) as writer:
        assert writer.stdout is not None
        told = [writer.stdout.readline().decode() for _ in range(rng.randrange(6))]
        time.sleep(rng.random() * (0.004 if told else 0.12))
        writer.kill()
        told += [line.decode() for line in writer.stdout]
    return [line for line in told if line.endswith("\n")]


def survives(folder: Path, n_kills: int) -> None:
    rng = random.Random(16)
    acknowledged: list[str] = []
    for _ in range(n_kills):
        acknowledged += kill_at_random(folder, rng)
    log, blobs = SqliteLog(folder / "ledger.sqlite"), FileBlobs(folder / "blobs")
    ledger = Ledger(log, by="afterwards", now=lambda: datetime.now(UTC))
    stored = {entry.seq: entry.body["digest"] for entry in ledger.entries()}
    assert len(acknowledged) >= n_kills
    assert [line for line in acknowledged if stored.get(int(line.split()[0])) != line.split()[1]] == []
    assert verify(log).n == len(stored)
    for digest in stored.values():  # a blob is stored before the entry that names it
        blobs.get(digest)
    assert ledger.append("note", {"digest": blobs.put(b"next")}).seq == len(stored) + 1
    assert list((folder / "blobs").glob(".incoming-*")) == []


def test_thirty_kills_at_random_points_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    survives(tmp_path, 30)


@pytest.mark.slow
def test_a_thousand_kills_at_random_points_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    survives(tmp_path, 1_000)


def test_a_read_only_reader_reads_after_a_kill_in_the_middle_of_a_write(tmp_path: Path) -> None:
    rng = random.Random(3)
    for _ in range(8):
        told = kill_at_random(tmp_path, rng)
        if (tmp_path / "ledger.sqlite").exists() and (tmp_path / "ledger.sqlite").stat().st_size:
            assert verify(SqliteLog(tmp_path / "ledger.sqlite", read_only=True)).n >= max((int(t.split()[0]) for t in told), default=0)


def test_three_processes_make_one_chain_and_lose_no_entry(tmp_path: Path) -> None:
    writers = [start(tmp_path, name, 40) for name in ("ada", "bob", "eve")]
    told = [line for writer in writers for line in writer.communicate(timeout=60)[0].decode().splitlines()]
    log = SqliteLog(tmp_path / "ledger.sqlite")
    entries = list(Ledger(log, by="reader", now=lambda: datetime.now(UTC)).entries())
    assert verify(log).n == len(entries) == len(told) == 120
    for name in ("ada", "bob", "eve"):
        assert [e.body["n"] for e in entries if e.by == name] == list(range(40))


def test_a_full_disk_is_a_storage_failure_and_leaves_the_ledger_as_it_was(tmp_path: Path) -> None:
    with start(tmp_path, "writer", 0, 60_000) as writer:
        *told, on_ledger, on_blobs = writer.communicate(timeout=60)[0].decode().splitlines()
    assert (on_ledger, on_blobs) == ("ledger GNG-S001", "blobs GNG-S001")
    log = SqliteLog(tmp_path / "ledger.sqlite")
    assert verify(log).n == len(told) > 3
    assert list((tmp_path / "blobs").glob(".incoming-*")) == []
    assert Ledger(log, by="afterwards", now=lambda: datetime.now(UTC)).append("note", {}).seq == len(told) + 1
