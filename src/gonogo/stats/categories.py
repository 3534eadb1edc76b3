"""Do two populations hold the same categories, or say yes equally often?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gonogo.stats.clustered import ratio_of_sums
from gonogo.stats.distributions import t_tail
from gonogo.stats.figure import Figure
from gonogo.stats.refusals import NotFinite, Undefined
from gonogo.stats.scientific import special, tests
from gonogo.stats.two_samples import (
    Outcome,
    Pair,
    Side,
    Spread,
    concluded,
    pair_of,
    require_comparable,
    root_interval,
    spread,
    spread_of_variances,
)
from gonogo.types.evidence import Interval, Tested, UnitScores

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from gonogo.types.evidence import Array, IntArray

LEAST_EXPECTED = 5.0  # rows of a category on either side, under which the chi-square distribution is no guide (Cochran 1954)
_REPEATED = 0.1  # of the rows of rare categories, at most, where they are ids


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Two rows of counts over the same categories."""

    count_a: Array  # (k,)
    count_b: Array
    group: IntArray  # (categories,) column of the table of each category: rare ones share the last


def chi_square(
    a: ArrayLike,
    b: ArrayLike,
    *,
    unit_a: ArrayLike | None = None,
    unit_b: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Tested:
    """Whether two samples of categories have the same shares: Pearson's test, with Cramér's V corrected for its bias.

    a, b: (n_a,), (n_b,) values of any type that can be told apart; None and NaN are refused. Categories of which fewer than 5 rows are to
    be expected on a side are counted as one; where they repeat and hold most rows, that is refused. With units, statistic and V take the
    design effect into account (Rao & Scott's first order).
    V is 0 where the shares are equal, 1 where no category is on both sides. Its interval is that of V², delta method plus the variance
    under the null. A single category on both sides gives V = 0, up to what so many rows could have missed. seed has no effect.
    Source: Bergsma (2013), Journal of the Korean Statistical Society 42; Rao & Scott (1981), JASA 76.

    >>> found = chi_square(["x"] * 60 + ["y"] * 40, ["x"] * 40 + ["y"] * 60)
    >>> round(found.statistic, 3), round(found.effect.value, 3)
    (8.0, 0.187)
    """
    del seed
    code_a, code_b, n_categories = category_codes(a, b)
    pair = pair_of(code_a, code_b, unit_a=unit_a, unit_b=unit_b, level=level)
    return chi_square_of_codes(pair, n_categories, level=level)


def chi_square_of_codes(pair: Pair, n_categories: int, *, level: float) -> Tested:
    """`chi_square` of values that are codes 0 … n_categories − 1 already; −1 is missing."""
    return concluded(
        "Pearson's chi-square" if pair.a.unit is None else "Pearson's chi-square, Rao–Scott by unit",
        "every category has the same share in both populations",
        lambda: _chi_square(pair, n_categories, level),
        pair,
        metric="Cramér's V",
        measured_in="",
    )


def fisher(
    a: ArrayLike,
    b: ArrayLike,
    *,
    unit_a: ArrayLike | None = None,
    unit_b: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Tested:
    """Whether a yes is equally frequent on both sides: Fisher's exact test, with the difference of the shares.

    a, b: (n_a,), (n_b,) of 0 and 1 or booleans. statistic: the odds of a yes in b over those in a (infinite odds are refused by records, so
    they are given as the largest float). The interval of share(b) − share(a) is Newcombe's, from Wilson's of each side: never of no width.
    With units it is made from clustered intervals, and the p-value is that of the clustered t. seed has no effect.
    Source: Fisher (1935); Newcombe (1998), Statistics in Medicine 17, method 10.

    >>> found = fisher([0] * 18 + [1] * 2, [0] * 10 + [1] * 10)
    >>> found.effect.value, round(found.p_value, 4)
    (0.4, 0.0138)
    """
    del seed
    pair = pair_of(a, b, unit_a=unit_a, unit_b=unit_b, level=level)
    return concluded(
        "Fisher's exact test" if pair.a.unit is None else "difference of shares, t by unit",
        "a yes is equally frequent in both populations",
        lambda: _fisher(pair, level),
        pair,
        metric="difference of shares",
        measured_in="",
    )


def category_codes(a: ArrayLike, b: ArrayLike) -> tuple[IntArray, IntArray, int]:
    """Codes of the values of both sides, −1 for None and NaN, and how many values there are."""
    given_a, given_b = _plain(a, "a"), _plain(b, "b")
    if given_a.dtype.kind == "O" or given_b.dtype.kind == "O" or given_a.dtype.kind != given_b.dtype.kind:
        return _codes_of_objects(given_a, given_b)
    both = np.concatenate([given_a, given_b])
    values, codes = np.unique(both, return_inverse=True)
    is_missing = np.zeros(len(both), dtype=bool)
    if both.dtype.kind == "f":
        is_missing = np.isnan(both)
    elif both.dtype.kind in "mM":
        is_missing = np.isnat(both)
    codes = np.where(is_missing, -1, codes)
    return codes[: len(given_a)], codes[len(given_a) :], len(values)


def as_column(values: ArrayLike) -> NDArray[Any]:
    """As an array; a list in which text stands beside None or NaN keeps its objects, of which NumPy would make text."""
    given = np.asarray(values)
    return given if isinstance(values, np.ndarray) or given.dtype.kind not in "US" else np.asarray(values, dtype=object)


def is_nothing(value: object) -> bool:
    """Whether a value is missing: None, NaN, NaT, or pandas' NA, of which nobody can say whether it equals itself."""
    try:
        return value is None or bool(value != value)
    except TypeError:
        return True


def _plain(values: ArrayLike, name: str) -> NDArray[Any]:
    given = as_column(values)
    if given.ndim != 1:
        raise ValueError(f"{name} has the shape {given.shape}: one column is needed")
    return given


def _codes_of_objects(a: NDArray[Any], b: NDArray[Any]) -> tuple[IntArray, IntArray, int]:
    """In the order of first appearance: objects need not be comparable."""
    known: dict[Any, int] = {}
    sides = [
        np.array([-1 if is_nothing(value) else known.setdefault(value, len(known)) for value in side.tolist()], dtype=np.int64)
        for side in (a, b)
    ]
    return sides[0], sides[1], len(known)


def _chi_square(pair: Pair, n_categories: int, level: float) -> Outcome:
    chdtrc = special().chdtrc

    _require_known(pair)
    counts_a, counts_b = (np.bincount(side.values.astype(np.int64), minlength=n_categories) for side in (pair.a, pair.b))
    table = _pooled(counts_a, counts_b)
    _require_not_mostly_rare(counts_a, counts_b, table)
    n_a, n_b, k = float(pair.a.n), float(pair.b.n), len(table.count_a)
    if k == 1:
        return _one_category(pair, level)
    share_a, share_b, share = table.count_a / n_a, table.count_b / n_b, (table.count_a + table.count_b) / (n_a + n_b)
    part_a, part_b = n_a / (n_a + n_b), n_b / (n_a + n_b)
    gap = share_b - share_a
    square = part_a * part_b * float(np.sum(gap * gap / share))
    statistic = square * (n_a + n_b)
    design = 1.0 if pair.a.unit is None else _design_effect(pair, table, share)
    df = k - 1
    # How φ² moves with the share of each category on either side, its row's share in the error.
    slope_a = part_a * part_b * (-2 * gap / share - part_a * (gap / share) ** 2)
    slope_b = part_a * part_b * (2 * gap / share - part_b * (gap / share) ** 2)
    found = _spread_of_slopes(pair, table, slope_a, slope_b)
    null_variance = 2 * df * (design / (n_a + n_b)) ** 2
    # Bergsma: φ² less its mean under the null, over the most that remains of it.
    most = min(1 - 1 / (n_a + n_b - 1), df * (1 - df / (n_a + n_b - 1)))
    unbiased = (square - design * df / (n_a + n_b - 1)) / most
    interval = root_interval(
        unbiased,
        (found.standard_error**2 + null_variance) / most**2,
        level=level,
        df=found.df,
        most=1.0,
        method="delta method of V² and its null variance",
    )
    value = min(1.0, math.sqrt(max(0.0, unbiased)))
    effect = Figure(value=value, interval=interval, n_units=pair.n_units, n_rows=pair.n_rows)
    return Outcome(statistic=statistic / design, p_value=_p_of_chi_square(statistic / design, df, pair, chdtrc), effect=effect)


def _p_of_chi_square(statistic: float, df: int, pair: Pair, chdtrc: Any) -> float:
    if pair.a.unit is None:
        return float(chdtrc(df, statistic))
    fdtrc = special().fdtrc

    # The design effect is itself estimated, from as many units: F instead of chi-square (Rao & Thomas 1987).
    return float(fdtrc(df, df * (min(pair.a.n_units, pair.b.n_units) - 1), statistic / df))


def _require_known(pair: Pair) -> None:
    require_comparable(pair, finite=True)
    for side, name in ((pair.a, "a"), (pair.b, "b")):
        missing = int(np.sum(side.values < 0))
        if missing:
            raise NotFinite(
                f"{missing:,} of {side.n:,} values of {name} are missing: compare those that are there, and the share that is not"
            )


def _pooled(count_a: IntArray, count_b: IntArray) -> Table:
    """Categories too rare to judge count as one; if that is too rare itself, the next rarest joins it. Margins decide, not the sides."""
    total, n = (count_a + count_b).astype(np.float64), float(count_a.sum() + count_b.sum())
    least = LEAST_EXPECTED * n / min(count_a.sum(), count_b.sum())
    order = np.argsort(-total, kind="stable")
    ranked = total[order]
    common = int(np.sum(ranked >= least))
    rest = float(ranked[common:].sum())
    while 0 < rest < least and common > 0:
        common -= 1
        rest += float(ranked[common])
    group = np.full(len(total), common, dtype=np.int64)
    group[order[:common]] = np.arange(common)
    k = common + (1 if rest > 0 else 0)
    pooled = [np.bincount(group, weights=counts.astype(np.float64), minlength=k)[:k].astype(np.float64) for counts in (count_a, count_b)]
    return Table(count_a=pooled[0], count_b=pooled[1], group=group)


def _require_not_mostly_rare(count_a: IntArray, count_b: IntArray, table: Table) -> None:
    """Raises Undefined where most rows are of rare categories that do repeat: counted as one, they would hide that they are others.

    Ids that hardly ever repeat are no categories: that no id is on both sides is what ids are for.
    """
    rare = table.group == table.group.max()
    n_rare = int(count_a[rare].sum() + count_b[rare].sum())
    n_values = int(np.count_nonzero((count_a + count_b)[rare]))
    different = int(np.count_nonzero(count_a[rare]) + np.count_nonzero(count_b[rare]))  # within a side
    if n_values > 1 and 2 * n_rare > count_a.sum() + count_b.sum() and different < (1 - _REPEATED) * n_rare:
        raise Undefined(f"{n_values:,} categories with most of the rows are so rare that their shares cannot be compared")


def _one_category(pair: Pair, level: float) -> Outcome:
    """V = 0; its upper end is what another category could have been, and not shown up on one side."""
    n_a, n_b = pair.a.n_units, pair.b.n_units
    unseen = -math.log((1 - level) / 2)
    high = math.sqrt(min(1.0, unseen * max(n_a, n_b) / min(n_a, n_b) / (n_a + n_b)))
    interval = Interval(low=0.0, high=high, level=level, method="what so many rows could have missed")
    return Outcome(statistic=0.0, p_value=1.0, effect=Figure(value=0.0, interval=interval, n_units=pair.n_units, n_rows=pair.n_rows))


def _columns(side: Side, table: Table) -> IntArray:
    return np.asarray(table.group[side.values.astype(np.int64)])


def _spread_of_slopes(pair: Pair, table: Table, slope_a: Array, slope_b: Array) -> Spread:
    if pair.a.unit is None:  # rows of a category all have the same share: no need to write them out
        variance_a, variance_b = _variance_of_mean(table.count_a, slope_a), _variance_of_mean(table.count_b, slope_b)
        return spread_of_variances(variance_a, variance_b, pair.a.n, pair.b.n)
    row_a, row_b = slope_a[_columns(pair.a, table)], slope_b[_columns(pair.b, table)]
    return spread((row_a - row_a.mean()) / pair.a.n, (row_b - row_b.mean()) / pair.b.n, pair)


def _variance_of_mean(counts: Array, slope: Array) -> float:
    n = float(counts.sum())
    centred = slope - float(np.sum(counts * slope)) / n
    return float(np.sum(counts * centred * centred)) / (n * (n - 1))


def _design_effect(pair: Pair, table: Table, share: Array) -> float:
    """By what the clustered variance of the shares exceeds that of independent rows, on average over the categories."""
    n_a, n_b = pair.a.n, pair.b.n
    total = float(np.sum(_variance_by_unit(pair, table) / share))
    return max(total / ((len(share) - 1) * (1 / n_a + 1 / n_b)), 1e-12)


def _variance_by_unit(pair: Pair, table: Table) -> Array:
    """(k,) the clustered variance of share(b) − share(a) of each category, as `two_samples.spread` has it, for all in one sort of the rows.

    With W_gj what the rows of unit g in category j weigh, and A_g, B_g what all its rows do, its error in j is W_gj − p_Aj A_g − p_Bj B_g.
    """
    assert pair.a.unit is not None
    assert pair.b.unit is not None
    k, n_a, n_b = len(table.count_a), pair.a.n, pair.b.n
    step_a, step_b = (sign * math.sqrt(side.n_units / (side.n_units - 1)) / side.n for sign, side in ((-1, pair.a), (1, pair.b)))
    of_a = step_a * np.bincount(pair.a.unit, minlength=pair.n_codes)
    of_b = step_b * np.bincount(pair.b.unit, minlength=pair.n_codes)
    cell = np.concatenate([pair.a.unit * k + _columns(pair.a, table), pair.b.unit * k + _columns(pair.b, table)])
    order = np.argsort(cell, kind="stable")
    cell = cell[order]
    first = np.flatnonzero(np.concatenate([[True], cell[1:] != cell[:-1]]))
    within = np.add.reduceat(np.where(order < n_a, step_a, step_b), first)
    unit, category = np.divmod(cell[first], k)
    squares, with_a, with_b = (np.bincount(category, weights=within * other, minlength=k) for other in (within, of_a[unit], of_b[unit]))
    p_a, p_b = table.count_a / n_a, table.count_b / n_b
    all_a, all_b, both = float(np.sum(of_a * of_a)), float(np.sum(of_b * of_b)), float(np.sum(of_a * of_b))
    error = squares - 2 * (p_a * with_a + p_b * with_b) + p_a * p_a * all_a + p_b * p_b * all_b + 2 * p_a * p_b * both
    return np.asarray(np.maximum(0.0, error))


def _fisher(pair: Pair, level: float) -> Outcome:
    require_comparable(pair, finite=True)
    yes_a, n_a, yes_b, n_b = _yes(pair.a), pair.a.n, _yes(pair.b), pair.b.n
    share_a, share_b = yes_a / n_a, yes_b / n_b
    difference = share_b - share_a
    (low_a, high_a), (low_b, high_b) = (_wilson(side, level) for side in (pair.a, pair.b))
    interval = Interval(
        low=difference - math.hypot(share_b - low_b, high_a - share_a),
        high=difference + math.hypot(high_b - share_b, share_a - low_a),
        level=level,
        method="Newcombe from Wilson" if pair.a.unit is None else "Newcombe from clustered Wilson",
    )
    effect = Figure(value=difference, interval=interval, n_units=pair.n_units, n_rows=pair.n_rows)
    return Outcome(statistic=_odds_ratio(yes_a, n_a, yes_b, n_b), p_value=_p_of_shares(pair, difference), effect=effect)


def _yes(side: Side) -> int:
    is_yes = side.values == 1
    if not (is_yes | (side.values == 0)).all():
        raise NotFinite("a value is neither 0 nor 1")
    return int(is_yes.sum())


def _wilson(side: Side, level: float) -> tuple[float, float]:
    n = side.n
    if side.unit is None:
        from gonogo.stats.distributions import normal_quantile

        z, share = normal_quantile((1 + level) / 2), float(side.values.sum()) / n
        centre, half = (
            (share + z * z / (2 * n)) / (1 + z * z / n),
            z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2),
        )
        return max(0.0, min(centre - half, share)), min(1.0, max(centre + half, share))
    interval = ratio_of_sums(UnitScores(side.unit, side.values, np.ones(n)), level=level).interval
    return interval.low, interval.high


def _odds_ratio(yes_a: int, n_a: int, yes_b: int, n_b: int) -> float:
    cells = [float(yes_b), float(n_b - yes_b), float(yes_a), float(n_a - yes_a)]
    if min(cells) == 0:
        cells = [cell + 0.5 for cell in cells]
    return cells[0] * cells[3] / (cells[1] * cells[2])


def _p_of_shares(pair: Pair, difference: float) -> float:
    fisher_exact = tests().fisher_exact

    if pair.a.unit is None:
        yes_a, yes_b = _yes(pair.a), _yes(pair.b)
        return float(fisher_exact([[yes_b, pair.b.n - yes_b], [yes_a, pair.a.n - yes_a]]).pvalue)
    share_a, share_b = pair.a.values.mean(), pair.b.values.mean()
    found = spread(-(pair.a.values - share_a) / pair.a.n, (pair.b.values - share_b) / pair.b.n, pair)
    if found.standard_error == 0:
        # Each side says the same in every row: then by the chance that as many pairs of fair coins fall apart, as for ranks.
        return 1.0 if difference == 0 else 2.0 ** (1 - min(pair.a.n_units, pair.b.n_units))
    return 2 * t_tail(abs(difference) / found.standard_error, found.df)
