"""How does a finding say a share or a duration?"""

from __future__ import annotations


def percent(share: float) -> str:
    """A share that is not 0 never reads as 0, and one that is not whole never as whole.

    >>> percent(0.5), percent(0.00001), percent(0.99999)
    ('50.00%', '<0.01%', '>99.99%')
    """
    if 0 < share < 0.0001:
        return "<0.01%"
    return ">99.99%" if 0.9999 < share < 1 else f"{share:.2%}"


def duration(us: int) -> str:
    """A stretch of microseconds in the largest unit that it fills.

    >>> duration(16_560_000_000)
    '4.6 h'
    """
    for unit, size in (("d", 86_400_000_000), ("h", 3_600_000_000), ("min", 60_000_000), ("s", 1_000_000)):
        if us >= size:
            return f"{us / size:.1f} {unit}"
    return f"{us} µs"
