"""Which row has this key, among ten million, without ten million objects in memory?

Keys are hashes, so they come in no order: a tree on disk would write a page for each. Here the latest ones lie in a dict; every 65,536 of
them become a run, two sorted arrays in a file that is mapped, not read. Runs of like size are merged. All of it follows from the table that
it indexes: what a crash left behind of rows that were never committed is dropped, and what is missing is added again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_RECENT = 1 << 16
_LARGEST = 1 << 20  # rows of a run: merging two of them takes some 50 MB
_FILE = re.compile(r"(\d+)-(\d+)\.run")


class KeyIndex:
    """Key → id. Ids rise; a key is added once."""

    def __init__(self, folder: Path, *, up_to: int, missing: Callable[[int], Iterable[tuple[int, int]]]) -> None:
        """The index of the ids 1 … up_to. missing: (id, key as 64 bits with a sign) of the table's rows behind an id, in order."""
        self._folder = folder
        self._recent: dict[int, int] = {}
        self._runs: list[_Run] = []
        folder.mkdir(parents=True, exist_ok=True)
        self._open_runs(up_to)
        last = self._runs[-1].last if self._runs else 0
        rows = list(missing(last))
        self.add(np.array([key for _, key in rows], np.int64).view(np.uint64), np.array([each for each, _ in rows], np.int64))
        self.settle()

    def _open_runs(self, up_to: int) -> None:
        """The runs of a whole beginning of the ids; a merge that was killed leaves runs within runs, of which the widest stands."""
        found = sorted((int(m[1]), -int(m[2]), p) for p in self._folder.iterdir() if (m := _FILE.fullmatch(p.name)))
        covered = 0
        for first, minus_last, path in found:
            if first <= covered or -minus_last > up_to:
                path.unlink()
            else:
                self._runs.append(_Run(path, first, -minus_last))
                covered = -minus_last
        for path in self._folder.glob("*.new"):
            path.unlink()

    def add(self, keys: NDArray[np.uint64], ids: NDArray[np.int64]) -> None:
        """Keys that are not there yet, with ids above all others."""
        self._recent.update(zip(keys.tolist(), ids.tolist(), strict=True))

    def settle(self) -> None:
        """To be called once everything that was added is committed: what lies in a file is never taken back."""
        while len(self._recent) >= _RECENT:
            self._freeze()

    def find(self, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """(n,) id of each key; 0 for none."""
        get = self._recent.get
        found = np.fromiter((get(key, 0) for key in keys.tolist()), np.int64, len(keys))
        for run in self._runs:
            run.find(keys, found)
        return found

    def forget(self, before: int) -> None:
        """Let go of runs whose rows are all gone: those below that id."""
        for run in [run for run in self._runs if run.last < before]:
            self._runs.remove(run)
            run.path.unlink(missing_ok=True)

    def _freeze(self) -> None:
        some = list(self._recent.items())[:_RECENT]
        keys, ids = np.array([key for key, _ in some], np.uint64), np.array([each for _, each in some], np.int64)
        self._recent = dict(list(self._recent.items())[_RECENT:])
        self._keep(keys, ids)
        while len(self._runs) > 1 and self._runs[-2].n <= self._runs[-1].n and self._runs[-2].n + self._runs[-1].n <= _LARGEST:
            left, right = self._runs[-2:]
            del self._runs[-2:]
            self._keep(np.concatenate([left.keys, right.keys]), np.concatenate([left.ids, right.ids]))
            for run in (left, right):
                run.path.unlink()

    def _keep(self, keys: NDArray[np.uint64], ids: NDArray[np.int64]) -> None:
        order = np.argsort(keys)
        first, last = int(ids.min()), int(ids.max())
        path = self._folder / f"{first}-{last}.run"
        new = path.with_suffix(".new")
        with new.open("wb") as file:
            file.write(keys[order].tobytes())
            file.write(ids[order].tobytes())
        new.rename(path)
        self._runs.append(_Run(path, first, last))


class _Run:
    """Two arrays in a file: keys, rising, and their ids."""

    __slots__ = ("first", "ids", "keys", "last", "n", "path")

    def __init__(self, path: Path, first: int, last: int) -> None:
        self.path, self.first, self.last = path, first, last
        self.n = path.stat().st_size // 16
        self.keys = np.memmap(path, np.uint64, "r", 0, (self.n,))
        self.ids = np.memmap(path, np.int64, "r", 8 * self.n, (self.n,))

    def find(self, keys: NDArray[np.uint64], found: NDArray[np.int64]) -> None:
        """Write the ids of those that are here into `found`."""
        at = np.searchsorted(self.keys, keys)
        at[at == self.n] = 0
        here = self.keys[at] == keys
        if here.any():
            found[here] = self.ids[at[here]]
