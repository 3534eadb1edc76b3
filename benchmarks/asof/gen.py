"""Events and labels whose shape is known: entities, times, arrival delays, two value columns.

    python benchmarks/asof/gen.py FOLDER --events 10_000_000 --labels 1_000_000
    python benchmarks/asof/gen.py FOLDER --events 10_000_000 --labels 1_000_000 --zipf 1.05

Writes FOLDER/events.parquet (entity, event_time, known_at, sequence, amount, quantity) in the order of event_time, and
FOLDER/labels.parquet (label_id, entity, decided_at) in the order of decided_at, both with pyarrow's own defaults (snappy,
row groups of a million). amount has two digits after the point, quantity is a small whole number. known_at is event_time plus
an exponential delay with a mean of ten minutes. One event in a thousand shares its time with the event before it, of the
same entity: a real tie, which `sequence` settles.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

DAY = 86_400_000_000
START = 1_735_689_600_000_000  # 2025-01-01T00:00Z in microseconds
SLAB = 1_000_000  # rows made and written at a time: memory does not grow with the table
UTC = pa.timestamp("us", tz="UTC")


def entities(rng: np.random.Generator, n: int, n_entities: int, zipf: float) -> np.ndarray:
    """(n,) entity numbers below n_entities: uniform, or with P(rank r) ∝ r^-zipf; ranks are scattered over the numbers."""
    if not zipf:
        return rng.integers(0, n_entities, n)
    share = np.arange(1, n_entities + 1, dtype=np.float64) ** -zipf
    ranks = np.searchsorted(np.cumsum(share) / share.sum(), rng.random(n))
    return (ranks * 7919) % n_entities  # 7919 is prime to every n_entities used here


def slab_times(rng: np.random.Generator, slab: int, n_slabs: int, n: int, days: int) -> np.ndarray:
    """(n,) rising times within the slab's share of the days."""
    width = days * DAY // n_slabs
    return np.sort(rng.integers(0, width, n)) + START + slab * width


def write_events(path: Path, *, n: int, n_entities: int, days: int, zipf: float, seed: int) -> None:
    schema = pa.schema(
        [
            ("entity", pa.int64()),
            ("event_time", UTC),
            ("known_at", UTC),
            ("sequence", pa.int64()),
            ("amount", pa.float64()),
            ("quantity", pa.int64()),
        ]
    )
    n_slabs = -(-n // SLAB)
    with pq.ParquetWriter(path, schema) as writer:
        for slab in range(n_slabs):
            rng = np.random.default_rng([seed, 1, slab])
            rows = min(SLAB, n - slab * SLAB)
            entity = entities(rng, rows, n_entities, zipf)
            event_time = slab_times(rng, slab, n_slabs, rows, days)
            tied = rng.integers(1, rows, rows // 1000) if rows > 1 else np.empty(0, np.int64)
            entity[tied], event_time[tied] = entity[tied - 1], event_time[tied - 1]
            order = np.argsort(event_time, kind="stable")
            entity, event_time = entity[order], event_time[order]
            known_at = event_time + rng.exponential(600e6, rows).astype(np.int64)
            columns = [
                pa.array(entity),
                pa.array(event_time, UTC),
                pa.array(known_at, UTC),
                pa.array(np.arange(slab * SLAB, slab * SLAB + rows)),
                pa.array(np.round(rng.gamma(2.0, 20.0, rows), 2)),
                pa.array(rng.poisson(3.0, rows)),
            ]
            writer.write_table(pa.table(columns, schema=schema), row_group_size=SLAB)


def write_labels(path: Path, *, n: int, n_entities: int, days: int, zipf: float, seed: int) -> None:
    schema = pa.schema([("label_id", pa.int64()), ("entity", pa.int64()), ("decided_at", UTC)])
    n_slabs = -(-n // SLAB)
    with pq.ParquetWriter(path, schema) as writer:
        for slab in range(n_slabs):
            rng = np.random.default_rng([seed, 2, slab])
            rows = min(SLAB, n - slab * SLAB)
            columns = [
                pa.array(np.arange(slab * SLAB, slab * SLAB + rows)),
                pa.array(entities(rng, rows, n_entities, zipf)),
                pa.array(slab_times(rng, slab, n_slabs, rows, days), UTC),
            ]
            writer.write_table(pa.table(columns, schema=schema), row_group_size=SLAB)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--labels", type=int, default=1_000_000)
    parser.add_argument("--entities", type=int, default=100_000)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--zipf", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    shape = {"n_entities": given.entities, "days": given.days, "zipf": given.zipf, "seed": given.seed}
    write_events(given.folder / "events.parquet", n=given.events, **shape)
    write_labels(given.folder / "labels.parquet", n=given.labels, **shape)
    (given.folder / "shape.json").write_text(json.dumps({"events": given.events, "labels": given.labels, **shape}))


if __name__ == "__main__":
    main()
