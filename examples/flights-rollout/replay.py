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
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import nycflights

TICK = timedelta(minutes=20)  # of recorded time: events are posted once a tick, as a feed would send them
CALLERS = 4
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

    def warm_up(self, days: int = 2) -> int:
        """Post the events of the days before the start: what the windows of the first questions look back on."""
        n = 0
        for source in self._described["events"]:
            rows = [row for row in self._tables[source] if self.start - timedelta(days=days) <= row["known"] < self.start]
            n += self._events(source, rows)
        return n

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
        coming: list[tuple[datetime, str, int]] = []  # outcomes of flights that were asked about
        flights = [row for row in self._tables["flights"] if row["known"] >= self.start]
        feeds = {source: [row for row in self._tables[source] if row["known"] >= self.start] for source in self._described["events"]}
        place = dict.fromkeys((*feeds, "flights"), 0)
        until = self.start
        while place["flights"] < len(flights):
            until += TICK
            events = {source: rows for source in feeds if (rows := _taken(feeds[source], place, source, until))}
            asked = _taken(flights, place, "flights", until)
            for row in asked:
                if row["late"] is not None:
                    heapq.heappush(coming, (row["dep_at"], row["flight_id"], row["late"]))
            true = []
            while coming and coming[0][0] <= until:
                known_at, flight, late = heapq.heappop(coming)
                true.append({"flight_id": flight, "y": late, "known_at": _text(known_at)})
            yield until, events, [{name: _text(row[name]) for name in names} for row in asked], true

    # ── talking to the server ───────────────────────────────────────────────────────────────────────────────────────────

    def _events(self, source: str, rows: list[Row]) -> int:
        names = [field["name"] for field in self._described["events"][source]]
        for at in range(0, len(rows), 500):
            some = [{name: _text(self._as_sent(source, row)[name]) for name in names} for row in rows[at : at + 500]]
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
    """Every source's rows from a week before the start, as its SQL in the contract shapes them, by when they were known or decided."""
    made = {}
    for name, source in contract["sources"].items():
        if source.get("timeless"):
            made[name] = []  # attributes do not change: the model came with them
            continue
        connection = duckdb.connect()
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("input", getattr(nycflights, source["read"].rsplit(":", 1)[1])())
        moment = contract["rows"]["decided_at"] if name == contract["rows"]["source"] else source["known_at"]
        late = "(dep_delay >= 15)::int" if name == "flights" else "null"
        table = connection.sql(
            f"select *, {moment} as known, {late} as late from ({source['sql']}) where {moment} >= $begin and {moment} < $end order by {moment}",
            params={"begin": start - timedelta(days=7), "end": start + timedelta(days=61)},
        )
        made[name] = table.to_arrow_table().to_pylist()
    return made


def _taken(rows: list[Row], place: dict[str, int], name: str, until: datetime) -> list[Row]:
    begin = place[name]
    while place[name] < len(rows) and rows[place[name]]["known"] <= until:
        place[name] += 1
    return rows[begin : place[name]]


def _text(value: Any) -> Any:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value.isoformat() if hasattr(value, "isoformat") else value
