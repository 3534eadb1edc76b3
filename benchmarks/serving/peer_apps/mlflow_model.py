"""Writes the MLflow model: `python -m benchmarks.serving.peer_apps.mlflow_model FOLDER`, in MLflow's environment."""

import sys
from pathlib import Path

import mlflow
from benchmarks.serving.predictor import folder
from xgboost import XGBClassifier

into = Path(sys.argv[1])
if not into.exists():
    model = XGBClassifier(n_jobs=1)
    model.load_model(folder() / "trees.ubj")
    mlflow.xgboost.save_model(model, into)
