"""Which share of the traffic shall the challenger have next? The policies that come with gonogo.

Each is a pure function of what it is shown, see `types/allocation.py`. The bounds of the contract are laid on what it says by
`gates/allocation.py`, so none of them needs to know them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gonogo.types.allocation import Seen, Sums

EXPLORED = 0.1  # the share of traffic by which epsilon_greedy goes on looking
_POINTS = 4001  # of a rate, at which two posteriors are compared
_REACH = 10.0  # … and how many standard errors they span


def thompson(seen: Seen) -> float:
    """The chance that the challenger is the better one, by what was seen: Thompson sampling, with a share in place of a draw.

    Of what is counted each arm's rate has a Beta(1 + good, 1 + bad) of its units; of losses, which both arms have on each row, the mean
    difference is taken as normal. Over many draws a sampler would deal units in this very share; that needs no random number.

    Source: Thompson (1933), Biometrika 25; the chance itself as a share: Scott (2010), Appl. Stochastic Models 26(6).
    """
    if seen.gain is not None:
        gain, error = seen.advantage()
        return 0.5 * math.erfc(-gain / error / math.sqrt(2.0))
    return chance_of_more(seen.challenger, seen.champion)


def epsilon_greedy(seen: Seen) -> float:
    """Nine tenths to the one that did better so far, and a tenth is dealt evenly so that it may turn out otherwise."""
    gain, _ = seen.advantage()
    return 1 - EXPLORED / 2 if gain > 0 else EXPLORED / 2 if gain < 0 else 0.5


def fixed(seen: Seen) -> float:
    """The share stays as it is: the simplest policy, and what others are compared with."""
    return seen.share


def chance_of_more(one: Sums, other: Sums) -> float:
    """The chance that the first has the higher rate, where each rate has its Beta posterior.

    >>> from gonogo.types.allocation import Sums
    >>> round(chance_of_more(Sums(), Sums()), 6)
    0.5
    >>> round(chance_of_more(Sums(units=10, total=9, squares=9), Sums(units=10, total=5, squares=5)), 4)
    0.9683
    """
    posteriors = [(1 + sums.total, 1 + sums.units - sums.total) for sums in (one, other)]
    points = _points(posteriors)
    ours, theirs = (_density(points, a, b) for a, b in posteriors)
    below = np.cumsum(theirs) - theirs / 2
    return float(min(max(np.sum(ours * below), 0.0), 1.0))


def _points(posteriors: list[tuple[float, float]]) -> NDArray[np.float64]:
    """Rates, evenly on the scale of logits, that hold all of both posteriors."""
    ends = []
    for a, b in posteriors:
        middle, error = math.log(a / b), math.sqrt(1 / a + 1 / b)
        ends += [middle - _REACH * error, middle + _REACH * error]
    logits = np.linspace(max(min(ends), -40.0), min(max(ends), 40.0), _POINTS)
    return np.asarray(logits)


def _density(logits: NDArray[np.float64], a: float, b: float) -> NDArray[np.float64]:
    """Beta(a, b) as weights of the rates with these logits; they sum up to 1."""
    log_density = -a * np.logaddexp(0.0, -logits) - b * np.logaddexp(0.0, logits)
    weights = np.exp(log_density - log_density.max())
    return np.asarray(weights / weights.sum())
