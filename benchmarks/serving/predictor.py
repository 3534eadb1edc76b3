"""The predictors that are put into other servers: gonogo's own kernel over the trees, or XGBoost as its documentation shows it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

NAMES = [f"x{i}" for i in range(30)]
Predict = Callable[[Sequence[float]], float]


def load() -> Predict:
    """The model in the folder PEER_MODEL, by gonogo's scorer or, with PEER_PREDICTOR=xgboost, by XGBClassifier."""
    return xgboost_classifier() if os.environ.get("PEER_PREDICTOR") == "xgboost" else gonogo_scorer()


def folder() -> Path:
    return Path(os.environ["PEER_MODEL"])


def gonogo_scorer() -> Predict:
    from gonogo.families.tabular.scorer import open_scorer

    scorer = open_scorer(folder())
    assert scorer is not None
    score = scorer.score
    for _ in range(50):
        score([0.0] * len(NAMES))
    return lambda row: score(row)[0]


def xgboost_classifier() -> Predict:
    import numpy as np
    from xgboost import XGBClassifier

    model = XGBClassifier(n_jobs=1)
    model.load_model(folder() / "trees.ubj")

    def predict(row: Sequence[float]) -> float:
        return float(model.predict_proba(np.array([row]))[0, 1])

    return predict
