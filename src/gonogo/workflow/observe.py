"""What does the judge see of the prediction log?

Frames become observations, line by line, in the order in which they were consumed. Nothing is estimated or left out here but what is no
traffic (events, outcomes): outcomes reach the judge as losses, once they have matured (`workflow/losses.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from gonogo.types.release import Plan
from gonogo.types.traffic import OBSERVATION, Arm, FrameKind, ObservationKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

Frames: TypeAlias = "NDArray[np.void]"  # of FRAME
Observations: TypeAlias = "NDArray[np.void]"  # of OBSERVATION

_KIND = np.zeros(256, np.uint8)  # FrameKind → ObservationKind; 0: the judge is not told
_KIND[FrameKind.PREDICTION] = ObservationKind.ANSWER
_KIND[FrameKind.SHADOW] = ObservationKind.SHADOW
_KIND[FrameKind.LOST] = ObservationKind.LOST
_KEPT_BITS = 53  # of a request's random number: what a 64-bit float holds exactly
_SAME_SHARE = 1e-6  # propensities are stored as 32-bit floats


def observations(frames: Frames, shares: tuple[float, ...]) -> Observations:
    """What the judge is told of these frames, in their order.

    shares: those that the plan knows. The share of an observation is the one under which it was routed, read from its propensity; where
    that is a share of the plan it is that very number. A worker that nobody watches has a share of 0 whatever the plan's stage is.
    """
    told = frames[_KIND[frames["kind"]] > 0]
    found = np.zeros(len(told), OBSERVATION)
    for name in ("at_ns", "unit", "slices", "epoch", "arm", "status", "latency_us", "score"):
        found[name] = told[name]
    found["kind"] = _KIND[told["kind"]]
    found["share"] = _share(told, shares)
    found["value"] = found["other"] = np.nan
    lost = found["kind"] == ObservationKind.LOST
    of_request = (found["kind"] == ObservationKind.ANSWER) | (found["kind"] == ObservationKind.SHADOW)
    found["value"][of_request] = told["request"][of_request] >> np.uint64(64 - _KEPT_BITS)
    found["value"][lost] = told["unit"][lost]  # a LOST frame holds there how many
    found["unit"][lost] = 0
    found["score"][lost] = np.nan
    return found


def shares_of(plan: Plan) -> tuple[float, ...]:
    """Every share of traffic that the plan knows."""
    return tuple(dict.fromkeys(stage.share for stage in plan.stages))


def _share(told: Frames, shares: tuple[float, ...]) -> NDArray[np.float64]:
    # A shadow's propensity is that of the answer it belongs to, and its arm is the other one.
    answered = np.where(told["kind"] == FrameKind.SHADOW, 1 - told["arm"].astype(np.int64), told["arm"])
    return share_of(answered, told["propensity"], shares)


def share_of(arm: NDArray[Any], propensity: NDArray[Any], shares: tuple[float, ...]) -> NDArray[np.float64]:
    """(n,) the challenger's share under which each row was routed: from whose answer it got, and what chance it had of that."""
    chance = propensity.astype(np.float64)
    share = np.where(arm == Arm.CHALLENGER, chance, 1.0 - chance)
    for known in shares:
        share[np.abs(share - known) < _SAME_SHARE] = known
    return np.asarray(share)


def mark(kind: ObservationKind, at_ns: int, epoch: int) -> Observations:
    """One line that is no traffic: time passed (TICK), or the controller began (ALIVE)."""
    line = np.zeros(1, OBSERVATION)
    line["at_ns"], line["epoch"], line["kind"] = at_ns, epoch, kind
    line["score"] = line["value"] = line["other"] = np.nan
    return line
