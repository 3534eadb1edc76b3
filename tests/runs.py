"""One finished run of the small world and one of the real flights, each done once a session."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
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


@pytest.fixture(scope="session")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Flight:
    """examples/flights, run whole. Tests that use it carry xdist_group("flights"), so that it runs once."""
    return fly("flights", tmp_path_factory.mktemp("flights"))


@pytest.fixture(scope="session")
def flights_leak(tmp_path_factory: pytest.TempPathFactory) -> Flight:
    """examples/flights-leak, run whole."""
    return fly("flights-leak", tmp_path_factory.mktemp("flights-leak"))
