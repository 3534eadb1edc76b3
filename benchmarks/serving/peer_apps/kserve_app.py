"""KServe's Python server with a custom model (its xgbserver is not on the package index). `python -m … PORT`."""

import os
import sys

from benchmarks.serving.predictor import load
from kserve import Model, ModelServer


class Trees(Model):
    def __init__(self) -> None:
        super().__init__("trees")
        self.score = load()
        self.ready = True

    async def predict(self, payload, headers=None, response_headers=None):
        return {"predictions": [self.score(row) for row in payload["instances"]]}


if __name__ == "__main__":
    ModelServer(http_port=int(sys.argv[1]), enable_grpc=False, workers=int(os.environ.get("PEER_WORKERS", "1"))).start([Trees()])
