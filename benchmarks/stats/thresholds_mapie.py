"""MAPIE's thresholds in the worlds of thresholds.py: one seed a line in, one line of JSON out. Run by MAPIE's own environment.

Its grid ends where some rows are still called (a threshold that calls none gives it a NaN p-value), and is handed over in the order that
its fixed sequence takes: the safe end first. Several promises at once it tests by Holm and Bonferroni. Its
split sequence, which learns the order on half of the rows, is left out: it took 50 times as long and left less recall.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.stats.thresholds_world import ASKED, DELTA, MAPIE_RISKS, rows
from mapie.risk_control import BinaryClassificationController
from mapie.risk_control.fwer_control import FWERFixedSequenceTesting

FALLING, RISING = np.linspace(0.7, 0.007, 100), np.linspace(0.007, 0.7, 100)
MODES = {
    "Holm": "bonferroni_holm",
    "Bonferroni": "bonferroni",
    "fixed sequence": "fixed_sequence",
    "fixed sequence, 5 starts": FWERFixedSequenceTesting(n_starts=5),
}


def answers(seed: int) -> dict[str, dict[str, tuple[float | None, float]]]:
    y, p = rows(seed)
    both = np.column_stack([1 - p, p])
    return {
        asked: {mode: chosen(asked, mode, both, y) for mode in MODES if isinstance(MAPIE_RISKS[asked][0], str) or "fixed" not in mode}
        for asked in ASKED
    }


def chosen(asked: str, mode: str, both: np.ndarray, y: np.ndarray) -> tuple[float | None, float]:
    risks, levels, prefers = MAPIE_RISKS[asked]
    began = time.process_time()
    controller = BinaryClassificationController(
        predict_function=lambda x: x,
        risk=risks,
        target_level=levels,
        confidence_level=1 - DELTA,
        best_predict_param_choice=prefers,
        list_predict_params=RISING if risks == "recall" else FALLING,
        fwer_method=MODES[mode],
    )
    controller.calibrate(both, y)
    best = controller.best_predict_param
    return None if best is None else float(best), time.process_time() - began


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        print(json.dumps(answers(int(line))), flush=True)
