"""What does the tabular family bring?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gonogo.families.tabular.boosted as boosted
import gonogo.families.tabular.calibrated as calibrated
import gonogo.families.tabular.logistic as logistic
import gonogo.families.tabular.prior as prior
import gonogo.families.tabular.storage as storage
from gonogo.families.tabular.boosted import XGBoost
from gonogo.families.tabular.checks import check
from gonogo.families.tabular.curves import curves
from gonogo.families.tabular.logistic import LogisticRegression
from gonogo.families.tabular.metrics import METRICS
from gonogo.families.tabular.priced import priced
from gonogo.families.tabular.prior import PriorRate
from gonogo.families.tabular.scorer import open_scorer
from gonogo.families.tabular.statistics import STATISTICS
from gonogo.types.errors import ArtifactRefused
from gonogo.types.protocols import Family, Model

LOADERS: dict[str, Callable[[Path], Model]] = {prior.KIND: prior.load, logistic.KIND: logistic.load, boosted.KIND: boosted.load}

WORDS = {
    "log_loss": "How surprised the model is by what came true, in nats per row: lower is better.",
    "brier_score": "The squared distance of the probability from what came true: lower is better.",
    "roc_auc": "How often a row that came true is ranked above one that did not: ½ is chance, 1 is perfect.",
    "average_precision": "How dense the rows that came true are at the top of the ranking: the base rate is chance, 1 is perfect.",
    "calibration_error": "How far a probability is from the share that came true, on average: 0 is honest.",
    "recall_at_false_alarm_rate_10": "The share of true cases that is found when one in ten of the others raises a false alarm.",
    "recall_at_false_alarm_rate_05": "The share of true cases that is found when one in twenty of the others raises a false alarm.",
    "precision_at_recall_50": "The share of alarms that are true when half of the true cases are found.",
    "cost_per_decision": "What a row costs on average, if every probability is acted on where the two prices of the contract say so.",
    "precision": "The share of alarms that are true, if every probability is acted on where the prices say so.",
    "recall": "The share of true cases that is found, if every probability is acted on where the prices say so.",
    "alert_rate": "The share of all rows that raise an alarm, if every probability is acted on where the prices say so.",
}


def load(folder: Path) -> Model:
    """The model that any learner of this family saved there. Raises ArtifactRefused for anything else."""
    kind = storage.read_kind(folder)
    if kind not in LOADERS:
        raise ArtifactRefused(
            "this kind of model is not known", found=kind, expected=", ".join(sorted(LOADERS)), where=f"{folder.name}/{storage.MODEL_FILE}"
        )
    return calibrated.load_around(LOADERS[kind](folder), folder)


FAMILY = Family(
    name="tabular",
    outcome_columns={"y": "1 where the thing asked about came true, else 0"},
    learners={prior.KIND: PriorRate, logistic.KIND: LogisticRegression, boosted.KIND: XGBoost},
    metrics=METRICS,
    statistics=STATISTICS,
    baseline=prior.KIND,
    load=load,
    checks=check,
    refine=calibrated.refine,
    curves=curves,
    priced=priced,
    words=WORDS,
    scorer=open_scorer,
)
