"""Is the house built as the design says?"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "gonogo"
FILES = sorted(SOURCE.rglob("*.py"))
FAMILIES = ("tabular", "recommender", "bandit", "language")


def name(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


@pytest.mark.parametrize("path", [p for p in FILES if "families" not in p.parts], ids=name)
def test_no_family_is_named_outside_families(path):
    code = _without_docstrings(path)
    assert not re.findall(rf"\b({'|'.join(FAMILIES)})\b", code)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_nothing_imports_a_pickle(path):
    modules = {n.split(".")[0] for n in _imports(path)}
    assert not modules & {"pickle", "cloudpickle", "joblib", "dill", "marshal", "shelve"}


def test_families_do_not_know_one_another():
    for path in (SOURCE / "families").rglob("*.py"):
        own = path.relative_to(SOURCE / "families").parts[0]
        others = {f for f in FAMILIES if f != own}
        assert not {n for n in _imports(path) if n.startswith("gonogo.families.") and n.split(".")[2] in others}


@pytest.mark.parametrize("path", FILES, ids=name)
def test_every_module_says_which_question_it_answers(path):
    assert ast.get_docstring(ast.parse(path.read_text()))


def test_importing_gonogo_loads_no_heavy_library():
    heavy = {"numpy", "pyarrow", "duckdb", "numba", "sklearn", "xgboost", "jinja2", "scipy", "pandas", "polars"}
    code = f"import sys, gonogo; print(sorted(set(sys.modules) & {heavy!r}))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_the_public_names_are_few_and_all_there():
    import gonogo

    assert len(gonogo.__all__) <= 30
    for public in gonogo.__all__:
        assert getattr(gonogo, public) is not None


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def _without_docstrings(path: Path) -> str:
    return re.sub(r'"""[\s\S]*?"""', "", path.read_text())
