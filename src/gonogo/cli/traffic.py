"""What do the commands of serving and rollout call, and what do they print?"""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gonogo.cli import text_rollout
from gonogo.cli.commands import say
from gonogo.types.record import to_json


def serve(options: Namespace) -> int:
    """Answer until told to stop."""
    from gonogo.serving.settings import port_of_environment
    from gonogo.web.server import serve as answer

    port = port_of_environment(os.environ, 8080) if options.port is None else options.port
    return answer(
        options.folder, host=options.host, port=port, workers=options.workers, say=lambda text: print(text, file=sys.stderr, flush=True)
    )


def release(options: Namespace) -> int:
    """Start a rollout."""
    from gonogo.workflow.release import release as begin

    return _print(begin(options.verdict, folder=options.folder, by=options.by), text_rollout.opened, options)


def status(options: Namespace) -> int:
    """Where a rollout stands."""
    from gonogo.workflow.rollout import status as look

    return _print(look(options.folder), text_rollout.situation, options)


def page(options: Namespace) -> int:
    """The page of a rollout."""
    from gonogo.workflow.rollout_page import rollout_page

    say(f"page: {rollout_page(options.folder, options.rollout)}")
    return 0


def hold(options: Namespace) -> int:
    """Stay."""
    from gonogo.workflow.rollout import hold as act

    return _print(act(options.folder, why=options.why, by=options.by), text_rollout.commanded, options)


def resume(options: Namespace) -> int:
    """Go on."""
    from gonogo.workflow.rollout import resume as act

    return _print(act(options.folder, why=options.why, by=options.by), text_rollout.commanded, options)


def advance(options: Namespace) -> int:
    """Do not wait for the rest of the bake time."""
    from gonogo.workflow.rollout import advance as act

    return _print(act(options.folder, why=options.why, by=options.by), text_rollout.commanded, options)


def approve(options: Namespace) -> int:
    """Allow the next share."""
    from gonogo.workflow.rollout import approve as act

    return _print(act(options.folder, why=options.why, by=options.by), text_rollout.commanded, options)


def abort(options: Namespace) -> int:
    """End a rollout."""
    from gonogo.workflow.rollout import abort as act

    return _print(act(options.folder, why=options.why, by=options.by), text_rollout.commanded, options)


def rollback(options: Namespace) -> int:
    """Bring the earlier model back. 0 only once every worker has confirmed it."""
    from gonogo.workflow.rollback import rollback as act

    return _print(act(options.contract, options.why, folder=options.folder, by=options.by), text_rollout.commanded, options)


def outcomes(options: Namespace) -> int:
    """What came true, from a file."""
    from gonogo.workflow.outcomes import outcomes as put

    return _print(put(options.folder, Path(options.file)), text_rollout.imported, options)


def _print(record: Any, as_text: Callable[[Any], str], options: Namespace) -> int:
    say(json.dumps(to_json(record), indent=2) if options.json else as_text(record))
    return 0
