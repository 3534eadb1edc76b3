"""Which goals of serving are reached by what was measured?

    python -m benchmarks.serving.goals [--workers 1] [--results benchmarks/results]

Reads peers-WORKERS.json (peers.py) and ten_minutes.json (ten_minutes.py). A ratio is reached where the middle of its rounds reaches the
goal; where one round does not, that is said. What was not measured is not reached.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.serving.peers import RESULTS, Round, Rounds, cpu_us, names_of, over, quantile, spread
from benchmarks.serving.servers import PEERS

LEAST_ROUNDS, LEAST_SAMPLES = 3, 1000
CPU_AT_MOST = {"anchor": 1.5}  # ours over it
CPU_AT_LEAST = {  # it over ours
    "bentoml": 30,
    "mlserver": 25,
    "litserve": 20,
    "kserve": 15,
    "ray-tuned": 15,
    "mlflow": 100,
    "fastapi": 10,
    "fastapi+kernel": 2,
    "litserve+kernel": 12,
    "bentoml+kernel": 20,
}
P99_OVER_ANCHOR, P99_OVER_PEER = 1.25, 0.25


@dataclass(frozen=True, kw_only=True)
class Line:
    """One goal."""

    what: str
    seen: str
    goal: str
    verdict: str  # begins with "reached", "missed" or "not measured"


def judged(what: str, values: list[float], limit: float, *, at_most: bool, doubt: str = "") -> Line:
    """Ratios of all rounds beside their limit. doubt: why they prove nothing, whatever they are."""
    goal = f"{'≤' if at_most else '≥'} {limit:g}"
    if not values:
        return Line(what=what, seen="", goal=goal, verdict="not measured")

    def holds(value: float) -> bool:
        return value <= limit if at_most else value >= limit

    n = sum(map(holds, values))
    verdict = "reached" if holds(median(values)) else "missed"
    if 0 < n < len(values):
        verdict += f", in {n} of {len(values)} rounds"
    if verdict.startswith("reached") and (doubt or len(values) < LEAST_ROUNDS):
        verdict = f"not measured well enough: {doubt or f'{len(values)} rounds'}"
    return Line(what=what, seen=spread(values, 2), goal=goal, verdict=verdict)


def of_peers(rounds: Rounds) -> Iterator[Line]:
    for name, limit in CPU_AT_MOST.items():
        yield judged(f"CPU per request, ours / {name}", over(rounds, "ours", name, cpu_us), limit, at_most=True)
    for name, limit in CPU_AT_LEAST.items():
        yield judged(f"CPU per request, {name} / ours", over(rounds, name, "ours", cpu_us), limit, at_most=False)
    rates = sorted({rate for one in rounds for took in one.values() for rate in took.steady}, key=float)
    for rate in rates:
        yield latency(rounds, rate, "anchor", P99_OVER_ANCHOR)
    for name in (name for name in PEERS if PEERS[name].environment and not PEERS[name].kernel):
        for rate in [rate for rate in rates if any(rate in one[name].steady for one in rounds if name in one)] or rates[:1]:
            yield latency(rounds, rate, name, P99_OVER_PEER)


def latency(rounds: Rounds, rate: str, name: str, limit: float) -> Line:
    seen = [one[which].steady[rate] for one in rounds for which in ("ours", name) if which in one and rate in one[which].steady]
    doubts = []
    if any(one.answered < LEAST_SAMPLES for one in seen):
        doubts.append(f"a round of {min(one.answered for one in seen)} samples")
    if failed := sum(one.failed for one in seen):
        doubts.append(f"{failed} failed requests")
    ratios = over(rounds, "ours", name, quantile(rate, "p99_us"))
    return judged(f"p99 at {rate}/s, ours / {name}", ratios, limit, at_most=True, doubt=", ".join(doubts))


def of_ten_minutes(told: dict[str, Any]) -> Iterator[Line]:
    rows = told["rows"]
    short = "" if told["minutes"] >= 10 and told["asked_per_second"] >= 0.98 * 1000 else f"{told['minutes']:g} minutes"
    for what in (
        "failed",
        "acknowledged and not logged",
        "logged more than once",
        "rows that the log says it lost",
        "outcomes taken and not logged",
        "outcomes logged more than once",
    ):
        verdict = "missed" if rows[what] else f"not measured well enough: {short}" if short else "reached"
        seen = f"{rows[what]:,} of {rows['outcomes taken' if what.startswith('outcomes') else 'sent']:,}"
        yield Line(what=f"ten minutes at {told['asked_per_second']:,.0f}/s: {what}", seen=seen, goal="0", verdict=verdict)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args()
    lines: list[Line] = []
    peers, ten_minutes = asked.results / f"peers-{asked.workers}.json", asked.results / "ten_minutes.json"
    for path in (peers, ten_minutes):
        if not path.exists():
            print(f"{path} is not there: its goals are not measured", file=sys.stderr)
    if peers.exists():
        told = json.loads(peers.read_text())
        rounds = [{name: Round.read(took) for name, took in one.items()} for one in told["rounds"]]
        print(f"{path_and_when(peers, told)}, {len(names_of(rounds))} servers{'' if told['realtime'] else ', NOT before the neighbours'}")
        lines += of_peers(rounds)
    if ten_minutes.exists():
        told = json.loads(ten_minutes.read_text())
        print(path_and_when(ten_minutes, told))
        lines += of_ten_minutes(told)
    print("\n| goal | seen | is to be | |\n|---|---|---|---|")
    for line in lines:
        verdict = f"**{line.verdict}**" if line.verdict.startswith("missed") else line.verdict
        print(f"| {line.what} | {line.seen} | {line.goal} | {verdict} |")


def path_and_when(path: Path, told: dict[str, Any]) -> str:
    return f"{path.name}: {told['taken']}, load {told['load'][0]:.1f}, {told['workers']} workers"


if __name__ == "__main__":
    main()
