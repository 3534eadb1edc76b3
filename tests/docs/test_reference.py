"""The reference is what the program says of itself today."""

from __future__ import annotations

import re
import runpy

from gonogo.workflow.explain import codes
from tests.docs.snippets import ROOT

PAGES: dict[str, str] = runpy.run_path(str(ROOT / "scripts" / "reference.py"))["pages"]()


def test_the_reference_is_fresh() -> None:
    for name, text in PAGES.items():
        assert (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8") == text, f"{name} is stale: make docs"


def test_every_code_stands_in_the_list_of_codes() -> None:
    assert not [code for code in codes() if code.startswith("GNG-") and code != "GNG-0000" and code not in PAGES["errors.md"]]


def test_every_command_stands_in_the_reference_of_the_command_line() -> None:
    verbs = ("init", "run", "snapshot", "train", "measure", "decide", "page", "predict", "waive", "ledger verify", "replay", "explain")
    assert not [verb for verb in verbs if f"## gonogo {verb}\n" not in PAGES["cli.md"]]


def test_every_link_of_the_docs_leads_to_a_file() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    links = [(page, link) for page in pages for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8"))]
    assert links
    assert not [(page.name, link) for page, link in links if not (page.parent / link).exists()]
