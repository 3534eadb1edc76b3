"""Which rows are scored later, by whom, and how far is it?

A job is a folder: `record.json` says how it stands, `rows.json` holds what was asked, `result.jsonl` what was answered. The queue is
bounded and first in, first out; one process at a time works on it, apart from those that answer requests and of the lowest priority.
Records are written whole, so that a process that is killed loses no job: what it was at work on is done again.

A body goes to disk as it comes, into a file that has its whole length from the beginning. So the lengths of the files are what the queue
holds and what is still to come, for every process that asks, and nobody keeps an account that a killed process could leave wrong.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gonogo.backends.disk import INCOMING, Incoming, clean, incoming, storage_errors, write_whole
from gonogo.types.errors import GonogoError, HouseError, NothingThere, TooMuch

QUEUED, RUNNING, DONE, FAILED = "queued", "running", "done", "failed"
RECORD, ROWS, RESULT, SUBMIT_LOCK = "record.json", "rows.json", "result.jsonl", "submit.lock"
MOST_QUEUED = 16  # jobs that wait or run; more are refused, for a queue without an end is a promise without one
MOST_BYTES = 256 << 20  # of bodies that wait, are worked on or are on their way, whoever took them
MOST_KEPT_BYTES = 1 << 30  # of jobs that have ended: beyond it the oldest are forgotten before their days are over
KEEP_DAYS = 7.0  # of a job that is done or failed
MOST_STARTS = 3  # of a job whose process dies: it may be what kills it
LOWEST = 19  # niceness
REST_S = 5.0  # between two looks whether the process that works was killed

Run = Callable[[Path, Path], int]  # (rows.json, place of the result) → how many rows were answered


class Spool:
    """A body on its way to disk, with its place in the queue's bytes."""

    def __init__(self, file: Incoming, most_bytes: int) -> None:
        self._incoming, self._file, self._most = file, file.file, most_bytes
        self.n_bytes = 0

    def write(self, piece: bytes) -> None:
        """The next piece. Raises TooMuch for more than was said, StorageFailed."""
        if self.n_bytes + len(piece) > self._most:
            raise TooMuch(
                "The body is longer than it said.", found=f"more than {self._most:,} bytes", expected=f"{self._most:,}", where="body"
            )
        with storage_errors(Path(self._file.name)):
            self._file.write(piece)
        self.n_bytes += len(piece)

    def end(self) -> None:
        """The body is whole: what it did not need is given back, and the disk has the rest. Raises StorageFailed."""
        with storage_errors(Path(self._file.name)):
            self._file.flush()
            self._file.truncate(self.n_bytes)
            os.fsync(self._file.fileno())  # here, where nobody waits for the lock of the queue

    def read(self) -> bytes:
        """The body."""
        with storage_errors(Path(self._file.name)):
            return Path(self._file.name).read_bytes()

    def keep_at(self, path: Path) -> None:
        """There, durable."""
        self._incoming.keep_at(path)


class Jobs:
    """The queue as those see it who submit and ask. Any number of processes and threads may, at the same time."""

    def __init__(
        self,
        folder: Path,
        wake: Callable[[], object],
        *,
        most_queued: int = MOST_QUEUED,
        most_bytes: int = MOST_BYTES,
        most_kept_bytes: int = MOST_KEPT_BYTES,
        keep_days: float = KEEP_DAYS,
    ) -> None:
        """wake: starts a process that calls `work` on the folder; called only where none is at work."""
        self._folder, self._wake, self._most_queued, self._keep_s = folder, wake, most_queued, keep_days * 86_400
        self._most_bytes, self._most_kept_bytes = most_bytes, most_kept_bytes
        self._looked = -REST_S

    @contextlib.contextmanager
    def spool(self, n_bytes: int) -> Iterator[Spool]:
        """Room for a body of at most so many bytes, until it is submitted or given up.

        Raises TooMuch where the queue is full or holds too many bytes, StorageFailed.
        """
        with contextlib.ExitStack() as stack:
            with self._locked():
                records = _records(self._folder)
                self._refuse_full(records)
                self._refuse_bytes(records, n_bytes)
                with storage_errors(self._folder):
                    file = stack.enter_context(incoming(self._folder))
                    file.file.truncate(n_bytes)
            yield Spool(file, n_bytes)

    def submit(self, spool: Spool, *, contract: str, n_rows: int, by: str) -> Mapping[str, Any]:
        """The record of a new job. spool: {"contract", "rows"} as JSON. Raises TooMuch where the queue is full, StorageFailed."""
        with self._locked():
            records = _records(self._folder)
            self._refuse_full(records)
            record = self._write(spool, {"contract": contract, "n_rows": n_rows, "by": by}, records)
            _forget(self._folder, self._keep_s, self._most_kept_bytes)
        self._wake_if_idle()
        return record

    def get(self, id: str) -> Mapping[str, Any]:  # noqa: A002
        """The record as it stands: id, status, contract, n_rows, by and times; error where it failed. Raises NothingThere."""
        record = _read(self._folder / id) if _is_name(id) else None
        if record is None:
            raise NothingThere("There is no such job.", found=id[:60], expected="an id that was given when a job was submitted", where="id")
        if record["status"] in (QUEUED, RUNNING) and time.monotonic() - self._looked >= REST_S:
            self._wake_if_idle()  # its process was killed
        return record

    def result(self, id: str) -> Path:  # noqa: A002
        """The answers of a job that is done: one JSON object a line, the key and the outputs of a row. Raises NothingThere."""
        record = self.get(id)
        path = self._folder / id / RESULT
        if record["status"] != DONE or not path.exists():
            raise NothingThere(
                f"The job is {record['status']}: there is no result.", found=str(record["status"]), expected=DONE, where="id"
            )
        return path

    def resume(self) -> None:
        """Go on with what was left when the last server ended."""
        if any(record["status"] in (QUEUED, RUNNING) for record in _records(self._folder)):
            self._wake_if_idle()

    def _refuse_full(self, records: Sequence[Mapping[str, Any]]) -> None:
        n = sum(record["status"] in (QUEUED, RUNNING) for record in records)
        if n >= self._most_queued:
            raise TooMuch(
                "The queue is full.", found=f"{n} jobs wait or run", expected=f"at most {self._most_queued}", where="jobs", next="try later"
            )

    def _refuse_bytes(self, records: Sequence[Mapping[str, Any]], n_bytes: int) -> None:
        clean(self._folder)  # of a process that was killed while it took a body
        held = sum(_size(self._folder / record["id"] / ROWS) for record in records if record["status"] in (QUEUED, RUNNING))
        held += sum(_size(path) for path in self._folder.glob(f"{INCOMING}*"))
        if held + n_bytes > self._most_bytes:
            raise TooMuch(
                "The queue holds as many bytes as it may.",
                found=f"{held:,} bytes that wait, and {n_bytes:,} more",
                expected=f"at most {self._most_bytes:,}",
                where="jobs",
                next="try later, or send less at a time",
            )

    def _write(self, spool: Spool, asked: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        last = max((int(record["id"].split("-")[0]) for record in records), default=0)
        identity = f"{max(time.time_ns(), last + 1):020d}-{secrets.token_hex(8)}"  # in order, and not to be guessed
        record = {"id": identity, "status": QUEUED, **asked, "queued_at": _now(), "starts": 0}
        folder = self._folder / identity
        with storage_errors(folder):
            folder.mkdir()
            spool.keep_at(folder / ROWS)
        write_whole(folder / RECORD, json.dumps(record).encode())
        return record

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with storage_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        with _locked(self._folder / SUBMIT_LOCK):
            yield

    def _wake_if_idle(self) -> None:
        self._looked = time.monotonic()
        if not is_at_work(self._folder):
            self._wake()


def is_at_work(folder: Path) -> bool:
    """Does a process work on the queue now? One that has just found it empty looks once more after it let go of the lock."""
    with _try_lock(folder / "work.lock") as got:
        return not got


def work(folder: Path, run: Run) -> int:
    """Do what is queued, the oldest first, until nothing is; how many jobs ended. 0 at once where another process is at work."""
    n = 0
    while _unended(folder):
        with _try_lock(folder / "work.lock") as got:
            if not got:
                return n
            while jobs := _unended(folder):
                _do(folder / jobs[0]["id"], jobs[0], run)
                n += 1
    return n


def _unended(folder: Path) -> list[dict[str, Any]]:
    """Jobs to be done. One that is running has no process any more, for whoever asks this holds the lock or is about to."""
    return [record for record in _records(folder) if record["status"] in (QUEUED, RUNNING)]


def _do(folder: Path, record: dict[str, Any], run: Run) -> None:
    if record["starts"] >= MOST_STARTS:
        died = HouseError(
            "The process that scored this job died each time.",
            found=f"{record['starts']} starts",
            expected="an end",
            where=record["id"],
            next="submit fewer rows at a time; the server's log says why it died",
        )
        _end(folder, record, FAILED, error=died.as_record())
        return
    record = {**record, "status": RUNNING, "starts": record["starts"] + 1, "started_at": _now()}
    write_whole(folder / RECORD, json.dumps(record).encode())
    try:
        n = run(folder / ROWS, folder / RESULT)
    except GonogoError as error:
        _end(folder, record, FAILED, error=error.as_record())
    except Exception as error:  # whatever it is belongs into the record: nobody else will see it
        unforeseen = HouseError("gonogo itself failed on this job.", found=f"{type(error).__name__}: {error}"[:400], where=record["id"])
        _end(folder, record, FAILED, error=unforeseen.as_record())
    else:
        _end(folder, record, DONE, n_answered=n)


def _end(folder: Path, record: Mapping[str, Any], status: str, **more: Any) -> None:
    write_whole(folder / RECORD, json.dumps({**record, "status": status, "ended_at": _now(), **more}).encode())
    (folder / ROWS).unlink(missing_ok=True)  # whoever asked has them


def _forget(folder: Path, keep_s: float, most_bytes: int) -> None:
    """Remove jobs that ended long ago, the oldest of those that take too much room, and what a killed submit left behind."""
    records = _records(folder)
    known = {record["id"] for record in records}
    old, kept = set(), 0
    for record in sorted((r for r in records if r["status"] in (DONE, FAILED)), key=lambda r: str(r["ended_at"]), reverse=True):
        kept += sum(_size(path) for path in (folder / record["id"]).iterdir())
        if _age_s(record) > keep_s or kept > most_bytes:
            old.add(record["id"])
    for path in folder.iterdir():
        if path.is_dir() and (path.name in old or path.name not in known):
            shutil.rmtree(path, ignore_errors=True)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0  # it was done, or given up, just now


def starter(command: Sequence[str]) -> Callable[[], None]:
    """A `wake` that starts the command as a process of its own: it outlives who started it, and gives way to everybody.

    What it says goes where the server's own words go.
    """
    started: list[threading.Thread] = []

    def wake() -> None:
        started[:] = [waiting for waiting in started if waiting.is_alive()]
        if not started:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603  the server's own
            started.append(threading.Thread(target=process.wait, name="gonogo-jobs", daemon=True))  # it leaves no zombie behind
            started[0].start()

    return wake


def give_way() -> None:
    """Take the lowest priority: those who answer requests go first."""
    os.nice(LOWEST)


def _records(folder: Path) -> list[dict[str, Any]]:
    """Every job's record, the oldest first."""
    try:
        names = sorted(path.name for path in folder.iterdir() if _is_name(path.name))
    except FileNotFoundError:
        return []
    return [record for name in names if (record := _read(folder / name)) is not None]


def _read(folder: Path) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = json.loads((folder / RECORD).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    return record


def _is_name(name: str) -> bool:
    time_part, _, rest = name.partition("-")
    return len(time_part) == 20 and time_part.isdecimal() and len(rest) == 16 and rest.isalnum()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _age_s(record: Mapping[str, Any]) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(record["ended_at"])).total_seconds()


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with storage_errors(path), path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _try_lock(path: Path) -> Iterator[bool]:
    """True inside where the lock was free; the kernel lets go of it when its process dies."""
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(path.open("a"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
