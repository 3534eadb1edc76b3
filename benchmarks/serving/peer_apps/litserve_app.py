"""LitServe: an API with setup, decode, predict, encode. `python -m benchmarks.serving.peer_apps.litserve_app PORT`."""

import os
import sys

import litserve
from benchmarks.serving.predictor import NAMES, load


class Trees(litserve.LitAPI):
    def setup(self, device):
        self.score = load()

    def decode_request(self, request):
        return [request[name] for name in NAMES]

    def predict(self, row):
        return self.score(row)

    def encode_response(self, p):
        return {"p": p}


if __name__ == "__main__":
    server = litserve.LitServer(Trees(), accelerator="cpu", workers_per_device=int(os.environ.get("PEER_WORKERS", "1")))
    server.run(port=int(sys.argv[1]), host="127.0.0.1", generate_client_file=False, log_level="warning")
