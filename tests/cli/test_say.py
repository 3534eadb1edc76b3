"""Facts about readers that leave early and terminals that know few signs: how a command ends does not depend on them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def decided(folder: Path, *options: str, reader_left: bool = False) -> subprocess.CompletedProcess[bytes]:
    """`gonogo decide` of a finished folder; its reader may have gone before it says a word."""
    read, write = os.pipe()
    if reader_left:
        os.close(read)
    command = [sys.executable, "-m", "gonogo.cli.main", "decide", str(folder), *options]
    with os.fdopen(write, "wb") as out:
        return subprocess.run(command, stdout=out, stderr=subprocess.PIPE, check=False)


@pytest.mark.parametrize("limit", ["0.6", "0.9"])
def test_a_reader_that_left_turns_no_verdict_round(done, limit):
    text = (done / "contract.toml").read_text()
    (done / "contract.toml").write_text(text.replace("at_least = 0.6", f"at_least = {limit}"))
    ended = decided(done, reader_left=True)
    assert (ended.returncode, ended.stderr) == (0 if limit == "0.6" else 1, b"")


def test_a_reader_that_left_gets_no_traceback_of_a_refusal(tmp_path):
    ended = decided(tmp_path, "--json", reader_left=True)
    assert ended.returncode == 2
    assert b"there is no contract" in ended.stderr
    assert b"Traceback" not in ended.stderr


def test_a_terminal_without_our_signs_shows_them_spelled_out():
    command = [sys.executable, "-c", "from gonogo.cli.commands import say; say('p → q')"]
    ended = subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"}, check=False)
    assert (ended.returncode, ended.stdout.strip(), ended.stderr) == (0, rb"p \u2192 q", b"")
