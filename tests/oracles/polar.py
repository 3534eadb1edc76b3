"""Every feature as Polars would say it: a join on the key, a filter, and one group_by."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa

US = {"3h": 10_800_000_000, "7d": 604_800_000_000, "all": None}
SCALE = {"n": 1, "x": 100, "d": 1000}


def answers(events: pa.Table, labels: pa.Table, *, windows: tuple[str, ...]) -> pa.Table:
    """Columns `one__…` as `features` names them, in the order of the labels; key uid, boundary "before"."""
    asked = pl.from_arrow(labels).select("uid", t="gng_decided_at").with_row_index("place")
    seen = (
        _events(events)
        .join(asked, on="uid", how="inner")
        .filter(pl.col("at") < pl.col("t"), pl.col("known") <= pl.col("t"), pl.col("gone").is_null() | (pl.col("t") < pl.col("gone")))
    )
    columns = []
    for window in windows:
        inside = seen if US[window] is None else seen.filter(pl.col("at") >= pl.col("t") - US[window])
        made = inside.sort("place", "nth").group_by("place", maintain_order=True).agg(*_aggregates())
        whole = asked.select("place").join(made, on="place", how="left").sort("place").drop("place")
        counted = [name for name in whole.columns if name == "count" or name.startswith("distinct_")]
        whole = _divided(whole.with_columns(pl.col(counted).fill_null(0)))
        columns.append(whole.rename({name: f"one__{name}__{window}" for name in whole.columns}))
    return pl.concat(columns, how="horizontal").to_arrow()


def _events(events: pa.Table) -> pl.DataFrame:
    x = pl.when(pl.col("x") == 0.0).then(0.0).otherwise(pl.col("x"))  # Polars leaves `x + 0.0` away, and -0.0 with it
    return (
        pl.from_arrow(events)
        .with_columns(pl.col("at", "known", "gone").cast(pl.Int64), x=x)
        .unique()
        .sort("uid", "at", "known", "seq")
        .with_columns(
            held_n=pl.col("n").cast(pl.Int64),
            held_x=(pl.col("x") * 100.0).round(0, mode="half_to_even").cast(pl.Int64),
            held_d=(pl.col("d") * 1000).cast(pl.Int64),
            nth=pl.int_range(pl.len()),
        )
    )


def _aggregates() -> list[pl.Expr]:
    flag, s = pl.col("flag"), pl.col("s").drop_nulls()
    made = [
        pl.len().cast(pl.Int64).alias("count"),
        ((pl.col("t").last() - pl.col("at").last()).cast(pl.Float64) / 1e6).alias("age"),
        (flag.sum().cast(pl.Float64) / _some(flag).cast(pl.Float64)).alias("share_flag"),
        flag.drop_nulls().last().cast(pl.Int64).alias("last_flag"),
        s.last().alias("last_s"),
        s.n_unique().cast(pl.Int64).alias("distinct_s"),
        pl.when(_some(pl.col("n")).is_not_null()).then((pl.col("held_n") * 2 + 1).sum()).alias("sum_n_2_1"),
        pl.col("held_n").drop_nulls().last().alias("last_n"),
        pl.col("x").drop_nulls().last().alias("last_x"),
        pl.col("held_d").drop_nulls().last().cast(pl.Float64).alias("last_d"),
    ]
    for name, scale in SCALE.items():
        held, some = pl.col(f"held_{name}"), _some(pl.col(f"held_{name}"))
        total = pl.when(some.is_not_null()).then(held.sum())
        made += [
            _scaled(total, scale).alias(f"sum_{name}"),
            (total.cast(pl.Float64) / some.cast(pl.Float64)).alias(f"mean_{name}"),
            _scaled(held.min(), scale).alias(f"min_{name}"),
            _scaled(held.max(), scale).alias(f"max_{name}"),
            pl.col(name).drop_nulls().n_unique().cast(pl.Int64).alias(f"distinct_{name}"),
        ]
    return made


def _divided(made: pl.DataFrame) -> pl.DataFrame:
    """By a column, for Polars divides by a constant through its reciprocal, and 53.8 becomes 53.800000000000004."""
    scaled = [(f"{f}_{name}", scale) for name, scale in SCALE.items() if scale > 1 for f in ("sum", "mean", "min", "max")]
    return made.with_columns(pl.col(name) / pl.Series(np.full(len(made), float(scale))) for name, scale in [*scaled, ("last_d", 1000)])


def _some(column: pl.Expr) -> pl.Expr:
    """How many values there are, null where there is none."""
    return pl.when(column.count() > 0).then(column.count())


def _scaled(held: pl.Expr, scale: int) -> pl.Expr:
    return held if scale == 1 else held.cast(pl.Float64)
