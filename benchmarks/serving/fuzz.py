"""Does any request bring the server to fail or to hang?

    python -m benchmarks.serving.fuzz [--examples 300]

schemathesis asks every operation of the server's own OpenAPI document, with what it allows and with what it does not, over real sockets.
Anything that is not as the document says is printed: an undocumented status, another content type or shape, a wrong body that is taken, a
good one that is refused, any 500. A request that takes longer than five seconds counts as a hang. Ends with 1 if anything was found.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

from gonogo.serving.app import App
from gonogo.serving.openapi import build


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=300)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    import schemathesis
    from hypothesis import HealthCheck, Phase, given, settings
    from schemathesis.core.failures import FailureGroup
    from tests.serving.live import serve
    from tests.serving.surface import FakeJobs, FakeService
    from tests.serving.test_app import ROUTES

    jobs, lines = FakeJobs(Path(tempfile.mkdtemp())), []
    app = App(FakeService(jobs=jobs, routes=ROUTES), log=lines.append)
    quiet = settings(
        max_examples=options.examples, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate], database=None
    )
    found: Counter[str] = Counter()
    asked: Counter[int] = Counter()
    with serve(app) as port:
        schema = schemathesis.openapi.from_dict(build(app))
        schema.config.base_url = f"http://127.0.0.1:{port}"
        refusals = schema.config.checks.negative_data_rejection
        refusals.expected_statuses = [*refusals.expected_statuses, "413"]
        for path, methods in build(app)["paths"].items():
            for method in methods:
                for mode in ("positive", "negative") if method == "post" else ("positive",):
                    cases = schema[path][method.upper()].as_strategy(generation_mode=schemathesis.GenerationMode(mode))

                    @quiet
                    @given(case=cases)
                    def ask(case: Any) -> None:
                        jobs.records.clear()
                        response = case.call(timeout=5)
                        asked[response.status_code] += 1
                        try:
                            case.validate_response(response)
                        except FailureGroup as failures:
                            found[f"{case.method} {case.path}: {str(failures.exceptions[0])[:300]}"] += 1

                    start = time.monotonic()
                    ask()
                    print(f"{time.monotonic() - start:6.1f} s  {method.upper()} {path} {mode}", flush=True)
    failed = [line for line in lines if '"status":500' in line]
    print(f"{sum(asked.values()):,} requests: {dict(sorted(asked.items()))}")
    for what, times in (*found.items(), *((line, 1) for line in failed)):
        print(f"FOUND {times} × {what}")
    return 1 if found or failed else 0


if __name__ == "__main__":
    sys.exit(main())
