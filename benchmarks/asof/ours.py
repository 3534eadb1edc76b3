"""gonogo's own job: Parquet in, Parquet out, known-at and ties handled. FOLDER OUT JOB

JOB: asof    latest amount before each label
     window  count and mean of amount over the trailing 7 days
     eight   count, mean and max of amount over eight windows
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gonogo.data import store

JOBS: dict[str, dict[str, tuple[str, ...]]] = {
    "asof": {"aggregates": ("last(amount)",), "windows": ("all",)},
    "window": {"aggregates": ("count", "mean(amount)"), "windows": ("7d",)},
    "eight": {"aggregates": ("count", "mean(amount)", "max(amount)"), "windows": ("1h", "3h", "12h", "1d", "3d", "7d", "14d", "30d")},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("job", choices=tuple(JOBS))
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--memory", type=float, default=4.0, help="limit in GiB")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--buckets", type=int)
    given = parser.parse_args()
    joined = store.as_of_join(
        events=given.folder / "events.parquet",
        labels=given.folder / "labels.parquet",
        out=given.out,
        by=("entity",),
        decided_at="decided_at",
        event_time="event_time",
        known_at="known_at",
        sequence="sequence",
        decimals={"amount": 2},
        memory_limit=int(given.memory * 2**30),
        workspace=given.workspace,
        threads=given.threads,
        n_buckets=given.buckets,
        **JOBS[given.job],
    )
    print(joined)


if __name__ == "__main__":
    main()
