"""A saved model answers single rows as `predict` answers tables, and needs none of the libraries that trained it."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from gonogo.families.registry import find_scorer
from gonogo.families.tabular import FAMILY, boosted
from gonogo.families.tabular.bends import CALIBRATION_FILE, SliceShifts, Stored
from gonogo.families.tabular.boosted import BoostedModel, XGBoost
from gonogo.families.tabular.by_slice import ShiftedModel
from gonogo.families.tabular.calibrated import CalibratedModel
from gonogo.families.tabular.logistic import LogisticRegression
from gonogo.families.tabular.prior import PriorRate
from gonogo.families.tabular.scorer import RowScorer, open_scorer
from gonogo.stats.calibration import Beta, Isotonic, Platt, Temperature
from gonogo.stats.imbalance import PriorCorrection
from gonogo.types.errors import ArtifactRefused, ColumnMissing, ColumnMistyped, DataError
from gonogo.types.protocols import Model
from gonogo.types.snapshot import Input, Kind, Missing
from tests.contracts.learner_suite import World
from tests.contracts.scorer_suite import check_refusal, check_scorer, rows_of
from tests.families.tabular.worlds import world

EASY = world()
TREES = XGBoost(n_rounds=40, max_depth=6)
ROW = {"x0": 0.5, "x1": None, "x2": -1.0, "x3": 2, "k": "b"}


def fitted(learner: XGBoost | LogisticRegression | PriorRate, of: World = EASY, inputs: tuple[Input, ...] | None = None) -> Model:
    return learner.fit(of.train, of.validate, inputs=inputs or of.inputs, seed=1, threads=1, budget_s=None)


def saved(model: Model, folder: Path) -> RowScorer:
    model.save(folder)
    scorer = open_scorer(folder)
    assert scorer is not None
    return scorer


@pytest.fixture(scope="module")
def trees() -> Model:
    return fitted(TREES)


def many_rows(n: int = 10_000, *, seed: int = 3) -> pa.Table:
    """Rows as nobody draws them: nulls, unknown categories, and numbers far outside of train."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4)) * rng.choice([1.0, 1e-30, 1e6, 1e300], size=(n, 4), p=[0.91, 0.03, 0.03, 0.03])
    x[:, 1:][rng.random((n, 3)) < 0.2] = np.nan
    k = rng.choice(np.array(["a", "b", "c", "d", "e", "f", "new", "", None], dtype=object), n)
    return pa.table({f"x{i}": pa.array(x[:, i], from_pandas=True) for i in range(4)} | {"k": pa.array(k, pa.string())})


@pytest.mark.parametrize("depth", [1, 2, 6, 8, 9, 14])
def test_trees_of_any_depth_say_what_xgboost_says(depth: int, tmp_path: Path) -> None:
    model = fitted(XGBoost(n_rounds=25, max_depth=depth, min_child_weight=0.0, early_stopping_rounds=0))
    check_scorer(saved(model, tmp_path), model, many_rows(2000))


def test_five_hundred_trees_say_what_xgboost_says_on_ten_thousand_rows(tmp_path: Path) -> None:
    model = fitted(XGBoost(n_rounds=500, early_stopping_rounds=0))
    check_scorer(saved(model, tmp_path), model, many_rows())


def test_log_odds_have_the_bits_of_xgboost(trees: Model, tmp_path: Path) -> None:
    scorer, table = saved(trees, tmp_path), many_rows()
    assert isinstance(trees, BoostedModel)
    matrix = trees._header.inputs.columns(trees._header.inputs.codec.encode(table))
    theirs = trees._booster.inplace_predict(matrix, predict_type="margin", validate_features=False)
    rows = rows_of(table, [one.name for one in scorer.inputs])
    part = open_scorer(tmp_path)._probability.__self__  # type: ignore[union-attr]
    ours = np.array(part._trees.log_odds_of_rows(part._codec.encode_rows(rows), len(rows)))
    assert (ours.astype(np.float32) == theirs).all()


def test_a_value_at_a_threshold_goes_right_as_float32_does(trees: Model, tmp_path: Path) -> None:
    scorer = saved(trees, tmp_path)
    from gonogo.families.tabular.flat_trees import read_nodes

    header, data = boosted.read_trees(tmp_path)
    nodes = read_nodes(data, n_columns=len(header.inputs.names))
    assert nodes is not None
    at = nodes.value[~nodes.is_leaf & (nodes.column == 3)].astype(np.float64)
    near = np.concatenate([at, np.nextafter(at, -np.inf), np.nextafter(at, np.inf)])  # doubles that float32 rounds to the threshold
    n = len(near)
    table = pa.table({"x0": np.zeros(n), "x1": np.zeros(n), "x2": np.zeros(n), "x3": near, "k": pa.array(["a"] * n)})
    check_scorer(scorer, trees, table)


def test_every_policy_for_nulls_is_kept(tmp_path: Path) -> None:
    for number, missing in enumerate((Missing.NATIVE, Missing.INDICATE)):
        inputs = tuple(dataclasses.replace(one, missing=Missing.REFUSE if one.name == "x0" else missing) for one in EASY.inputs)
        for learner in (TREES, LogisticRegression()):
            model = fitted(learner, inputs=inputs)
            check_scorer(saved(model, tmp_path / f"{number}{type(learner).__name__}"), model, many_rows(400))


@pytest.mark.parametrize("learner", [LogisticRegression(), LogisticRegression(positive_weight=5.0, min_category_rows=300), PriorRate()])
def test_other_learners_say_what_they_say(learner: LogisticRegression | PriorRate, tmp_path: Path) -> None:
    model = fitted(learner)
    check_scorer(saved(model, tmp_path), model, many_rows(2000))


@pytest.mark.parametrize(
    "bend",
    [
        Platt(slope=1.3, intercept=-0.2),
        Platt(slope=-0.5, intercept=0.1),
        Temperature(temperature=1.7),
        Beta(a=0.8, b=1.4, c=0.3),
        Isotonic(scores=(0.1, 0.3, 0.30001, 0.8), probabilities=(0.02, 0.3, 0.5, 0.95)),
        Isotonic(scores=(0.4,), probabilities=(0.5,)),
        PriorCorrection(shift=-2.5),
    ],
    ids=repr,
)
@pytest.mark.parametrize("shifted", [False, True])
def test_recalibrations_and_shifts_bend_a_row_as_they_bend_a_table(bend: Stored, shifted: bool, trees: Model, tmp_path: Path) -> None:
    model: Model = CalibratedModel(trees, bend)
    if shifted:
        model = ShiftedModel(model, SliceShifts(column="k", values=("a", "c"), shifts=(0.7, -1.1)))
    check_scorer(saved(model, tmp_path), model, many_rows(500))


def test_categories_that_are_numbers_or_truths_count_as_their_text(tmp_path: Path) -> None:
    for number, values in enumerate(([1, 2, 3, None], [True, False, None, True])):
        columns = EASY.train.inputs.set_column(4, "k", pa.array(values * (EASY.train.inputs.num_rows // 4)))
        train = dataclasses.replace(EASY.train, inputs=columns)
        model = TREES.fit(train, train, inputs=EASY.inputs, seed=1, threads=1, budget_s=None)
        shifted = ShiftedModel(model, SliceShifts(column="k", values=("1", "true"), shifts=(0.4, 0.4)))
        check_scorer(saved(shifted, tmp_path / str(number)), shifted, columns)


@pytest.mark.parametrize("learner", [TREES, LogisticRegression()], ids=["trees", "logistic"])
def test_what_the_model_refuses_the_scorer_refuses(learner: XGBoost | LogisticRegression, tmp_path: Path) -> None:
    inputs = tuple(dataclasses.replace(one, missing=Missing.REFUSE) if one.kind is Kind.CATEGORY else one for one in EASY.inputs)
    keep = pa.array([value is not None for value in EASY.train.inputs.column("k").to_pylist()])
    train = dataclasses.replace(EASY.train, inputs=EASY.train.inputs.filter(keep), outcomes=EASY.train.outcomes.filter(keep))
    model = learner.fit(train, train, inputs=inputs, seed=1, threads=1, budget_s=None)
    scorer = saved(model, tmp_path)
    assert scorer.score(tuple(ROW.values()))
    for wrong, told in (
        ({"x0": None}, "'x0' is null"),
        ({"k": None}, "'k' is null"),
        ({"x3": float("inf")}, "'x3' are infinite"),
        ({"x1": float("-inf")}, "'x1' are infinite"),
    ):
        row = {**ROW, **wrong}
        table = pa.table({name: pa.array([value], pa.string() if name == "k" else pa.float64()) for name, value in row.items()})
        assert told in str(check_refusal(scorer, model, tuple(row.values()), table))


@pytest.mark.parametrize(("name", "value"), [("x3", "2"), ("x3", [1]), ("k", 1.5), ("k", b"a")])
def test_a_value_of_a_wrong_type_is_refused_by_its_name(name: str, value: object, trees: Model, tmp_path: Path) -> None:
    with pytest.raises(ColumnMistyped, match=f"'{name}' has the wrong type"):
        saved(trees, tmp_path).score(tuple({**ROW, name: value}.values()))


def test_a_row_of_another_length_is_refused(trees: Model, tmp_path: Path) -> None:
    scorer = saved(trees, tmp_path)
    for row in ((0.5,), (*ROW.values(), 1.0), ()):
        with pytest.raises(ColumnMissing, match="for 5 inputs"):
            scorer.score(row)


def test_nan_is_null_and_a_refused_row_among_others_refuses_all(trees: Model, tmp_path: Path) -> None:
    scorer = saved(trees, tmp_path)
    usual = tuple(ROW.values())
    assert scorer.score(usual) == scorer.score((0.5, float("nan"), *usual[2:]))
    with pytest.raises(DataError, match="'x0' is null"):
        scorer.score_rows([usual, (float("nan"), *usual[1:])])


def test_a_column_of_the_shifts_that_is_no_input_leaves_the_answer_to_the_model(trees: Model, tmp_path: Path) -> None:
    ShiftedModel(trees, SliceShifts(column="gate", values=("a",), shifts=(1.0,))).save(tmp_path)
    assert open_scorer(tmp_path) is None


def test_a_model_of_an_unknown_kind_is_left_to_its_family_and_a_broken_one_is_refused(trees: Model, tmp_path: Path) -> None:
    trees.save(tmp_path)
    whole = json.loads((tmp_path / "model.json").read_bytes())
    (tmp_path / "model.json").write_text(json.dumps({**whole, "kind": "forest"}))
    assert open_scorer(tmp_path) is None
    (tmp_path / "model.json").write_text(json.dumps(whole))
    (tmp_path / CALIBRATION_FILE).write_text(json.dumps({"format": 1, "kind": "spline", "record": {}}))
    with pytest.raises(ArtifactRefused, match="recalibration is not known"):
        open_scorer(tmp_path)


def test_the_family_offers_the_same_scorer_as_its_package() -> None:
    assert FAMILY.scorer is open_scorer is find_scorer("tabular")


def test_a_server_that_scores_imports_no_library_that_trains(trees: Model, tmp_path: Path) -> None:
    trees.save(tmp_path)
    code = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from gonogo.families.registry import find_scorer
scorer = find_scorer("tabular")(Path(sys.argv[1]))
assert 0 < scorer.score((0.5, None, -1.0, 2, "b"))[0] < 1
print(*sorted({"xgboost", "sklearn", "scipy", "pandas", "pyarrow", "duckdb", "numba"} & set(sys.modules)))
"""
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout.strip(), ended.stderr) == (0, "", "")


def test_threads_may_share_a_scorer(trees: Model, tmp_path: Path) -> None:
    scorer = saved(trees, tmp_path)
    rows = rows_of(many_rows(300), [one.name for one in scorer.inputs])
    alone = [scorer.score(row) for row in rows]
    with ThreadPoolExecutor(4) as threads:
        for found in threads.map(lambda i: [scorer.score(row) for row in rows] if i % 2 else scorer.score_rows(rows), range(40)):
            assert found == alone
