"""The files that are generated from types/contract.py. Run this file with Python to write them anew."""

import dataclasses
import re
import typing
from pathlib import Path

import gonogo
from gonogo.types.contract import Contract, Feature, Gate
from gonogo.types.contract_reference import reference
from gonogo.types.contract_schema import is_required, schema, schema_text
from gonogo.types.record import field_types, to_json
from gonogo.types.toml import read_contract

HOUSE = Path(gonogo.__file__).parent
FILES = {HOUSE / "types" / "contract.schema.json": schema_text, HOUSE / "explain" / "contract.md": reference}
FLIGHTS = Path(__file__).parents[2] / "examples" / "flights" / "contract.toml"


def test_the_generated_files_are_those_of_the_records():
    for path, text in FILES.items():
        assert path.read_text(encoding="utf-8") == text(), f"{path.name} is stale: python tests/types/test_contract_files.py"


def test_the_schema_allows_no_key_that_the_reader_refuses_and_asks_for_the_same_ones():
    for record in (Contract, Feature, Gate):
        said = schema()["$defs"][record.__name__]
        assert said["additionalProperties"] is False
        assert set(said["properties"]) == set(field_types(record))
        assert set(said["required"]) == {spec.name for spec in dataclasses.fields(record) if is_required(spec)}


def test_every_reference_of_the_schema_leads_somewhere():
    for name in re.findall(r'"#/\$defs/(\w+)"', schema_text()):
        assert name in schema()["$defs"]


def test_the_flights_contract_satisfies_the_schema():
    contract = to_json(read_contract(FLIGHTS.read_text(encoding="utf-8"), where="contract.toml"))
    assert list(violations(without_unset(contract), schema()["$defs"]["Contract"])) == []


def test_the_schema_refuses_what_is_of_a_wrong_shape():
    gate = schema()["$defs"]["Gate"]
    assert list(violations({"name": "x", "metric": "roc_auc", "at_least": "0.7"}, gate)) == ["at_least is no number"]
    assert list(violations({"name": "x", "metric": "roc_auc", "at_leats": 0.7}, gate)) == ["at_leats is unknown"]
    assert list(violations({"name": "x"}, gate)) == ["metric is missing"]
    assert list(violations("7 days", {"type": "string", "pattern": schema()["$defs"]["Rollout"]["properties"]["bake"]["pattern"]})) == [
        " is of another form"
    ]


def test_the_reference_explains_every_key_in_the_words_of_its_field():
    page = reference()
    for record in filter(None, [Contract, *map(record_in, field_types(Contract).values())]):
        for spec in dataclasses.fields(record):
            said = spec.metadata["about"].replace("|", "\\|")
            assert f"| `{spec.name}` | {said} |" in page


def record_in(kind):
    return next((arg for arg in (kind, *typing.get_args(kind)) if dataclasses.is_dataclass(arg)), None)


def without_unset(value):
    """Records write None for a limit that is not set; a contract leaves the key out."""
    if isinstance(value, dict):
        return {key: without_unset(held) for key, held in value.items() if held is not None}
    return [without_unset(held) for held in value] if isinstance(value, list) else value


KINDS = {"string": str, "number": (int, float), "integer": int, "boolean": bool, "array": list, "object": dict}


def violations(value, said, at=""):
    """What of the JSON Schema keywords that our schema uses does not hold: a judge of its own, no validator is installed."""
    if "$ref" in said:
        yield from violations(value, schema()["$defs"][said["$ref"].rsplit("/", 1)[1]], at)
        return
    if not isinstance(value, KINDS[said["type"]]) or (isinstance(value, bool) and said["type"] != "boolean"):
        yield f"{at} is no {said['type']}"
        return
    if "enum" in said and value not in said["enum"]:
        yield f"{at} is none of the choices"
    if "const" in said and value != said["const"]:
        yield f"{at} is not {said['const']}"
    if "pattern" in said and not re.search(said["pattern"], value):
        yield f"{at} is of another form"
    if value == [] and said.get("minItems"):
        yield f"{at} is empty"
    if ("minimum" in said and value < said["minimum"]) or ("maximum" in said and value > said["maximum"]):
        yield f"{at} is out of bounds"
    if said["type"] == "array":
        for held in value:
            yield from violations(held, said["items"], at)
    if said["type"] == "object":
        yield from of_object(value, said)


def of_object(value, said):
    known, more = said.get("properties", {}), said["additionalProperties"]
    for key in said.get("required", ()):
        if key not in value:
            yield f"{key} is missing"
    for key, held in value.items():
        if key in known:
            yield from violations(held, known[key], key)
        elif more is False:
            yield f"{key} is unknown"
        elif more is not True:
            yield from violations(held, more, key)


if __name__ == "__main__":
    for path, text in FILES.items():
        path.write_text(text(), encoding="utf-8")
