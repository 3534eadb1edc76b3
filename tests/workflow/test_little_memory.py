"""A table that does not fit into memory ends with a record, and leaves nothing half done."""

from __future__ import annotations

import resource
import subprocess
import sys

import duckdb
import pytest

from gonogo.workflow.init import init
from gonogo.workflow.ledger import entries

ROWS = """
select i as id, timestamptz '2024-01-01 00:00:00+00' + to_seconds(i) as at, (i * 7919) % 1000 / 1000.0 as x1,
  case when (i * 7919) % 1000 + (i * 31) % 500 > 800 then 1 else 0 end as y, 'k' || (i % 50) as k
from range(10_000_000) t(i)
"""
LIMIT = int(1.5 * 2**30)


@pytest.mark.skipif(sys.platform != "linux", reason="limits on address space are kept on Linux only")
def test_ten_million_rows_on_little_memory_end_with_a_code_and_nothing_recorded(tmp_path):
    duckdb.sql(f"copy ({ROWS}) to '{tmp_path}/rows.parquet'")
    init(tmp_path / "big", [tmp_path / "rows.parquet"])
    ended = subprocess.run(
        [sys.executable, "-m", "gonogo.cli.main", "run", str(tmp_path / "big")],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr.startswith("GNG-S00")
    assert "Traceback" not in ended.stderr
    assert entries(tmp_path / "big") == ()
