"""What every metric and statistic promises, whatever its family. A plugin's tests subclass these and give predictions with outcomes."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import pyarrow as pa
import pytest

from gonogo.types.protocols import Metric, Statistic


class MetricSuite(ABC):
    """Subclasses are collected by pytest under a name that starts with Test."""

    prediction_column: str  # the column in which a NaN must be refused

    @abstractmethod
    @pytest.fixture
    def metric(self) -> Metric:
        """The metric."""

    @abstractmethod
    @pytest.fixture
    def predictions(self) -> pa.Table:
        """Predictions of ten rows or more, in which not every row scores alike."""

    @abstractmethod
    @pytest.fixture
    def outcomes(self) -> pa.Table:
        """What came of those rows, with `unit`."""

    def test_it_says_what_it_is(self, metric: Metric) -> None:
        assert metric.name
        assert metric.better in ("higher", "lower")
        assert isinstance(metric.measured_in, str)

    def test_an_empty_table_is_refused(self, metric: Metric, predictions: pa.Table, outcomes: pa.Table) -> None:
        with pytest.raises(ValueError, match=r".+"):
            metric.score(predictions.slice(0, 0), outcomes.slice(0, 0))

    def test_a_prediction_that_is_nan_is_refused(self, metric: Metric, predictions: pa.Table, outcomes: pa.Table) -> None:
        values = predictions.column(self.prediction_column).to_numpy().copy()
        values[3] = np.nan
        at = predictions.schema.get_field_index(self.prediction_column)
        with pytest.raises(ValueError, match=r".+"):
            metric.score(predictions.set_column(at, self.prediction_column, pa.array(values)), outcomes)

    def test_each_row_has_its_unit_a_finite_value_and_a_weight(self, metric: Metric, predictions: pa.Table, outcomes: pa.Table) -> None:
        scores = metric.score(predictions, outcomes)
        assert (scores.unit == outcomes.column("unit").to_numpy()).all()
        assert np.isfinite(scores.value).all()
        assert (scores.weight >= 0).all()
        assert len(scores.value) == len(scores.weight) == outcomes.num_rows

    def test_a_row_scores_the_same_in_any_company(self, metric: Metric, predictions: pa.Table, outcomes: pa.Table) -> None:
        whole = metric.score(predictions, outcomes)
        part = metric.score(predictions.slice(2, 5), outcomes.slice(2, 5))
        assert (part.value == whole.value[2:7]).all()


class StatisticSuite(ABC):
    """Subclasses are collected by pytest under a name that starts with Test."""

    @abstractmethod
    @pytest.fixture
    def statistic(self) -> Statistic:
        """The statistic."""

    @abstractmethod
    @pytest.fixture
    def predictions(self) -> pa.Table:
        """Predictions of ten rows or more."""

    @abstractmethod
    @pytest.fixture
    def outcomes(self) -> pa.Table:
        """What came of those rows, with `unit`."""

    def test_rows_without_weight_leave_it_undefined(self, statistic: Statistic, predictions: pa.Table, outcomes: pa.Table) -> None:
        assert statistic.prepare(predictions, outcomes)(np.zeros(outcomes.num_rows)) is None

    def test_it_does_not_hang_on_the_scale_of_the_weights(self, statistic: Statistic, predictions: pa.Table, outcomes: pa.Table) -> None:
        figure = statistic.prepare(predictions, outcomes)
        assert figure(np.full(outcomes.num_rows, 4.0)) == pytest.approx(figure(np.ones(outcomes.num_rows)), abs=1e-12)

    def test_asking_twice_gives_the_same(self, statistic: Statistic, predictions: pa.Table, outcomes: pa.Table) -> None:
        figure = statistic.prepare(predictions, outcomes)
        weight = np.arange(outcomes.num_rows, dtype=float) % 3
        assert figure(weight) == figure(weight)
