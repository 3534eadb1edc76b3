"""The examples that ship, carried to a verdict once a process: a run costs half a minute. Mark their tests xdist_group("flights")."""

from __future__ import annotations

import atexit
import functools
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """A copy of an example in which `gonogo run` has ended. It is shared: copy it before writing to it."""

    folder: Path
    status: int
    out: str  # what `gonogo run --json` printed
    err: str


@functools.cache
def finished(example: str) -> Finished:
    """The example of that name, run once in a folder of its own."""
    root = Path(tempfile.mkdtemp(prefix="gonogo-examples-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    folder = root / example
    shutil.copytree(EXAMPLES / example, folder, ignore=shutil.ignore_patterns(".gonogo", "__pycache__"))
    command = [sys.executable, "-m", "gonogo.cli.main", "run", str(folder), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    return Finished(folder=folder, status=done.returncode, out=done.stdout, err=done.stderr)
