"""Who answers, as every process of the machine sees it."""

from __future__ import annotations

import multiprocessing
import os
import time
from dataclasses import replace

import pytest

from gonogo.serving.cell import SIZE, Cell
from gonogo.serving.route import LEASE_NS, Route, RouteReader, RouteWriter
from gonogo.types.errors import StorageFailed
from gonogo.types.release import Phase

FORK = multiprocessing.get_context("fork")
ROUTE = Route(
    epoch=3,
    champion="sha256:" + "a" * 64,
    champion_package="sha256:" + "b" * 64,
    challenger="sha256:" + "c" * 64,
    challenger_package="sha256:" + "d" * 64,
    phase=Phase.CANARY,
    step=1,
    share=0.05,
)


@pytest.fixture
def route(tmp_path):
    writer = RouteWriter(tmp_path / "route")
    reader = RouteReader(tmp_path / "route")
    yield writer, reader
    reader.close()
    writer.close()


def test_before_anything_is_written_there_is_no_route(route):
    _, reader = route
    assert reader.current(0) is None


def test_a_reader_sees_what_was_written_and_nothing_else(route):
    writer, reader = route
    writer.write(ROUTE)
    writer.renew(100)
    assert reader.current(100) == ROUTE
    writer.write(replace(ROUTE, epoch=4, share=0.25))
    assert reader.current(100) == replace(ROUTE, epoch=4, share=0.25)
    assert reader.version == writer.version == 2


def test_when_the_lease_has_run_out_the_champion_answers_alone(route):
    writer, reader = route
    writer.write(ROUTE)
    writer.renew(100)
    assert reader.current(100 + LEASE_NS) == ROUTE
    assert reader.current(101 + LEASE_NS) == replace(ROUTE, share=0.0)
    writer.renew(200 + LEASE_NS)
    assert reader.current(101 + LEASE_NS) == ROUTE


def test_a_route_without_a_lease_is_the_champion_alone(route):
    writer, reader = route
    writer.write(ROUTE)
    assert reader.current(1).share == 0.0


def test_a_challenger_that_the_ledger_calls_champion_answers_when_nobody_watches(route):
    writer, reader = route
    writer.write(replace(ROUTE, phase=Phase.PROBATION, share=1.0, share_alone=1.0))
    assert reader.current(1).share == 1.0


def test_a_route_that_cannot_be_read_changes_nothing(route, tmp_path):
    writer, reader = route
    writer.write(ROUTE)
    writer.renew(100)
    reader.current(100)
    other = Cell(tmp_path / "route")
    other.write(b'{"of another": "version"}')
    assert reader.current(100) == ROUTE
    other.close()


def test_a_damaged_slot_is_not_read(tmp_path):
    cell = Cell(tmp_path / "cell", create=True)
    cell.write(b"what was said")
    with (tmp_path / "cell").open("r+b") as file:
        file.seek(128 + 32_768 + 8)  # the first character of the odd slot
        file.write(b"W")
    assert cell.read() is None
    cell.close()


def test_a_writer_that_is_killed_before_the_version_moves_has_changed_nothing(tmp_path):
    cell = Cell(tmp_path / "cell", create=True)
    cell.write(b"first")
    with (tmp_path / "cell").open("r+b") as file:
        file.seek(128)  # the slot that the next write would use
        file.write(b"\x05\0\0\0 half of the second")
    assert cell.read() == (1, b"first")
    cell.close()


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "route").write_bytes(b"x" * SIZE)
    with pytest.raises(StorageFailed, match="not what gonogo's servers share"):
        RouteReader(tmp_path / "route")
    (tmp_path / "route").write_bytes(b"")
    with pytest.raises(StorageFailed):
        RouteReader(tmp_path / "route")


def test_a_record_that_does_not_fit_is_refused_and_the_old_one_stays(tmp_path):
    cell = Cell(tmp_path / "cell", create=True)
    cell.write(b"first")
    with pytest.raises(StorageFailed, match="too large"):
        cell.write(b"x" * 40_000)
    assert cell.read() == (1, b"first")
    cell.close()


def test_no_reader_ever_sees_half_a_record_while_another_process_writes(tmp_path):
    cell = Cell(tmp_path / "cell", create=True)
    cell.write(b"0" * 100)
    writer = FORK.Process(target=_write_many, args=(tmp_path / "cell", 30_000))
    writer.start()
    seen = set()
    deadline = time.monotonic() + 20
    while cell.version < 30_001 and time.monotonic() < deadline:
        found = cell.read()
        assert found is not None
        version, record = found
        assert len(set(record)) == 1
        assert len(record) == 100 + (version - 1) % 7_000
        seen.add(version)
    writer.join()
    assert len(seen) > 10
    cell.close()


def _write_many(path, n):
    cell = Cell(path)
    for i in range(1, n + 1):
        cell.write(b"%d" % (i % 10) * (100 + i % 7_000))
    os._exit(0)
