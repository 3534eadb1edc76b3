"""Ray Serve: one deployment that reads the request's JSON. `python -m benchmarks.serving.peer_apps.ray_app PORT`."""

import os
import signal
import sys

import ray
from benchmarks.serving.predictor import NAMES, load
from ray import serve


@serve.deployment(num_replicas=int(os.environ.get("PEER_WORKERS", "1")), max_ongoing_requests=64, ray_actor_options={"num_cpus": 1})
class Trees:
    def __init__(self) -> None:
        self.score = load()

    async def __call__(self, request):
        row = await request.json()
        return {"p": self.score([row[name] for name in NAMES])}


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100_000_000)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])}, logging_config={"enable_access_log": False})
    serve.run(Trees.bind(), route_prefix="/predict")
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    ray.shutdown()
