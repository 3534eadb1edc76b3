"""Where does the ledger live on one machine? In one SQLite file that refuses to change what it holds.

One connection per call: threads, forks and kills share nothing. Why TRUNCATE and not WAL: see ledger/DESIGN.md.
"""

from __future__ import annotations

import functools
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from gonogo.backends.disk import storage_errors, sync_folder
from gonogo.backends.protocols import Line
from gonogo.types.entry import GENESIS
from gonogo.types.errors import GonogoError, LedgerBroken, LedgerBusy, LedgerRefused, StorageFailed

_APPLICATION = 0x676F6E6F  # "gono", in the file's header
VERSION = 1  # of the schema below
_PAGE = 2_000  # lines per read: no lock is held between two of them
_FEW = 32  # the newest lines, of which a follower wants one or two
_RETRY_S = 0.001  # while another process holds the file: a commit takes two milliseconds or so
_COLUMNS = 'seq, at, "by", kind, body, parent, hash'

_SCHEMA = (
    'CREATE TABLE entries (seq INTEGER PRIMARY KEY, at TEXT NOT NULL, "by" TEXT NOT NULL, kind TEXT NOT NULL,'
    " body TEXT NOT NULL, parent TEXT NOT NULL, hash TEXT NOT NULL) STRICT",
    "CREATE TRIGGER never_updated BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'an entry is never changed'); END",
    "CREATE TRIGGER never_deleted BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'an entry is never deleted'); END",
    "CREATE TRIGGER follows_the_head BEFORE INSERT ON entries"
    " WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM entries)"
    f" OR NEW.parent IS NOT coalesce((SELECT hash FROM entries ORDER BY seq DESC LIMIT 1), '{GENESIS}')"
    " BEGIN SELECT RAISE(ABORT, 'an entry follows the head'); END",
)


class SqliteLog:
    """A log in one SQLite file, append-only in the database itself. Safe with many writers and readers."""

    def __init__(self, path: Path, *, read_only: bool = False, timeout_s: float = 10.0) -> None:
        """Create the file if need be; a reader never does.

        timeout_s: how long to wait for another writer before LedgerBusy.
        Raises LedgerRefused for a file that is no ledger or of a newer version.
        """
        self._path = path
        self._read_only = read_only
        self._timeout_s = timeout_s
        if not read_only:
            self._create()
        with self._connection():
            pass

    def append(self, line: Line) -> bool:
        """Add the line if it follows the head; False if another writer was first. Durable when it returns True."""
        row = (line.seq, line.at, line.by, line.kind, line.body, line.parent, line.hash)
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.execute(f"INSERT INTO entries ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            except sqlite3.IntegrityError:
                return False  # the guard follows_the_head; closing rolls back
            connection.execute("COMMIT")
        return True

    def head(self) -> Line | None:
        """The last line; None in an empty log."""
        with self._connection() as connection:
            row = connection.execute(f"SELECT {_COLUMNS} FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
        return None if row is None else self._line(row)

    def lines(self, *, newest_first: bool = False) -> Iterator[Line]:
        """Every line in the order of seq, read in pages: what has been written stays, so pages fit together."""
        page, start, step = (_NEWEST, 2**63 - 1, -1) if newest_first else (_OLDEST, -(2**63), 1)
        size = min(_FEW, _PAGE) if newest_first else _PAGE
        while True:
            with self._connection() as connection:
                rows = connection.execute(page, (start, size)).fetchall()
            for row in rows:
                yield self._line(row)
            if len(rows) < size:
                return
            start, size = rows[-1][0] + step, _PAGE

    def find(self, prefix: str) -> tuple[Line, ...]:
        """Lines whose hash starts so, in the order of seq; at most 20."""
        sql = f"SELECT {_COLUMNS} FROM entries WHERE substr(hash, 1, ?) = ? ORDER BY seq LIMIT 20"
        with self._connection() as connection:
            return tuple(self._line(row) for row in connection.execute(sql, (len(prefix), prefix)))

    def check(self) -> None:
        """Raises LedgerBroken where SQLite finds its own pages damaged."""
        with self._connection() as connection:
            found = [row[0] for row in connection.execute("PRAGMA integrity_check(3)")]
        if found != ["ok"]:
            raise _broken(self._path, "; ".join(str(f) for f in found))

    def _line(self, row: tuple[Any, ...]) -> Line:
        # A damaged page can turn a text into a null or a blob, whatever the table's declaration says.
        if set(map(type, row[1:])) != {str}:
            raise _broken(self._path, f"a field of entry {row[0]} is no text")
        return Line(*row)

    def _create(self) -> None:
        if self._path.exists() and self._path.stat().st_size:
            return
        with storage_errors(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
        with _translated(self._path), closing(self._connect("rwc")) as connection:
            _set_up(connection, read_only=False)
            connection.execute("BEGIN IMMEDIATE")
            # Another process may have created it since; then this does nothing.
            if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                for statement in _SCHEMA:
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {_APPLICATION}")
                connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.execute("COMMIT")
        with storage_errors(self._path):
            sync_folder(self._path.parent)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        if not self._path.is_file():
            raise LedgerRefused(
                "There is no ledger here.", found="no such file", where=str(self._path), next="gonogo run FOLDER writes the first entries"
            )
        with _translated(self._path), closing(self._connect("rw")) as connection:
            _set_up(connection, read_only=self._read_only)
            _check_schema(connection, self._path)
            yield connection

    def _connect(self, mode: str) -> _Patient:
        # "rw" opens a file that is write-protected for reading only. A reader that may write has it too: it can then finish the
        # rollback that a killed writer left, which "ro" cannot.
        address = f"{self._path.absolute().as_uri()}?mode={mode}"
        connection = sqlite3.connect(address, uri=True, timeout=0.0, isolation_level=None, factory=_Patient)
        connection.until = time.monotonic() + self._timeout_s
        connection.text_factory = _text
        return connection


class _Patient(sqlite3.Connection):
    """Asks again every millisecond while another process holds the file.

    SQLite's own wait sleeps longer each time, up to 100 ms: an order would be read that much later than it was written.
    """

    until = 0.0  # time.monotonic: then it is LedgerBusy

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """As of any connection. The first row is fetched within it, so a statement that is done again has given nothing yet."""
        while True:
            try:
                return super().execute(sql, parameters)
            except sqlite3.OperationalError as error:
                if not _is_busy(error) or time.monotonic() > self.until:
                    raise
            time.sleep(_RETRY_S)


def _set_up(connection: sqlite3.Connection, *, read_only: bool) -> None:
    connection.execute("PRAGMA journal_mode = TRUNCATE")
    connection.execute("PRAGMA synchronous = FULL")
    if read_only:
        connection.execute("PRAGMA query_only = ON")


_OLDEST = f"SELECT {_COLUMNS} FROM entries WHERE seq >= ? ORDER BY seq LIMIT ?"
_NEWEST = f"SELECT {_COLUMNS} FROM entries WHERE seq <= ? ORDER BY seq DESC LIMIT ?"

# Bytes that are no UTF-8 (an edit of the file) must reach the hash as they are, and not stop the reader before it can say where.
_text = functools.partial(str, encoding="utf-8", errors="surrogateescape")


def _check_schema(connection: sqlite3.Connection, path: Path) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != _APPLICATION:
        raise LedgerRefused(
            "This file is no gonogo ledger.", found="another SQLite database", expected="a file that gonogo created", where=str(path)
        )
    if version != VERSION:
        raise LedgerRefused(
            "This ledger has a version that is not read here.",
            found=f"version {version}",
            expected=f"version {VERSION}",
            where=str(path),
            next="use the gonogo that wrote it, or a newer one",
        )
    found = sorted(str(row[0]) for row in connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL"))
    if found != sorted(_SCHEMA):
        raise _broken(path, "the table or the guards that forbid changes are not as gonogo made them")


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise _as_gonogo(error, path) from error
    except UnicodeDecodeError as error:  # SQLite quotes a damaged schema in its own message
        raise _broken(path, "a schema that is no text") from error


def _code(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)) & 0xFF


def _is_busy(error: sqlite3.Error) -> bool:
    return _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _as_gonogo(error: sqlite3.Error, path: Path) -> GonogoError:
    code = _code(error)
    if _is_busy(error):
        return LedgerBusy(
            "Another process holds the ledger.",
            found=str(error),
            where=str(path),
            next="wait until it has finished, or end it, then run the same command again: nothing was written",
        )
    if code == sqlite3.SQLITE_NOTADB:
        return LedgerRefused("This file is no gonogo ledger.", found=str(error), expected="a file that gonogo created", where=str(path))
    if code in _STORAGE:
        return StorageFailed(
            "The disk refused the ledger.",
            found=str(error),
            expected="room and the right to read and write there",
            where=str(path),
            next="free some space or give the right, then run the same command again: the ledger is as it was",
        )
    return _broken(path, str(error))


_STORAGE = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
)


def _broken(path: Path, found: str) -> LedgerBroken:
    return LedgerBroken(
        "The ledger's file is damaged.",
        found=found,
        expected="the file as gonogo wrote it",
        where=str(path),
        next="keep this file for inspection and restore the last good copy",
    )
