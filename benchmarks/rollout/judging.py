"""How often is a harmless challenger rolled back, how soon a harmful one, and what does a certificate cost, beside what others do?

    .venv/bin/python -m benchmarks.rollout.judging              # all: 5,000 streams each, minutes
    .venv/bin/python -m benchmarks.rollout.judging --streams 500 --only outage

Every judge sees the same streams, request by request. Ours is the product's own compiled loop, read after every request. The peers look
every 50 canary requests: a pooled one-sided z-test at 5 %; N-of-M failed checks (a window of 50 with more than 3 times the base rate fails,
5 failures roll back); an asymptotic confidence sequence, one-sided at 5 %, tuned for 5,000 canary requests. Streams are drawn in five
batches of their own seed; the least and largest batch stand in brackets. Units are canary requests.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np
from benchmarks.rollout import judging_worlds as worlds

from gonogo import stats

BATCHES = 5
CAP = 20_000
Z95 = 1.6448536269514722
BOTH, SAFE = (True, True, False), (False, False, True)
JUDGES = {name: at for at, name in enumerate(worlds.FIRST_OF)}
PEERS = ("z-test", "N of M", "asymptotic CS")


def drawn(
    n: int,
    *,
    share=0.05,
    base=0.01,
    ratio=1.0,
    ratio_2=None,
    onset=0,
    depth=0.0,
    shock=1.0,
    cap=CAP,
    margin=2.0,
    until="",
    asked=(True, False, False),
    seed=1,
) -> list[np.ndarray]:
    """First canary request at which each judge spoke, batch by batch; `until`: the one judge that is wanted; `asked`: of our capitals."""
    ends = JUDGES.get(until, -1)
    return [
        worlds.streams(
            1000 * seed + b, n // BATCHES, share, base, ratio, ratio_2 or ratio, onset, depth, shock, cap, margin, ends, asked, *worlds.BETS
        )
        for b in range(BATCHES)
    ]


def spoke(batches: list[np.ndarray], judge: str, *, by: int = CAP) -> str:
    """Share of streams in which the judge spoke, its one-sided upper 95 % bound (Wilson), and the batches."""
    each = [float(((b[:, JUDGES[judge]] > 0) & (b[:, JUDGES[judge]] <= by)).mean()) for b in batches]
    return share_of(each, sum(len(b) for b in batches))


def share_of(each: list[float], n: int) -> str:
    p = statistics.fmean(each)
    centre = (p + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    upper = centre + Z95 / (1 + Z95**2 / n) * math.sqrt(p * (1 - p) / n + Z95**2 / (4 * n**2))
    return f"{p:.2%} (≤ {upper:.2%}) [{min(each):.2%}, {max(each):.2%}]"


def waited(batches: list[np.ndarray], judge: str, *, onset: int = 0) -> str:
    """Median and 90th percentile of canary requests until the judge spoke, ∞ where it did not, and the medians of the batches."""
    after = [np.where(b[:, JUDGES[judge]] > 0, b[:, JUDGES[judge]] - onset, np.inf) for b in batches]
    after = [a[a > 0] for a in after]  # what was called before the harm began is no finding
    whole, medians = np.concatenate(after), [float(np.median(a)) for a in after]
    p90 = float(np.quantile(whole, 0.9, method="inverted_cdf"))
    return f"{np.median(whole):.0f}, p90 {p90:.0f} [{min(medians):.0f}, {max(medians):.0f}]"


def false_rollbacks(n: int) -> Iterator[str]:
    yield "A/A, share 5 %, 20,000 canary requests: called harmful (alpha 5 %)"
    yield f"| base | {' | '.join(('ours', 'ours, 100 watches', *PEERS))} |"
    for seed, (base, depth) in enumerate([(b, d) for b in (0.001, 0.01, 0.1) for d in (0.0, 0.8)], start=10):
        batches = drawn(n, base=base, depth=depth, seed=seed)
        yield (
            f"| {base:.1%}{', daily cycle' if depth else ''} | "
            + " | ".join(spoke(batches, j) for j in ("ours", "ours, 100 watches", *PEERS))
            + " |"
        )
    batches = drawn(n, share=0.5, seed=17)
    yield "| 1.0%, share 50 % | " + " | ".join(spoke(batches, j) for j in ("ours", "ours, 100 watches", *PEERS)) + " |"


def family(n: int) -> Iterator[str]:
    rate = np.array([0.01, 0.001, 0.05, 0.01, 0.05])
    slices = 1 / np.arange(1, 21)
    for joint, some in ((0.3, n), (0.0, n // 5)):
        each = [
            float(
                (
                    worlds.families(20_000 + b, some // BATCHES, 0.05, CAP, rate, np.cumsum(slices / slices.sum()), joint, *worlds.HARM) > 0
                ).mean()
            )
            for b in range(BATCHES)
        ]
        yield f"5 guardrails × 20 slices, an event is one of the next guardrail with {joint:.0%}: any called harmful {share_of(each, some)}"


def delays(n: int) -> Iterator[str]:
    judges = ("ours", "ours, 100 watches", "ours, no reserve", *PEERS)
    yield "Canary requests until harm is called, share 5 %, base 1 %"
    yield f"| ratio | {' | '.join(judges)} |"
    for ratio in (2.0, 3.0, 10.0, 100.0):
        batches = drawn(n, ratio=ratio, asked=BOTH, seed=int(30 + ratio))
        yield f"| {ratio:g}× | " + " | ".join(waited(batches, j) for j in judges) + " |"
    for ratio in (2.0, 3.0):
        batches = drawn(n, ratio=ratio, onset=2500, asked=BOTH, seed=int(140 + ratio))
        yield f"| {ratio:g}× after 50,000 quiet requests | " + " | ".join(waited(batches, j, onset=2500) for j in judges) + " |"


def certificates(n: int) -> Iterator[str]:
    yield "Certificate of a ratio below the margin, share 5 %, base 1 %: canary requests until it is given, and how often at the margin"
    yield "| margin | equal arms | ratio 0.5 | at the margin, 20,000 requests |"
    for margin in (3.0, 2.0, 1.5, 1.25):
        equal = drawn(n, margin=margin, cap=80_000, until="certificate", asked=SAFE, seed=int(200 + 10 * margin))
        better = drawn(n // 5, margin=margin, ratio=0.5, cap=80_000, until="certificate", asked=SAFE, seed=int(300 + 10 * margin))
        at = drawn(n, margin=margin, ratio=margin, until="certificate", asked=SAFE, seed=int(400 + 10 * margin))
        yield f"| {margin:g} | {waited(equal, 'certificate')} | {waited(better, 'certificate')} | {spoke(at, 'certificate')} |"


def promoted(n: int) -> Iterator[str]:
    yield "A challenger at the margin of 2 or above is let through: ours at the best of 20,000 moments, peers after 5,000 quiet requests"
    yield f"| world | ours | {' | '.join(PEERS)} |"
    given = {
        "base 0.1 %": {"base": 0.001},
        "base 1 %": {},
        "base 10 %": {"base": 0.1},
        "base 1 %, daily cycle": {"depth": 0.8},
        "2× and 4× in turn": {"ratio_2": 4.0},
        "share 50 %": {"share": 0.5},
    }
    for seed, (name, world) in enumerate(given.items(), start=500):
        batches = drawn(n, ratio=2.0, asked=SAFE, seed=seed, **world)
        silent = [
            share_of([float(((b[:, JUDGES[j]] == 0) | (b[:, JUDGES[j]] > 5000)).mean()) for b in batches], sum(map(len, batches)))
            for j in PEERS
        ]
        yield f"| {name} | {spoke(batches, 'certificate')} | {' | '.join(silent)} |"


def outage(n: int) -> Iterator[str]:
    yield "Both arms err five times as often from the middle on: the challenger is blamed"
    batches = drawn(n, shock=5.0, seed=600)
    yield "| " + " | ".join(f"{j}: {spoke(batches, j)}" for j in ("ours", *PEERS)) + " |"


def counted(seed: int, n: int, *, rate: float, frail: float = 0.0, frail_rate: float = 0.0, ratio: float = 1.0) -> list[np.ndarray]:
    """20,000 units of 20 requests each, share 5 %: what was called, by every event, by first events and by first requests."""
    return [
        worlds.sticky(seed + b, n // BATCHES, 0.05, 20_000, 20, rate, frail, frail_rate, ratio, 2.0, *worlds.BETS) for b in range(BATCHES)
    ]


def row(found: list[np.ndarray], which: int) -> str:
    return " | ".join(share_of([float(b[:, which, way].mean()) for b in found], sum(map(len, found))) for way in range(3))


def units(n: int) -> Iterator[str]:
    some = n // 5 * 2
    yield "Units of 20 requests stay on their arm, 20,000 units, share 5 %; one in 100 errs on 40 % of its requests, the others on 0.4 %"
    yield "| | every event | a unit's first event | a unit's first request |"
    equal, twice = (counted(700 + 10 * int(r), some, rate=0.004, frail=0.01, frail_rate=0.4, ratio=r) for r in (1.0, 2.0))
    yield f"| called harmful, equal arms | {row(equal, 0)} |"
    yield f"| called harmful, ratio 2 | {row(twice, 0)} |"
    yield f"| certified below 2, ratio 2 | {row(twice, 1)} |"
    yield f"| certified below 2, equal arms | {row(equal, 1)} |"
    yield "The same without frail units, ratio 2: certified below 2, as more and more units have had an event"
    yield "| champion's units with an event by the end | every event | a unit's first event | a unit's first request |"
    for touched in (0.05, 0.1, 0.2, 0.4):
        found = counted(900 + int(1000 * touched), some, rate=1 - (1 - touched) ** (1 / 20), ratio=2.0)
        yield f"| {touched:.0%} | {row(found, 1)} |"


def cost(n: int) -> Iterator[str]:
    """CPU microseconds of one observation, as the product is called."""
    rng = np.random.default_rng(1)
    arm, value = (rng.random(1000) < 0.05).astype(int), rng.normal(0, 0.1, 1000)
    yield "| CPU µs, median of 5 | one by one | in blocks of 1,000, each |"
    yield "|---|---|---|"
    for name, make, take, many in (
        ("RelativeRisk, both sides", lambda: stats.RelativeRisk(margin=2.0), lambda t: t.take(1, 0.05), lambda t: t.take_many(arm, 0.05)),
        ("RateLimit, both sides", lambda: stats.RateLimit(0.05), lambda t: t.take(False), lambda t: t.take_many(arm)),
        ("BoundedMean, both sides", lambda: stats.BoundedMean(-1, 1, margin=0.1), lambda t: t.take(0.1), lambda t: t.take_many(value)),
        ("SampleRatio", stats.SampleRatio, lambda t: t.take(0, 0.05), lambda t: t.take_many(arm, 0.05)),
    ):
        test = make()
        single = [timed(lambda: take(test), 2000) for _ in range(5)]  # noqa: B023
        block = [timed(lambda: many(test), 50) / 1000 for _ in range(5)]  # noqa: B023
        yield f"| {name} | {statistics.median(single):.1f} | {statistics.median(block):.2f} |"


def timed(call: Callable[[], None], times: int) -> float:
    call()
    began = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - began) / times * 1e6


PARTS = {part.__name__: part for part in (false_rollbacks, family, delays, certificates, promoted, outage, units, cost)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=5000)
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    asked = parser.parse_args()
    for name in asked.only:
        began = time.process_time()
        print(f"\n## {name}", flush=True)
        for line in PARTS[name](asked.streams):
            print(line, flush=True)
        print(f"({asked.streams:,} streams, {time.process_time() - began:.0f} CPU s)", flush=True)


if __name__ == "__main__":
    main()
