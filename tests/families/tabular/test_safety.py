"""A model executes nothing when it is read, costs serving little, and does not depend on the machine's threads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from gonogo.families.tabular import FAMILY
from gonogo.families.tabular.boosted import XGBoost
from gonogo.families.tabular.calibrated import CalibratedModel
from gonogo.families.tabular.logistic import LogisticRegression
from gonogo.stats.calibration import Isotonic
from gonogo.types.protocols import Model
from tests.contracts.model_suite import read_folder
from tests.families.tabular.worlds import world

EASY = world()
LEARNERS = {"logistic_regression": LogisticRegression(), "xgboost": XGBoost(n_rounds=20, max_depth=3)}
ROOT = Path(__file__).parents[3]


def calibrated(name: str) -> Model:
    model = LEARNERS[name].fit(EASY.train, EASY.validate, inputs=EASY.inputs, seed=1, threads=1, budget_s=None)
    return CalibratedModel(model, Isotonic(scores=(0.1, 0.9), probabilities=(0.2, 0.8)))


def run(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], check=False, capture_output=True, text=True, cwd=ROOT, env={**os.environ, **environment}
    )


@pytest.mark.parametrize("name", LEARNERS)
def test_a_model_is_read_and_answers_where_unpickling_is_impossible(name: str, tmp_path: Path) -> None:
    calibrated(name).save(tmp_path / "model")
    pq.write_table(EASY.test.inputs, tmp_path / "inputs.parquet")
    code = """
import pickle, sys
from pathlib import Path
def blocked(*args, **kwargs):
    raise SystemExit("something was unpickled")
class Blocked:
    __init__ = blocked
from gonogo.families.registry import find
family = find("tabular")
import pyarrow.parquet as pq, numpy
try:
    import xgboost, cloudpickle
    cloudpickle.load = cloudpickle.loads = blocked
except ImportError:
    pass
pickle.load = pickle.loads = pickle._load = pickle._loads = blocked
pickle.Unpickler = pickle._Unpickler = Blocked
numpy.load = blocked
folder = Path(sys.argv[1])
family.load(folder / "model").predict(pq.read_table(folder / "inputs.parquet"))
print("answered")
"""
    done = run(code, str(tmp_path))
    assert done.stdout.strip() == "answered", done.stderr


def test_a_logistic_model_answers_without_any_learning_package(tmp_path: Path) -> None:
    calibrated("logistic_regression").save(tmp_path / "model")
    pq.write_table(EASY.test.inputs, tmp_path / "inputs.parquet")
    code = """
import sys
from pathlib import Path
import pyarrow.parquet as pq
from gonogo.families.registry import find
folder = Path(sys.argv[1])
find("tabular").load(folder / "model").predict(pq.read_table(folder / "inputs.parquet"))
print(sorted({"sklearn", "xgboost", "numba", "scipy"} & set(sys.modules)))
"""
    assert run(code, str(tmp_path)).stdout.strip() == "[]"


def test_threads_of_the_machine_and_its_libraries_do_not_show_in_the_bytes(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from tests.families.tabular.test_safety import EASY, FAMILY, LEARNERS
for name, learner in LEARNERS.items():
    model = learner.fit(EASY.train, EASY.validate, inputs=EASY.inputs, seed=1, threads=int(sys.argv[2]), budget_s=None)
    FAMILY.refine(model, EASY.validate, 0).model.save(Path(sys.argv[1]) / name)
"""
    for threads in ("1", "2"):
        done = run(code, str(tmp_path / threads), threads, OPENBLAS_NUM_THREADS=threads, OMP_NUM_THREADS=threads, NUMBA_NUM_THREADS=threads)
        assert done.returncode == 0, done.stderr
    for name in LEARNERS:
        assert read_folder(tmp_path / "1" / name) == read_folder(tmp_path / "2" / name)


def test_every_name_of_the_family_is_loadable() -> None:
    assert set(FAMILY.learners) == {"prior_rate", "logistic_regression", "xgboost"}
    assert FAMILY.baseline in FAMILY.learners
