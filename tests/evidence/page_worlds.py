"""A small flights-like world for the launch page: one verdict that goes, one that does not."""

from __future__ import annotations

import math

from gonogo.evidence.page import HistoryLine, Origin, PageView
from gonogo.types.candidate import Candidate, Trial
from gonogo.types.contract import (
    Budget,
    Contract,
    Cost,
    Decision,
    Feature,
    Gate,
    LearnerChoice,
    Outcome,
    Policy,
    Rows,
    Slicing,
    Source,
    Split,
)
from gonogo.types.evidence import Curve, Effect, Estimate, Evidence, Interval, Measurements, Of, Point, Series
from gonogo.types.record import digest_of_bytes
from gonogo.types.snapshot import Dropped, Finding, FindingStatus, Input, Kind, Missing, Snapshot, SourcePin, TablePin
from gonogo.types.verdict import Ruling, Status, Verdict

CARRIERS = ("9E", "AA", "B6", "DL", "EV", "FL", "MQ", "UA", "US", "VX", "WN")


def d(name: str) -> str:
    return digest_of_bytes(name.encode())


def contract(**changed: object) -> Contract:
    said: dict[str, object] = {
        "gonogo": 1,
        "name": "flights",
        "family": "tabular",
        "question": "Two hours before scheduled departure: will this flight leave 15 minutes late or more?",
        "unit": "day",
        "as_of": "2014-01-01T05:00:00Z",
        "seed": 13,
        "freshness": "3h",
        "retrain_every": "30d",
        "select_by": "log_loss",
        "sources": {"flights": Source(read="flights.parquet"), "weather": Source(read="weather.parquet")},
        "rows": Rows(
            source="flights", key=("flight_id",), decided_at="sched_dep_at - interval 2 hours", entities=("tailnum", "carrier", "origin")
        ),
        "outcome": Outcome(
            columns={"y": "(dep_delay >= 15)::int"},
            known_at="dep_at",
            window="26h",
            policies=(
                Policy(name="cancelled", when="dep_delay is null", do="drop", why="A flight that never left has no departure delay."),
            ),
        ),
        "features": {
            "hour": Feature(sql="hour(sched_dep_local)", missing="refuse"),
            "origin_departures": Feature(
                source="departures", by=("origin",), aggregates=("count", "share(late)"), windows=("1h", "3h", "24h"), missing="native"
            ),
            "carrier_departures": Feature(
                source="departures", by=("carrier",), aggregates=("mean(dep_delay)",), windows=("24h", "7d"), missing="native"
            ),
            "weather": Feature(source="weather", by=("origin",), aggregates=("last(temp)",), windows=("3h",), missing="native"),
            "plane": Feature(source="planes", by=("tailnum",), aggregates=("last(seats)",), missing="native"),
        },
        "split": Split(by="time", validate_from="2013-09-01T04:00:00Z", test_from="2013-11-01T04:00:00Z", embargo="1d"),
        "learners": (LearnerChoice(name="logistic_regression"), LearnerChoice(name="xgboost")),
        "gates": (
            Gate(name="data and leakage findings are resolved", metric="open_findings", at_most=0),
            Gate(name="better than the model it replaces", metric="log_loss", against="champion", at_most=0.0),
            Gate(name="ranks late flights above punctual ones", metric="roc_auc", at_least=0.70),
            Gate(name="a probability means what it says", metric="calibration_error", at_most=0.05),
            Gate(
                name="no airport and no carrier is worse off",
                metric="log_loss",
                against="champion",
                at_most=0.01,
                slices=("origin", "carrier"),
            ),
            Gate(name="answers in time", metric="latency_p99", at_most=20.0),
        ),
        "slices": (Slicing(column="origin"), Slicing(column="carrier", small="pool")),
        "budget": Budget(latency_p99_ms=20.0, latency_p50_ms=5.0),
        "cost": Cost(false_positive_usd=4.0, false_negative_usd=25.0, machine_usd_per_hour=0.05),
        "decision": Decision(
            owner="operations research",
            reversible=True,
            assumptions=("Departures are reported within five minutes.", "The year after resembles the year of the data."),
            risks=("Weather of a kind that the year did not hold.",),
            fallback="the share of late departures at this origin over the last 24 hours",
        ),
    }
    return Contract(**(said | changed))  # type: ignore[arg-type]


def estimate(metric: str, of: Of, value: float | None, half: float, part: str = "", unit: str = "", units: int = 61) -> Estimate:
    interval = None if value is None else Interval(low=value - half, high=value + half, method="cluster-robust t, G-1")
    refused = "" if value is not None else f"{units} days of 30 asked"
    better = "higher" if metric in ("roc_auc", "average_precision") else "lower"
    return Estimate(
        metric=metric,
        of=of,
        slice=part,
        value=value,
        interval=interval,
        n_units=units,
        n_rows=units * 870,
        measured_in=unit,
        better=better,
        refused=refused,
    )


def arms(metric: str, ours: float, theirs: float, half: float, part: str = "", unit: str = "") -> tuple[Estimate, ...]:
    return (
        estimate(metric, Of.CHALLENGER, ours, half, part, unit),
        estimate(metric, Of.CHAMPION, theirs, half, part, unit),
        estimate(metric, Of.DIFFERENCE, ours - theirs, half / 2, part, unit),
    )


def sliced() -> tuple[Estimate, ...]:
    parts = [f"origin={o}" for o in ("EWR", "JFK", "LGA")] + [f"carrier={c}" for c in CARRIERS]
    found = [e for i, p in enumerate(parts) for e in arms("log_loss", 0.43 + 0.005 * i, 0.475 + 0.003 * i, 0.02 + 0.002 * i, p, "nats")]
    pool = "carrier=other (AS+F9+HA+OO+YV)"
    return (*found, estimate("log_loss", Of.DIFFERENCE, None, 0, pool, "nats", units=12))


def curves() -> tuple[Curve, ...]:
    grid = [i / 100 for i in range(101)]
    roc = {"challenger": 0.36, "baseline": 0.8}
    pr = {"challenger": (0.75, 0.9), "baseline": (0.33, 0.5)}
    bins = [0.04, 0.08, 0.11, 0.15, 0.2, 0.25, 0.31, 0.39, 0.5, 0.68]
    reliable = tuple(Point(x=x, y=x * 0.96 + 0.01, low=x * 0.9 - 0.005, high=x * 1.03 + 0.03, n=5300) for x in bins)
    return (
        Curve(
            name="reliability",
            title="Of the flights given a chance of p, about p were late",
            x_label="predicted chance",
            y_label="share late",
            series=(
                Series(name="challenger", points=reliable),
                Series(name="baseline", points=(Point(x=0.21, y=0.2, low=0.18, high=0.22),)),
            ),
            diagonal=True,
            marks="points",
        ),
        Curve(
            name="roc",
            title="Late flights found for each false alarm accepted",
            x_label="false alarms among punctual",
            y_label="late flights found",
            series=tuple(Series(name=n, points=tuple(Point(x=x, y=x**k) for x in grid)) for n, k in roc.items()),
            diagonal=True,
        ),
        Curve(
            name="precision_recall",
            title="How many alarms are right as more late flights are found",
            x_label="late flights found",
            y_label="alarms that are right",
            series=tuple(
                Series(name=n, points=tuple(Point(x=x, y=0.2 + (a - 0.2) * (1 - x**k)) for x in grid[1:])) for n, (a, k) in pr.items()
            ),
        ),
        Curve(
            name="lift",
            title="Late flights caught among the most suspicious, against the baseline",
            x_label="share of flights looked at",
            y_label="times as many as by chance",
            series=(
                Series(
                    name="challenger",
                    points=tuple(
                        Point(x=x, y=1 + 2.2 * math.exp(-3 * x), low=0.95 + 2 * math.exp(-3 * x), high=1.05 + 2.4 * math.exp(-3 * x))
                        for x in grid[1:]
                    ),
                ),
                Series(name="baseline", points=tuple(Point(x=x, y=1.0) for x in grid[1:])),
            ),
        ),
        Curve(
            name="scores",
            title="How often each chance is given",
            x_label="predicted chance",
            y_label="share of flights",
            series=(Series(name="challenger", points=tuple(Point(x=0.025 + 0.05 * i, y=0.2 * math.exp(-0.25 * i)) for i in range(20))),),
            marks="bars",
        ),
    )


def learning_curve() -> Curve:
    sizes = (20_000, 60_000, 120_000, 236_000)
    return Curve(
        name="learning",
        title="Log loss on validate falls with more days to learn from, ever more slowly",
        x_label="rows to learn from",
        y_label="log loss, nats",
        series=(
            Series(name="train", points=tuple(Point(x=float(n), y=0.41 - 900 / n) for n in sizes)),
            Series(
                name="validate", points=tuple(Point(x=float(n), y=0.43 + 900 / n, low=0.42 + 800 / n, high=0.44 + 1000 / n) for n in sizes)
            ),
        ),
    )


def effects() -> tuple[Effect, ...]:
    names = (
        "hour",
        "origin_departures__share_late__3h",
        "origin_departures__share_late__1h",
        "tail__last_dep_delay__2d",
        "weather__last_visib__3h",
        "distance",
    )
    return tuple(
        Effect(name=n, value=v, low=v * 0.93, high=v * 1.07, measured_in="odds ratio per standard deviation")
        for n, v in zip(names, (1.62, 1.41, 1.28, 1.19, 0.83, 0.97), strict=True)
    )


def gains() -> tuple[Effect, ...]:
    return tuple(Effect(name=f"feature_{i}", value=0.3 * 0.7**i, measured_in="share of gain") for i in range(26))


def evidence(part: tuple[Estimate, ...] | None = None) -> Evidence:
    whole = (
        *arms("log_loss", 0.431, 0.492, 0.018, unit="nats"),
        *arms("roc_auc", 0.741, 0.5, 0.012),
        *arms("average_precision", 0.472, 0.202, 0.021),
        *arms("calibration_error", 0.021, 0.018, 0.008),
    )
    return Evidence(
        contract=d("contract"),
        candidate=d("candidate"),
        champion=d("baseline"),
        champion_is="baseline",
        snapshot=d("snapshot"),
        table="test",
        n_rows=53_021,
        n_units=61,
        estimates=whole + (sliced() if part is None else part),
        curves=curves(),
        effects=effects(),
    )


def findings(status: FindingStatus) -> tuple[Finding, ...]:
    leak = Finding(
        code="GNG-K001",
        check="known_after_decision",
        status=status,
        where="features.air_time",
        sentence="air_time is known at landed_at, after decided_at in 100 % of 327,346 rows (median 4.6 hours).",
        expected="known at or before decided_at",
        next="drop features.air_time, or decide later",
    )
    clean = Finding(
        code="GNG-Q001",
        check="column_types",
        status=FindingStatus.CLEAN,
        where="sources.weather",
        sentence="6 columns of the stated types.",
    )
    note = Finding(
        code="GNG-K010",
        check="entities_across_splits",
        status=FindingStatus.NOTE,
        where="test.tailnum",
        sentence="94 % of aircraft in test were seen in train.",
    )
    return leak, clean, note


def snapshot(status: FindingStatus = FindingStatus.CLEAN) -> Snapshot:
    def table(n: int, units: int, start: str, end: str) -> TablePin:
        return TablePin(blob=d(start), n_rows=n, n_units=units, decided_from=start, decided_until=end)

    return Snapshot(
        contract_part=d("part"),
        as_of="2014-01-01T05:00:00Z",
        sources=(
            SourcePin(name="flights", digest=d("flights"), n_rows=336_776, columns={"carrier": "VARCHAR"}),
            SourcePin(name="weather", digest=d("weather"), n_rows=26_115, columns={"temp": "DOUBLE", "origin": "VARCHAR"}),
        ),
        inputs=(
            Input(name="hour", kind=Kind.NUMBER, missing=Missing.REFUSE, feature="hour"),
            Input(name="weather__last_temp__3h", kind=Kind.NUMBER, missing=Missing.NATIVE, feature="weather"),
        ),
        keys=("flight_id",),
        slices=("origin", "carrier"),
        tables={
            "test": table(53_021, 61, "2013-11-01T04:00:00Z", "2014-01-01T02:59:00Z"),
            "train": table(217_443, 242, "2013-01-01T08:15:00Z", "2013-08-31T03:59:00Z"),
            "validate": table(55_392, 60, "2013-09-01T04:00:00Z", "2013-10-31T03:59:00Z"),
        },
        dropped=(
            Dropped(reason="cancelled (policy)", n_rows=8_255),
            Dropped(reason="embargo", n_rows=1_874),
            Dropped(reason="label not mature", n_rows=32),
        ),
        findings=findings(status),
        facts={
            "labels": {
                "n_kept": 326_615,
                "n_not_mature": 32,
                "n_no_outcome": 0,
                "outcomes": {"y": {"is_binary": True, "mature_rate": 0.2024, "naive_rate": 0.1975, "n_naive": 336_776}},
            },
            "parity": {"differing_bits": 0},
        },
    )


def candidate() -> Candidate:
    return Candidate(
        contract=d("contract"),
        snapshot=d("snapshot"),
        learner="xgboost",
        params={"max_depth": 6, "learning_rate": 0.08, "n_rounds": 600},
        seed=13,
        artifact={"model.ubj": d("model")},
        environment={"python": "3.11.2", "xgboost-cpu": "3.2.0", "lock": d("lock")},
        trials=(
            Trial(learner="logistic_regression", params={}, score=0.4412, measured_in="nats", chosen=False, note="worse than xgboost"),
            Trial(
                learner="xgboost",
                params={"max_depth": 6},
                score=0.4287,
                measured_in="nats",
                chosen=True,
                note="isotonic: log loss 0.431 → 0.428 [−0.004, −0.001] on held-out days of validate",
            ),
        ),
    )


def measurements(factor: float = 1.0) -> Measurements:
    def timed(metric: str, value: float, unit: str) -> Estimate:
        return estimate(metric, Of.CHALLENGER, value * factor, value * factor * 0.08, unit=unit, units=600)

    return Measurements(
        candidate=d("candidate"),
        machine={"processor": "x86_64", "cores": 2, "memory_gb": 8},
        measured_at="2026-01-05T10:00:00Z",
        estimates=(
            timed("latency_p50", 0.31, "ms"),
            timed("latency_p95", 0.52, "ms"),
            timed("latency_p99", 1.24, "ms"),
            timed("cost_per_1000", 0.0000031, "usd"),
            estimate("latency_p99", Of.DIFFERENCE, 1.116 * factor, 0.11 * factor, unit="ms", units=600),
        ),
    )


def ruling(
    gate: str,
    metric: str,
    status: Status,
    value: float | None,
    half: float,
    limit: float,
    sentence: str,
    part: str = "",
    unit: str = "",
    units: int = 61,
) -> Ruling:
    low, high = (None, None) if value is None else (value - half, value + half)
    return Ruling(
        gate=gate,
        metric=metric,
        slice=part,
        status=status,
        value=value,
        low=low,
        high=high,
        limit=limit,
        n_units=units,
        measured_in=unit,
        sentence=sentence,
    )


def go_rulings() -> tuple[Ruling, ...]:
    slices = [e for e in sliced() if e.of is Of.DIFFERENCE and e.value is not None]
    return (
        ruling(
            "data and leakage findings are resolved",
            "open_findings",
            Status.PASS,
            0.0,
            0.0,
            0.0,
            "Every finding is resolved: 41 checks ran.",
            units=0,
        ),
        ruling(
            "better than the model it replaces",
            "log_loss",
            Status.PASS,
            -0.061,
            0.009,
            0.0,
            "Log loss is 0.061 nats lower than the baseline's; even the worst end of the interval is an improvement.",
            unit="nats",
        ),
        ruling(
            "ranks late flights above punctual ones",
            "roc_auc",
            Status.PASS,
            0.741,
            0.012,
            0.70,
            "A late flight ranks above a punctual one in 74 of 100 pairs; at least 70 are asked.",
        ),
        ruling(
            "a probability means what it says",
            "calibration_error",
            Status.PASS,
            0.021,
            0.008,
            0.05,
            "Predicted chances are off by 2.1 points on average; at most 5 are allowed.",
        ),
        *(
            ruling(
                "no airport and no carrier is worse off",
                "log_loss",
                Status.PASS,
                e.value,
                0.01,
                0.01,
                f"{e.slice}: no harm above 0.01 nats.",
                e.slice,
                "nats",
            )
            for e in slices
        ),
        ruling(
            "answers in time",
            "latency_p99",
            Status.PASS,
            1.24,
            0.1,
            20.0,
            "99 of 100 answers take at most 1.3 ms; 20 ms are allowed.",
            unit="ms",
            units=600,
        ),
    )


def no_go_rulings() -> tuple[Ruling, ...]:
    changed = {
        "open_findings": ruling(
            "data and leakage findings are resolved",
            "open_findings",
            Status.FAIL,
            1.0,
            0.0,
            0.0,
            "1 finding is open: features.air_time knows the future.",
            units=0,
        ),
        "calibration_error": ruling(
            "a probability means what it says",
            "calibration_error",
            Status.INCONCLUSIVE,
            0.046,
            0.008,
            0.05,
            "Predicted chances are off by 4.6 points; the interval reaches above the allowed 5.",
        ),
    }
    kept = [changed.get(r.metric, r) for r in go_rulings()]
    pool = ruling(
        "no airport and no carrier is worse off",
        "log_loss",
        Status.MISSING,
        None,
        0,
        0.01,
        "12 days of 30 asked: too few to tell.",
        "carrier=other (AS+F9+HA+OO+YV)",
        "nats",
        12,
    )
    return (*kept, pool)


def verdict(rulings: tuple[Ruling, ...]) -> Verdict:
    return Verdict(
        contract=d("contract"),
        snapshot=d("snapshot"),
        candidate=d("candidate"),
        evidence=d("evidence"),
        measurements=d("measurements"),
        waivers=(),
        rulings=rulings,
    )


def lineage() -> tuple[Origin, ...]:
    sources = tuple(
        Origin(label=f"source {n}", digest=d(n), detail=f"{rows:,} rows") for n, rows in (("flights", 336_776), ("weather", 26_115))
    )
    snap = Origin(label="snapshot", digest=d("snapshot"), detail="3 tables", parents=sources)
    code = (Origin(label="code", digest=d("code"), detail="gonogo 0.1.0"), Origin(label="lock file", digest=d("lock")))
    cand = Origin(label="candidate", digest=d("candidate"), detail="xgboost, seed 13", parents=(snap, *code))
    return (Origin(label="verdict", digest=d("verdict"), parents=(Origin(label="evidence", digest=d("evidence"), parents=(cand,)),)),)


def view(**changed: object) -> PageView:
    said: dict[str, object] = {
        "contract": contract(),
        "snapshot": snapshot(),
        "candidate": candidate(),
        "verdict": verdict(go_rulings()),
        "evidence": evidence(),
        "measurements": measurements(),
        "champion_measurements": measurements(0.1),
        "digests": {n: d(n) for n in ("contract", "snapshot", "candidate", "evidence", "measurements", "verdict")},
        "lineage": lineage(),
        "seconds": {"snapshot": 11.52, "train": 14.9, "measure": 2.71, "decide": 0.02},
        "words": {
            "log_loss": "How surprised the model is by what happened; 0 would be certainty that was always right.",
            "roc_auc": "How often a late flight gets a higher chance than a punctual one.",
            "calibration_error": "How far the stated chances are from what happened, on average.",
        },
        "history": tuple(
            HistoryLine(seq=i, at=f"2026-01-05T10:0{i}:00Z", kind=k, by="ana@lab")
            for i, k in enumerate(("snapshot", "candidate", "evidence", "verdict"), 1)
        ),
        "extra_curves": (learning_curve(),),
    }
    return PageView(**(said | changed))  # type: ignore[arg-type]


def no_go_view() -> PageView:
    return view(snapshot=snapshot(FindingStatus.OPEN), verdict=verdict(no_go_rulings()))
