"""A process that writes until it is stopped, and says on stdout what it was told is safe. Started by test_crashes.

writer.py FOLDER NAME COUNT [BYTES]: stores a blob, appends an entry that names it, prints "seq digest"; COUNT times.
BYTES: the size that no file may pass, as on a full disk; then it prints the code of the failure, once for the ledger and once for blobs.
"""

from __future__ import annotations

import os
import resource
import sys
from datetime import UTC, datetime
from pathlib import Path

from gonogo.backends.files import FileBlobs
from gonogo.backends.sqlite import SqliteLog
from gonogo.ledger.ledger import Ledger
from gonogo.types.errors import StorageFailed


def main(folder: Path, name: str, count: int) -> None:
    blobs = FileBlobs(folder / "blobs")
    ledger = Ledger(SqliteLog(folder / "ledger.sqlite", timeout_s=30), by=name, now=lambda: datetime.now(UTC))
    for n in range(count):
        digest = blobs.put(f"{name} {os.getpid()} {n} ".encode() * 500)
        entry = ledger.append("note", {"digest": digest, "n": n, "words": "w" * 3_000})
        # One write to a pipe: whole lines, whatever happens next.
        os.write(1, f"{entry.seq} {digest}\n".encode())


def main_on_a_full_disk(folder: Path, name: str, n_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))
    try:
        main(folder, name, 10_000)
    except StorageFailed as failure:
        os.write(1, f"ledger {failure.code}\n".encode())
    try:
        FileBlobs(folder / "blobs").put(b"x" * (n_bytes + 1))
    except StorageFailed as failure:
        os.write(1, f"blobs {failure.code}\n".encode())


if __name__ == "__main__":
    if len(sys.argv) == 5:
        main_on_a_full_disk(Path(sys.argv[1]), sys.argv[2], int(sys.argv[4]))
    else:
        main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
