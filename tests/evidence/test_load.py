from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from gonogo.evidence.load import LEAST_ANSWERS, MOST_ANSWERS, Clocks, measure_load
from gonogo.gates.decide import MEASURED
from gonogo.types.evidence import Of
from gonogo.types.record import canonical
from tests.evidence.small import CONTRACT

CANDIDATE = "sha256:" + "c" * 64
NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
INPUTS = pa.table({"x": np.arange(5000.0)})


class World:
    """A model and the clocks it is watched by: an answer takes 2 ms plus a little, 20 µs more per row, and every 50th ten times that."""

    def __init__(self, slowness: float = 1.0) -> None:
        self.now_ns, self.calls, self.rows, self.slowness = 0, 0, [], slowness

    def predict(self, inputs: pa.Table) -> pa.Table:
        self.calls += 1
        self.rows.append(inputs.num_rows)
        ms = (2 + (self.calls % 7) / 10) * (10 if self.calls % 50 == 0 else 1) + 0.02 * inputs.num_rows
        self.now_ns += int(ms * 1e6 * self.slowness)
        return inputs

    def clocks(self) -> Clocks:
        return Clocks(wall=lambda: self.now_ns, cpu=lambda: self.now_ns // 2)


def _measure(world, inputs=INPUTS, contract=CONTRACT, **more):
    return measure_load(
        world, inputs, contract=contract, candidate=CANDIDATE, artifact_bytes=2_500_000, now=NOW, clocks=world.clocks(), **more
    )


def _find(measurements, metric, of=Of.CHALLENGER):
    (found,) = [e for e in measurements.estimates if (e.metric, e.of) == (metric, of)]
    return found


def test_a_machine_that_costs_nothing_answers_for_nothing():
    free = replace(CONTRACT, cost=replace(CONTRACT.cost, machine_usd_per_hour=0.0))
    cost = _find(_measure(World(), contract=free), "cost_per_1000")
    assert (cost.value, cost.interval.low, cost.interval.high) == (0.0, 0.0, 0.0)


def test_the_quantiles_are_those_of_the_answers():
    measured = _measure(World())
    p50, p95, p99 = (_find(measured, f"latency_{p}") for p in ("p50", "p95", "p99"))
    assert p50.value == pytest.approx(2.32, abs=0.1)
    assert p50.interval.low <= p50.value <= p50.interval.high
    assert p95.value < 3
    assert p99.value > 20
    assert (p99.measured_in, p99.better) == ("ms", "lower")
    assert p99.n_units >= LEAST_ANSWERS


def test_cost_is_processor_time_at_the_contracts_price():
    # About 2.7 ms of wall with every 50th at 20 ms, half of it on the processor, at 1 usd an hour.
    cost = _find(_measure(World()), "cost_per_1000")
    assert cost.value == pytest.approx(1000 * 2.72e-3 / 2 / 3600, rel=0.05)
    assert cost.interval.low < cost.value < cost.interval.high
    assert (cost.measured_in, cost.n_units >= 30) == ("usd", True)


def test_batch_mode_is_priced_by_the_batch():
    by_batch = _find(_measure(World(), contract=replace(CONTRACT, mode="batch")), "cost_per_1000")
    assert by_batch.value == pytest.approx(22.5e-3 / 2 / 3600, rel=0.1)
    assert by_batch.n_units >= 30


def test_throughput_is_rows_per_second_of_whole_batches():
    throughput = _find(_measure(World()), "throughput_rows_per_s")
    assert throughput.value == pytest.approx(1000 / 22.7e-3, rel=0.1)
    assert throughput.better == "higher"


def test_the_record_names_candidate_moment_and_machine_and_is_canonical():
    measured = _measure(World())
    assert (measured.candidate, measured.measured_at) == (CANDIDATE, "2024-05-01T12:00:00Z")
    assert measured.machine["cores"] >= 1
    assert {"processor", "memory_gb", "python", "system"} <= measured.machine.keys()
    assert canonical(measured)


def test_the_figures_are_exactly_those_that_gates_look_for_here():
    assert {e.metric for e in _measure(World()).estimates} == set(MEASURED)


def test_the_artifacts_size_is_read_off():
    size = _find(_measure(World()), "artifact_mb")
    assert (size.value, size.interval.low, size.interval.high, size.measured_in) == (2.5, 2.5, 2.5, "MB")


def test_a_champion_beside_it_is_asked_the_same_rows_in_turn():
    ours, theirs = World(), World(slowness=3)
    theirs.predict = lambda inputs: World.predict(ours, inputs) and World.predict(ours, inputs)  # twice the work on one clock
    measured = _measure(ours, champion=theirs)
    assert _find(measured, "latency_p50", Of.CHAMPION).value > 1.8 * _find(measured, "latency_p50").value


def test_a_slow_model_is_asked_no_more_than_the_tail_needs_and_a_very_slow_one_is_refused():
    slow, hopeless = World(slowness=5), World(slowness=100)
    assert _find(_measure(slow), "latency_p99").n_units == LEAST_ANSWERS
    refused = _find(_measure(hopeless), "latency_p99")
    assert refused.value is None
    assert "too few" in refused.refused


def test_a_model_of_no_time_at_all_is_refused_not_called_free():
    still = World(slowness=0)
    assert _find(_measure(still), "cost_per_1000").value is None
    assert _find(_measure(still), "throughput_rows_per_s").value is None


def test_no_rows_give_no_figure():
    measured = _measure(World(), inputs=INPUTS.slice(0, 0))
    assert all(e.value is None and e.refused for e in measured.estimates if e.metric.startswith(("latency", "cost", "throughput")))


def test_few_rows_are_asked_again_and_again():
    world = World()
    assert _find(_measure(world, inputs=INPUTS.slice(0, 3)), "latency_p99").value is not None
    assert max(world.rows) == 3


def test_real_clocks_see_a_real_model():
    class Doubling:
        def predict(self, inputs):
            return pa.table({"g": inputs.column("x").to_numpy() * 2})

    measured = measure_load(Doubling(), INPUTS, contract=CONTRACT, candidate=CANDIDATE, artifact_bytes=1, now=NOW)
    assert 0 < _find(measured, "latency_p50").value < 50
    assert _find(measured, "latency_p99").n_units <= MOST_ANSWERS


def test_what_changed_stands_beside_both_arms():
    world = World()
    measured = _measure(world, champion=_Beside(world, slowness=2.0), champion_bytes=1_000_000)
    change, p50s = (
        _find(measured, "latency_p50", Of.DIFFERENCE),
        [_find(measured, "latency_p50", of) for of in (Of.CHALLENGER, Of.CHAMPION)],
    )
    assert change.value == pytest.approx(p50s[0].value - p50s[1].value)
    assert change.interval.high < 0, "half as slow is faster beyond doubt"
    p99 = _find(measured, "latency_p99", Of.DIFFERENCE)
    assert p99.interval.low < p99.value < p99.interval.high
    assert _find(measured, "cost_per_1000", Of.DIFFERENCE).interval.high < 0
    assert _find(measured, "throughput_rows_per_s", Of.DIFFERENCE).interval.low > 0
    assert [_find(measured, "artifact_mb", of).value for of in Of] == [2.5, 1.0, 1.5]


def test_without_a_champion_nothing_is_said_of_a_change():
    assert not [e for e in _measure(World()).estimates if e.of is Of.DIFFERENCE]


class _Beside:
    """A second model that moves the clock of the first."""

    def __init__(self, world: World, slowness: float) -> None:
        self.world, self.slowness = world, slowness

    def predict(self, inputs: pa.Table) -> pa.Table:
        before = self.world.now_ns
        self.world.predict(inputs)
        self.world.now_ns = before + int((self.world.now_ns - before) * self.slowness)
        return inputs
