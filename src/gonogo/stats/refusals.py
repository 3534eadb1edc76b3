"""When must a figure not be given?

These are ValueErrors of the statistics, not failures of gonogo: whoever measures turns them into an estimate without a value whose
`refused` is the sentence. A spread that is unknown is not a spread of zero.
"""

from __future__ import annotations


class Refused(ValueError):
    """A figure that the data cannot give, and why, in one sentence."""


class TooFewUnits(Refused):
    """Fewer independent units than any spread can be seen from."""


class NotFinite(Refused):
    """A score or a weight is NaN or infinite, or a weight is negative."""


class NoSpread(Refused):
    """Every unit gave the same: how far the truth may be is then unknown, not zero."""


class Undefined(Refused):
    """The figure does not exist on these rows: no weight, one class only."""
