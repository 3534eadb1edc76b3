"""Measuring knows no kind of problem: the small family here predicts a number `g`, and is judged by its error."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pytest

from gonogo.evidence.measure import measure
from gonogo.evidence.slices import partition
from gonogo.stats.delong import roc_auc_difference, roc_auc_interval
from gonogo.stats.discrimination import prepare_roc_auc
from gonogo.stats.influence import rank_rows, roc_auc
from gonogo.types.contract import Gate, Slicing
from gonogo.types.evidence import Curve, Effect, Of, UnitScores
from gonogo.types.protocols import Analytic, Examples, Family
from gonogo.types.record import canonical, digest
from tests.evidence.small import CONTRACT

A, B, C, D = ("sha256:" + c * 64 for c in "abcd")


@dataclass(frozen=True)
class Error:
    name: str = "error"
    measured_in: str = "points"
    better: str = "lower"

    def score(self, predictions: pa.Table, outcomes: pa.Table) -> UnitScores:
        gap = np.abs(predictions.column("g").to_numpy() - outcomes.column("y").to_numpy())
        if not len(gap) or np.isnan(gap).any():
            raise ValueError("NaN among the guesses")
        return UnitScores(outcomes.column("unit").to_numpy(), gap, np.ones(len(gap)))


@dataclass(frozen=True)
class Order:
    name: str = "order"
    measured_in: str = ""
    better: str = "higher"

    def prepare(self, predictions: pa.Table, outcomes: pa.Table):
        return prepare_roc_auc(outcomes.column("y").to_numpy(), predictions.column("g").to_numpy())

    def linearise(self, predictions: pa.Table, outcomes: pa.Table):
        return None


@dataclass(frozen=True)
class SwayedOrder(Order):
    """The same figure, which says how each row sways it."""

    name: str = "swayed_order"

    def linearise(self, predictions: pa.Table, outcomes: pa.Table):
        ranked = rank_rows(outcomes.column("y").to_numpy(), predictions.column("g").to_numpy())
        return Analytic(by_group=lambda group, n: roc_auc(ranked.by_group(group, n)), is_share=True)


FAMILY = Family(
    name="guesses",
    outcome_columns={"y": "0 or 1"},
    learners={},
    metrics=(Error(),),
    statistics=(Order(), SwayedOrder()),
    baseline="",
    load=lambda folder: None,
    checks=lambda examples, inputs: (),
    curves=lambda ours, theirs, outcomes, cost: (Curve(name="c", title="A curve.", x_label="x", y_label="y", series=()),),
)


def _world(n_units: int = 60, seed: int = 0) -> tuple[Examples, pa.Table, pa.Table]:
    """60 days of 20 rows. The challenger guesses well; the champion less so. Firms c and d are seen on few days; place Z on ten."""
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(n_units), 20)
    n = len(unit)
    y = (rng.random(n) < 0.4).astype(float)
    ours, theirs = (np.clip(y * s + rng.normal(0.3, 0.3, n), 0, 1) for s in (0.4, 0.2))
    place = np.where((unit < 10) & (rng.random(n) < 0.5), "Z", np.where(rng.random(n) < 0.5, "X", "Y"))
    firm = np.where((unit < 5) & (rng.random(n) < 0.5), "c", np.where((unit > 50) & (rng.random(n) < 0.5), "d", rng.choice(["a", "b"], n)))
    examples = Examples(
        keys=pa.table({"id": np.arange(n)}),
        inputs=pa.table({"x": ours}),
        outcomes=pa.table({"unit": unit * 3 + 7, "decided_at": np.arange(n), "y": y}),
        slices=pa.table({"place": place, "firm": firm}),
    )
    return examples, pa.table({"g": ours}), pa.table({"g": theirs})


def _measure(examples, ours, theirs, contract=CONTRACT, family=FAMILY, **changes):
    digests = {
        "contract_digest": A,
        "candidate_digest": B,
        "champion_digest": C,
        "champion_is": "baseline",
        "snapshot_digest": D,
        "table": "test",
    }
    return measure(contract, family, examples, ours, theirs, **(digests | {"n_draws": 200} | changes))


def _find(evidence, metric, of, label=""):
    (found,) = [e for e in evidence.estimates if (e.metric, e.of, e.slice) == (metric, of, label)]
    return found


def test_every_figure_is_given_for_both_arms_and_their_difference_with_an_interval():
    evidence = _measure(*_world())
    for metric in ("error", "order", "swayed_order"):
        ours, theirs, difference = (_find(evidence, metric, of) for of in Of)
        assert difference.value == pytest.approx(ours.value - theirs.value)
        assert all(e.interval.low < e.value < e.interval.high for e in (ours, theirs, difference))
        assert (ours.n_units, ours.n_rows) == (60, 1200)
    assert _find(evidence, "error", Of.DIFFERENCE).interval.high < 0
    assert _find(evidence, "order", Of.DIFFERENCE).interval.low > 0


def test_what_the_costs_of_the_contract_make_measurable_is_measured_too():
    priced = replace(FAMILY, priced=lambda cost: (Error(name="cost_per_decision", measured_in=f"{cost.false_positive_usd} usd"),))
    found = _find(_measure(*_world(), family=priced), "cost_per_decision", Of.DIFFERENCE, "place=X")
    assert found.value is not None
    assert found.measured_in == "1 usd"


def test_slices_that_nobody_thought_of_are_searched_and_where_it_is_worse_is_told():
    examples, ours, theirs = _world()
    mood = np.random.default_rng(3).choice(["calm", "wild"], 1200, p=[0.7, 0.3])
    worse = np.where(mood == "wild", 1 - ours.column("g").to_numpy(), ours.column("g").to_numpy())
    inputs = pa.table({"mood": pa.array(mood).dictionary_encode(), "none": pa.nulls(1200, pa.float64()), "other": np.arange(1200) % 7})
    evidence = _measure(replace(examples, inputs=inputs), pa.table({"g": worse}), theirs)
    assert [one.effect.slice for one in evidence.worst] == ["mood=wild"]
    assert evidence.worst[0].effect.interval.low > 0
    assert evidence.worst[0].effect.metric == "error"
    assert evidence.searched > 20
    quiet = _measure(replace(examples, inputs=inputs), ours, theirs)
    assert (quiet.worst, quiet.searched > 0) == ((), True)


def test_the_record_names_its_parents_and_holds_curves_and_effects():
    effect = Effect(name="x", value=1.0)
    evidence = _measure(*_world(), effects=(effect,))
    assert (evidence.contract, evidence.candidate, evidence.champion, evidence.snapshot) == (A, B, C, D)
    assert (evidence.champion_is, evidence.table, evidence.n_rows, evidence.n_units) == ("baseline", "test", 1200, 60)
    assert [c.name for c in evidence.curves] == ["c"]
    assert evidence.effects == (effect,)


def test_the_same_rows_and_seed_give_the_same_bytes_and_another_seed_does_not():
    assert canonical(_measure(*_world())) == canonical(_measure(*_world()))
    assert digest(_measure(*_world(), contract=replace(CONTRACT, seed=14))) != digest(_measure(*_world()))


def test_swapping_the_arms_flips_every_difference():
    examples, ours, theirs = _world()
    there, back = _measure(examples, ours, theirs), _measure(examples, theirs, ours)
    for metric in ("error", "order", "swayed_order"):
        a, b = _find(there, metric, Of.DIFFERENCE), _find(back, metric, Of.DIFFERENCE)
        assert (a.value, a.interval.low, a.interval.high) == pytest.approx((-b.value, -b.interval.high, -b.interval.low), abs=1e-9)


def test_the_slices_of_a_column_hold_every_row_once():
    evidence = _measure(*_world())
    for column in ("place", "firm"):
        rows = [e.n_rows for e in evidence.estimates if e.metric == "error" and e.of is Of.DIFFERENCE and e.slice.startswith(f"{column}=")]
        assert sum(rows) == 1200


def test_a_slice_equals_measuring_its_rows_alone():
    examples, ours, theirs = _world()
    here = np.flatnonzero(np.array(examples.slices.column("place").to_pylist()) == "X")
    alone = Examples(**{name: getattr(examples, name).take(here) for name in ("keys", "inputs", "outcomes", "slices")})
    expected = _find(_measure(alone, ours.take(here), theirs.take(here)), "error", Of.DIFFERENCE)
    found = _find(_measure(examples, ours, theirs), "error", Of.DIFFERENCE, "place=X")
    assert (found.value, found.interval.low) == pytest.approx((expected.value, expected.interval.low), rel=1e-9)
    assert found.n_units == expected.n_units


def test_a_slice_of_few_units_is_refused_with_its_numbers_and_never_given_a_value():
    found = _find(_measure(*_world()), "error", Of.CHALLENGER, "place=Z")
    assert (found.value, found.interval, found.n_units, found.refused) == (None, None, 10, "10 units of 30 asked")
    assert found.n_rows > 0


def test_small_values_are_pooled_where_the_contract_says_so():
    evidence = _measure(*_world())
    labels = {e.slice for e in evidence.estimates if e.slice.startswith("firm=")}
    # c (5 days) and d (9 days) alone make 14 days: the next smallest value joins them.
    (pooled,) = [label for label in labels if "other" in label]
    assert pooled.startswith("firm=other (c+d+")
    assert _find(evidence, "error", Of.CHALLENGER, pooled).n_units >= 30


def test_a_pool_that_is_large_enough_leaves_the_others_alone():
    unit = np.repeat(np.arange(60), 3)
    values = np.tile(["a", "b", "c"], 60)
    values[(unit >= 20) & (values == "c")] = "a"
    values[(unit >= 10) & (unit < 30) & (values == "b")] = "d"
    found = partition(pa.table({"v": values}), unit, Slicing(column="v", min_units=25, small="pool"))
    assert found.labels == ("v=a", "v=b", "v=other (c+d)")
    assert found.n_units == (60, 40, 30)


def test_rows_without_a_value_are_a_slice_of_their_own():
    found = partition(pa.table({"v": pa.array(["a", None, "a", None])}), np.arange(4), Slicing(column="v", min_units=2))
    assert found.labels == ("v=(none)", "v=a")
    assert found.group.tolist() == [1, 0, 1, 0]


def test_a_statistic_whose_rows_say_how_they_sway_it_is_given_for_every_slice_as_measuring_it_alone_would():
    examples, ours, theirs = _world()
    evidence = _measure(examples, ours, theirs)
    assert {e.slice for e in evidence.estimates if e.metric == "swayed_order"} == {
        e.slice for e in evidence.estimates if e.metric == "error"
    }
    y, unit = (examples.outcomes.column(name).to_numpy() for name in ("y", "unit"))
    here = np.array(examples.slices.column("place").to_pylist()) == "X"
    mine, other = (table.column("g").to_numpy()[here] for table in (ours, theirs))
    alone = roc_auc_interval(y[here], mine, unit[here])
    found = _find(evidence, "swayed_order", Of.CHALLENGER, "place=X")
    assert (found.value, found.interval.low, found.n_units) == (pytest.approx(alone.value), pytest.approx(alone.interval.low, rel=1e-3), 60)
    apart = roc_auc_difference(y[here], mine, other, unit[here])
    found = _find(evidence, "swayed_order", Of.DIFFERENCE, "place=X")
    assert (found.value, found.interval.low) == (pytest.approx(apart.value), pytest.approx(apart.interval.low, rel=2e-2))
    assert _find(evidence, "swayed_order", Of.DIFFERENCE, "place=Z").refused == "10 units of 30 asked"


def test_statistics_that_are_resampled_are_given_for_the_slices_that_a_gate_asks_for_only():
    gated = replace(CONTRACT, gates=(Gate(name="g", metric="order", at_least=0, slices=("place",)),))
    evidence = _measure(*_world(), contract=gated)
    assert {e.slice for e in evidence.estimates if e.metric == "order"} == {"", "place=X", "place=Y", "place=Z"}
    assert _find(evidence, "order", Of.DIFFERENCE, "place=X").interval.low > 0
    assert _find(evidence, "order", Of.DIFFERENCE, "place=Z").refused == "10 units of 30 asked"


def test_one_class_only_is_refused_in_words():
    examples, ours, theirs = _world()
    ones = examples.outcomes.set_column(2, "y", pa.array(np.ones(1200)))
    found = _find(_measure(replace(examples, outcomes=ones), ours, theirs), "order", Of.CHALLENGER)
    assert found.value is None
    assert "one class only" in found.refused


def test_an_outcome_that_too_few_units_hold_is_refused():
    examples, ours, theirs = _world()
    rare = np.zeros(1200)
    rare[5] = 1
    found = _find(
        _measure(replace(examples, outcomes=examples.outcomes.set_column(2, "y", pa.array(rare))), ours, theirs), "order", Of.CHALLENGER
    )
    assert found.value is None
    assert "of 200 resamples" in found.refused


def test_nan_among_one_arms_answers_refuses_that_arm_and_the_difference_and_not_the_other():
    examples, ours, theirs = _world()
    broken = ours.column("g").to_numpy().copy()
    broken[17] = np.nan
    evidence = _measure(examples, pa.table({"g": broken}), theirs)
    for metric in ("error", "order", "swayed_order"):
        assert "NaN" in _find(evidence, metric, Of.CHALLENGER).refused
        assert _find(evidence, metric, Of.CHAMPION).value is not None
        assert _find(evidence, metric, Of.DIFFERENCE).value is None


def test_two_models_that_answer_alike_have_no_difference_to_be_sure_of():
    examples, ours, _ = _world()
    evidence = _measure(examples, ours, ours)
    for metric in ("error", "order", "swayed_order"):
        assert _find(evidence, metric, Of.DIFFERENCE).value is None
        assert "unknown" in _find(evidence, metric, Of.DIFFERENCE).refused


def test_one_unit_and_no_rows_are_refused():
    for n_units in (1, 0):
        evidence = _measure(*_world(n_units))
        assert evidence.n_units == n_units
        assert all(e.value is None and e.refused for e in evidence.estimates)


def test_predictions_of_other_rows_raise():
    examples, ours, theirs = _world()
    with pytest.raises(ValueError, match="1199 and 1200 predictions for 1200 rows"):
        _measure(examples, ours.slice(1), theirs)


def test_a_metric_that_reorders_rows_is_refused():
    @dataclass(frozen=True)
    class Shuffled(Error):
        def score(self, predictions, outcomes):
            scores = super().score(predictions, outcomes)
            return UnitScores(scores.unit[::-1], scores.value, scores.weight)

    evidence = _measure(*_world(), family=replace(FAMILY, metrics=(Shuffled(),)))
    assert "other rows" in _find(evidence, "error", Of.CHALLENGER).refused


def test_a_slice_of_few_rows_is_refused_though_it_has_the_units():
    slicing = Slicing(column="place", min_units=2, min_rows=10_000)
    found = _measure(*_world(), contract=replace(CONTRACT, slices=(slicing,)))
    refused = [e for e in found.estimates if e.slice.startswith("place=") and e.metric == "error"]
    assert refused
    assert all(e.value is None and e.refused.endswith("rows of 10,000 asked") for e in refused)


def test_values_of_few_rows_are_pooled_until_the_pool_has_enough():
    unit = np.tile(np.arange(60), 5)
    values = np.array(["a"] * 150 + ["b"] * 80 + ["c"] * 40 + ["d"] * 30)
    found = partition(pa.table({"v": values}), unit, Slicing(column="v", min_units=2, min_rows=75, small="pool"))
    assert found.labels == ("v=a", "v=other (d+c+b)")  # 30 + 40 rows are too few: b joins them
    assert found.n_rows == (150, 150)
