"""How far is it, and how long will it still take?

One line on stderr that rewrites itself, only where a person watches. Time left comes from what the steps usually cost relative to one
another, scaled by what this run has taken so far.
"""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import TextIO

# Shares of the wall time of a whole run, measured on the flights example; only their proportions matter.
SHARES = {"snapshot": 0.28, "train": 0.62, "measure": 0.08, "decide": 0.01, "page": 0.01}
QUIET_S = 2.0  # what ends sooner says nothing


class Progress:
    """Called with (step, what it is doing); ticks by itself in between."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown = stream.isatty()
        self._started = time.monotonic()
        self._step, self._doing, self._step_started = "", "", self._started
        self._finished: dict[str, float] = {}
        self._stop = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    def __call__(self, step: str, doing: str) -> None:
        """A step has begun, or does something else now."""
        now = time.monotonic()
        if step != self._step:
            if self._step:
                self._finished[self._step] = now - self._step_started
            self._step, self._step_started = step, now
        self._doing = doing

    def __enter__(self) -> Progress:
        if self._shown:
            self._ticker.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        if self._shown:
            self._ticker.join()
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _tick(self) -> None:
        while not self._stop.wait(0.25):
            now = time.monotonic()
            if now - self._started > QUIET_S and self._step:
                self._stream.write(f"\r\x1b[K{self.line(now)}")
                self._stream.flush()

    def line(self, now: float) -> str:
        """What is shown at that moment."""
        left = time_left(self._finished, self._step, now - self._step_started)
        tail = f", about {left:.0f} s left" if left is not None else ""
        return f"{self._step}: {self._doing} · {now - self._started:.0f} s{tail}"


def time_left(finished: dict[str, float], step: str, in_step_s: float) -> float | None:
    """Seconds until the end, from the steps that are finished; None while none is.

    >>> round(time_left({"snapshot": 8.0}, "train", 3.0))
    18
    """
    known = sum(SHARES.get(name, 0.0) for name in finished)
    if not known or step not in SHARES:
        return None
    scale = sum(finished.values()) / known
    later = list(SHARES)[list(SHARES).index(step) + 1 :]
    return max(SHARES[step] * scale - in_step_s, 0.0) + sum(SHARES[name] * scale for name in later)
