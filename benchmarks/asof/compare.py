"""The figures of the as-of join, each beside its peer in one interleaved run.

    python benchmarks/asof/compare.py feast            1M labels × 10M events, against Feast's DuckDB store
    python benchmarks/asof/compare.py duckdb           10M × 10M, against a bare ASOF JOIN and Polars join_asof
    python benchmarks/asof/compare.py windows          10M × 10M, trailing 7 days, against Polars and a DuckDB range join
    python benchmarks/asof/compare.py eight            1M and 10M: eight windows × three aggregates, against one as-of join
    python benchmarks/asof/compare.py zipf             1M × 10M: keys of Zipf 1.05 against uniform ones
    python benchmarks/asof/compare.py large            100M × 100M within 4 GB (alone: 40 GB of disk, minutes)

Data is made once under --data (default: a folder of the system's temporary folder) and kept for the next run.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import harness  # noqa: E402

FEAST = HERE.parent / ".peers" / "feast" / "bin" / "python"
MILLION = 1_000_000


def data(root: Path, *, labels: int, events: int, zipf: float = 0.0, entities: int = 100_000) -> Path:
    """The folder of a made data set; made when it is not there."""
    folder = root / f"labels{labels // MILLION}m-events{events // MILLION}m-entities{entities}-zipf{zipf:g}"
    if not (folder / "shape.json").exists():
        shape = ["--labels", str(labels), "--events", str(events), "--entities", str(entities), "--zipf", str(zipf)]
        subprocess.run([sys.executable, str(HERE / "gen.py"), str(folder), *shape], check=True)
    return folder


def ours(folder: Path, job: str, *options: str) -> list[str]:
    return [sys.executable, str(HERE / "ours.py"), str(folder), str(folder / f"ours-{job}.parquet"), job, *options]


def peer(folder: Path, script: str, python: Path | str = sys.executable) -> list[str]:
    return [str(python), str(HERE / f"{script}.py"), str(folder), str(folder / f"{script}.parquet")]


def feast(root: Path) -> dict[str, Sequence[str]]:
    folder = data(root, labels=MILLION, events=10 * MILLION)
    return {"gonogo": ours(folder, "asof"), "feast duckdb store": peer(folder, "feast_store", FEAST)}


def duckdb(root: Path) -> dict[str, Sequence[str]]:
    folder = data(root, labels=10 * MILLION, events=10 * MILLION)
    return {"gonogo": ours(folder, "asof"), "duckdb asof": peer(folder, "duckdb_asof"), "polars join_asof": peer(folder, "polars_asof")}


def windows(root: Path) -> dict[str, Sequence[str]]:
    folder = data(root, labels=10 * MILLION, events=10 * MILLION)
    return {
        "gonogo": ours(folder, "window"),
        "polars rolling": peer(folder, "polars_window"),
        "duckdb range join": peer(folder, "duckdb_window"),
    }


def eight(root: Path) -> dict[str, Sequence[str]]:
    small, large = data(root, labels=MILLION, events=10 * MILLION), data(root, labels=10 * MILLION, events=10 * MILLION)
    return {
        "as-of, 10M labels": ours(large, "asof"),
        "8 × 3, 10M labels": ours(large, "eight"),
        "as-of, 1M labels": ours(small, "asof"),
        "8 × 3, 1M labels": ours(small, "eight"),
    }


def zipf(root: Path) -> dict[str, Sequence[str]]:
    uniform = data(root, labels=MILLION, events=10 * MILLION)
    skewed = data(root, labels=MILLION, events=10 * MILLION, zipf=1.05)
    return {
        f"{job} {name}": ours(folder, job)
        for job in ("asof", "window", "eight")
        for name, folder in (("uniform", uniform), ("zipf 1.05", skewed))
    }


def large(root: Path) -> dict[str, Sequence[str]]:
    folder = data(root, labels=100 * MILLION, events=100 * MILLION, entities=1_000_000)
    return {"gonogo": ours(folder, "asof", "--workspace", str(root / "workspace"), "--memory", "3.5", "--threads", "2")}


SCENARIOS = {f.__name__: f for f in (feast, duckdb, windows, eight, zipf, large)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", choices=tuple(SCENARIOS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", type=Path, default=Path(tempfile.gettempdir()) / "gonogo-benchmarks")
    parser.add_argument("--touch-gb", type=float, default=8.0, help="see harness.touch_memory; 0 on real hardware")
    parser.add_argument("--no-warm-up", action="store_true", help="count the first round too: everything was run before")
    parser.add_argument("--only", nargs="*", help="names of commands to run; all by default")
    given = parser.parse_args()
    given.data.mkdir(parents=True, exist_ok=True)
    commands = {n: c for n, c in SCENARIOS[given.scenario](given.data).items() if not given.only or n in given.only}
    alone = given.scenario == "large"
    runs = harness.interleave(
        commands, rounds=1 if alone else given.rounds, warm_up=not (alone or given.no_warm_up), log=given.data / f"{given.scenario}.log"
    )
    print(harness.report(runs))


if __name__ == "__main__":
    main()
