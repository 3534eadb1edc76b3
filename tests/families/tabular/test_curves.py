"""The plots show what is true of small worlds."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from gonogo.families.tabular.curves import curves
from gonogo.types.contract import Cost
from gonogo.types.evidence import Curve
from gonogo.types.record import canonical

RNG = np.random.default_rng(0)
N = 5000
P = RNG.random(N)
Y = (RNG.random(N) < P).astype(np.int64)
COST = Cost(false_positive_usd=1.0, false_negative_usd=3.0, machine_usd_per_hour=0.0)
OUTCOMES = pa.table({"unit": np.arange(N) // 50, "decided_at": np.arange(N), "y": Y})


def drawn(cost: Cost = COST) -> dict[str, Curve]:
    return {curve.name: curve for curve in curves(pa.table({"p": P}), pa.table({"p": np.full(N, 0.5)}), OUTCOMES, cost)}


def test_there_are_six_plots_of_both_models() -> None:
    assert list(drawn()) == ["reliability", "roc", "precision_recall", "lift", "cost_by_threshold", "scores"]
    assert [series.name for series in drawn()["lift"].series] == ["challenger", "champion"]


def test_an_honest_model_lies_on_the_diagonal_within_its_intervals() -> None:
    points = drawn()["reliability"].series[0].points
    assert len(points) == 12
    assert sum(point.low <= point.x <= point.high for point in points) >= 10


def test_a_model_that_knows_nothing_finds_as_much_as_it_calls() -> None:
    champion = drawn()["lift"].series[1].points
    assert [(point.x, point.y) for point in champion] == [(0.0, 0.0), (1.0, 1.0)]


def test_the_better_model_finds_more_in_the_same_share() -> None:
    challenger = drawn()["lift"].series[0].points
    assert all(point.y >= point.x - 1e-9 for point in challenger)
    assert (challenger[-1].x, challenger[-1].y) == (1.0, 1.0)


def test_an_honest_model_is_cheapest_where_the_prices_say() -> None:
    points = drawn()["cost_by_threshold"].series[0].points
    assert min(points, key=lambda point: point.y).x == pytest.approx(0.25, abs=0.06)
    assert points[0].y == pytest.approx(np.mean(Y == 0))  # to act on every row raises every alarm
    acted = points[20].x <= P
    by_hand = np.mean(acted & (Y == 0)) + 3 * np.mean(~acted & (Y == 1))
    assert points[20].y == pytest.approx(by_hand)


def test_where_a_mistake_is_free_no_threshold_is_drawn() -> None:
    assert "cost_by_threshold" not in drawn(Cost(false_positive_usd=0.0, false_negative_usd=3.0, machine_usd_per_hour=0.0))


def test_the_histogram_holds_every_row() -> None:
    assert sum(point.n for series in drawn()["scores"].series for point in series.points) == N


def test_the_plots_have_a_canonical_form_and_repeat() -> None:
    assert canonical(tuple(drawn().values())) == canonical(tuple(drawn().values()))


def test_one_class_leaves_out_what_it_cannot_show() -> None:
    outcomes = OUTCOMES.set_column(2, "y", pa.array(np.zeros(N, dtype=np.int64)))
    by_name = {curve.name: curve for curve in curves(pa.table({"p": P}), pa.table({"p": P}), outcomes, COST)}
    assert all(series.points == () for name in ("roc", "precision_recall", "lift") for series in by_name[name].series)


def test_no_rows_give_no_plots() -> None:
    assert curves(pa.table({"p": P[:0]}), pa.table({"p": P[:0]}), OUTCOMES.slice(0, 0), COST) == ()
