"""Which row is it? One number for a row's key, the same whether a request, a file or a person names it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from gonogo.serving.router import key_text

_EMPTY = hashlib.blake2b(digest_size=8)
_from_bytes = int.from_bytes
NO_KEY = 0  # of a row whose key is not whole: no outcome can be joined to it


def row_key(values: Sequence[Any]) -> int:
    """64 bits that stand for the key; NO_KEY where any part of it is null.

    Parts are compared by what they look like (router.key_text), one by one: (1, 23) is not (12, 3). No parts are no key.

    >>> row_key((1, "23")) == row_key(("1", 23)), row_key((1, 23)) == row_key((12, 3)), row_key(("a", None))
    (True, False, 0)
    """
    if not values:
        return NO_KEY
    hashed = _EMPTY.copy()
    if len(values) == 1:
        text = values[0]
        if type(text) is not str and (text := _text(text)) is None:
            return NO_KEY
        hashed.update(text.encode("utf-8", "surrogatepass"))
        return _from_bytes(hashed.digest(), "little") or 1
    for value in values:
        text = _text(value)
        if text is None:
            return NO_KEY
        data = text.encode("utf-8", "surrogatepass")
        hashed.update(b"%d:%b" % (len(data), data))
    return int.from_bytes(hashed.digest(), "little") or 1


def _text(value: Any) -> str | None:
    kind = type(value)
    if kind is str or kind is int:  # nearly all keys are, and every request asks
        return str(value)
    return key_text(value)
