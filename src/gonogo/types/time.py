"""How do durations and moments of a contract become exact microseconds?

Every time in gonogo is an int64 of microseconds, UTC, since 1970; a duration is a whole number of them. Nothing passes through float.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

US_OF = {"us": 1, "ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000, "w": 604_800_000_000}
ALWAYS = -(2**63)  # the event time and known-at time of rows without a time
NEVER = 2**63 - 1  # not known, or never retracted
LONGEST_US = 1_000 * 366 * US_OF["d"]  # a thousand years: any sum of a moment and a duration then stays far inside int64
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_DURATION = re.compile(r"([0-9]+) ?(us|ms|s|m|h|d|w)", re.ASCII)
_TOO_FINE = re.compile(r"[.,][0-9]{7}")


def duration_us(text: str) -> int:
    """Microseconds of a duration: a whole number and a unit, us, ms, s, m (minutes), h, d (24 hours) or w.

    Raises ValueError for anything else, and above a thousand years.

    >>> duration_us("20m"), duration_us("2w")
    (1200000000, 1209600000000)
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None or len(match[1]) > 20:  # digits without end are no number of anything
        raise ValueError(f"{text!r} is no duration: a whole number and us, ms, s, m (minutes), h, d or w, e.g. 15s, 20m, 3h, 7d")
    value = int(match[1]) * US_OF[match[2]]
    if value > LONGEST_US:
        raise ValueError(f"{text!r} is longer than a thousand years")
    return value


def window_us(text: str) -> int | None:
    """Microseconds of a feature's window; None for "all", which has no lower end.

    >>> window_us("1h"), window_us("all")
    (3600000000, None)
    """
    return None if text.strip() == "all" else duration_us(text)


def moment_us(text: str) -> int:
    """Microseconds since 1970, UTC, of an aware ISO 8601 moment.

    Raises ValueError for a naive one (which moment it is depends on who reads it) and for digits finer than a microsecond.

    >>> moment_us("1970-01-01T01:00:00+01:00")
    0
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is no moment: ISO 8601 with a zone, e.g. 2014-01-01T05:00:00Z") from None
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} is naive: add its zone, Z for UTC or an offset, e.g. 2014-01-01T05:00:00Z")
    if _TOO_FINE.search(text):
        raise ValueError(f"{text!r} is finer than a microsecond, which is the finest time that is kept")
    return (moment - EPOCH) // timedelta(microseconds=1)
