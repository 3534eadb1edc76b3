"""How do other protocols ask the same contract, and how do they want to be answered?

Three are spoken: the Open Inference Protocol v2 (KServe, Triton, MLServer), MLflow's scoring server (SageMaker calls its /invocations too)
and KServe v1, as TensorFlow Serving and Vertex AI speak it. None has a place for the error of one row: one bad row refuses the request.
Sources: kserve/open-inference-protocol, specification/protocol/inference_rest.md; MLflow, "Deploy MLflow Model as a Local Inference
Server".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from gonogo.serving.desk import ARMS
from gonogo.serving.questions import QuestionDecoder, Row, each, strict_json
from gonogo.serving.responses import Refusal, Reply, error_reply, status_of
from gonogo.serving.service import Answer
from gonogo.types.errors import GonogoError, RequestRefused, TooMuch
from gonogo.types.package import Field

DATATYPES: Mapping[str, str] = {"number": "FP64", "integer": "INT64", "boolean": "BOOL", "text": "BYTES", "time": "BYTES"}
_INTEGERS = ("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64")
_KNOWN = ("BOOL", *_INTEGERS, "FP16", "FP32", "FP64", "BYTES")
_MLFLOW_FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
_REQUEST_KEYS = ("id", "inputs", "outputs", "parameters")
_TENSOR_KEYS = ("data", "datatype", "name", "parameters", "shape")
ABOUT = ("by", "arm", "candidate", "request")  # what a tensor client may ask for beside the contract's outputs


# --- Open Inference Protocol v2


def read_tensors(decoder: QuestionDecoder, body: bytes, *, most_rows: int) -> tuple[list[Row], Mapping[str, Any]]:
    """The rows of an inference request, and the request itself. Raises RequestRefused or TooMuch.

    One input per field, of shape [n] or [n, 1]; or a single input of shape [n, number of fields], its columns in the order of the fields.
    """
    request = _object(body)
    _check_keys(request, _REQUEST_KEYS, "body")
    inputs = request.get("inputs")
    if not isinstance(inputs, list) or not inputs or not all(isinstance(each, dict) for each in inputs):
        raise _refused("inputs is a list of tensors", inputs, '[{"name", "shape", "datatype", "data"}, …]', "inputs")
    for key, kind in (("id", str), ("parameters", dict), ("outputs", list)):
        if request.get(key) is not None and not isinstance(request[key], kind):
            raise _refused(f"{key} is of another type", request[key], "what the protocol says", key)
    tensors = [_tensor(tensor, i, most_rows, len(decoder.fields)) for i, tensor in enumerate(inputs)]
    n_rows, width = tensors[0][1]
    if len(tensors) == 1 and width > 1:
        values = tensors[0][2]
        table = [values[at : at + width] for at in range(0, len(values), width)]
        return each(decoder.positional, table, "inputs[0].data"), request
    columns: list[Sequence[Any]] = [(None,) * n_rows] * len(decoder.fields)
    named: set[int] = set()
    for i, (name, (rows, each_width), values) in enumerate(tensors):
        if rows != n_rows or each_width != 1:
            raise _refused(
                "every input holds one value for each row",
                f"{rows} × {each_width}",
                f"shape [{n_rows}] or [{n_rows}, 1]",
                f"inputs[{i}].shape",
            )
        at = decoder.index(name, f"inputs[{i}]")
        if at in named:
            raise _refused("an input stands twice", name, "one tensor for each field", f"inputs[{i}].name")
        named.add(at)
        columns[at] = values
    return each(decoder.positional, list(zip(*columns, strict=True)), "row"), request


def write_tensors(
    request: Mapping[str, Any], name: str, version: str, outputs: tuple[str, ...], answers: Sequence[Answer]
) -> dict[str, Any]:
    """The inference response: the contract's outputs, or those that were asked for. Raises RequestRefused where one is not there."""
    columns = dict(zip(outputs, zip(*(answer.values for answer in answers), strict=True), strict=False))
    wanted = [each.get("name") if isinstance(each, dict) else None for each in request.get("outputs") or []] or list(outputs)
    made = []
    for i, column in enumerate(wanted):
        if column in columns:
            values: Sequence[Any] = columns[column]
        elif column in ABOUT:
            values = [_about(column, answer) for answer in answers]
        else:
            raise _refused("there is no such output", column, ", ".join((*outputs, *ABOUT)), f"outputs[{i}].name")
        made.append(_out(str(column), values))
    candidates = {answer.candidate for answer in answers}
    said: dict[str, Any] = {"model_name": name, "model_version": candidates.pop() if len(candidates) == 1 else version, "outputs": made}
    return {"id": request["id"], **said} if request.get("id") is not None else said


def model_metadata(name: str, versions: Sequence[str], fields: tuple[Field, ...], outputs: tuple[str, ...]) -> dict[str, Any]:
    """What the protocol calls a model: the contract, its fields as inputs and its outputs. An output's datatype is that of its values."""
    return {
        "name": name,
        "versions": list(versions),
        "platform": "gonogo",
        "inputs": [{"name": field.name, "datatype": DATATYPES[field.type], "shape": [-1]} for field in fields],
        "outputs": [{"name": output, "datatype": "FP64", "shape": [-1]} for output in outputs],
    }


def tensor_error(error: GonogoError) -> Reply:
    """The protocol's own form of an error: one text."""
    told = error.error if isinstance(error, Refusal) else error
    details = "; ".join(f"{name} {text}" for name in ("where", "found", "expected") if (text := getattr(told, name)))
    return error_reply(error, body={"error": f"{told.code}: {told.message}" + (f" ({details})" if details else "")})


def _tensor(tensor: Mapping[str, Any], i: int, most_rows: int, n_fields: int) -> tuple[str, tuple[int, int], list[Any]]:
    """Name, (rows, width), values in row order."""
    where = f"inputs[{i}]"
    _check_keys(tensor, _TENSOR_KEYS, where)
    name, shape, datatype, data = (tensor.get(key) for key in ("name", "shape", "datatype", "data"))
    if isinstance(parameters := tensor.get("parameters"), dict) and "binary_data_size" in parameters:
        raise _refused("binary tensors are not spoken here", "binary_data_size", "data as JSON", f"{where}.parameters")
    if not isinstance(name, str) or not name:
        raise _refused("a tensor has a name", name, "text", f"{where}.name")
    if datatype not in _KNOWN:
        raise _refused("there is no such datatype", datatype, ", ".join(_KNOWN), f"{where}.datatype")
    if (
        not isinstance(shape, list)
        or not 1 <= len(shape) <= 2
        or not all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in shape)
    ):
        raise _refused("a shape is one or two whole numbers above 0", shape, f"[n] or [n, {n_fields}]", f"{where}.shape")
    if shape[0] > most_rows:
        raise TooMuch(
            "too many rows", found=f"{shape[0]:,}", expected=f"at most {most_rows:,}", where=f"{where}.shape", next="send less at a time"
        )
    values = _flat(data, where)
    width = shape[1] if len(shape) == 2 else 1
    if len(values) != shape[0] * width:
        raise _refused("data and shape are of different size", f"{len(values)} values", f"{shape[0] * width}", f"{where}.data")
    return name, (shape[0], width), [_of_datatype(value, str(datatype), where) for value in values]


def _check_keys(found: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    """Raises RequestRefused at a key that the protocol does not have: what it was to say would go unheard."""
    if more := sorted(found.keys() - set(known)):
        raise _refused("there is no such key", more[0], ", ".join(known), where)


def _flat(data: Any, where: str) -> list[Any]:
    if not isinstance(data, list):
        raise _refused("data is a list", data, "[value, …], or a list of rows", f"{where}.data")
    if data and all(isinstance(row, list) for row in data):
        return [value for row in data for value in row]
    return data


def _of_datatype(value: Any, datatype: str, where: str) -> Any:
    """A value as the tensor's datatype says it, for the field to read. Clients send booleans as 0 and 1, too."""
    if value is None:
        return None
    if datatype == "BOOL":
        if value in (0, 1) and isinstance(value, int):
            return bool(value)
    elif datatype == "BYTES":
        if isinstance(value, str):
            return value
    elif isinstance(value, bool) or not isinstance(value, int | float):
        pass
    elif datatype not in _INTEGERS or value == value // 1:  # 3.0 is whole
        return value
    raise _refused(f"a value is no {datatype}", value, datatype, f"{where}.data")


def _out(name: str, values: Sequence[Any]) -> dict[str, Any]:
    for kind, datatype in ((bool, "BOOL"), (int, "INT64"), (float, "FP64"), (str, "BYTES")):
        if all(isinstance(value, kind) for value in values):
            return {"name": name, "shape": [len(values)], "datatype": datatype, "data": list(values)}
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return {"name": name, "shape": [len(values)], "datatype": "FP64", "data": [float(value) for value in values]}
    # A list of items, or a null: a tensor of the protocol holds neither, so each value is told as its JSON.
    return {"name": name, "shape": [len(values)], "datatype": "BYTES", "data": [json.dumps(value, default=str) for value in values]}


def _about(column: str, answer: Answer) -> str:
    return {
        "by": "fallback" if answer.status else "model",
        "arm": ARMS[answer.arm],
        "candidate": answer.candidate,
        "request": f"{answer.request:016x}",
    }[column]


# --- MLflow's /invocations, and {"instances": […]} of KServe v1, TensorFlow Serving and Vertex AI


def read_invocation(decoder: QuestionDecoder, body: bytes, *, most_rows: int) -> list[Row]:
    """The rows of exactly one of dataframe_split, dataframe_records, instances and inputs. Raises RequestRefused or TooMuch."""
    request = _object(body)
    forms = [form for form in _MLFLOW_FORMS if form in request]
    odd = request.keys() - {*_MLFLOW_FORMS, "params", "parameters"}
    if len(forms) != 1 or odd:
        raise _refused("an invocation holds its rows in one form", sorted(request)[:10], "one of " + ", ".join(_MLFLOW_FORMS), "body")
    for name in ("params", "parameters"):
        if request.get(name):
            raise _refused("this contract has no parameters", request[name], "none", name)
    form = forms[0]
    held = request[form]
    if form == "dataframe_split":
        return _split(decoder, held, most_rows)
    if form == "inputs" and isinstance(held, dict):
        return _columns(decoder, held, most_rows)
    _check_rows(held, form, most_rows)
    return each(lambda row, where: _any_row(decoder, row, where), held, form)


def read_instances(decoder: QuestionDecoder, body: bytes, *, most_rows: int) -> list[Row]:
    """The rows of {"instances": […]}: objects of named fields, or lists in the order of the fields. Raises RequestRefused or TooMuch."""
    request = _object(body)
    if "instances" not in request or request.keys() - {"instances", "parameters", "signature_name"}:
        raise _refused("the rows stand under instances", sorted(request)[:10], '{"instances": […]}', "body")
    if request.get("parameters"):
        raise _refused("this contract has no parameters", request["parameters"], "none", "parameters")
    held = request["instances"]
    _check_rows(held, "instances", most_rows)
    return each(lambda row, where: _any_row(decoder, row, where), held, "instances")


def write_predictions(outputs: tuple[str, ...], answers: Sequence[Answer]) -> dict[str, Any]:
    """{"predictions": […]}: a value per row where the contract has one output, else an object per row."""
    if len(outputs) == 1:
        return {"predictions": [answer.values[0] for answer in answers]}
    return {"predictions": [dict(zip(outputs, answer.values, strict=False)) for answer in answers]}


def invocation_error(error: GonogoError) -> Reply:
    """MLflow's form of an error, with the whole record beside it."""
    status = status_of(error)
    told = error.error if isinstance(error, Refusal) else error
    code = "INVALID_PARAMETER_VALUE" if status < 500 else "TEMPORARILY_UNAVAILABLE" if status == 503 else "INTERNAL_ERROR"
    return error_reply(error, body={"error_code": code, **told.as_record()})


def _any_row(decoder: QuestionDecoder, row: Any, where: str) -> Any:
    return decoder.positional(row, where) if isinstance(row, list) else decoder.row(row, where)


def _split(decoder: QuestionDecoder, held: Any, most_rows: int) -> list[Row]:
    columns = held.get("columns") if isinstance(held, dict) else None
    if not isinstance(held, dict) or not isinstance(columns, list) or held.keys() - {"columns", "data", "index"}:
        raise _refused("dataframe_split is an object of columns and data", held, '{"columns": […], "data": [[…], …]}', "dataframe_split")
    _check_rows(held.get("data"), "dataframe_split.data", most_rows)
    places = [decoder.index(name if isinstance(name, str) else str(name), "dataframe_split.columns") for name in columns]
    if len(set(places)) != len(places):
        raise _refused("a column stands twice", columns[:10], "each once", "dataframe_split.columns")

    def placed(row: Any, where: str) -> Any:
        if not isinstance(row, list) or len(row) != len(places):
            raise _refused("a row holds a value for each column", row, f"{len(places)} values", where)
        values: list[Any] = [None] * len(decoder.fields)
        for at, value in zip(places, row, strict=True):
            values[at] = value
        return decoder.positional(values, where)

    return each(placed, held["data"], "dataframe_split.data")


def _columns(decoder: QuestionDecoder, held: Mapping[str, Any], most_rows: int) -> list[Row]:
    """Column → values; a single value stands for a list of one."""
    listed = {name: value if isinstance(value, list) else [value] for name, value in held.items()}
    lengths = {len(values) for values in listed.values()}
    if len(lengths) != 1:
        raise _refused("every column of inputs is of the same length", sorted(lengths), "one length", "inputs")
    columns: list[Sequence[Any]] = [(None,) * lengths.pop()] * len(decoder.fields)
    for name, values in listed.items():
        columns[decoder.index(name, "inputs")] = values
    rows = list(zip(*columns, strict=True))
    _check_rows(rows, "inputs", most_rows)
    return each(decoder.positional, rows, "inputs")


def _check_rows(rows: Any, where: str, most_rows: int) -> None:
    if not isinstance(rows, list) or not rows:
        raise _refused("the rows are a list of at least one", rows, "[row, …]", where)
    if len(rows) > most_rows:
        raise TooMuch("too many rows", found=f"{len(rows):,}", expected=f"at most {most_rows:,}", where=where, next="send less at a time")


def _object(body: bytes) -> dict[str, Any]:
    value = strict_json(body)
    if not isinstance(value, dict):
        raise _refused("the body is a JSON object", value, "{…}", "body")
    return value


def _refused(message: str, found: Any, expected: str, where: str) -> RequestRefused:
    try:
        shown = json.dumps(found, default=str)
    except ValueError:
        shown = "a number of thousands of digits"
    return RequestRefused(message, found=shown[:80], expected=expected, where=where, next="GET /openapi.json shows what is asked for")
