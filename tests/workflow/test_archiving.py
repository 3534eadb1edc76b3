"""A server archives its log when something of it was closed, by a process that ends."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from gonogo.serving.log import Log
from gonogo.workflow.control import ARCHIVE_ANYWAY_S, ARCHIVE_EVERY_S, Archiving

LATER = ARCHIVE_EVERY_S + 0.001


def test_the_archive_is_begun_when_segments_have_changed_and_otherwise_now_and_then(tmp_path: Path) -> None:
    begun: list[int] = []
    archiving, now = Archiving(tmp_path, lambda: begun.append(1)), time.monotonic()
    Log(tmp_path, "w1").close()
    archiving.look(now + 1)
    assert len(begun) == 0
    archiving.look(now + LATER)
    archiving.look(now + 2 * LATER)
    assert len(begun) == 1
    Log(tmp_path, "w1").close()  # whoever comes next begins a segment of his own
    archiving.look(now + 3 * LATER)
    assert len(begun) == 2
    archiving.look(now + 3 * LATER + ARCHIVE_ANYWAY_S)
    assert len(begun) == 3


def test_the_process_that_archives_says_what_is_wrong(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "gonogo.workflow.archive", str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert '{"trouble": {"code": "GNG-' in done.stderr
