"""What does one answer cost with everything on, beside other servers of the same model and beside a bare application?

    python -m benchmarks.serving.peers install [NAME …]      environments of their own under benchmarks/.peers: minutes, 4 GB
    python -m benchmarks.serving.peers check [NAME …]        does each start, answer, and ask the predictor that it should?
    python -m benchmarks.serving.peers run [NAME …] --rounds 3 --realtime [--workers 2]

The model is 500 XGBoost trees of depth 6 over 30 numbers (model.py), asked for one row at a time; servers.py says how each is started.
Every server is started anew in every round, in an order drawn anew. In a round each is first saturated (wrk, 32 connections), which gives
answers a second and CPU of its whole process tree per request, work that it put off included; then asked at fixed rates (load.py, open
loop, Poisson), which gives latencies, each over at least --samples of them. The first rate is one that all hold; the others are for those
that answered twice as many at saturation. With --realtime every thread of server and client goes before the neighbours for that time.
`ours` runs from a fresh copy of its folder with a rollout under way: validation, sticky routing at 50 %, every request shadowed by a second
model of 500 trees, the durable log, the judge and metrics; each of its requests has an id of its own. The peers log nothing. A ratio is
taken within a round. What was seen goes to benchmarks/results/peers-WORKERS.json, for goals.py. Needs wrk (Debian: apt-get install wrk).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness import Spread
from benchmarks.serving.load import Seen, first_id
from benchmarks.serving.servers import PEERS, PORT, ROOT, Peer, bodies, install, prepare
from benchmarks.serving.tree import Tree

RESULTS = ROOT / "benchmarks" / "results"
CALLERS, SERVERS = 20, 10  # priorities under SCHED_RR: who asks never waits for who is asked


@dataclass(frozen=True, kw_only=True)
class Saturated:
    """What was answered when it was asked as fast as it answered."""

    answered: int
    failed: int
    per_second: float


@dataclass(frozen=True, kw_only=True)
class Round:
    """What one server took in one round."""

    cpu_us: float  # of the whole tree, per answered request at saturation
    saturated: Saturated
    steady: dict[str, Seen]  # requests/s → what the callers saw
    start_s: float
    pss_mb: float
    idle: float  # share of a core while nobody asks

    @classmethod
    def read(cls, told: dict[str, Any]) -> Round:
        """As it was stored."""
        steady = {rate: Seen(**seen) for rate, seen in told["steady"].items()}
        return cls(**{**told, "saturated": Saturated(**told["saturated"]), "steady": steady})


@dataclass(frozen=True, kw_only=True)
class Running:
    """A server that has answered once."""

    tree: Tree
    url: str
    bodies: Path
    start_s: float
    answer: str


@contextmanager
def running(name: str, model: Path, workers: int) -> Iterator[Running]:
    """Start it, wait for its first good answer, and end it."""
    peer = PEERS[name]
    asked = bodies(peer, model)
    url = f"http://127.0.0.1:{PORT}{peer.path}"
    prepare(name, model, workers)
    folder = _fresh(model) if name == "ours" else model
    log = model / f"{name}.log"
    command = peer.words(peer.command, model=model, folder=folder, workers=workers)
    tree = Tree(command, env=peer.surroundings(model, workers), log=log, cwd=ROOT)
    try:
        start_s, answer = first_answer(tree, url, asked.read_bytes().split(b"\n", 1)[0], log)
        require_predictor(peer, tree)
        if name == "ours":
            release(folder, url, asked)
        yield Running(tree=tree, url=url, bodies=asked, start_s=start_s, answer=answer)
    finally:
        tree.stop()
        time.sleep(0.3)


def _fresh(model: Path) -> Path:
    """The folder as it was made, without what earlier rounds released and logged."""
    folder = model / "served"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(model, folder, ignore=shutil.ignore_patterns("served", "serving", "scratch", "peer", "bodies*", "*.log", "metrics"))
    return folder


def measure(name: str, asked: argparse.Namespace) -> Round:
    with running(name, asked.model, asked.workers) as server:
        _saturate(server, 2.0)  # warm
        idle = _settle(server.tree)
        before = server.tree.cpu_s()
        saturated = _saturate(server, asked.seconds)
        if saturated.failed:
            raise RuntimeError(f"{saturated.failed:,} of {saturated.answered:,} requests were refused: their cost says nothing")
        _settle(server.tree, idle)  # what it put off belongs to these requests
        cpu_us = (server.tree.cpu_s() - before) / max(1, saturated.answered) * 1e6
        pss = server.tree.pss_mb()
        steady = {
            f"{rate:g}": at_rate(server, rate, max(asked.steady, 1.1 * asked.samples / rate), realtime=asked.realtime)
            for rate in asked.rates
            if rate == asked.rates[0] or saturated.per_second >= 2 * rate
        }
    return Round(cpu_us=cpu_us, saturated=saturated, steady=steady, start_s=server.start_s, pss_mb=pss, idle=idle)


def release(folder: Path, url: str, asked: Path) -> None:
    """The second candidate on its way: in the canary at one half, where it stays for its bake time."""
    from benchmarks.serving.model import digests_of

    gonogo = str(Path(sys.executable).parent / "gonogo")
    _, verdict = digests_of(folder)
    done = subprocess.run([gonogo, "release", verdict, "--folder", str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    until = time.monotonic() + 60
    while time.monotonic() < until:
        _client(url, asked, "--rate", "300", "--seconds", "1")
        said = subprocess.run([gonogo, "rollout", "status", str(folder), "--json"], capture_output=True, text=True, check=False).stdout
        if json.loads(said or "{}").get("standing", {}).get("phase") == "canary":
            return
    raise RuntimeError(f"no canary after a minute:\n{done.stdout}{done.stderr}\n{said}")


def require_predictor(peer: Peer, tree: Tree) -> None:
    """Raises RuntimeError where the process that answers does not have the predictor that this comparison is about."""
    has = {library: tree.maps(library) for library in ("libxgboost", "libllvmlite")}
    if peer.has_gonogo_predictor and (has["libxgboost"] or not has["libllvmlite"]):
        raise RuntimeError(f"gonogo's predictor was meant to answer: {has}")
    if not peer.has_gonogo_predictor and not has["libxgboost"]:
        raise RuntimeError("XGBoost was meant to answer, and no process has loaded it")


def at_rate(server: Running, rate: float, seconds: float, *, realtime: bool) -> Seen:
    """Open loop. realtime: every thread of server and client goes before the neighbours for that time."""
    options = ("--rate", f"{rate:g}", "--seconds", f"{seconds:g}")
    if not realtime:
        return _client(server.url, server.bodies, *options)
    with server.tree.realtime(SERVERS):
        return _client(server.url, server.bodies, *options, before=("chrt", "--rr", str(CALLERS)))


def _client(url: str, asked: Path, *options: str, before: tuple[str, ...] = ()) -> Seen:
    """The load generator in a process of its own."""
    command = [*before, sys.executable, "-m", "benchmarks.serving.load", url, "--bodies", str(asked), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return Seen(**json.loads(done.stdout))


def _saturate(server: Running, seconds: float) -> Saturated:
    """As fast as it answers, 32 connections: by wrk, whose own work is hardly seen beside the server's."""
    lua = str(Path(__file__).parent / "post.lua")
    command = ["wrk", "-t1", "-c32", f"-d{max(1, round(seconds))}s", "--timeout", "10s", "-s", lua, server.url]
    env = {**os.environ, "BODIES": str(server.bodies), "FIRST_ID": str(first_id())}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    said = json.loads(done.stdout.splitlines()[-1])
    return Saturated(answered=said["answered"], failed=said["refused"] + said["broken"], per_second=said["answered"] / said["us"] * 1e6)


def _settle(tree: Tree, idle: float | None = None) -> float:
    """Wait until it does no more than when nobody asks: until two seconds do not go down any more, or are as was seen before (`idle`)."""
    last, until = float("inf"), time.monotonic() + 30
    while time.monotonic() < until:
        before, began = tree.cpu_s(), time.perf_counter()
        time.sleep(2.0 if idle is None else 0.3)
        now = (tree.cpu_s() - before) / (time.perf_counter() - began)
        if idle is not None and now <= idle + 0.07:  # a tick of the kernel's clock is 10 ms
            return now
        if idle is None and now > 0.8 * last:
            return min(now, last)
        last = now
    raise RuntimeError(f"it does not come to rest: {last:.0%} of a core after 30 s without a request")


def first_answer(tree: Tree, url: str, body: bytes, log: Path) -> tuple[float, str]:
    """Seconds from the start of the command to the first good answer, and what it says."""
    asked = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})
    said = "nothing"
    while time.perf_counter() - tree.began < 90:
        if tree.process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(asked, timeout=5) as answer:
                if answer.status == 200:
                    return time.perf_counter() - tree.began, answer.read(300).decode()
        except urllib.error.HTTPError as error:
            said = f"{error.code} {error.read()[:300]!r}"
        except OSError as error:
            said = repr(error)
        time.sleep(0.01)
    raise RuntimeError(f"no answer: {said}\n{log.read_text()[-2000:]}")


Rounds = list[dict[str, Round]]


def table(rounds: Rounds) -> str:
    """CPU, throughput, memory."""
    lines = [
        f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores; middle [least, largest] of the rounds",
        "| server | CPU µs a request | × anchor | × ours | at saturation /s | ours / it | start s | PSS MB | idle % | rounds |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name in names_of(rounds):
        of = [one[name] for one in rounds if name in one]
        cells = [
            name,
            spread([r.cpu_us for r in of]),
            spread(over(rounds, name, "anchor", cpu_us), 2),
            spread(over(rounds, name, "ours", cpu_us), 2),
            spread([r.saturated.per_second for r in of]),
            spread(over(rounds, "ours", name, per_second), 1),
            spread([r.start_s for r in of], 1),
            spread([r.pss_mb for r in of]),
            spread([r.idle * 100 for r in of], 1),
            str(len(of)),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def latency_table(rounds: Rounds) -> str:
    """What callers saw at fixed rates."""
    lines = [
        "| at | server | p50 µs | p99 µs | p50 × anchor | p99 × anchor | p50 × ours | p99 × ours | samples | failed | sent late p99 µs |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for rate in sorted({rate for one in rounds for took in one.values() for rate in took.steady}, key=float):
        for name in names_of(rounds):
            of = [one[name].steady[rate] for one in rounds if name in one and rate in one[name].steady]
            if not of:
                continue
            ratios = [
                spread(over(rounds, name, base, quantile(rate, which)), 2) for base in ("anchor", "ours") for which in ("p50_us", "p99_us")
            ]
            cells = [
                f"{rate}/s",
                name,
                spread([seen.p50_us for seen in of]),
                spread([seen.p99_us for seen in of]),
                *ratios,
                f"{min(seen.answered for seen in of):,}",
                str(sum(seen.failed for seen in of)),
                spread([seen.late_us for seen in of]),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def names_of(rounds: Rounds) -> list[str]:
    return [name for name in PEERS if any(name in one for one in rounds)]


def cpu_us(took: Round) -> float | None:
    return took.cpu_us


def per_second(took: Round) -> float | None:
    return took.saturated.per_second


def quantile(rate: str, which: str) -> Callable[[Round], float | None]:
    """Of the latencies at that rate; None where it was not asked at it."""

    def read(took: Round) -> float | None:
        seen = took.steady.get(rate)
        return None if seen is None else float(getattr(seen, which))

    return read


def over(rounds: Rounds, name: str, base: str, figure: Callable[[Round], float | None]) -> list[float]:
    """The figure of one server over that of another, in each round that has both; nothing for a server over itself."""
    if name == base:
        return []
    pairs = [(figure(one[name]), figure(one[base])) for one in rounds if name in one and base in one]
    return [a / b for a, b in pairs if a is not None and b is not None]


def spread(values: list[float], digits: int = 0) -> str:
    if not values:
        return ""
    s = Spread.of(values)
    return f"{s.median:,.{digits}f} [{s.low:,.{digits}f}, {s.high:,.{digits}f}]"


def _said(took: Round) -> str:
    steady = ", ".join(f"at {rate}/s p50 {seen.p50_us:,.0f}, p99 {seen.p99_us:,.0f} µs" for rate, seen in took.steady.items())
    at_most = f"{took.cpu_us:,.0f} µs CPU, {took.saturated.per_second:,.0f}/s at most"
    return f"{at_most}, {steady}, start {took.start_s:.1f} s, {took.pss_mb:.0f} MB"


def check(names: list[str], model: Path, workers: int) -> int:
    """How many do not start, do not answer, or answer with another predictor."""
    failed = 0
    for name in names:
        try:
            with running(name, model, workers) as server:
                print(f"{name}: after {server.start_s:.1f} s {server.answer}", flush=True)
        except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
            failed += 1
            print(f"{name}: {error}", flush=True)
    return failed


def run(names: list[str], asked: argparse.Namespace) -> Rounds:
    """Every server once a round; what failed is said, and tried again in the next round."""
    rounds: Rounds = []
    began = time.time()
    for number in range(asked.rounds):
        rounds.append({})
        for name in random.sample(names, len(names)):
            try:
                took = measure(name, asked)
            except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
                print(f"round {number + 1} is without {name}: {error}", file=sys.stderr, flush=True)
                continue
            rounds[-1][name] = took
            print(f"round {number + 1} {name}: {_said(took)}", file=sys.stderr, flush=True)
            store(rounds, began, asked)
    return rounds


def store(rounds: Rounds, began: float, asked: argparse.Namespace) -> None:
    """After each server, so that an interrupted run has its figures."""
    told = {
        "taken": time.strftime("%Y-%m-%d %H:%M", time.gmtime(began)),
        "load": os.getloadavg(),
        "cores": os.cpu_count(),
        "workers": asked.workers,
        "realtime": asked.realtime,
        "rounds": [{name: asdict(took) for name, took in one.items()} for one in rounds],
    }
    path = asked.json or RESULTS / f"peers-{asked.workers}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(told, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("do", choices=("install", "check", "run"))
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PEERS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="at saturation")
    parser.add_argument("--rates", type=lambda text: [float(rate) for rate in text.split(",")], default=[50.0, 500.0])
    parser.add_argument("--steady", type=float, default=8.0, help="seconds at a fixed rate, at least")
    parser.add_argument("--samples", type=int, default=1000, help="at a fixed rate, at least")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--realtime", action="store_true", help="SCHED_RR for server and client at a fixed rate (needs root)")
    parser.add_argument("--model", type=Path, default=RESULTS / "trees-500")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    asked.model = asked.model.absolute()
    names = asked.names or list(PEERS)
    if unknown := set(names) - set(PEERS):
        parser.error(f"no such server: {', '.join(sorted(unknown))}")
    if asked.do == "install":
        install(names)
        return
    subprocess.run([sys.executable, "-m", "benchmarks.serving.model", str(asked.model)], check=True, cwd=ROOT)
    if asked.do == "check":
        sys.exit(check(names, asked.model, asked.workers))
    rounds = run(names, asked)
    print(table(rounds))
    print()
    print(latency_table(rounds))


if __name__ == "__main__":
    main()
