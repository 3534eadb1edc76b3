"""A model of weighted or sampled rows answers as one of all rows does; its raw scores pass no gate."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gonogo import stats
from gonogo.evidence.measure import measure
from gonogo.families.tabular import FAMILY
from gonogo.families.tabular.boosted import XGBoost
from gonogo.families.tabular.logistic import LogisticRegression
from gonogo.families.tabular.sampling import sampled
from gonogo.gates.decide import decide
from gonogo.stats.imbalance import PriorCorrection
from gonogo.types.contract import Contract, Cost, Decision, Gate, LearnerChoice, Outcome, Rows, Split
from gonogo.types.errors import UsageError
from gonogo.types.protocols import Examples, Learner, Model
from gonogo.types.record import digest
from gonogo.types.snapshot import Snapshot, TablePin
from gonogo.types.verdict import Status
from tests.contracts.model_suite import read_folder
from tests.families.tabular.worlds import examples, inputs_of, take

LINEAR = LogisticRegression()
TREES = XGBoost(n_rounds=60, learning_rate=0.2, max_depth=3, early_stopping_rounds=10)
HOWS = ({"positive_weight": 30.0}, {"negatives_kept": 0.05}, {"negatives_kept": 0.1, "positive_weight": 3.0})

DIGEST = "sha256:" + "a" * 64
CONTRACT = Contract(
    gonogo=1,
    name="rare",
    family="tabular",
    question="Will it?",
    unit="day",
    as_of="2024-01-01T00:00:00Z",
    select_by="log_loss",
    sources={},
    rows=Rows(source="events", key=("row",), decided_at="at"),
    outcome=Outcome(columns={"y": "y"}, known_at="at", window="1d"),
    features={},
    split=Split(by="time"),
    learners=(LearnerChoice(name="xgboost"),),
    gates=(Gate(name="a probability means what it says", metric="calibration_error", at_most=0.05),),
    cost=Cost(false_positive_usd=1, false_negative_usd=1, machine_usd_per_hour=1),
    decision=Decision(owner="we", reversible=True, assumptions=(), risks=(), fallback="none"),
)


def rare(n: int = 40_000, seed: int = 0) -> tuple[Examples, Examples, Examples]:
    """Train, validate and test of a world with about 3 % positives."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    y = rng.random(n) < 1 / (1 + np.exp(-(1.2 * x[:, 0] - 0.8 * x[:, 1] - 4)))
    whole = examples({f"x{i}": pa.array(x[:, i]) for i in range(3)}, y.astype(np.int64), np.arange(n) // 4)
    half, quarter = n // 2, n // 4
    return take(whole, 0, half), take(whole, half, quarter), take(whole, half + quarter, quarter)


TRAIN, VALIDATE, TEST = rare()


@cache
def fit(learner: Learner, *, seed: int = 0) -> Model:
    return learner.fit(TRAIN, VALIDATE, inputs=inputs_of(dict.fromkeys(["x0", "x1", "x2"])), seed=seed, threads=1, budget_s=None)


def p_of(model: Model) -> np.ndarray:
    return model.predict(TEST.inputs).column("p").to_numpy()


def log_loss_of(model: Model) -> float:
    return float(FAMILY.metrics[0].score(model.predict(TEST.inputs), TEST.outcomes).value.mean())


def raw_of(learner: LogisticRegression | XGBoost, model: Model) -> np.ndarray:
    """What would be answered without the correction. No artifact gives it: it is made by undoing what the learner did."""
    y = TRAIN.outcomes.column("y").to_numpy()
    part = sampled(y, negatives_kept=learner.negatives_kept, positive_weight=learner.positive_weight, seed=0)
    return PriorCorrection(shift=-part.correction.shift).apply(p_of(model))


def ruled(p: np.ndarray) -> Status:
    """What a gate on the calibration error rules of these probabilities for the test table."""
    answers = pa.table({"p": p})
    pin = TablePin(blob=DIGEST, n_rows=len(p), n_units=len(p) // 4, decided_from="2024-01-01", decided_until="2024-03-01")
    snapshot = Snapshot(
        contract_part=DIGEST,
        as_of="",
        sources=(),
        inputs=(),
        keys=("row",),
        slices=(),
        tables={"test": pin},
        dropped=(),
        findings=(),
        facts={},
    )
    digests = {"contract_digest": DIGEST, "candidate_digest": DIGEST, "snapshot_digest": digest(snapshot)}
    evidence = measure(
        CONTRACT, FAMILY, TEST, answers, answers, **digests, champion_digest=DIGEST, champion_is="baseline", table="test", n_draws=200
    )
    verdict = decide(CONTRACT, snapshot, evidence, None, (), **digests, evidence_digest=digest(evidence), measurements_digest=None)
    return verdict.rulings[0].status


@pytest.mark.parametrize("how", HOWS, ids=str)
@pytest.mark.parametrize(("learner", "at_most"), [(LINEAR, 0.01), (TREES, 0.06)], ids=["linear", "trees"])
def test_weighting_and_sampling_leave_the_log_loss_about_where_it_was(
    learner: LogisticRegression | XGBoost, at_most: float, how: dict[str, float]
) -> None:
    untouched, imbalanced = log_loss_of(fit(learner)), log_loss_of(fit(dataclasses.replace(learner, **how)))
    assert imbalanced <= (1 + at_most) * untouched


@pytest.mark.parametrize("how", HOWS, ids=str)
@pytest.mark.parametrize("learner", [LINEAR, TREES], ids=["linear", "trees"])
def test_weighting_and_sampling_do_not_move_the_mean_probability(learner: LogisticRegression | XGBoost, how: dict[str, float]) -> None:
    rate = TEST.outcomes.column("y").to_numpy().mean()
    assert p_of(fit(dataclasses.replace(learner, **how))).mean() == pytest.approx(rate, rel=0.15)


@pytest.mark.parametrize("how", HOWS, ids=str)
@pytest.mark.parametrize("learner", [LINEAR, TREES], ids=["linear", "trees"])
def test_raw_scores_of_a_resampled_model_fail_the_calibration_gate_and_corrected_ones_pass(
    learner: LogisticRegression | XGBoost, how: dict[str, float]
) -> None:
    learner = dataclasses.replace(learner, **how)
    model = fit(learner)
    assert ruled(p_of(model)) is Status.PASS
    assert ruled(raw_of(learner, model)) is Status.FAIL


@pytest.mark.parametrize("how", HOWS, ids=str)
def test_raw_scores_of_a_resampled_model_are_miscalibrated_beyond_doubt(how: dict[str, float]) -> None:
    learner = dataclasses.replace(LINEAR, **how)
    raw, corrected = raw_of(learner, fit(learner)), p_of(fit(learner))
    y, unit = TEST.outcomes.column("y").to_numpy(), TEST.outcomes.column("unit").to_numpy()
    assert stats.expected_calibration_error(y, raw, unit=unit).interval.low > 0.1
    assert stats.calibration_test(y, raw, unit=unit).p_value < 1e-3
    assert stats.calibration_test(y, corrected, unit=unit).p_value > 1e-3


def test_a_smaller_share_of_negatives_lies_within_a_larger_one() -> None:
    y = TRAIN.outcomes.column("y").to_numpy()
    few, many = (sampled(y, negatives_kept=share, positive_weight=1.0, seed=0) for share in (0.1, 0.3))
    assert set(few.rows) < set(many.rows)
    assert set(np.flatnonzero(y)) < set(few.rows)


@given(st.integers(0, 2**63 - 1), st.floats(1e-6, 0.999), st.integers(2, 300))
@settings(deadline=None, max_examples=50)
def test_the_correction_is_of_the_share_that_was_really_kept(seed: int, share: float, n: int) -> None:
    y = (np.arange(n) % 3 == 0).astype(float)
    part = sampled(y, negatives_kept=share, positive_weight=2.0, seed=seed)
    kept, negatives = np.sum(y[part.rows] == 0), np.sum(y == 0)
    assert kept == np.ceil(share * negatives)
    assert part.correction.shift == pytest.approx(np.log(kept / negatives / 2))
    assert (np.diff(part.rows) > 0).all()


@given(st.integers(1, 50), st.integers(1, 5000), st.floats(0.01, 1000))
@settings(deadline=None, max_examples=50)
def test_weighted_rows_say_as_much_as_they_would_unweighted(positives: int, negatives: int, positive_weight: float) -> None:
    part = sampled(np.r_[np.ones(positives), np.zeros(negatives)], negatives_kept=1, positive_weight=positive_weight, seed=0)
    weights = part.scale * np.array([positive_weight * positives, negatives])
    n = positives + negatives
    assert weights.prod() / weights.sum() == pytest.approx(positives * negatives / n)


def test_a_class_weight_does_not_loosen_the_ridge() -> None:
    """Held back a lot, the coefficients are far from those of no ridge, and about the same with and without weights."""
    free, held, weighted = (
        np.array([number.coefficient for number in fit(LogisticRegression(C=C, positive_weight=w)).numbers])
        for C, w in ((1e6, 1.0), (0.003, 1.0), (0.003, 30.0))
    )
    assert np.abs(held[:2]).max() < 0.7 * np.abs(free[:2]).max()
    np.testing.assert_allclose(weighted[:2], held[:2], rtol=0.2)


@pytest.mark.parametrize("learner", [LINEAR, TREES], ids=["linear", "trees"])
def test_the_seed_draws_the_negatives(learner: LogisticRegression | XGBoost, tmp_path: Path) -> None:
    learner = dataclasses.replace(learner, negatives_kept=0.2)
    for name, seed in (("one", 1), ("again", 1), ("two", 2)):
        fit(learner, seed=seed).save(tmp_path / name)
    one, again, two = (read_folder(tmp_path / name) for name in ("one", "again", "two"))
    assert one == again != two


@pytest.mark.parametrize("learner", [LogisticRegression, XGBoost])
@pytest.mark.parametrize("params", [{"negatives_kept": 0}, {"negatives_kept": 1.5}, {"negatives_kept": "half"}, {"positive_weight": 0}])
def test_shares_and_weights_that_make_no_sense_are_refused(learner: Callable[..., Learner], params: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=next(iter(params))):
        learner(**params)
