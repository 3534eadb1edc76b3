"""One finished run of the small world and two of the real flights, done once however many tests and workers ask."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the small world with its verdict, which is GO. Only to be read."""
    import gonogo
    from tests.workflow import worlds

    folder = worlds.build(tmp_path_factory.mktemp("finished") / "parcels")
    assert gonogo.run(folder).verdict.go
    return folder


@pytest.fixture
def done(finished: Path, tmp_path: Path) -> Path:
    """A copy of that folder, to be changed."""
    return shutil.copytree(finished, tmp_path / "parcels")


@dataclass(frozen=True)
class Flight:
    """How `gonogo run --json` of an example ended."""

    folder: Path
    status: int
    out: str
    err: str

    @property
    def record(self) -> Any:
        return json.loads(self.out)


def fly(example: str, into: Path) -> Flight:
    """The run of a copy of an example, as a person starts it."""
    folder = shutil.copytree(EXAMPLES / example, into / example, ignore=shutil.ignore_patterns(".gonogo", "__pycache__"))
    command = [sys.executable, "-m", "gonogo.cli.main", "run", str(folder), "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    return Flight(folder, ended.returncode, ended.stdout, ended.stderr)


def once(factory: pytest.TempPathFactory, name: str, build: Callable[[Path], Flight]) -> Flight:
    """What `build` makes in a folder of this name, by whichever worker asks first; the others wait for it."""
    base = factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"once-{name}"
    shared.mkdir(exist_ok=True)
    said = shared / "flight.json"
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not said.exists():
            said.write_text(json.dumps(asdict(build(shared)), default=str))
    record = json.loads(said.read_text())
    return Flight(**record | {"folder": Path(record["folder"])})


@pytest.fixture(scope="session")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Flight:
    """examples/flights, run whole. Only to be read: another worker may be reading it."""
    return once(tmp_path_factory, "flights", lambda into: fly("flights", into))


@pytest.fixture(scope="session")
def flights_leak(tmp_path_factory: pytest.TempPathFactory) -> Flight:
    """examples/flights-leak, run whole. Only to be read."""
    return once(tmp_path_factory, "flights-leak", lambda into: fly("flights-leak", into))
