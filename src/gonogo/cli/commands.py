"""What does each command call, and what does it print?"""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from datetime import datetime
from pathlib import Path
from typing import Any

from gonogo.cli import text
from gonogo.cli.progress import Progress
from gonogo.types.errors import UsageError
from gonogo.types.record import to_json


def say(text: str) -> None:
    """Print it. A reader who has seen enough (`head`) and a terminal without our signs change nothing about how the command ends."""
    encoding = sys.stdout.encoding or "utf-8"
    try:
        print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def init(options: Namespace) -> int:
    """Write a first contract."""
    from gonogo.workflow.init import init as write

    path = write(Path(options.folder), [Path(p) for p in options.data], name=options.name)
    say(f"{path}\nnext: read it, then gonogo run {options.folder}")
    return 0


def run(options: Namespace) -> int:
    """The main job."""
    from gonogo.workflow.run import run as go

    with Progress(sys.stderr) as progress:
        result = go(options.folder, progress=progress)
    say(json.dumps(result.as_record(), indent=2) if options.json else text.run(result, options.folder))
    return 0 if result.verdict.go else 1


def snapshot(options: Namespace) -> int:
    """The first step alone."""
    from gonogo.workflow.snapshot import snapshot as take

    with Progress(sys.stderr) as progress:
        record = take(options.folder, progress=progress)
    return _print(record, text.snapshot, options)


def train(options: Namespace) -> int:
    """The steps up to a candidate."""
    from gonogo.workflow.train import train as fit

    with Progress(sys.stderr) as progress:
        record = fit(options.folder, progress=progress)
    return _print(record, text.candidate, options)


def measure(options: Namespace) -> int:
    """The steps up to evidence."""
    from gonogo.workflow.measure import measure as gather

    with Progress(sys.stderr) as progress:
        record = gather(options.folder, progress=progress)
    return _print(record, text.evidence, options)


def decide(options: Namespace) -> int:
    """The steps up to a verdict."""
    from gonogo.workflow.decide import decide as reach

    with Progress(sys.stderr) as progress:
        verdict = reach(options.folder, progress=progress)
    _print(verdict, text.verdict, options)
    return 0 if verdict.go else 1


def page(options: Namespace) -> int:
    """The page of a verdict."""
    from gonogo.workflow.page import page as write

    say(str(write(options.folder, options.verdict)))
    return 0


def predict(options: Namespace) -> int:
    """A file in, a file out."""
    from gonogo.workflow.predict import predict as score

    scored = score(options.folder, Path(options.rows), Path(options.out), candidate=options.candidate)
    say(f"{scored.n_rows:,} rows scored by candidate {text.short(scored.candidate)} → {scored.path}")
    return 0


def batch(options: Namespace) -> int:
    """A file in, a file out, and a record of it."""
    from gonogo.workflow.batch import batch as score

    with Progress(sys.stderr) as progress:
        scored = score(options.folder, Path(options.rows), Path(options.out), candidate=options.candidate, progress=progress)
    lost = f"; the disk had no room for {scored.n_lost:,} of them" if scored.n_lost else ""
    say(f"{scored.n_rows:,} rows scored by candidate {text.short(scored.candidate)} → {scored.path}\n{scored.n_logged:,} logged{lost}")
    return 3 if scored.n_lost else 0


def waive(options: Namespace) -> int:
    """Accept a finding."""
    from gonogo.workflow.waive import waive as accept

    entry = accept(
        options.folder, options.code, where=options.where, name=options.name, reason=options.reason, until=_moment(options.until)
    )
    say(f"entry {entry.seq}: {options.code} at {options.where} is waived by {options.name}\nnext: gonogo run {options.folder}")
    return 0


def ledger_verify(options: Namespace) -> int:
    """Is every entry as it was written?"""
    from gonogo.workflow.ledger import verify

    verified = verify(options.folder, head=options.head)
    say(f"{verified.n:,} entries, unbroken\nhead {verified.head}")
    if options.head is None:
        say("keep this head elsewhere: `gonogo ledger verify --head HASH` then also finds a ledger that was cut off")
    return 0


def ledger_list(options: Namespace) -> int:
    """Every entry, oldest first."""
    from gonogo.workflow.ledger import entries

    found = entries(options.folder)
    say(json.dumps([to_json(e) for e in found], indent=2) if options.json else text.entries(found))
    return 0


def replay(options: Namespace) -> int:
    """Decide an old verdict, or judge a stage of a rollout, again."""
    from gonogo.workflow.replay import is_judgement, replay_judgement
    from gonogo.workflow.replay import replay as again

    if is_judgement(options.verdict, folder=options.folder):
        made = replay_judgement(options.verdict, folder=options.folder)
        if options.json:
            say(json.dumps({"judgement": made.digest, "same_bytes": True, "n_lines": made.n_lines, "n_bytes": made.n_bytes}, indent=2))
        else:
            said = f"{made.outcome}  {text.short(made.digest)}  the same {made.n_bytes:,} bytes again"
            say(f"{said}, from {made.n_lines:,} lines of the judge's log")
        return 0
    replayed = again(options.verdict, folder=options.folder)
    if options.json:
        say(json.dumps({"verdict": replayed.digest, "same_bytes": True, "n_bytes": replayed.n_bytes}, indent=2))
    else:
        say(f"{'GO' if replayed.verdict.go else 'NO-GO'}  {text.short(replayed.digest)}  the same {replayed.n_bytes:,} bytes again")
    return 0


def compare(options: Namespace) -> int:
    """Two verdicts. 0 only where B is shown to be better, or not worse by a stated margin; not shown, worse or not comparable is 1."""
    from gonogo.cli import text_compare
    from gonogo.workflow.compare import compare as hold_against
    from gonogo.workflow.contrast import NOT_WORSE_SHOWN

    margins = dict(_margin(given, "log_loss=0.002") for given in options.margin)
    with Progress(sys.stderr) as progress:
        found = hold_against(options.verdict_a, options.verdict_b, folder=options.folder, margins=margins, progress=progress)
    _print(found, lambda record: text_compare.comparison(record, options.folder), options)
    return 0 if found.answer in NOT_WORSE_SHOWN else 1


def differ(options: Namespace) -> int:
    """Do two files hold the same population?"""
    from gonogo.cli import text_differ
    from gonogo.stats.differences import Answer
    from gonogo.workflow.differ import differ as compare_files

    found = compare_files(
        options.a,
        options.b,
        outcome=options.outcome,
        score=options.score,
        unit=options.unit,
        columns=options.columns,
        margins=dict(_margin(given, "hedges_g=0.2") for given in options.margin),
    )
    if options.json:
        say(json.dumps({"answer": found.answer.value, **dict(to_json(found))}, indent=2))  # type: ignore[arg-type]
    else:
        say(text_differ.differences(found, options.a, options.b))
    return 0 if found.answer is Answer.TRIVIAL else 1


def explain(options: Namespace) -> int:
    """What a code means."""
    from gonogo.workflow.explain import explain as look_up

    say(look_up(options.code))
    return 0


def _print(record: Any, as_text: Any, options: Namespace) -> int:
    say(json.dumps(to_json(record), indent=2) if options.json else as_text(record))
    return 0


def _margin(given: str, example: str) -> tuple[str, float]:
    metric, _, value = given.partition("=")
    try:
        return metric, float(value)
    except ValueError:
        raise UsageError(f"'{given}' is no margin.", expected=f"NAME=VALUE, e.g. {example}", where="--margin") from None


def _moment(given: str | None) -> datetime | None:
    if given is None:
        return None
    try:
        return datetime.fromisoformat(given)
    except ValueError:
        raise UsageError(f"'{given}' is no moment.", expected="ISO 8601 with a zone, e.g. 2026-01-31T00:00:00Z", where="--until") from None
