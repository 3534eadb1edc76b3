"""Which arm answers a request, and which slices does it belong to?

Pure functions of the request and of the route. A unit's bucket is a hash of its bucketing key with the rollout's salt: the same for ever,
whoever asks, and independent of every other rollout's. The challenger has the buckets below its share of 2⁶⁴, so nobody leaves the canary
while the share grows.

A key is what it looks like: 1, 1.0 and "1" are one key, for a number that one caller sends as text must not be answered by two models. A
null has no bucket: it is the champion's, and nobody counts it.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from gonogo.types.traffic import Arm

NOBODY = 0  # the unit of a request without a bucketing key; no key hashes to it
MOST_SLICES = 64  # bits of a frame's `slices`
NULL, ABSENT = "(null)", "(none)"  # the slice of rows without a value, as a snapshot and as evidence name it
_ALL = 1 << 64
_EXACT = 2**53
_BARE = hashlib.blake2b(digest_size=8)
_POOLED = "other ("
_BELOW, _OR_MORE = "below ", " or more"
_BETWEEN = re.compile(r"\[([^,]+), ([^)]+)\)")


def key_text(key: Any) -> str | None:
    """The one form of a key that is hashed; None for null, NaN and nothing that has a form.

    Whole numbers are written without a point, whatever their type; moments in UTC; text as it stands, the empty one included.

    >>> key_text(1), key_text(1.0), key_text("1"), key_text(" 1")
    ('1', '1', '1', ' 1')
    """
    if type(key) is str:
        return key
    if key is None:
        return None
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, int):
        return str(int(key))
    if isinstance(key, float):
        return _number_text(float(key))
    return _other_text(key)


def _number_text(number: float) -> str | None:
    if not math.isfinite(number):
        return None
    return str(int(number)) if number.is_integer() else repr(number)


def _other_text(key: Any) -> str | None:
    if isinstance(key, str):
        return str(key)
    if isinstance(key, datetime):
        return (key if key.tzinfo is None else key.astimezone(UTC)).isoformat()
    if isinstance(key, date):
        return key.isoformat()
    if isinstance(key, Decimal):
        if not key.is_finite():
            return None
        return str(int(key)) if key == key.to_integral_value() else format(key.normalize(), "f")
    if isinstance(key, bytes):
        return key.decode("utf-8", "surrogateescape")
    return key_text(key.item()) if hasattr(key, "item") else None  # a number of numpy


def unit(key: Any) -> int:
    """64 bits that stand for the bare key, the same in every rollout; NOBODY for null.

    >>> unit("N12345") == unit("N12345"), unit(None)
    (True, 0)
    """
    text = key_text(key)
    return NOBODY if text is None else _unit(text.encode("utf-8", "surrogatepass"))


def _unit(key: bytes) -> int:
    hashed = _BARE.copy()
    hashed.update(key)
    return int.from_bytes(hashed.digest(), "little") or 1


def bucket(salt: str, key: Any) -> int | None:
    """The key's bucket, 0 … 2⁶⁴ − 1, in the rollout of that salt; None for null.

    >>> bucket("a", "N12345") != bucket("b", "N12345"), bucket("a", 7) == bucket("a", "7")
    (True, True)
    """
    text = key_text(key)
    return None if text is None else _bucket(_salted(salt), text.encode("utf-8", "surrogatepass"))


def _salted(salt: str) -> Any:
    """The hash with the salt already in it, at its full block: no two pairs of salt and key read alike."""
    return hashlib.blake2b(hashlib.blake2b(salt.encode(), digest_size=64).digest(), digest_size=8)


def _bucket(salted: Any, key: bytes) -> int:
    hashed = salted.copy()
    hashed.update(key)
    return int.from_bytes(hashed.digest(), "little")


def threshold(share: float) -> int:
    """The first bucket that is not the challenger's. A share of 1 has them all, of 0 none.

    >>> threshold(0.0), threshold(0.5) == 2**63, threshold(1.0) == 2**64
    (0, True, True)
    """
    return min(max(int(share * _ALL), 0), _ALL) if share == share else 0  # NaN is no share


def arm(place: int | None, share: float) -> Arm:
    """Who answers the bucket at that share.

    >>> arm(0, 0.01), arm(2**64 - 1, 0.99), arm(None, 1.0)
    (<Arm.CHALLENGER: 1>, <Arm.CHAMPION: 0>, <Arm.CHAMPION: 0>)
    """
    return Arm.CHALLENGER if place is not None and place < threshold(share) else Arm.CHAMPION


_Assigned = tuple[Arm, int, int, float]  # arm, unit, bucket, propensity
_NOBODYS: _Assigned = (Arm.CHAMPION, NOBODY, 0, 1.0)
_PLACES = 1 << 15  # for keys that are remembered: some 8 MB once all are taken
_LAST_PLACE = _PLACES - 1
_SHORT = 64  # characters: who sends longer keys has them hashed each time, and fills no memory with them


class Router:
    """The assignments of one salt at one share."""

    __slots__ = ("_challenger", "_champion", "_known", "_salted", "_threshold")

    def __init__(self, *, salt: str, share: float) -> None:
        self._salted = _salted(salt)
        self._threshold = threshold(share)
        self._champion = (Arm.CHAMPION, 1.0 - share)
        self._challenger = (Arm.CHALLENGER, share)
        # The last short key of each place, and its assignment: most keys come again, and two hashes are most of what routing costs.
        self._known: list[tuple[str | int, _Assigned]] = [("", self._hashed(""))] * _PLACES

    def assign(self, key: Any) -> _Assigned:
        """Arm, unit, bucket and propensity of a request with that bucketing key. Without a key: NOBODY's, in bucket 0.

        A plain tuple, for it is made at every request.

        >>> Router(salt="s", share=0.0).assign(None)
        (<Arm.CHAMPION: 0>, 0, 0, 1.0)
        """
        kind = type(key)
        if kind is not str and kind is not int:  # 1 is True and 1.0 to a dict: other types are not remembered
            text = key_text(key)
            return _NOBODYS if text is None else self._hashed(text)
        place = hash(key) & _LAST_PLACE
        known = self._known[place]
        if known[0] == key:
            return known[1]
        text = str(key)
        assigned = self._hashed(text)
        if len(text) <= _SHORT:
            self._known[place] = (key, assigned)
        return assigned

    def _hashed(self, text: str) -> _Assigned:
        data = text.encode("utf-8", "surrogatepass")
        place = _bucket(self._salted, data)
        who, chance = self._challenger if place < self._threshold else self._champion
        return who, _unit(data), place, chance


class Slicer:
    """The bits of the slices that a row belongs to, by a look into one dict per column.

    slices: bit i is the i-th, as evidence names them: "carrier=UA", "carrier=other (OO+HA)", "distance=[500, 1000)", "origin=(null)",
            "origin & carrier=JFK & AA".
    names:  what the values of a row are; a slice of a column that is not among them has no rows.
    Raises ValueError for more than MOST_SLICES.

    >>> Slicer(("carrier=UA", "carrier=AA", "origin=JFK"), names=("origin", "carrier")).of(("JFK", "AA"))
    6
    """

    __slots__ = ("_columns", "_plain", "missing")

    def __init__(self, slices: tuple[str, ...], *, names: tuple[str, ...]) -> None:
        if len(slices) > MOST_SLICES:
            raise ValueError(f"{len(slices)} slices: a row has {MOST_SLICES} bits for them")
        places = {name: i for i, name in enumerate(names)}
        columns: dict[str, _Column] = {}
        missing: dict[str, None] = {}
        for i, slice_name in enumerate(slices):
            column, _, value = slice_name.partition("=")
            parts = column.split(" & ")
            missing.update(dict.fromkeys(part for part in parts if part not in places))
            if all(part in places for part in parts):
                columns.setdefault(column, _Column([places[part] for part in parts])).add(value, 1 << i)
        self._plain = tuple((column.places[0], column.by_text) for column in columns.values() if column.is_plain)
        self._columns = tuple(column for column in columns.values() if not column.is_plain)
        self.missing = tuple(missing)  # columns that slices need and `names` lack

    def of(self, values: Sequence[Any]) -> int:
        """The bits of a row: a value for each of the names."""
        bits = 0
        for place, by_text in self._plain:
            value = values[place]
            bits |= by_text.get(value if type(value) is str else slice_text(value), 0)
        for column in self._columns:
            bits |= column.bits(values)
        return bits


class _Column:
    """The slices of one column, or of two crossed."""

    __slots__ = ("bins", "by_text", "places")

    def __init__(self, places: list[int]) -> None:
        self.places = places
        self.by_text: dict[str, int] = {}
        self.bins: dict[str, tuple[float, float]] = {}  # of the first column: "[500, 1000)" → its ends

    def add(self, value: str, bit: int) -> None:
        pooled = value[len(_POOLED) : -1].split("+") if value.startswith(_POOLED) and value.endswith(")") else [value]
        for text in pooled:
            text = NULL if text == ABSENT else text
            self.by_text[text] = self.by_text.get(text, 0) | bit
            first = text.split(" & ")[0]
            if ends := _ends(first):
                self.bins[first] = ends

    @property
    def is_plain(self) -> bool:
        """Whether a value is found by its text alone."""
        return len(self.places) == 1 and not self.bins

    def bits(self, values: Sequence[Any]) -> int:
        first, *others = (values[place] for place in self.places)
        text = self._bin(first) if self.bins else slice_text(first)
        return self.by_text.get(" & ".join([text, *map(slice_text, others)]), 0)

    def _bin(self, value: Any) -> str:
        if not isinstance(value, int | float) or value != value:
            return NULL
        return next((name for name, (low, high) in self.bins.items() if low <= value < high), "")


def slice_text(value: Any) -> str:
    """A value as evidence names its slice.

    >>> slice_text(True), slice_text(2.0), slice_text(None)
    ('true', '2', '(null)')
    """
    if type(value) is str:
        return value
    if value is None or value != value:
        return NULL
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return str(int(value))
    return str(value)


def _ends(text: str) -> tuple[float, float] | None:
    """The half-open ends of a bin by its name; None where it names a value."""
    bounded = _BETWEEN.fullmatch(text)
    try:
        if bounded:
            return float(bounded[1]), float(bounded[2])
        if text.startswith(_BELOW):
            return -math.inf, float(text.removeprefix(_BELOW))
        if text.endswith(_OR_MORE):
            return float(text.removesuffix(_OR_MORE)), math.inf
    except ValueError:  # a word that only reads like one
        return None
    return None
