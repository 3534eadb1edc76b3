"""A value of an input is shifted where that holds on units that it was not learnt from, and only there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from gonogo.families.tabular import FAMILY
from gonogo.families.tabular.by_slice import SLICES_FILE, HeldShifts, ShiftedModel, ShiftedValue, SliceShifts, slice_inputs
from gonogo.families.tabular.calibrated import refine
from gonogo.families.tabular.held_out import Gain
from gonogo.families.tabular.prior import PriorModel
from gonogo.stats.calibration import logistic, logit
from gonogo.types.errors import ArtifactRefused, ColumnMissing
from gonogo.types.evidence import Interval
from gonogo.types.protocols import Examples
from tests.contracts.model_suite import ModelSuite, read_folder
from tests.families.tabular.test_calibrated import Bold
from tests.families.tabular.worlds import examples

AIRPORTS = ("EWR", "JFK", "LGA")
Told = Callable[[dict[str, np.ndarray]], dict[str, object]]  # the inputs' columns → the slices' columns


def told_origin(columns: dict[str, np.ndarray]) -> dict[str, object]:
    return {"origin": columns["origin"]}


def airports(*, tilt: float = 0.0, n: int = 12_000, seed: int = 0, told: Told = told_origin) -> Examples:
    """The truth is logistic(x1), at JFK logistic(x1 + tilt), which no model of x1 alone can say."""
    rng = np.random.default_rng(seed)
    x, origin = rng.normal(0, 1.5, n), rng.integers(0, 3, n)
    y = rng.random(n) < 1 / (1 + np.exp(-(x + tilt * (origin == 1))))
    columns = {"x1": x, "origin": np.array(AIRPORTS)[origin], "carrier": np.array(["AA", "UA"])[rng.integers(0, 2, n)]}
    whole = examples({name: pa.array(values) for name, values in columns.items()}, y.astype(np.int64), np.arange(n) * 120 // n)
    slices = pa.table({name: pa.array(values) for name, values in told(columns).items()})
    return Examples(keys=whole.keys, inputs=whole.inputs, outcomes=whole.outcomes, slices=slices)


def shifts_of(model: object) -> SliceShifts:
    assert isinstance(model, ShiftedModel)
    return model._shifts


def test_a_value_that_is_answered_too_low_is_shifted_and_fresh_rows_gain() -> None:
    refined = refine(Bold(), airports(tilt=1.5), 0)
    shifts = dict(zip(shifts_of(refined.model).values, shifts_of(refined.model).shifts, strict=True))
    # What bends all rows has taken its part, so that the others are shifted down.
    assert shifts["JFK"] > 0.5
    fresh = airports(tilt=1.5, seed=1)
    p = refined.model.predict(fresh.inputs).column("p").to_numpy()
    truth = 1 / (1 + np.exp(-(fresh.inputs.column("x1").to_numpy() + 1.5 * (fresh.inputs.column("origin").to_numpy() == "JFK"))))
    assert np.abs(p - truth).mean() < 0.03
    assert "origin=JFK: log loss" in refined.note


def test_the_shift_of_one_value_alone_is_what_it_was_bent_by() -> None:
    """Half up and half down leaves nothing for what bends all rows."""
    rng = np.random.default_rng(0)
    n = 20_000
    x, up = rng.normal(0, 1, n), rng.random(n) < 0.5
    y = (rng.random(n) < logistic(x + np.where(up, 0.5, -0.5))).astype(np.int64)
    side = pa.array(np.where(up, "up", "down"))
    whole = examples({"x1": pa.array(x), "side": side}, y, np.arange(n) // 100)
    validate = Examples(keys=whole.keys, inputs=whole.inputs, outcomes=whole.outcomes, slices=pa.table({"side": side}))
    shifts = shifts_of(refine(Bold(), validate, 0).model)
    assert shifts.values == ("down", "up")
    assert shifts.shifts == (pytest.approx(-0.5, abs=0.07), pytest.approx(0.5, abs=0.07))


def test_an_honest_model_is_shifted_nowhere() -> None:
    shifted = sum(isinstance(refine(Bold(), airports(seed=seed), 0).model, ShiftedModel) for seed in range(12))
    assert shifted <= 1


def test_a_slice_that_is_no_input_takes_no_part() -> None:
    validate = airports(tilt=1.5, told=lambda columns: {"airport": columns["origin"]})
    assert slice_inputs(validate) == ()
    assert not isinstance(refine(Bold(), validate, 0).model, ShiftedModel)


def test_a_slice_that_says_something_else_than_the_input_of_its_name_takes_no_part() -> None:
    def other(columns: dict[str, np.ndarray]) -> dict[str, object]:
        return {"origin": np.char.lower(columns["origin"].astype(str)), "carrier": columns["carrier"]}

    assert slice_inputs(airports(told=other)) == ("carrier",)


def test_a_measured_number_takes_no_part_and_a_whole_number_does() -> None:
    origin = np.array([1, 2, 3] * 100)
    whole = examples({"code": pa.array(origin), "x": pa.array(origin / 3)}, origin % 2, np.arange(300))
    slices = pa.table({"code": pa.array(origin.astype(str)), "x": pa.array(origin / 3).cast(pa.string())})
    assert slice_inputs(Examples(keys=whole.keys, inputs=whole.inputs, outcomes=whole.outcomes, slices=slices)) == ("code",)


def test_one_column_at_most_is_shifted_so_that_nothing_is_shifted_twice() -> None:
    validate = airports(tilt=1.5, told=lambda columns: {"twin": columns["origin"], "origin": columns["origin"]})
    inputs = validate.inputs.append_column("twin", validate.inputs.column("origin"))
    both = Examples(keys=validate.keys, inputs=inputs, outcomes=validate.outcomes, slices=validate.slices)
    alone = refine(Bold(), airports(tilt=1.5), 0).model.predict(both.inputs)
    assert shifts_of(refine(Bold(), both, 0).model).column in ("twin", "origin")
    np.testing.assert_allclose(refine(Bold(), both, 0).model.predict(both.inputs).column("p"), alone.column("p"), atol=1e-6)


def test_a_value_of_few_units_is_not_tried() -> None:
    """All of JFK's rows in five units: however far they lie, that is five stories."""
    n = 6_000
    rng = np.random.default_rng(0)
    unit = np.arange(n) // 50
    origin = np.where(unit % 24 == 0, "JFK", "LGA")
    y = (rng.random(n) < np.where(origin == "JFK", 0.9, 0.5)).astype(np.int64)
    whole = examples({"x1": pa.array(np.zeros(n)), "origin": pa.array(origin)}, y, unit)
    validate = Examples(keys=whole.keys, inputs=whole.inputs, outcomes=whole.outcomes, slices=pa.table({"origin": origin}))
    model = refine(Bold(), validate, 0).model
    assert not isinstance(model, ShiftedModel) or "JFK" not in shifts_of(model).values


def test_refining_twice_gives_the_same_bytes_and_they_answer_the_same(tmp_path: Path) -> None:
    validate = airports(tilt=1.5)
    for name in ("first", "second"):
        # Bold saves itself as the prior's rate, which is enough to be read again.
        refine(Bold(), validate, 0).model.save(tmp_path / name)
    assert read_folder(tmp_path / "first") == read_folder(tmp_path / "second")
    assert isinstance(FAMILY.load(tmp_path / "first"), ShiftedModel)


def test_a_sentence_names_the_values_that_gain_most_and_counts_the_rest() -> None:
    values = tuple(
        ShiftedValue(
            column="dest", value=name, gain=Gain(before=0.5, after=0.5 - g, interval=Interval(low=-0.2, high=-0.1, method="t")), n_rows=100
        )
        for name, g in (("A", 0.1), ("B", 0.3), ("C", 0.2), ("D", 0.05), ("E", 0.01))
    )
    said = str(HeldShifts(values=values, p=np.zeros(0), n_tried=40))
    assert said.startswith("5 of 40 values shifted (dest=B: log loss 0.5000 → 0.2000 nats")
    assert said.endswith("; and 2 more)")


SHIFTS = SliceShifts(column="origin", values=("JFK", "LGA"), shifts=(0.7, -0.4))


def test_null_and_a_value_that_was_never_seen_are_answered_as_before() -> None:
    model = ShiftedModel(PriorModel(rate=0.3), SHIFTS)
    p = model.predict(pa.table({"origin": pa.array(["JFK", None, "MUC", "LGA"])})).column("p").to_numpy()
    assert p[1] == p[2] == 0.3
    np.testing.assert_allclose(logit(p[[0, 3]]) - logit(0.3), [0.7, -0.4], rtol=1e-12)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())], ids=str)
def test_the_type_of_text_does_not_matter(kind: pa.DataType) -> None:
    model = ShiftedModel(PriorModel(rate=0.3), SHIFTS)
    inputs = pa.table({"origin": pa.array(["JFK", "LGA", None])})
    assert model.predict(inputs).equals(model.predict(pa.table({"origin": inputs.column("origin").cast(kind)})))


def test_a_missing_column_is_named() -> None:
    with pytest.raises(ColumnMissing, match="origin"):
        ShiftedModel(PriorModel(rate=0.3), SHIFTS).predict(pa.table({"x": [1.0]}))


def test_shifts_that_are_cut_short_are_refused(tmp_path: Path) -> None:
    ShiftedModel(PriorModel(rate=0.3), SHIFTS).save(tmp_path)
    file = tmp_path / SLICES_FILE
    file.write_bytes(file.read_bytes()[:20])
    with pytest.raises(ArtifactRefused):
        FAMILY.load(tmp_path)


class TestShiftedModel(ModelSuite):
    family = FAMILY

    @pytest.fixture
    def model(self) -> ShiftedModel:
        return ShiftedModel(PriorModel(rate=0.2), SHIFTS)

    @pytest.fixture
    def inputs(self) -> pa.Table:
        return pa.table({"origin": pa.array(["JFK", None, "MUC", "LGA"] * 30)})
