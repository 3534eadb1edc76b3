"""A validation curve names the best value, those as good, and on which side bias and variance begin."""

import numpy as np
import pytest

from gonogo import stats

DEPTH = np.array([1, 2, 4, 8, 16])
TRAIN, VALIDATE = np.array([0.9, 0.6, 0.4, 0.2, 0.1]), np.array([0.9, 0.65, 0.5, 0.6, 0.8])


def repeats(line, noise=0.01, n=40, seed=0):
    return line[:, None] + noise * np.random.default_rng(seed).normal(size=(len(line), n))


def test_bias_lies_where_train_is_worse_too_and_variance_where_it_is_better():
    found = stats.diagnose_validation_curve(DEPTH, repeats(TRAIN), repeats(VALIDATE, seed=1))
    assert (found.best, found.as_good, found.too_simple, found.too_rich, found.worse) == (4, (4,), (1, 2), (8, 16), ())
    assert not found.at_edge


def test_values_that_are_not_told_from_the_best_are_named():
    found = stats.diagnose_validation_curve(DEPTH, repeats(TRAIN, 0.5), repeats(VALIDATE, 0.5, seed=1))
    assert len(found.as_good) > 1
    assert "Not told from it" in found.sentence


def test_the_same_rows_at_every_value_are_compared_pair_by_pair():
    shared = np.random.default_rng(3).normal(size=40)
    alone = stats.diagnose_validation_curve(DEPTH, repeats(TRAIN), repeats(VALIDATE, seed=1))
    together = stats.diagnose_validation_curve(DEPTH, repeats(TRAIN), repeats(VALIDATE, seed=1) + shared)
    assert together.as_good == alone.as_good


def test_a_best_value_at_the_edge_asks_to_look_beyond():
    found = stats.diagnose_validation_curve(DEPTH[:3], repeats(TRAIN[:3]), repeats(VALIDATE[:3], seed=1))
    assert found.at_edge
    assert found.sentence.endswith("look beyond.")


def test_worse_on_validate_with_train_unmoved_tells_no_side():
    found = stats.diagnose_validation_curve(DEPTH, repeats(np.full(5, 0.4), seed=1), repeats(VALIDATE, seed=1))
    assert found.worse == (1, 2, 8, 16)


def test_losses_that_cannot_be_judged_say_why_and_wrong_calls_raise():
    bad = repeats(VALIDATE)
    bad[0, 0] = np.nan
    assert stats.diagnose_validation_curve(DEPTH, bad, bad).sentence.startswith("Cannot tell: a loss")
    with pytest.raises(ValueError, match="rising"):
        stats.diagnose_validation_curve(DEPTH[::-1], repeats(TRAIN), repeats(VALIDATE))
    with pytest.raises(ValueError, match="entries"):
        stats.diagnose_validation_curve(DEPTH, repeats(TRAIN)[:3], repeats(VALIDATE))


def test_repeats_that_all_gave_the_same_make_no_value_worse():
    found = stats.diagnose_validation_curve([1, 2, 3], [[0.1, 0.1]] * 3, [[0.3, 0.3], [0.2, 0.2], [0.4, 0.4]])
    assert found.as_good == (1, 2, 3)
