"""The smallest contract that evidence can be measured under."""

from gonogo.types.contract import Contract, Cost, Decision, Gate, LearnerChoice, Outcome, Rows, Slicing, Split

CONTRACT = Contract(
    gonogo=1,
    name="small",
    family="guesses",
    question="Will it?",
    unit="day",
    as_of="2024-01-01T00:00:00Z",
    seed=13,
    select_by="error",
    sources={},
    rows=Rows(source="events", key=("id",), decided_at="at"),
    outcome=Outcome(columns={"y": "y"}, known_at="at", window="1d"),
    features={},
    split=Split(by="time"),
    learners=(LearnerChoice(name="any"),),
    gates=(Gate(name="g", metric="error", at_most=1),),
    slices=(Slicing(column="place", min_units=30), Slicing(column="firm", min_units=30, small="pool")),
    cost=Cost(false_positive_usd=1, false_negative_usd=1, machine_usd_per_hour=1),
    decision=Decision(owner="we", reversible=True, assumptions=(), risks=(), fallback="none"),
)
