"""Trees are read from XGBoost's own file, and only where every part of it is known."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import xgboost as xgb

from gonogo.families.tabular.flat_trees import FlatTrees, read_nodes
from gonogo.families.tabular.tree_kernel import source
from gonogo.families.tabular.ubjson import read_ubjson
from gonogo.types.errors import ArtifactRefused

RNG = np.random.default_rng(1)
X = RNG.normal(size=(600, 3))
X[RNG.random(X.shape) < 0.1] = np.nan
Y = (np.nan_to_num(X[:, 0]) + np.nan_to_num(X[:, 1]) > 0).astype(float)


def grown(rounds: int = 5, **params: Any) -> xgb.Booster:
    return xgb.train({"objective": "binary:logistic", "max_depth": 3, "nthread": 1, **params}, xgb.DMatrix(X, Y), rounds)


def bytes_of(booster: xgb.Booster) -> bytes:
    return bytes(booster.save_raw("ubj"))


def flat(data: bytes, n: int = 3) -> FlatTrees | None:
    nodes = read_nodes(data, n_columns=n)
    return nodes and FlatTrees(nodes, fills=np.full(n, np.nan), refused=np.zeros(n, bool), indicated=np.zeros(0, np.int64))


def plain(value: Any) -> Any:
    """Arrays as lists, numbers as float32 shows them."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list | np.ndarray):
        return [plain(each) for each in (value.tolist() if isinstance(value, np.ndarray) else value)]
    return float(np.float32(value)) if isinstance(value, float | int) and not isinstance(value, bool) else value


def test_the_binary_form_holds_what_the_json_form_holds() -> None:
    booster = grown()
    assert plain(read_ubjson(bytes_of(booster))) == plain(json.loads(booster.save_raw("json")))


def test_no_cut_of_the_file_is_read() -> None:
    data = bytes_of(grown(1))
    for end in range(len(data)):
        with pytest.raises(ArtifactRefused):
            read_nodes(data[:end], n_columns=3)
    with pytest.raises(ArtifactRefused, match="no universal binary JSON"):
        read_ubjson(data + b"Z")


def test_a_file_that_was_changed_anywhere_is_refused_or_read_but_never_leads_outside_of_its_tables() -> None:
    data = bytes_of(grown(2))
    rows = X[:50].tobytes()
    for at in RNG.integers(0, len(data), 1000):
        changed = bytearray(data)
        changed[at] ^= 1 << int(RNG.integers(8))
        try:
            trees = flat(bytes(changed))
        except ArtifactRefused:
            continue
        if trees is not None:
            assert len(trees.log_odds_of_rows(rows, 50)) == 50


def test_bytes_that_nest_without_end_or_promise_too_much_are_refused() -> None:
    for data in (
        b"[" * 10_000,
        b"[$U#L" + b"\x7f" + b"\xff" * 7,
        b"SL" + b"\xff" * 8,
        b"{i\x01aX}",
        b"N",
        b"",
        b"[$S#i\x01",
        b"Si\x02\xff\xff",
    ):
        with pytest.raises(ArtifactRefused):
            read_ubjson(data)


@pytest.mark.parametrize(
    "params",
    [{"objective": "reg:squarederror"}, {"booster": "dart"}, {"objective": "multi:softprob", "num_class": 2}],
)
def test_trees_that_are_added_up_in_another_way_are_left_to_xgboost(params: dict[str, Any]) -> None:
    assert flat(bytes_of(grown(**params))) is None


def test_splits_by_category_are_left_to_xgboost() -> None:
    matrix = xgb.DMatrix(np.column_stack([RNG.integers(0, 9, 600), X[:, 0]]), Y, feature_types=["c", "q"], enable_categorical=True)
    booster = xgb.train({"objective": "binary:logistic", "tree_method": "hist", "max_cat_to_onehot": 1, "nthread": 1}, matrix, 5)
    assert read_nodes(bytes_of(booster), n_columns=2) is None


def test_trees_of_another_number_of_columns_are_left_to_xgboost() -> None:
    assert read_nodes(bytes_of(grown()), n_columns=4) is None


def test_a_single_leaf_is_a_tree() -> None:
    booster = grown(2, gamma=1e9)
    trees = flat(bytes_of(booster))
    assert trees is not None
    ours = trees.log_odds_of_rows(X.tobytes(), len(X))
    assert (np.array(ours, np.float32) == booster.inplace_predict(X, predict_type="margin")).all()


@pytest.mark.parametrize("base", [0.5, 0.01, 0.999, 1e-6])
@pytest.mark.parametrize("depth", [3, 10])
def test_sums_begin_with_the_base_score_and_have_the_bits_of_xgboost(base: float, depth: int) -> None:
    booster = grown(20, base_score=base, max_depth=depth, min_child_weight=0)
    trees = flat(bytes_of(booster))
    assert trees is not None
    ours = trees.log_odds_of_rows(X.tobytes(), len(X))
    assert (np.array(ours, np.float32) == booster.inplace_predict(X, predict_type="margin")).all()
    assert [trees.log_odds(row.tobytes()) for row in X] == ours


def test_the_kernel_of_each_depth_takes_as_many_steps() -> None:
    assert [source(depth).count("fcmp oge") for depth in (1, 4, 8)] == [1, 4, 8]
