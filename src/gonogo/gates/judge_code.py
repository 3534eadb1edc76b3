"""How are the judge's loops called without numba?

They are compiled once, in a process of its own, and kept as an object file (`judge_compile.py`, `kept.py`), which LLVM links in a hundredth
of a second. So neither a server nor a replay holds a compiler in memory or waits for it, but for the very first on a machine.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gonogo.backends import machine_code
from gonogo.gates import kept
from gonogo.types.errors import HouseError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gonogo.gates.judge_state import Rules, State

# Files whose functions and constants are compiled in, below the package. They are read, not imported: that would need numba.
_SOURCES = (
    "backends/machine_code.py",
    "gates/judge_compile.py",
    "gates/judge_kernel.py",
    "gates/judge_state.py",
    "stats/kernels_sequential.py",
    "stats/sample_ratio.py",
    "types/traffic.py",
)


@dataclass(frozen=True, kw_only=True)
class Loops:
    """The loops of `judge_kernel`, for marks of one width. The interpreter's lock is let go of while they run."""

    judge: Callable[..., int]  # lines, how many, where to begin; `of_rules`; `of_state`; `of_units`
    moved: Callable[..., None]  # `of_units` of the old table and of the new one
    engine: Any  # owns the code


def addresses(arrays: Sequence[NDArray[Any] | int]) -> tuple[int, ...]:
    """Where each of them begins; a whole number stands for itself. They must stay where they are, and be contiguous."""
    return tuple(array if isinstance(array, int) else array.ctypes.data for array in arrays)


def of_rules(rules: Rules) -> tuple[int, ...]:
    """As the loops take them."""
    return addresses((rules.c, rules.w, len(rules.w), rules.bets))


def of_state(s: State) -> tuple[int, ...]:
    """As the loops take it."""
    measured, sequences = (s.measured, len(s.measured)), (s.capital, s.at, len(s.at), s.bin_hits)
    return addresses((s.n, s.x, s.e, len(s.e), s.t, s.counts, s.recent, s.ring, s.first, s.cuts, *measured, *sequences))


def of_units(keys: NDArray[Any], marks: NDArray[Any]) -> tuple[int, ...]:
    """As the loops take them."""
    return addresses((keys, marks, *marks.shape))


@cache
def loops(mark_bytes: int) -> Loops:
    """The loops for marks of 4 or 8 bytes; compiled first where no process of this machine has done so, which takes ten seconds.

    Raises HouseError where compiling fails.
    """
    engine = _engine(mark_bytes)
    at, n = ctypes.c_void_p, ctypes.c_int64
    lines, rules, units = (at, n, n), (at, at, n, at), (at, at, n, n)
    state = (at, at, at, n, *(at,) * 7, n, at, at, n, at)
    return Loops(
        judge=ctypes.CFUNCTYPE(n, *lines, *rules, *state, *units)(engine.get_function_address("judge")),
        moved=ctypes.CFUNCTYPE(None, *units, *units)(engine.get_function_address("moved")),
        engine=engine,
    )


def _engine(mark_bytes: int) -> Any:
    name = f"judge-{8 * mark_bytes}.{kept.key_of(sources(), version('numba'), version('llvmlite'), *machine_code.processor())}.o"
    code = kept.read(name)
    if code is None:
        code = _compiled(mark_bytes)
        kept.write(name, code)
    return machine_code.linked(code)


def sources() -> list[Path]:
    """Files of ours that can change the loops."""
    package = Path(__file__).parents[1]
    return [package / name for name in _SOURCES]


def _compiled(mark_bytes: int) -> bytes:
    """By a process of its own: it ends, and its memory with it."""
    # It finds the package where this process did.
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-P", "-m", "gonogo.gates.judge_compile", str(mark_bytes)]
    done = subprocess.run(command, env=env, capture_output=True, check=False)  # noqa: S603  our own
    if done.returncode or not done.stdout:
        found = done.stderr.decode(errors="replace").strip()[-500:]
        raise HouseError("The judge's loops cannot be compiled.", found=found or f"status {done.returncode}")
    return done.stdout
