"""A small world whose truth is known: parcels that arrive late where their depot is behind, and scans that say so some time later.

Three thousand parcels over 150 days, five depots. A depot's backlog wanders from hour to hour; scans report it with a lag, a few of them
hours late, a few retracted. Whether a parcel is late follows a logistic law of the backlog at that hour, its depot and its weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

HOUR = 3_600_000_000
DAY = 24 * HOUR
START = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
N_DAYS, N_PARCELS = 150, 3_000
DEPOTS = ("ams", "ber", "cdg", "dub", "fra")
MOMENT = pa.timestamp("us", tz="UTC")

CONTRACT = """
gonogo = 1
name = "parcels"
family = "tabular"
question = "When a parcel is handed in: will it arrive late?"
unit = "day"
as_of = "2024-06-15T00:00:00Z"
seed = 5
select_by = "log_loss"
threads = 1

[sources.parcels]
read = "parcels.parquet"
known_at = "handed_in_at"
known_later = { arrived_at = "arrived_at", hours_late = "arrived_at" }
unique = ["parcel"]

[sources.scans]
read = "scans.parquet"
event_time = "scanned_at"
known_at = "reported_at"
retracted_at = "withdrawn_at"
sequence = "scan"
decimals = { minutes_behind = 2 }

[sources.depots]
read = "depots.csv"
timeless = true
unique = ["depot"]

[rows]
source = "parcels"
key = ["parcel"]
decided_at = "handed_in_at"
entities = ["depot"]

[outcome]
columns = { y = "(hours_late > 0)::int" }
known_at = "arrived_at"
window = "2d"
absent = "censored"

[features.weight]
sql = "weight_kg"
missing = "refuse"

[features.depot]
sql = "depot"
kind = "category"
missing = "refuse"

[features.backlog]
source = "scans"
by = ["depot"]
aggregates = ["count", "mean(minutes_behind)", "last(minutes_behind)"]
windows = ["6h"]
missing = "native"

[features.docks]
source = "depots"
by = ["depot"]
aggregates = ["last(docks)"]
missing = "indicate"

[split]
by = "time"
validate_from = "2024-03-11T00:00:00Z"
test_from = "2024-04-15T00:00:00Z"
embargo = "1d"

[[learners]]
name = "logistic_regression"

[[gates]]
name = "findings are resolved"
metric = "open_findings"
at_most = 0

[[gates]]
name = "better than the model it replaces"
metric = "log_loss"
against = "champion"
at_most = 0.0

[[gates]]
name = "ranks late parcels above punctual ones"
metric = "roc_auc"
at_least = 0.6

[[gates]]
name = "no depot is worse off"
metric = "log_loss"
against = "champion"
at_most = 0.05
slices = ["depot"]

[[gates]]
name = "answers in time"
metric = "latency_p99"
at_most = 500.0

[[gates]]
name = "cheap enough"
metric = "cost_per_1000"
at_most = 1.0

[[slices]]
column = "depot"

[cost]
false_positive_usd = 1.0
false_negative_usd = 5.0
machine_usd_per_hour = 0.05

[decision]
owner = "the depot desk"
reversible = true
assumptions = ["Scans go on as they do."]
risks = ["A strike, which the data did not hold."]
fallback = "on time"
"""

LEAK = """
[features.hours_late]
sql = "hours_late"
missing = "native"
"""


@dataclass(frozen=True)
class Tables:
    """What the files hold."""

    parcels: pa.Table
    scans: pa.Table
    depots: pa.Table


def tables(*, noise: bool = False, seed: int = 5) -> Tables:
    """The truth. noise: late by the throw of a coin that nothing else knows of."""
    rng = np.random.default_rng(seed)
    backlog = _backlog(rng)
    at = START + np.sort(rng.integers(0, N_DAYS * DAY, N_PARCELS))
    depot = rng.integers(0, len(DEPOTS), N_PARCELS)
    weight = np.round(rng.gamma(2.0, 3.0, N_PARCELS), 1)
    behind = backlog[(at - START) // HOUR, depot]
    log_odds = np.full(N_PARCELS, -0.5) if noise else -1.0 + 1.6 * behind + 0.5 * (depot - 2) + 0.05 * weight
    late = rng.random(N_PARCELS) < 1 / (1 + np.exp(-log_odds))
    hours_late = np.where(late, rng.integers(1, 20, N_PARCELS), -rng.integers(1, 8, N_PARCELS))
    days = pa.array((at // DAY).astype("int32"), pa.int32()).cast(pa.date32())
    parcels = {
        "parcel": pa.array([f"p{i:05d}" for i in range(N_PARCELS)]),
        "day": days,
        "depot": pa.array([DEPOTS[d] for d in depot]),
        "weight_kg": pa.array(weight),
        "handed_in_at": pa.array(at, MOMENT),
        "arrived_at": pa.array(at + 24 * HOUR + hours_late * HOUR, MOMENT),
        "hours_late": pa.array(hours_late),
    }
    depots = {"depot": pa.array(DEPOTS), "docks": pa.array([4, 9, None, 6, 12])}
    return Tables(pa.table(parcels), _scans(rng, backlog), pa.table(depots))


def _backlog(rng: np.random.Generator) -> np.ndarray:
    """(hours, depots): wanders around 0 with a memory of about half a day."""
    backlog = np.zeros((N_DAYS * 24, len(DEPOTS)))
    for hour in range(1, len(backlog)):
        backlog[hour] = 0.92 * backlog[hour - 1] + 0.4 * rng.normal(size=len(DEPOTS))
    return backlog


def _scans(rng: np.random.Generator, backlog: np.ndarray) -> pa.Table:
    n = N_DAYS * 24 * 2
    at = START + np.sort(rng.integers(0, N_DAYS * DAY, n))
    depot = rng.integers(0, len(DEPOTS), n)
    minutes = np.round(60 + 20 * backlog[(at - START) // HOUR, depot] + rng.normal(0, 3, n), 2)
    lag = np.where(rng.random(n) < 0.03, 5 * HOUR, HOUR // 6)
    withdrawn = [int(t + 8 * HOUR) if gone else None for t, gone in zip(at, rng.random(n) < 0.02, strict=True)]
    return pa.table(
        {
            "scan": pa.array(np.arange(n)),
            "depot": pa.array([DEPOTS[d] for d in depot]),
            "scanned_at": pa.array(at, MOMENT),
            "reported_at": pa.array(at + lag, MOMENT),
            "withdrawn_at": pa.array(withdrawn, MOMENT),
            "minutes_behind": pa.array(minutes),
        }
    )


def contract(changes: Mapping[str, str] | None = None, *, more: str = "") -> str:
    """The contract's text with some of its passages replaced, each of which must stand in it, and more at its end."""
    text = CONTRACT.lstrip() + more
    for before, after in (changes or {}).items():
        assert before in text, before
        text = text.replace(before, after, 1)
    return text


def build(folder: Path, changes: Mapping[str, str] | None = None, *, more: str = "", noise: bool = False) -> Path:
    """A folder with the contract and its files; the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    held = tables(noise=noise)
    pq.write_table(held.parcels, folder / "parcels.parquet")
    pq.write_table(held.scans, folder / "scans.parquet")
    pa.csv.write_csv(held.depots, folder / "depots.csv")
    (folder / "contract.toml").write_text(contract(changes, more=more))
    return folder


def build_from_csv(folder: Path) -> Path:
    """The same world, its parcels in a CSV file."""
    build(folder, {'read = "parcels.parquet"': 'read = "parcels.csv"'})
    pa.csv.write_csv(tables().parcels, folder / "parcels.csv")
    return folder
