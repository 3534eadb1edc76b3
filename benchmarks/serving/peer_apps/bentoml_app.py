"""BentoML: a service with one typed method. `bentoml serve benchmarks.serving.peer_apps.bentoml_app:Trees --port PORT`."""

import os

import bentoml
from benchmarks.serving.predictor import NAMES, load
from pydantic import create_model

Row = create_model("Row", **dict.fromkeys(NAMES, (float, ...)))


@bentoml.service(workers=int(os.environ.get("PEER_WORKERS", "1")))
class Trees:
    def __init__(self) -> None:
        self.score = load()

    @bentoml.api(input_spec=Row)
    def predict(self, **row: float) -> dict[str, float]:
        return {"p": self.score([row[name] for name in NAMES])}
