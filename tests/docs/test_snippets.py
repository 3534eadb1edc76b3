"""The checker of the pages tells a page that lies from one that does not."""

from __future__ import annotations

from pathlib import Path

from tests.docs.snippets import agrees, carry_out


def page(folder: Path, text: str) -> Path:
    path = folder / "page.md"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_page_that_shows_what_happens_is_accepted(tmp_path: Path) -> None:
    told = "```console\n$ echo one; echo two\none\n…\n$ (exit 1)\n```\n\n```python\nprint(6 * 7)\n```\n\n```text\n42\n```\n"
    assert carry_out(page(tmp_path, told), tmp_path) == []


def test_a_page_that_shows_something_else_is_named_with_its_line(tmp_path: Path) -> None:
    wrong = carry_out(
        page(tmp_path, "# Page\n\n```console\n$ echo one\ntwo\n```\n\n```python\nprint(1)\n```\n\n```text\n2\n```\n"), tmp_path
    )
    assert [text.split(": ")[0] for text in wrong] == ["page.md:4", "page.md:9"]


def test_a_command_that_fails_is_told_even_where_no_output_is_shown(tmp_path: Path) -> None:
    assert len(carry_out(page(tmp_path, "```console\n$ (exit 2)\n```\n\n```python\nraise ValueError\n```\n"), tmp_path)) == 2


def test_dots_stand_for_anything_and_columns_may_move() -> None:
    assert agrees("GO  flights   1a2b\n  pass  x\nend\n", "GO flights …\nend")
    assert not agrees("GO  flights  1a2b", "NO-GO …")
