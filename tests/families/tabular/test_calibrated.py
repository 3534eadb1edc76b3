"""Recalibration is kept where it helps beyond doubt, and only there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from gonogo.families.tabular import FAMILY
from gonogo.families.tabular.calibrated import CALIBRATION_FILE, CalibratedModel, Stored, refine
from gonogo.families.tabular.prior import PriorModel
from gonogo.stats.calibration import Beta, Isotonic, Platt, Temperature
from gonogo.stats.imbalance import PriorCorrection
from gonogo.types.errors import ArtifactRefused
from gonogo.types.protocols import Examples
from tests.families.tabular.worlds import examples

NUMBER = r"([\d.]+)"
ERRORS = rf"calibration error {NUMBER} \[{NUMBER}, [\d.]+\] → {NUMBER} \[{NUMBER}, [\d.]+\]"


@dataclass(frozen=True)
class Bold:
    """Says logistic(boldness · x + bias) where the truth is logistic(x)."""

    boldness: float = 1.0
    bias: float = 0.0

    def predict(self, inputs: pa.Table) -> pa.Table:
        x = inputs.column("x1").to_numpy()
        return pa.table({"p": 1 / (1 + np.exp(-(self.boldness * x + self.bias)))})

    def save(self, folder: Path) -> None:
        PriorModel(rate=0.5).save(folder)

    def effects(self) -> tuple[()]:
        return ()


@dataclass(frozen=True)
class Curved(Bold):
    """Bent by a beta curve."""

    a: float = 1.0
    b: float = 1.0

    def predict(self, inputs: pa.Table) -> pa.Table:
        return pa.table({"p": Beta(a=self.a, b=self.b, c=0.0).apply(Bold.predict(self, inputs).column("p").to_numpy())})


@dataclass(frozen=True)
class Stepped(Bold):
    """Rises all the way, but in waves, which no other kind has."""

    def predict(self, inputs: pa.Table) -> pa.Table:
        x = inputs.column("x1").to_numpy()
        return pa.table({"p": 1 / (1 + np.exp(-(x + 0.9 * np.sin(x))))})


def truth(*, n: int = 4000, units: int = 80, seed: int = 0) -> Examples:
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 1.5, n)
    y = (rng.random(n) < 1 / (1 + np.exp(-x))).astype(np.int64)
    return examples({"x1": pa.array(x)}, y, np.arange(n) * units // n)


def test_an_honest_model_is_left_as_it_was() -> None:
    changed = sum(refine(Bold(), truth(seed=seed), 0).model != Bold() for seed in range(20))
    assert changed <= 1


def test_a_model_that_is_too_sure_is_bent_back() -> None:
    validate, fresh = truth(), truth(seed=1)
    refined = refine(Bold(boldness=3.0), validate, 0)
    assert "held-out units" in refined.note
    before, after = (
        FAMILY.metrics[0].score(model.predict(fresh.inputs), fresh.outcomes).value.mean() for model in (Bold(boldness=3.0), refined.model)
    )
    assert after < before - 0.05


def test_before_and_after_are_said_with_their_intervals() -> None:
    note = refine(Bold(boldness=3.0), truth(), 0).note
    assert re.search(r"log loss 0\.\d{4} → 0\.\d{4} nats, difference \[-0\.\d{4}, -0\.\d{4}\]", note)
    before, low, after, least = (float(number) for number in re.search(ERRORS, note).groups())
    assert low > 0.05
    assert after < before / 3
    assert least == 0


def test_each_kind_is_kept_where_it_is_the_one_that_was_bent() -> None:
    kinds = {
        Temperature: Bold(boldness=3.0),
        Platt: Bold(boldness=2.0, bias=1.0),
        Beta: Curved(a=3.0, b=0.5),
        Isotonic: Stepped(),
    }
    for kind, model in kinds.items():
        refined = refine(model, truth(n=20_000, units=200), 0).model
        assert isinstance(refined, CalibratedModel)
        assert isinstance(refined._recalibration, kind)


def test_before_and_after_are_drawn() -> None:
    (curve,) = refine(Bold(bias=2.0), truth(), 0).curves
    assert [series.name for series in curve.series] == ["before", "after"]
    before, after = (np.mean([abs(point.x - point.y) for point in series.points]) for series in curve.series)
    assert after < before / 2


def test_too_few_units_leave_the_model_as_it_was() -> None:
    refined = refine(Bold(boldness=3.0), truth(units=4), 0)
    assert refined.model == Bold(boldness=3.0)
    assert "fewer than 5 units" in refined.note


def test_one_class_only_leaves_the_model_as_it_was() -> None:
    validate = truth()
    at = validate.outcomes.schema.get_field_index("y")
    outcomes = validate.outcomes.set_column(at, "y", pa.array(np.zeros(4000, dtype=np.int64)))
    refined = refine(Bold(), Examples(keys=validate.keys, inputs=validate.inputs, outcomes=outcomes, slices=validate.slices), 0)
    assert refined.model == Bold()
    assert "nothing could be fitted" in refined.note


def test_recalibrating_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("first", "second"):
        refine(Bold(boldness=3.0), truth(), 0).model.save(tmp_path / name)
    assert (tmp_path / "first" / CALIBRATION_FILE).read_bytes() == (tmp_path / "second" / CALIBRATION_FILE).read_bytes()


@pytest.mark.parametrize(
    "recalibration",
    [
        Platt(slope=0.5, intercept=0.1),
        Temperature(temperature=2.0),
        Beta(a=0.5, b=1.5, c=0.0),
        Isotonic(scores=(0.1, 0.9), probabilities=(0.2, 0.8)),
        PriorCorrection(shift=-1.5),
    ],
)
def test_a_recalibration_comes_back_as_it_was_saved(recalibration: Stored, tmp_path: Path) -> None:
    model = CalibratedModel(PriorModel(rate=0.3), recalibration)
    model.save(tmp_path)
    table = pa.table({"x": [1.0]})
    assert FAMILY.load(tmp_path).predict(table).equals(model.predict(table))


def test_a_recalibration_of_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    CalibratedModel(PriorModel(rate=0.3), Platt(slope=1.0, intercept=0.0)).save(tmp_path)
    file = tmp_path / CALIBRATION_FILE
    file.write_bytes(file.read_bytes().replace(b'"platt"', b'"other"'))
    with pytest.raises(ArtifactRefused, match="not known"):
        FAMILY.load(tmp_path)


def test_isotonic_never_says_that_something_cannot_happen() -> None:
    x = np.linspace(-3, 3, 2000)
    validate = examples({"x1": pa.array(x)}, (x > 0).astype(np.int64), np.arange(2000) % 50)
    p = refine(Bold(boldness=0.2), validate, 0).model.predict(validate.inputs).column("p").to_numpy()
    assert 0 < p.min() < 0.01
    assert 0.99 < p.max() < 1
