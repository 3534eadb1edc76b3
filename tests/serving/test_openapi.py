"""Does the server keep what its OpenAPI document promises, whatever it is asked?"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from gonogo.serving.app import App
from gonogo.serving.endpoints import PATHS
from gonogo.serving.openapi import build
from tests.serving.live import serve
from tests.serving.surface import FakeJobs, FakeService
from tests.serving.test_app import ROUTES

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of its own dependencies
    import schemathesis

FEW = settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate], database=None)


def test_every_path_is_in_the_document_with_its_errors(tmp_path):
    app = App(FakeService(jobs=FakeJobs(tmp_path), routes=ROUTES))
    made = build(app)["paths"]
    for line in PATHS:
        told = made[line.path.replace("{name}", "flights")][line.method.lower()]
        assert "500" in told["responses"]
        assert ("401" in told["responses"]) == bool(line.scope)
        assert ("requestBody" in told) == (line.method == "POST")
    assert made["/v1/releases/{digest}"]["post"]["requestBody"]["content"]["application/json"]["schema"] == {"type": "object"}


def test_every_operation_has_an_id_of_its_own(tmp_path):
    operations = [operation for path in build(App(FakeService()))["paths"].values() for operation in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)


@pytest.fixture(scope="module")
def live(tmp_path_factory) -> Iterator[tuple[App, FakeJobs, int, list[str]]]:
    jobs, lines = FakeJobs(tmp_path_factory.mktemp("jobs")), []
    app = App(FakeService(jobs=jobs, routes=ROUTES), log=lines.append)
    with serve(app) as port:
        yield app, jobs, port, lines


def _questions() -> list[tuple[str, str, str]]:
    """Every operation with what is allowed, and those that take a body with what is not."""
    made = build(App(FakeService(routes=ROUTES)))["paths"]
    named = [(method, path) for path, methods in made.items() for method in methods]
    return [(method, path, "positive") for method, path in named] + [(m, path, "negative") for m, path in named if m == "post"]


@pytest.mark.parametrize(("method", "path", "mode"), _questions())
def test_what_the_document_allows_is_taken_and_all_else_refused_as_it_says(live, method, path, mode):
    app, jobs, port, lines = live
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        schema = schemathesis.openapi.from_dict(build(app))
        schema.config.base_url = f"http://127.0.0.1:{port}"
        refusals = schema.config.checks.negative_data_rejection
        refusals.expected_statuses = [*refusals.expected_statuses, "413"]  # too many rows
        cases = schema[path][method.upper()].as_strategy(generation_mode=schemathesis.GenerationMode(mode))

        @FEW
        @given(case=cases)
        def ask(case):
            jobs.records.clear()
            case.call_and_validate(timeout=5)

        ask()
    assert [line for line in lines if '"status":500' in line] == []
