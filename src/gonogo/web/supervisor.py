"""How do several processes together stay a server, whatever ends one of them?

The supervisor forks a process for each role, starts again what ends, ends what hangs, and passes a wish to stop on. It answers no request
and reads no log, so there is next to nothing in it that could fail. Its children end with it, however it ends.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

_SIGNALS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_LOOK_S = 1.0  # how often it asks whether somebody hangs; of an end it is told at once
_STOP_LOOK_S = 0.25  # how often it asks whether those that were told to stop take too long
_SHORT_S = 5.0  # who lived shorter is started again with a delay
_LONGEST_DELAY_S = 1.0  # so that, with the time of a start, somebody answers again within two seconds however often they were killed
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Role:
    """What one process does."""

    name: str  # "worker 1", "controller"
    work: Callable[[], None]  # in the process of its own; returns or raises when it ends


@dataclass(slots=True)
class _Child:
    role: Role
    pid: int = 0  # 0: not running
    started_s: float = 0.0
    short_lives: int = 0  # in a row
    start_at_s: float = 0.0


@dataclass(kw_only=True, slots=True)
class Supervisor:
    """Keeps its roles running until it is told to stop. It must be the main thread of a process without other threads: it forks."""

    roles: Sequence[Role]
    say: Callable[[str], None]  # told of every end and start that was not asked for
    hangs: Callable[[], Iterable[str]] = tuple  # names of roles that live and do nothing: they are ended
    tick: Callable[[], float] = lambda: _LOOK_S  # called again and again; in how many seconds next, at most
    grace_s: float = 30.0  # to finish what is under way when all shall stop
    _children: list[_Child] = field(default_factory=list)
    _look_s: float = 0.0
    _stopping_since: float | None = None
    _in_haste: bool = False

    def run(self) -> int:
        """Until SIGTERM or SIGINT; 0 if everybody ended in time, 1 if somebody had to be killed. SIGHUP changes nothing."""
        # Blocked and waited for: nothing is missed between two looks, and nothing wakes up in vain.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            self._children = [_Child(role) for role in self.roles]
            while not self._is_over():
                self._start_due(before)
                self._wait()
                self._reap()
                self._look_s = min(self.tick(), _LOOK_S)
                self._end_hanging()
        finally:
            self._kill_all()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return int(self._in_haste)

    def _is_over(self) -> bool:
        if self._stopping_since is None:
            return False
        if time.monotonic() - self._stopping_since > self.grace_s:
            self._in_haste = True
        return self._in_haste or not any(child.pid for child in self._children)

    def _start_due(self, mask: set[int | signal.Signals]) -> None:
        if self._stopping_since is not None:
            return
        now = time.monotonic()
        for child in self._children:
            if not child.pid and child.start_at_s <= now:
                child.pid, child.started_s = _fork(child.role, mask), now

    def _wait(self) -> None:
        due = min((c.start_at_s for c in self._children if not c.pid), default=float("inf")) - time.monotonic()
        told = signal.sigtimedwait(_SIGNALS, min(self._look_s, max(due, 0.0)) if self._stopping_since is None else _STOP_LOOK_S)
        if told is None or told.si_signo not in (signal.SIGTERM, signal.SIGINT):
            return
        if self._stopping_since is not None:
            self._in_haste = True  # asked twice
            return
        self._stopping_since = time.monotonic()
        self._tell_all(signal.SIGTERM)

    def _reap(self) -> None:
        for child in self._children:
            if not child.pid:
                continue
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid:
                self._has_ended(child, status)

    def _has_ended(self, child: _Child, status: int) -> None:
        pid, child.pid = child.pid, 0
        if self._stopping_since is not None:
            return
        lived = time.monotonic() - child.started_s
        child.short_lives = child.short_lives + 1 if lived < _SHORT_S else 0
        # The first time at once: one crash must cost nobody two seconds. One that repeats must not eat the machine.
        delay = 0.0 if child.short_lives <= 1 else min(0.1 * 2 ** (child.short_lives - 2), _LONGEST_DELAY_S)
        child.start_at_s = time.monotonic() + delay
        self.say(f"{child.role.name} (process {pid}) ended {_how(status)} after {lived:.1f} s; it starts again in {delay:.1f} s")

    def _end_hanging(self) -> None:
        if self._stopping_since is not None:
            return
        hanging = set(self.hangs())
        for child in self._children:
            if child.pid and child.role.name in hanging:
                self.say(f"{child.role.name} (process {child.pid}) gives no sign of life; it is ended")
                os.kill(child.pid, signal.SIGKILL)

    def _tell_all(self, what: signal.Signals) -> None:
        for child in self._children:
            if child.pid:
                os.kill(child.pid, what)

    def _kill_all(self) -> None:
        self._tell_all(signal.SIGKILL)
        for child in self._children:
            if child.pid:
                os.waitpid(child.pid, 0)
                child.pid = 0


def _how(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"with status {code}" if code >= 0 else f"by {signal.Signals(-code).name}"


def _fork(role: Role, mask: set[int | signal.Signals]) -> int:
    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    return pid or _become(role, mask, parent)


def _become(role: Role, mask: set[int | signal.Signals], parent: int) -> NoReturn:
    """The child's whole life. It never returns into the code of the supervisor."""
    status = 1
    try:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN if number == signal.SIGHUP else signal.SIG_DFL)
        _end_with(parent)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        role.work()
        status = 0
    except KeyboardInterrupt:
        status = 130
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _end_with(parent: int) -> None:
    """Ask the system for SIGTERM when the parent is gone: nobody answers under an address that nobody looks after. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it was gone before we asked
        os._exit(1)
