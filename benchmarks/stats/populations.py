"""What do the tests of two populations cost from 100,000 to 10 million rows a side, in time and in memory?

Each figure is taken in a process of its own, so that its peak memory is its own; SciPy's test of the same name stands beside it where
it has one. First, `gonogo differ` on two Parquet files of eight columns.

    .venv/bin/python -m benchmarks.stats.populations --rows 100000 1000000 10000000
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

OURS = (
    "welch",
    "mann_whitney",
    "kolmogorov_smirnov",
    "anderson_darling",
    "chi_square",
    "fisher",
    "energy_distance",
    "maximum_mean_discrepancy",
    "classifier_two_sample",
)
SCIPY = {
    "welch": "ttest_ind(a, b, equal_var=False)",
    "mann_whitney": "mannwhitneyu(a, b)",
    "kolmogorov_smirnov": "ks_2samp(a, b)",
    "anderson_darling": "anderson_ksamp([a, b])",
    "energy_distance": "energy_distance(a, b)",
}
PROGRAMS = {"fisher": "a, b = a > 0.5, b > 0.5", "chi_square": "a, b = (a * 3).astype(int), (b * 3).astype(int)"}


def once(program: str, n: int) -> dict[str, float]:
    """CPU seconds, wall seconds and peak memory of one call in a process of its own, less what the arrays and imports take."""
    code = f"""
import json, resource, time, warnings
import numpy as np
warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
a, b = rng.normal(size={n}), rng.normal(0.01, 1, size={n})
{program.split(";;")[0]}
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
cpu, wall = time.process_time(), time.perf_counter()
{program.split(";;")[1]}
print(json.dumps({{"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall,
                   "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "before": before / 1024}}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def tests(rows: list[int]) -> None:
    print(f"{'test':28}{'rows a side':>12}{'CPU s':>9}{'peak MB':>9}{'of arrays':>10}   SciPy CPU s, peak MB")
    for name in OURS:
        prepare = PROGRAMS.get(name, "")
        for n in rows:
            ours = once(f"from gonogo import stats; stats.{name}; {prepare or 'pass'};;stats.{name}(a, b)", n)
            peer = ""
            if name in SCIPY:
                theirs = once(f"from scipy import stats;;stats.{SCIPY[name]}", n)
                peer = f"{theirs['cpu']:8.2f} {theirs['peak']:8.0f}"
            print(f"{name:28}{n:12,}{ours['cpu']:9.2f}{ours['peak']:9.0f}{ours['before']:10.0f}   {peer}", flush=True)


def write_files(folder: Path, n: int) -> tuple[Path, Path]:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    paths = folder / "a.parquet", folder / "b.parquet"
    for side, path in enumerate(paths):
        rng = np.random.default_rng(side)
        writer = None
        for start in range(0, n, 500_000):
            m = min(500_000, n - start)
            score = rng.beta(1, 20, m)
            amount = np.exp(rng.normal(0.002 * side, 1, m))
            table = pa.table(
                {
                    "amount": pa.array(amount, mask=rng.random(m) < 0.02),
                    "age": rng.integers(18, 90, m),
                    "balance": rng.normal(0.005 * side, 1, m),
                    "country": np.array([f"country {i}" for i in range(40)])[rng.integers(0, 40, m)],
                    "card": np.char.add("card ", rng.integers(0, 5_000_000, m).astype(str)),
                    "is_new": rng.random(m) < 0.3,
                    "score": score,
                    "fraud": (rng.random(m) < score).astype(np.int8),
                }
            )
            writer = writer or pq.ParquetWriter(path, table.schema)
            writer.write_table(table)
        assert writer is not None
        writer.close()
    return paths


def files(rows: list[int]) -> None:
    for n in rows:
        with tempfile.TemporaryDirectory() as folder:
            a, b = write_files(Path(folder), n)
            command = [sys.executable, "-m", "gonogo.cli.main", "differ", str(a), str(b), "--outcome", "fraud", "--score", "score"]
            before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            done = subprocess.run(
                ["/usr/bin/env", "bash", "-c", 'exec "$@"', "bash", *command], capture_output=True, text=True, check=False
            )
            wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            # The largest of all children so far: rows are given rising, so it is this one's.
            print(
                f"gonogo differ, {n:,} rows a side, 8 columns: {cpu:.1f} CPU s, {wall:.1f} s, peak {after.ru_maxrss / 1024:.0f} MB",
                flush=True,
            )
            print(done.stdout or done.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument("--only", choices=["tests", "files"])
    asked = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}; {json.dumps(asked.rows)}")
    if asked.only != "tests":
        files(asked.rows)
    if asked.only != "files":
        tests(asked.rows)


if __name__ == "__main__":
    main()
