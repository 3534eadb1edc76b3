"""What do an import, a help text and a base install cost?

    python benchmarks/startup.py              CPU seconds of the whole process, beside a bare interpreter
    python benchmarks/startup.py --install    distributions and megabytes of a base install in a fresh environment (needs the package index)

Goals: import at most 0.3 CPU s, help at most 0.5 s, at most 12 distributions besides gonogo, at most 600 MB.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import harness

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--install", action="store_true")
    if parser.parse_args().install:
        print(installed())
        return
    commands = {
        "bare python": [sys.executable, "-c", "pass"],
        "import gonogo": [sys.executable, "-c", "import gonogo"],
        "gonogo --help": [sys.executable, "-m", "gonogo.cli.main", "--help"],
    }
    print(harness.report(harness.interleave(commands, rounds=11, say=lambda line: None)))


def installed() -> str:
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin" / "python"
        before = _megabytes(Path(folder))
        subprocess.run([python, "-m", "pip", "install", "--quiet", str(ROOT)], check=True)
        listed = subprocess.run([python, "-m", "pip", "list", "--format=freeze"], check=True, capture_output=True, text=True).stdout
        names = [line.split("==")[0] for line in listed.split() if line.split("==")[0] not in ("pip", "setuptools", "gonogo")]
        size = _megabytes(Path(folder)) - before
        return f"{len(names)} distributions besides gonogo ({', '.join(names)}), {size:.0f} MB"


def _megabytes(folder: Path) -> float:
    return sum(f.lstat().st_size for f in folder.rglob("*") if not f.is_symlink() and f.is_file()) / 1e6


if __name__ == "__main__":
    main()
