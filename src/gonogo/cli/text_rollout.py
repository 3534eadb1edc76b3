"""How does a rollout read in a terminal? Where it stands, what the evidence says, and the next step."""

from __future__ import annotations

from typing import Any


def opened(record: Any) -> str:
    return str(record)


def situation(record: Any) -> str:
    return str(record)


def commanded(record: Any) -> str:
    return str(record)
