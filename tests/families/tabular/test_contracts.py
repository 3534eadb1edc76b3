"""The tabular family keeps every promise of a plugin."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from gonogo.families.tabular import FAMILY
from gonogo.families.tabular.boosted import XGBoost
from gonogo.families.tabular.calibrated import CalibratedModel
from gonogo.families.tabular.logistic import LogisticRegression
from gonogo.families.tabular.prior import PriorRate
from gonogo.stats.calibration import fit_isotonic, fit_platt
from gonogo.types.contract import Cost
from gonogo.types.protocols import Learner, Metric, Model, Statistic
from tests.contracts.learner_suite import LearnerSuite, World
from tests.contracts.metric_suite import MetricSuite, StatisticSuite
from tests.contracts.model_suite import ModelSuite
from tests.families.tabular.worlds import world

LEARNERS: dict[str, Learner] = {
    "prior_rate": PriorRate(),
    "logistic_regression": LogisticRegression(),
    "xgboost": XGBoost(n_rounds=60, learning_rate=0.2, max_depth=3, early_stopping_rounds=10),
}


EASY, NOISE = world(), world(seed=1, strength=0.0)


@cache
def fitted(name: str) -> Model:
    return LEARNERS[name].fit(EASY.train, EASY.validate, inputs=EASY.inputs, seed=1, threads=1, budget_s=None)


class OfTheFamily(LearnerSuite):
    family = FAMILY

    @pytest.fixture
    def easy(self) -> World:
        return EASY

    @pytest.fixture
    def noise(self) -> World:
        return NOISE


class TestPriorRate(OfTheFamily):
    def learner(self) -> Learner:
        return LEARNERS["prior_rate"]


class TestLogisticRegression(OfTheFamily):
    def learner(self) -> Learner:
        return LEARNERS["logistic_regression"]


class TestXGBoost(OfTheFamily):
    def learner(self) -> Learner:
        return LEARNERS["xgboost"]


class AModel(ModelSuite):
    family = FAMILY

    @pytest.fixture
    def inputs(self) -> pa.Table:
        return EASY.test.inputs


class TestPriorModel(AModel):
    @pytest.fixture
    def model(self) -> Model:
        return fitted("prior_rate")


class TestLogisticModel(AModel):
    @pytest.fixture
    def model(self) -> Model:
        return fitted("logistic_regression")


class TestBoostedModel(AModel):
    @pytest.fixture
    def model(self) -> Model:
        return fitted("xgboost")


class TestIsotonicModel(AModel):
    @pytest.fixture
    def model(self) -> Model:
        inner = fitted("xgboost")
        p = inner.predict(EASY.validate.inputs).column("p").to_numpy()
        return CalibratedModel(inner, fit_isotonic(EASY.validate.outcomes.column("y").to_numpy(), p))


class TestPlattModel(AModel):
    @pytest.fixture
    def model(self) -> Model:
        inner = fitted("logistic_regression")
        p = inner.predict(EASY.validate.inputs).column("p").to_numpy()
        return CalibratedModel(inner, fit_platt(EASY.validate.outcomes.column("y").to_numpy(), p))


def some_predictions() -> pa.Table:
    return pa.table({"p": np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])})


def some_outcomes() -> pa.Table:
    return pa.table({"unit": np.arange(12) // 2, "decided_at": np.arange(12), "y": np.array([0, 0, 0, 1, 0, 1, 0, 1, 0, 1, 1, 1])})


class TestMetrics(MetricSuite):
    prediction_column = "p"

    @pytest.fixture(params=FAMILY.metrics, ids=lambda metric: metric.name)
    def metric(self, request: pytest.FixtureRequest) -> Metric:
        return request.param

    @pytest.fixture
    def predictions(self) -> pa.Table:
        return some_predictions()

    @pytest.fixture
    def outcomes(self) -> pa.Table:
        return some_outcomes()


class TestStatistics(StatisticSuite):
    @pytest.fixture(params=FAMILY.statistics, ids=lambda statistic: statistic.name)
    def statistic(self, request: pytest.FixtureRequest) -> Statistic:
        return request.param

    @pytest.fixture
    def predictions(self) -> pa.Table:
        return some_predictions()

    @pytest.fixture
    def outcomes(self) -> pa.Table:
        return some_outcomes()


def test_every_figure_has_a_sentence_for_a_stakeholder() -> None:
    priced = FAMILY.priced(Cost(false_positive_usd=1.0, false_negative_usd=9.0, machine_usd_per_hour=0.1))
    assert {one.name for one in (*FAMILY.metrics, *FAMILY.statistics, *priced)} == set(FAMILY.words)


@pytest.mark.parametrize("name", sorted(LEARNERS))
def test_no_file_of_a_model_is_a_pickle(name: str, tmp_path: Path) -> None:
    fitted(name).save(tmp_path)
    assert {file.suffix for file in tmp_path.iterdir()} <= {".json", ".ubj"}
