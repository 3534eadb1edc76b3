"""Peer: DuckDB range join and group. Count and mean of `amount` over the trailing 7 days, by event time alone. FOLDER OUT"""

import sys

import duckdb

folder, out = sys.argv[1:3]
connection = duckdb.connect(config={"threads": 2})
connection.execute("set preserve_insertion_order = false")
connection.execute(f"""
copy (
  select l.label_id, any_value(l.entity) as entity, any_value(l.decided_at) as decided_at, count(e.amount) as n, avg(e.amount) as mean
  from '{folder}/labels.parquet' l left join '{folder}/events.parquet' e
  on l.entity = e.entity and e.event_time >= l.decided_at - interval 7 days and e.event_time < l.decided_at
  group by l.label_id
) to '{out}' (format parquet)
""")
