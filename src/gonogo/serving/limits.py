"""How much may one caller ask in a second?

A token bucket per caller: rows flow in at a rate, up to a burst. A batch is let in while anything is left and may leave a debt, so that it
is neither refused for ever nor free.
"""

from __future__ import annotations

from gonogo.types.errors import TooMuch

_MOST_CALLERS = 10_000


class TooOften(TooMuch):
    """A rate above its limit: 429, and how long to wait."""

    def __init__(self, message: str, *, wait_s: float, expected: str, where: str) -> None:
        super().__init__(
            message, found="more than that", expected=expected, where=where, next=f"come back in {max(1, round(wait_s + 0.5))} s"
        )
        self.wait_s = wait_s


class Rate:
    """Rows a second, per caller.

    >>> rate = Rate(per_s=10, burst_s=1)
    >>> rate.take("key:a", 10, now_ns=0)
    >>> rate.take("key:b", 1, now_ns=0)
    >>> rate.take("key:a", 1, now_ns=200_000_000)
    """

    def __init__(self, *, per_s: float, burst_s: float) -> None:
        self.per_s = per_s
        self.most = max(per_s * burst_s, 1.0)
        self._left: dict[str, tuple[float, int]] = {}  # caller → rows left, and when

    def take(self, caller: str, n_rows: int, now_ns: int) -> None:
        """Count rows of a caller. Raises TooOften while nothing is left."""
        left, since_ns = self._left.get(caller, (self.most, now_ns))
        left = min(self.most, left + (now_ns - since_ns) * 1e-9 * self.per_s)
        # The slack of a millionth of a row: what has flowed in is a sum of fractions.
        if left < 1 - 1e-6:
            self._left[caller] = (left, now_ns)
            raise TooOften(
                "too many rows a second",
                wait_s=(1 - left) / self.per_s,
                expected=f"at most {self.per_s:g} a second",
                where=caller,
            )
        if len(self._left) >= _MOST_CALLERS and caller not in self._left:
            del self._left[next(iter(self._left))]  # the one that came first: its debt, if any, is an old one
        self._left[caller] = (left - n_rows, now_ns)
