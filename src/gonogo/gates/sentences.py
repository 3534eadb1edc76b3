"""How is a ruling said to somebody who has not read the contract?

The numbers come first and always with their unit and interval; what follows says what they mean for the limit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gonogo.types.evidence import Of
from gonogo.types.verdict import Status

if TYPE_CHECKING:
    from gonogo.types.contract import Gate
    from gonogo.types.evidence import Estimate, Interval

MEANING = {
    Status.PASS: "even the worst end of the interval keeps to it",
    Status.INCONCLUSIVE: "the interval reaches beyond it, so harm is not refuted; more data may decide",
    Status.FAIL: "the whole interval lies beyond it, so harm is shown",
}


def figure_sentence(gate: Gate, estimate: Estimate, interval: Interval, status: Status, reference: str) -> str:
    """What was measured, against which limit, and what that means. reference: "champion" or "baseline"."""
    what = _capital(f"{_of_slice(estimate.slice)}{words(estimate.metric)}{_whose(estimate.of, reference)}")
    limits = [limit for limit in (gate.at_least, gate.at_most) if limit is not None]
    value = f"{_signed(estimate.value or 0.0, estimate.of, limits)}{_unit(estimate.measured_in)}"
    spread = _spread(interval, estimate.of, limits)
    return f"{what} is {value} ({spread}; {_count(estimate.n_units)}). {limit_words(gate, estimate.measured_in)}: {MEANING[status]}."


def missing_sentence(gate: Gate, slice: str, why: str) -> str:  # noqa: A002
    """Why there is no evidence, and that this is no pass."""
    return _capital(f"{_of_slice(slice)}no evidence on {words(gate.metric)}: {why}. {limit_words(gate)}; what was not shown does not pass.")


def error_sentence(gate: Gate, slice: str, why: str) -> str:  # noqa: A002
    """What is wrong with the gate or with the record of its figure."""
    return _capital(f"{_of_slice(slice)}{words(gate.metric)} cannot be judged: {why}.")


def limit_words(gate: Gate, measured_in: str = "") -> str:
    """The limit as the contract states it, e.g. "At most 20 ms is allowed"."""
    unit = _unit(measured_in)
    parts = []
    if gate.at_least is not None:
        parts.append(f"at least {number(gate.at_least)}{unit} is asked")
    if gate.at_most is not None:
        parts.append(f"at most {number(gate.at_most)}{unit} is allowed")
    return _capital(" and ".join(parts) or "no limit is stated")


def words(metric: str) -> str:
    """A metric's name as it is spoken."""
    return metric.replace("_", " ")


def number(value: float, *, unlike: Sequence[float] = ()) -> str:
    """Four significant digits, thousands marked, no exponent in everyday ranges.

    unlike: numbers that it must not be taken for, such as a limit: more digits where four would write it like one of them.

    >>> number(0.00314159), number(52341.0), number(0), number(0.69999), number(0.69999, unlike=[0.7])
    ('0.003142', '52,341', '0', '0.7', '0.69999')
    """
    digits = 4
    while digits < 15 and any(other != value and _written(other, digits) == _written(value, digits) for other in unlike):
        digits += 1
    return _written(value, digits)


def _written(value: float, digits: int) -> str:
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) < 1000:
        return f"{value:.{digits}g}"
    return f"{value:,.{max(0, digits - 1 - math.floor(math.log10(abs(value))))}f}"


def _signed(value: float, of: Of, limits: Sequence[float]) -> str:
    text = number(value, unlike=limits)
    return f"+{text}" if of is Of.DIFFERENCE and value > 0 else text


def _spread(interval: Interval, of: Of, limits: Sequence[float]) -> str:
    if interval.low == interval.high:
        return interval.method
    return f"{interval.level:.0%} interval {_signed(interval.low, of, limits)} to {_signed(interval.high, of, limits)}"


def _count(n_units: int) -> str:
    return "1 unit" if n_units == 1 else f"{n_units:,} units"


def _whose(of: Of, reference: str) -> str:
    return {Of.CHALLENGER: "", Of.CHAMPION: f" of the {reference}", Of.DIFFERENCE: f", challenger minus {reference},"}[of]


def _of_slice(slice: str) -> str:  # noqa: A002
    return f"in {slice}, " if slice else ""


def _unit(measured_in: str) -> str:
    return f" {measured_in}" if measured_in else ""


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
