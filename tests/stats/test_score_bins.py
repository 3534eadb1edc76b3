import numpy as np

from gonogo.stats.score_bins import equal_mass_bins, equal_width_bins


def test_bins_hold_equally_many_rows_and_never_part_equal_probabilities():
    p = np.random.default_rng(0).random(1500)
    assert np.bincount(equal_mass_bins(p, 15)).tolist() == [100] * 15
    tied = np.round(p, 1)
    bins = equal_mass_bins(tied, 15)
    assert all(len(set(bins[tied == value])) == 1 for value in set(tied))
    assert set(equal_mass_bins(np.full(10, 0.3), 15)) == {0}
    assert len(equal_mass_bins(np.zeros(0), 15)) == 0


def test_bins_of_equal_width_leave_no_gap_and_1_is_in_the_last():
    assert equal_width_bins(np.array([0.0, 0.49, 0.5, 1.0]), 2).tolist() == [0, 0, 1, 1]
    assert equal_width_bins(np.array([0.0, 0.95, 1.0]), 10).tolist() == [0, 1, 1]
