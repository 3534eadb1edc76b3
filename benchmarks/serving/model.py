"""What is served in every comparison: 500 trees of depth 6 over 30 numbers, made by gonogo itself.

    python -m benchmarks.serving.model FOLDER

Writes into FOLDER: contract.toml and rows.parquet (50,000 rows); two candidates that differ by their seed, both GO; the first one is made
champion by an entry of the ledger, so that the second can be released against it; `peer/` with the first model's trees as XGBoost reads
them; and `bodies.jsonl`, 2,000 questions.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

N_ROWS, N_FEATURES, N_BODIES, N_UNITS = 50_000, 30, 2_000, 20_000
NAME = "trees"
START = 1_704_067_200_000_000  # 2024-01-01T00:00Z
MINUTE = 60_000_000

CONTRACT = """gonogo = 1
name = "trees"
family = "tabular"
question = "Is it one?"
unit = "who"
as_of = "2024-03-01T00:00:00Z"
seed = {seed}
select_by = "log_loss"

[sources.rows]
read = "rows.parquet"
known_at = "asked_at"
known_later = {{ y = "told_at", told_at = "told_at" }}
unique = ["id"]

[rows]
source = "rows"
key = ["id"]
decided_at = "asked_at"
entities = ["who"]

[outcome]
columns = {{ y = "y" }}
known_at = "told_at"
window = "1h"

[split]
by = "time"
validate_from = "2024-01-22T00:00:00Z"
test_from = "2024-01-29T00:00:00Z"

[[learners]]
name = "xgboost"
params = {{ n_rounds = 500, max_depth = 6, learning_rate = 0.02, early_stopping_rounds = 0, subsample = 0.9 }}

[[gates]]
name = "no findings"
metric = "open_findings"
at_most = 0

[[gates]]
name = "as good as the model it replaces"
metric = "log_loss"
against = "champion"
at_most = 0.01

[cost]
false_positive_usd = 1.0
false_negative_usd = 1.0
machine_usd_per_hour = 0.05

[decision]
owner = "the benchmark"
reversible = true
assumptions = ["none"]
risks = ["none"]
fallback = "one half"

[serving]
fallback = {{ p = 0.5 }}
"""

ROLLOUT = """
[rollout]
bucket_by = "who"
shares = [0.5, 1.0]
shadow = "1s"
bake = "1h"

[[guardrails]]
name = "answers"
metric = "errors"
rate_at_most = 0.2
"""


def main() -> None:
    build(Path(sys.argv[1]))


def build(folder: Path, rollout: str = ROLLOUT) -> None:
    """All of it, unless it is there. rollout: how the second candidate's release goes."""
    if (folder / "ready").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    x, table = rows()
    pq.write_table(table, folder / "rows.parquet")
    first = trained(folder, rollout, seed=1)
    make_champion(folder, *first)
    second = trained(folder, rollout, seed=2)
    make_packages(folder, first[0], second[0])
    export(folder, first[0])
    (folder / "bodies.jsonl").write_text("\n".join(json.dumps(body) for body in bodies(x)))
    (folder / "ready").touch()


def rows() -> tuple[np.ndarray, pa.Table]:
    """(n, 30) float32-valued numbers, and the table that the contract reads."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(N_ROWS, N_FEATURES)).astype(np.float32).astype(np.float64)
    odds = x[:, :8] @ rng.normal(size=8) + 2 * x[:, 8] * x[:, 9] + np.sin(3 * x[:, 10])
    y = (rng.random(N_ROWS) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    asked = START + np.sort(rng.integers(0, 35 * 24 * 60, N_ROWS)) * MINUTE
    moment = pa.timestamp("us", tz="UTC")
    columns = {
        "id": np.arange(N_ROWS),
        "who": rng.integers(0, N_UNITS, N_ROWS),
        "asked_at": pa.array(asked, moment),
        "told_at": pa.array(asked + MINUTE, moment),
        "y": y,
        **{f"x{i}": x[:, i] for i in range(N_FEATURES)},
    }
    return x, pa.table(columns)


def trained(folder: Path, rollout: str, *, seed: int) -> tuple[str, str]:
    """(candidate, verdict) of a run with that seed."""
    import gonogo

    features = "".join(f'\n[features.x{i}]\nsql = "x{i}"\nmissing = "native"\n' for i in range(N_FEATURES))
    (folder / "contract.toml").write_text(CONTRACT.format(seed=seed) + rollout + features)
    run = gonogo.run(folder)
    assert run.verdict.go, run.verdict
    return digests_of(folder)


def digests_of(folder: Path) -> tuple[str, str]:
    """(candidate, verdict) of the newest verdict."""
    from gonogo.workflow.ledger import entries

    body = [entry.body for entry in entries(folder) if entry.kind == "verdict"][-1]
    return body["candidate"], body["verdict"]


def make_champion(folder: Path, candidate: str, verdict: str) -> None:
    """Written by hand: this benchmark wants a champion, and has no traffic yet to earn it."""
    from gonogo.workflow.workspace import open_workspace

    workspace = open_workspace(folder)
    body = {"contract": NAME, "candidate": candidate, "verdict": verdict, "why": "the benchmark's first champion"}
    workspace.ledger.append("release", body)


def make_packages(folder: Path, *candidates: str) -> None:
    """What is done once for each candidate is done, so that a start is a start."""
    from gonogo.workflow.package import package
    from gonogo.workflow.workspace import open_workspace

    workspace = open_workspace(folder)
    for candidate in candidates:
        package(workspace, candidate)


def export(folder: Path, candidate: str) -> None:
    """The champion's files as they lie in the ledger: trees.ubj is what XGBoost itself wrote."""
    from gonogo.ledger.artifacts import restore_artifact
    from gonogo.types.candidate import Candidate
    from gonogo.workflow.workspace import open_workspace

    workspace = open_workspace(folder)
    restore_artifact(workspace.blobs, workspace.records.get(Candidate, candidate).artifact, folder / "peer")


def bodies(x: np.ndarray) -> list[dict[str, object]]:
    """Questions as a caller writes them: names and numbers, a key, whose it is, and when."""
    rng = np.random.default_rng(8)
    picked = rng.integers(0, N_ROWS, N_BODIES)
    return [
        {
            "id": int(10_000_000 + i),
            "who": int(rng.integers(0, N_UNITS)),
            "asked_at": "2024-03-01T00:00:00Z",
            **{f"x{k}": float(x[row, k]) for k in range(N_FEATURES)},
        }
        for i, row in enumerate(picked)
    ]


if __name__ == "__main__":
    main()
