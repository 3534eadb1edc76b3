"""Every gate kind × everything that can be wrong with its evidence, and the laws that hold for all of them."""

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gonogo.gates.decide import COUNTED, MEASURED, decide
from gonogo.gates.findings import Waiver
from gonogo.types.contract import Contract, Cost, Decision, Gate, LearnerChoice, Outcome, Rows, Split
from gonogo.types.evidence import Estimate, Evidence, Interval, Measurements, Of
from gonogo.types.record import digest
from gonogo.types.snapshot import Finding, FindingStatus, Snapshot, TablePin
from gonogo.types.verdict import Status

CONTRACT, CANDIDATE, CHAMPION, ENTRY = ("sha256:" + c * 64 for c in "abcd")

CLEAN = Finding(code="GNG-K001", check="known_after_decision", status=FindingStatus.CLEAN, where="features", sentence="Nothing was found.")
OPEN = Finding(
    code="GNG-K002",
    check="known_after_decision",
    status=FindingStatus.OPEN,
    where="features.air_time",
    sentence="air_time is known at landed_at, after the decision in 100 % of rows.",
)
SKIPPED = replace(OPEN, status=FindingStatus.SKIPPED, where="sources.weather", sentence="It has no known_at.")

OWN = Gate(name="ranks", metric="roc_auc", at_least=0.70)
AGAINST = Gate(name="better", metric="log_loss", against="champion", at_most=0.0)
SLICED = Gate(name="nobody worse", metric="log_loss", against="champion", at_most=0.01, slices=("origin",))
CLOCKED = Gate(name="fast", metric="latency_p99", at_most=20.0)
FINDINGS = Gate(name="resolved", metric="open_findings", at_most=0)
EVERY_KIND = (OWN, AGAINST, SLICED, CLOCKED, FINDINGS)


def _contract(*gates: Gate) -> Contract:
    return Contract(
        gonogo=1,
        name="small",
        family="any",
        question="Will it?",
        unit="day",
        as_of="2024-01-01T00:00:00Z",
        select_by="log_loss",
        sources={},
        rows=Rows(source="events", key=("id",), decided_at="at"),
        outcome=Outcome(columns={"y": "y"}, known_at="at", window="1d"),
        features={},
        split=Split(by="time"),
        learners=(LearnerChoice(name="any"),),
        gates=gates,
        cost=Cost(false_positive_usd=1, false_negative_usd=1, machine_usd_per_hour=1),
        decision=Decision(owner="we", reversible=True, assumptions=(), risks=(), fallback="none"),
    )


def _snapshot(*findings: Finding) -> Snapshot:
    pin = TablePin(blob=CONTRACT, n_rows=1000, n_units=60, decided_from="2024-01-01", decided_until="2024-03-01")
    return Snapshot(
        contract_part=CONTRACT,
        as_of="2024-01-01",
        sources=(),
        inputs=(),
        keys=("id",),
        slices=("origin",),
        tables={"test": pin, "validate": pin},
        dropped=(),
        findings=findings,
        facts={},
    )


def _estimate(metric: str, low: float, value: float, high: float, **changes: object) -> Estimate:
    facts = {"of": Of.CHALLENGER, "slice": "", "n_units": 60, "n_rows": 1000, "measured_in": "", "better": "lower"} | changes
    return Estimate(metric=metric, value=value, interval=Interval(low=low, high=high, method="by hand"), **facts)


GOOD = (
    _estimate("roc_auc", 0.74, 0.76, 0.78),
    _estimate("log_loss", 0.40, 0.42, 0.44, measured_in="nats"),
    _estimate("log_loss", -0.03, -0.02, -0.01, of=Of.DIFFERENCE, measured_in="nats"),
    _estimate("log_loss", -0.04, -0.02, 0.00, of=Of.DIFFERENCE, slice="origin=JFK", n_rows=600, measured_in="nats"),
    _estimate("log_loss", -0.04, -0.02, 0.01, of=Of.DIFFERENCE, slice="origin=LGA", n_rows=400, measured_in="nats"),
)
QUICK = (_estimate("latency_p99", 3.0, 3.5, 4.0, measured_in="ms"), _estimate("artifact_mb", 2.0, 2.0, 2.0, n_units=1, measured_in="MB"))


def _measurements(estimates: tuple[Estimate, ...] = QUICK) -> Measurements:
    return Measurements(candidate=CANDIDATE, machine={}, measured_at="2024-01-01T00:00:00Z", estimates=estimates)


def _evidence(estimates: tuple[Estimate, ...], of: Snapshot, **changes: object) -> Evidence:
    facts = {
        "contract": CONTRACT,
        "candidate": CANDIDATE,
        "champion": CHAMPION,
        "champion_is": "champion",
        "snapshot": digest(of),
        "table": "test",
        "n_rows": 1000,
        "n_units": 60,
    } | changes
    return Evidence(estimates=estimates, **facts)


def _decide(*gates, estimates=GOOD, measured=QUICK, findings=(CLEAN,), waivers=(), change=None, **asked):
    """A verdict in a world where all is well, but for what the test changes."""
    snapshot = _snapshot(*findings)
    evidence = _evidence(estimates, snapshot, **(change or {}))
    measurements = None if measured is None else _measurements(measured)
    facts = {
        "contract_digest": CONTRACT,
        "snapshot_digest": digest(snapshot),
        "candidate_digest": CANDIDATE,
        "evidence_digest": digest(evidence),
        "measurements_digest": None if measurements is None else digest(measurements),
    } | asked
    return decide(_contract(*gates), snapshot, evidence, measurements, waivers, **facts)


def _status(*gates, **world) -> Status:
    return _decide(*gates, **world).status


def _swap(estimates, metric, of, new):
    return tuple(new if (e.metric, e.of, e.slice) == (metric, of, new.slice) else e for e in estimates)


# ── where all is well ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_gate_passes_where_all_is_well():
    verdict = _decide(*EVERY_KIND)
    assert verdict.go
    assert [(r.gate, r.slice) for r in verdict.rulings] == [
        ("ranks", ""),
        ("better", ""),
        ("nobody worse", "origin=JFK"),
        ("nobody worse", "origin=LGA"),
        ("fast", ""),
        ("resolved", ""),
    ]


def test_the_same_records_give_the_same_bytes():
    assert digest(_decide(*EVERY_KIND)) == digest(_decide(*EVERY_KIND))


# ── the worst end decides ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("low", "high", "status"),
    [
        (0.70, 0.80, Status.PASS),  # touching the limit from the good side keeps to it
        (0.69, 0.80, Status.INCONCLUSIVE),
        (0.60, 0.70, Status.INCONCLUSIVE),
        (0.60, 0.69, Status.FAIL),
    ],
)
def test_a_floor_is_judged_at_the_low_end(low, high, status):
    assert _status(OWN, estimates=(_estimate("roc_auc", low, (low + high) / 2, high),)) is status


@pytest.mark.parametrize(("low", "high", "status"), [(1, 20, Status.PASS), (19, 21, Status.INCONCLUSIVE), (20.5, 30, Status.FAIL)])
def test_a_ceiling_is_judged_at_the_high_end(low, high, status):
    assert _status(CLOCKED, measured=(_estimate("latency_p99", low, (low + high) / 2, high),)) is status


def test_a_range_is_judged_at_both_ends_and_the_worse_one_is_named():
    between = replace(OWN, at_least=0.5, at_most=0.77)
    (ruling,) = _decide(between).rulings
    assert (ruling.status, ruling.limit) == (Status.INCONCLUSIVE, 0.77)


def test_swapping_the_arms_turns_pass_into_fail():
    swapped = tuple(
        replace(e, value=-e.value, interval=replace(e.interval, low=-e.interval.high, high=-e.interval.low)) if e.of is Of.DIFFERENCE else e
        for e in GOOD
    )
    assert _status(AGAINST) is Status.PASS
    assert _status(AGAINST, estimates=swapped) is Status.FAIL


def test_one_bad_slice_is_no_go_however_good_the_whole_is():
    bad = _estimate("log_loss", 0.02, 0.03, 0.04, of=Of.DIFFERENCE, slice="origin=LGA", n_rows=400)
    verdict = _decide(AGAINST, SLICED, estimates=_swap(GOOD, "log_loss", Of.DIFFERENCE, bad))
    assert not verdict.go
    assert [r.slice for r in verdict.rulings if r.status is Status.FAIL] == ["origin=LGA"]


# ── nothing fails open: every kind of gate × everything that can be wrong ──────────────────────────────────────────────

NOT_A_PASS = (Status.MISSING, Status.ERROR)


def _without_value(estimates):
    return tuple(replace(e, value=None, interval=None, refused="one class only") for e in estimates)


WRONGS = {
    "missing": {"estimates": (), "measured": None, "findings": ()},
    "refused": {"estimates": _without_value(GOOD), "measured": _without_value(QUICK), "findings": (SKIPPED,)},
    "no interval": {
        "estimates": tuple(replace(e, interval=None) for e in GOOD),
        "measured": tuple(replace(e, interval=None) for e in QUICK),
        "findings": (),
    },
    "not a number": {
        "estimates": GOOD,
        "measured": QUICK,
        "evidence_digest": ENTRY,
        "measurements_digest": ENTRY,
        "snapshot_digest": ENTRY,
    },
    "errored": {
        "estimates": tuple(replace(e, interval=replace(e.interval, low=e.interval.high + 1)) for e in GOOD),
        "measured": tuple(replace(e, interval=replace(e.interval, low=e.interval.high + 1)) for e in QUICK),
        "findings": (SKIPPED,),
    },
    "too few units": {
        "estimates": tuple(replace(e, n_units=29) for e in GOOD),
        "measured": tuple(replace(e, n_units=29) for e in QUICK),
        "findings": (),
    },
    "of another candidate": {"candidate_digest": ENTRY, "findings": ()},
    "said twice": {"estimates": GOOD + GOOD, "measured": QUICK + QUICK, "findings": (OPEN, OPEN)},
}


@pytest.mark.parametrize("gate", EVERY_KIND, ids=lambda gate: gate.metric + gate.against + "".join(gate.slices))
@pytest.mark.parametrize("wrong", WRONGS)
def test_no_gate_passes_on_evidence_that_is(wrong, gate):
    verdict = _decide(gate, **WRONGS[wrong])
    assert not verdict.go
    assert all(r.status in (*NOT_A_PASS, Status.FAIL) for r in verdict.rulings)
    assert gate is FINDINGS or all(r.status in NOT_A_PASS for r in verdict.rulings)


def test_no_gate_at_all_is_no_go():
    verdict = _decide()
    assert (verdict.rulings, verdict.status, verdict.go) == ((), Status.MISSING, False)


@pytest.mark.parametrize("gate", [OWN, AGAINST, SLICED])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"contract": ENTRY}, "another contract"),
        ({"candidate": ENTRY}, "another candidate"),
        ({"snapshot": ENTRY}, "another snapshot"),
        ({"table": "validate"}, "fitted or chosen"),
        ({"table": "window"}, "no such table"),
        ({"n_rows": 999}, "999 rows"),
    ],
)
def test_evidence_of_something_else_is_missing(gate, change, said):
    (ruling,) = _decide(gate, change=change).rulings
    assert ruling.status is Status.MISSING
    assert said in ruling.sentence


def test_an_edited_record_is_missing():
    better = _swap(GOOD, "roc_auc", Of.CHALLENGER, _estimate("roc_auc", 0.98, 0.99, 1.0))
    own_digest = digest(_evidence(GOOD, _snapshot(CLEAN)))
    (ruling,) = _decide(OWN, estimates=better, evidence_digest=own_digest).rulings
    assert ruling.status is Status.MISSING


def test_nan_in_a_record_is_missing_though_no_parser_would_let_it_in():
    snapshot = _snapshot(CLEAN)
    evidence = _evidence((_estimate("roc_auc", float("nan"), float("nan"), float("nan")),), snapshot)
    verdict = decide(
        _contract(OWN),
        snapshot,
        evidence,
        None,
        (),
        contract_digest=CONTRACT,
        snapshot_digest=digest(snapshot),
        candidate_digest=CANDIDATE,
        evidence_digest=ENTRY,
        measurements_digest=None,
    )
    assert verdict.status is Status.MISSING


def test_an_unknown_figure_is_an_error_that_names_the_known_ones():
    (ruling,) = _decide(replace(OWN, metric="roc_acu")).rulings
    assert ruling.status is Status.ERROR
    assert "log_loss, roc_auc" in ruling.sentence


def test_a_gate_without_a_limit_is_an_error():
    assert _status(replace(OWN, at_least=None)) is Status.ERROR


def test_a_difference_to_the_champion_says_nothing_of_the_baseline():
    gate = replace(AGAINST, against="baseline")
    assert _status(gate) is Status.MISSING
    assert _status(gate, change={"champion_is": "baseline"}) is Status.PASS
    assert _status(AGAINST, change={"champion_is": "baseline"}) is Status.PASS


def test_a_slice_that_was_left_out_is_noticed_by_its_rows():
    (_, gap) = _decide(SLICED, estimates=tuple(e for e in GOOD if e.slice != "origin=LGA")).rulings
    assert (gap.status, gap.slice) == (Status.MISSING, "origin")
    assert "600 of 1,000 rows" in gap.sentence


def test_slices_of_a_column_that_was_not_measured_are_missing():
    assert _status(replace(SLICED, slices=("carrier",))) is Status.MISSING


def test_what_is_read_off_once_needs_no_thirty_units_and_all_else_does():
    assert _status(replace(CLOCKED, metric="artifact_mb")) is Status.PASS
    assert set(COUNTED) < set(MEASURED)


# ── findings ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("finding", [OPEN, SKIPPED])
def test_an_open_or_skipped_check_is_no_go_and_is_named_with_its_reason(finding):
    (ruling,) = _decide(FINDINGS, findings=(CLEAN, finding)).rulings
    assert ruling.status is Status.FAIL
    assert finding.where in ruling.sentence
    assert finding.sentence.rstrip(".") in ruling.sentence


def test_a_note_blocks_nothing():
    assert _status(FINDINGS, findings=(replace(OPEN, status=FindingStatus.NOTE),)) is Status.PASS


def test_a_waiver_covers_the_finding_of_its_code_and_place_only():
    there, elsewhere = Waiver(ENTRY, OPEN.code, OPEN.where), Waiver(CHAMPION, OPEN.code, "features.distance")
    assert _status(FINDINGS, findings=(OPEN,), waivers=(elsewhere,)) is Status.FAIL
    verdict = _decide(FINDINGS, findings=(OPEN,), waivers=(there, elsewhere))
    assert verdict.go
    assert verdict.waivers == (ENTRY,)
    assert OPEN.where in verdict.rulings[0].sentence


def test_no_record_of_any_check_is_missing():
    assert _status(FINDINGS, findings=()) is Status.MISSING


# ── sentences ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_sentence_holds_value_interval_unit_units_limit_and_meaning():
    _, sliced, _ = _decide(AGAINST, SLICED).rulings
    assert sliced.sentence == (
        "In origin=JFK, log loss, challenger minus champion, is -0.02 nats (95% interval -0.04 to 0; 60 units). "
        "At most 0.01 nats is allowed: even the worst end of the interval keeps to it."
    )


def test_a_missing_figure_says_why_and_that_this_is_no_pass():
    (ruling,) = _decide(OWN, estimates=_without_value(GOOD)).rulings
    assert ruling.sentence == ("No evidence on roc auc: one class only. At least 0.7 is asked; what was not shown does not pass.")


# ── laws ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

NUMBERS = st.integers(-4, 4).map(lambda n: n / 100)
GATES = st.lists(
    st.sampled_from([*EVERY_KIND, replace(OWN, at_least=0.0), replace(SLICED, metric="roc_auc", against="")]), min_size=1, max_size=4
)


@st.composite
def _estimates(draw):
    made = []
    for metric in ("roc_auc", "log_loss"):
        for of in (Of.CHALLENGER, Of.DIFFERENCE):
            for label, n_rows in (("", 1000), ("origin=JFK", 600), ("origin=LGA", 400)):
                low, value, high = sorted((draw(NUMBERS), draw(NUMBERS), draw(NUMBERS)))
                made.append(_estimate(metric, low, value, high, of=of, slice=label, n_rows=n_rows, n_units=draw(st.sampled_from([5, 60]))))
    return tuple(e for e in made if draw(st.integers(0, 9)))


@settings(max_examples=60, deadline=None)
@given(GATES, _estimates(), st.sampled_from([None, QUICK]), st.sampled_from([(CLEAN,), (OPEN,), ()]))
def test_removing_any_evidence_never_turns_no_go_into_go(gates, estimates, measured, findings):
    assume(not _decide(*gates, estimates=estimates, measured=measured, findings=findings).go)
    for i in range(len(estimates)):
        less = estimates[:i] + estimates[i + 1 :]
        assert not _decide(*gates, estimates=less, measured=measured, findings=findings).go
    for label in ("origin=JFK", "origin=LGA"):
        less = tuple(e for e in estimates if e.slice != label)
        assert not _decide(*gates, estimates=less, measured=measured, findings=findings).go
    assert not _decide(*gates, estimates=(), measured=measured, findings=findings).go
    assert not _decide(*gates, estimates=estimates, measured=None, findings=findings).go


@settings(max_examples=60, deadline=None)
@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS)
def test_a_wider_interval_is_never_judged_better_or_worse_than_inconclusive(a, b, c, more):
    low, value, high = sorted((a, b, c))
    narrow = _status(AGAINST, estimates=(_estimate("log_loss", low, value, high, of=Of.DIFFERENCE),))
    wide = _status(AGAINST, estimates=(_estimate("log_loss", low - abs(more), value, high + abs(more), of=Of.DIFFERENCE),))
    assert wide in (narrow, Status.INCONCLUSIVE)
