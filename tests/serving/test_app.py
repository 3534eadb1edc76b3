"""Which path answers what, and what is said where something is wrong? Every fact holds on the plain ASGI way and on the quick one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace

import httpx
import msgspec
import pytest

from gonogo.serving.app import App
from gonogo.serving.jobs import Jobs
from gonogo.serving.responses import Reply
from gonogo.serving.service import Request, Response, Route
from gonogo.serving.settings import Settings
from gonogo.types.errors import LedgerBusy, NotConfirmed, ReleaseRefused, UsageError
from gonogo.types.traffic import AnswerStatus
from tests.serving.live import serve
from tests.serving.surface import CHALLENGER, CHAMPION, FakeContract, FakeJobs, FakeService, FakeSpool

TYPES = {str: "BYTES", int: "INT64", bool: "BOOL"}
ROW = {"flight": "UA1", "distance": 500, "hour": 7, "is_weekend": True, "decided_at": "2026-03-01T09:30:00Z"}
ASK = "/v1/contracts/flights/predictions"


async def _mounted(request: Request) -> Response:
    if request.body == {"do": "refuse"}:
        raise ReleaseRefused("not that step", where="rollout")
    if request.body == {"do": "wait"}:
        raise NotConfirmed("recorded, not confirmed")
    if request.body == {"do": "busy"}:
        raise LedgerBusy("somebody else writes")
    if request.body == {"do": "break"}:
        raise KeyError("inside")
    return Response(status=201, body={"by": request.who, "parts": dict(request.parts), "query": dict(request.query), "body": request.body})


ROUTES = (
    Route(
        method="POST",
        path="/v1/releases/{digest}",
        scope="release",
        answer=_mounted,
        summary="A release",
        body={"type": "object"},
        returns={201: {}},
    ),
    Route(method="GET", path="/v1/releases", scope="release", answer=_mounted, summary="All releases", returns={201: {}}),
)


class World:
    """A contract, its service and the application, and how to ask it."""

    def __init__(self, tmp_path, way: str) -> None:
        self.contract = FakeContract()
        self.lines: list[str] = []
        self.app = App(
            FakeService(self.contract, jobs=FakeJobs(tmp_path), routes=ROUTES),
            settings=Settings(max_body_bytes=20_000, max_batch_rows=50),
            log=self.lines.append,
        )
        self.way = way
        self.port = 0

    def ask(self, method: str, path: str, **more) -> httpx.Response:
        if self.way == "asgi":

            async def once() -> httpx.Response:
                async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://localhost") as client:
                    return await client.request(method, path, **more)

            return asyncio.run(once())
        with httpx.Client(base_url=f"http://127.0.0.1:{self.port}", trust_env=False) as client:
            return client.request(method, path, **more)

    def post(self, path: str, body: object) -> httpx.Response:
        return self.ask("POST", path, json=body)


def tensor(name: str, datatype: str, *values: object, shape: list[int] | None = None) -> dict[str, object]:
    return {"name": name, "shape": shape or [len(values)], "datatype": datatype, "data": list(values)}


@pytest.fixture(params=["asgi", "quick"])
def world(request, tmp_path) -> Iterator[World]:
    made = World(tmp_path, request.param)
    if request.param == "asgi":
        yield made
        return
    with serve(made.app) as port:
        made.port = port
        yield made


def test_one_row_is_answered_with_who_answered(world):
    told = world.post(ASK, ROW)
    assert told.status_code == 200
    assert told.json() == {"answer": {"p": 0.5}, "by": "model", "candidate": CHAMPION, "arm": "champion", "request": f"{1:016x}"}
    assert told.headers["x-request-id"] == f"{1:016x}"
    assert told.headers["x-gonogo-candidate"] == CHAMPION
    assert told.headers["x-gonogo-arm"] == "champion"


def test_the_headers_that_stand_ready_as_lines_are_the_headers(world):
    reply = world.app.desk("flights").predict(json.dumps(ROW).encode(), "", 0)
    assert isinstance(reply, Reply)
    assert reply.lines == b"".join(b"%b: %b\r\n" % header for header in reply.headers)


def test_a_fallback_says_that_it_is_one_and_why(world):
    world.contract.status = AnswerStatus.LATE
    told = world.post(ASK, ROW).json()
    assert (told["by"], told["status"], told["why"]) == ("fallback", "late", "it was told to")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/invocations", {"instances": [ROW, ROW]}),
        ("/v1/models/flights:predict", {"instances": [ROW, ROW]}),
        ("/v2/models/flights/infer", {"inputs": [tensor(name, TYPES[type(value)], value, value) for name, value in ROW.items()]}),
    ],
)
def test_a_fallback_says_so_over_an_answer_that_has_no_place_for_it(world, path, body):
    assert "x-gonogo-fallbacks" not in world.post(path, body).headers
    world.contract.status = AnswerStatus.LATE
    told = world.post(path, body)
    assert (told.status_code, told.headers["x-gonogo-fallbacks"]) == (200, "2")


def test_no_answer_at_all_is_503_with_the_request_id(world):
    world.contract.status = AnswerStatus.FAILED
    told = world.post(ASK, ROW)
    assert (told.status_code, told.json()["code"], told.headers["x-request-id"]) == (503, "GNG-H006", f"{1:016x}")
    assert int(told.headers["retry-after"]) >= 1


def test_a_batch_is_answered_row_by_row(world):
    told = world.post(ASK, {"rows": [ROW, {**ROW, "hour": "x"}, ROW]})
    assert told.status_code == 200
    first, second, third = told.json()["rows"]
    assert first["answer"] == third["answer"] == {"p": 0.5}
    assert (second["error"]["code"], second["error"]["where"]) == ("GNG-H001", "rows[1].hour")
    assert world.contract.n_answered == 2


def test_a_batch_of_refused_rows_is_422_and_one_that_nobody_answers_503(world):
    assert world.post(ASK, {"rows": [3, 4]}).status_code == 422
    world.contract.status = AnswerStatus.FAILED
    assert world.post(ASK, {"rows": [ROW, 3]}).status_code == 503


@pytest.mark.parametrize(
    ("body", "status", "where"),
    [
        (b"{", 400, "body"),
        (b"", 400, "body"),
        (b"\xff", 400, "body"),
        (b"[]", 422, "body"),
        (json.dumps({**ROW, "hour": 1.5}).encode(), 422, "hour"),
        (json.dumps({**ROW, "hr": 1}).encode(), 422, "hr"),
        (json.dumps({"rows": [ROW] * 51}).encode(), 413, "rows"),
        (b" " * 20_001, 413, "body"),
        (b"[" * 20_000, 413, "body"),
    ],
)
def test_what_is_wrong_with_a_question_is_a_record(world, body, status, where):
    told = world.ask("POST", ASK, content=body, headers={"content-type": "application/json"})
    assert (told.status_code, told.json()["where"]) == (status, where)
    assert set(told.json()) == {"code", "message", "found", "expected", "where", "next"}
    assert len(told.headers["x-request-id"]) == 16
    assert world.contract.n_answered == 0


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/json; charset=utf-16", None]
)
def test_a_body_that_a_browser_may_send_unasked_is_refused(world, kind):
    told = world.ask("POST", ASK, content=json.dumps(ROW).encode(), headers={"content-type": kind} if kind else {})
    assert told.status_code == 415
    assert world.contract.n_answered == 0


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8", 'application/json; charset="utf-8"']
)
def test_json_is_known_however_it_is_declared(world, kind):
    assert world.ask("POST", ASK, content=json.dumps(ROW).encode(), headers={"content-type": kind}).status_code == 200


def test_an_unknown_contract_and_an_unknown_path_are_404(world):
    told = world.post("/v1/contracts/nope/predictions", ROW)
    assert (told.status_code, told.json()["expected"]) == (404, "flights")
    for path in (
        "/",
        "/nope",
        "/v1/contracts/flights/predictions/",
        "/v1//contracts",
        "/v1/contracts/%2e%2e/predictions",
        "/" + "a" * 3000,
    ):
        assert world.ask("GET", path).status_code in (404, 405)


def test_another_method_is_405_with_those_that_are_allowed(world):
    told = world.ask("DELETE", ASK)
    assert (told.status_code, told.headers["allow"]) == (405, "OPTIONS, POST")
    told = world.ask("OPTIONS", "/livez")
    assert (told.status_code, told.headers["allow"], told.content) == (204, "GET, HEAD, OPTIONS", b"")


def test_head_is_get_without_its_body(world):
    told, whole = world.ask("HEAD", "/v1/contracts/flights"), world.ask("GET", "/v1/contracts/flights")
    assert (told.status_code, told.content) == (200, b"")
    assert told.headers["content-length"] == whole.headers["content-length"]


def test_a_failure_that_nobody_foresaw_is_500_tells_nothing_of_the_inside_and_is_logged(world):
    told = world.post("/v1/releases/abc", {"do": "break"})
    assert (told.status_code, told.json()["code"]) == (500, "GNG-0000")
    assert "inside" not in told.text
    (line,) = map(json.loads, world.lines)
    assert (line["status"], line["path"]) == (500, "/v1/releases/abc")
    assert "KeyError" in line["trace"]
    assert world.post(ASK, ROW).status_code == 200


def test_a_usual_answer_writes_no_line(world):
    world.post(ASK, ROW)
    world.post(ASK, {})
    assert world.lines == []


@pytest.mark.parametrize(("do", "status", "code"), [("refuse", 409, "GNG-O001"), ("wait", 504, "GNG-O003"), ("busy", 503, "GNG-L001")])
def test_errors_of_what_is_mounted_become_their_status(world, do, status, code):
    told = world.post("/v1/releases/abc", {"do": do})
    assert (told.status_code, told.json()["code"]) == (status, code)


def test_what_is_mounted_gets_its_request_read(world):
    told = world.ask("POST", "/v1/releases/sha256:ab?why=a%20b", json={"a": [1]})
    assert told.status_code == 201
    assert told.json() == {"by": "local", "parts": {"digest": "sha256:ab"}, "query": {"why": "a b"}, "body": {"a": [1]}}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"[]", 422),
        (b'{"a": NaN}', 400),
        (b'{"a": 1, "a": 2}', 400),
        (b'{"a": 1e999}', 400),
        (b'{"a":' * 17 + b"1" + b"}" * 17, 413),
    ],
)
def test_what_is_mounted_is_kept_from_odd_bodies(world, body, status):
    assert world.ask("POST", "/v1/releases/abc", content=body, headers={"content-type": "application/json"}).status_code == status


def test_events_are_taken_one_by_one(world):
    told = world.post("/v1/contracts/flights/events", {"source": "landings", "rows": [{"tail": "N1", "delay": 3}, {"tail": 3}]})
    assert (told.status_code, told.json()["taken"], told.json()["refused"][0]["row"]) == (200, 1, 1)
    assert world.contract.taken == [("landings", {"tail": "N1", "delay": 3.0}, "local")]
    assert world.post("/v1/contracts/flights/events", {"source": "nope", "rows": [{}]}).status_code == 404
    assert world.post("/v1/contracts/flights/events", {"rows": [{}]}).status_code == 422
    assert world.post("/v1/contracts/flights/events", {"source": "landings", "rows": [3, 4]}).status_code == 422


def test_outcomes_are_taken_one_or_many(world):
    late = {"flight": "UA1", "y": 1, "known_at": "2026-03-01T19:30:00Z"}
    assert world.post("/v1/contracts/flights/outcomes", late).json() == {"taken": 1, "refused": []}
    assert world.post("/v1/contracts/flights/outcomes", {"rows": [late, {**late, "y": None}]}).json()["taken"] == 1
    assert world.post("/v1/contracts/flights/outcomes", {**late, "y": "x"}).status_code == 422
    assert len(world.contract.taken) == 2


def test_a_job_is_submitted_polled_and_fetched(world):
    told = world.post("/v1/jobs", {"contract": "flights", "rows": [ROW]})
    assert (told.status_code, told.headers["location"]) == (202, "/v1/jobs/job-0")
    assert world.ask("GET", "/v1/jobs/job-0").json()["status"] == "done"
    assert world.ask("GET", "/v1/jobs/job-0/result").json() == [ROW]
    for missing in ("job-9", "..", "%2e%2e%2fkeys.json", "a" * 200):
        assert world.ask("GET", f"/v1/jobs/{missing}/result").status_code == 404
    assert world.post("/v1/jobs", {"contract": "flights", "rows": [ROW, {"hour": 1}]}).json()["where"] == "rows[1].flight"


def test_a_job_that_is_not_done_has_no_result_yet(world):
    world.post("/v1/jobs", {"contract": "flights", "rows": [ROW]})
    world.app.service.jobs.records["job-0"]["status"] = "running"
    assert world.ask("GET", "/v1/jobs/job-0/result").status_code == 409


def test_a_full_queue_of_jobs_is_429(world):
    told = [world.post("/v1/jobs", {"contract": "flights", "rows": [ROW]}) for _ in range(4)]
    assert [each.status_code for each in told] == [202, 202, 202, 429]
    assert "retry-after" in told[3].headers


def test_a_job_of_somebody_else_is_not_there(world):
    world.post("/v1/jobs", {"contract": "flights", "rows": [ROW]})
    world.app.service.jobs.records["job-0"]["by"] = "key:other"
    assert world.ask("GET", "/v1/jobs/job-0").status_code == 404


def test_a_contract_describes_itself(world):
    told = world.ask("GET", "/v1/contracts/flights").json()
    assert [field["name"] for field in told["fields"]] == list(ROW)
    assert (told["position"]["champion"], told["position"]["share"]) == (CHAMPION, 0.05)
    assert world.ask("GET", "/v1/contracts").json()["contracts"] == [told]


@pytest.mark.parametrize("path", ["/readyz", "/healthz", "/health", "/ping", "/v2/health/ready"])
def test_readiness_follows_the_contracts_and_the_drain(world, path):
    assert world.ask("GET", path).status_code == 200
    world.contract.why_not_ready = "not loaded"
    assert world.ask("GET", path).status_code == 503
    assert world.ask("GET", "/livez").status_code == world.ask("GET", "/v2/health/live").status_code == 200


def test_while_it_drains_it_answers_what_comes_and_closes(world):
    world.app.drain()
    assert world.ask("GET", "/readyz").status_code == 503
    told = world.post(ASK, ROW)
    assert (told.status_code, told.headers["connection"]) == (200, "close")


def test_beyond_the_concurrency_limit_it_is_503_but_health_still_answers(world):
    world.app.settings = replace(world.app.settings, max_in_flight=1)
    world.app.in_flight = 1
    told = world.post(ASK, ROW)
    assert (told.status_code, told.json()["code"]) == (503, "GNG-H004")
    assert "retry-after" in told.headers
    assert world.ask("GET", "/livez").status_code == 200
    world.app.in_flight = 0


def test_a_challenger_with_new_fields_is_asked_at_once(world):
    world.post(ASK, ROW)
    world.contract.fields = tuple(field for field in world.contract.fields if field.name != "hour")
    assert world.post(ASK, ROW).json()["where"] == "hour"


def test_contracts_that_come_and_go_are_followed(world):
    world.app.service.contracts = {"trains": FakeContract(name="trains")}
    assert world.post(ASK, ROW).status_code == 404
    assert world.post("/v1/contracts/trains/predictions", ROW).status_code == 200


# --- other protocols


def tensors(**changed: object) -> dict[str, object]:
    held = {
        "flight": tensor("flight", "BYTES", "a", "b"),
        "distance": tensor("distance", "FP32", 500.0, 250, shape=[2, 1]),
        "decided_at": tensor("decided_at", "BYTES", ROW["decided_at"], ROW["decided_at"]),
    }
    return {"inputs": list({**held, **changed}.values())}


def test_tensors_are_answered_as_tensors_and_the_id_is_echoed(world):
    told = world.post("/v2/models/flights/infer", {"id": "7", **tensors()}).json()
    assert told == {
        "id": "7",
        "model_name": "flights",
        "model_version": CHAMPION,
        "outputs": [{"name": "p", "shape": [2], "datatype": "FP64", "data": [0.5, 0.25]}],
    }


def test_outputs_may_be_chosen_and_tell_who_answered(world):
    told = world.post("/v2/models/flights/infer", {**tensors(), "outputs": [{"name": "by"}, {"name": "p"}]}).json()
    assert [out["name"] for out in told["outputs"]] == ["by", "p"]
    assert told["outputs"][0]["data"] == ["model", "model"]
    assert world.post("/v2/models/flights/infer", {**tensors(), "outputs": [{"name": "q"}]}).status_code == 422


@pytest.mark.parametrize(
    "more",
    [
        {"outputs": [{"name": "q"}]},
        {"outputs": [{"name": "p"}, {"name": "p"}]},
        {"outputs": [{"name": 3}]},
        {"outputs": [{"name": "p", "parameter": {}}]},
        {"outputs": [{"name": ["p"]}]},
        {"outputs": ["p"]},
        {"outputs": [{"name": "p", "parameters": {"binary_data": True}}]},
        {"outputs": [{"name": "p", "parameters": {"classification": 3}}]},
        {"outputs": [{"name": "p", "parameters": 3}]},
        {"parameters": {"binary_data_output": True}},
    ],
)
def test_outputs_that_cannot_be_told_are_refused_before_anything_is_scored(world, more):
    assert world.post("/v2/models/flights/infer", {**tensors(), **more}).status_code == 422
    assert world.contract.n_answered == 0


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("/invocations", {"params": {"temperature": 1}}),
        ("/invocations", {"parameters": {"temperature": 1}}),
        ("/v1/models/flights:predict", {"parameters": {"temperature": 1}}),
        ("/v1/models/flights:predict", {"outputs": ["p"]}),
    ],
)
def test_parameters_that_no_contract_has_are_refused_before_anything_is_scored(world, path, more):
    assert world.post(path, {"instances": [ROW], **more}).status_code == 422
    assert world.contract.n_answered == 0


def test_one_tensor_of_all_fields_is_read_in_their_order(world):
    numbers = FakeContract(
        fields=tuple(replace(field, name=name, type="number") for field, name in zip(FakeContract().fields[:3], "abc", strict=True))
    )
    world.app.service.contracts = {"flights": numbers}
    told = world.post("/v2/models/flights/infer", {"inputs": [tensor("predict", "FP32", 0.0, 500.0, 1.0, 0.0, 100.0, 1.0, shape=[2, 3])]})
    assert told.json()["outputs"][0]["data"] == [0.5, 0.1]
    nested = {"name": "predict", "shape": [1, 3], "datatype": "FP64", "data": [[0, 500, None]]}
    assert world.post("/v2/models/flights/infer", {"inputs": [nested]}).json()["outputs"][0]["data"] == [0.5]


@pytest.mark.parametrize(
    "changed",
    [
        {"inputs": []},
        {"inputs": 3},
        {"inputs": [3]},
        {"id": 3, **tensors()},
        tensors(flight=tensor("flight", "BYTES", "a")),
        tensors(flight=tensor("flight", "BYTES", "a", "b", shape=[3])),
        tensors(flight=tensor("flight", "BYTES", "a", "b", shape=[0])),
        tensors(flight=tensor("flight", "BYTES", "a", "b", shape=[1, 1, 2])),
        tensors(flight=tensor("flight", "COMPLEX", "a", "b")),
        tensors(flight=tensor("flight", "FP32", "a", "b")),
        tensors(more=tensor("flight", "BYTES", "a", "b")),
        tensors(more=tensor("fligt", "BYTES", "a", "b")),
        tensors(distance=tensor("distance", "FP32", 1.0, None)),
        tensors(hour=tensor("hour", "FP32", 1.5, 2.0)),
        tensors(flight={**tensor("flight", "BYTES", "a", "b"), "parameters": {"binary_data_size": 3}}),
        tensors(flight={**tensor("flight", "BYTES", "a", "b"), "shapes": [2]}),
        {**tensors(), "output": [{"name": "by"}]},
        {"dataframe": 1},
        {"outptus": [{"name": "by"}], **tensors()},
        tensors(flight={**tensor("flight", "BYTES", "a", "b"), "dtype": "BYTES"}),
    ],
)
def test_tensors_that_cannot_be_read_are_an_error_of_the_protocol(world, changed):
    told = world.post("/v2/models/flights/infer", changed)
    assert told.status_code == 422
    assert told.json()["error"].startswith("GNG-H001")
    assert world.contract.n_answered == 0


def test_the_protocol_describes_the_contract_as_a_model(world):
    told = world.ask("GET", "/v2/models/flights").json()
    assert told["versions"] == [CHAMPION, CHALLENGER]
    assert {"name": "distance", "datatype": "FP64", "shape": [-1]} in told["inputs"]
    assert world.ask("GET", "/v2").json()["name"] == "gonogo"
    assert world.ask("GET", "/v2/models/flights/ready").json() == {"name": "flights", "ready": True}
    assert world.ask("GET", f"/v2/models/flights/versions/{CHALLENGER}/ready").status_code == 200
    assert world.ask("GET", "/v2/models/flights/versions/7/ready").status_code == 404
    assert world.ask("GET", "/v2/models/nope").json()["error"].startswith("GNG-H005")


def test_one_version_answers_only_where_it_answers_everybody(world):
    one = {"inputs": [tensor("flight", "BYTES", "a"), tensor("distance", "FP32", 500.0), tensor("decided_at", "BYTES", ROW["decided_at"])]}
    assert world.post(f"/v2/models/flights/versions/{CHAMPION}/infer", one).status_code == 409
    world.contract.at = replace(world.contract.at, share=0.0)
    assert world.post(f"/v2/models/flights/versions/{CHAMPION}/infer", one).status_code == 200
    assert world.post(f"/v2/models/flights/versions/{CHALLENGER}/infer", one).status_code == 409


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": list(ROW), "data": [list(ROW.values())] * 2}},
        {"dataframe_split": {"columns": list(ROW)[::-1], "data": [list(ROW.values())[::-1]] * 2, "index": [0, 1]}},
        {"dataframe_records": [ROW, ROW]},
        {"instances": [ROW, list(ROW.values())]},
        {"inputs": {name: [value, value] for name, value in ROW.items()}},
        {"inputs": [ROW, ROW], "params": {}},
    ],
)
def test_every_form_of_an_invocation_is_read(world, body):
    told = world.post("/invocations", body)
    assert (told.status_code, told.json()) == (200, {"predictions": [0.5, 0.5]})


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"instances": []},
        {"instances": 3},
        {"instances": [3]},
        {"instances": [ROW], "inputs": [ROW]},
        {"dataframe_split": {"columns": ["flight", "flight"], "data": [[1, 2]]}},
        {"dataframe_split": {"columns": ["flight"], "data": [[1, 2]]}},
        {"dataframe_split": [ROW]},
        {"inputs": {"flight": ["a", "b"], "distance": [1]}},
        {"inputs": {}},
        {"instances": [ROW], "params": {"temperature": 1}},
        {"instances": [[1, 2]]},
    ],
)
def test_an_invocation_that_cannot_be_read_is_refused_as_mlflow_does(world, body):
    told = world.post("/invocations", body)
    assert (told.status_code, told.json()["error_code"]) == (422, "INVALID_PARAMETER_VALUE")
    assert told.json()["code"] == "GNG-H001"


def test_two_outputs_are_an_object_per_row(world):
    world.contract.outputs = ("p", "q")
    assert world.post("/invocations", {"instances": [ROW]}).json() == {"predictions": [{"p": 0.5}]}


def test_instances_are_answered_under_the_model_of_kserve(world):
    assert world.post("/v1/models/flights:predict", {"instances": [ROW]}).json() == {"predictions": [0.5]}
    assert world.ask("GET", "/v1/models").json() == {"models": ["flights"]}
    assert world.ask("GET", "/v1/models/flights").json()["ready"] is True


def test_an_invocation_needs_exactly_one_contract(world):
    world.app.service.contracts = {"a": FakeContract(name="a"), "b": FakeContract(name="b")}
    assert world.post("/invocations", {"instances": [ROW]}).status_code == 404


def test_vertex_ai_names_two_paths_of_its_own():
    app = App(FakeService(), settings=Settings(health_path="/up", predict_path="/ask"))

    async def once() -> tuple[int, dict[str, object]]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return (await client.get("/up")).status_code, (await client.post("/ask", json={"instances": [ROW]})).json()

    assert asyncio.run(once()) == (200, {"predictions": [0.5]})


def test_a_limit_that_lets_nothing_through_is_refused():
    with pytest.raises(UsageError):
        Settings(max_batch_rows=0)


def test_a_job_of_many_megabytes_is_kept_nowhere_but_on_disk_while_it_comes(tmp_path):
    """Its body is never whole in memory before it is read, one at a time."""
    spooled: list[int] = []
    jobs = FakeJobs(tmp_path)
    app = App(FakeService(jobs=jobs), settings=Settings(max_job_bytes=4 << 20, max_job_rows=100))
    pieces = [b'{"contract":"flights","rows":[' + b" " * 1000] + [b" " * (64 << 10)] * 40 + [msgspec.json.encode(ROW) + b"]}"]

    async def once() -> httpx.Response:
        async def body():
            for piece in pieces:
                yield piece

        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return await client.post("/v1/jobs", content=body(), headers={"content-type": "application/json"})

    write = FakeSpool.write
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FakeSpool, "write", lambda self, piece: (spooled.append(len(piece)), write(self, piece)))
        told = asyncio.run(once())
    assert told.status_code == 202
    assert sum(spooled) == sum(map(len, pieces))
    assert max(spooled) < 512 << 10


@pytest.mark.parametrize("declared", [True, False])
def test_a_job_that_is_too_long_is_413_whether_it_says_its_length_or_not(tmp_path, declared):
    app = App(FakeService(jobs=FakeJobs(tmp_path)), settings=Settings(max_job_bytes=100_000))

    async def once() -> httpx.Response:
        async def body():
            for _ in range(3):
                yield b" " * 50_000

        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            content = b" " * 150_000 if declared else body()
            return await client.post("/v1/jobs", content=content, headers={"content-type": "application/json"})

    told = asyncio.run(once())
    assert (told.status_code, told.json()["where"]) == (413, "body")


def test_a_job_of_too_many_rows_is_refused_before_they_are_read(tmp_path):
    app = App(FakeService(jobs=FakeJobs(tmp_path)), settings=Settings(max_job_rows=10))

    async def once() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return await client.post("/v1/jobs", json={"contract": "flights", "rows": [{}] * 20})

    told = asyncio.run(once())
    assert (told.status_code, told.json()["where"]) == (413, "rows")


def test_no_room_for_a_jobs_body_is_429_with_a_time_to_come_back(tmp_path):
    """Bodies on their way count: whoever comes next is refused before a byte of theirs is kept."""
    folder = tmp_path / "jobs"
    jobs = Jobs(folder, lambda: None, most_bytes=150_000)
    app = App(FakeService(jobs=jobs), settings=Settings(max_job_bytes=100_000))

    async def once(content) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return await client.post("/v1/jobs", content=content, headers={"content-type": "application/json"})

    async def both() -> tuple[httpx.Response, httpx.Response]:
        let_go = asyncio.Event()

        async def slow():
            yield b'{"contract":"flights","rows":['
            await let_go.wait()
            yield msgspec.json.encode(ROW) + b"]}"

        first = asyncio.create_task(once(slow()))
        while not list(folder.glob(".incoming-*")):
            await asyncio.sleep(0.005)
        refused = await once(b" " * 80_000)
        let_go.set()
        return refused, await first

    refused, taken = asyncio.run(both())
    assert (refused.status_code, refused.json()["where"], refused.headers["retry-after"]) == (429, "jobs", "1")
    assert taken.status_code == 202
    assert not list(folder.glob(".incoming-*"))
