"""What time is it for label windows, whatever happens to the wall clock?

It begins with the wall clock and goes on by the machine's own seconds, suspended ones too, which nobody can set. Over a restart of the
process it is the same clock. Over a restart of the machine the time that passed is known to nobody but the wall clock: of what that says
and how long the machine has been up, the smaller counts. So a window may close too late, and never too early.

Where the wall clock has then come apart from it, one of the two is wrong, and only a person can say which.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from gonogo.backends.disk import write_whole
from gonogo.serving.segments import boot_id

MOST_APART_US = 60_000_000  # between the two clocks before a person is asked; what keeps clocks right moves them by less


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """What the machine's clocks say at once."""

    boot: str  # since which start of the machine `up_us` counts
    up_us: int
    wall_us: int


def moment() -> Moment:
    """Now."""
    return Moment(boot=boot_id().hex(), up_us=time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000, wall_us=time.time_ns() // 1000)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Anchor:
    """Where the clock was when."""

    boot: str
    up_us: int
    clock_us: int
    known_us: int = 0  # how far the wall clock may be away from this one, because a person said so
    asked_us: int | None = None  # how far it was when a person was asked
    confirmed: int = 0  # the entry of the ledger by which a person answered last


class LabelClock:
    """One rollout's clock. Not for several processes at once."""

    def __init__(self, path: Path, last_us: int, now: Moment) -> None:
        """Go on from the file at `path`. last_us: the latest time that anything was done by; 0 where the rollout begins.

        Raises StorageFailed where the file cannot be written.
        """
        self._path, self._last_us = path, last_us
        held = _read(path)
        if held is not None and held.boot == now.boot and held.up_us <= now.up_us:
            self._anchor = held
        else:
            self._keep(_of_another_boot(held, last_us, now))

    def now_us(self, now: Moment) -> int:
        """Never less than before."""
        return max(self._anchor.clock_us + now.up_us - self._anchor.up_us, self._last_us)

    def apart_us(self, now: Moment) -> int:
        """How far the wall clock is ahead of this one, beyond what a person knows of."""
        return now.wall_us - self.now_us(now) - self._anchor.known_us

    def trouble(self, now: Moment) -> str:
        """What a person should look at, in words that do not change while the clocks do not; "" where they agree."""
        apart = self.apart_us(now)
        if abs(apart) <= MOST_APART_US:
            return ""
        return (
            f"Clock: the wall clock is {round(abs(apart) / 60e6):,} minutes {'ahead of' if apart > 0 else 'behind'} the machine's own time,"
            " so nobody knows when label windows close. Set it right, then resume; resumed as it is, windows go by it."
        )

    @property
    def confirmed(self) -> int:
        """The entry by which a person answered last."""
        return self._anchor.confirmed

    def ask(self, now: Moment) -> None:
        """A person is asked about what the clocks say now."""
        self._keep(replace(self._anchor, asked_us=self.apart_us(now)))

    def confirm(self, now: Moment, entry: int) -> None:
        """A person said, by that entry, to go on: by the wall clock as it was when they were asked, or as it has been set since.

        Where it has moved to yet another time, they were not asked about that. The clock is never set back.
        """
        anchor, apart = replace(self._anchor, asked_us=None, confirmed=entry), self.apart_us(now)
        asked = self._anchor.asked_us
        if abs(apart) > MOST_APART_US and asked is not None and abs(apart - asked) <= MOST_APART_US:
            clock = max(self.now_us(now), now.wall_us)
            anchor = replace(anchor, boot=now.boot, up_us=now.up_us, clock_us=clock, known_us=now.wall_us - clock)
        self._keep(anchor)

    def _keep(self, anchor: _Anchor) -> None:
        write_whole(self._path, json.dumps(asdict(anchor)).encode())
        self._anchor = anchor


def _of_another_boot(held: _Anchor | None, last_us: int, now: Moment) -> _Anchor:
    if held is None and not last_us:
        return _Anchor(boot=now.boot, up_us=now.up_us, clock_us=now.wall_us)
    if held is None:  # nobody knows how much of the time that the machine has been up is past already
        return _Anchor(boot=now.boot, up_us=now.up_us, clock_us=last_us)
    last = max(held.clock_us, last_us)
    passed = max(0, min(now.wall_us - held.known_us - last, now.up_us))
    return replace(held, boot=now.boot, up_us=now.up_us, clock_us=last + passed)


def _read(path: Path) -> _Anchor | None:
    """None where nothing is there, or nothing that can be read: the time since is then unknown, and a person is asked."""
    try:
        return _Anchor(**json.loads(path.read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
