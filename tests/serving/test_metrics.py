"""What is counted, and what does `/metrics` say of all workers together?"""

from __future__ import annotations

import asyncio
import contextlib
import os

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gonogo.serving.app import App
from gonogo.serving.limits import Buckets, Rate, TooOften
from gonogo.serving.metrics import ENDPOINTS, Counters, exposition
from gonogo.serving.service import Sample
from gonogo.types.traffic import AnswerStatus, Arm
from tests.serving.surface import FakeContract, FakeService
from tests.serving.test_app import ASK, ROW

PREDICTIONS = ENDPOINTS.index("predictions")


def read(text: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """As Prometheus' own client reads it."""
    families = text_string_to_metric_families(text.decode())
    return {(each.name, frozenset(each.labels.items())): each.value for family in families for each in family.samples}


def value(text: bytes, name: str, **labels: str) -> float:
    return read(text)[name, frozenset(labels.items())]


def test_the_counts_of_all_workers_are_added_up(tmp_path):
    first, second = (Counters(tmp_path, worker, ("flights",), started_s=1.0) for worker in (0, 1))
    for counters, times in ((first, 2), (second, 3)):
        for _ in range(times):
            counters.request(PREDICTIONS, 200)
            counters.of("flights").answer(Arm.CHALLENGER, AnswerStatus.LATE)
            counters.of("flights").took(0.0003)
        counters.of("flights").refuse(4)
        counters.in_flight(1)
    text = exposition(tmp_path, first)
    assert value(text, "gonogo_requests_total", endpoint="predictions", status="200") == 5
    assert value(text, "gonogo_answers_total", contract="flights", arm="challenger", status="late") == 5
    assert value(text, "gonogo_answers_total", contract="flights", arm="champion", status="answered") == 0
    assert value(text, "gonogo_rows_refused_total", contract="flights") == 8
    assert value(text, "gonogo_request_seconds_count", contract="flights") == 5
    assert value(text, "gonogo_request_seconds_sum", contract="flights") == pytest.approx(0.0015)
    assert value(text, "gonogo_request_seconds_bucket", contract="flights", le="0.0002") == 0
    assert value(text, "gonogo_request_seconds_bucket", contract="flights", le="0.0005") == 5
    assert value(text, "gonogo_request_seconds_bucket", contract="flights", le="+Inf") == 5
    assert value(text, "gonogo_requests_in_flight", worker="1") == 1


def test_the_next_worker_in_the_place_goes_on_counting(tmp_path):
    first = Counters(tmp_path, 0, ("flights",), started_s=1.0)
    first.request(PREDICTIONS, 200)
    first.in_flight(1)
    first.close()
    again = Counters(tmp_path, 0, ("flights",), started_s=2.0)
    again.request(PREDICTIONS, 200)
    text = exposition(tmp_path, again)
    assert value(text, "gonogo_requests_total", endpoint="predictions", status="200") == 2
    assert value(text, "gonogo_requests_in_flight", worker="0") == 0
    assert value(text, "gonogo_worker_start_time_seconds", worker="0") == 2


def test_workers_of_other_contracts_are_told_apart(tmp_path):
    Counters(tmp_path, 0, ("a",), started_s=1.0).of("a").refuse(1)
    both = Counters(tmp_path, 1, ("b", "a"), started_s=1.0)
    both.of("a").refuse(2)
    both.of("b").refuse(4)
    text = exposition(tmp_path, both)
    assert value(text, "gonogo_rows_refused_total", contract="a") == 3
    assert value(text, "gonogo_rows_refused_total", contract="b") == 4


@pytest.mark.parametrize("damage", [b"", b"odd", b"GNGMETR1" + b"\xff" * 8, b"GNGMETR1" + bytes(8)])
def test_a_damaged_file_is_left_out_and_begun_anew_by_its_worker(tmp_path, damage):
    good = Counters(tmp_path, 0, ("flights",), started_s=1.0)
    good.request(PREDICTIONS, 200)
    (tmp_path / "w1").write_bytes(damage)
    assert value(exposition(tmp_path, good), "gonogo_requests_total", endpoint="predictions", status="200") == 1
    Counters(tmp_path, 1, ("flights",), started_s=1.0).request(PREDICTIONS, 200)
    assert value(exposition(tmp_path, good), "gonogo_requests_total", endpoint="predictions", status="200") == 2


def test_a_status_that_has_no_place_counts_as_its_class(tmp_path):
    counters = Counters(tmp_path, 0, (), started_s=1.0)
    for status in (599, 418, 206):
        counters.request(PREDICTIONS, status)
    text = exposition(tmp_path, counters)
    assert [value(text, "gonogo_requests_total", endpoint="predictions", status=each) for each in ("500", "400", "200")] == [1, 1, 1]


def test_what_the_service_adds_stands_beside_with_odd_labels_escaped():
    odd = 'a"b\\c\nd'
    app = App(FakeService(samples=[Sample("gonogo_log_lag_seconds", "How far\nbehind", {"of": odd}, 0.25)]))

    async def once() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            await client.post(ASK, json=ROW)
            await client.post(ASK, json={"rows": [ROW, 3]})
            return await client.get("/metrics")

    told = asyncio.run(once())
    assert told.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert value(told.content, "gonogo_log_lag_seconds", of=odd) == 0.25
    assert value(told.content, "gonogo_answers_total", contract="flights", arm="champion", status="answered") == 2
    assert value(told.content, "gonogo_rows_refused_total", contract="flights") == 1
    assert value(told.content, "gonogo_requests_total", endpoint="predictions", status="200") == 2


def test_a_contract_that_came_later_is_answered_though_not_yet_counted():
    app = App(FakeService())
    app.service.contracts = {"trains": FakeContract(name="trains")}

    async def once() -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return (await client.post("/v1/contracts/trains/predictions", json=ROW)).status_code

    assert asyncio.run(once()) == 200


def test_a_rate_lets_a_burst_through_then_its_rows_a_second():
    rate = Rate(per_s=10, burst_s=1)
    for _ in range(10):
        rate.take("a", 1, 0)
    with pytest.raises(TooOften) as caught:
        rate.take("a", 1, 0)
    assert caught.value.wait_s == pytest.approx(0.1)
    rate.take("a", 1, 100_000_000)
    with pytest.raises(TooOften):
        rate.take("a", 1, 100_000_000)


def test_a_large_batch_is_let_in_once_and_paid_for_after():
    rate = Rate(per_s=10, burst_s=1)
    rate.take("a", 1000, 0)
    with pytest.raises(TooOften) as caught:
        rate.take("a", 1, 0)
    assert caught.value.wait_s == pytest.approx(99.1)
    rate.take("a", 1, 100_000_000_000)


def test_who_did_not_ask_for_a_year_saved_no_more_than_the_burst():
    rate = Rate(per_s=10, burst_s=1)
    rate.take("a", 1, 0)
    for _ in range(10):
        rate.take("a", 1, 10**16)
    with pytest.raises(TooOften):
        rate.take("a", 1, 10**16)


def asked(rates: list[Rate], n: int, *, every_ns: int) -> int:
    """How many rows get through where the workers are asked in turn."""
    through = 0
    for i in range(n):
        try:
            rates[i % len(rates)].take("key:ann", 1, 10**12 + i * every_ns)
        except TooOften:
            continue
        through += 1
    return through


@pytest.mark.parametrize("n_workers", [1, 2, 3, 8])
def test_all_workers_together_let_through_what_one_would(n_workers):
    buckets = Buckets(n_workers)
    rates = [Rate(per_s=100, burst_s=2, buckets=buckets, worker=w) for w in range(1, n_workers + 1)]
    assert asked(rates, 10_000, every_ns=1_000_000) == 200 + 999  # ten seconds at ten times the rate: the burst, and what flows in


def test_a_burst_that_one_worker_gave_away_is_not_there_for_another_after_a_pause():
    buckets = Buckets(2)
    one, other = (Rate(per_s=10, burst_s=1, buckets=buckets, worker=w) for w in (1, 2))
    one.take("a", 1, 0)
    other.take("a", 1, 100 * 10**9)
    one.take("a", 9, 200 * 10**9)
    other.take("a", 1, 200 * 10**9)
    with pytest.raises(TooOften):
        other.take("a", 1, 200 * 10**9)


def test_callers_do_not_pay_for_one_another():
    rate = Rate(per_s=10, burst_s=1)
    for i in range(2_000):
        with contextlib.suppress(TooOften):
            rate.take(f"token:{i}", 1_000, 0)
    with pytest.raises(TooOften):
        rate.take("token:0", 1, 0)
    free = 0
    for i in range(2_000):
        with contextlib.suppress(TooOften):
            rate.take(f"token:new {i}", 1, 0)
            free += 1
    assert free >= 1_990  # beside two thousand that are in debt, one in four thousand shares both places


def test_the_buckets_are_those_of_the_processes_that_inherit_them():
    buckets = Buckets(2)
    pid = os.fork()
    if not pid:
        Rate(per_s=10, burst_s=1, buckets=buckets, worker=2).take("key:ann", 10, 10**12)
        os._exit(0)
    os.waitpid(pid, 0)
    with pytest.raises(TooOften):
        Rate(per_s=10, burst_s=1, buckets=buckets, worker=1).take("key:ann", 1, 10**12)
