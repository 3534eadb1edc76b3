"""Worlds whose thresholds are known: calibrated scores of two normal classes, 8,000 rows of which 5 % are positive."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

N, RATE, APART, DELTA = 8000, 0.05, 2.06, 0.1
ASKED = {
    "precision ≥ 60 %": {"precision": 0.6},
    "recall ≥ 90 %": {"recall": 0.9},
    "false positives ≤ 2 %": {"false_positive_rate": 0.02},
    "precision ≥ 50 % and recall ≥ 35 %": {"precision": 0.5, "recall": 0.35},
}
# What MAPIE calls them, and what it is told to maximise.
MAPIE_RISKS = {
    "precision ≥ 60 %": ("precision", 0.6, "recall"),
    "recall ≥ 90 %": ("recall", 0.9, "precision"),
    "false positives ≤ 2 %": ("fpr", 0.02, "recall"),
    "precision ≥ 50 % and recall ≥ 35 %": (["precision", "recall"], [0.5, 0.35], "precision"),
}
_NORMAL = NormalDist()


def rows(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes, and probabilities that mean what they say."""
    rng = np.random.default_rng(seed)
    y = (rng.uniform(size=N) < RATE).astype(np.float64)
    z = rng.normal(APART * y, 1)
    return y, 1 / (1 + np.exp(-(math.log(RATE / (1 - RATE)) + APART * z - APART**2 / 2)))


def population(threshold: float) -> dict[str, float]:
    """What a threshold on the probability does in the population."""
    z = (math.log(threshold / (1 - threshold)) - math.log(RATE / (1 - RATE)) + APART**2 / 2) / APART
    recall, alarms = _NORMAL.cdf(APART - z), _NORMAL.cdf(-z)
    return {"recall": recall, "false_positive_rate": alarms, "precision": RATE * recall / (RATE * recall + (1 - RATE) * alarms)}


def is_broken(asked: str, threshold: float) -> bool:
    found = population(threshold)
    return any(found[name] > limit if name == "false_positive_rate" else found[name] < limit for name, limit in ASKED[asked].items())
