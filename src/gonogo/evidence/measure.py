"""What did challenger and champion score on the same rows, and how sure are we?

Every metric (a ratio of sums) and every statistic (any other figure) of the family, for the challenger, the champion and their paired
difference, over the whole table and over the slices. A figure that cannot be given becomes an estimate without a value that says why.
Nothing here knows what kind of problem it is.

Same rows, contract and seed: same bytes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from gonogo.evidence.slices import Partition, partition
from gonogo.evidence.worst import find_worst
from gonogo.stats.clustered import UnitSums, difference_of_unit_sums, ratio_of_unit_sums, sums_by_group
from gonogo.stats.figure import Figure
from gonogo.stats.influence import LOGIT, PLAIN
from gonogo.stats.refusals import Refused, Undefined
from gonogo.stats.resampling import percentile_interval, unit_draws
from gonogo.stats.spread_by_unit import UnitRows, interval_of_powers, powers_of_units, unit_rows
from gonogo.types.evidence import Effect, Estimate, Evidence, Linearised, Of, UnitScores
from gonogo.types.protocols import Analytic

if TYPE_CHECKING:
    from gonogo.types.contract import Contract
    from gonogo.types.evidence import Array, IntArray
    from gonogo.types.protocols import Examples, Family, Metric, Statistic, Table
    from gonogo.types.record import Digest

DRAWS = 1000  # resamples of the units; the end of an interval then moves by about 5 % of its width from seed to seed
LEVEL = 0.95
UNDEFINED_AT_MOST = 0.01  # share of resamples without a figure (one class only, say) that may be left out


@dataclass(frozen=True, kw_only=True, slots=True)
class _Part:
    """Rows that are judged together: the whole table, or one slice."""

    slice: str
    rows: IntArray | None  # row numbers; None for all
    n_rows: int
    n_units: int
    min_units: int  # below it nothing is said
    min_rows: int = 0

    @property
    def refused(self) -> str:
        """Why nothing is said of these rows; empty where something may be."""
        if self.n_units < self.min_units:
            return f"{self.n_units} units of {self.min_units} asked"
        return f"{self.n_rows:,} rows of {self.min_rows:,} asked" if self.n_rows < self.min_rows else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Rows:
    """The table as every figure sees it."""

    predictions: tuple[tuple[Of, Table], ...]
    outcomes: Table
    unit: IntArray  # (n,) codes 0 … n_units − 1
    n_units: int


def measure(
    contract: Contract,
    family: Family,
    examples: Examples,
    challenger: Table,
    champion: Table,
    *,
    contract_digest: Digest,
    candidate_digest: Digest,
    champion_digest: Digest,
    champion_is: str,
    snapshot_digest: Digest,
    table: str,
    effects: tuple[Effect, ...] = (),
    n_draws: int = DRAWS,
) -> Evidence:
    """The evidence of one table: every figure of the family for challenger, champion and difference, whole and by slice.

    challenger, champion: predictions of the same rows, in the order of the examples. champion_is: "champion" or "baseline".
    Metrics are given for every slice, and so are statistics that have an analytic form: each costs one sort and one pass. A statistic that
    must be resampled is given only for the slices that a gate asks for, since each costs n_draws evaluations.
    Raises ValueError where the predictions are not of these rows.
    """
    rows = _rows(examples, challenger, champion)
    partitions = tuple(partition(examples.slices, rows.unit, slicing) for slicing in contract.slices)
    analytic, resampled = _by_form(family.statistics, rows)
    draws = unit_draws(rows.n_units, n_draws, contract.seed)
    estimates = itertools.chain(
        *(_metric(metric, rows, partitions) for metric in (*family.metrics, *_priced(family, contract))),
        *(_analytic_statistic(statistic, forms, rows, partitions) for statistic, forms in analytic),
        *(_statistics(resampled, rows, part, draws, contract) for part in (_whole(rows), *_parts(partitions))),
    )
    worst = find_worst(contract, family, examples, challenger)
    return Evidence(
        contract=contract_digest,
        candidate=candidate_digest,
        champion=champion_digest,
        champion_is=champion_is,
        snapshot=snapshot_digest,
        table=table,
        n_rows=rows.outcomes.num_rows,
        n_units=rows.n_units,
        estimates=tuple(estimates),
        curves=family.curves(challenger, champion, examples.outcomes, contract.cost) if family.curves and rows.n_units else (),
        effects=effects,
        worst=worst.found if worst else (),
        searched=worst.searched if worst else 0,
    )


def _priced(family: Family, contract: Contract) -> tuple[Metric, ...]:
    return family.priced(contract.cost) if family.priced else ()


def _rows(examples: Examples, challenger: Table, champion: Table) -> _Rows:
    n = examples.outcomes.num_rows
    if not challenger.num_rows == champion.num_rows == n:
        raise ValueError(f"{challenger.num_rows} and {champion.num_rows} predictions for {n} rows")
    codes, unit = np.unique(examples.outcomes.column("unit").to_numpy(), return_inverse=True)
    return _Rows(
        predictions=((Of.CHALLENGER, challenger), (Of.CHAMPION, champion)),
        outcomes=examples.outcomes,
        unit=unit.astype(np.int64),
        n_units=len(codes),
    )


def _whole(rows: _Rows) -> _Part:
    # Two units are the least from which any spread is seen; what a gate asks beyond that is the gate's affair.
    return _Part(slice="", rows=None, n_rows=rows.outcomes.num_rows, n_units=rows.n_units, min_units=2)


def _parts(partitions: Iterable[Partition]) -> Iterator[_Part]:
    for split in partitions:
        for code, label in enumerate(split.labels):
            yield _Part(
                slice=label,
                rows=np.flatnonzero(split.group == code),
                n_rows=split.n_rows[code],
                n_units=split.n_units[code],
                min_units=split.min_units,
                min_rows=split.min_rows,
            )


def _one_group(rows: _Rows) -> Partition:
    n = len(rows.unit)
    return Partition(column="", labels=("",), group=np.zeros(n, dtype=np.int64), n_rows=(n,), n_units=(rows.n_units,), min_units=2)


# ── metrics: ratios of sums ─────────────────────────────────────────────────────────────────────────────────────────────


def _metric(metric: Metric, rows: _Rows, partitions: tuple[Partition, ...]) -> Iterator[Estimate]:
    """One metric for both arms and their difference, whole and in every slice; each column of slices costs one pass."""
    scores: dict[Of, UnitScores | str] = {of: _scores(metric, table, rows) for of, table in rows.predictions}
    whole = _one_group(rows)
    for split in (whole, *partitions):
        sums = {
            of: s if isinstance(s, str) else sums_by_group(s, split.group, len(split.labels), n_units=rows.n_units)
            for of, s in scores.items()
        }
        parts = (_whole(rows),) if split is whole else tuple(_parts((split,)))
        for code, part in enumerate(parts):
            by_arm = {of: s if isinstance(s, str) else s[code] for of, s in sums.items()}
            yield from _metric_of_part(metric, part, by_arm)


def _scores(metric: Metric, predictions: Table, rows: _Rows) -> UnitScores | str:
    """The metric row by row under our dense unit codes, or the sentence with which it refused."""
    try:
        scores = metric.score(predictions, rows.outcomes)
        if not np.array_equal(scores.unit, rows.outcomes.column("unit").to_numpy()):
            return "the metric gave other rows than it was asked for"
        dense = UnitScores(rows.unit, scores.value, scores.weight)
        sums_by_group(dense, np.zeros(len(rows.unit), dtype=np.int64), 1, n_units=rows.n_units)
    except ValueError as error:  # by its promise a metric refuses an empty table and NaN with ValueError; so do the sums
        return str(error)
    return dense


def _metric_of_part(metric: Metric, part: _Part, sums: dict[Of, UnitSums | str]) -> Iterator[Estimate]:
    ours, theirs = sums[Of.CHALLENGER], sums[Of.CHAMPION]
    for of, arm in sums.items():
        yield _estimate(metric, of, part, lambda arm=arm: ratio_of_unit_sums(_given(arm)))  # type: ignore[misc]
    yield _estimate(metric, Of.DIFFERENCE, part, lambda: difference_of_unit_sums(_given(ours), _given(theirs)))


def _given(sums: UnitSums | str) -> UnitSums:
    if isinstance(sums, str):
        raise Undefined(sums)
    return sums


# ── statistics by each row's share in their error ───────────────────────────────────────────────────────────────────────


_Forms: TypeAlias = "dict[Of, Analytic | str]"  # whose → its analytic form, or the sentence with which it refused


def _by_form(statistics: tuple[Statistic, ...], rows: _Rows) -> tuple[list[tuple[Statistic, _Forms]], tuple[Statistic, ...]]:
    """The statistics that have an analytic form, with it for both arms, and those that must be resampled."""
    analytic, resampled = [], []
    for statistic in statistics:
        forms = {of: _form(statistic, predictions, rows) for of, predictions in rows.predictions}
        known = {of: form for of, form in forms.items() if form is not None}
        if len(known) == len(forms):
            analytic.append((statistic, known))
        else:
            resampled.append(statistic)
    return analytic, tuple(resampled)


def _form(statistic: Statistic, predictions: Table, rows: _Rows) -> Analytic | str | None:
    try:
        return statistic.linearise(predictions, rows.outcomes)
    except ValueError as error:  # NaN among the predictions, an empty table
        return str(error)


def _analytic_statistic(statistic: Statistic, forms: _Forms, rows: _Rows, partitions: tuple[Partition, ...]) -> Iterator[Estimate]:
    """One statistic for both arms and their difference, whole and in every slice; each column of slices costs one pass."""
    units = unit_rows(rows.unit, rows.n_units)
    whole = _one_group(rows)
    for split in (whole, *partitions):
        found = _swayed(forms, split, units)
        for code, part in enumerate((_whole(rows),) if split is whole else tuple(_parts((split,)))):
            for of in Of:
                yield _estimate(statistic, of, part, lambda of=of, code=code, part=part: _figure(found[of], code, of, part))  # type: ignore[misc]  # noqa: B023


@dataclass(frozen=True, kw_only=True, slots=True)
class _Swayed:
    """One arm's statistic, or the difference, for every slice of one column."""

    linearised: Linearised
    is_share: bool
    squares: Array  # (n_groups,) Σ e² over units
    fourths: Array  # (n_groups,) Σ e⁴ over units


def _swayed(forms: _Forms, split: Partition, units: UnitRows) -> dict[Of, _Swayed | str]:
    n = len(split.labels)
    given = {of: form if isinstance(form, str) else form.by_group(split.group, n) for of, form in forms.items()}
    ours, theirs = given[Of.CHALLENGER], given[Of.CHAMPION]
    if isinstance(ours, Linearised) and isinstance(theirs, Linearised):
        refused = tuple(a or b for a, b in itertools.zip_longest(ours.refused, theirs.refused, fillvalue=""))
        given[Of.DIFFERENCE] = Linearised(ours.value - theirs.value, ours.influence - theirs.influence, refused)
    else:
        given[Of.DIFFERENCE] = ours if isinstance(ours, str) else theirs
    found: dict[Of, _Swayed | str] = {}
    code = split.group.astype(np.int16) if n < 1 << 15 else split.group
    for of, one in given.items():
        if isinstance(one, str):
            found[of] = one
            continue
        powers = powers_of_units(one.influence[:, None], code, n, units)
        form = forms.get(of)
        is_share = isinstance(form, Analytic) and form.is_share
        found[of] = _Swayed(linearised=one, is_share=is_share, squares=powers.squares[:, 0], fourths=powers.fourths[:, 0])
    return found


def _figure(swayed: _Swayed | str, code: int, of: Of, part: _Part) -> Figure:
    """One slice's figure. Raises Refused where the statistic refused it or it is undefined."""
    if isinstance(swayed, str):
        raise Undefined(swayed)
    value, refused = float(swayed.linearised.value[code]), swayed.linearised.refused
    if refused and refused[code]:
        raise Undefined(refused[code])
    if not np.isfinite(value):
        raise Undefined("undefined on these rows: one class only, or no weight")
    scale, source = (LOGIT if swayed.is_share else PLAIN), "paired influence" if of is Of.DIFFERENCE else "influence"
    squares, fourths = float(swayed.squares[code]), float(swayed.fourths[code])
    interval = interval_of_powers(value, squares, fourths, part.n_units, level=LEVEL, scale=scale, source=source)
    return Figure(value=value, interval=interval, n_units=part.n_units, n_rows=part.n_rows)


# ── statistics that must be resampled by unit ─────────────────────────────────────────────────────────────────────


def _statistics(statistics: tuple[Statistic, ...], rows: _Rows, part: _Part, draws: Array, contract: Contract) -> Iterator[Estimate]:
    """The statistics of one part under the same draws for both arms."""
    asked = tuple(s for s in statistics if part.rows is None or _is_gated(s.name, part.slice.split("=")[0], contract))
    figures: dict[tuple[str, Of], _Drawn | str] = {}
    if asked and not part.refused:
        figures = _resample(asked, rows, part, draws)
    for statistic in asked:
        ours, theirs = (figures.get((statistic.name, of), part.refused) for of in (Of.CHALLENGER, Of.CHAMPION))
        yield _estimate(statistic, Of.CHALLENGER, part, lambda: _drawn_figure(ours, part))  # noqa: B023
        yield _estimate(statistic, Of.CHAMPION, part, lambda: _drawn_figure(theirs, part))  # noqa: B023
        yield _estimate(statistic, Of.DIFFERENCE, part, lambda: _drawn_figure(_minus(ours, theirs), part))  # noqa: B023


def _is_gated(name: str, column: str, contract: Contract) -> bool:
    return any(gate.metric == name and column in gate.slices for gate in contract.gates)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Drawn:
    """A statistic as it stands and under every draw; NaN where a draw leaves it undefined."""

    value: float | None
    draws: Array


def _resample(asked: tuple[Statistic, ...], rows: _Rows, part: _Part, draws: Array) -> dict[tuple[str, Of], _Drawn | str]:
    outcomes = rows.outcomes if part.rows is None else rows.outcomes.take(part.rows)
    unit = rows.unit if part.rows is None else rows.unit[part.rows]
    prepared: dict[tuple[str, Of], Callable[[Array], float | None]] = {}
    found: dict[tuple[str, Of], _Drawn | str] = {}
    for of, whole in rows.predictions:
        predictions = whole if part.rows is None else whole.take(part.rows)
        for statistic in asked:
            try:
                prepared[statistic.name, of] = statistic.prepare(predictions, outcomes)
            except ValueError as error:  # NaN among the predictions, an empty table
                found[statistic.name, of] = str(error)
    values = {key: np.empty(len(draws)) for key in prepared}
    for i, draw in enumerate(draws):
        weight = draw[unit]
        for key, figure in prepared.items():
            drawn = figure(weight)
            values[key][i] = np.nan if drawn is None else drawn
    ones = np.ones(len(unit))
    return found | {key: _Drawn(value=figure(ones), draws=values[key]) for key, figure in prepared.items()}


def _minus(ours: _Drawn | str, theirs: _Drawn | str) -> _Drawn | str:
    if isinstance(ours, str) or isinstance(theirs, str):
        return ours if isinstance(ours, str) else theirs
    value = None if ours.value is None or theirs.value is None else ours.value - theirs.value
    return _Drawn(value=value, draws=ours.draws - theirs.draws)


def _drawn_figure(drawn: _Drawn | str, part: _Part) -> Figure:
    """The value with its percentile interval. Raises Refused where it is undefined here, or in too many of the resamples."""
    if isinstance(drawn, str):
        raise Undefined(drawn)
    if drawn.value is None or not np.isfinite(drawn.value):
        raise Undefined("undefined on these rows: one class only, or no weight")
    known = drawn.draws[~np.isnan(drawn.draws)]
    if len(known) < (1 - UNDEFINED_AT_MOST) * len(drawn.draws):
        raise Undefined(f"undefined in {len(drawn.draws) - len(known)} of {len(drawn.draws)} resamples: too few units hold both outcomes")
    interval = percentile_interval(known, n_units=part.n_units)
    low, high = min(interval.low, drawn.value), max(interval.high, drawn.value)
    return Figure(value=drawn.value, interval=replace(interval, low=low, high=high), n_units=part.n_units, n_rows=part.n_rows)


# ── one estimate ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _estimate(named: Metric | Statistic, of: Of, part: _Part, figure: Callable[[], Figure]) -> Estimate:
    """The figure as a record, or the record that says why there is none."""
    facts: dict[str, Any] = {
        "metric": named.name,
        "of": of,
        "slice": part.slice,
        "n_rows": part.n_rows,
        "measured_in": named.measured_in,
        "better": named.better,
    }
    if part.refused:
        return Estimate(value=None, interval=None, n_units=part.n_units, refused=part.refused, **facts)
    try:
        found = figure()
    except Refused as refused:
        return Estimate(value=None, interval=None, n_units=part.n_units, refused=str(refused), **facts)
    return Estimate(value=found.value, interval=found.interval, n_units=found.n_units, **facts)
