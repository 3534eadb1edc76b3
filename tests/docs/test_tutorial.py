"""What the tutorial says is what happens."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.docs.snippets import ROOT, carry_out, steps
from tests.runs import Flight


def test_every_command_of_the_tutorial_prints_what_the_page_says(flights_leak: Flight, flights: Flight, tmp_path: Path) -> None:
    # flights_leak stands first: its run takes longest, and another worker may well be at the other one
    for done in (flights, flights_leak):  # the page runs them: here they are already done, so that it costs a second
        shutil.copytree(done.folder, tmp_path / "examples" / done.folder.name)
    assert not (wrong := carry_out(ROOT / "docs" / "tutorial.md", tmp_path)), "\n\n".join(wrong)


def test_the_tutorial_shows_every_verb_of_the_life() -> None:
    commands = "\n".join(step.shown for step in steps(ROOT / "docs" / "tutorial.md"))
    for verb in ("init", "run", "explain", "waive", "ledger list", "ledger verify", "replay", "predict"):
        assert f"gonogo {verb}" in commands
