"""How much may one caller ask in a second?

A token bucket per caller: rows flow in at a rate, up to a burst. A batch is let in while anything is left and may leave a debt, so that it
is neither refused for ever nor free.

All workers of a server share the buckets, in memory that they inherit, without a lock. A bucket is one number, the moment at which it is or
was empty; each worker writes its own copy of it, and the latest copy counts. Two workers that take from one bucket in the same microsecond
may count one of the two: nobody waits for that. A caller's bucket lies at two places that follow from a hash with a secret of the server's,
and of the two the fuller one counts: who shares one place with somebody busy is not held up by him.
"""

from __future__ import annotations

import hashlib
import mmap
import os
from typing import Any

from gonogo.types.errors import TooMuch

_PLACES = 1 << 18  # of 8 bytes for each worker, of which only pages that are written to take memory
_EPOCH_NS = 1 << 61  # moments are counted from so long before the machine's start: memory that nobody wrote to is a full bucket
_MOST_CALLERS = 10_000  # whose places a worker remembers


class TooOften(TooMuch):
    """A rate above its limit: 429, and how long to wait."""

    def __init__(self, message: str, *, wait_s: float, expected: str, where: str) -> None:
        super().__init__(
            message, found="more than that", expected=expected, where=where, next=f"come back in {max(1, round(wait_s + 0.5))} s"
        )
        self.wait_s = wait_s


class Buckets:
    """The memory of a server's rates. Made before its workers are forked, for they inherit it."""

    def __init__(self, n_workers: int = 1) -> None:
        self.n_workers = n_workers
        self.cells: Any = memoryview(mmap.mmap(-1, 8 * _PLACES * n_workers)).cast("q")
        self._secret = os.urandom(16)

    def places(self, caller: str) -> tuple[int, int]:
        """Where the first worker's copies of a caller's bucket lie; the others' follow."""
        hashed = hashlib.blake2b(caller.encode("utf-8", "surrogatepass"), digest_size=8, key=self._secret).digest()
        first, second = int.from_bytes(hashed[:4], "little"), int.from_bytes(hashed[4:], "little")
        return first % _PLACES * self.n_workers, second % _PLACES * self.n_workers


class Rate:
    """Rows a second, per caller.

    >>> rate = Rate(per_s=10, burst_s=1)
    >>> rate.take("key:a", 10, now_ns=0)
    >>> rate.take("key:b", 1, now_ns=0)
    >>> rate.take("key:a", 1, now_ns=200_000_000)
    """

    def __init__(self, *, per_s: float, burst_s: float, buckets: Buckets | None = None, worker: int = 1) -> None:
        """buckets: shared with the server's other workers, of which this is the worker-th."""
        self.per_s = per_s
        buckets = buckets or Buckets()
        if not 1 <= worker <= buckets.n_workers:
            raise ValueError(f"worker {worker} of {buckets.n_workers}")
        self._row_ns = round(1e9 / per_s)
        self._full_ns = round(max(per_s * burst_s, 1.0) * 1e9 / per_s)
        # The slack of a millionth of a row, for moments are whole nanoseconds.
        self._least_ns = round((1 - 1e-6) * 1e9 / per_s)
        self._buckets, self._cells, self._n, self._own = buckets, buckets.cells, buckets.n_workers, worker - 1
        self._places: dict[str, tuple[int, int, int, int]] = {}

    def take(self, caller: str, n_rows: int, now_ns: int) -> None:
        """Count rows of a caller. Raises TooOften while nothing is left."""
        places = self._places.get(caller)
        if places is None:
            places = self._find(caller)
        cells, (first, second, own_first, own_second) = self._cells, places
        if self._n <= 2:
            one, other = cells[first], cells[second]
            if self._n == 2:
                if (of_second := cells[first + 1]) > one:
                    one = of_second
                if (of_second := cells[second + 1]) > other:
                    other = of_second
        else:
            one, other = max(cells[first : first + self._n]), max(cells[second : second + self._n])
        empty_ns = one if one < other else other
        now_ns += _EPOCH_NS
        if empty_ns > now_ns - self._least_ns:
            raise self._too_often(caller, now_ns - empty_ns)
        if empty_ns < now_ns - self._full_ns:
            empty_ns = now_ns - self._full_ns
        empty_ns += self._row_ns if n_rows == 1 else round(n_rows * 1e9 / self.per_s)
        # The fuller of the two places counts: the other one may hold somebody else's debt, and is not made smaller.
        if one < empty_ns:
            cells[own_first] = empty_ns
        if other < empty_ns:
            cells[own_second] = empty_ns

    def _too_often(self, caller: str, left_ns: int) -> TooOften:
        wait_s = 1 / self.per_s - left_ns * 1e-9
        return TooOften("too many rows a second", wait_s=wait_s, expected=f"at most {self.per_s:g} a second", where=caller)

    def _find(self, caller: str) -> tuple[int, int, int, int]:
        if len(self._places) >= _MOST_CALLERS:
            self._places.clear()
        first, second = self._buckets.places(caller)
        places = self._places[caller] = (first, second, first + self._own, second + self._own)
        return places
