"""What does a file of universal binary JSON hold?

The binary form of JSON in which XGBoost saves trees. Arrays of one type of number become arrays of numpy, all else Python's own values.
Whatever the bytes are, they are only read: nothing of them is executed, and none beyond their end.
Source: Universal Binary JSON Specification, draft 12 (ubjson.org).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from gonogo.types.errors import ArtifactRefused

if TYPE_CHECKING:
    from numpy.typing import NDArray

NUMBERS = {ord(marker): struct.Struct(form) for marker, form in zip("iUIlLdD", (">b", ">B", ">h", ">i", ">q", ">f", ">d"), strict=True)}
ARRAYS = {ord(marker): np.dtype(form) for marker, form in zip("iUIlLdD", (">i1", ">u1", ">i2", ">i4", ">i8", ">f4", ">f8"), strict=True)}
WORDS = {ord("Z"): None, ord("T"): True, ord("F"): False}
DEEPEST = 64  # arrays and objects in one another


def read_ubjson(data: bytes) -> Any:
    """The value that the bytes hold. Raises ArtifactRefused for anything else, a cut end or a rest included.

    >>> read_ubjson(b"{L" + bytes(7) + b"\\x01n[$U#L" + bytes(7) + b"\\x02\\x07\\x09}")["n"].tolist()
    [7, 9]
    """
    reader = _Reader(data)
    try:
        value = reader.value(reader.marker(), 0)
    except (IndexError, UnicodeDecodeError) as error:
        raise _refused(f"{type(error).__name__} at byte {reader.at:,}") from error
    if reader.at != len(data):
        raise _refused(f"{len(data) - reader.at:,} bytes after its end")
    return value


class _Reader:
    """Where in the bytes the reading stands."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self._compound: dict[int, Callable[[int], Any]] = {ord("{"): self._object, ord("["): self._array}

    def marker(self) -> int:
        """The next byte."""
        self.at += 1
        return self.data[self.at - 1]

    def value(self, marker: int, depth: int) -> Any:
        """What follows a marker."""
        if marker in NUMBERS:
            return self._number(NUMBERS[marker])
        if marker in WORDS:
            return WORDS[marker]
        if marker == ord("S"):
            return self._text()
        if marker in self._compound and depth < DEEPEST:
            return self._compound[marker](depth + 1)
        raise _refused(f"{chr(marker)!r} at byte {self.at - 1:,}, {depth} levels deep")

    def _object(self, depth: int) -> dict[str, Any]:
        held: dict[str, Any] = {}
        while self.data[self.at] != ord("}"):
            name = self._text()
            held[name] = self.value(self.marker(), depth)
        self.at += 1
        return held

    def _array(self, depth: int) -> list[Any] | NDArray[Any]:
        kind = None
        if self.data[self.at] == ord("$"):
            kind, self.at = self.data[self.at + 1], self.at + 2
        if self.data[self.at] == ord("#"):
            self.at += 1
            n = self._count()
            if kind in ARRAYS:
                return np.frombuffer(self._bytes(n * ARRAYS[kind].itemsize), ARRAYS[kind])
            if kind is None:
                return [self.value(self.marker(), depth) for _ in range(n)]
        if kind is not None:
            raise _refused(f"an array of type {chr(kind)!r} at byte {self.at:,}")
        held = []
        while self.data[self.at] != ord("]"):
            held.append(self.value(self.marker(), depth))
        self.at += 1
        return held

    def _text(self) -> str:
        n = self._count()
        return self._bytes(n).decode()

    def _count(self) -> int:
        marker = self.marker()
        n = self._number(NUMBERS[marker]) if marker in NUMBERS else None
        if not isinstance(n, int) or n < 0:
            raise _refused(f"a count of {n} at byte {self.at:,}")
        return n

    def _number(self, form: struct.Struct) -> Any:
        return form.unpack(self._bytes(form.size))[0]

    def _bytes(self, n: int) -> bytes:
        if self.at + n > len(self.data):
            raise _refused(f"{n:,} bytes promised at byte {self.at:,} of {len(self.data):,}")
        self.at += n
        return self.data[self.at - n : self.at]


def _refused(found: str) -> ArtifactRefused:
    return ArtifactRefused("this is no universal binary JSON", found=found, expected="the trees that were saved")
