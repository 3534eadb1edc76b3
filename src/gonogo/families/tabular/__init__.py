"""Rows and columns: one probability per row. FAMILY is the plugin; it is built when it is first asked for.

`open_scorer` is its scorer, for a server that answers and needs nothing of the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gonogo.families.tabular.scorer import open_scorer
    from gonogo.types.protocols import Family

    FAMILY: Family

__all__ = ["FAMILY", "open_scorer"]


def __getattr__(name: str) -> Any:
    if name == "FAMILY":
        from gonogo.families.tabular.family import FAMILY

        return FAMILY
    if name == "open_scorer":
        from gonogo.families.tabular.scorer import open_scorer

        return open_scorer
    raise AttributeError(name)
