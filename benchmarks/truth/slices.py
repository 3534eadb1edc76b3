"""Do figures by slice hold their truth, do gaps and searches raise false alarms?

Worlds: scores are what a logistic model with a shock for each unit says of them; places differ by the base rate only, or by nothing. The
truth of a place comes from one world of two million rows.
"""

from __future__ import annotations

from functools import cache, partial

import numpy as np
from benchmarks.truth.claims import Claim

from gonogo.stats.slice_gaps import gap
from gonogo.stats.slice_search import worst_slices
from gonogo.stats.slices import by_slice
from gonogo.types.evidence import Of

COVERED, COVERED_AT_50 = (0.93, 0.97), (0.92, 0.98)
BASE = np.array([-2.5, -1.5, -0.5])  # log-odds of three places
SHOCK = 0.5


def rows(seed: int, *, n: int, n_units: int | None, places: int = 3):
    """y, score, rival's score, place, unit. n_units None: each row is its own unit."""
    rng = np.random.default_rng(seed)
    place = rng.integers(0, places, n)
    unit = np.arange(n) if n_units is None else rng.integers(0, n_units, n)
    shock = rng.normal(0, SHOCK, n if n_units is None else n_units)[unit] if n_units else np.zeros(n)
    signal = rng.normal(size=n)
    logit = BASE[place % 3] + 1.3 * signal
    y = (rng.random(n) < 1 / (1 + np.exp(-(logit + shock)))).astype(float)
    rival = 1 / (1 + np.exp(-(BASE[place % 3] + 1.3 * (signal + rng.normal(0, 0.7, n)))))
    return y, 1 / (1 + np.exp(-logit)), rival, place, None if n_units is None else unit


@cache
def truth(clustered: bool):
    y, p, q, place, _ = rows(999_999, n=2_000_000, n_units=1_000_000 if clustered else None)
    table = by_slice(y, p, {"place": place}, theirs=q)
    return {(one.metric, one.slice, one.of): one.value for one in table}


def held(metric: str, of: Of, n: int, n_units: int | None, where: str, seed: int) -> bool | None:
    y, p, q, place, unit = rows(seed, n=n, n_units=n_units)
    found = by_slice(y, p, {"place": place}, theirs=q if of is Of.DIFFERENCE else None, unit=unit, metrics=(metric,), min_units=20)
    one = found.find(metric, where, of)
    if one.interval is None:
        return None
    return one.interval.low <= truth(n_units is not None)[metric, where, of] <= one.interval.high


def _coverage(metric: str, n: int, n_units: int | None, where: str, of: Of = Of.CHALLENGER, band: tuple[float, float] = COVERED) -> Claim:
    difference = ", paired difference" if of is Of.DIFFERENCE else ""
    units = "independent rows" if n_units is None else f"{n_units} units"
    return Claim(
        name=f"{metric} of a slice{difference}, {n // 3:,} rows, {where or 'whole'}, {units}",
        method="all slices in one pass",
        kind="coverage",
        band=band,
        world=partial(held, metric, of, n, n_units, where),
    )


def null_gap(n_units: int | None, seed: int) -> bool | None:
    """Four places alike: the interval of the largest gap must begin at 0."""
    y, p, _, _, unit = rows(seed, n=4000, n_units=n_units)
    place = np.random.default_rng(seed + 7).integers(0, 4, 4000)
    found = gap(y, p, place, unit=unit, min_units=20).largest
    return None if found.interval is None else found.interval.low > 0


def true_gap(metric: str, n_units: int | None, seed: int) -> bool | None:
    y, p, _, place, unit = rows(seed, n=6000, n_units=n_units)
    found = gap(y, p, place, metric=metric, unit=unit, min_units=20).largest
    values = [truth(n_units is not None)[metric, f"place={k}", Of.CHALLENGER] for k in range(3)]
    return None if found.interval is None else found.interval.low <= max(values) - min(values) <= found.interval.high


def null_rest(n_units: int | None, seed: int) -> bool | None:
    y, p, _, _, unit = rows(seed, n=4000, n_units=n_units)
    place = np.random.default_rng(seed + 7).integers(0, 4, 4000)
    p_values = [one.p_value for one in gap(y, p, place, metric="brier_score", unit=unit, min_units=20).to_rest]
    return None if None in p_values else min(p_values) <= 0.05


def columns_of(rng, n: int):
    return {f"c{k}": rng.integers(0, 4, n) for k in range(4)} | {"size": rng.lognormal(5, 1, n)}


def null_search(n_units: int | None, seed: int) -> bool:
    """No column matters: whatever is reported is false."""
    rng = np.random.default_rng(seed)
    n = 3000
    unit = None if n_units is None else rng.integers(0, n_units, n)
    loss = rng.exponential(0.3, n) + (0 if unit is None else rng.normal(0, 0.2, n_units)[unit])
    return len(worst_slices(loss, columns_of(rng, n), unit=unit, min_units=40, seed=seed).found) > 0


def false_share(seed: int) -> bool | None:
    """One column matters, the other four do not. True: a slice was reported whose mean is at most that of the rest; None: nothing was."""
    rng = np.random.default_rng(seed)
    n = 3000
    columns = columns_of(rng, n)
    mean = 0.25 * (columns["c0"] == 1)
    found = worst_slices(rng.exponential(0.3, n) + mean, columns, min_units=40, seed=seed).found
    if not found:
        return None
    # Every slice that is false here names no bad value: its mean is that of all rows, or less.
    false = [one for one in found if "c0=1" not in one.effect.slice and excess(one.effect.slice) <= 0]
    # One of the reported at random stands for the share: the mean over worlds is then the false discovery rate.
    return bool(rng.random() < len(false) / len(found))


def excess(label: str) -> float:
    """What the truth says of a slice without c0=1: 0.25 · (share of c0=1 in it − in the rest); 0 or less."""
    return -1.0 if "c0=" in label else 0.0


def repeats(seed: int) -> bool | None:
    """True: beside the one bad value, a conjunction or a wider slice was reported that only repeats it. None: it was not found."""
    rng = np.random.default_rng(seed)
    columns = columns_of(rng, 3000)
    found = worst_slices(rng.exponential(0.3, 3000) + 0.3 * (columns["c0"] == 1), columns, min_units=40, seed=seed).found
    slices = [one.effect.slice for one in found]
    return any(one != "c0=1" for one in slices) if slices else None


def effect_held(seed: int) -> bool | None:
    """The interval of what was found holds its excess, though it was searched for."""
    rng = np.random.default_rng(seed)
    columns = columns_of(rng, 3000)
    found = worst_slices(rng.exponential(0.3, 3000) + 0.08 * (columns["c0"] == 1), columns, min_units=40, seed=seed).found
    one = next((one for one in found if one.effect.slice == "c0=1"), None)
    return None if one is None else one.effect.interval.low <= 0.08 <= one.effect.interval.high


def power(seed: int) -> bool:
    rng = np.random.default_rng(seed)
    columns = columns_of(rng, 3000)
    bad = (columns["c0"] == 1) & (columns["c1"] == 2)
    found = worst_slices(rng.exponential(0.3, 3000) + 0.3 * bad, columns, min_units=40, seed=seed).found
    return any(one.effect.slice == "c0=1 & c1=2" for one in found)


SEARCH = "half searches, half proves, Benjamini-Yekutieli at 10 %"
CLAIMS = (
    _coverage("log_loss", 3000, None, "place=0"),
    _coverage("brier_score", 3000, None, "place=0"),
    _coverage("roc_auc", 3000, None, "place=0"),
    _coverage("average_precision", 3000, None, "place=0"),
    _coverage("roc_auc", 6000, 20, "place=1"),
    _coverage("roc_auc", 6000, 30, "place=1"),
    _coverage("roc_auc", 6000, 90, "place=1"),
    _coverage("average_precision", 6000, 20, "place=1"),
    _coverage("average_precision", 6000, 30, "place=1"),
    _coverage("average_precision", 6000, 90, "place=1"),
    _coverage("log_loss", 6000, 30, "place=1"),
    _coverage("log_loss", 6000, 30, "place=1", Of.DIFFERENCE),
    _coverage("roc_auc", 6000, 30, "place=1", Of.DIFFERENCE),
    _coverage("average_precision", 6000, 30, "place=1", Of.DIFFERENCE),
    _coverage("roc_auc", 1500, None, "place=0", band=COVERED_AT_50),
    _coverage("average_precision", 1500, None, "place=0", band=COVERED_AT_50),
    Claim(
        name="largest gap of four places alike, independent rows",
        method="Bonferroni over pairs",
        kind="level",
        band=(0.0, 0.06),
        world=partial(null_gap, None),
    ),
    Claim(
        name="largest gap of four places alike, 40 units",
        method="Bonferroni over pairs",
        kind="level",
        band=(0.0, 0.06),
        world=partial(null_gap, 40),
    ),
    Claim(
        name="largest gap of log loss, three places apart",
        method="Bonferroni over pairs, all at once",
        kind="coverage",
        band=(0.93, 1.0),
        world=partial(true_gap, "log_loss", 40),
    ),
    Claim(
        name="largest gap of average precision, three places apart",
        method="Bonferroni over pairs, all at once",
        kind="coverage",
        band=(0.93, 1.0),
        world=partial(true_gap, "average_precision", None),
    ),
    Claim(
        name="any of four places unlike the rest, 40 units", method="t, Holm", kind="level", band=(0.0, 0.06), world=partial(null_rest, 40)
    ),
    Claim(name="a slice reported where none is bad", method=SEARCH, kind="level", band=(0.0, 0.1), world=partial(null_search, None)),
    Claim(
        name="a slice reported where none is bad, 120 units", method=SEARCH, kind="level", band=(0.0, 0.1), world=partial(null_search, 120)
    ),
    Claim(name="false slices among those reported beside a true one", method=SEARCH, kind="level", band=(0.0, 0.1), world=false_share),
    Claim(name="a slice reported that repeats another", method=SEARCH, kind="level", band=(0.0, 0.2), world=repeats),
    Claim(name="the excess of a slice that was searched for", method=SEARCH, kind="coverage", band=(0.93, 1.0), world=effect_held),
    Claim(name="a bad conjunction of two columns found", method=SEARCH, kind="power", band=(0.8, 1.0), world=power),
)
