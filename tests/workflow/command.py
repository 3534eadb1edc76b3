"""The command line, called as a person calls it, without the cost of a new process."""

from __future__ import annotations

import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any

from gonogo.cli.main import main


@dataclass(frozen=True)
class Answer:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def record(self) -> Any:
        return json.loads(self.out)


def gonogo(*arguments: object) -> Answer:
    """The answer of `gonogo ARGUMENTS`; a traceback is none."""
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        try:
            status = main([str(a) for a in arguments])
        except SystemExit as ended:  # --help and --version
            status = int(ended.code or 0)
    answer = Answer(status, out.getvalue(), err.getvalue())
    assert "Traceback" not in answer.out + answer.err
    return answer
