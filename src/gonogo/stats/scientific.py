"""Which parts of SciPy are needed, and what is said where it is not installed?

The figures of every verdict need none of it. Classical tests and thresholds that keep a promise do: they come with `gonogo[stats]`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from gonogo.types.errors import ExtraMissing


def special() -> Any:
    """scipy.special. Raises ExtraMissing where SciPy is not installed."""
    return _part("scipy.special")


def tests() -> Any:
    """scipy.stats. Raises ExtraMissing where SciPy is not installed."""
    return _part("scipy.stats")


def _part(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise ExtraMissing(
            "This test or threshold needs SciPy, which is not installed.",
            found=str(error),
            expected="scipy ≥ 1.14",
            next="pip install 'gonogo[stats]'",
        ) from error
