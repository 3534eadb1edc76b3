"""Every benchmark, one after another; each prints its table beside its goal.

    python benchmarks/run_all.py              all but the largest and serving (about an hour on two cores)
    python benchmarks/run_all.py serving      serving beside its peers, ten minutes of releases, and the goals (as root; an hour and a half)

The peers live in environments of their own under benchmarks/.peers; the docstrings of asof/compare.py, stats/thresholds.py and
serving/peers.py say how they are made.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
JOBS = (
    ["startup.py"],
    ["flights/compare.py"],
    ["contract_checks.py"],
    ["asof/compare.py", "feast"],
    ["asof/compare.py", "duckdb"],
    ["asof/compare.py", "windows"],
    ["asof/compare.py", "eight"],
    ["asof/compare.py", "zipf"],
    ["-m", "benchmarks.stats.bootstrap"],
    ["-m", "benchmarks.stats.influence"],
    ["-m", "benchmarks.stats.comparison"],
    ["-m", "benchmarks.stats.slices"],
    ["-m", "benchmarks.stats.probabilities"],
    ["-m", "benchmarks.stats.lists"],
    ["-m", "benchmarks.stats.thresholds"],
    ["-m", "benchmarks.stats.populations"],
    ["-m", "benchmarks.stats.imbalance"],
)
SERVING = (
    ["-m", "benchmarks.serving.peers", "run", "--rounds", "3", "--realtime"],
    ["-m", "benchmarks.serving.peers", "run", "--rounds", "3", "--realtime", "--workers", "2"],
    ["-m", "benchmarks.serving.ten_minutes"],
    ["-m", "benchmarks.serving.goals"],
    ["-m", "benchmarks.serving.goals", "--workers", "2"],
)


def main() -> int:
    failed = []
    for job in SERVING if sys.argv[1:] == ["serving"] else JOBS:
        print(f"\n── {' '.join(job)}", flush=True)
        program = job if job[0] == "-m" else [str(HERE / job[0]), *job[1:]]
        if subprocess.run([sys.executable, *program], cwd=HERE.parent, check=False).returncode:
            failed.append(" ".join(job))
    print(f"\nfailed: {', '.join(failed) or 'none'}")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
