"""How does a number, a moment or a duration read on a page?

Every number is rounded to what its interval can carry, has a true minus sign, and keeps its unit beside it. Nothing unknown becomes a zero.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta

from gonogo.types.evidence import Estimate
from gonogo.types.time import EPOCH, duration_us, moment_us

MINUS = "\u2212"
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
UNIT_WORDS = {"usd": "USD", "mb": "MB", "ms": "ms", "s": "s", "rows_per_s": "rows/s"}
_SPANS = ((604_800_000_000, "week"), (86_400_000_000, "day"), (3_600_000_000, "hour"), (60_000_000, "minute"), (1_000_000, "second"))


def number_text(value: float | None, decimals: int | None = None) -> str:
    """A number with a true minus and thousands set off; four significant digits where no decimals are asked.

    >>> number_text(-0.031234), number_text(336776), number_text(0.5, 3), number_text(None)
    ('−0.03123', '336,776', '0.500', 'unknown')
    """
    if value is None or not math.isfinite(value):
        return "unknown"
    text = _four_digits(value) if decimals is None else f"{value:,.{decimals}f}"
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def _four_digits(value: float) -> str:
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) < 1e-5:
        return f"{value:.2e}"
    decimals = max(0, 3 - math.floor(math.log10(abs(value))))
    return f"{value:.{decimals}f}".rstrip("0").rstrip(".")


def decimals_for(spread: float) -> int:
    """Decimals that show two significant digits of a spread: more would be noise, fewer would hide it.

    >>> decimals_for(0.021), decimals_for(3.2), decimals_for(0.0)
    (3, 1, 3)
    """
    if not math.isfinite(spread) or spread <= 0:
        return 3
    return min(8, max(0, 1 - math.floor(math.log10(spread))))


def interval_texts(value: float, low: float, high: float, limit: float | None = None) -> tuple[str, str]:
    """A value and its interval, all to the same decimals; more of them where rounding would move an end across or onto the limit.

    >>> interval_texts(-0.0312, -0.0416, -0.0208)
    ('−0.031', '[−0.042, −0.021]')
    >>> interval_texts(-0.0098, -0.02, 0.0004, limit=0.0)
    ('−0.0098', '[−0.0200, 0.0004]')
    >>> interval_texts(0.72, 0.69999, 0.74, limit=0.7)
    ('0.72000', '[0.69999, 0.74000]')
    """
    decimals = decimals_for((high - low) / 2)
    while limit is not None and decimals < 8 and any(_side(round(end, decimals), limit) != _side(end, limit) for end in (low, high)):
        decimals += 1
    return number_text(value, decimals), f"[{number_text(low, decimals)}, {number_text(high, decimals)}]"


def _side(value: float, limit: float) -> int:
    """-1 below the limit, 0 on it, 1 above it: an end on the limit keeps to it, one just short of it may not."""
    return (value > limit) - (value < limit)


def unit_text(measured_in: str) -> str:
    """The unit as it is written on a page; empty for a pure number."""
    return UNIT_WORDS.get(measured_in.lower(), measured_in)


def figure_text(value: float | None, low: float | None, high: float | None, measured_in: str = "", *, limit: float | None = None) -> str:
    """A figure with its interval and unit, in one line.

    >>> figure_text(0.7312, 0.7201, 0.742, "nats")
    '0.731 [0.720, 0.742] nats'
    >>> figure_text(None, None, None)
    'not known'
    >>> figure_text(3.1e-06, 2.85e-06, 3.35e-06, "usd")
    '3.10 [2.85, 3.35] ×10⁻⁶ USD'
    """
    if value is None:
        return "not known"
    if low is None or high is None or low == high:  # a count has no spread, and needs no interval to say so
        return f"{number_text(value)} {unit_text(measured_in)}".strip()
    power = _small_power(max(abs(value), abs(low), abs(high)))
    times = 10.0**power
    parts = interval_texts(value / times, low / times, high / times, None if limit is None else limit / times)
    tens = f"×10{str(power).translate(_SUPERSCRIPT)}" if power else ""
    return " ".join(p for p in (*parts, tens, unit_text(measured_in)) if p)


def _small_power(largest: float) -> int:
    """A power of a millionth for figures so small that their zeros would have to be counted; 0 for all others.

    Steps of a million keep figures that are compared, such as two costs, mostly in the same power.
    """
    return 6 * math.floor((math.log10(largest) + 3) / 6) if 0 < largest < 1e-4 else 0


def estimate_text(estimate: Estimate) -> str:
    """An estimate in one line, or why there is none."""
    if estimate.value is None:
        return f"not known: {estimate.refused}"
    low, high = (estimate.interval.low, estimate.interval.high) if estimate.interval else (None, None)
    return figure_text(estimate.value, low, high, estimate.measured_in)


def count_text(n: int, noun: str) -> str:
    """A count with its noun; a column's name is quoted as one.

    >>> count_text(61, "day"), count_text(1, "day"), count_text(2, "city"), count_text(12, "user_id")
    ('61 days', '1 day', '2 cities', '12 values of user_id')
    """
    if not re.fullmatch(r"[a-z]+( [a-z]+)*", noun):
        return f"{n:,} value{'' if n == 1 else 's'} of {noun}"
    if n == 1:
        return f"1 {noun}"
    if re.search(r"[^aeiou]y$", noun):
        return f"{n:,} {noun[:-1]}ies"
    return f"{n:,} {noun}{'es' if re.search(r'(s|x|ch|sh)$', noun) else 's'}"


def duration_text(text: str) -> str:
    """A duration of the contract in words; text that is none stays as it is.

    >>> duration_text("26h"), duration_text("7d"), duration_text("90m"), duration_text("all")
    ('26 hours', '7 days', '90 minutes', 'all')
    """
    try:
        span = duration_us(text)
    except ValueError:
        return text
    if span == 0:
        return "none"
    fits = [(span // size, noun) for size, noun in _SPANS if span % size == 0 and noun != "week"]
    return count_text(*fits[0]) if fits else text


def moment(text: str) -> datetime | None:
    """The aware moment, UTC; None for text that is none, such as an empty one."""
    try:
        return EPOCH + timedelta(microseconds=moment_us(text))
    except (ValueError, OverflowError):
        return None


def moment_text(text: str) -> str:
    """A moment as a person writes it.

    >>> moment_text("2014-01-01T05:00:00Z"), moment_text("")
    ('1 January 2014, 05:00 UTC', 'not stated')
    """
    when = moment(text)
    if when is None:
        return text or "not stated"
    when = when.astimezone(UTC)
    return f"{when.day} {when:%B %Y}, {when:%H:%M} UTC"


def short_digest(digest: str) -> str:
    """The part of a digest that a person compares.

    >>> short_digest("sha256:e3b0c44298fc1c149afbf4c8996fb924")
    'e3b0c44298fc'
    """
    return digest.removeprefix("sha256:")[:12]
