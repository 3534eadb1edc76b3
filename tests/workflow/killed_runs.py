"""A process that runs folders in children which kill themselves, or are killed, at a chosen point. Started by test_resume.

Reads lines "FOLDER WHAT NUMBER" from stdin and answers each on stdout with "WHAT STATUS", STATUS the child's exit status or minus its
signal. WHAT is `whole` (nothing happens to it), `before N` or `after N` (the N-th entry that it appends), `blob N` (after the N-th blob
that was not there before) or `second S` (S seconds after its start). Everything heavy is imported once, before any thread is started, so
that a child costs what the run costs.
"""

from __future__ import annotations

import importlib
import itertools
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import gonogo
from gonogo.backends.files import FileBlobs
from gonogo.backends.sqlite import SqliteLog
from gonogo.training.environment import environment

HEAVY = (
    "duckdb",
    "gonogo.data.take",
    "gonogo.evidence.load",
    "gonogo.evidence.measure",
    "gonogo.evidence.page",
    "gonogo.families.tabular.boosted",
    "gonogo.families.tabular.logistic",
    "gonogo.gates.decide",
    "gonogo.training.curve",
    "gonogo.workflow.run",
    "jinja2",
    "numba",
    "sklearn.isotonic",
)


def main() -> None:
    for name in HEAVY:
        importlib.import_module(name)
    environment()  # once for all children: the same code, as on a machine on which nobody edits it meanwhile
    print("ready", flush=True)
    for line in sys.stdin:
        folder, what, number = line.split()
        print(what, in_child(Path(folder), what, float(number)), flush=True)


def in_child(folder: Path, what: str, number: float) -> int:
    child = os.fork()
    if child == 0:
        run(folder, what, number)
    if what == "second":
        time.sleep(number)
        os.kill(child, signal.SIGKILL)  # a child that has ended waits as a zombie, so this is never another process
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def run(folder: Path, what: str, number: float) -> None:
    status = 1
    try:
        if what in ("before", "after"):
            kill_at_append(int(number), is_before=what == "before")
        elif what == "blob":
            kill_after_blob(int(number))
        status = 0 if gonogo.run(folder).verdict.go else 1
    finally:
        os._exit(status)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_at_append(number: int, *, is_before: bool) -> None:
    append, counted = SqliteLog.append, itertools.count(1)

    def counting(log: SqliteLog, line: Any) -> bool:
        is_last = next(counted) == number
        if is_last and is_before:
            die()
        done = append(log, line)
        if is_last:
            die()
        return done

    SqliteLog.append = counting  # type: ignore[method-assign]


def kill_after_blob(number: int) -> None:
    put, counted = FileBlobs.put, itertools.count(1)

    def counting(blobs: FileBlobs, data: bytes) -> str:
        before = list(blobs.digests())
        stored = put(blobs, data)
        if list(blobs.digests()) != before and next(counted) == number:
            die()
        return stored

    FileBlobs.put = counting  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
