"""On which line of a TOML document does each key stand?

`tomllib` gives values without lines. This scanner walks a document that `tomllib` has already accepted, so it checks nothing: it only
finds where keys and array elements begin.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import TypeAlias

Path: TypeAlias = tuple[str | int, ...]  # ("gates", 1, "at_most"): keys, and positions in arrays

_SPACE = " \t"
_BLANK = " \t\r\n"


def key_lines(text: str) -> Mapping[Path, int]:
    """Path → line (from 1) of every key, table header and array element of a valid TOML document.

    >>> key_lines('a = 1\\n[[b]]\\nc = [\\n  2,\\n  3]')[("b", 0, "c", 1)]
    5
    """
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


def line_of(lines: Mapping[Path, int], path: Path) -> int:
    """The line of the path, or of the nearest table that holds it; the document itself begins on line 1."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return 1


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Path, int] = {}
        self._arrays: dict[Path, int] = {}  # array of tables → how many of its tables began
        self._line, self._counted = 1, 0

    def document(self) -> None:
        table: Path = ()
        while self._skip_to_something():
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Path:
        line, is_array = self._line_here(), self.text.startswith("[[", self.at)
        self.at += 2 if is_array else 1
        path: Path = ()
        keys = self._keys()
        for position, key in enumerate(keys):
            path = (*path, key)
            if is_array and position == len(keys) - 1:
                self._arrays[path] = self._arrays.get(path, 0) + 1
            self.lines.setdefault(path, line)
            if path in self._arrays:  # a header below an array of tables belongs to its last table
                path = (*path, self._arrays[path] - 1)
                self.lines.setdefault(path, line)
        self.lines[path] = line
        self.at += 2 if is_array else 1
        return path

    def _pair(self, table: Path) -> None:
        line, path = self._line_here(), table
        for key in self._keys():
            path = (*path, key)
            self.lines.setdefault(path, line)
        self.at += 1  # the equals sign
        self._value(path)

    def _keys(self) -> list[str]:
        """The parts of a dotted key; stops at the character after it."""
        keys = []
        while True:
            self._skip(_SPACE)
            keys.append(self._key())
            self._skip(_SPACE)
            if self.at >= len(self.text) or self.text[self.at] != ".":
                return keys
            self.at += 1

    def _key(self) -> str:
        start = self.at
        if self.text[start] in "\"'":
            self._string()
            return next(iter(tomllib.loads(f"{self.text[start : self.at]} = 1")))
        while self.at < len(self.text) and (self.text[self.at].isalnum() or self.text[self.at] in "_-"):
            self.at += 1
        return self.text[start : self.at]

    def _value(self, path: Path) -> None:
        self._skip(_SPACE)
        char = self.text[self.at]
        if char in "\"'":
            self._string()
        elif char == "[":
            self._array(path)
        elif char == "{":
            self._inline_table(path)
        else:
            while self.at < len(self.text) and self.text[self.at] not in ",]}#\r\n":
                self.at += 1

    def _string(self) -> None:
        quote = self.text[self.at]
        mark = quote * 3 if self.text.startswith(quote * 3, self.at) else quote
        self.at += len(mark)
        while not self.text.startswith(mark, self.at):
            self.at += 2 if quote == '"' and self.text[self.at] == "\\" else 1
        self.at += len(mark)
        while len(mark) == 3 and self.text.startswith(quote, self.at):  # up to two quotes may stand before the closing three
            self.at += 1

    def _array(self, path: Path) -> None:
        self.at += 1
        position = 0
        while self._skip_to_something() and self.text[self.at] != "]":
            if self.text[self.at] == ",":
                self.at += 1
                continue
            self.lines.setdefault((*path, position), self._line_here())
            self._value((*path, position))
            position += 1
        self.at += 1

    def _inline_table(self, path: Path) -> None:
        self.at += 1
        while self._skip_to_something() and self.text[self.at] != "}":
            if self.text[self.at] == ",":
                self.at += 1
                continue
            self._pair(path)
        self.at += 1

    def _skip_to_something(self) -> bool:
        """Past blanks and comments; False at the end of the document."""
        while True:
            self._skip(_BLANK)
            if self.at >= len(self.text):
                return False
            if self.text[self.at] != "#":
                return True
            end = self.text.find("\n", self.at)
            self.at = len(self.text) if end < 0 else end

    def _skip(self, chars: str) -> None:
        while self.at < len(self.text) and self.text[self.at] in chars:
            self.at += 1

    def _line_here(self) -> int:
        self._line += self.text.count("\n", self._counted, self.at)
        self._counted = self.at
        return self._line
