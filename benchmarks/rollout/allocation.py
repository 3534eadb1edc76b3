"""What does a share that a policy moves cost and spare, and does what the judge promises still hold?

    .venv/bin/python -m benchmarks.rollout.allocation               # all: minutes
    .venv/bin/python -m benchmarks.rollout.allocation --rollouts 200 --only harmless

The product's own judge, accounting and policies, period by period as the controller has them. Alpha is 5 % for harm and 5 % for the
certificate, on one guardrail (two in the world named so, and then 2.5 % each); judged after every request. Beside the policies stand a
fixed half and somebody who cannot exist: he knows the bucket of every unit that steers, and moves the share to mislead the judge.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable, Iterator

from benchmarks.rollout.allocation_worlds import MOVES, World, greedy, run, spiteful

from gonogo.gates.policies import epsilon_greedy, fixed, thompson
from gonogo.types.allocation import Seen

Z95 = 1.6448536269514722
POLICIES = (thompson, epsilon_greedy, greedy, spiteful)
Policy = Callable[[Seen], float]


def share_of(hits: int, n: int) -> str:
    """The share and its one-sided upper 95 % bound (Wilson)."""
    p = hits / n
    upper = (p + Z95**2 / (2 * n) + Z95 * math.sqrt(p * (1 - p) / n + Z95**2 / (4 * n**2))) / (1 + Z95**2 / n)
    return f"{p:.1%} (≤ {upper:.1%})"


def harmless(n: int) -> Iterator[str]:
    worlds = {
        "new units": World(),
        "1,000 units that come back": World(units=1_000, rates=(0.01, 0.01)),
        "400 units, a third 10 times as frail": World(units=400, frail=0.3, frailty=10.0, rates=(0.005, 0.005)),
        "… and two guardrails that go together": World(units=400, frail=0.3, frailty=10.0, rates=(0.005, 0.005), both=True),
        "60 units": World(units=60, rates=(0.03, 0.03), requests=30, periods=60),
    }
    yield "Equal arms, 40 periods of 500 requests: called harmful (alpha 5 %)"
    yield f"| world | {' | '.join(policy.__name__ for policy in POLICIES)} | who knows | who knows, without the split |"
    for name, world in worlds.items():
        alpha = 0.025 if world.both else 0.05
        hits = [sum(run(world, policy, seed=s, share=0.3, alpha=alpha).harm_at >= 0 for s in range(n)) for policy in POLICIES]
        if world.units:
            hits += [
                sum(run(world, fixed, seed=s, share=0.3, alpha=alpha, knowing=True, split=split).harm_at >= 0 for s in range(n))
                for split in (True, False)
            ]
        yield f"| {name} | {' | '.join(share_of(hit, n) for hit in hits)} |" + ("" if world.units else " – | – |")


def at_the_margin(n: int) -> Iterator[str]:
    worlds = {
        "new units, 2 times": World(rates=(0.02, 0.04)),
        "2,000 units that come back, 2 times": World(rates=(0.02, 0.04), units=2_000),
        "2,000 units, a third 10 times as frail, 2 times": World(rates=(0.005, 0.01), units=2_000, frail=0.3, frailty=10.0),
        "new units, 3 times": World(rates=(0.02, 0.06)),
    }
    yield "At the margin of 2 and beyond: certified (alpha 5 %), where harm does not end it"
    yield f"| world | {' | '.join(policy.__name__ for policy in POLICIES)} |"
    for name, world in worlds.items():
        hits = [sum(run(world, policy, seed=s, share=0.3, stops=False).certified_at >= 0 for s in range(n)) for policy in POLICIES]
        yield f"| {name} | {' | '.join(share_of(hit, n) for hit in hits)} |"


def regret(n: int) -> Iterator[str]:
    """Errors beyond those that the better arm alone would have made, a rollout."""
    worlds = {
        "challenger better: 4 % → 2 %": World(rates=(0.04, 0.02)),
        "challenger better: 4 % → 3 %": World(rates=(0.04, 0.03)),
        "equal: 4 %": World(rates=(0.04, 0.04)),
        "challenger worse: 4 % → 5 %": World(rates=(0.04, 0.05)),
        "harm: 2 % → 8 %": World(rates=(0.02, 0.08)),
        "harm from period 10 on: 2 % → 8 %": World(rates=(0.02, 0.08), late=10),
    }
    yield "Errors of callers beyond those of the better model alone, per 20,000 requests [periods until harm was shown; ∞: mostly never]"
    yield "| world | fixed half | thompson from 10 % | epsilon_greedy from 10 % |"
    for name, world in worlds.items():
        cells = []
        for policy, share, moves in ((fixed, 0.5, None), (thompson, 0.1, MOVES), (epsilon_greedy, 0.1, MOVES)):
            courses = [run(world, policy, seed=s, share=share, moves=moves) for s in range(n)]
            waited = statistics.median(c.harm_at - world.late + 1 if c.harm_at >= 0 else math.inf for c in courses)
            lost = [c.regret for c in courses]
            error = statistics.stdev(lost) / math.sqrt(n)
            cells.append(f"{statistics.fmean(lost):.0f} ± {error:.1f} [{'∞' if math.isinf(waited) else f'{waited:.0f}'}]")
        yield f"| {name} | {' | '.join(cells)} |"


PARTS: dict[str, Callable[[int], Iterator[str]]] = {"harmless": harmless, "margin": at_the_margin, "regret": regret}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rollouts", type=int, default=1_000)
    parser.add_argument("--only", choices=PARTS, action="append")
    given = parser.parse_args()
    for name in given.only or PARTS:
        began = time.perf_counter()
        for line in PARTS[name](given.rollouts):
            print(line, flush=True)
        print(f"({given.rollouts:,} rollouts of each, {time.perf_counter() - began:.0f} s)\n", flush=True)


if __name__ == "__main__":
    main()
