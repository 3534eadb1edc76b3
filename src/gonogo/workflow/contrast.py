"""What sets two candidates apart, and does their evidence say which is better?

Pure: records in, records out. Every figure's difference is B − A. Over all of them p-values are adjusted by Holm, so that a table of many
figures does not name a winner by chance; a figure that nothing was seen in says what could have been seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from gonogo.types.evidence import Estimate, Evidence, Of
from gonogo.types.record import Digest, to_json
from gonogo.types.verdict import Status, Verdict

if TYPE_CHECKING:
    from gonogo.types.candidate import Candidate
    from gonogo.types.contract import Contract
    from gonogo.types.snapshot import Snapshot

GIVEN = "--margin"  # where a margin was stated that was given by hand
FALSE_ALARMS = 0.05  # the chance, over all figures together, that a difference is named where there is none


class Answer(Enum):
    """What can be said of B against A."""

    BETTER = "better"  # in at least one figure, and worse in none
    NOT_WORSE = "not worse"  # no difference seen, and the stated margins are kept
    NOT_KEPT = "better, a margin not kept"  # in at least one figure, and worse in none; but a margin that was given is not shown to be kept
    SAME = "the same"  # one and the same model
    UNSEEN = "no difference seen"
    MIXED = "better and worse"  # in different figures
    WORSE = "worse"
    UNPAIRED = "cannot be compared"  # not measured on the same rows


NOT_WORSE_SHOWN = (Answer.BETTER, Answer.NOT_WORSE, Answer.SAME)


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """One of the two verdicts."""

    verdict: Digest
    contract: Digest
    contract_name: str
    snapshot: Digest
    candidate: Digest
    learner: str
    status: Status
    n_rows: int  # of its test table
    n_units: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Contrast:
    """One figure of both, and their paired difference."""

    a: Estimate | None  # None: that side has no such figure
    b: Estimate | None
    difference: Estimate | None  # B − A on the same rows; None where the rows are not the same
    p_value: float | None = None  # two-sided, read off the interval
    p_adjusted: float | None = None  # by Holm, over the figures of this table
    could_have_seen: float | None = None  # the difference that is found with a power of 80 %

    @property
    def figure(self) -> Estimate:
        """Whichever estimate is there: its name, slice, unit and better side."""
        found = self.difference or self.b or self.a
        assert found is not None
        return found

    @property
    def gain(self) -> float:
        """The difference with its sign turned so that more is better; 0 where it is not shown, or where neither side is better."""
        shown = self.p_adjusted is not None and self.p_adjusted < FALSE_ALARMS
        if not shown or self.difference is None or self.difference.value is None:
            return 0.0
        return {"higher": 1, "lower": -1}.get(self.difference.better, 0) * self.difference.value


@dataclass(frozen=True, kw_only=True, slots=True)
class Margin:
    """How much worse would still do, and whether it is shown that B is not."""

    metric: str
    limit: float  # of B − A: at most where lower is better, at least where higher is
    stated_in: str  # "gate 'no worse than the live model'", "--margin"
    kept: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class RulingChanged:
    """A gate that rules otherwise on B than on A."""

    gate: str
    slice: str
    a: Status | None  # None: that contract has no such gate
    b: Status | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Changed:
    """One thing that is not the same for both."""

    what: str  # "contract learners.logistic_regression.params.C", "snapshot as_of", "package numpy"
    a: str  # empty: not there
    b: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Two verdicts held against each other. No clock touches it."""

    answer: Answer
    because: str  # one sentence
    a: Side
    b: Side
    n_rows: int | None  # rows that both answered; None where they cannot be paired
    n_units: int | None
    figures: tuple[Contrast, ...]  # of the whole table
    slices: tuple[Contrast, ...]  # adjusted among themselves
    margins: tuple[Margin, ...]
    rulings: tuple[RulingChanged, ...]
    changed: tuple[Changed, ...]


# ── figures ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def paired(evidence: Evidence) -> tuple[tuple[Contrast, ...], tuple[Contrast, ...]]:
    """The figures of the whole table and those of the slices. evidence: B as the challenger, A as the champion, on the same rows."""
    found = {(e.metric, e.slice, e.of): e for e in evidence.estimates}
    differences = [e for e in evidence.estimates if e.of is Of.DIFFERENCE]
    whole = [e for e in differences if not e.slice]
    parts = [e for e in differences if e.slice]
    return _contrasted(whole, found), _contrasted(parts, found)


def _contrasted(differences: list[Estimate], found: Mapping[tuple[str, str, Of], Estimate]) -> tuple[Contrast, ...]:
    from gonogo.stats.margins import p_value
    from gonogo.stats.multiplicity import holm

    p_values = [p_value(e) for e in differences]
    adjusted = holm(p_values).tolist()
    return tuple(
        Contrast(
            a=found.get((e.metric, e.slice, Of.CHAMPION)),
            b=found.get((e.metric, e.slice, Of.CHALLENGER)),
            difference=e,
            p_value=p,
            p_adjusted=None if p is None else q,
            could_have_seen=_could_have_seen(e),
        )
        for e, p, q in zip(differences, p_values, adjusted, strict=True)
    )


def _could_have_seen(difference: Estimate) -> float | None:
    from gonogo.stats.power import minimum_detectable_difference, standard_error
    from gonogo.stats.refusals import Refused

    try:
        return minimum_detectable_difference(difference) if standard_error(difference) > 0 else None
    except Refused:
        return None


def side_by_side(a: Evidence, b: Evidence) -> tuple[Contrast, ...]:
    """The candidates' own figures on their own rows: two intervals that overlap, or do not, name no winner."""
    of = [{e.metric: e for e in evidence.estimates if e.of is Of.CHALLENGER and not e.slice} for evidence in (a, b)]
    return tuple(Contrast(a=of[0].get(name), b=of[1].get(name), difference=None) for name in dict.fromkeys((*of[0], *of[1])))


# ── margins ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def stated_margins(contract: Contract, given: Mapping[str, float], figures: Iterable[Contrast]) -> tuple[Margin, ...]:
    """The margins that were given, or else those of the contract's gates against the champion, each with whether B keeps it.

    given: metric → how much worse would still do, > 0 in the metric's own unit.
    """
    differences = {c.difference.metric: c.difference for c in figures if c.difference is not None}
    if given:
        worse = {name: margin if differences[name].better == "lower" else -margin for name, margin in given.items()}
        return tuple(_margin(differences[name], limit, GIVEN) for name, limit in worse.items())
    gates = ((g, differences.get(g.metric)) for g in contract.gates if g.against and not g.slices)
    limits = ((g, e, g.at_most if e.better == "lower" else g.at_least) for g, e in gates if e is not None)
    return tuple(_margin(e, limit, f"gate '{g.name}'") for g, e, limit in limits if limit is not None)


def _margin(difference: Estimate, limit: float, stated_in: str) -> Margin:
    interval = difference.interval
    kept = interval is not None and (interval.high <= limit if difference.better == "lower" else interval.low >= limit)
    return Margin(metric=difference.metric, limit=limit, stated_in=stated_in, kept=kept)


# ── the answer ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def answer(figures: tuple[Contrast, ...], margins: tuple[Margin, ...], *, same_model: bool) -> tuple[Answer, str]:
    """What the paired figures say, and why in one sentence. No figure, or none that could be given, shows nothing."""
    if same_model:
        return Answer.SAME, "both verdicts are on one and the same candidate"
    better = [c.figure.metric for c in figures if c.gain > 0]
    worse = [c.figure.metric for c in figures if c.gain < 0]
    if better and worse:
        return Answer.MIXED, f"better in {', '.join(better)}, worse in {', '.join(worse)}"
    if worse:
        return Answer.WORSE, f"worse in {', '.join(worse)}, better in none"
    asked = [m.metric for m in margins if m.stated_in == GIVEN and not m.kept]
    if better and asked:
        return Answer.NOT_KEPT, f"better in {', '.join(better)}, but the margin of {', '.join(asked)} is not shown to be kept"
    if better:
        return Answer.BETTER, f"better in {', '.join(better)}, worse in none"
    if margins and all(margin.kept for margin in margins):
        kept = ", ".join(f"{m.metric} within {abs(m.limit):g}" for m in margins)
        return Answer.NOT_WORSE, f"no figure differs beyond chance, and the stated margin is kept: {kept}"
    if not any(c.p_value is not None for c in figures):
        refusals = [c.difference.refused for c in figures if c.difference is not None]
        return Answer.UNSEEN, f"no figure could be compared: {refusals[0] if refusals else 'none was measured'}"
    return Answer.UNSEEN, "no figure differs beyond chance; that is not to say that they are equal"


# ── what is not the same ────────────────────────────────────────────────────────────────────────────────────────────────


def changed_rulings(a: Verdict, b: Verdict) -> tuple[RulingChanged, ...]:
    """The gates whose status is not the same, in B's order, those that only A has last."""
    of_a, of_b = ({(r.gate, r.slice): r.status for r in verdict.rulings} for verdict in (a, b))
    keys = dict.fromkeys((*of_b, *of_a))
    both = ((gate, part, of_a.get((gate, part)), of_b.get((gate, part))) for gate, part in keys)
    return tuple(RulingChanged(gate=gate, slice=part, a=before, b=after) for gate, part, before, after in both if before is not after)


def changes(
    contracts: tuple[Contract, Contract], snapshots: tuple[Snapshot, Snapshot], candidates: tuple[Candidate, Candidate]
) -> tuple[Changed, ...]:
    """Everything that is not the same for A and for B: contract, data, inputs, learner, parameters, packages."""
    return (
        *_apart("contract", *(to_json(contract) for contract in contracts)),
        *_changed("snapshot", *(_of_snapshot(snapshot) for snapshot in snapshots)),
        *_changed("input", *({i.name: i.kind.value for i in snapshot.inputs} for snapshot in snapshots)),
        *_changed("candidate", *(_of_candidate(candidate) for candidate in candidates)),
        *_changed("package", *({n: _short(v) for n, v in candidate.environment.items()} for candidate in candidates)),
    )


def _of_snapshot(snapshot: Snapshot) -> dict[str, str]:
    sources = {f"source {pin.name}": f"{_short(pin.digest)}, {pin.n_rows:,} rows" for pin in snapshot.sources}
    tables = {f"table {name}": f"{t.n_rows:,} rows of {t.n_units:,} units" for name, t in snapshot.tables.items()}
    return {"as_of": snapshot.as_of, **sources, **tables}


def _of_candidate(candidate: Candidate) -> dict[str, str]:
    params = {f"params {name}": str(value) for name, value in candidate.params.items()}
    return {"learner": candidate.learner, **params, "seed": str(candidate.seed)}


def _changed(kind: str, a: Mapping[str, str], b: Mapping[str, str]) -> Iterator[Changed]:
    for name in dict.fromkeys((*a, *b)):
        if a.get(name) != b.get(name):
            yield Changed(what=f"{kind} {name}", a=a.get(name, ""), b=b.get(name, ""))


def _apart(path: str, a: Any, b: Any) -> Iterator[Changed]:
    """Where two plain JSON values differ; what only one of them has is one line, however much it holds."""
    a, b = _by_name(a), _by_name(b)
    if a == b:
        return
    if not (isinstance(a, dict) and isinstance(b, dict)):
        yield Changed(what=path, a=_told(a), b=_told(b))
        return
    for name in dict.fromkeys((*a, *b)):
        within = f"{path}.{name}" if "." in path or " " in path else f"{path} {name}"
        yield from _apart(within, a.get(name, ""), b.get(name, ""))


def _by_name(value: Any) -> Any:
    """A list of tables as a table: items go by their name where they have one, else by their number."""
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return {str(item.get("name") or item.get("column") or i): item for i, item in enumerate(value)}
    return value


def _told(value: Any) -> str:
    """A value on one line; of a table, what is set."""
    value = _by_name(value)
    if isinstance(value, dict):
        return ", ".join(f"{name} = {_told(part)}" for name, part in value.items() if part not in ("", None, [], {}))
    return ", ".join(map(_told, value)) if isinstance(value, list) else str(value)


def _short(value: str) -> str:
    return value[7:19] if value.startswith("sha256:") else value
