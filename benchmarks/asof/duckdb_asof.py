"""Peer: DuckDB's bare ASOF JOIN. Latest `amount` before each label by event time alone, Parquet in, Parquet out.

It heeds neither known_at nor ties, so it does less than it is compared with. FOLDER OUT
"""

import sys

import duckdb

folder, out = sys.argv[1:3]
connection = duckdb.connect(config={"threads": 2})
connection.execute("set preserve_insertion_order = false")
connection.execute(f"""
copy (
  select l.label_id, l.entity, l.decided_at, e.amount
  from '{folder}/labels.parquet' l asof left join '{folder}/events.parquet' e
  on l.entity = e.entity and l.decided_at > e.event_time
) to '{out}' (format parquet)
""")
