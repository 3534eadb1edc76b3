"""Whatever can be typed stands in the docs: commands, options, keys of the contract, codes, names of the Python package."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import pytest

import gonogo
from gonogo.cli.main import _parser
from gonogo.types.contract import Contract
from gonogo.types.record import field_types
from gonogo.workflow.explain import codes
from tests.docs.snippets import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
DOCS = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


def commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parser of every command that can be called, however deep."""
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not below:
        yield parser
    for action in below:
        for deeper in action.choices.values():
            yield from commands(deeper)


COMMANDS = {command.prog: command for command in commands(_parser())}
OPTIONS = [
    (prog, option)
    for prog, command in COMMANDS.items()
    for action in command._actions
    for option in action.option_strings
    if action.dest != "help"
]


@pytest.mark.parametrize("prog", COMMANDS)
def test_every_command_stands_in_the_docs(prog: str) -> None:
    assert prog in DOCS


@pytest.mark.parametrize(("prog", "option"), OPTIONS)
def test_every_option_stands_in_the_section_of_its_command(prog: str, option: str) -> None:
    reference = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    section = reference[reference.index(f"## {prog}\n") :].removeprefix("## ").split("\n## ")[0]
    assert option in section


def test_every_key_at_the_top_of_a_contract_stands_in_the_docs() -> None:
    assert [key for key in field_types(Contract) if key not in DOCS] == []


def test_every_code_stands_in_the_docs() -> None:
    assert [code for code in codes() if code.startswith("GNG-") and code not in DOCS] == []


def test_every_verb_of_the_python_package_stands_in_the_docs() -> None:
    verbs = [name for name in gonogo.__all__ if name[0].islower()]
    assert [verb for verb in verbs if f"gonogo.{verb}" not in DOCS] == []
