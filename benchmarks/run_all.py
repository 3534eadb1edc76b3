"""Every benchmark, one after another; each prints its table beside its goal.

    python benchmarks/run_all.py              all but the largest (about half an hour on two cores)

The peers live in environments of their own under benchmarks/.peers; the docstrings of asof/compare.py say how they are made.
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
)


def main() -> int:
    failed = []
    for script, *arguments in JOBS:
        print(f"\n── {script} {' '.join(arguments)}", flush=True)
        if subprocess.run([sys.executable, str(HERE / script), *arguments], check=False).returncode:
            failed.append(script)
    print(f"\nfailed: {', '.join(failed) or 'none'}")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
