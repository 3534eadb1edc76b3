"""Facts about p-values of which many were looked at."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from gonogo import stats

P_VALUES = st.lists(st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.01, 0.5, 1.0])), min_size=1, max_size=40)


@pytest.fixture(scope="module", autouse=True)
def _little_to_collect() -> Iterator[None]:
    """statsmodels collects garbage in each call, a second for the objects of a whole suite: what is here already is not walked."""
    gc.freeze()
    yield
    gc.unfreeze()


@given(p=P_VALUES)
@settings(deadline=None, max_examples=100)
def test_they_are_those_of_statsmodels(p):
    np.testing.assert_allclose(stats.holm(p), multipletests(p, method="holm")[1], rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(stats.benjamini_hochberg(p), multipletests(p, method="fdr_bh")[1], rtol=1e-12, atol=1e-300)


@given(p=P_VALUES)
@settings(deadline=None, max_examples=50)
def test_adjusting_never_makes_one_smaller_and_keeps_their_order(p):
    for adjusted in (stats.holm(p), stats.benjamini_hochberg(p)):
        assert (adjusted >= np.array(p) * (1 - 1e-12)).all()
        assert (adjusted <= 1).all()
        assert (np.diff(adjusted[np.argsort(p)]) >= 0).all()


def test_a_test_that_refused_counts_among_those_that_were_asked_and_is_never_significant():
    assert stats.holm([0.02, None, 0.001])[[0, 2]].tolist() == [0.04, 0.003]
    assert stats.benjamini_hochberg([0.02, np.nan, 0.001])[[0, 2]].tolist() == pytest.approx([0.03, 0.003])
    assert np.isnan(stats.holm([0.02, None, 0.001])[1])
    assert np.isnan(stats.benjamini_hochberg([0.02, np.nan, 0.001])[1])


def test_no_test_gives_no_p_value():
    assert len(stats.holm([])) == len(stats.benjamini_hochberg([])) == 0


@pytest.mark.parametrize("wrong", [[-0.1], [1.1, 0.5]])
@pytest.mark.parametrize("adjust", [stats.holm, stats.benjamini_hochberg])
def test_what_is_no_probability_is_a_wrong_call(adjust, wrong):
    with pytest.raises(ValueError, match="between 0 and 1"):
        adjust(wrong)
