"""What every log promises. Inherit, and give a `log` fixture."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gonogo.backends.protocols import Line, Log
from gonogo.ledger.chain import next_line
from gonogo.types.entry import GENESIS

MOMENT = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def follow(log: Log, body: dict[str, Any], *, by: str = "ada@lab", kind: str = "note") -> Line:
    """Append one line after whatever is the head now."""
    while True:
        line = next_line(log.head(), at=MOMENT, by=by, kind=kind, body=body)
        if log.append(line):
            return line


class LogSuite:
    """A fresh, empty log for each test."""

    @pytest.fixture
    def log(self, tmp_path: Path) -> Log:
        raise NotImplementedError

    def test_an_empty_log_has_no_head_and_no_lines(self, log: Log) -> None:
        assert log.head() is None
        assert list(log.lines()) == []
        assert list(log.lines(newest_first=True)) == []
        assert log.find("sha256:") == ()
        log.check()

    def test_lines_come_back_as_they_were_in_both_orders(self, log: Log) -> None:
        bodies = [{"n": n, "word": 'Zürich \U0001f6eb " \\ \0 \n', "long": "x" * 10 ** (n % 5)} for n in range(12)]
        written = [follow(log, body, by="ä'b@h") for body in bodies]
        assert list(log.lines()) == written
        assert list(log.lines(newest_first=True)) == written[::-1]
        assert log.head() == written[-1]

    def test_a_line_that_does_not_follow_the_head_is_not_taken(self, log: Log) -> None:
        first = follow(log, {"n": 1})
        second = follow(log, {"n": 2})
        late = next_line(first, at=MOMENT, by="bob", kind="note", body={"n": 3})
        for line in (late, first, second, replace(late, seq=3), replace(late, seq=9), replace(late, parent=GENESIS, seq=1)):
            assert not log.append(line)
        assert list(log.lines()) == [first, second]

    def test_the_first_line_must_be_the_first(self, log: Log) -> None:
        first = next_line(None, at=MOMENT, by="bob", kind="note", body={})
        assert not log.append(replace(first, seq=2))
        assert not log.append(replace(first, parent="sha256:" + "1" * 64))
        assert log.append(first)

    def test_lines_are_found_by_the_start_of_their_hash(self, log: Log) -> None:
        lines = [follow(log, {"n": n}) for n in range(30)]
        assert log.find(lines[7].hash) == (lines[7],)
        assert log.find(lines[7].hash[:30]) == (lines[7],)
        assert log.find("sha256:") == tuple(lines[:20])
        assert log.find("sha256:%") == ()

    def test_a_reader_that_stops_half_way_stops_no_writer(self, log: Log) -> None:
        for n in range(5):
            follow(log, {"n": n})
        reader = log.lines()
        seen = [next(reader), next(reader)]
        follow(log, {"n": 5})
        seen += list(reader)
        assert [line.seq for line in seen][:5] == [1, 2, 3, 4, 5]

    def test_writers_at_once_make_one_chain_without_loss(self, log: Log) -> None:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda n: follow(log, {"n": n}), range(40)))
        lines = list(log.lines())
        assert [line.seq for line in lines] == list(range(1, 41))
        assert [line.parent for line in lines] == [GENESIS, *(line.hash for line in lines[:-1])]
        assert {line.body for line in lines} == {f'{{"n":{n}}}' for n in range(40)}
