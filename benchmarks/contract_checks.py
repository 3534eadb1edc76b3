"""What do the checks of a contract cost on ten million rows of twenty columns?

    python benchmarks/contract_checks.py [--rows 10_000_000] [--data FOLDER]

Every column has a check of its type, its nulls and its range or its values; two together must be unique, one refers to another
source; the automatic checks (constant, all null, mixed types, not finite, distribution) run besides. Printed are CPU seconds
(user + system, all threads) of `check_sources` alone, and of reading and pinning the Parquet file before it.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gonogo.data.connection import open_connection
from gonogo.data.schema import check_sources
from gonogo.data.sources import read_sources
from gonogo.types.contract import Check, Contract, Cost, Decision, Feature, Gate, LearnerChoice, Outcome, Rows, Source, Split
from gonogo.types.snapshot import FindingStatus

SLAB = 1_000_000
SHOPS = 1_000


def write_sales(path: Path, n: int) -> None:
    """id, shop, time; seven numbers of two decimals, six whole numbers, three categories, one flag: with nulls here and there."""
    writer = None
    for slab in range(-(-n // SLAB)):
        rng = np.random.default_rng(slab)
        rows = min(SLAB, n - slab * SLAB)
        columns = {
            "id": pa.array(np.arange(slab * SLAB, slab * SLAB + rows)),
            "shop": pa.array(rng.integers(0, SHOPS, rows)),
            "at": pa.array(1_735_689_600_000_000 + np.sort(rng.integers(0, 10**12, rows)) + slab * 10**12, pa.timestamp("us", tz="UTC")),
        }
        for i in range(7):
            columns[f"amount{i}"] = pa.array(np.round(rng.gamma(2.0, 20.0 + i, rows), 2), mask=rng.random(rows) < 0.01 * i)
        for i in range(6):
            columns[f"count{i}"] = pa.array(rng.poisson(3.0 + i, rows), mask=rng.random(rows) < 0.01 * i)
        for i in range(3):
            words = pa.array([f"word {j}" for j in range(4 * 3**i)])
            columns[f"word{i}"] = pa.DictionaryArray.from_arrays(rng.integers(0, len(words), rows).astype(np.int32), words).cast(
                pa.string()
            )
        columns["flag"] = pa.array(rng.random(rows) < 0.3)
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table, row_group_size=SLAB // 8)
    if writer:
        writer.close()


def checks() -> dict[str, Check]:
    made = {
        "id": Check(type="integer", at_least=0, null_rate_at_most=0.0),
        "shop": Check(type="integer", null_rate_at_most=0.0, refers_to="shops.shop"),
        "at": Check(type="time", null_rate_at_most=0.0),
        "flag": Check(type="boolean", null_rate_at_most=0.0),
    }
    made |= {f"amount{i}": Check(type="number", at_least=0, at_most=10_000, null_rate_at_most=0.1) for i in range(7)}
    made |= {f"count{i}": Check(type="integer", at_least=0, at_most=100, null_rate_at_most=0.1) for i in range(6)}
    words = {f"word{i}": tuple(f"word {j}" for j in range(4 * 3**i)) for i in range(3)}
    return made | {name: Check(type="text", one_of=values) for name, values in words.items()}


def contract() -> Contract:
    sales = Source(read="sales.parquet", event_time="at", known_at="at", unique=("id",), checks=checks())
    return Contract(
        gonogo=1,
        name="sales",
        family="tabular",
        question="Will it be returned?",
        unit="shop",
        as_of="2026-01-01T00:00:00Z",
        select_by="log_loss",
        sources={"sales": sales, "shops": Source(read="shops.parquet", timeless=True, unique=("shop",))},
        rows=Rows(source="sales", key=("id",), decided_at="at"),
        outcome=Outcome(columns={"y": "flag"}, known_at="at", window="1d"),
        features={"amount": Feature(sql="amount0", missing="native")},
        split=Split(by="time", validate_from="2025-01-05T00:00:00Z", test_from="2025-01-08T00:00:00Z"),
        learners=(LearnerChoice(name="logistic_regression"),),
        gates=(Gate(name="good", metric="log_loss", at_most=0.5),),
        cost=Cost(false_positive_usd=1.0, false_negative_usd=1.0, machine_usd_per_hour=0.05),
        decision=Decision(owner="us", reversible=True, assumptions=(), risks=(), fallback="no"),
    )


def cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", type=Path, default=Path(tempfile.gettempdir()) / "gonogo-benchmarks")
    given = parser.parse_args()
    folder = given.data / f"sales-{given.rows}"
    if not (folder / "shops.parquet").exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_sales(folder / "sales.parquet", given.rows)
        pq.write_table(pa.table({"shop": np.arange(SHOPS)}), folder / "shops.parquet")
    connection, said = open_connection(), contract()
    start = cpu_s()
    read_sources(said, folder=folder, connection=connection)
    read = cpu_s() - start
    spent = []
    for _ in range(given.rounds):
        start = cpu_s()
        checked = check_sources(said, connection)
        spent.append(cpu_s() - start)
    n_open = sum(finding.status is FindingStatus.OPEN for finding in checked.findings)
    print(f"{given.rows:,} rows × {len(checks())} columns: {len(checked.findings)} findings, {n_open} open")
    print(f"checks   {statistics.median(spent):.2f} CPU s [{min(spent):.2f}, {max(spent):.2f}], {given.rounds} rounds")
    print(f"reading  {read:.2f} CPU s; peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
