"""Rows and columns: one probability per row. FAMILY is the plugin; it is built when it is first asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gonogo.types.protocols import Family

    FAMILY: Family

__all__ = ["FAMILY"]


def __getattr__(name: str) -> Any:
    if name != "FAMILY":
        raise AttributeError(name)
    from gonogo.families.tabular.family import FAMILY

    return FAMILY
