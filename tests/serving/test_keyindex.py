"""The index of keys: what a dict would say, whatever of it was on disk when the process died."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gonogo.serving import keyindex
from gonogo.serving.keyindex import KeyIndex


@pytest.fixture(autouse=True)
def _small_runs(monkeypatch):
    monkeypatch.setattr(keyindex, "_RECENT", 8)
    monkeypatch.setattr(keyindex, "_LARGEST", 64)


def key(i: int) -> int:
    return i * 0x9E3779B97F4A7C15 % 2**64


def opened(folder: Path, table: list[int]) -> KeyIndex:
    def behind(last: int) -> list[tuple[int, int]]:
        return [(i, int(np.array(key(i), np.uint64).view(np.int64))) for i in table if i > last]

    return KeyIndex(folder, up_to=max(table, default=0), missing=behind)


def add(index: KeyIndex, ids: range) -> None:
    index.add(np.array([key(i) for i in ids], np.uint64), np.array(ids, np.int64))


def found(index: KeyIndex, ids: list[int]) -> list[int]:
    return index.find(np.array([key(i) for i in ids], np.uint64)).tolist()


@given(blocks=st.lists(st.tuples(st.integers(1, 30), st.booleans()), max_size=12), forget=st.integers(0, 200))
@settings(max_examples=40, deadline=None)
def test_it_finds_what_was_added_and_nothing_else_also_after_a_crash(tmp_path_factory, blocks, forget):
    folder = tmp_path_factory.mktemp("index")
    index, committed, last = opened(folder, []), 0, 0
    for n, crash in blocks:
        add(index, range(last + 1, last + n + 1))
        last += n
        if crash:
            last = committed  # the block was never committed
            index = opened(folder, list(range(1, committed + 1)))
        else:
            committed = last
            index.settle()
        assert found(index, list(range(1, last + 1))) == list(range(1, last + 1))
        assert found(index, [last + 1, 10**6]) == [0, 0]
    index.forget(forget)
    assert [i for i in found(index, list(range(forget, last + 1))) if i] == list(range(max(forget, 1), last + 1))


def test_runs_are_few_and_of_bounded_size(tmp_path):
    index = opened(tmp_path, [])
    for start in range(1, 1000, 5):
        add(index, range(start, start + 5))
        index.settle()
    sizes = [path.stat().st_size // 16 for path in tmp_path.iterdir()]
    assert max(sizes) == 64
    assert len(sizes) <= 1000 / 64 + 4


def test_what_a_killed_merge_left_does_no_harm(tmp_path):
    index = opened(tmp_path, [])
    add(index, range(1, 33))
    index.settle()
    (whole,) = tmp_path.glob("*.run")
    (tmp_path / "9-16.run").write_bytes(bytes(16 * 8))  # its rows are in the merged run too
    (tmp_path / "1-64.new").write_bytes(b"half")
    (tmp_path / "33-40.run").write_bytes(bytes(16 * 8))  # of rows that were never committed
    index = opened(tmp_path, list(range(1, 33)))
    assert found(index, list(range(1, 34))) == [*range(1, 33), 0]
    assert [path.name for path in tmp_path.iterdir()] == [whole.name]


def test_a_run_that_is_gone_is_made_again_from_the_table(tmp_path):
    index = opened(tmp_path, [])
    add(index, range(1, 100))
    index.settle()
    for path in tmp_path.glob("*.run"):
        path.unlink()
    assert found(opened(tmp_path, list(range(1, 100))), [1, 50, 99]) == [1, 50, 99]
