"""What does this server promise, as OpenAPI 3.1?

Built from the table of paths, the fields of the contracts and what is mounted, so that it cannot promise what is not there. A test asks
every path of it with what it allows and with what it does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from gonogo.serving.access import ANY
from gonogo.serving.dialects import ABOUT, DATATYPES
from gonogo.serving.endpoints import Path, paths, version
from gonogo.serving.keys import SCOPES
from gonogo.serving.service import Route, Served
from gonogo.types.package import Field

if TYPE_CHECKING:
    from gonogo.serving.app import App

Schema = Mapping[str, Any]

_TYPES: Mapping[str, dict[str, Any]] = {
    "number": {"type": "number"},
    "integer": {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
    "boolean": {"type": "boolean"},
    "text": {"type": "string"},
    "time": {"type": "string", "format": "date-time", "pattern": "^(?!0000|0001|9999)"},
}
_TEXT = {"type": "string"}
_ERROR = {"$ref": "#/components/schemas/Error"}
_COMPONENTS: Mapping[str, Schema] = {
    "Error": {
        "type": "object",
        "description": "What went wrong, for the person who must act; `gonogo explain CODE` says more.",
        "properties": dict.fromkeys(("code", "message", "found", "expected", "where", "next"), _TEXT),
        "required": ["code", "message", "found", "expected", "where", "next"],
    },
    "Answered": {
        "type": "object",
        "description": "One row's answer. `request` joins it to its outcome and to the log.",
        "properties": {
            "answer": {"type": "object"},
            "by": {"enum": ["model", "fallback"]},
            "status": {"enum": ["stale", "erred", "late"], "description": "Why the fallback answered"},
            "why": _TEXT,
            "candidate": _TEXT,
            "arm": {"enum": ["champion", "challenger"]},
            "request": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
        },
        "required": ["answer", "by", "candidate", "arm", "request"],
    },
    "Row": {
        "anyOf": [{"$ref": "#/components/schemas/Answered"}, {"type": "object", "properties": {"error": _ERROR}, "required": ["error"]}]
    },
    "Rows": {
        "type": "object",
        "properties": {"rows": {"type": "array", "items": {"$ref": "#/components/schemas/Row"}}},
        "required": ["rows"],
    },
    "Taken": {
        "type": "object",
        "properties": {
            "taken": {"type": "integer"},
            "refused": {
                "type": "array",
                "items": {"type": "object", "properties": {"row": {"type": "integer"}, "error": _ERROR}, "required": ["row", "error"]},
            },
        },
        "required": ["taken", "refused"],
    },
    "Job": {
        "type": "object",
        "properties": {"id": _TEXT, "status": {"enum": ["queued", "running", "done", "failed"]}},
        "required": ["id", "status"],
    },
    "Contract": {"type": "object", "properties": {"name": _TEXT, "question": _TEXT, "position": {"type": "object"}}, "required": ["name"]},
    "TensorError": {"type": "object", "properties": {"error": _TEXT}, "required": ["error"]},
    "InvocationError": {"type": "object", "properties": {"error_code": _TEXT, "message": _TEXT}, "required": ["error_code", "message"]},
    "Predictions": {"type": "object", "properties": {"predictions": {"type": "array"}}, "required": ["predictions"]},
}
_ALWAYS = (500, 503)
_KNOWN_CALLERS = (401, 403)
_WITH_BODY = (400, 408, 413, 415, 422)


def document(app: App) -> bytes:
    """The document as JSON. Made when it is asked for: a rollout may bring new fields."""
    return msgspec.json.encode(build(app))


def build(app: App) -> dict[str, Any]:
    """The document as a dict."""
    contracts = tuple(app.service.contracts.values())
    made: dict[str, dict[str, Any]] = {}
    for line in paths(app):
        for path, served in _of_contracts(line, contracts):
            made.setdefault(path, {})[line.method.lower()] = _operation(app, line, path, served)
    for route in app.service.routes:
        made.setdefault(route.path, {})[route.method.lower()] = _mounted(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "gonogo",
            "version": version(),
            "summary": "Predictions of released models, and the releases themselves",
            "description": "Errors are records: code, message, found, expected, where, next.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"key": []}, {}],
        "paths": made,
        "components": {
            "schemas": {**_COMPONENTS, **_shapes(contracts)},
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key of `gonogo keys add`, or a token of the OpenID Connect provider. Scopes: "
                    + "; ".join(f"{scope}: {about}" for scope, about in SCOPES.items()),
                }
            },
        },
    }


def row_schema(fields: Iterable[Field]) -> dict[str, Any]:
    """What one row is: every field typed, the needed ones required, no other allowed."""
    listed = tuple(fields)
    return {
        "type": "object",
        "properties": {field.name: _field(field) for field in listed},
        "required": [field.name for field in listed if field.needed],
        "additionalProperties": False,
    }


def _field(field: Field) -> dict[str, Any]:
    return _TYPES[field.type] if field.needed else {"anyOf": [_TYPES[field.type], {"type": "null"}]}


def _shapes(contracts: tuple[Served, ...]) -> dict[str, Any]:
    """The schemas of every contract: its row, its outcome, its events, its tensors."""
    made: dict[str, Any] = {}
    for served in contracts:
        made[f"{served.name}.Row"] = row_schema(served.fields)
        made[f"{served.name}.Outcome"] = row_schema(served.outcomes)
        for source, fields in served.events.items():
            made[f"{served.name}.Event.{source}"] = row_schema(fields)
    return made


def _of_contracts(line: Path, contracts: tuple[Served, ...]) -> list[tuple[str, Served | None]]:
    """A path of contracts once for each: their bodies differ."""
    if "{name}" in line.path:
        return [(line.path.replace("{name}", served.name), served) for served in contracts]
    return [(line.path, contracts[0] if len(contracts) == 1 else None)]


def _operation(app: App, line: Path, path: str, served: Served | None) -> dict[str, Any]:
    made: dict[str, Any] = {"summary": line.summary, "operationId": _operation_id(line.method, path), "responses": _responses(line)}
    body = _body(app, line.form, served)
    if body is not None:
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    if parameters := [name for name in ("id", "version") if "{" + name + "}" in path]:
        made["parameters"] = [{"name": name, "in": "path", "required": True, "schema": _TEXT} for name in parameters]
    if not line.scope:
        made["security"] = []
    else:
        made["description"] = "For whoever is known." if line.scope == ANY else f"Needs the scope `{line.scope}`."
    return made


def _responses(line: Path) -> dict[str, Any]:
    error = {"tensor_error": "TensorError", "invocation_error": "InvocationError"}.get(line.tell.__name__, "Error")
    statuses = {*line.statuses, *_ALWAYS} if line.kind != "health" else {*line.statuses, 500}
    if line.scope:
        statuses |= {*_KNOWN_CALLERS, 429} if line.method == "POST" else {*_KNOWN_CALLERS}
    if line.method == "POST":
        statuses |= {*_WITH_BODY}
    statuses |= {404}
    good = {200, 202}
    told = {status: _response(status, _answer(line.form) if status in good else _error_of(line, status, error)) for status in statuses}
    return {str(status): told[status] for status in sorted(told)}


def _error_of(line: Path, status: int, error: str) -> tuple[str, Schema]:
    """The errors of whole batches are told row by row; those of health in its own words."""
    schema: Schema = {"$ref": f"#/components/schemas/{error}"}
    if line.form == "predictions" and status in (422, 503):
        schema = {"anyOf": [schema, {"$ref": "#/components/schemas/Rows"}]}
    if line.form in ("events", "outcomes") and status == 422:
        schema = {"anyOf": [schema, {"$ref": "#/components/schemas/Taken"}]}
    if line.form == "health" and status == 503:
        schema = {"anyOf": [schema, {"type": "object", "properties": {"ready": {"type": "boolean"}}, "required": ["ready"]}]}
    return "application/json", schema


def _response(status: int, content: tuple[str, Schema]) -> dict[str, Any]:
    made: dict[str, Any] = {"description": HTTPStatus(status).phrase, "content": {content[0]: {"schema": content[1]}}}
    if status in (429, 503):
        made["headers"] = {"Retry-After": {"description": "When to come back, in seconds", "schema": {"type": "integer"}}}
    return made


def _answer(form: str) -> tuple[str, Schema]:
    ref = {"events": "Taken", "outcomes": "Taken", "job": "Job", "job_record": "Job", "contract": "Contract", "instances": "Predictions",
           "invocations": "Predictions"}  # fmt: skip
    if form == "text":
        return "text/plain", _TEXT
    if form == "file":
        return "application/octet-stream", {}
    if form == "predictions":
        return "application/json", {"anyOf": [{"$ref": "#/components/schemas/Answered"}, {"$ref": "#/components/schemas/Rows"}]}
    if form == "contracts":
        return "application/json", {
            "type": "object",
            "properties": {"contracts": {"type": "array", "items": {"$ref": "#/components/schemas/Contract"}}},
            "required": ["contracts"],
        }
    return "application/json", {"$ref": f"#/components/schemas/{ref[form]}"} if form in ref else {"type": "object"}


def _body(app: App, form: str, served: Served | None) -> Schema | None:
    """The schema of what is sent; None where nothing is."""
    if form in ("job",):
        return _job(tuple(app.service.contracts.values()))
    if served is None:
        return {"type": "object"} if form in ("invocations", "instances") else None
    row = {"$ref": f"#/components/schemas/{served.name}.Row"}
    rows = _list(row, app.settings.max_batch_rows)
    outcome = {"$ref": f"#/components/schemas/{served.name}.Outcome"}
    forms: dict[str, Schema] = {
        "predictions": {"oneOf": [row, _only(rows=rows)]},
        "outcomes": {"oneOf": [outcome, _only(rows=_list(outcome, app.settings.max_batch_rows))]},
        "events": _events(served, app.settings.max_batch_rows),
        "infer": _infer(served),
        "invocations": {"oneOf": [_only(dataframe_records=rows), _only(instances=rows), _only(inputs=rows), _split(served)]},
        "instances": _only(instances=rows),
    }
    return forms.get(form)


def _events(served: Served, most: int) -> Schema:
    known = [
        _only(source={"const": source}, rows=_list({"$ref": f"#/components/schemas/{served.name}.Event.{source}"}, most))
        for source in served.events
    ]
    return {"oneOf": known} if known else {"not": {}}


def _job(contracts: tuple[Served, ...]) -> Schema:
    return {
        "oneOf": [
            _only(contract={"const": served.name}, rows=_list({"$ref": f"#/components/schemas/{served.name}.Row"}, None))
            for served in contracts
        ]
        or [{"not": {}}]
    }


def _infer(served: Served) -> Schema:
    """Tensors of one row: data of more rows has the same form."""

    def tensor(field: Field) -> dict[str, Any]:
        shape = {"type": "array", "prefixItems": [{"const": 1}], "minItems": 1, "maxItems": 1}
        data = {"type": "array", "prefixItems": [_field(field)], "minItems": 1, "maxItems": 1}
        return _only(name={"const": field.name}, shape=shape, datatype={"const": DATATYPES[field.type]}, data=data)

    inputs = {
        "type": "array",
        "prefixItems": [tensor(field) for field in served.fields],
        "minItems": len(served.fields),
        "maxItems": len(served.fields),
        "description": "One tensor for each field, all of the same number of rows, in any order; here for one row",
    }
    output = {"type": "object", "properties": {"name": {"enum": [*served.outputs, *ABOUT]}}, "required": ["name"]}
    made = _only(inputs=inputs)
    optional = {
        "id": {"type": ["string", "null"]},
        "outputs": {"type": ["array", "null"], "items": output},
        "parameters": {"type": ["object", "null"]},
    }
    return {**made, "properties": {**made["properties"], **optional}}


def _split(served: Served) -> Schema:
    names = [field.name for field in served.fields]
    row = {"type": "array", "prefixItems": [_field(field) for field in served.fields], "minItems": len(names), "maxItems": len(names)}
    columns = {"const": names, "description": "In any order; those that are not needed may be left out"}
    return _only(dataframe_split=_only(columns=columns, data=_list(row, 100)))


def _only(**properties: Schema) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _list(items: Schema, most: int | None) -> Schema:
    return {"type": "array", "items": items, "minItems": 1, **({"maxItems": most} if most else {})}


def _mounted(route: Route) -> dict[str, Any]:
    statuses = {*route.errors, *_ALWAYS, 404, *(_KNOWN_CALLERS if route.scope else ()), *(_WITH_BODY if route.method == "POST" else ())}
    told: dict[int, Any] = {status: _response(status, ("application/json", _ERROR)) for status in statuses}
    told |= {status: _response(status, ("application/json", schema)) for status, schema in route.returns.items()}
    names = [part[1:-1] for part in route.path.split("/") if part.startswith("{")]
    made: dict[str, Any] = {
        "summary": route.summary,
        "operationId": _operation_id(route.method, route.path),
        "responses": {str(status): told[status] for status in sorted(told)},
        "description": f"Needs the scope `{route.scope}`." if route.scope else "For anybody.",
    }
    if names:
        made["parameters"] = [{"name": name, "in": "path", "required": True, "schema": _TEXT} for name in names]
    if route.body is not None:
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": route.body}}}
    return made


def _operation_id(method: str, path: str) -> str:
    """ "get_v2_health_live"."""
    return "_".join([method.lower(), *filter(None, path.replace("{", "").replace("}", "").replace(":", "_").replace(".", "_").split("/"))])
