"""Facts about `kill -9`: what was recorded stays, and the next run goes on from the last complete step to the same digests."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import gonogo
from gonogo.backends.sqlite import SqliteLog
from gonogo.ledger.verify import verify
from gonogo.types.entry import Entry
from gonogo.workflow.ledger import entries
from tests.workflow import worlds

SCRIPT = Path(__file__).with_name("killed_runs.py")
STEPS = ["snapshot", "training", "opened", "evidence", "measurements", "verdict"]
REPEATABLE = ("snapshot", "training", "candidate", "baseline", "evidence", "champion")  # digests that no clock touches
KILLED = -9
Attempt = Callable[..., int]  # (folder, what, number) → exit status


@pytest.fixture(scope="module")
def attempt() -> Iterator[Attempt]:
    with subprocess.Popen([sys.executable, str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"

        def ask(folder: Path, what: str = "whole", number: float = 0) -> int:
            server.stdin.write(f"{folder} {what} {number}\n")
            server.stdin.flush()
            return int(server.stdout.readline().split()[1])

        yield ask
        server.stdin.close()


@pytest.fixture(scope="module")
def undisturbed(attempt: Attempt, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    folder = worlds.build(tmp_path_factory.mktemp("undisturbed"))
    assert attempt(folder) == 0
    return digests(recorded(folder))


def recorded(folder: Path) -> tuple[Entry, ...]:
    """The entries, after the chain was verified; none where the process died before it made a ledger."""
    path = folder / ".gonogo" / "ledger.sqlite"
    if not path.exists() or not path.stat().st_size:
        return ()
    found = entries(folder)
    assert verify(SqliteLog(path, read_only=True)).n == len(found)
    return found


def digests(found: tuple[Entry, ...]) -> list[dict[str, str]]:
    return [{name: entry.body[name] for name in REPEATABLE if name in entry.body} for entry in found]


def check_survived(folder: Path, undisturbed: list[dict[str, str]]) -> None:
    """Finished, each step recorded once, with the digests of a run that nothing disturbed."""
    found = recorded(folder)
    assert [entry.kind for entry in found] == STEPS
    assert digests(found) == undisturbed
    assert gonogo.replay(found[-1].body["verdict"], folder=folder).verdict.go


def keep_killing(attempt: Attempt, folder: Path, points: Iterator[tuple[str, float]]) -> int:
    """How often it was killed until a run came through; after every kill, whatever had been recorded is still there."""
    before = recorded(folder)
    for n_kills, (what, number) in enumerate(points):
        status = attempt(folder, what, number)
        after = recorded(folder)
        assert after[: len(before)] == before
        before = after
        if status != KILLED:
            assert status == 0
            return n_kills
    assert attempt(folder) == 0
    return n_kills + 1


def test_a_run_killed_before_and_after_every_entry_ends_in_the_digests_of_an_undisturbed_one(tmp_path, attempt, undisturbed):
    folder = worlds.build(tmp_path)
    edges = itertools.cycle([("before", 1), ("after", 1)])  # the first entry that this process appends: the edge of the next step
    assert keep_killing(attempt, folder, edges) == 2 * len(STEPS)
    check_survived(folder, undisturbed)


def test_a_run_killed_after_every_third_blob_that_it_stores_ends_in_the_same_digests(tmp_path, attempt, undisturbed):
    folder = worlds.build(tmp_path)
    assert keep_killing(attempt, folder, itertools.repeat(("blob", 3))) >= 4
    check_survived(folder, undisturbed)


@pytest.mark.slow
def test_a_run_killed_after_every_single_blob_that_it_stores_ends_in_the_same_digests(tmp_path, attempt, undisturbed):
    folder = worlds.build(tmp_path)
    # what a clock measured is another blob each time: a run that always dies after one would never come past it
    points = itertools.cycle([("blob", 1), ("blob", 1), ("blob", 2)])
    assert keep_killing(attempt, folder, points) >= 10
    check_survived(folder, undisturbed)


def at_random(seed: int, n_kills: int) -> Iterator[tuple[str, float]]:
    rng = random.Random(seed)
    return iter([("second", round(rng.uniform(0.05, 1.5), 3)) for _ in range(n_kills)])


def test_a_run_killed_at_random_moments_ends_in_the_same_digests(tmp_path, attempt, undisturbed):
    folder = worlds.build(tmp_path)
    keep_killing(attempt, folder, at_random(seed=2, n_kills=5))
    check_survived(folder, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_runs_killed_at_a_hundred_random_moments_end_in_the_same_digests(tmp_path, attempt, undisturbed, seed):
    folder = worlds.build(tmp_path)
    keep_killing(attempt, folder, at_random(seed=seed, n_kills=10))
    check_survived(folder, undisturbed)
