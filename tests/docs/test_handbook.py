"""Every chapter of the handbook is a program that does what it shows."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.docs.snippets import ROOT, carry_out

CHAPTERS = sorted((ROOT / "docs" / "handbook").glob("*.md"))


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_what_the_chapter_shows_is_what_happens(chapter: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns(".gonogo", "*.html"))
    assert carry_out(chapter, tmp_path) == []
