"""What "Put it into production" says is what happens."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from tests.docs.snippets import ROOT, carry_out, steps

PAGE = ROOT / "docs" / "production.md"


def test_every_command_of_the_page_prints_what_it_says(tmp_path: Path) -> None:
    try:
        wrong = carry_out(PAGE, tmp_path)
    finally:
        for name in ("server.pid", "traffic.pid"):
            _end(tmp_path / "parcels" / name)
    assert not wrong, "\n\n".join(wrong)


def test_the_page_shows_every_verb_of_a_release() -> None:
    text = PAGE.read_text(encoding="utf-8")
    verbs = ("serve", "release", "rollout status", "rollout hold", "rollout advance", "rollout approve", "rollout abort", "rollout page")
    for verb in (*verbs, "rollback", "outcomes", "replay"):
        assert f"gonogo {verb}" in text


def test_what_the_page_shows_of_an_answer_is_shown_by_a_command() -> None:
    assert any("curl" in step.shown and step.expected for step in steps(PAGE))


def _end(path: Path) -> None:
    """End what the page left running, where it did not come to its end."""
    if path.exists():
        with contextlib.suppress(ProcessLookupError, ValueError):
            os.kill(int(path.read_text()), signal.SIGTERM)
