"""Facts about finding every change of the ledger."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import astuple, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gonogo.backends.protocols import Line
from gonogo.backends.sqlite import SqliteLog
from gonogo.ledger.chain import hash_of, next_line
from gonogo.ledger.ledger import oldest_to_newest
from gonogo.ledger.verify import verify
from gonogo.types.entry import GENESIS
from gonogo.types.errors import GonogoError, LedgerBroken
from tests.ledger.worlds import START, ledger_of, unguarded

COLUMNS = ("at", '"by"', "kind", "body", "parent", "hash")
INSERT = "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger of six entries, never touched."""
    path = tmp_path_factory.mktemp("original") / "ledger.sqlite"
    ledger_of(path, *({"n": n, "why": "weil \ufffd é", "limit": 0.5 * n} for n in range(6)))
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tampered") / "ledger.sqlite"


@pytest.fixture
def tampered(original: Path, place: Path) -> Iterator[Path]:
    shutil.copy(original, place)
    return place


def test_an_untouched_ledger_verifies_to_its_length_and_head(original: Path) -> None:
    log = SqliteLog(original, read_only=True)
    head = log.head()
    assert head is not None
    seen = verify(log, head.hash)
    assert (seen.n, seen.head, seen.n_after_expected) == (6, head.hash, 0)


def test_an_empty_ledger_verifies_and_lacks_every_head_that_was_kept(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "l")
    assert verify(log).n == 0
    assert verify(log, GENESIS).head == GENESIS
    with pytest.raises(LedgerBroken, match="cut off"):
        verify(log, "sha256:" + "1" * 64)


def test_every_single_byte_edit_of_every_stored_text_is_found(original: Path, tampered: Path) -> None:
    rows = [astuple(line) for line in SqliteLog(original).lines()]
    n_edits, missed = 0, []
    for row in (rows[0], rows[3], rows[5]):
        for column, text in zip(COLUMNS, row[1:], strict=True):
            whole = text.encode()
            for at in range(len(whole)):
                edited = whole[:at] + bytes([whole[at] ^ (1 << (at + n_edits) % 8)]) + whole[at + 1 :]
                n_edits += 1
                if not is_found(tampered, f"UPDATE entries SET {column} = CAST(? AS TEXT) WHERE seq = ?", (edited, row[0])):
                    missed.append((row[0], column, at))
                write(tampered, f"UPDATE entries SET {column} = ? WHERE seq = ?", (text, row[0]))
    assert missed == []
    assert n_edits > 600
    verify(SqliteLog(tampered))


@pytest.mark.parametrize("seq", [0, -1, 5, 7, 8, 2**62, -(2**62)])
def test_a_changed_number_is_found(tampered: Path, seq: int) -> None:
    if seq == 5:
        write(tampered, "DELETE FROM entries WHERE seq = 5", ())
    assert is_found(tampered, "UPDATE entries SET seq = ? WHERE seq = 6", (seq,))


@pytest.mark.parametrize("seq", range(1, 6))
def test_a_deletion_is_found_and_says_which_entry_is_missing(tampered: Path, seq: int) -> None:
    write(tampered, "DELETE FROM entries WHERE seq = ?", (seq,))
    with pytest.raises(LedgerBroken, match=f"Entry {seq} of the ledger is missing"):
        verify(SqliteLog(tampered))


def test_a_deletion_is_found_though_the_rest_moves_up(tampered: Path) -> None:
    write(tampered, "DELETE FROM entries WHERE seq = 3", ())
    assert is_found(tampered, "UPDATE entries SET seq = seq - 1 WHERE seq > 3", ())


@pytest.mark.parametrize("columns", ["at", '"by"', "body", "hash", "parent", 'at, "by", kind, body', 'at, "by", kind, body, parent, hash'])
def test_a_swap_of_two_entries_or_of_parts_of_them_is_found(original: Path, tampered: Path, columns: str) -> None:
    with unguarded(tampered) as connection:
        two = connection.execute(f"SELECT {columns} FROM entries WHERE seq IN (2, 4) ORDER BY seq DESC").fetchall()
        for seq, row in zip((2, 4), two, strict=True):
            connection.execute(f"UPDATE entries SET ({columns}) = ({', '.join('?' * len(row))}) WHERE seq = ?", (*row, seq))
    changed = list(SqliteLog(tampered).lines()) != list(SqliteLog(original).lines())
    assert changed == (columns != '"by"')  # all have one writer: that swap swaps nothing
    with pytest.raises(LedgerBroken) if changed else nullcontext():
        verify(SqliteLog(tampered))


@pytest.mark.parametrize("seq", [0, 7, 8])
def test_a_duplicate_is_found(tampered: Path, seq: int) -> None:
    assert is_found(tampered, f'INSERT INTO entries SELECT {seq}, at, "by", kind, body, parent, hash FROM entries WHERE seq = 6', ())


def test_an_entry_edited_and_hashed_again_no_longer_carries_the_next_one(original: Path, tampered: Path) -> None:
    line = list(SqliteLog(original).lines())[2]
    forged = seal(replace(line, body='{"n":99}'))
    write(tampered, "UPDATE entries SET body = ?, hash = ? WHERE seq = 3", (forged.body, forged.hash))
    with pytest.raises(LedgerBroken, match="Entry 4 of the ledger does not follow"):
        verify(SqliteLog(tampered))


def test_truncation_is_found_against_a_head_that_was_kept_elsewhere(original: Path, tampered: Path) -> None:
    kept = [line.hash for line in SqliteLog(original).lines()]
    write(tampered, "DELETE FROM entries WHERE seq > 4", ())
    assert verify(SqliteLog(tampered)).n == 4  # in itself the chain holds: hence the head elsewhere
    assert verify(SqliteLog(tampered), kept[3]).n_after_expected == 0
    for head in kept[4:]:
        with pytest.raises(LedgerBroken, match="cut off"):
            verify(SqliteLog(tampered), head)


def test_a_ledger_written_anew_from_some_entry_on_is_found_against_a_head_that_was_kept(original: Path, tampered: Path) -> None:
    *lines, last = SqliteLog(original).lines()
    forged = seal(replace(last, body='{"n":99}'))
    write(tampered, "UPDATE entries SET body = ?, hash = ? WHERE seq = 6", (forged.body, forged.hash))
    assert verify(SqliteLog(tampered), lines[-1].hash).n_after_expected == 1
    with pytest.raises(LedgerBroken, match="written anew"):
        verify(SqliteLog(tampered), last.hash)


def test_growth_after_the_head_that_was_kept_is_counted_not_refused(tmp_path: Path) -> None:
    ledger = ledger_of(tmp_path / "l", {"n": 1}, {"n": 2})
    kept = ledger.head()
    ledger.append("note", {"n": 3})
    seen = verify(SqliteLog(tmp_path / "l"), kept)
    assert (seen.n, seen.n_after_expected) == (3, 1)
    assert verify(SqliteLog(tmp_path / "l"), GENESIS).n_after_expected == 3


TAMPERINGS: dict[str, Callable[[list[Line], int, int], list[Line]]] = {
    "delete": lambda lines, i, j: lines[:i] + lines[i + 1 :],
    "delete and renumber": lambda lines, i, j: [replace(x, seq=n) for n, x in enumerate(lines[:i] + lines[i + 1 :], 1)],
    "swap": lambda lines, i, j: [lines[j if n == i else i if n == j else n] for n in range(len(lines))],
    "swap and renumber": lambda lines, i, j: [replace(lines[j if n == i else i if n == j else n], seq=n + 1) for n in range(len(lines))],
    "duplicate and renumber": lambda lines, i, j: [replace(x, seq=n) for n, x in enumerate([*lines[:i], lines[j], *lines[i:]], 1)],
    "edit and seal": lambda lines, i, j: [*lines[:i], seal(replace(lines[i], by="eve")), *lines[i + 1 :]],
    "keep one": lambda lines, i, j: [lines[i]],
}


@settings(max_examples=120, deadline=None)
@given(
    kinds=st.lists(st.sampled_from(sorted(TAMPERINGS)), min_size=1, max_size=3),
    i=st.integers(0, 5),
    j=st.integers(0, 5),
)
def test_whatever_is_done_to_the_lines_is_found_against_the_head(original: Path, place: Path, kinds: list[str], i: int, j: int) -> None:
    lines = list(SqliteLog(original).lines())
    changed = lines
    for kind in kinds:
        if max(i, j) < len(changed):
            changed = TAMPERINGS[kind](changed, i, j)
    replace_lines(original, place, changed)
    stored = sorted({line.seq: line for line in changed}.values(), key=lambda line: line.seq)
    with nullcontext() if stored == lines else pytest.raises(LedgerBroken):
        verify(SqliteLog(place), lines[-1].hash)


def test_a_flipped_byte_anywhere_in_the_file_is_found_or_changes_nothing_that_is_read(original: Path, place: Path) -> None:
    assert flips_missed(original, place, step=37) == []


@pytest.mark.slow
def test_each_flipped_byte_of_the_file_is_found_or_changes_nothing_that_is_read(original: Path, place: Path) -> None:
    assert flips_missed(original, place, step=1) == []


def flips_missed(original: Path, place: Path, *, step: int) -> list[int]:
    lines, data, missed = list(SqliteLog(original).lines()), original.read_bytes(), []
    for at in range(0, len(data), step):
        place.write_bytes(data[:at] + bytes([data[at] ^ (1 << at % 8)]) + data[at + 1 :])
        for read in (read_through, read_after_verification):
            with suppress(GonogoError):
                if read(SqliteLog(place), lines[-1].hash) != lines:
                    missed.append(at)
    return missed


def read_after_verification(log: SqliteLog, head: str) -> list[Line]:
    verify(log, head)
    return list(log.lines())


def read_through(log: SqliteLog, head: str) -> list[Line]:
    """As the workflow reads: no verification beforehand. A missing end shows against the head only."""
    lines = list(oldest_to_newest(log))
    if lines[-1:] and lines[-1].hash != head:
        raise LedgerBroken("cut off")
    return lines


def seal(line: Line) -> Line:
    return replace(line, hash=hash_of(line))


def replace_lines(original: Path, place: Path, lines: list[Line]) -> None:
    shutil.copy(original, place)
    with unguarded(place) as connection:
        connection.execute("DELETE FROM entries")
        for line in lines:
            connection.execute(INSERT.replace("INSERT", "REPLACE"), astuple(line))


def write(path: Path, statement: str, values: tuple[object, ...]) -> None:
    with unguarded(path) as connection:
        connection.execute(statement, values)


def is_found(path: Path, statement: str, values: tuple[object, ...]) -> bool:
    try:
        write(path, statement, values)
        verify(SqliteLog(path))
    except LedgerBroken:
        return True
    except sqlite3.IntegrityError:
        raise AssertionError(f"{statement} did not happen") from None
    return False


@pytest.mark.slow
def test_a_hundred_thousand_entries_verify_in_two_seconds(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "l")
    lines: list[Line] = []
    digests = dict.fromkeys(("contract", "snapshot", "candidate", "evidence"), "sha256:" + "ab" * 32)
    for n in range(100_000):
        lines.append(next_line(lines[-1] if lines else None, at=START, by="ada@lab", kind="verdict", body={"n": n, "digests": digests}))
    with unguarded(tmp_path / "l") as connection:
        connection.executemany(INSERT, map(astuple, lines))
    started = time.process_time()
    assert verify(log, lines[-1].hash).n == 100_000
    assert time.process_time() - started < 2.0
