"""What the README says is what happens."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.docs.snippets import ROOT, carry_out
from tests.runs import Flight


def test_every_snippet_of_the_readme_does_what_it_says(flights: Flight, tmp_path: Path) -> None:
    shutil.copytree(flights.folder, tmp_path / "examples" / "flights")
    assert not (wrong := carry_out(ROOT / "README.md", tmp_path)), "\n\n".join(wrong)


def test_every_target_that_the_readme_names_is_in_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(f"\n{target}:" in makefile for target in ("demo", "test", "docs"))
