"""Peer: Polars rolling aggregates over entity. Count and mean of `amount` over the trailing 7 days, by event time alone. FOLDER OUT

Labels and events are put into one table; a label is a row without an amount. `closed="left"` leaves the label's own moment out.
"""

import os
import sys

os.environ.setdefault("POLARS_MAX_THREADS", "2")

import polars as pl

folder, out = sys.argv[1:3]
labels = pl.read_parquet(f"{folder}/labels.parquet").select("entity", time="decided_at", label_id="label_id")
events = pl.read_parquet(f"{folder}/events.parquet", columns=["entity", "event_time", "amount"]).rename({"event_time": "time"})
both = pl.concat([labels, events], how="diagonal").sort("entity", "time")
count = pl.col("amount").is_not_null().cast(pl.Int64).rolling_sum_by("time", window_size="7d", closed="left").over("entity").alias("n")
mean = pl.col("amount").fill_null(0.0).rolling_sum_by("time", window_size="7d", closed="left").over("entity").alias("total")
both = both.with_columns(count, mean).filter(pl.col("label_id").is_not_null())
both.select("label_id", "entity", "time", "n", mean=pl.col("total") / pl.col("n")).write_parquet(out)
