"""Does a page of the documentation say what happens?

A page is a list of steps. In a ```console block, a line that starts with `$ ` is a command, carried on by lines that start with `> `; what
follows is what it prints. A ```python block is a program, and a ```text block right after it what it prints. `…` stands for anything, also
for any number of lines; runs of blanks count as one, so that columns may move.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, STDOUT

ROOT = Path(__file__).parents[2]
_INSTEAD = {"make demo": "gonogo run examples/flights"}  # what `make demo` does once it has set up the machine
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One thing that a reader does, and what the page says then."""

    where: str  # page:line
    program: tuple[str, ...]  # what is executed
    shown: str  # as the reader sees it
    expected: str | None  # None: the page shows no output


def steps(page: Path) -> Iterator[Step]:
    """The steps of a page, in order."""
    text = page.read_text(encoding="utf-8")
    blocks = list(_FENCE.finditer(text))
    for i, block in enumerate(blocks):
        language, body = block.groups()
        line = text.count("\n", 0, block.start()) + 2
        if language == "python":
            after = blocks[i + 1] if i + 1 < len(blocks) else None
            follows = after is not None and after[1] == "text" and not text[block.end() : after.start()].strip()
            yield Step(
                where=f"{page.name}:{line}",
                program=(sys.executable, "-c", body),
                shown=body,
                expected=after[2] if after is not None and follows else None,
            )
        elif language == "console":
            yield from _commands(body, page.name, line)


def _commands(body: str, page: str, line: int) -> Iterator[Step]:
    for part in re.split(r"^(?=\$ )", body, flags=re.MULTILINE):
        if not part.strip():
            continue
        first, *rest = part.rstrip("\n").split("\n")
        more = [text for text in rest if text.startswith("> ")]
        command = "\n".join([first.removeprefix("$ "), *(text.removeprefix("> ") for text in more)])
        expected = "\n".join(rest[len(more) :])
        yield Step(where=f"{page}:{line}", program=("bash", "-c", _INSTEAD.get(command, command)), shown=command, expected=expected or None)
        line += part.count("\n")


def carry_out(page: Path, folder: Path) -> list[str]:
    """What the page says wrongly: a text for each step that ended or printed otherwise. The steps run in the folder, in order."""
    wrong = []
    for step in steps(page):
        done = subprocess.run(step.program, cwd=folder, env=_environment(), stdout=PIPE, stderr=STDOUT, text=True, timeout=300, check=False)
        printed = done.stdout
        if done.returncode not in (0, 1) or "Traceback" in printed:
            wrong.append(f"{step.where}: {step.shown}\nended with {done.returncode}:\n{printed}")
        elif step.expected is not None and not agrees(printed, step.expected):
            wrong.append(f"{step.where}: {step.shown}\nthe page says:\n{step.expected}\nit printed:\n{printed}")
    return wrong


def agrees(printed: str, expected: str) -> bool:
    """Whether a text is what the page shows, `…` standing for anything.

    >>> agrees("GO  flights  1a2b", "GO flights …")
    True
    >>> agrees("GO  flights  1a2b", "NO-GO …")
    False
    """
    pieces = [re.escape(piece) for piece in _plain(expected).split("…")]
    return re.fullmatch(".*".join(pieces), _plain(printed), flags=re.DOTALL) is not None


def _plain(text: str) -> str:
    """Without blanks at the ends of lines, and with single ones between words."""
    return "\n".join(re.sub(r"[ \t]+", " ", line).rstrip() for line in text.strip("\n").split("\n"))


def _environment() -> dict[str, str]:
    programs = str(Path(sys.executable).parent)
    return os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
