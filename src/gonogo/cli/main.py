"""Which command was asked for, and how does it end?

Exit status: 0 go or done, 1 no-go, 2 wrong usage, contract or data, 3 gonogo or its surroundings failed. Data goes to stdout, talk to
stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from gonogo import __version__
from gonogo.cli import commands, keys, traffic
from gonogo.types.errors import GonogoError, HouseError, MemoryExhausted, StorageFailed, UsageError

DONE, NO_GO = 0, 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options = _parser().parse_args(given)
        return int(options.run(options))
    except GonogoError as error:
        return _report(error, as_json="--json" in given)
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        return _report(
            HouseError("Stopped by hand.", next="run it again: it goes on from the last finished step"), as_json="--json" in given
        )
    except (OSError, MemoryError) as error:
        return _report(_of_surroundings(error), as_json="--json" in given)
    except Exception as error:  # the last door: a person gets a record, never a traceback
        return _report(_unforeseen(error), as_json="--json" in given)


def _report(error: GonogoError, *, as_json: bool) -> int:
    print(error, file=sys.stderr)
    if as_json:  # whoever reads stdout gets a record there too
        commands.say(json.dumps({"error": error.as_record()}, indent=2))
    return error.exit_status


def _of_surroundings(error: OSError | MemoryError) -> GonogoError:
    if isinstance(error, MemoryError):
        return _of_memory(error)
    return StorageFailed(error.strerror or str(error), found=type(error).__name__, where=str(error.filename or ""))


def _of_memory(error: Exception) -> GonogoError:
    return MemoryExhausted(
        "The work does not fit into memory; what was recorded before stays.",
        found=(str(error).splitlines() or [type(error).__name__])[0],
        next="use a machine with more memory, or fewer rows or features",
    )


def _unforeseen(error: Exception) -> GonogoError:
    if type(error).__name__ == "OutOfMemoryException":  # DuckDB's; told by name, for importing it here would cost every command
        return _of_memory(error)
    if os.environ.get("GONOGO_TRACEBACK"):
        traceback.print_exception(error)
    last = traceback.extract_tb(error.__traceback__)[-1]
    return HouseError(
        "gonogo itself failed; nothing was decided.",
        found=f"{type(error).__name__}: {error}",
        where=f"{last.filename}:{last.lineno}",
        next="GONOGO_TRACEBACK=1 shows where; please report it with the contract",
    )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message, where=self.prog, next=f"{self.prog} --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="gonogo", description="From raw events to production traffic, on evidence.")
    parser.add_argument("--version", action="version", version=f"gonogo {__version__}")
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    init = _verb(verbs, "init", "write a first contract for your own file", commands.init)
    init.add_argument("folder", metavar="FOLDER", help="where to write contract.toml")
    init.add_argument("--data", metavar="FILE", nargs="+", required=True, help="Parquet, CSV, JSON lines or Arrow")
    init.add_argument("--name", help="the contract's name; default: the folder's")
    for name, does, run in (
        ("run", "go the whole way: from raw events to a verdict and a page", commands.run),
        ("snapshot", "read, check, label and split the data, and build the features", commands.snapshot),
        ("train", "fit the learners and choose one on the validate table", commands.train),
        ("measure", "measure the candidate against the champion on the test table", commands.measure),
        ("decide", "ask every gate of the contract", commands.decide),
    ):
        _json(_folder(_verb(verbs, name, does, run)))
    page = _folder(_verb(verbs, "page", "write the page of a verdict", commands.page))
    page.add_argument("--verdict", default="", help="a digest or its first digits; default: the newest")
    predict = _folder(_verb(verbs, "predict", "score a file, row by row, in its order", commands.predict))
    predict.add_argument("--in", dest="rows", metavar="FILE", required=True, help="rows with the columns of the contract's row source")
    predict.add_argument("--out", metavar="FILE", required=True, help="Parquet to write: the keys and the predictions")
    predict.add_argument("--candidate", default="", help="a digest; default: the champion, else the candidate of a GO")
    batch = _folder(_verb(verbs, "batch", "score a file of any size, and log every answer", commands.batch))
    batch.add_argument("--in", dest="rows", metavar="FILE", required=True, help="rows with the columns of the contract's row source")
    batch.add_argument("--out", metavar="FILE", required=True, help="Parquet to write: the keys and the predictions")
    batch.add_argument("--candidate", default="", help="a digest; default: the champion, else the candidate of a GO")
    waive = _folder(_verb(verbs, "waive", "accept a finding, with a name and a reason", commands.waive))
    waive.add_argument("--code", required=True, help="the finding's code")
    waive.add_argument("--where", required=True, help="the finding's place, as it is printed")
    waive.add_argument("--name", required=True, help="who answers for it")
    waive.add_argument("--reason", required=True, help="why it is acceptable")
    waive.add_argument("--until", help="when it ends, e.g. 2026-01-31T00:00:00Z")
    ledger = verbs.add_parser("ledger", help="verify or list what was recorded", description="verify or list what was recorded")
    ledger_verbs = ledger.add_subparsers(title="commands", metavar="COMMAND", required=True)
    verify = _folder(_verb(ledger_verbs, "verify", "is every entry as it was written?", commands.ledger_verify))
    verify.add_argument("--head", help="a head kept elsewhere: finds a ledger that was cut off")
    _json(_folder(_verb(ledger_verbs, "list", "every entry, oldest first", commands.ledger_list)))
    replay = _json(_verb(verbs, "replay", "decide an old verdict, or a rollout's judgement, again and compare bytes", commands.replay))
    replay.add_argument("verdict", metavar="VERDICT", help="a digest, or its first six or more digits")
    replay.add_argument("--folder", default=".", help="the folder of its ledger; default: here")
    does = (
        "hold two verdicts against each other on the same rows: 0 only where B is shown to be better, or not worse by a stated margin, "
        "and keeps every --margin"
    )
    compare = _json(_verb(verbs, "compare", does, commands.compare))
    compare.add_argument("verdict_a", metavar="VERDICT_A", help="a digest, or its first six or more digits")
    compare.add_argument("verdict_b", metavar="VERDICT_B", help="likewise")
    compare.add_argument("--folder", default=".", help="the folder of their ledger; default: here")
    compare.add_argument(
        "--margin",
        metavar="METRIC=VALUE",
        nargs="+",
        default=[],
        help="how much worse B may be and still count as not worse, in the metric's unit; default: what the gates against the champion say",
    )
    differ = _json(_verb(verbs, "differ", "do two files hold the same population, column by column?", commands.differ))
    differ.add_argument("a", metavar="A", help="Parquet, CSV, JSON lines or Arrow, or a glob of one format")
    differ.add_argument("b", metavar="B", help="likewise")
    differ.add_argument("--outcome", metavar="COLUMN", help="what is predicted: its rate is compared")
    differ.add_argument("--score", metavar="COLUMN", help="the prediction: with the outcome, calibration and error are compared as well")
    differ.add_argument("--unit", metavar="COLUMN", help="whose rows move together: a user, a day, a machine; default: each row by itself")
    differ.add_argument("--columns", metavar="COLUMN", nargs="+", help="which to compare; default: all")
    differ.add_argument(
        "--margin", metavar="NAME=VALUE", nargs="+", default=[], help="up to which an effect is trivial, e.g. hedges_g=0.2 distance=0.1"
    )
    explain = _verb(verbs, "explain", "what a code means, or every key of the contract", commands.explain)
    explain.add_argument("code", metavar="CODE|contract")
    _traffic_verbs(verbs)
    return parser


def _traffic_verbs(verbs: Any) -> None:
    """What is done with a model that answers."""
    serve = _folder(_verb(verbs, "serve", "answer requests over HTTP", traffic.serve))
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on; another one than this machine needs keys")
    serve.add_argument("--port", type=int, default=None, help="default: 8080, or what the platform asks for; 0: any that is free")
    serve.add_argument("--workers", type=int, default=2, help="processes that answer; default: 2")
    release = _acting(_json(_verb(verbs, "release", "start the rollout of a candidate whose verdict is GO", traffic.release)))
    release.add_argument("verdict", metavar="VERDICT", nargs="?", default="", help="a digest or its first digits; default: the newest")
    rollout = verbs.add_parser("rollout", help="see and steer a rollout", description="see and steer a rollout")
    rollout_verbs = rollout.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _json(_folder(_verb(rollout_verbs, "status", "where it stands, and what the evidence says", traffic.status)))
    page = _folder(_verb(rollout_verbs, "page", "write its page: shares, evidence and decisions over time", traffic.page))
    page.add_argument("--rollout", default="", metavar="DIGEST", help="which one, by its first digits; default: the newest")
    for name, does, run, why in (
        ("hold", "stay where it is until somebody resumes it", traffic.hold, True),
        ("resume", "go on after a hold", traffic.resume, True),
        ("advance", "do not wait for the rest of the bake time; what is not shown stays not shown", traffic.advance, True),
        ("approve", "allow the next share, which waits for a person", traffic.approve, True),
        ("abort", "end it: the champion answers everybody", traffic.abort, True),
    ):
        steer = _acting(_json(_folder(_verb(rollout_verbs, name, does, run))), folder=False)
        steer.add_argument("--why", required=why, help="the reason, for the ledger")
    outcomes = _json(_folder(_verb(verbs, "outcomes", "put what came true beside its predictions", traffic.outcomes)))
    outcomes.add_argument("file", metavar="FILE", help="Parquet, CSV, JSON lines or Arrow: the key and the outcome, and known_at")
    rollback = _acting(_json(_verb(verbs, "rollback", "bring the model back that answered before", traffic.rollback)))
    rollback.add_argument("contract", metavar="CONTRACT", help="the contract's name")
    rollback.add_argument("--why", required=True, help="the reason, for the ledger")
    _keys_verbs(verbs)


def _keys_verbs(verbs: Any) -> None:
    """Who may ask the server."""
    held = verbs.add_parser("keys", help="who may ask the server, and for what", description="who may ask the server, and for what")
    keys_verbs = held.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add = _verb(keys_verbs, "add", "make a key and print it, this once", keys.add)
    add.add_argument("--scope", action="append", required=True, choices=("predict", "outcomes", "release", "admin"), help="what it opens")
    revoke = _verb(keys_verbs, "revoke", "take a key back", keys.revoke)
    for each in (add, revoke):
        each.add_argument("name", metavar="NAME", help="who holds it; in the ledger as key:NAME")
        each.add_argument("--folder", default=".", help="the folder of its contract; default: here")
    _json(_folder(_verb(keys_verbs, "list", "which keys there are, never the keys themselves", keys.show)))


def _acting(command: argparse.ArgumentParser, *, folder: bool = True) -> argparse.ArgumentParser:
    if folder:
        command.add_argument("--folder", default=".", help="the folder of its contract; default: here")
    command.add_argument("--by", default="", help="who acts, as the ledger names them; default: user@host")
    return command


def _verb(verbs: Any, name: str, does: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = verbs.add_parser(name, help=does, description=does)
    command.set_defaults(run=run)
    return command


def _folder(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    command.add_argument("folder", metavar="FOLDER", nargs="?", default=".", help="the folder of contract.toml; default: here")
    return command


def _json(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    command.add_argument("--json", action="store_true", help="print the record that the text shows")
    return command


if __name__ == "__main__":
    sys.exit(main())
