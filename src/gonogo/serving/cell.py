"""How do processes of one machine read a small record that another one changes, without a lock and never half of it?

A cell is a file of fixed size, mapped by everybody. Its first words are lone numbers, each written in one store. Behind them lie two
slots for one record: the writer fills the slot that nobody reads, then counts the version up, which is the moment the record changes. A
writer that is killed in between has changed nothing. The checksum covers the version too, so a reader that was overtaken twice while it
read sees that and reads again.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from pathlib import Path

from gonogo.backends.disk import storage_errors
from gonogo.types.errors import StorageFailed

_MAGIC = 0x31_4C_4C_45_43_47_4E_47  # "GNGCELL1", little-endian
_WORDS = 16
_HEAD = struct.Struct("<II")  # length, crc
_SLOT = 32_768
SIZE = 8 * _WORDS + 2 * _SLOT
LARGEST = _SLOT - _HEAD.size
_FIRST_NUMBER = 2  # words 0 and 1 are the magic and the version
_TRIES = 1_000


class Cell:
    """One record and a few numbers, shared by processes. One writer at a time, any number of readers."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        """Map the file; create: make it where it is not there yet. Raises StorageFailed for a file that is no cell."""
        with storage_errors(path):
            if create and not path.exists():
                _create(path)
            with path.open("r+b") as file:
                if os.fstat(file.fileno()).st_size != SIZE:
                    raise _no_cell(path)
                self._map = mmap.mmap(file.fileno(), SIZE)
        # Native words: one store each, so that no reader sees half a number.
        self.words = memoryview(self._map).cast("q")
        if self.words[0] != _MAGIC:
            self.close()
            raise _no_cell(path)

    @property
    def version(self) -> int:
        """How often the record was written."""
        return self.words[1]

    def number(self, which: int) -> int:
        """The lone number at that place, 0 to 13."""
        return self.words[_FIRST_NUMBER + which]

    def set_number(self, which: int, value: int) -> None:
        """Write one lone number."""
        self.words[_FIRST_NUMBER + which] = value

    def write(self, record: bytes) -> int:
        """Change the record; its version. Raises StorageFailed for one of more than 32,760 bytes."""
        if len(record) > LARGEST:
            raise StorageFailed("A shared record is too large.", found=f"{len(record):,} bytes", expected=f"at most {LARGEST:,}")
        version = self.words[1] + 1
        start = _start(version)
        self._map[start + _HEAD.size : start + _HEAD.size + len(record)] = record
        _HEAD.pack_into(self._map, start, len(record), _checksum(version, record))
        self.words[1] = version
        return version

    def read(self) -> tuple[int, bytes] | None:
        """The version and the record as it was written; None where there is none that can be read."""
        for _ in range(_TRIES):
            version = self.words[1]
            start = _start(version)
            length, crc = _HEAD.unpack_from(self._map, start)
            if 0 < length <= LARGEST:
                record = self._map[start + _HEAD.size : start + _HEAD.size + length]
                if _checksum(version, record) == crc:
                    return version, record
            if version == self.words[1]:
                return None
        return None

    def close(self) -> None:
        """Give the mapping back."""
        self.words.release()
        self._map.close()


def _start(version: int) -> int:
    return 8 * _WORDS + (version & 1) * _SLOT


def _checksum(version: int, record: bytes) -> int:
    return zlib.crc32(record, version & 0xFFFF_FFFF)


def _create(path: Path) -> None:
    """An empty cell under its name at once: nobody maps half a file, and of two creators one wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(_MAGIC.to_bytes(8, "little").ljust(SIZE, b"\0"))
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink(missing_ok=True)


def _no_cell(path: Path) -> StorageFailed:
    return StorageFailed(
        "This file is not what gonogo's servers share.",
        found="another size or first word",
        expected=f"{SIZE:,} bytes as gonogo wrote them",
        where=str(path),
        next="stop the server, delete the file, and start again: it is rebuilt from the ledger",
    )
