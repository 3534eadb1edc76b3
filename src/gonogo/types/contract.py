"""What must be true, of the data, of the model, of its evidence, before it may answer in production?

These records are the only source of the contract's shape: the parser (`types/toml.py`), the JSON Schema for editors and the reference page
are all derived from their fields. A field's `about` is its help text; `choices`, `at_least`, … are checked by the parser.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FORMAT = 1  # the version of contract.toml that this gonogo writes and reads


def _said(
    about: str,
    *,
    default: Any = ...,
    choices: tuple[str, ...] = (),
    at_least: float | None = None,
    at_most: float | None = None,
    form: str = "",
) -> Any:
    """A field with its help text and limits. form: "name" | "duration" | "window" | "moment" | "sql" | "column" | "aggregate", checked by the parser."""
    metadata = {"about": about, "choices": choices, "at_least": at_least, "at_most": at_most, "form": form}
    if default is ...:
        return field(metadata=metadata)
    if isinstance(default, dict):
        return field(default_factory=dict, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A table of events or attributes, and when each of its rows was known."""

    read: str = _said(
        "A file (Parquet, CSV, JSON lines, Arrow), a glob, duckdb:FILE#TABLE, postgresql://…#TABLE, or python:MODULE:FUNCTION"
    )
    sql: str = _said("A SELECT over the table `input` that shapes the rows", default="", form="sql")
    event_time: str = _said("Column: when it happened (aware). Empty for a timeless table of attributes", default="", form="column")
    known_at: str = _said("Column: when anybody could know the row. Needed unless the source is timeless", default="", form="column")
    retracted_at: str = _said("Column: from when the row no longer counts; null for never", default="", form="column")
    known_later: Mapping[str, str] = _said("Columns known later than the row's known_at: column → SQL for when", default={})
    sequence: str = _said("Column that settles ties of event_time and known_at; unique among them", default="", form="column")
    decimals: Mapping[str, int] = _said(
        "Digits after the point that a value column keeps in exact sums; whole numbers need none", default={}
    )
    timeless: bool = _said(
        "True for attributes without a time, e.g. a plane's year of build: they are taken as always known", default=False
    )
    unique: tuple[str, ...] = _said("Columns that together may not repeat", default=())
    checks: Mapping[str, Check] = _said("Column → what its values must be", default={})


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """What the values of one column must be."""

    type: str = _said("Its type", default="", choices=("", "integer", "number", "text", "boolean", "time"))
    at_least: float | None = _said("Smallest allowed value", default=None)
    at_most: float | None = _said("Largest allowed value", default=None)
    null_rate_at_most: float | None = _said("Largest allowed share of nulls", default=None, at_least=0, at_most=1)
    one_of: tuple[str, ...] = _said("The allowed values", default=())
    refers_to: str = _said("SOURCE.COLUMN in which every value must be found", default="")
    unmatched_at_most: float = _said("Largest allowed share of values without a match", default=0.0, at_least=0, at_most=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """The rows that are predicted: one per decision."""

    source: str = _said("The source that lists them", form="name")
    key: tuple[str, ...] = _said("Columns that name a row, unique together")
    decided_at: str = _said("SQL: the moment the answer is needed (aware). No input may have been known later", form="sql")
    boundary: str = _said("before: an event at that very moment is not seen; at: it is", default="before", choices=("before", "at"))
    entities: tuple[str, ...] = _said("Columns of the things that recur, e.g. tail number and carrier", default=())


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """What happens to rows of a special kind: written down and counted, never silent."""

    name: str = _said("A word for it, e.g. cancelled")
    when: str = _said("SQL over the row's source", form="sql")
    do: str = _said("drop the row, censor it, or set the outcome", choices=("drop", "censor", "positive", "negative"))
    why: str = _said("The reason, for the page")


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """A stretch of time to leave out: an outage, maintenance."""

    start: str = _said("First moment, aware", form="moment")
    end: str = _said("First moment after it, aware", form="moment")
    why: str = _said("The reason, for the page")


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What came true, and when it was known."""

    columns: Mapping[str, str] = _said("Outcome column → SQL over the row's source; a family says which columns it needs")
    known_at: str = _said("SQL: when the outcome was known (aware); null where it never was", form="sql")
    window: str = _said("How long after decided_at the outcome may still come", form="duration")
    absent: str = _said("An outcome that has not come when its window closes is", default="censored", choices=("censored", "negative"))
    policies: tuple[Policy, ...] = _said("Rows of a special kind", default=())
    excluded: tuple[Window, ...] = _said("Stretches of decided_at to leave out", default=())


@dataclass(frozen=True, kw_only=True, slots=True)
class Feature:
    """One declaration; one column for each aggregate and window. Either an expression over the row, or aggregates over events."""

    sql: str = _said("Request-time: SQL over the row's source", default="", form="sql")
    source: str = _said("Events to aggregate", default="")
    by: tuple[str, ...] = _said("Key columns, of the same name in the rows and in the events", default=())
    where: str = _said("SQL: only events for which it is true", default="", form="sql")
    aggregates: tuple[str, ...] = _said(
        "count | sum(x) | mean(x) | min(x) | max(x) | last(x) | distinct(x) | share(x) | age; nulls of x are skipped, age is seconds since the latest event",
        default=(),
        form="aggregate",
    )
    windows: tuple[str, ...] = _said(
        'How far back, half-open [t - w, t): "1h", "7d"; "all" for everything known', default=("all",), form="window"
    )
    kind: str = _said("number or category; empty: by the column's type", default="", choices=("", "number", "category", "text"))
    missing: str = _said("What happens where it is null", choices=("refuse", "native", "indicate"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """Which rows train, choose and judge."""

    by: str = _said("What keeps the tables apart", choices=("time", "entity", "group", "stratified"))
    validate_from: str = _said("by time: first decided_at of validate", default="", form="moment")
    test_from: str = _said("by time: first decided_at of test", default="", form="moment")
    embargo: str = _said("by time: rows decided this long before a boundary are left out", default="0s", form="duration")
    column: str = _said("by entity or group: the column whose values are kept together", default="", form="column")
    shares: tuple[float, ...] = _said("otherwise: shares of train, validate, test", default=())


@dataclass(frozen=True, kw_only=True, slots=True)
class LearnerChoice:
    """One learner to try, with its parameters in a table of their own."""

    name: str = _said("A learner of the family")
    params: Mapping[str, Any] = _said("Its parameters", default={})


@dataclass(frozen=True, kw_only=True, slots=True)
class Slicing:
    """A column by whose values evidence is told apart. Gates call it by its name, or "COLUMN & OTHER" where it is crossed."""

    column: str = _said("A column of the row's source or an input", form="column")
    bins: int = _said(
        "Cut its numbers into this many bins of about equally many test rows; 0: each value is a slice", default=0, at_least=0
    )
    crossed_with: str = _said("A second column: each pair of their values is a slice", default="", form="column")
    min_units: int = _said("Below this many independent units a slice says nothing", default=30, at_least=2)
    min_rows: int = _said(
        "Below this many rows a slice says nothing: a difference that matters would drown in chance", default=0, at_least=0
    )
    small: str = _said(
        "Values below min_units or min_rows: refuse (no evidence, no go) or pool the smallest ones into one slice",
        default="refuse",
        choices=("refuse", "pool"),
    )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it takes."""
        return (self.column, self.crossed_with) if self.crossed_with else (self.column,)

    @property
    def name(self) -> str:
        """What gates and slices call it: "origin", "origin & carrier"."""
        return " & ".join(self.columns)


@dataclass(frozen=True, kw_only=True, slots=True)
class Gate:
    """One condition for GO: a figure, whose it is, and its limit. The end of the interval that is worst for the challenger decides."""

    name: str = _said("What a person calls it")
    metric: str = _said("A figure of the family, of the measurements, or open_findings")
    against: str = _said(
        "Empty: the challenger's own figure. champion: its difference to the live model, or to the baseline where none is live; baseline: to the baseline",
        default="",
        choices=("", "champion", "baseline"),
    )
    at_least: float | None = _said("Smallest allowed value", default=None)
    at_most: float | None = _said("Largest allowed value", default=None)
    slices: tuple[str, ...] = _said("Names of [[slices]], a column or COLUMN & OTHER: one ruling for each of their values", default=())
    min_units: int = _said("Below this many independent units there is no evidence", default=30, at_least=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """What an answer and a training may take."""

    latency_p50_ms: float | None = _said("Half of one-row answers are faster", default=None, at_least=0)
    latency_p95_ms: float | None = _said("19 of 20 are faster", default=None, at_least=0)
    latency_p99_ms: float | None = _said("99 of 100 are faster; learners above it are not chosen", default=None, at_least=0)
    training_s: float | None = _said("A learner that takes longer is stopped", default=None, at_least=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What mistakes and machines cost."""

    false_positive_usd: float = _said("One false alarm", at_least=0)
    false_negative_usd: float = _said("One miss", at_least=0)
    machine_usd_per_hour: float = _said("One processor core for an hour", at_least=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """The launch in words, beside the numbers."""

    owner: str = _said("Who answers for it")
    reversible: bool = _said("Can the decision be taken back without harm?")
    assumptions: tuple[str, ...] = _said("What is taken for granted")
    risks: tuple[str, ...] = _said("What could go wrong, and who would be hurt")
    fallback: str = _said("What is answered when the model cannot")


@dataclass(frozen=True, kw_only=True, slots=True)
class Serving:
    """How an answer is given, and what is answered when the model cannot."""

    deadline_ms: float = _said("After so long the fallback answers", default=1000.0, at_least=1)
    fallback: Mapping[str, Any] = _said(
        "What is answered when the model cannot: prediction column → a number, the name of an input, or a list of them in order of preference",
        default={},
    )
    log_full: str = _said(
        "When the prediction log cannot be written: answer and count what was not logged, or refuse to answer",
        default="answer",
        choices=("answer", "refuse"),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Guardrail:
    """What is watched while traffic shifts. Harm beyond doubt acts; forward only once harm above the margin is refuted."""

    name: str = _said("What a person calls it")
    metric: str = _said(
        "errors | fallbacks | latency_p50 | latency_p95 | latency_p99 | prediction (its distribution) | a metric of the family, on outcomes"
    )
    action: str = _said("What harm beyond doubt does", default="rollback", choices=("rollback", "pause"))
    ratio_at_most: float | None = _said(
        "Margin of what is counted: the challenger's rate over the champion's, above 1", default=None, at_least=1
    )
    rate_at_most: float | None = _said(
        "A rate of the challenger that is harmless whatever the ratio; needed where the champion hardly ever errs",
        default=None,
        at_least=0,
        at_most=1,
    )
    at_most: float | None = _said(
        "Margin of a metric: how much worse its mean may be, in its unit; of a latency: milliseconds", default=None, at_least=0
    )
    range: tuple[float, ...] = _said("Of a metric: [lowest, highest] value of one row; beyond, it is cut off and counted", default=())
    slices: tuple[str, ...] = _said("Names of [[slices]]: one watch for each value that its traffic can decide", default=())


@dataclass(frozen=True, kw_only=True, slots=True)
class Rollout:
    """How a release moves forward."""

    shares: tuple[float, ...] = _said("Shares of traffic, rising to 1", default=(0.01, 0.05, 0.25, 0.5, 1.0))
    bake: str = _said("The least time at each share", default="1h", form="duration")
    bucket_by: str = _said("The column by whose value traffic is assigned", default="", form="column")
    method: str = _said(
        "canary: step by step; blue_green: from shadow to all at once; ab: one fixed share until the planned sample; adaptive: a policy moves the share",
        default="canary",
        choices=("canary", "blue_green", "ab", "adaptive"),
    )
    shadow: str = _said("The least time in shadow, where the challenger answers nobody", default="1h", form="duration")
    patience: str = _said(
        "After so long without a decision a stage raises an alarm; it never moves by time alone", default="7d", form="duration"
    )
    probation: str = _said("How long after full traffic late labels may still bring it back; empty: the outcome's window", default="")
    approve_at: tuple[float, ...] = _said("Shares that a person must approve before they are reached", default=())
    alpha: float = _said(
        "Error budget of a release: the chance that a harmless challenger is rolled back, and that a harmful one is let through",
        default=0.05,
        at_least=1e-6,
        at_most=0.5,
    )
    allocation: str = _said(
        "For method = adaptive: the policy that moves the share, thompson | epsilon_greedy | fixed or an installed one", default=""
    )
    reward: str = _said("For method = adaptive: the guardrail by which the policy compares the two models", default="")
    share_at_least: float = _said("For method = adaptive: the policy never goes below, in whole thousandths", default=0.01, at_least=0.001)
    share_at_most: float = _said("For method = adaptive: the policy never goes above", default=0.5, at_least=0.001, at_most=0.999)
    step_at_most: float = _said(
        "For method = adaptive: the largest change of the share at once", default=0.1, at_least=0.001, at_most=0.998
    )
    move_every: str = _said("For method = adaptive: the share moves once in so long at most", default="10m", form="duration")


@dataclass(frozen=True, kw_only=True, slots=True)
class Contract:
    """One problem: what is predicted, for whom, at which moment, and what must be true of the answer."""

    gonogo: int = _said("Version of this format", at_least=1)
    name: str = _said("A short name, [a-z0-9_-]", form="name")
    family: str = _said("The installed plugin that knows such problems")
    question: str = _said("What is predicted, in one sentence")
    mode: str = _said("How it is asked", default="request", choices=("batch", "request", "async"))
    unit: str = _said("Column of the independent unit: split, resampled, bucketed and counted", form="column")
    as_of: str = _said("Nothing known later is used", form="moment")
    seed: int = _said("Every random choice follows from it", default=0, at_least=0)
    freshness: str = _said("The oldest an input may be when it is served", default="", form="duration")
    retrain_every: str = _said("How often it is trained again", default="", form="duration")
    select_by: str = _said("The metric by which a learner is chosen on validate")
    threads: int = _said("Threads for training; the result is the same for any number", default=2, at_least=1)
    sources: Mapping[str, Source] = _said("Name → source")
    rows: Rows = _said("The rows that are predicted")
    outcome: Outcome = _said("What came true, and when it was known")
    features: Mapping[str, Feature] = _said("Name → feature")
    split: Split = _said("Which rows train, choose and judge")
    learners: tuple[LearnerChoice, ...] = _said("Learners to try")
    gates: tuple[Gate, ...] = _said("Conditions for GO; without any there is no GO")
    slices: tuple[Slicing, ...] = _said("Columns by whose values evidence is told apart", default=())
    budget: Budget = _said("What an answer and a training may take", default=Budget())
    cost: Cost = _said("What mistakes and machines cost")
    decision: Decision = _said("The launch in words, beside the numbers")
    rollout: Rollout = _said("How a release moves forward", default=Rollout())
    guardrails: tuple[Guardrail, ...] = _said("What is watched while traffic shifts; without any there is no release", default=())
    serving: Serving = _said("How an answer is given, and what is answered when the model cannot", default=Serving())
