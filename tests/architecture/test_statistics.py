"""The statistics as a package of their own: light, whole, and without SciPy where a verdict needs them."""

from __future__ import annotations

import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.workflow.worlds import build

from gonogo import stats

WITHOUT_SCIPY = """
import importlib.abc, sys

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "scipy":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
"""
FIGURES = ("roc_auc", "average_precision", "log_loss", "brier_score", "expected_calibration_error", "ndcg")


@pytest.mark.parametrize("name", stats.__all__)
def test_every_public_name_is_there_and_says_what_it_is(name: str) -> None:
    assert inspect.getdoc(getattr(stats, name))


def test_no_module_hides_a_public_name() -> None:
    # Once imported, a module is an attribute of its package: one of that name would stand where the function should.
    modules = {module.name for module in pkgutil.iter_modules(stats.__path__)}
    assert not modules & set(stats.__all__)


def test_the_statistics_import_nothing_until_they_are_used() -> None:
    code = "import sys; from gonogo import stats; dir(stats); print({'numpy', 'numba', 'scipy', 'pyarrow'} & set(sys.modules))"
    assert _run(code) == "set()"


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_asked_alike(name: str) -> None:
    asked = inspect.signature(getattr(stats, name)).parameters
    assert list(asked)[:2] == ["y", "score"]
    assert {k: asked[k].default for k in ("weight", "unit", "level", "seed")} == {"weight": None, "unit": None, "level": 0.95, "seed": 0}
    assert all(asked[k].kind is inspect.Parameter.KEYWORD_ONLY for k in list(asked)[2:])


def test_figures_comparisons_and_power_need_no_scipy() -> None:
    code = f"""{WITHOUT_SCIPY}
import numpy as np
from gonogo import stats
rng = np.random.default_rng(0)
p = rng.uniform(size=4000)
y = (rng.uniform(size=4000) < p).astype(float)
query = np.arange(4000) // 10
for name in {FIGURES!r}:
    found = getattr(stats, name)(y, p, **({{"query": query}} if name == "ndcg" else {{}}))
    assert found.value is not None, found
difference = stats.compare(y, p, np.sqrt(p), metric="log_loss")
assert difference.value is not None
assert "could have seen" in stats.could_have_seen(difference)
assert stats.mcnemar(y, p >= 0.5, np.sqrt(p) >= 0.5).p_value is not None
assert stats.calibration_test(y, p).p_value is not None
assert len(stats.by_slice(y, p, {{"a": query % 7}}).estimates) > 0
print("done")
"""
    assert _run(code) == "done"


def test_what_needs_scipy_says_how_to_get_it() -> None:
    code = f"""{WITHOUT_SCIPY}
import numpy as np
from gonogo import stats
try:
    stats.fisher(np.arange(50) < 3, np.arange(60) < 9)
except Exception as error:
    print(error)
"""
    assert "pip install 'gonogo[stats]'" in _run(code)


def test_a_whole_verdict_needs_no_scipy(tmp_path: Path) -> None:
    folder = build(tmp_path)
    code = f"{WITHOUT_SCIPY}\nimport gonogo\nprint(gonogo.run({str(folder)!r}).verdict.status.value)"
    assert _run(code) in {"pass", "fail", "inconclusive"}


def _run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
