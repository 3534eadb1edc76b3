"""What does one line of traffic look like, in the prediction log and to the judge?

Two fixed layouts, little-endian. A FRAME stands in front of every payload of the prediction log; an OBSERVATION is what the controller
makes of frames, and all that the judge ever sees. Times for order and for durations are the machine's monotonic clock, which no one can set
back; the wall clock is written beside it for people.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class FrameKind(IntEnum):
    """What a frame of the log is about."""

    PREDICTION = 1  # an answer that was given
    SHADOW = 2  # what the other model said to the same request, to nobody
    OUTCOME = 3  # what came true
    EVENT = 4  # an event for the online features
    LOST = 5  # so many rows could not be logged; `unit` holds how many
    OBSERVATIONS = 6  # a block of the judge's own log


class Arm(IntEnum):
    """Whose answer it is."""

    CHAMPION = 0
    CHALLENGER = 1


class AnswerStatus(IntEnum):
    """How an answer came about. Only ANSWERED is the model's own."""

    ANSWERED = 0
    STALE = 1  # the fallback, for an input was older than the contract's freshness
    ERRED = 2  # the fallback, for the model or a feature raised
    LATE = 3  # the fallback, for the deadline passed
    FAILED = 4  # no answer at all: no fallback either


# One frame: this header, then `length` bytes of payload, then padding to 8. crc covers the header after it and the payload.
FRAME = np.dtype(
    [
        ("length", "<u4"),
        ("crc", "<u4"),
        ("at_ns", "<i8"),  # monotonic
        ("wall_us", "<i8"),  # since 1970, UTC
        ("seq", "<u8"),  # 1, 2, 3, … of this writer
        ("request", "<u8"),  # random; joins a shadow's answer to the caller's
        ("key", "<u8"),  # hash of the row's key: outcomes are joined by it
        ("unit", "<u8"),  # hash of the bucketing key, without salt: whose rows move together
        ("bucket", "<u8"),  # hash of the bucketing key with the rollout's salt; below share × 2⁶⁴ is the challenger's
        ("slices", "<u8"),  # bit i: the row belongs to the plan's i-th slice
        ("epoch", "<u4"),  # of the route under which it was answered
        ("kind", "u1"),  # FrameKind
        ("arm", "u1"),  # Arm: of this answer
        ("status", "u1"),  # AnswerStatus
        ("spare", "u1"),
        ("propensity", "<f4"),  # chance that this unit had of this arm
        ("latency_us", "<u4"),  # from the first byte understood to the answer ready
        ("score", "<f8"),  # the first output if it is a number, else NaN
    ]
)

# One line of the judge's log. Its order in that log is the order in which it is judged.
OBSERVATION = np.dtype(
    [
        ("at_ns", "<i8"),  # monotonic time of what is observed
        ("unit", "<u8"),
        ("slices", "<u8"),
        ("epoch", "<u4"),
        ("kind", "u1"),  # ObservationKind
        ("arm", "u1"),
        ("status", "u1"),  # AnswerStatus
        ("watch", "u1"),  # of a LOSS: the index of the plan's metric it is measured by
        ("latency_us", "<u4"),
        ("share", "<f4"),  # the challenger's share under which it was routed
        ("score", "<f8"),  # the answer's first number; NaN for none
        (
            "value",
            "<f8",
        ),  # of a LOSS: this arm's loss on the row; of a LOST: how many; of an ANSWER or SHADOW: the first bits of its request
        ("other", "<f8"),  # of a LOSS: the other arm's loss on the same row; NaN where only one answered
    ]
)


class ObservationKind(IntEnum):
    """What the judge is told."""

    ANSWER = 1  # somebody was answered
    SHADOW = 2  # the other model answered the same request, to nobody
    LOSS = 3  # a matured outcome was scored
    TICK = 4  # time passed: nothing else moves the judge's clock
    LOST = 5  # rows are missing from the log
    ALIVE = 6  # the controller (re)started: durations before it do not count as baked unless ticks cover them
