"""How do saved trees become tables that a kernel walks through?

Only what is known exactly is taken: one output, plain numeric splits, leaves that are added up to log-odds. For anything else there is no
answer here, and the library that grew the trees gives it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gonogo.families.tabular.tree_kernel import DEEPEST_PADDED, MODEL, kernel
from gonogo.families.tabular.ubjson import read_ubjson
from gonogo.types.errors import ArtifactRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gonogo.families.tabular.tree_kernel import Kernel
    from gonogo.types.evidence import Array, IntArray

_WIDEST = (2**16 - 2) // 2  # columns, each of which stands twice in a row of which 16 bits name a place
_WHOLE = ("left_children", "right_children", "default_left", "split_indices", "split_type")


@dataclass(frozen=True, kw_only=True, slots=True)
class Nodes:
    """All nodes of all trees behind one another."""

    roots: IntArray  # (trees,) where each tree begins
    left: IntArray  # (nodes,) place of the left child, the right one stands behind it; a leaf's is its own
    is_leaf: NDArray[np.bool_]
    nulls_left: NDArray[np.bool_]
    column: IntArray
    value: NDArray[np.float32]  # the threshold from which on a row goes right; of a leaf: what it adds
    base: float  # the sum begins with it
    n_columns: int


class FlatTrees:
    """Σ leaves of a row, with the bits of the library that grew the trees."""

    def __init__(self, nodes: Nodes, *, fills: Array, refused: NDArray[np.bool_], indicated: IntArray) -> None:
        """fills: (inputs,) what stands in for null, NaN: nothing; refused: (inputs,) where no null may be; indicated: places of inputs."""
        depth = _depth(nodes)
        self._kernel: Kernel = kernel(depth if depth <= DEEPEST_PADDED else None)
        tables = _padded(nodes, depth) if depth <= DEEPEST_PADDED else _linked(nodes)
        self._arrays = {  # kept alive: the kernel knows their addresses only
            **tables,
            "fills": np.ascontiguousarray(fills, np.float64),
            "refused": np.ascontiguousarray(refused, np.int8),
            "indicated": np.ascontiguousarray(indicated, np.int32),
        }
        numbers = {"n_trees": len(nodes.roots), "n_inputs": len(fills), "n_indicated": len(indicated)}
        self._model = np.array([self._address(name) or numbers.get(name, 0) for name in MODEL], dtype=np.int64)
        self._model[MODEL.index("base") :].view(np.float64)[0] = nodes.base
        self._at = self._model.ctypes.data
        self.n_inputs = len(fills)
        self._score = self._kernel.score

    def _address(self, name: str) -> int:
        return int(self._arrays[name].ctypes.data) if name in self._arrays else 0

    @property
    def bare(self) -> tuple[Callable[[bytes, int], float], int]:
        """`log_odds` as a function of the values and of the address that it is given second. The address holds as long as this does."""
        return self._score, self._at

    def log_odds(self, values: bytes) -> float:
        """Of one row of float64, NaN for null. NaN where a value is infinite or a null is refused."""
        return self._score(values, self._at)

    def log_odds_of_rows(self, values: bytes, n_rows: int) -> list[float]:
        """Of each row of a matrix, with the bits that it has alone."""
        answers = np.empty(n_rows)
        self._kernel.score_rows(values, n_rows, answers.ctypes.data, self._at)
        found: list[float] = answers.tolist()
        return found


def read_nodes(data: bytes, *, n_columns: int) -> Nodes | None:
    """The trees that XGBoost saved as UBJ; None where their kind is not known exactly. Raises ArtifactRefused for a broken file."""
    try:
        return _nodes(read_ubjson(data)["learner"], n_columns)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise ArtifactRefused(
            "these trees cannot be read", found=f"{type(error).__name__}: {error}", expected="what XGBoost saves"
        ) from error


def _nodes(learner: Any, n_columns: int) -> Nodes | None:
    booster, param = learner["gradient_booster"], learner["learner_model_param"]
    is_plain = booster["name"] == "gbtree" and learner["objective"]["name"] == "binary:logistic"
    if not is_plain or int(param["num_class"]) > 1 or int(param.get("num_target", "1")) != 1 or int(param["num_feature"]) != n_columns:
        return None
    trees = booster["model"]["trees"]
    if (
        not trees
        or n_columns > _WIDEST
        or any(len(tree["categories"]) or int(tree["tree_param"]["size_leaf_vector"]) > 1 for tree in trees)
    ):
        return None
    sizes = np.array([len(tree["left_children"]) for tree in trees])
    if not sizes.all():
        return None
    roots = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    left, right, default_left, column, kind = (_joined(trees, name, sizes, "iu") for name in _WHOLE)
    value = _joined(trees, "split_conditions", sizes, "f")
    first = np.repeat(roots, sizes)
    is_leaf = left == -1
    nodes = Nodes(
        roots=roots,
        left=np.where(is_leaf, np.arange(len(left)), left.astype(np.int64) + first),
        is_leaf=is_leaf,
        nulls_left=default_left != 0,
        column=np.where(is_leaf, 0, column).astype(np.int64),
        value=value.astype(np.float32),
        base=_base(param["base_score"]),
        n_columns=n_columns,
    )
    pairs = is_leaf | (right == left + 1)
    known = pairs.all() and not kind[~is_leaf].any() and np.isfinite(nodes.value).all() and math.isfinite(nodes.base)
    return nodes if known and _is_forest(nodes, sizes) else None


def _joined(trees: list[Any], name: str, sizes: IntArray, kinds: str) -> NDArray[Any]:
    """One value of every node. Raises ValueError where a tree holds another number or another kind of them, by their letters."""
    arrays = [tree[name] for tree in trees]
    if any(len(array) != size or array.dtype.kind not in kinds for array, size in zip(arrays, sizes.tolist(), strict=True)):
        raise ValueError(f"{name} is not one number a node")
    return np.concatenate(arrays)


def _is_forest(nodes: Nodes, sizes: IntArray) -> bool:
    """Children stand behind their parents and within their tree, and columns are there: a walk ends, and stays inside the tables."""
    first = np.repeat(nodes.roots, sizes)
    place = np.arange(len(nodes.left))
    inner = ~nodes.is_leaf
    inside = (nodes.left > place) & (nodes.left + 1 < first + np.repeat(sizes, sizes))
    return bool(inside[inner].all() and (nodes.column >= 0).all() and (nodes.column < nodes.n_columns).all())


def _base(text: str) -> float:
    """The log-odds of the base score, which is saved as a probability: in float32, as XGBoost computes it."""
    p = np.float32(text.strip("[]"))
    with np.errstate(divide="ignore"):
        return float(np.float32(-math.log(np.float32(1) / p - np.float32(1)))) if 0 < p < 1 else math.nan


def _depth(nodes: Nodes) -> int:
    """Steps from a root to the leaf that is farthest, at least 1."""
    at, depth = nodes.roots, 0
    while not nodes.is_leaf[at].all():
        inner = at[~nodes.is_leaf[at]]
        at, depth = np.concatenate([nodes.left[inner], nodes.left[inner] + 1]), depth + 1
    return max(depth, 1)


def _slots(nodes: Nodes) -> NDArray[np.uint16]:
    """(nodes,) which value of the doubled row a node looks at; a leaf at the NaN behind them all."""
    slots = np.where(nodes.nulls_left, nodes.column, nodes.column + nodes.n_columns)
    return np.where(nodes.is_leaf, 2 * nodes.n_columns, slots).astype(np.uint16)


def _padded(nodes: Nodes, depth: int) -> dict[str, NDArray[Any]]:
    """Tables of 2^depth places a tree: the children of node i are 2i and 2i + 1, the root is 1, and place 0 is empty."""
    shape = (len(nodes.roots), 2**depth)
    thresholds, features, slots = np.zeros(shape, np.float32), np.zeros(shape, np.uint16), _slots(nodes)
    at = nodes.roots[:, None]
    for level in range(depth):
        here = slice(2**level, 2 ** (level + 1))
        thresholds[:, here], features[:, here] = nodes.value[at], slots[at]
        right = np.where(nodes.is_leaf[at], at, nodes.left[at] + 1)  # a leaf's padding never goes right
        at = np.stack([nodes.left[at], right], axis=2).reshape(shape[0], -1)
    return {"thresholds": thresholds, "features": features, "leaves": nodes.value[at]}


def _linked(nodes: Nodes) -> dict[str, NDArray[Any]]:
    """Tables of all nodes, and how many steps each tree takes at most."""
    steps = np.zeros(len(nodes.left), np.int32)  # of each node, from its root; parents stand before their children
    for place in np.flatnonzero(~nodes.is_leaf):
        steps[nodes.left[place] : nodes.left[place] + 2] = steps[place] + 1
    return {
        "thresholds": nodes.value,
        "features": _slots(nodes),
        "children": nodes.left.astype(np.int32),
        "leaves": nodes.roots.astype(np.int32),
        "steps": np.maximum.reduceat(steps, nodes.roots).astype(np.int32),
    }
