"""Every feature as DuckDB would say it: one join of labels and events on key, window and knowledge, and one GROUP BY."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

US = {"3h": 10_800_000_000, "7d": 604_800_000_000, "all": None}
HELD = {"n": ("n::BIGINT", 1), "x": ("CAST(round_even(x * 100.0, 0) AS BIGINT)", 100), "d": ("CAST(d * 1000 AS BIGINT)", 1000)}


def answers(events: pa.Table, labels: pa.Table, connection: Any, *, windows: tuple[str, ...]) -> pa.Table:
    """Columns `one__…` as `features` names them, in the order of the labels; key uid, boundary "before"."""
    connection.register("given_events", events)
    connection.register("given_labels", labels.append_column("place", pa.array(range(len(labels)))))
    connection.execute(
        """
        CREATE OR REPLACE TABLE held AS
        SELECT *, row_number() OVER (PARTITION BY uid ORDER BY "at", known, seq) AS nth FROM (
            SELECT DISTINCT uid, epoch_us("at") AS "at", epoch_us(known) AS known, epoch_us(gone) AS gone, seq,
                n, x + 0.0 AS x, d, flag, s, {} FROM given_events)
        """.format(", ".join(f"{sql} AS held_{name}" for name, (sql, _) in HELD.items()))
    )
    columns: dict[str, Any] = {}
    for window in windows:
        part = connection.sql(_query(window)).to_arrow_table()
        columns.update({f"one__{name}__{window}": part[name] for name in part.column_names if name != "place"})
    return pa.table(columns)


def _query(window: str) -> str:
    lower = "" if US[window] is None else f'AND e."at" >= l.gng_decided_at - {US[window]}'
    return f"""
        SELECT place, count(e.uid) AS count, (any_value(l.gng_decided_at) - arg_max(e."at", nth)) / 1e6 AS age,
            {", ".join(_of_number(name, sql_scale) for name, (_, sql_scale) in HELD.items())},
            arg_max(n, nth) FILTER (n IS NOT NULL)::BIGINT AS last_n,
            arg_max(x, nth) FILTER (x IS NOT NULL) AS last_x,
            arg_max(held_d, nth) FILTER (d IS NOT NULL)::DOUBLE / 1000.0 AS last_d,
            count(*) FILTER (flag)::DOUBLE / nullif(count(flag), 0)::DOUBLE AS share_flag,
            arg_max(flag, nth) FILTER (flag IS NOT NULL)::BIGINT AS last_flag,
            arg_max(s, nth) FILTER (s IS NOT NULL) AS last_s, count(DISTINCT s) AS distinct_s,
            sum(held_n * 2 + 1)::BIGINT AS sum_n_2_1
        FROM given_labels AS l LEFT JOIN held AS e
            ON e.uid = l.uid AND e."at" < l.gng_decided_at {lower}
            AND e.known <= l.gng_decided_at AND (e.gone IS NULL OR l.gng_decided_at < e.gone)
        GROUP BY place ORDER BY place
    """


def _of_number(name: str, scale: int) -> str:
    held = f"held_{name}"
    scaled = "" if scale == 1 else f"::DOUBLE / {scale}.0"
    whole = "::BIGINT" if scale == 1 else ""
    return f"""
        sum({held})::BIGINT{scaled} AS sum_{name},
        sum({held})::BIGINT::DOUBLE / count({held})::DOUBLE / {scale}.0 AS mean_{name},
        min({held}){whole}{scaled} AS min_{name}, max({held}){whole}{scaled} AS max_{name},
        count(DISTINCT {name}) AS distinct_{name}"""
