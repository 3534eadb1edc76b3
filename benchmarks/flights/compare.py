"""The main job beside one straight script that does the same steps by hand.

    python benchmarks/flights/compare.py            cold gonogo state against by_hand.py; then a run with nothing changed
    python benchmarks/flights/compare.py --rounds 3

Both are whole processes, interleaved; kernels are compiled once beforehand, as they are for whoever has run gonogo before. Goals: at most
1.25 × the CPU of the script, under 60 s and 2 GB; with nothing changed under 2 s.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import harness  # noqa: E402

EXAMPLE = HERE.parents[1] / "examples" / "flights"
RUN = "from gonogo.cli.main import main; import sys; sys.exit(main(['run', sys.argv[1]]) > 1)"  # GO and NO-GO are both an answer
COLD = f"import shutil, sys; shutil.rmtree(sys.argv[1] + '/.gonogo', ignore_errors=True); {RUN}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "flights"
        shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns(".gonogo", "__pycache__"))
        by_hand = [sys.executable, str(HERE / "by_hand.py")]
        cold = [sys.executable, "-c", COLD, str(folder)]
        print(harness.report(harness.interleave({"by hand": by_hand, "gonogo run": cold}, rounds=rounds)))
        again = [sys.executable, "-c", RUN, str(folder)]
        print(harness.report(harness.interleave({"gonogo run, nothing changed": again}, rounds=max(rounds, 5))))


if __name__ == "__main__":
    main()
