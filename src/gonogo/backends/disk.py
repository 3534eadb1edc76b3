"""How do bytes get to disk so that a crash leaves all of them or nothing?

Write to a temporary name in the same folder, sync the file, rename, sync the folder. The temporary file is locked while it is written:
the kernel lets go of the lock of a process that was killed, and so a leftover is told from the work of another writer without a clock.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from gonogo.types.errors import StorageFailed
from gonogo.types.record import Digest

INCOMING = ".incoming-"  # how temporary names begin
_CHUNK = 1 << 20

_NEXT = {
    errno.ENOSPC: "free some space on that disk, then run the same command again: nothing half-written is left",
    errno.EDQUOT: "raise the quota or free some space, then run the same command again",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f), then run the same command again",
    errno.EROFS: "choose a folder on a disk that can be written",
    errno.EACCES: "give this user the right to that folder, or choose another",
    errno.EPERM: "give this user the right to that folder, or choose another",
}


def write_whole(path: Path, data: bytes) -> None:
    """The file at `path` holds exactly these bytes, or, after any failure, what it held before. Raises StorageFailed."""
    with storage_errors(path), incoming(path.parent) as temporary:
        temporary.file.write(data)
        temporary.keep_as(path.name)


def copy_hashed(source: Path, sink: BinaryIO) -> Digest:
    """Copy a file in chunks; the digest of the bytes that were copied."""
    hasher = hashlib.sha256()
    with source.open("rb") as file:
        while chunk := file.read(_CHUNK):
            hasher.update(chunk)
            sink.write(chunk)
    return "sha256:" + hasher.hexdigest()


def digest_of_file(path: Path) -> Digest:
    """The digest of a file's bytes, read in chunks."""
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


class Incoming:
    """A file under a temporary name, locked, that nobody else sees until it is kept."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.file = file
        self._path = path

    def keep_as(self, name: str, *, mode: int = 0o644) -> None:
        """Make it durable under that name in the same folder, in place of what was there."""
        self.keep_at(self._path.with_name(name), mode=mode)

    def keep_at(self, path: Path, *, mode: int = 0o644) -> None:
        """Make it durable there, on the same disk, in place of what was there."""
        self.file.flush()
        os.fchmod(self.file.fileno(), mode)
        os.fsync(self.file.fileno())
        self._path.replace(path)
        sync_folder(path.parent)


@contextmanager
def incoming(folder: Path) -> Iterator[Incoming]:
    """A new temporary file in that folder; unless it is kept, nothing of it stays."""
    path, file = _open_locked(folder)
    try:
        with file:
            yield Incoming(path, file)
    finally:
        path.unlink(missing_ok=True)


def _open_locked(folder: Path) -> tuple[Path, BinaryIO]:
    while True:
        path = folder / f"{INCOMING}{secrets.token_hex(8)}"
        file = path.open("xb")
        fcntl.flock(file, fcntl.LOCK_EX)
        # Between creating and locking, a cleaner may have taken the file for a leftover.
        if os.fstat(file.fileno()).st_nlink:
            return path, file
        file.close()


def clean(folder: Path) -> int:
    """Remove temporary files whose writer is dead; how many there were."""
    return sum(_remove_leftover(path) for path in folder.glob(f"{INCOMING}*"))


def _remove_leftover(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
    except (BlockingIOError, FileNotFoundError):
        return False  # a living writer holds it, or has just renamed it
    return True


def sync_folder(folder: Path) -> None:
    """Make names that were created or renamed in this folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def storage_errors(where: Path) -> Iterator[None]:
    """What the operating system refuses becomes StorageFailed, with what to do."""
    try:
        yield
    except OSError as error:
        raise StorageFailed(
            "The disk refused.",
            found=f"{error.strerror or error} ({errno.errorcode.get(error.errno or 0, 'unknown')})",
            expected="room and the right to read and write there",
            where=str(error.filename or where),
            next=_NEXT.get(error.errno or 0, "look at the disk and its permissions, then run the same command again"),
        ) from error
