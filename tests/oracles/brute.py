"""Every feature by looking at every event for every label: O(n·m), in plain Python, from the words of the definition alone."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from tests.oracles.worlds import World

US = {"30m": 1_800_000_000, "1h": 3_600_000_000, "3h": 10_800_000_000, "all": None}
SCALE = {"n": 1, "x": 100, "d": 1000, "n * 2 + 1": 1}


def answers(
    world: World, name: str, by: tuple[str, ...], aggregates: tuple[str, ...], windows: tuple[str, ...], *, boundary: str, where: Any = None
) -> dict[str, list[Any]]:
    """Column → one value per label."""
    once = {tuple(event.items()): event for event in world.events}.values()
    columns: dict[str, list[Any]] = {}
    by_key: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for event in once:
        by_key.setdefault(tuple(event[k] for k in by), []).append(event)
    for label in world.labels:
        key = tuple(label[k] for k in by)
        mine = [] if None in key else by_key.get(key, [])
        for window in windows:
            seen = sorted((e for e in mine if counts(e, label["gng_decided_at"], US[window], boundary)), key=place)
            seen = [event for event in seen if where is None or where(event)]
            for aggregate in aggregates:
                column = f"{name}__{slug(aggregate)}__{window}"
                columns.setdefault(column, []).append(answer(aggregate, seen, label["gng_decided_at"]))
    return columns


def counts(event: dict[str, Any], t: int, window: int | None, boundary: str) -> bool:
    if event["known"] is None or event["known"] > t:
        return False
    if event["gone"] is not None and event["gone"] <= t:
        return False
    if boundary == "before":
        return event["at"] < t and (window is None or event["at"] >= t - window)
    return event["at"] <= t and (window is None or event["at"] > t - window)


def place(event: dict[str, Any]) -> tuple[int, int, bytes]:
    return event["at"], event["known"], event["seq"].encode()


def slug(aggregate: str) -> str:
    known = {"sum(n * 2 + 1)": "sum_n_2_1", "share(n > 1)": "share_n_1"}
    return known.get(aggregate, aggregate.replace("(", "_").rstrip(")"))


def value(event: dict[str, Any], argument: str) -> Any:
    if argument == "n * 2 + 1":
        return None if event["n"] is None else event["n"] * 2 + 1
    if argument == "n > 1":
        return None if event["n"] is None else event["n"] > 1
    return event[argument]


def held(number: Any, argument: str) -> int:
    """round-half-even(value × scale), the product taken as float64 for floats and exactly for decimals."""
    if isinstance(number, float):
        return int(Decimal(number * float(SCALE[argument])).to_integral_value(ROUND_HALF_EVEN))
    return int(number * SCALE[argument])


def answer(aggregate: str, seen: list[dict[str, Any]], t: int) -> Any:
    if aggregate == "count":
        return len(seen)
    if aggregate == "age":
        return (t - seen[-1]["at"]) / 1e6 if seen else None
    function, argument = aggregate.rstrip(")").split("(")
    values = [v for event in seen if (v := value(event, argument)) is not None]
    if function == "distinct":
        return len(set(values))
    if not values:
        return None
    if function == "share":
        return float(sum(values)) / float(len(values))
    if function == "last":
        return last(values[-1], argument)
    numbers = [held(v, argument) for v in values]
    scale = SCALE[argument]
    if function == "mean":
        return float(sum(numbers)) / float(len(numbers)) / float(scale)
    total = {"sum": sum, "min": min, "max": max}[function](numbers)
    return total if scale == 1 else float(total) / float(scale)


def last(v: Any, argument: str) -> Any:
    if isinstance(v, bool):
        return int(v)
    if isinstance(v, Decimal):
        return float(held(v, argument)) / float(SCALE[argument])
    return v + 0.0 if isinstance(v, float) else v
