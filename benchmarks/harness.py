"""How much does each command cost beside its peer, on the same machine and at the same time?

Commands run one after another, round by round (a, b, c, a, b, c, …), so that a machine that is busy now and idle later
is so for all of them. What counts is CPU time: user + system of the whole process tree, from the start of the interpreter
to its end. A ratio is taken within a round, and its spread over the rounds is printed beside it.

    python benchmarks/harness.py --rounds 5 ours="python ours.py" peer="python peer.py"

Every ratio is TIME OF THE NAMED COMMAND / TIME OF THE FIRST. `--json FILE` writes the figures as well.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One process, from start to end."""

    cpu_s: float  # user + system, of the process and every descendant it waited for
    system_s: float  # the part of it that the kernel took, mostly for memory that is touched for the first time
    wall_s: float
    peak_mb: float  # the largest resident set of any one process of the tree
    status: int  # its exit status; negative: the signal that ended it


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """Least, middle and largest over the rounds."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(low=min(values), median=statistics.median(values), high=max(values))

    def __str__(self) -> str:
        return f"{self.median:8.2f} [{self.low:.2f}, {self.high:.2f}]"


class CommandFailed(Exception):
    """A command of the benchmark ended with an error: its figures would mean nothing."""


def measure(command: Sequence[str], *, log: Path | None = None, env: Mapping[str, str] | None = None) -> Run:
    """Run one command to its end and say what it took. Its output goes to `log`, or nowhere."""
    with (log or Path(os.devnull)).open("ab") as out:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=None if env is None else {**os.environ, **env})
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    return Run(
        cpu_s=usage.ru_utime + usage.ru_stime,
        system_s=usage.ru_stime,
        wall_s=wall,
        peak_mb=usage.ru_maxrss / 1024,
        status=process.returncode,
    )


TOUCH = "import mmap; m = mmap.mmap(-1, {n}); [m.__setitem__(i, 1) for i in range(0, {n}, 4096)]"


def touch_memory(n_bytes: int) -> None:
    """Make a virtual machine's host give it this much memory now.

    A guest hands idle pages back, and each page that it then touches costs about 2 s per GB of system time: more than most of what is
    measured here, and charged to whoever uses memory first. After this, every command finds the memory there.
    """
    if n_bytes:
        subprocess.run([sys.executable, "-c", TOUCH.format(n=n_bytes)], check=True)


def interleave(
    commands: Mapping[str, Sequence[str]],
    *,
    rounds: int,
    touch_gb: float = 0.0,
    log: Path | None = None,
    warm_up: bool = True,
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
) -> dict[str, list[Run]]:
    """Every command once a round. One round before them fills caches (the kernel's, numba's) and is not counted."""
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for number in range(0 if warm_up else 1, rounds + 1):
        for name, command in commands.items():
            touch_memory(int(touch_gb * 2**30))
            run = measure(command, log=log)
            took = f"{run.cpu_s:.2f} CPU s ({run.system_s:.2f} system), {run.wall_s:.2f} s, {run.peak_mb:.0f} MB"
            say(f"round {number} {name}: {took}, exit {run.status}")
            if run.status != 0:
                raise CommandFailed(f"{name} ended with {run.status}: {shlex.join(command)}")
            if number:
                runs[name].append(run)
    return runs


def ratios(runs: Mapping[str, Sequence[Run]], base: str) -> dict[str, Spread]:
    """CPU time of each command over that of `base`, round by round."""
    return {name: Spread.of([a.cpu_s / b.cpu_s for a, b in zip(of, runs[base], strict=True)]) for name, of in runs.items() if name != base}


def report(runs: Mapping[str, Sequence[Run]]) -> str:
    """The table that people read; the first command is the base of the ratios."""
    base = next(iter(runs))
    over = ratios(runs, base)
    width = max(map(len, runs))
    lines = [
        f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores, {len(runs[base])} rounds; median [least, largest]",
        f"{'':<{width}}  {'CPU s':^24}  {'wall s':^24}  {'peak MB':>8}  CPU ratio to {base}",
    ]
    for name, of in runs.items():
        cpu, wall = Spread.of([r.cpu_s for r in of]), Spread.of([r.wall_s for r in of])
        peak = max(r.peak_mb for r in of)
        lines.append(f"{name:<{width}}  {cpu!s:<24}  {wall!s:<24}  {peak:8.0f}  {over.get(name, '')}")
    return "\n".join(lines)


def as_json(runs: Mapping[str, Sequence[Run]]) -> str:
    """Every run, for a machine."""
    return json.dumps({name: [asdict(r) for r in of] for name, of in runs.items()}, indent=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commands", nargs="+", metavar="NAME=COMMAND")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--no-warm-up", action="store_true")
    parser.add_argument("--touch-gb", type=float, default=0.0, help="memory to claim from a virtual machine's host before each run")
    given = parser.parse_args()
    commands = {name: shlex.split(command) for name, command in (c.split("=", 1) for c in given.commands)}
    runs = interleave(commands, rounds=given.rounds, log=given.log, warm_up=not given.no_warm_up, touch_gb=given.touch_gb)
    if given.json:
        given.json.write_text(as_json(runs))
    print(report(runs))


if __name__ == "__main__":
    main()
