"""A leak is named; a clean input is left in peace."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from gonogo.families.tabular.checks import check
from gonogo.types.errors import OutcomeRefused
from gonogo.types.protocols import Examples
from gonogo.types.snapshot import Finding, FindingStatus, Missing
from tests.families.tabular.worlds import examples, inputs_of, world

N = 2000
Column = Callable[[np.random.Generator, np.ndarray], pa.Array]


def found(train: Examples, **missing: Missing) -> dict[str, Finding]:
    """where → finding, of all that is not clean."""
    inputs = inputs_of(dict.fromkeys(train.inputs.column_names), **missing)
    return {f.where: f for f in check(train, inputs) if f.status is not FindingStatus.CLEAN}


def outcome(rng: np.random.Generator, rate: float = 0.2, n: int = N) -> np.ndarray:
    return (rng.random(n) < rate).astype(np.int64)


def nulls(where: np.ndarray, rng: np.random.Generator) -> pa.Array:
    return pa.array(np.where(where, np.nan, rng.normal(size=len(where))), from_pandas=True)


LEAKS: dict[str, Column] = {
    "a copy": lambda rng, y: pa.array(y),
    "a copy with one error in a thousand": lambda rng, y: pa.array(np.where(rng.random(len(y)) < 0.001, 1 - y, y)),
    "the opposite": lambda rng, y: pa.array(1 - y),
    "the outcome with noise": lambda rng, y: pa.array(y * 4 + rng.normal(size=len(y))),
    "the outcome turned round with noise": lambda rng, y: pa.array(-y * 4 + rng.normal(size=len(y))),
    "far out on either side": lambda rng, y: pa.array((y * 5 + np.abs(rng.normal(size=len(y)))) * rng.choice([-1, 1], len(y))),
    "null unless it came true": lambda rng, y: nulls(y == 0, rng),
    "null in three of four that came true": lambda rng, y: nulls((y == 1) & (rng.random(len(y)) < 0.75), rng),
    "never null unless it came true, and then in one of three": lambda rng, y: nulls((y == 1) & (rng.random(len(y)) < 0.35), rng),
}

CLEAN: dict[str, Column] = {
    "noise": lambda rng, y: pa.array(rng.normal(size=len(y))),
    "a good input": lambda rng, y: pa.array(y * 1.5 + rng.normal(size=len(y))),
    "whole numbers": lambda rng, y: pa.array(rng.poisson(2 + y)),
    "zero and one": lambda rng, y: pa.array((rng.random(len(y)) < 0.3 + 0.2 * y).astype(int)),
    "almost always zero": lambda rng, y: pa.array((rng.random(len(y)) < 0.002).astype(int)),
    "nulls at random": lambda rng, y: nulls(rng.random(len(y)) < 0.3, rng),
    "nulls that tell a little": lambda rng, y: nulls(rng.random(len(y)) < 0.1 + 0.3 * y, rng),
    "rare nulls": lambda rng, y: nulls(rng.random(len(y)) < 0.002, rng),
}


def flagged(column: Column, seed: int, *, rate: float = 0.2) -> bool:
    rng = np.random.default_rng(seed)
    y = outcome(rng, rate)
    train = examples({"x1": column(rng, y)}, y, np.arange(N) // 20)
    return any(f.status is FindingStatus.OPEN for f in found(train).values())


@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_is_caught_19_times_in_20(name: str) -> None:
    assert sum(flagged(LEAKS[name], seed) for seed in range(20)) >= 19


@pytest.mark.parametrize("rate", [0.2, 0.01])
def test_fewer_than_2_in_100_clean_inputs_are_flagged(rate: float) -> None:
    flags = [flagged(column, seed, rate=rate) for column in CLEAN.values() for seed in range(1, 26) if rate > 0.1 or seed < 15]
    assert np.mean(flags) <= 0.02


def test_a_category_that_tells_all_is_caught_and_an_identifier_is_not() -> None:
    rng = np.random.default_rng(0)
    y = outcome(rng)
    telling = np.where(y == 1, "refunded", "kept").astype(object)
    ids = np.array([f"id{i}" for i in range(N)], dtype=object)
    for column, expected in ((telling, {"train.k"}), (ids, set())):
        train = examples({"k": pa.array(column)}, y, np.arange(N) // 20)
        assert {where for where, f in found(train).items() if f.status is FindingStatus.OPEN} == expected


def test_each_leak_is_named_with_its_numbers_and_its_code() -> None:
    rng = np.random.default_rng(0)
    y = outcome(rng)
    train = examples(
        {"x1": LEAKS["a copy"](rng, y), "x2": LEAKS["the outcome with noise"](rng, y), "x3": LEAKS["null unless it came true"](rng, y)},
        y,
        np.arange(N) // 20,
    )
    findings = found(train)
    assert {where: f.code for where, f in findings.items()} == {"train.x1": "GNG-K102", "train.x2": "GNG-K101", "train.x3": "GNG-K103"}
    assert "'x2' alone ranks 99" in findings["train.x2"].sentence
    assert findings["train.x3"].evidence["null_rate_negative"] == 1.0


def test_nulls_of_one_bad_day_are_no_leak() -> None:
    rng = np.random.default_rng(0)
    y = outcome(rng)
    day = np.arange(N) // 20
    y[day == 3] = 0
    null = (day == 3) | (day == 4) & (y == 0)
    assert found(examples({"x1": nulls(null, rng)}, y, day)) == {}


def test_a_clean_world_gives_one_clean_finding_per_check() -> None:
    clean = world(n=4000)
    statuses = [finding.status for finding in check(clean.train, clean.inputs)]
    assert statuses == [FindingStatus.CLEAN] * 6


def test_a_null_that_the_contract_refuses_is_open() -> None:
    rng = np.random.default_rng(0)
    train = examples({"x0": nulls(np.arange(N) == 7, rng)}, outcome(rng), np.arange(N))
    finding = found(train, x0=Missing.REFUSE)["train.x0"]
    assert (finding.code, finding.status, finding.evidence["first_row"]) == ("GNG-K104", FindingStatus.OPEN, 7)


def test_a_constant_and_an_empty_column_are_noted() -> None:
    rng = np.random.default_rng(0)
    train = examples({"x1": pa.array(np.ones(N)), "x3": pa.nulls(N, pa.float64())}, outcome(rng), np.arange(N))
    assert {where: (f.code, f.status) for where, f in found(train).items()} == {
        "train.x1": ("GNG-K105", FindingStatus.NOTE),
        "train.x3": ("GNG-K105", FindingStatus.NOTE),
    }


@pytest.mark.parametrize(("positives", "status"), [(30, FindingStatus.NOTE), (5, FindingStatus.OPEN)])
def test_a_rare_class_is_noted_and_a_very_rare_one_is_open(positives: int, status: FindingStatus) -> None:
    y = np.zeros(N, dtype=np.int64)
    y[:: N // positives][:positives] = 1
    train = examples({"x1": pa.array(np.random.default_rng(0).normal(size=N))}, y, np.arange(N))
    assert found(train)["train.y"].status is status


def test_one_class_only_is_refused() -> None:
    with pytest.raises(OutcomeRefused):
        found(examples({"x1": pa.array(np.arange(10.0))}, np.zeros(10, dtype=np.int64), np.arange(10)))


def test_many_rows_cost_a_sample() -> None:
    rng = np.random.default_rng(0)
    y = outcome(rng, n=200_000)
    train = examples({"x1": pa.array(y * 5 + rng.normal(size=200_000))}, y, np.arange(200_000) // 20)
    assert found(train)["train.x1"].evidence["n_rows"] == 50_000
