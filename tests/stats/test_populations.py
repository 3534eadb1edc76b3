"""Facts about two tables: what differs, what is trivial, of what it cannot be told."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.truth.populations import CLAIMS
from benchmarks.truth.run import simulate

from gonogo import stats
from gonogo.stats.column_tests import Coded
from gonogo.stats.differences import Answer, Examined, Margins, Measured, judged


def table(n, seed, *, shift=0.0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n) + shift
    score = 1 / (1 + np.exp(1.5 - x))
    return {
        "x": x,
        "city": rng.choice(["Bern", "Rome", "Oslo"], n),
        "is_new": rng.random(n) < 0.3,
        "when": np.datetime64("2025-01-01", "us") + rng.integers(0, 10**9, n),
        "y": (rng.random(n) < score).astype(int),
        "score": score,
    }


def answers(found):
    return {(one.column, one.kind): one.answer.value for one in found.columns}


def test_two_draws_of_one_population_are_shown_to_differ_trivially_at_most():
    found = stats.differ(table(20_000, 1), table(20_000, 2), outcome="y", score="score")
    assert found.answer is Answer.TRIVIAL
    assert set(answers(found).values()) == {"trivial"}
    assert {kind for _, kind in answers(found)} == {"feature", "rate", "score", "calibration", "error", "together"}


def test_a_shift_is_found_in_the_feature_and_in_what_follows_from_it_but_not_in_the_calibration():
    found = stats.differ(table(20_000, 1), table(20_000, 2, shift=0.4), outcome="y", score="score")
    said = answers(found)
    assert found.answer is Answer.DIFFERS
    assert [said["x", "feature"], said["score", "score"], said["y", "rate"], said["", "together"]] == ["differs"] * 4
    assert [said["city", "feature"], said["y | score", "calibration"]] == ["trivial"] * 2
    assert found.columns[0].column == "x"  # the farthest beyond its margin first
    assert all(one.advice for one in found.those(Answer.DIFFERS))


def test_another_rate_at_the_same_score_is_a_difference_of_calibration():
    a, b = table(30_000, 1), table(30_000, 2)
    b["y"] = (np.random.default_rng(3).random(30_000) < np.minimum(1, b["score"] * 1.3)).astype(int)
    said = answers(stats.differ(a, b, outcome="y", score="score"))
    assert said["y | score", "calibration"] == "differs"
    assert said["score", "score"] == "trivial"


def test_few_rows_cannot_tell_and_say_how_many_would():
    found = stats.differ(table(100, 1), table(100, 2))
    assert found.answer is Answer.CANNOT_TELL
    assert all(one.units_needed > 100 for one in found.those(Answer.CANNOT_TELL))


def test_so_many_rows_as_were_asked_for_do_tell():
    asked = stats.differ({"x": table(300, 1)["x"]}, {"x": table(300, 2)["x"]}).columns
    needed = max(one.units_needed for one in asked if one.kind == "feature")
    assert needed < 20_000
    again = stats.differ({"x": table(2 * needed, 3)["x"]}, {"x": table(2 * needed, 4)["x"]})
    assert answers(again)["x", "feature"] == "trivial"


def test_at_a_million_rows_what_is_significant_may_be_called_trivial():
    rng = np.random.default_rng(0)
    found = stats.differ({"x": rng.normal(size=1_000_000)}, {"x": rng.normal(0.01, 1, size=1_000_000)}, columns=["x"])
    (one,) = (one for one in found.columns if one.kind == "feature")
    assert one.p_value < 1e-6
    assert one.answer is Answer.TRIVIAL


def test_the_margin_decides_what_is_trivial():
    a, b = {"x": table(20_000, 1)["x"]}, {"x": table(20_000, 2, shift=0.3)["x"]}
    wide = Margins(hedges_g=0.5, superiority=0.2, distance=0.3, auc=0.2)
    assert stats.differ(a, b).answer is Answer.DIFFERS
    assert stats.differ(a, b, margins=wide).answer is Answer.TRIVIAL
    with pytest.raises(ValueError, match="must be above 0"):
        Margins(distance=0)


def test_columns_that_only_go_together_otherwise_are_told_apart_by_all_columns():
    rng = np.random.default_rng(0)
    x, y, z = rng.normal(size=(3, 8000))
    found = stats.differ({"p": x, "q": y}, {"p": z, "q": 0.7 * z + np.sqrt(0.51) * rng.normal(size=8000)})
    assert answers(found) == {("p", "feature"): "trivial", ("q", "feature"): "trivial", ("", "together"): "differs"}


def test_rows_of_few_units_are_little_evidence():
    rng = np.random.default_rng(0)
    unit_a, unit_b = np.repeat(np.arange(10), 500), np.repeat(np.arange(10, 20), 500)
    a, b = ({"x": rng.normal(size=20)[unit] + rng.normal(size=5000), "unit": unit} for unit in (unit_a, unit_b))
    blind = stats.differ(a, b, columns=["x"])
    aware = stats.differ(a, b, unit="unit")
    assert blind.answer is Answer.DIFFERS
    assert aware.answer is Answer.CANNOT_TELL
    assert aware.n_units == 20


def test_the_share_that_is_missing_is_compared_beside_the_values_that_are_there():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=20_000), rng.normal(size=20_000)
    b[rng.random(20_000) < 0.05] = np.nan
    (one,) = (one for one in stats.differ({"x": a}, {"x": b}).columns if one.kind == "feature")
    assert one.answer is Answer.DIFFERS
    assert one.measured[0].tested.effect.metric == "difference of missing shares"
    assert one.measured[0].tested.effect.value == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize(
    ("a", "b", "sentence"),
    [
        ({"x": [1.0, 2.0], "only": [1, 2]}, {"x": [1.0, 2.0]}, "only in A"),
        ({"x": [1.0, 2.0]}, {"x": ["1", "2"]}, "of another type: numbers in A, text in B"),
        ({"x": np.array(["2025-01-01"], "M8[D]")}, {"x": np.array([3.0])}, "of another type: times in A, numbers in B"),
    ],
)
def test_a_column_of_one_side_or_of_two_types_differs_and_says_why(a, b, sentence):
    found = stats.differ(a, b)
    assert found.answer is Answer.DIFFERS
    assert found.columns[0].sentence == sentence


@pytest.mark.parametrize("n", [0, 1])
def test_without_rows_nothing_is_shown(n):
    found = stats.differ({"x": np.zeros(n)}, {"x": np.zeros(500)})
    assert found.answer is Answer.CANNOT_TELL


def test_constants_infinities_and_columns_without_any_value_have_an_answer():
    n = 5000
    a = {"one": np.ones(n), "word": ["k"] * n, "inf": np.array([np.inf, -np.inf] * (n // 2)), "none": np.full(n, np.nan)}
    assert answers(stats.differ(a, a, columns=["one", "word", "inf"])) | {("", "together"): "x"} == {
        ("one", "feature"): "trivial",
        ("word", "feature"): "trivial",
        ("inf", "feature"): "trivial",
        ("", "together"): "x",
    }
    assert stats.differ(a, a, columns=["none"]).answer is Answer.CANNOT_TELL


def test_text_as_codes_is_compared_by_its_values_and_not_by_its_codes():
    a = Coded(codes=np.array([0, 1] * 5000), values=("x", "y"))
    b = Coded(codes=np.array([1, 0] * 5000), values=("y", "x"))
    assert stats.differ({"c": a}, {"c": b}, columns=["c"]).columns[0].answer is Answer.TRIVIAL
    other = Coded(codes=np.array([1, 0] * 5000), values=("y", "z"))
    assert stats.differ({"c": a}, {"c": other}, columns=["c"]).answer is Answer.DIFFERS


def test_pandas_like_text_with_missing_values_is_text():
    given = np.array(["x", None, "y", "x"] * 500, dtype=object)
    assert answers(stats.differ({"c": given}, {"c": given}))["c", "feature"] in ("trivial", "cannot tell")


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: stats.differ({"x": [1]}, {"x": [1]}, columns=["z"]), "no column 'z' on either side"),
        (lambda: stats.differ({"x": [1], "u": [1]}, {"x": [1]}, unit="u"), "on one side only"),
        (lambda: stats.differ({}, {}), "no column to compare"),
        (lambda: stats.differ({"x": [1, 2], "y": [1]}, {"x": [1], "y": [1]}), "rows, others"),
        (lambda: stats.differ({"x": [1.0]}, {"x": [1.0]}, level=1.5), "level"),
    ],
)
def test_a_call_that_makes_no_sense_raises(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_the_same_seed_gives_the_same_record():
    a, b = table(3000, 1), table(3000, 2)
    assert stats.differ(a, b, seed=4) == stats.differ(a, b, seed=4)


def test_p_values_of_many_columns_are_adjusted_for_how_many_were_looked_at():
    rng = np.random.default_rng(0)
    a, b = ({f"x{i}": rng.normal(size=400) for i in range(30)} for _ in range(2))
    found = stats.differ(a, b)
    assert min(one.p_value for one in found.columns) > 0.05
    assert not found.those(Answer.DIFFERS)


def test_an_effect_beyond_its_margin_that_may_be_chance_among_many_cannot_be_told():
    tested = stats.fisher(np.arange(60) < 3, np.arange(60) < 16)
    one = Examined(column="x", kind="feature", measured=(Measured(tested=tested, null=0.0, margin=0.001),), n_units=60)
    assert one.measured[0].answer is Answer.DIFFERS
    assert judged([one], level=0.95)[0].answer is Answer.DIFFERS
    assert all(found.answer is Answer.CANNOT_TELL for found in judged([one] * 1000, level=0.95))


@pytest.mark.parametrize("name", [claim.name for claim in CLAIMS if claim.kind == "promise"])
def test_in_worlds_whose_truth_is_known_the_answer_is_seldom_wrong(name):
    number = next(i for i, claim in enumerate(CLAIMS) if claim.name == name)
    assert simulate("populations", number, worlds=60).holds


def test_a_column_that_is_missing_in_all_of_one_side_differs_by_unit_too():
    rng = np.random.default_rng(0)
    unit, x = np.arange(600) // 10, rng.normal(size=600)
    found = stats.differ({"x": x, "unit": unit}, {"x": np.full(600, np.nan), "unit": unit + 100}, unit="unit")
    assert [(one.column, one.answer) for one in found.columns] == [("x", Answer.DIFFERS)]
    assert found.columns[0].measured[0].tested.effect.metric == "difference of missing shares"


def test_codes_of_nothing_but_missing_values_are_of_any_type():
    nothing = Coded(codes=np.full(500, -1), values=())
    (found,) = stats.differ({"x": np.arange(500.0)}, {"x": nothing}).columns
    assert found.kind == "feature"
    assert found.answer is Answer.DIFFERS


def test_pandas_own_missing_value_is_missing():
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame({"text": pd.array(["a", None, "b"] * 50, dtype="string"), "flag": pd.array([True, None, False] * 50)})
    metrics = {m.tested.effect.metric for one in stats.differ(table, table).columns for m in one.measured}
    assert "difference of missing shares" in metrics
