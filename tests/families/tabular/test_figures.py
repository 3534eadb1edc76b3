"""Metrics and statistics equal those of scikit-learn."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from gonogo.families.tabular import FAMILY

RNG = np.random.default_rng(0)
Y = RNG.integers(0, 2, 400)
P = np.round(RNG.random(400), 2)  # ties, and some 0 and 1
OUTCOMES = pa.table({"unit": np.arange(400) // 4, "y": Y})
PREDICTIONS = pa.table({"p": P})
METRICS = {metric.name: metric for metric in FAMILY.metrics}
STATISTICS = {statistic.name: statistic for statistic in FAMILY.statistics}


def figure(name: str) -> float | None:
    return STATISTICS[name].prepare(PREDICTIONS, OUTCOMES)(np.ones(400))


def test_log_loss_and_brier_score_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import brier_score_loss, log_loss

    inside = np.clip(P, 0.01, 0.99)  # beyond that the two clip at different last digits
    for name, peer in (("log_loss", log_loss), ("brier_score", brier_score_loss)):
        ours = METRICS[name].score(pa.table({"p": inside}), OUTCOMES).value.mean()
        assert ours == pytest.approx(peer(Y, inside), rel=1e-12)


def test_a_certain_mistake_costs_36_nats_and_not_infinity() -> None:
    scores = METRICS["log_loss"].score(pa.table({"p": [0.0, 1.0]}), pa.table({"unit": [0, 1], "y": [1, 1]}))
    assert scores.value.tolist() == pytest.approx([-np.log(np.finfo(np.float64).eps), 0.0])


def test_ranking_figures_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

    assert figure("roc_auc") == pytest.approx(roc_auc_score(Y, P))
    assert figure("average_precision") == pytest.approx(average_precision_score(Y, P))
    false_alarms, recall, _ = roc_curve(Y, P, drop_intermediate=False)
    assert figure("recall_at_false_alarm_rate_10") == pytest.approx(recall[false_alarms <= 0.10].max())
    assert figure("recall_at_false_alarm_rate_05") == pytest.approx(recall[false_alarms <= 0.05].max())
    precision, found, _ = precision_recall_curve(Y, P)
    assert figure("precision_at_recall_50") == pytest.approx(precision[found >= 0.5][-1])


def test_an_honest_probability_has_next_to_no_calibration_error() -> None:
    rng = np.random.default_rng(1)
    p = rng.random(20_000)
    y = (rng.random(20_000) < p).astype(np.int64)
    outcomes = pa.table({"unit": np.arange(20_000) // 10, "y": y})
    honest, bold = (
        STATISTICS["calibration_error"].prepare(pa.table({"p": said}), outcomes)(np.ones(20_000)) for said in (p, np.clip(p * 1.3, 0, 1))
    )
    assert honest is not None
    assert bold is not None
    assert honest < 0.01
    assert bold > 0.08
