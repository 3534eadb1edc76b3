"""What acting on a probability costs, at the contract's prices."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from gonogo import stats
from gonogo.families.tabular import FAMILY
from gonogo.families.tabular.priced import priced
from gonogo.stats.clustered import ratio_of_sums
from gonogo.stats.refusals import NoSpread
from gonogo.types.contract import Cost

COST = Cost(false_positive_usd=1.0, false_negative_usd=9.0, machine_usd_per_hour=0.1)
RNG = np.random.default_rng(0)
P = np.round(RNG.random(400), 2)
Y = (RNG.random(400) < P).astype(np.int64)
UNIT = np.arange(400) // 4
OUTCOMES, PREDICTIONS = pa.table({"unit": UNIT, "y": Y}), pa.table({"p": P})


def test_every_figure_is_that_of_the_statistics_at_the_bayes_threshold() -> None:
    figures = {metric.name: metric for metric in priced(COST)}
    said = stats.confusion(Y, P, threshold=0.1, unit=UNIT)
    for name in ("precision", "recall", "alert_rate"):
        found, expected = ratio_of_sums(figures[name].score(PREDICTIONS, OUTCOMES)), getattr(said, name)
        assert (found.value, figures[name].better) == (pytest.approx(expected.value), expected.better)
        assert (found.interval.low, found.interval.high) == pytest.approx((expected.interval.low, expected.interval.high))
    cost = stats.cost_per_decision(Y, P, threshold=0.1, unit=UNIT, false_positive=1, false_negative=9)
    assert ratio_of_sums(figures["cost_per_decision"].score(PREDICTIONS, OUTCOMES)).value == pytest.approx(cost.value, rel=1e-12)
    assert figures["cost_per_decision"].measured_in == "usd"


def test_the_threshold_is_cheapest_where_probabilities_are_honest() -> None:
    rng = np.random.default_rng(1)
    p = rng.beta(1, 9, 200_000)
    y = rng.random(200_000) < p
    here, lower, higher = (
        stats.cost_per_decision(y, p, threshold=threshold, false_positive=1, false_negative=9).value for threshold in (0.1, 0.08, 0.12)
    )
    assert here < min(lower, higher)


def test_rows_that_cost_nothing_are_no_share() -> None:
    """Three in a hundred thousand is what a share of nothing may be; one miss costs a thousand."""
    outcomes, predictions = pa.table({"unit": UNIT, "y": np.zeros(400)}), pa.table({"p": np.zeros(400)})
    with pytest.raises(NoSpread):
        ratio_of_sums(priced(COST)[0].score(predictions, outcomes))


@pytest.mark.parametrize("prices", [(0.0, 9.0), (1.0, 0.0), (0.0, 0.0)])
def test_without_a_price_of_either_mistake_there_is_nothing_to_weigh(prices: tuple[float, float]) -> None:
    assert priced(Cost(false_positive_usd=prices[0], false_negative_usd=prices[1], machine_usd_per_hour=0.1)) == ()


def test_an_empty_table_and_what_is_no_probability_are_refused() -> None:
    for figure in priced(COST):
        with pytest.raises(ValueError, match="0 predictions"):
            figure.score(PREDICTIONS.slice(0, 0), OUTCOMES.slice(0, 0))
        with pytest.raises(ValueError, match="no probability"):
            figure.score(pa.table({"p": P + 1}), OUTCOMES)


def test_the_family_explains_each_figure_in_words() -> None:
    assert FAMILY.priced is priced
    assert {metric.name for metric in priced(COST)} <= FAMILY.words.keys()
