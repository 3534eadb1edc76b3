"""Writes docs/reference/ from the program itself, so that the pages cannot say what it does not do. Run by `make docs`."""

from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import gonogo
from gonogo import stats
from gonogo.cli.main import _parser
from gonogo.types.contract_reference import reference
from gonogo.workflow.explain import codes, title

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
_CLI = """# The command line

Generated from the program by `make docs`. Data goes to stdout, talk to stderr. `--json` prints the record that the text shows.

| exit status | means |
|---|---|
| 0 | GO, or done |
| 1 | NO-GO, for whatever reason |
| 2 | wrong usage, contract or data: the caller can mend it |
| 3 | gonogo or its surroundings failed: nothing was decided |
"""
_GROUPS = {
    "0": "Unforeseen",
    "A": "Stored artifacts",
    "C": "The contract",
    "D": "The data cannot be what the contract says",
    "K": "Findings: leakage",
    "H": "Requests to the server",
    "L": "The ledger",
    "O": "Releases and rollouts",
    "P": "Batch and online features",
    "Q": "Findings: the data against the contract's checks",
    "R": "Replay",
    "S": "Storage",
    "T": "Training",
    "U": "Usage",
}
_ERRORS = """# Every code

Generated from the package's own pages by `make docs`. An error stops a command. A finding is recorded and stands on the page; the gate on
`open_findings` counts it until it is mended or waived. `gonogo explain CODE` prints the whole page.
"""

_PYTHON = """# The Python package

Generated from the program by `make docs`. The verbs are those of the command line, in the same words; errors are raised as
`gonogo.GonogoError`, with the fields that a terminal prints. `import gonogo` loads nothing heavy: each name is imported when it is used.

| verb | what it gives |
|---|---|
"""
_RECORDS = """
| record | what it is |
|---|---|
"""

_STATISTICS = """# Statistics

Generated from the program by `make docs`. `from gonogo import stats`; names are imported when they are used. Every figure takes `weight`
(n,) ≥ 0, `unit` (n,) that tells what is independent, `level` and `seed`, all by keyword and all with a default, which are left out below,
and gives an `Estimate`: `.value`, `.interval.low`, `.interval.high`, `.interval.method`, `.n_units`, and where the data cannot give it no
value but a sentence in `.refused`. `help(stats.NAME)` says the formula, its source and when it refuses; [what was
simulated](../evidence/README.md) says how often the intervals hold the truth.
"""
_SHARED = ("weight", "unit", "level", "seed")


def pages() -> dict[str, str]:
    """File name → Markdown."""
    return {
        "contract.md": reference().rstrip("\n") + "\n",
        "cli.md": _cli(),
        "errors.md": _errors(),
        "python.md": _python(),
        "statistics.md": _statistics(),
    }


def _cli() -> str:
    return _CLI + "".join(_command(parser) for parser in _verbs(_parser()))


def _verbs(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Every command that does something, subcommands included, in the order of the help."""
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for action in below:
        for verb in action.choices.values():
            yield from _verbs(verb)
    if not below:
        yield parser


def _command(parser: argparse.ArgumentParser) -> str:
    rows = [f"| `{_written(action)}` | {_meaning(action)} |\n" for action in parser._actions if action.dest != "help"]
    does = str(parser.description)
    return f"\n## {parser.prog}\n\n{does}{'' if does.endswith('?') else '.'}\n\n| argument | means |\n|---|---|\n{''.join(rows)}"


def _meaning(action: argparse.Action) -> str:
    must = "**required**" if action.option_strings and action.required else ""
    return "; ".join(part for part in (action.help or "", must) if part).replace("|", "\\|")


def _written(action: argparse.Action) -> str:
    name = str(action.metavar or action.dest.upper()).replace("|", "\\|")
    if not action.option_strings:
        return name if action.required else f"[{name}]"
    if action.nargs == 0:
        return action.option_strings[0]
    return f"{action.option_strings[0]} {name}{'…' if action.nargs == '+' else ''}"


def _python() -> str:
    named = [(name, getattr(gonogo, name)) for name in gonogo.__all__]
    verbs = "".join(f"| `gonogo.{name}{_signature(it)}` | {_first_line(it)} |\n" for name, it in named if not isinstance(it, type))
    records = "".join(f"| `gonogo.{name}` | {_first_line(it)} |\n" for name, it in named if isinstance(it, type))
    return _PYTHON + verbs + _RECORDS + records


def _statistics() -> str:
    text = _STATISTICS
    for question, names in stats.QUESTIONS.items():
        text += f"\n## {question}\n\n| | |\n|---|---|\n"
        for name in names:
            it = getattr(stats, name)
            written = "" if isinstance(it, type) else _short_signature(it)
            text += f"| `stats.{name}{written}` | {_first_line(it)} |\n"
    return text


def _short_signature(function: object) -> str:
    """Names and defaults without the types: those that every figure shares are told once, above."""
    written = []
    starred = False
    for parameter in inspect.signature(function).parameters.values():  # type: ignore[arg-type]
        if parameter.name in _SHARED:
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            written.append("*")
            starred = True
        sign = "**" if parameter.kind is parameter.VAR_KEYWORD else ""
        default = "" if parameter.default is parameter.empty else f"={parameter.default!r}"
        written.append(f"{sign}{parameter.name}{default}")
    return f"({', '.join(written)})".replace("|", "\\|")


def _signature(verb: object) -> str:
    written = str(inspect.signature(verb)).split(" -> ")[0]  # type: ignore[arg-type]
    return re.sub(r": '([^']*)'", r": \1", written).replace("|", "\\|")  # annotations without their quotes


def _first_line(it: object) -> str:
    return (inspect.getdoc(it) or "").split("\n\n")[0].replace("\n", " ").replace("|", "\\|")


def _errors() -> str:
    text = _ERRORS
    for letter, heading in _GROUPS.items():
        found = [code for code in codes() if code.startswith(f"GNG-{letter}")]
        rows = "".join(f"| [`{code}`](../../src/gonogo/explain/{code}.md) | {title(code).split(': ', 1)[-1]} |\n" for code in found)
        text += f"\n## {heading}\n\n| code | |\n|---|---|\n{rows}" if found else ""
    return text


def main() -> None:
    """Write every page."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
