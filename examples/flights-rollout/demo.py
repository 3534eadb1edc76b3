"""A release that goes through, and one that comes back: `make demo-rollout`.

Trains a model on the spring of 2013, serves it, and releases it while the flights of November are replayed as traffic. Then trains it again
on data up to October, when the airlines' own feed had been there for four months, and releases that. While it is a canary, United's feed
begins to tell its delays in seconds. Nothing here tells gonogo so: the guardrails see what it does.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

from gonogo.types.entry import Entry

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from replay import Replay  # noqa: E402

GONOGO = str(Path(sys.executable).parent / "gonogo")
START = datetime(2013, 11, 1, 4, tzinfo=UTC)
PER_SECOND = 120.0
LONGEST_S = 150.0  # for one release: it takes a third of that
BEGAN = time.monotonic()


def main() -> int:
    """The whole demonstration; 0 where the first release settled, the second came back and every request was answered."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/demo-rollout")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(HERE, folder, ignore=shutil.ignore_patterns(".gonogo", "__pycache__", "demo.py"))
    say("a model of the spring")
    run("run", str(folder), show=1)
    server, port = serve(folder)
    replay = Replay(folder, port, start=START, per_second=PER_SECOND)
    try:
        say(f"two days of events before 1 November: {replay.warm_up():,}")
        replay.begin()
        say(f"flights of November ask, {PER_SECOND:,.0f} a second; it is released against the baseline")
        first = released(folder, replay)
        say("the same contract, trained again on data up to the end of October")
        autumn(folder)
        run("run", str(folder), show=1)
        say("it is released against the model that answers now")
        second = released(folder, replay, breaks_at_canary=True)
    finally:
        replay.stop()
        server.terminate()
        server.wait(15)
    said = ", ".join(f"{n:,} by the {arm} ({by})" for (by, arm), n in sorted(replay.told.items(), key=str))
    say(f"answers: {said}; failed requests: {len(replay.failed)}")
    for line in dict.fromkeys(replay.failed[:3]):
        print(f"        {line}")
    from gonogo.workflow.rollout_page import rollout_page

    for rollout in (first, second):
        print(f"page: {rollout_page(folder, rollout)}")
    ends = [standing(folder, rollout) for rollout in (first, second)]
    expected = ["settled", "rolled_back"]
    print(f"first release: {ends[0]}; second release: {ends[1]}")
    return 0 if ends == expected and not replay.failed else 3


def serve(folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    """A server of the folder that is ready, and its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    began = time.monotonic()
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen([GONOGO, "serve", str(folder), "--port", str(port)], stdout=log, stderr=log)
    while time.monotonic() < began + 30:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1):
                say(f"gonogo serve: ready after {time.monotonic() - began:.1f} s on port {port}")
                return server, port
        except OSError:
            time.sleep(0.02)
    server.terminate()
    raise SystemExit(f"the server does not come up:\n{(folder / 'server.log').read_text()}")


def released(folder: Path, replay: Replay, *, breaks_at_canary: bool = False) -> str:
    """The digest of the rollout, once it has ended; every entry of the ledger is printed as it comes."""
    seen = len(ledger(folder))
    run("release", "--folder", str(folder))
    rollout, until = "", time.monotonic() + LONGEST_S
    while time.monotonic() < until and not replay.is_over:
        for entry in ledger(folder)[seen:]:
            seen += 1
            rollout = entry.body.get("rollout") or rollout
            told(entry)
            if breaks_at_canary and entry.body.get("to") == "canary" and not replay.seconds_for:
                replay.seconds_for = "UA"
                say(f"from {replay.now:%-d %B %H:%M} on, United's own feed tells its delays in seconds, not minutes")
            if entry.kind == "rollback" or entry.body.get("to") == "settled":
                return rollout
        time.sleep(0.1)
    run("rollout", "status", str(folder))
    raise SystemExit("the release did not come to its end")


def told(entry: Entry) -> None:
    """One decision, as the ledger holds it."""
    body = entry.body
    if entry.kind not in ("rollout_opened", "rollout_step", "rollout_held", "release", "rollback", "alarm"):
        return
    where = f"{body['to']} {body['share']:.0%}" if entry.kind == "rollout_step" else entry.kind.replace("rollout_", "")
    say(f"  {where:<16} {body.get('because', '')}: {body.get('why', '')}")


def ledger(folder: Path) -> list[Entry]:
    """Every entry, oldest first."""
    from gonogo.workflow.ledger import entries

    return list(entries(folder))


def standing(folder: Path, rollout: str) -> str:
    """Where a rollout stands: the value of its phase."""
    from gonogo.ledger import rollouts

    happened = [h for h in rollouts.history(ledger(folder), "flights") if h.standing.rollout == rollout]
    return happened[-1].standing.phase.value


def autumn(folder: Path) -> None:
    """The keys of autumn.toml in the place of the contract's own."""
    contract = (folder / "contract.toml").read_text()
    for line in (HERE / "autumn.toml").read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            contract = re.sub(rf"(?m)^{line.split('=')[0].strip()} = .*$", line, contract, count=1)
    (folder / "contract.toml").write_text(contract)


def run(*command: str, show: int = 100) -> None:
    """A command as a person types it, and the first lines of what it prints."""
    done = subprocess.run([GONOGO, *command], capture_output=True, text=True, check=False)
    print("\n".join(f"        {line}" for line in done.stdout.splitlines()[:show]), flush=True)
    if done.returncode:
        raise SystemExit(f"gonogo {' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


def say(text: str) -> None:
    """A line with the seconds since the start."""
    print(f"{time.monotonic() - BEGAN:6.1f} s  {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
