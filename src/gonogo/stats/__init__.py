"""Statistics: arrays in, records out. Every figure with an interval, or a refusal.

Usable on its own: no contract, no file, no ledger. Every figure is called alike, and gives an `Estimate`:

>>> import numpy as np
>>> from gonogo import stats
>>> rng = np.random.default_rng(0)
>>> p = rng.uniform(size=2000)
>>> y = rng.uniform(size=2000) < p
>>> auc = stats.roc_auc(y, p)
>>> auc.interval.low < auc.value < auc.interval.high
True
>>> stats.roc_auc(np.ones(2000), p).refused
'one class only: there is nothing to rank'

Names are imported when they are first used, so that the package costs nothing until then.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

# Question → name → the module that answers it. The reference page is written from this table.
QUESTIONS: Mapping[str, Mapping[str, str]] = {
    "How well does a score rank?": {
        "roc_auc": "scores",
        "average_precision": "scores",
        "precision_at_recall": "scores",
        "recall_at_false_positive_rate": "scores",
        "lift": "scores",
    },
    "What does a threshold do?": {
        "confusion": "decisions",
        "precision": "decisions",
        "recall": "decisions",
        "false_positive_rate": "decisions",
        "f_beta": "decisions",
        "matthews_correlation": "decisions",
        "cost_per_decision": "decisions",
    },
    "Which threshold keeps its promise?": {
        "choose_threshold": "thresholds",
    },
    "Does a probability mean what it says?": {
        "log_loss": "probabilities",
        "brier_score": "probabilities",
        "brier_decomposition": "brier",
        "expected_calibration_error": "miscalibration",
        "expected_calibration_error_of_equal_widths": "miscalibration",
        "calibration_slope": "recalibration_line",
        "calibration_intercept": "recalibration_line",
        "calibration_test": "calibrated",
        "reliability": "reliability_diagram",
    },
    "How is it bent so that it does?": {
        "fit_platt": "calibration",
        "fit_isotonic": "calibration",
        "fit_temperature": "calibration",
        "fit_beta": "calibration",
    },
    "How does a model that was fitted on other odds answer in this world?": {
        "prior_correction": "imbalance",
        "sampling_correction": "imbalance",
    },
    "How far off are predicted numbers?": {
        "root_mean_squared_error": "regression",
        "mean_absolute_error": "regression",
        "mean_absolute_percentage_error": "regression",
        "quantile_loss": "regression",
        "interval_coverage": "regression",
        "r_squared": "regression",
    },
    "How good are ranked lists?": {
        "ndcg": "lists",
        "mean_average_precision": "lists",
        "mean_reciprocal_rank": "lists",
        "recall_at_k": "lists",
        "hit_rate": "lists",
        "catalogue_coverage": "catalogue",
    },
    "How well are several classes told apart?": {
        "accuracy": "classes",
        "macro_f1": "classes",
        "micro_f1": "classes",
        "one_vs_rest_auc": "classes",
        "multiclass_log_loss": "classes",
        "per_class": "classes",
    },
    "Which of two models is better on the same rows?": {
        "compare": "comparison",
        "compare_all": "comparison",
        "mcnemar": "paired_tests",
        "mcnemar_exact": "paired_tests",
        "wilcoxon": "paired_tests",
        "approximate_randomisation": "randomisation",
        "paired_bootstrap": "randomisation",
        "non_inferior": "margins",
        "equivalent": "margins",
        "p_value": "margins",
    },
    "What holds among many tests, and what could one have seen?": {
        "holm": "multiplicity",
        "benjamini_hochberg": "multiplicity",
        "minimum_detectable_difference": "power",
        "power_of_difference": "power",
        "units_needed": "power",
        "could_have_seen": "power",
    },
    "For whom does it work, and for whom not?": {
        "by_slice": "slices",
        "worst_slices": "slice_search",
        "gap": "slice_gaps",
    },
    "Do two populations differ?": {
        "differ": "populations",
        "welch": "means",
        "hedges_g": "means",
        "mann_whitney": "ranks",
        "kolmogorov_smirnov": "ranks",
        "anderson_darling": "ranks",
        "chi_square": "categories",
        "fisher": "categories",
        "classifier_two_sample": "classifier_test",
        "maximum_mean_discrepancy": "mean_embedding",
        "energy_distance": "energy",
    },
    "Is it bias or variance?": {
        "diagnose": "learning",
        "diagnose_validation_curve": "validation_curve",
    },
    "Below which value does a share lie?": {
        "percentile": "percentiles",
    },
    "What may be read after every request?": {
        "RelativeRisk": "relative_risk",
        "RateLimit": "rate_limit",
        "BoundedMean": "bounded_mean",
        "QuantileSequence": "quantile_sequence",
        "SampleRatio": "sample_ratio",
    },
    "How much traffic does that take?": {
        "events_until_harm": "sequential_plans",
        "events_until_safe": "sequential_plans",
        "requests_until": "sequential_plans",
        "trials_until_above": "sequential_plans",
        "trials_until_below": "sequential_plans",
        "values_until_told": "sequential_plans",
        "units_until_mismatch": "sequential_plans",
    },
    "What do they give?": {
        "Estimate": "records",
        "Interval": "records",
        "Tested": "records",
    },
}
_HOMES = {name: home for names in QUESTIONS.values() for name, home in names.items()}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gonogo.stats' has no attribute {name!r}")
    return getattr(importlib.import_module(f"gonogo.stats.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOMES)
