"""How do recorded flights become traffic?

Everything in the order in which it became known, as fast as is asked: events of the feeds, a question for each flight at its moment of
decision, and what came of it. A caller's view only: it knows the server's HTTP surface and the tables, nothing of gonogo. What a field or
an event holds is asked from the server itself.
"""

from __future__ import annotations

import heapq
import http.client
import json
import threading
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import nycflights
import pyarrow as pa
import pyarrow.compute as pc

TICK_S = 1200  # seconds of recorded time: events are posted once a tick, as a feed would send them
CALLERS = 4
WARM_DAYS, REPLAYED_DAYS = 2, 30
Row = dict[str, Any]


class Replay:
    """Recorded flights as traffic, in a thread of its own until it is stopped or the flights end."""

    def __init__(self, folder: Path, port: int, *, start: datetime, per_second: float) -> None:
        self.port, self.start, self.per_second = port, start, per_second
        self.now = start  # in recorded time
        self.seconds_for = ""  # the carrier whose own feed tells its delays in seconds from now on
        self.told: Counter[tuple[str, str]] = Counter()  # (who answered: model or fallback, arm) → answers
        self.failed: list[str] = []
        self._local = threading.local()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        contract = tomllib.loads((folder / "contract.toml").read_text())
        self.contract: str = contract["name"]
        self._tables = _tables(contract, start)
        self._described = self._get(f"/v1/contracts/{self.contract}")

    def warm_up(self) -> int:
        """Post the events of the days before the start: what the windows of the first questions look back on."""
        start = self.start.timestamp()
        return sum(
            self._events(source, [row for row in self._tables[source] if row["known_s"] < start]) for source in self._described["events"]
        )

    def begin(self) -> None:
        """Start asking."""
        self._thread.start()

    def stop(self) -> None:
        """End after the present stretch."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join()

    @property
    def is_over(self) -> bool:
        """Are there no flights left?"""
        return not self._thread.is_alive()

    # ── the order of things ─────────────────────────────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        asked, began = 0, time.monotonic()
        with ThreadPoolExecutor(CALLERS) as callers:
            for moment, events, questions, outcomes in self._ticks():
                self.now = moment
                for source, rows in events.items():
                    self._events(source, rows)
                if outcomes:
                    self._post(f"/v1/contracts/{self.contract}/outcomes", {"rows": outcomes})
                for _ in callers.map(self._ask, questions):
                    pass
                asked += len(questions)
                ahead = asked / self.per_second - (time.monotonic() - began)
                if self._stopped.wait(max(0.0, ahead)):
                    return

    def _ticks(self) -> Iterator[tuple[datetime, dict[str, list[Row]], list[Row], list[Row]]]:
        """What becomes known, is asked and comes true in each stretch of recorded time."""
        names = [field["name"] for field in self._described["fields"]]
        coming: list[tuple[int, str, str, int]] = []  # outcomes of flights that were asked about
        start = self.start.timestamp()
        flights = [row for row in self._tables["flights"] if row["known_s"] >= start]
        feeds = {source: [row for row in self._tables[source] if row["known_s"] >= start] for source in self._described["events"]}
        place = dict.fromkeys((*feeds, "flights"), 0)
        until = start
        while place["flights"] < len(flights):
            until += TICK_S
            events = {source: rows for source in feeds if (rows := _taken(feeds[source], place, source, until))}
            asked = _taken(flights, place, "flights", until)
            for row in asked:
                if row["late"] is not None:
                    heapq.heappush(coming, (row["true_s"], row["flight_id"], row["dep_at"], row["late"]))
            true = []
            while coming and coming[0][0] <= until:
                _, flight, known_at, late = heapq.heappop(coming)
                true.append({"flight_id": flight, "y": late, "known_at": known_at})
            yield datetime.fromtimestamp(until, UTC), events, [{name: row[name] for name in names} for row in asked], true

    # ── talking to the server ───────────────────────────────────────────────────────────────────────────────────────────

    def _events(self, source: str, rows: list[Row]) -> int:
        names = [field["name"] for field in self._described["events"][source]]
        for at in range(0, len(rows), 500):
            some = [{name: sent[name] for name in names} for sent in (self._as_sent(source, row) for row in rows[at : at + 500])]
            self._post(f"/v1/contracts/{self.contract}/events", {"source": source, "rows": some})
        return len(rows)

    def _as_sent(self, source: str, row: Row) -> Row:
        if source == "airline_feed" and row["carrier"] == self.seconds_for:
            return {**row, "delay_min": row["delay_min"] * 60}
        return row

    def _ask(self, question: Row) -> None:
        status, body = self._post(f"/v1/contracts/{self.contract}/predictions", question)
        if status == 200:
            answer = json.loads(body)
            self.told[answer["by"], answer["arm"]] += 1

    def _post(self, path: str, body: Any) -> tuple[int, bytes]:
        status, data = self._exchange("POST", path, json.dumps(body))
        if status != 200:
            self.failed.append(f"{status} {data[:300].decode(errors='replace')}")
        return status, data

    def _get(self, path: str) -> Any:
        return json.loads(self._exchange("GET", path, None)[1])

    def _exchange(self, method: str, path: str, body: str | None) -> tuple[int, bytes]:
        """Over this thread's own connection, which is made again once where it was closed."""
        for last in (False, True):
            connection = getattr(self._local, "connection", None)
            if connection is None:
                connection = self._local.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
            try:
                connection.request(method, path, body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                return answer.status, answer.read()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self._local.connection = None
                if last:
                    return 0, repr(error).encode()
        raise AssertionError


def _tables(contract: dict[str, Any], start: datetime) -> dict[str, list[Row]]:
    """Every source's rows from two days before the start, as its SQL in the contract shapes them, by when they were known or decided.

    Times are text as JSON wants it; `known_s` and `true_s` are seconds since 1970.
    """
    made: dict[str, list[Row]] = {}
    for name, source in contract["sources"].items():
        if source.get("timeless"):
            made[name] = []  # attributes do not change: the model came with them
            continue
        connection = duckdb.connect()
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("input", getattr(nycflights, source["read"].rsplit(":", 1)[1])())
        is_rows = name == contract["rows"]["source"]
        moment = contract["rows"]["decided_at"] if is_rows else source["known_at"]
        more = ", (dep_delay >= 15)::int as late, epoch(dep_at)::bigint as true_s" if is_rows else ""
        rows = connection.sql(
            f"select *, epoch({moment})::bigint as known_s{more} from ({source['sql']}) where known_s >= $begin and known_s < $end "
            "order by known_s",
            params={"begin": start.timestamp() - WARM_DAYS * 86_400, "end": start.timestamp() + REPLAYED_DAYS * 86_400},
        ).to_arrow_table()
        made[name] = pa.table({column: _as_text(rows.column(column)) for column in rows.column_names}).to_pylist()
    return made


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Times as ISO 8601 in UTC, days as they are written; everything else as it is."""
    if pa.types.is_timestamp(column.type):
        return pc.strftime(column.cast(pa.timestamp("s", tz=column.type.tz)), format="%Y-%m-%dT%H:%M:%SZ")
    return column.cast(pa.string()) if pa.types.is_date(column.type) else column


def _taken(rows: list[Row], place: dict[str, int], name: str, until: float) -> list[Row]:
    begin = place[name]
    while place[name] < len(rows) and rows[place[name]]["known_s"] <= until:
        place[name] += 1
    return rows[begin : place[name]]
