"""What does one answer cost with everything on, beside other servers of the same model and beside a bare application?

    python -m benchmarks.serving.peers install [NAME …]      environments of their own under benchmarks/.peers: minutes, 4 GB
    python -m benchmarks.serving.peers run --rounds 3 [--only ours,anchor,…] [--model FOLDER] [--workers 1]

The model is 500 XGBoost trees of depth 6 over 30 numbers (model.py), asked for one row at a time. Every server is started anew in every
round, in an order drawn anew; in a round each is first saturated (wrk, 32 connections), which gives CPU of its whole process tree per
request, then asked at a low fixed rate (load.py, open loop), which gives latencies. `ours` runs with a rollout under way: validation,
sticky routing at 50 %, every request shadowed by a second model of 500 trees, the durable log, the judge and metrics. Peers run as their
documentation shows, one worker, access logs off where a switch exists, XGBoost on one thread; `NAME+kernel` has gonogo's own predictor put
into it: the framework alone. A ratio is taken within a round. Needs wrk (Debian: apt-get install wrk).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import Spread
from benchmarks.serving.load import Seen
from benchmarks.serving.tree import Tree

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ROOT / "benchmarks" / ".peers"
PORT = 18_731
COMMON = ("xgboost-cpu==3.2.0", "scikit-learn", "numpy", "numba", "msgspec")
NAMES = [f"x{i}" for i in range(30)]


@dataclass(frozen=True, kw_only=True)
class Peer:
    """One server."""

    command: tuple[str, ...]  # {bin} {port} {model} {folder} stand for themselves
    path: str
    body: Callable[[dict[str, float]], dict[str, object]]
    environment: str = ""  # "": gonogo's own
    requires: tuple[str, ...] = ()
    kernel: bool = False  # gonogo's predictor put into it
    before: tuple[str, ...] = ()
    rate: float = 50.0


def row(x: dict[str, float]) -> dict[str, object]:
    return {name: x[name] for name in NAMES}


def v2(x: dict[str, float]) -> dict[str, object]:
    return {"inputs": [{"name": "x", "shape": [1, 30], "datatype": "FP32", "data": list(row(x).values())}]}


def split(x: dict[str, float]) -> dict[str, object]:
    return {"dataframe_split": {"columns": NAMES, "data": [list(row(x).values())]}}


def instances(x: dict[str, float]) -> dict[str, object]:
    return {"instances": [list(row(x).values())]}


UVICORN = ("--host", "127.0.0.1", "--port", "{port}", "--no-access-log", "--log-level", "warning")
MODULE = ("{bin}/python", "-m")
APPS = "benchmarks.serving.peer_apps"
PEERS = {
    "anchor": Peer(command=(*MODULE, "uvicorn", "benchmarks.serving.anchor:app", *UVICORN), path="/predict", body=row, kernel=True),
    "ours": Peer(
        command=("{bin}/gonogo", "serve", "{folder}", "--port", "{port}", "--workers", "{workers}"),
        path="/v1/contracts/trees/predictions",
        body=lambda x: x,
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
            *("--host", "127.0.0.1", "--port", "{port}", "--workers", "1"),
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
        requires=("ray[serve]",),
        command=(*MODULE, f"{APPS}.ray_app", "{port}"),
        path="/predict",
        body=row,
    ),
}
for _name in ("fastapi", "litserve", "bentoml", "kserve", "ray"):
    _peer = PEERS[_name]
    PEERS[f"{_name}+kernel"] = Peer(**{**vars(_peer), "kernel": True})


@dataclass(frozen=True, kw_only=True)
class Saturated:
    """What was answered when it was asked as fast as it answered."""

    answered: int
    failed: int
    per_second: float


@dataclass(frozen=True, kw_only=True)
class Round:
    """What one server took in one round."""

    cpu_us: float  # of the whole tree, per answered request at saturation
    saturated: Saturated
    steady: Seen
    start_s: float
    pss_mb: float
    idle: float  # share of a core while nobody asks


def install(names: list[str]) -> None:
    for peer in {PEERS[name].environment: PEERS[name] for name in names if PEERS[name].environment}.values():
        folder = ENVIRONMENTS / peer.environment
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(folder / "bin" / "pip"), "install", "--quiet", *COMMON, *peer.requires], check=True)


def measure(name: str, asked: argparse.Namespace) -> Round:
    peer = PEERS[name]
    bodies = _bodies(peer, asked.model)
    url = f"http://127.0.0.1:{PORT}{peer.path}"
    env = _environment(peer, asked.model)
    words = _words(peer, asked)
    if peer.before:
        subprocess.run([word.format(**words) for word in peer.before], env=env, check=True, capture_output=True, cwd=ROOT)
    if name == "mlserver":
        _mlserver_settings(asked.model)
    log = asked.model / f"{name}.log"
    tree = Tree([word.format(**words) for word in peer.command], env=env, log=log, cwd=ROOT)
    try:
        start_s = _first_answer(tree, url, bodies.read_bytes().split(b"\n", 1)[0], log)
        if name == "ours":
            release(asked.model, url, bodies)
        _saturate(url, bodies, 2.0)  # warm
        time.sleep(0.5)
        before, began = tree.cpu_s(), time.perf_counter()
        time.sleep(2.0)
        idle = (tree.cpu_s() - before) / (time.perf_counter() - began)
        before = tree.cpu_s()
        saturated = _saturate(url, bodies, asked.seconds)
        if saturated.failed:
            raise RuntimeError(f"{saturated.failed:,} of {saturated.answered:,} requests were refused: their cost says nothing")
        time.sleep(0.3)  # the shadow and the log catch up: their work belongs to these requests
        cpu_us = (tree.cpu_s() - before) / max(1, saturated.answered) * 1e6
        pss = tree.pss_mb()
        steady = _client(url, bodies, "--rate", str(asked.rate), "--seconds", str(asked.steady), realtime=tree if asked.realtime else None)
    finally:
        tree.stop()
        time.sleep(0.3)
    return Round(cpu_us=cpu_us, saturated=saturated, steady=steady, start_s=start_s, pss_mb=pss, idle=idle)


def release(folder: Path, url: str, bodies: Path) -> None:
    """The second candidate on its way: in the canary at one half, where it stays for its bake time. Asked again, it is there already."""
    from benchmarks.serving.model import digests_of

    gonogo = str(Path(sys.executable).parent / "gonogo")
    _, verdict = digests_of(folder)
    done = subprocess.run([gonogo, "release", verdict, "--folder", str(folder)], capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1, 2):
        raise RuntimeError(done.stdout + done.stderr)
    until = time.monotonic() + 60
    while time.monotonic() < until:
        _client(url, bodies, "--rate", "300", "--seconds", "1")
        said = subprocess.run([gonogo, "rollout", "status", str(folder), "--json"], capture_output=True, text=True, check=False).stdout
        if '"canary"' in said:
            return
    raise RuntimeError(f"no canary after a minute:\n{done.stdout}{done.stderr}\n{said}")


def _client(url: str, bodies: Path, *options: str, realtime: Tree | None = None) -> Seen:
    """The load generator in a process of its own. realtime: this server and the client go before the neighbours for that time."""
    command = [sys.executable, "-m", "benchmarks.serving.load", url, "--bodies", str(bodies), *options]
    if realtime is not None:
        command = ["chrt", "--rr", "10", *command]
        _schedule(realtime, "--rr", "10")
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if realtime is not None:
        _schedule(realtime, "--other", "0")
    if done.returncode:
        raise RuntimeError(done.stderr)
    return Seen(**json.loads(done.stdout))


def _saturate(url: str, bodies: Path, seconds: float) -> Saturated:
    """As fast as it answers, 32 connections: by wrk, whose own work is hardly seen beside the server's."""
    lua = str(Path(__file__).parent / "post.lua")
    command = ["wrk", "-t1", "-c32", f"-d{max(1, round(seconds))}s", "--timeout", "10s", "-s", lua, url]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "BODIES": str(bodies)})
    said = json.loads(done.stdout.splitlines()[-1])
    return Saturated(answered=said["answered"], failed=said["refused"] + said["broken"], per_second=said["answered"] / said["us"] * 1e6)


def _schedule(tree: Tree, policy: str, priority: str) -> None:
    for pid in tree.pids():
        subprocess.run(["chrt", policy, "--all-tasks", "--pid", priority, str(pid)], capture_output=True, check=False)


def _first_answer(tree: Tree, url: str, body: bytes, log: Path) -> float:
    """Seconds from the start of the command to the first good answer."""
    asked = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})
    said = "nothing"
    while time.perf_counter() - tree.began < 90:
        if tree.process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(asked, timeout=5) as answer:
                if answer.status == 200:
                    return time.perf_counter() - tree.began
        except urllib.error.HTTPError as error:
            said = f"{error.code} {error.read()[:300]!r}"
        except OSError as error:
            said = repr(error)
        time.sleep(0.01)
    raise RuntimeError(f"no answer: {said}\n{log.read_text()[-2000:]}")


def _words(peer: Peer, asked: argparse.Namespace) -> dict[str, object]:
    programs = ENVIRONMENTS / peer.environment / "bin" if peer.environment else Path(sys.executable).parent
    return {"bin": programs, "port": PORT, "model": asked.model / "peer", "folder": asked.model, "workers": asked.workers}


def _environment(peer: Peer, model: Path) -> dict[str, str]:
    programs = str(_bin(peer))
    return {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}",
        "PEER_MODEL": str(model / "peer"),
        "PEER_PREDICTOR": "gonogo" if peer.kernel else "xgboost",
        "OMP_NUM_THREADS": "1",
        "BENTOML_DO_NOT_TRACK": "True",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "RAY_USAGE_STATS_ENABLED": "0",
        "MLSERVER_METRICS_DIR": str(model / "metrics"),
    }


def _bin(peer: Peer) -> Path:
    return ENVIRONMENTS / peer.environment / "bin" if peer.environment else Path(sys.executable).parent


def _mlserver_settings(model: Path) -> None:
    folder = model / "peer" / "mlserver"
    folder.mkdir(exist_ok=True)
    trees = {"uri": str(model / "peer" / "trees.ubj")}
    settings = {"name": "trees", "implementation": "mlserver_xgboost.XGBoostModel", "parameters": trees}
    (folder / "model-settings.json").write_text(json.dumps(settings))
    server = {"http_port": PORT, "grpc_port": PORT + 1, "metrics_port": PORT + 2, "parallel_workers": 1, "host": "127.0.0.1"}
    (folder / "settings.json").write_text(json.dumps(server))


def _bodies(peer: Peer, model: Path) -> Path:
    rows = [json.loads(line) for line in (model / "bodies.jsonl").read_text().splitlines()]
    path = model / f"bodies-{peer.body.__name__.strip('<>')}.jsonl"
    path.write_text("\n".join(json.dumps(peer.body(one)) for one in rows))
    return path


def table(rounds: dict[str, list[Round]]) -> str:
    lines = [
        f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores; middle [least, largest] of the rounds",
        "| server | CPU µs a request | × anchor | × ours | at saturation /s | p50 µs | p99 µs | failed | start s | PSS MB | idle % |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, of in rounds.items():
        cells = [
            name,
            _spread([r.cpu_us for r in of]),
            _over(rounds, name, "anchor"),
            _over(rounds, name, "ours"),
            _spread([r.saturated.per_second for r in of]),
            _spread([r.steady.p50_us for r in of]),
            _spread([r.steady.p99_us for r in of]),
            str(sum(r.saturated.failed + r.steady.failed for r in of)),
            _spread([r.start_s for r in of], 1),
            _spread([r.pss_mb for r in of]),
            _spread([r.idle * 100 for r in of], 1),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _over(rounds: dict[str, list[Round]], name: str, base: str) -> str:
    if len(rounds.get(base, ())) != len(rounds[name]) or name == base:
        return ""
    return _spread([a.cpu_us / b.cpu_us for a, b in zip(rounds[name], rounds[base], strict=True)], 2)


def _spread(values: list[float], digits: int = 0) -> str:
    s = Spread.of(values)
    return f"{s.median:,.{digits}f} [{s.low:,.{digits}f}, {s.high:,.{digits}f}]"


def _said(took: Round) -> str:
    rates = (
        f"{took.cpu_us:,.0f} µs CPU, {took.saturated.per_second:,.0f}/s, p50 {took.steady.p50_us:,.0f}, p99 {took.steady.p99_us:,.0f} µs"
    )
    return f"{rates}, start {took.start_s:.1f} s, {took.pss_mb:.0f} MB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("do", choices=("install", "run"))
    parser.add_argument("names", nargs="*")
    parser.add_argument("--only", default="")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="at saturation")
    parser.add_argument("--steady", type=float, default=8.0, help="seconds at the fixed rate")
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--realtime", action="store_true", help="SCHED_RR for server and client at the fixed rate (needs root)")
    parser.add_argument("--model", type=Path, default=ROOT / "benchmarks" / "results" / "trees")
    asked = parser.parse_args()
    asked.model = asked.model.absolute()
    if asked.do == "install":
        install(asked.names or list(PEERS))
        return
    subprocess.run([sys.executable, "-m", "benchmarks.serving.model", str(asked.model)], check=True, cwd=ROOT)
    names = asked.only.split(",") if asked.only else list(PEERS)
    rounds: dict[str, list[Round]] = {name: [] for name in names}
    for number in range(asked.rounds):
        for name in random.sample(list(rounds), len(rounds)):
            try:
                took = measure(name, asked)
            except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
                print(f"{name} is left out: {error}", file=sys.stderr, flush=True)
                del rounds[name]
                continue
            rounds[name].append(took)
            print(f"round {number + 1} {name}: {_said(took)}", file=sys.stderr, flush=True)
    print(table(rounds))


if __name__ == "__main__":
    main()
