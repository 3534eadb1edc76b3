"""Which paths are there, and what does each of them do?

The table is the reference: OpenAPI, metrics and the router read it. Health is for anybody; everything else is for whoever is known.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gonogo.serving import dialects
from gonogo.serving.access import ANY
from gonogo.serving.desk import Desk
from gonogo.serving.metrics import CONTENT_TYPE, ENDPOINTS, exposition
from gonogo.serving.questions import strict_json
from gonogo.serving.responses import TEXT, Refusal, Reply, bytes_reply, encode, error_reply, json_reply
from gonogo.serving.service import Jobs, Request, Route, Served, Spool
from gonogo.types.errors import GonogoError, NothingThere, RequestRefused, TooMuch

if TYPE_CHECKING:
    from gonogo.serving.app import Answered, App, Call, Endpoint

_FILE_TYPES = {
    ".parquet": "application/vnd.apache.parquet", ".json": "application/json", ".jsonl": "application/x-ndjson", ".csv": "text/csv",
}  # fmt: skip
_JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Path:
    """One line of the table."""

    method: str
    path: str
    kind: str  # of metrics.ENDPOINTS
    scope: str
    run: Callable[[App, Call], Answered | Awaitable[Answered]]
    summary: str
    form: str = ""  # which body it takes, and which answer it gives: a name that openapi.py knows
    tell: Callable[[GonogoError], Reply] = error_reply
    is_job: bool = False
    statuses: tuple[int, ...] = (200,)


def table(app: App) -> list[tuple[re.Pattern[str], Mapping[str, Endpoint]]]:
    """Pattern → method → endpoint, of this module's paths, the settings' two and the service's own."""
    by_path: dict[str, dict[str, Endpoint]] = {}
    for line in paths(app):
        by_path.setdefault(line.path, {})[line.method] = _endpoint(app, line)
    for route in app.service.routes:
        if route.method in by_path.get(route.path, {}):
            raise ValueError(f"{route.method} {route.path} is mounted twice")
        by_path.setdefault(route.path, {})[route.method] = _mounted(app, route)
    from gonogo.serving.app import pattern_of

    # What says more comes first: "/v1/models/{name}:predict" is no model of that name.
    ordered = sorted(by_path, key=lambda path: -len(re.sub(r"\{\w+\}", "", path)))
    return [(pattern_of(path), by_path[path]) for path in ordered]


def paths(app: App) -> tuple[Path, ...]:
    """The table with the two paths that a platform may name beside it."""
    more: list[Path] = []
    taken = {line.path for line in PATHS}
    if app.settings.health_path and app.settings.health_path not in taken:
        more.append(Path(method="GET", path=app.settings.health_path, kind="health", scope="", run=_ready, summary=_READY, form="health"))
    if app.settings.predict_path and app.settings.predict_path not in taken:
        more.append(
            Path(
                method="POST", path=app.settings.predict_path, kind="invocations", scope="predict", run=_instances_of_only,
                summary="Predictions, as Vertex AI asks for them", form="instances", tell=dialects.invocation_error,
            )
        )  # fmt: skip
    return (*PATHS, *more)


def _endpoint(app: App, line: Path) -> Endpoint:
    from gonogo.serving.app import Endpoint

    run = line.run
    most_bytes = 0
    if line.method == "POST":
        most_bytes = app.settings.max_job_bytes if line.is_job else app.settings.max_body_bytes
    return Endpoint(
        kind=ENDPOINTS.index(line.kind), scope=line.scope, run=lambda call: run(app, call), most_bytes=most_bytes, in_pieces=line.is_job,
        predicts=run is _predict, tell=line.tell,
    )  # fmt: skip


def _mounted(app: App, route: Route) -> Endpoint:
    from gonogo.serving.app import Endpoint

    async def run(call: Call) -> Reply:
        body = strict_json(call.body, most_deep=app.settings.max_depth) if call.body else None
        if body is None and route.body is not None and route.method == "POST":
            raise RequestRefused("the body is empty", found="nothing", expected="a JSON object", where="body", next="GET /openapi.json")
        if body is not None and not isinstance(body, dict):
            raise RequestRefused(
                "the body is a JSON object", found=type(body).__name__, expected="{…}", where="body", next="GET /openapi.json"
            )
        request = Request(method=route.method, path=call.path, parts=call.parts, query=call.query, body=body, who=call.who)
        response = await route.answer(request)
        data = response.body if isinstance(response.body, bytes) else encode(response.body)
        headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.headers.items()]
        return bytes_reply(data, response.status, content_type=(b"content-type", response.content_type.encode()), headers=headers)

    most_bytes = app.settings.max_body_bytes if route.method == "POST" else 0
    return Endpoint(kind=ENDPOINTS.index("mounted"), scope=route.scope, run=run, most_bytes=most_bytes)


# --- this project's own


def _predict(app: App, call: Call) -> Answered | Awaitable[Answered]:
    return app.desk(call.parts["name"]).predict(call.body, call.who, call.began_ns)


def _events(app: App, call: Call) -> Reply:
    desk = app.desk(call.parts["name"])
    body = strict_json(call.body, most_deep=app.settings.max_depth)
    if not isinstance(body, dict) or set(body) != {"source", "rows"} or not isinstance(body["source"], str):
        raise _shape(body, '{"source": NAME, "rows": [event, …]}')
    _check_rows(app, body["rows"])
    return desk.events(body["source"], body["rows"], call.who, call.began_ns)


def _outcomes(app: App, call: Call) -> Reply:
    return app.desk(call.parts["name"]).outcomes(call.body, call.who, call.began_ns)


def _contracts(app: App, call: Call) -> Reply:
    return json_reply({"contracts": [_described(served) for served in app.service.contracts.values()]})


def _contract(app: App, call: Call) -> Reply:
    return json_reply(_described(app.desk(call.parts["name"]).served))


def _described(served: Served) -> dict[str, Any]:
    position = served.position()
    return {
        "name": served.name,
        "question": served.question,
        "fields": [{"name": each.name, "type": each.type, "needed": each.needed} for each in served.fields],
        "outputs": list(served.outputs),
        "events": {
            source: [{"name": each.name, "type": each.type, "needed": each.needed} for each in fields]
            for source, fields in served.events.items()
        },
        "outcomes": [{"name": each.name, "type": each.type, "needed": each.needed} for each in served.outcomes],
        "not_ready": served.not_ready(),
        "position": {
            "phase": position.phase,
            "champion": position.champion,
            "challenger": position.challenger,
            "share": position.share,
            "rollout": position.rollout,
            "note": position.note,
        },
    }


async def _submit(app: App, call: Call) -> Reply:
    jobs = _jobs(app)
    with contextlib.ExitStack() as stack:
        try:
            room = jobs.spool(call.incoming.most_bytes if call.incoming is not None else len(call.body))
            spool = await asyncio.to_thread(stack.enter_context, room)
            if call.incoming is not None:
                await call.incoming.read_to(spool.write)
            else:
                spool.write(call.body)
            async with app.reads_job:
                # In a thread: the interpreter goes on answering others between two rows of a job of many megabytes.
                contract, n_rows = await asyncio.to_thread(_read_job, app, spool)
            record = await asyncio.to_thread(jobs.submit, spool, contract=contract, n_rows=n_rows, by=call.who)
        except TooMuch as full:
            if full.where != "jobs":
                raise
            raise Refusal(429, full) from full
    return json_reply(record, 202, headers=[(b"location", f"/v1/jobs/{record['id']}".encode())])


def _read_job(app: App, spool: Spool) -> tuple[str, int]:
    """Contract and number of rows. A job is refused as a whole, now: nobody waits an hour for the word that row 7 was wrong."""
    spool.end()
    data = spool.read()
    if data.count(b"{") + data.count(b"[") > app.settings.max_job_rows + 2:  # an object of no bytes worth speaking of is 64 in memory
        raise TooMuch(
            "too many rows in one job", found=f"more than {app.settings.max_job_rows:,}", expected=f"at most {app.settings.max_job_rows:,}",
            where="rows", next="send less at a time",
        )  # fmt: skip
    body = strict_json(data)
    if not isinstance(body, dict) or set(body) != {"contract", "rows"} or not isinstance(body["contract"], str):
        raise _shape(body, '{"contract": NAME, "rows": [row, …]}')
    if not isinstance(body["rows"], list) or not body["rows"]:
        raise _shape(body["rows"], "rows: a list of at least one row")
    decoder = app.desk(body["contract"]).decoder
    for i, row in enumerate(body["rows"]):
        decoder.row(row, f"rows[{i}]")
    return body["contract"], len(body["rows"])


def _job(app: App, call: Call) -> Reply:
    return json_reply(_own_job(app, call))


def _result(app: App, call: Call) -> Answered:
    from gonogo.serving.app import FileReply

    record = _own_job(app, call)
    if record["status"] != "done":
        refused = NothingThere(
            f"the job is {record['status']}: there is no result",
            found=str(record["status"]),
            expected="done",
            where="path",
            next=f"GET /v1/jobs/{call.parts['id']} says how it stands",
        )
        raise Refusal(409, refused)
    path = _jobs(app).result(call.parts["id"])
    return FileReply(path, _FILE_TYPES.get(path.suffix, "application/octet-stream"))


def _own_job(app: App, call: Call) -> Mapping[str, Any]:
    """The record, for whoever submitted it: to others it is not there."""
    identity = call.parts["id"]
    missing = NothingThere("there is no such job", found=identity[:60], expected="an id that POST /v1/jobs gave", where="path")
    if not _JOB_ID.fullmatch(identity):  # it may become a file's name
        raise missing
    record: Mapping[str, Any] = _jobs(app).get(identity)
    if record.get("by", call.who) != call.who:
        raise missing
    return record


def _jobs(app: App) -> Jobs:
    if app.service.jobs is None:
        raise NothingThere("this server takes no jobs", expected="a server that was started with them", where="path")
    return app.service.jobs


# --- health and the like


def _live(app: App, call: Call) -> Reply:
    return json_reply({"live": True})


def _ready(app: App, call: Call) -> Reply:
    why = app.not_ready()
    return json_reply({"ready": not why, "why": why}, 503 if why else 200)


def _metrics(app: App, call: Call) -> Reply:
    text = exposition(app.counters_folder, app.counters, app.service.samples())
    return bytes_reply(text, content_type=(b"content-type", CONTENT_TYPE))


def _openapi(app: App, call: Call) -> Reply:
    from gonogo.serving.openapi import document

    return bytes_reply(document(app))


def _version(app: App, call: Call) -> Reply:
    return bytes_reply(version().encode(), content_type=TEXT)


def version() -> str:
    """The version of this gonogo."""
    from importlib.metadata import version as of

    return of("gonogo")


# --- Open Inference Protocol v2


def _server(app: App, call: Call) -> Reply:
    return json_reply({"name": "gonogo", "version": version(), "extensions": []})


def _model(app: App, call: Call) -> Reply:
    served = app.desk(call.parts["name"]).served
    _check_version(served, call)
    versions = [each for each in (served.position().champion, served.position().challenger) if each]
    return json_reply(dialects.model_metadata(served.name, versions, served.fields, served.outputs))


def _model_ready(app: App, call: Call) -> Reply:
    served = app.desk(call.parts["name"]).served
    _check_version(served, call)
    ready = not served.not_ready() and not app.draining
    return json_reply({"name": served.name, "ready": ready}, 200 if ready else 503)


async def _infer(app: App, call: Call) -> Reply:
    desk = app.desk(call.parts["name"])
    version = _check_version(desk.served, call)
    position = desk.served.position()
    if version and not _answers_all(position.champion, position.challenger, position.share, version):
        refused = RequestRefused(
            "one version cannot be asked alone while the rollout decides who answers",
            found=version,
            expected="no version in the path",
            where="path",
            next=f"POST /v2/models/{call.parts['name']}/infer",
        )
        raise Refusal(409, refused)
    rows, request = dialects.read_tensors(desk.decoder, call.body, most_rows=app.settings.max_batch_rows)
    outputs = desk.served.outputs
    wanted = dialects.outputs_of(request, outputs)
    answers = await desk.ask(rows, call.who, call.began_ns)
    body = dialects.write_tensors(request, desk.served.name, position.champion, outputs, wanted, answers)
    return json_reply(body, headers=desk.headers(answers))


def _answers_all(champion: str, challenger: str, share: float, version: str) -> bool:
    return version == (challenger if share >= 1 else champion) and share in (0, 1)


def _check_version(served: Served, call: Call) -> str:
    """The candidate that the path names, whole or by its beginning; "" where it names none. Raises NothingThere."""
    asked = call.parts.get("version", "")
    if not asked:
        return ""
    position = served.position()
    known = [each for each in (position.champion, position.challenger) if each]
    found = [each for each in known if each == asked or (len(asked) >= 7 and each.removeprefix("sha256:").startswith(asked))]
    if not found:
        raise NothingThere("there is no such version here", found=asked[:80], expected=", ".join(known) or "none is loaded", where="path")
    return found[0]


# --- MLflow, SageMaker, KServe v1, Vertex AI


async def _invocations(app: App, call: Call) -> Reply:
    desk = app.only_desk()
    rows = dialects.read_invocation(desk.decoder, call.body, most_rows=app.settings.max_batch_rows)
    return await _predictions(desk, rows, call)


async def _instances(app: App, call: Call) -> Reply:
    desk = app.desk(call.parts["name"])
    return await _predictions(desk, dialects.read_instances(desk.decoder, call.body, most_rows=app.settings.max_batch_rows), call)


async def _instances_of_only(app: App, call: Call) -> Reply:
    desk = app.only_desk()
    return await _predictions(desk, dialects.read_instances(desk.decoder, call.body, most_rows=app.settings.max_batch_rows), call)


async def _predictions(desk: Desk, rows: list[Any], call: Call) -> Reply:
    answers = await desk.ask(rows, call.who, call.began_ns)
    return json_reply(dialects.write_predictions(desk.served.outputs, answers), headers=desk.headers(answers))


def _models(app: App, call: Call) -> Reply:
    return json_reply({"models": list(app.service.contracts)})


def _v1_model(app: App, call: Call) -> Reply:
    served = app.desk(call.parts["name"]).served
    ready = not served.not_ready() and not app.draining
    return json_reply({"name": served.name, "ready": ready}, 200 if ready else 503)


def _check_rows(app: App, rows: Any) -> None:
    if not isinstance(rows, list) or not rows:
        raise _shape(rows, "rows: a list of at least one row")
    if len(rows) > app.settings.max_batch_rows:
        raise TooMuch(
            f"{len(rows):,} rows in one request", found=f"{len(rows):,}", expected=f"at most {app.settings.max_batch_rows:,}", where="rows",
            next="send less at a time",
        )  # fmt: skip


def _shape(found: Any, expected: str) -> RequestRefused:
    shown = ", ".join(list(found)[:10]) if isinstance(found, dict) else type(found).__name__
    return RequestRefused("the body is of another shape", found=shown[:100], expected=expected, where="body", next="GET /openapi.json")


_READY = "Whether this server should be sent requests"
_MLFLOW = dialects.invocation_error
_V2 = dialects.tensor_error

PATHS: tuple[Path, ...] = (
    Path(method="POST", path="/v1/contracts/{name}/predictions", kind="predictions", scope="predict", run=_predict, form="predictions",
         summary="The answer to one row, or to each of many", statuses=(200, 503)),
    Path(method="POST", path="/v1/contracts/{name}/events", kind="events", scope="outcomes", run=_events, form="events",
         summary="Events for the features that are computed online"),
    Path(method="POST", path="/v1/contracts/{name}/outcomes", kind="outcomes", scope="outcomes", run=_outcomes, form="outcomes",
         summary="What came true, of rows that were or will be predicted", statuses=(200, 409)),
    Path(method="GET", path="/v1/contracts", kind="describe", scope=ANY, run=_contracts, form="contracts",
         summary="The contracts that are served here"),
    Path(method="GET", path="/v1/contracts/{name}", kind="describe", scope=ANY, run=_contract, form="contract",
         summary="What a contract asks for, and who answers now"),
    Path(method="POST", path="/v1/jobs", kind="jobs", scope="predict", run=_submit, form="job",
         summary="Rows to score later", is_job=True, statuses=(202,)),
    Path(method="GET", path="/v1/jobs/{id}", kind="jobs", scope="predict", run=_job, form="job_record",
         summary="How a job stands"),
    Path(method="GET", path="/v1/jobs/{id}/result", kind="jobs", scope="predict", run=_result, form="file",
         summary="The answers of a job that is done", statuses=(200, 409)),
    Path(method="GET", path="/livez", kind="health", scope="", run=_live, form="health",
         summary="Whether this process lives"),
    Path(method="GET", path="/readyz", kind="health", scope="", run=_ready, form="health",
         summary=_READY, statuses=(200, 503)),
    Path(method="GET", path="/healthz", kind="health", scope="", run=_ready, form="health",
         summary=_READY, statuses=(200, 503)),
    Path(method="GET", path="/health", kind="health", scope="", run=_ready, form="health",
         summary=_READY + ", as MLflow asks", statuses=(200, 503)),
    Path(method="GET", path="/ping", kind="health", scope="", run=_ready, form="health",
         summary=_READY + ", as SageMaker asks", statuses=(200, 503)),
    Path(method="GET", path="/version", kind="describe", scope=ANY, run=_version, form="text",
         summary="The version of this gonogo"),
    Path(method="GET", path="/metrics", kind="metrics", scope=ANY, run=_metrics, form="text",
         summary="Counts of all workers, for Prometheus"),
    Path(method="GET", path="/openapi.json", kind="openapi", scope=ANY, run=_openapi, form="any",
         summary="This document"),
    Path(method="GET", path="/v2", kind="describe", scope=ANY, run=_server, form="any",
         summary="This server, as the Open Inference Protocol describes it", tell=_V2),
    Path(method="GET", path="/v2/health/live", kind="health", scope="", run=_live, form="health",
         summary="Whether this process lives", tell=_V2),
    Path(method="GET", path="/v2/health/ready", kind="health", scope="", run=_ready, form="health",
         summary=_READY, tell=_V2, statuses=(200, 503)),
    Path(method="GET", path="/v2/models/{name}", kind="describe", scope=ANY, run=_model, form="any",
         summary="A contract as a model: its inputs and outputs", tell=_V2),
    Path(method="GET", path="/v2/models/{name}/ready", kind="describe", scope=ANY, run=_model_ready, form="health",
         summary="Whether a contract can be answered", tell=_V2, statuses=(200, 503)),
    Path(method="GET", path="/v2/models/{name}/versions/{version}", kind="describe", scope=ANY, run=_model, form="any",
         summary="One candidate of a contract", tell=_V2),
    Path(method="GET", path="/v2/models/{name}/versions/{version}/ready", kind="describe", scope=ANY, run=_model_ready, form="health",
         summary="Whether it can be answered", tell=_V2, statuses=(200, 503)),
    Path(method="POST", path="/v2/models/{name}/infer", kind="infer", scope="predict", run=_infer, form="infer",
         summary="Predictions, as tensors", tell=_V2),
    Path(method="POST", path="/v2/models/{name}/versions/{version}/infer", kind="infer", scope="predict", run=_infer, form="infer",
         summary="Predictions of one candidate, where it answers everybody", tell=_V2, statuses=(200, 409)),
    Path(method="POST", path="/invocations", kind="invocations", scope="predict", run=_invocations, form="invocations",
         summary="Predictions, as MLflow and SageMaker ask for them", tell=_MLFLOW),
    Path(method="GET", path="/v1/models", kind="describe", scope=ANY, run=_models, form="any",
         summary="The contracts, as KServe v1 lists them"),
    Path(method="GET", path="/v1/models/{name}", kind="describe", scope=ANY, run=_v1_model, form="health",
         summary="Whether a contract can be answered, as KServe v1 asks", statuses=(200, 503)),
    Path(method="POST", path="/v1/models/{name}:predict", kind="invocations", scope="predict", run=_instances, form="instances",
         summary="Predictions, as KServe v1, TensorFlow Serving and Vertex AI ask for them", tell=_MLFLOW),
)  # fmt: skip
