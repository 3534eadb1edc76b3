"""What does one row through 500 trees cost, beside the library that grew them and two that only score?

    python -m benchmarks.serving.scoring [--rounds 9] [--rows 2000]

Every contender is a process of its own with the same trees (500, depth 6, 30 numbers, a tenth of them null) and the same rows. Rounds
are interleaved: each contender scores the rows one by one, then 32 at a time, then waits while the next one does. Time of a row is CPU
time over all of them; its quantiles are by the clock, and suffer from neighbours. gonogo starts from Python's own values, as they come
out of a request; the others start from what they like best, a row of float32 or float64 that lies ready.

The peers are in an environment of their own:

    python -m venv benchmarks/.peers/scoring
    benchmarks/.peers/scoring/bin/pip install numpy treelite onnxruntime onnxmltools onnx skl2onnx xgboost-cpu scikit-learn
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

N_FEATURES, N_TRAIN, N_CHECKED, MANY = 30, 50_000, 10_000, 32
PEERS = Path(__file__).parents[1] / ".peers" / "scoring" / "bin" / "python"
CONTENDERS = ("gonogo", "xgboost inplace_predict", "onnxruntime", "treelite")
IN_PEERS = ("onnxruntime", "treelite")


@dataclass(frozen=True, kw_only=True)
class Contender:
    """Two ways to score the rows that were prepared."""

    one: Callable[[int], Any]  # row i
    many: Callable[[int], Any]  # 32 rows from i on
    answers: Callable[[int], list[float]]  # of the first n rows, each alone


def main() -> None:
    options = _options()
    if options.contender:
        _serve(options.contender, Path(options.folder))
        return
    with tempfile.TemporaryDirectory() as folder:
        _make(Path(folder))
        if not options.skip_start:
            _starts(Path(folder))
        _compare(Path(folder), options.rounds, options.rows)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--skip-start", action="store_true")
    parser.add_argument("--contender", help="one of the processes")
    parser.add_argument("--folder")
    return parser.parse_args()


def _make(folder: Path) -> None:
    """The model as gonogo saves it, and rows with nulls and numbers beyond float32."""
    import numpy as np
    import pyarrow as pa

    from gonogo.families.tabular.boosted import XGBoost
    from gonogo.types.protocols import Examples
    from gonogo.types.snapshot import Input, Kind, Missing

    rng = np.random.default_rng(0)
    x = rng.normal(size=(N_TRAIN, N_FEATURES))
    odds = x[:, 0] * x[:, 1] + x[:, 2] + np.sin(3 * x[:, 3]) + x[:, 4:12] @ rng.normal(size=8)
    y = (rng.random(N_TRAIN) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    x[rng.random(x.shape) < 0.1] = np.nan
    names = [f"x{i}" for i in range(N_FEATURES)]
    inputs = tuple(Input(name=name, kind=Kind.NUMBER, missing=Missing.NATIVE, feature=name) for name in names)
    at = np.arange(N_TRAIN)
    table = Examples(
        keys=pa.table({"row": at}),
        inputs=pa.table({name: pa.array(x[:, i], from_pandas=True) for i, name in enumerate(names)}),
        outcomes=pa.table({"unit": at, "decided_at": at, "y": y}),
        slices=pa.table({}),
    )
    learner = XGBoost(n_rounds=500, max_depth=6, early_stopping_rounds=0, learning_rate=0.05)
    model = learner.fit(table, table, inputs=inputs, seed=0, threads=2, budget_s=None)
    model.save(folder / "model")
    rows = rng.normal(size=(N_CHECKED, N_FEATURES))
    rows[rng.random(rows.shape) < 0.1] = np.nan
    rows[rng.random(rows.shape) < 0.001] = 1e300  # infinite as float32
    np.save(folder / "rows.npy", rows)


def _compare(folder: Path, rounds: int, n_rows: int) -> None:
    processes = {name: _started(name, folder) for name in CONTENDERS if name not in IN_PEERS or PEERS.exists()}
    said = {name: json.loads(process.stdout.readline()) for name, process in processes.items()}
    theirs = said["xgboost inplace_predict"]["answers"]
    figures: dict[str, list[dict[str, float]]] = {name: [] for name in processes}
    for _ in range(rounds):
        for name, process in processes.items():
            process.stdin.write(f"{n_rows}\n")
            process.stdin.flush()
            figures[name].append(json.loads(process.stdout.readline()))
    for process in processes.values():
        process.stdin.close()
        process.wait()
    print(f"{'':26}{'1 row, CPU us':>24}{'p50':>8}{'p99':>8}{'x gonogo':>22}{'32 rows, us a row':>20}{'largest difference':>20}")
    for name in processes:
        ones = [figure["one_us"] for figure in figures[name]]
        ratios = [figure["one_us"] / ours["one_us"] for figure, ours in zip(figures[name], figures["gonogo"], strict=True)]
        difference = max(abs(a - b) for a, b in zip(said[name]["answers"], theirs, strict=True))
        p50, p99, many = (_middle(figures[name], of) for of in ("p50_us", "p99_us", "many_us"))
        print(
            f"{name + ' ' + said[name]['version']:26}{_spread(ones):>24}{p50:8.1f}{p99:8.1f}"
            f"{_spread(ratios):>22}{many:20.1f}{difference:20.1e}"
        )


def _started(name: str, folder: Path) -> Any:
    python = str(PEERS) if name in IN_PEERS else sys.executable
    command = [python, str(Path(__file__)), "--contender", name, "--folder", str(folder)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.1f} [{min(values):.1f}, {max(values):.1f}]"


def _middle(figures: list[dict[str, float]], name: str) -> float:
    return statistics.median(figure[name] for figure in figures)


def _serve(name: str, folder: Path) -> None:
    """One contender: its answers, then figures each time it is asked."""
    import numpy as np

    rows = np.load(folder / "rows.npy")
    contender, version = BUILD[name](folder, rows)
    print(json.dumps({"version": version, "answers": contender.answers(N_CHECKED)}), flush=True)
    for line in sys.stdin:
        print(json.dumps(_figures(contender, int(line))), flush=True)


def _figures(contender: Contender, n: int) -> dict[str, float]:
    times = []
    cpu = time.process_time_ns()
    for i in range(n):
        started = time.perf_counter_ns()
        contender.one(i)
        times.append(time.perf_counter_ns() - started)
    cpu = time.process_time_ns() - cpu
    many = time.process_time_ns()
    for i in range(0, n - MANY, MANY):
        contender.many(i)
    many = time.process_time_ns() - many
    times.sort()
    n_many = len(range(0, n - MANY, MANY)) * MANY
    return {"one_us": cpu / n / 1e3, "p50_us": times[n // 2] / 1e3, "p99_us": times[n * 99 // 100] / 1e3, "many_us": many / n_many / 1e3}


def _gonogo(folder: Path, rows: Any) -> tuple[Contender, str]:
    from gonogo.families.tabular.scorer import open_scorer

    scorer = open_scorer(folder / "model")
    assert scorer is not None
    plain = [tuple(None if value != value else value for value in row) for row in rows.tolist()]
    score, score_rows = scorer.score, scorer.score_rows
    return Contender(
        one=lambda i: score(plain[i]),
        many=lambda i: score_rows(plain[i : i + MANY]),
        answers=lambda n: [score(row)[0] for row in plain[:n]],
    ), ""


def _xgboost(folder: Path, rows: Any) -> tuple[Contender, str]:
    import xgboost

    booster = xgboost.Booster(model_file=str(folder / "model" / "trees.ubj"))
    booster.set_param({"nthread": 1})
    ones = [rows[i : i + 1].copy() for i in range(len(rows))]
    predict = booster.inplace_predict
    return Contender(
        one=lambda i: predict(ones[i], validate_features=False),
        many=lambda i: predict(rows[i : i + MANY], validate_features=False),
        answers=lambda n: predict(rows[:n]).astype(float).tolist(),
    ), xgboost.__version__


def _narrow(rows: Any) -> Any:
    import numpy as np

    with np.errstate(over="ignore"):
        return rows.astype("float32")


def _onnxruntime(folder: Path, rows: Any) -> tuple[Contender, str]:
    import onnxruntime
    from onnxmltools.convert import convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType
    from xgboost import XGBClassifier

    model = XGBClassifier()
    model.load_model(str(folder / "model" / "trees.ubj"))
    made = convert_xgboost(model, initial_types=[("x", FloatTensorType([None, N_FEATURES]))])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(made.SerializeToString(), options, providers=["CPUExecutionProvider"])
    wanted = [session.get_outputs()[1].name]
    narrow = _narrow(rows)
    ones = [narrow[i : i + 1].copy() for i in range(len(rows))]
    run = session.run
    return Contender(
        one=lambda i: run(wanted, {"x": ones[i]}),
        many=lambda i: run(wanted, {"x": narrow[i : i + MANY]}),
        answers=lambda n: [float(run(wanted, {"x": one})[0][0][1]) for one in ones[:n]],
    ), onnxruntime.__version__


def _treelite(folder: Path, rows: Any) -> tuple[Contender, str]:
    import treelite

    model = treelite.frontend.load_xgboost_model(str(folder / "model" / "trees.ubj"), format_choice="ubjson")
    narrow = _narrow(rows)
    ones = [narrow[i : i + 1].copy() for i in range(len(rows))]
    predict = treelite.gtil.predict
    return Contender(
        one=lambda i: predict(model, ones[i], nthread=1),
        many=lambda i: predict(model, narrow[i : i + MANY], nthread=1),
        answers=lambda n: predict(model, narrow[:n], nthread=1).reshape(-1).astype(float).tolist(),
    ), treelite.__version__


BUILD = {"gonogo": _gonogo, "xgboost inplace_predict": _xgboost, "onnxruntime": _onnxruntime, "treelite": _treelite}

STARTS = {
    "python and numpy alone": "import numpy",
    "gonogo's scorer": "from gonogo.families.registry import find_scorer; "
    "print(find_scorer('tabular')(Path(sys.argv[1])).score((0.1,) * 30))",
    "gonogo's Model.predict": "from gonogo.families.registry import find; import pyarrow as pa; "
    "print(find('tabular').load(Path(sys.argv[1])).predict(pa.table({f'x{i}': [0.1] for i in range(30)})))",
    "numba, imported alone": "import numba",
}


def _starts(folder: Path) -> None:
    """From the start of the interpreter to the first answer, the least of five, and what the process then holds."""
    print(f"{'':26}{'to the first answer, s':>24}{'CPU s':>8}{'resident MB':>14}")
    for name, code in STARTS.items():
        runs = [_start(f"import sys; from pathlib import Path; {code}", folder) for _ in range(5)]
        print(f"{name:26}{min(run[0] for run in runs):24.2f}{min(run[1] for run in runs):8.2f}{min(run[2] for run in runs):14.0f}")


def _start(code: str, folder: Path) -> tuple[float, float, float]:
    tail = "; sys.stderr.write(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1])"
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    ended = subprocess.run([sys.executable, "-c", code + tail, str(folder / "model")], capture_output=True, text=True, check=True)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, int(ended.stderr) / 1024


if __name__ == "__main__":
    main()
