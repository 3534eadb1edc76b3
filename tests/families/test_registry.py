"""Families are found by their entry point."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gonogo.families.registry import find, installed
from gonogo.types.errors import FamilyUnknown


def test_the_tabular_family_is_found_by_name() -> None:
    assert find("tabular").name == "tabular"
    assert "tabular" in installed()


def test_an_unknown_family_is_refused_with_the_installed_names_and_the_nearest() -> None:
    with pytest.raises(FamilyUnknown, match="did you mean 'tabular'") as refused:
        find("tabula")
    assert "tabular" in refused.value.expected


def test_finding_a_family_loads_no_heavy_package() -> None:
    code = """
import sys
from gonogo.families.registry import find
find("tabular")
heavy = {"sklearn", "xgboost", "numba", "duckdb", "pandas", "scipy"} & set(sys.modules)
raise SystemExit(str(heavy) if heavy else 0)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
