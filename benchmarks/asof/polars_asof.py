"""Peer: Polars join_asof. Latest `amount` before each label by event time alone; both files are in time order already. FOLDER OUT"""

import os
import sys

os.environ.setdefault("POLARS_MAX_THREADS", "2")

import polars as pl

folder, out = sys.argv[1:3]
labels = pl.read_parquet(f"{folder}/labels.parquet").set_sorted("decided_at")
events = pl.read_parquet(f"{folder}/events.parquet", columns=["entity", "event_time", "amount"]).set_sorted("event_time")
labels.join_asof(
    events,
    left_on="decided_at",
    right_on="event_time",
    by="entity",
    strategy="backward",
    allow_exact_matches=False,
    check_sortedness=False,
).write_parquet(out)
