"""What do NDCG and average precision of ranked lists cost, interval included, beside one call of scikit-learn's bare figure?

    .venv/bin/python benchmarks/stats/lists.py --rounds 5

A million rows, cut into lists of 10 to 10,000. CPU seconds; ours and the peer's in turn, the ratio within a round, its least and largest
beside it. The peers are `ndcg_score` and `label_ranking_average_precision_score`; where nothing is tied the latter is the same figure.
`rows with queries` is the same as one column in no order, which scikit-learn does not take. The last table holds the standard error beside
that of 2,000 bootstrap draws of lists.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Callable

import numpy as np
from benchmarks.harness import Spread
from sklearn.metrics import label_ranking_average_precision_score, ndcg_score

from gonogo import stats

ROWS = 1_000_000
WIDTHS = (10, 100, 1_000, 10_000)


def world(n_lists: int, width: int, *, decimals: int = 12) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([n_lists, width])
    y = (rng.random((n_lists, width)) < 0.1).astype(float)
    y[:, 0] = 1
    return y, np.round(rng.normal(size=y.shape) + y, decimals)


def cpu(run: Callable[[], object]) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


def costs(rounds: int) -> None:
    print("figure, lists, of: ours CPU s, rows with queries CPU s, scikit-learn CPU s, ours / peer")
    for width in WIDTHS:
        y, score = world(ROWS // width, width)
        order = np.random.default_rng(0).permutation(ROWS)
        query = np.repeat(np.arange(len(y)), width)[order]
        flat_y, flat_score = y.ravel()[order], score.ravel()[order]
        for ours, peer in ((stats.ndcg, ndcg_score), (stats.mean_average_precision, label_ranking_average_precision_score)):
            difference = abs(ours(y[:1000], score[:1000]).value - peer(y[:1000], score[:1000]))
            assert difference < 1e-12, difference
            alone, queries, theirs = [], [], []
            # One call of the peer on lists of ten takes half a minute: once is enough.
            for _ in range(rounds if width > 10 else 1):
                alone.append(cpu(lambda: ours(y, score)))  # noqa: B023
                queries.append(cpu(lambda: ours(flat_y, flat_score, query=query)))  # noqa: B023
                theirs.append(cpu(lambda: peer(y, score)))  # noqa: B023
            ratio = Spread.of([a / b for a, b in zip(alone, theirs, strict=True)])
            print(
                f"{ours.__name__:>22} {len(y):8,} {width:6,}  {Spread.of(alone)}  {Spread.of(queries)}  {Spread.of(theirs)}"
                f"  {ratio.median:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]  load {os.getloadavg()[0]:.1f}",
                flush=True,
            )


def errors(draws: int = 2000) -> None:
    print(f"\n{'figure':>22} {'lists':>6}  standard error over the bootstrap's")
    for n_lists in (200, 2000):
        y, score = world(n_lists, 20, decimals=1)
        rng = np.random.default_rng(0)
        for figure in (stats.ndcg, stats.mean_average_precision, stats.mean_reciprocal_rank, stats.recall_at_k, stats.hit_rate):
            weights = rng.multinomial(n_lists, np.full(n_lists, 1 / n_lists), draws).astype(float)
            drawn = [figure(y, score, weight=weight).value for weight in weights]
            print(f"{figure.__name__:>22} {n_lists:6,}  {standard_error(figure(y, score)) / np.std(drawn):.3f}")


def standard_error(found) -> float:
    """Read back from an interval on the logit scale; t of so many lists is 1.96 within 1 %."""
    low, high = (math.log(end / (1 - end)) for end in (found.interval.low, found.interval.high))
    return (high - low) / 2 / 1.9635 * found.value * (1 - found.value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    costs(parser.parse_args().rounds)
    errors()


if __name__ == "__main__":
    main()
