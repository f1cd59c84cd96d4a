"""The description of an endpoint, made from the model's signature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from sys import float_info
from typing import Any

from crisp_spark import __version__
from crisp_spark.serving.endpoint.reading import CSV, JSON, Limits
from crisp_spark.serving.endpoint.signature import LARGEST_FLOAT, Field, Model

Schema = dict[str, Any]

_LARGEST_DOUBLE = float_info.max
_WHOLE_BITS = {"tinyint": 8, "smallint": 16, "int": 32, "bigint": 64}
_PLAIN: Mapping[str, Schema] = {
    "double": {"type": "number", "minimum": -_LARGEST_DOUBLE, "maximum": _LARGEST_DOUBLE},
    "float": {"type": "number", "minimum": -LARGEST_FLOAT, "maximum": LARGEST_FLOAT},
    "string": {"type": "string"},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "timestamp": {"type": "string", "format": "date-time"},
    "timestamp_ntz": {
        "type": "string",
        "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?$",
    },
}
_DECIMAL: Schema = {"type": "string", "pattern": r"^-?\d+(\.\d+)?$"}
_OPEN = ("/ping", "/health", "/version", "/metadata")
_REFUSALS = {
    "400": "The body or a value is not as it should be",
    "413": "Too many rows or bytes",
    "415": "Another kind of body",
    "422": "The model has no answer of this kind",
    "500": "A fault of the endpoint; the log has it under the request's id",
    "503": "No model can be loaded",
    "504": "It took too long",
}


def signature_of(model: Model) -> list[dict[str, Any]]:
    """Return the columns of a request as plain data."""
    return [
        {
            "name": field.name,
            "type": field.type,
            "use": field.use,
            "needed": field.needed,
            "nullable": not field.required,
        }
        for field in model.fields
    ]


def openapi_of(model: Model, limits: Limits) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of an endpoint that serves ``model``."""
    identity = model.identity
    paths: dict[str, Any] = {
        path: {"get": _get(path, f"{path[1:].capitalize()} of the endpoint")} for path in _OPEN
    }
    paths["/metrics"] = {
        "get": {
            "operationId": "metrics",
            "summary": "Sums since the process began, for Prometheus",
            "responses": {
                "200": _response("Sums", {"type": "string"}, kind="text/plain"),
                "503": _failure("503"),
            },
        }
    }
    answers = {"type": "array", "items": _ref("Answer")}
    paths["/invocations"] = {"post": _post("invocations", "Score rows", "predictions", answers)}
    explained = {"type": "array", "items": _ref("Explanation")}
    paths["/explain"] = {"post": _post("explain", "Explain rows", "explanations", explained)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": identity.name,
            "version": f"{identity.version} (crisp_spark {__version__})",
            "description": f"At most {limits.rows} rows and {limits.bytes} bytes at once.",
        },
        "paths": paths,
        "components": {"schemas": _schemas(model.fields)},
    }


def _schemas(fields: Sequence[Field]) -> dict[str, Schema]:
    row: Schema = {
        "type": "object",
        "properties": {field.name: _value(field) for field in fields},
        "required": [field.name for field in fields if field.needed],
        "additionalProperties": False,
    }
    records: Schema = {"type": "array", "items": _ref("Row")}
    split: Schema = {
        "type": "object",
        "properties": {
            "columns": {
                "type": "array",
                "items": {"enum": [field.name for field in fields]},
                "uniqueItems": True,
                "allOf": [{"contains": {"const": f.name}} for f in fields if f.needed],
            },
            "data": {"type": "array", "items": {"type": "array"}},
            "index": {"type": "array"},
        },
        "required": ["columns", "data"],
        "additionalProperties": False,
    }
    by_column: Schema = {
        "type": "object",
        "properties": {f.name: {"type": "array", "items": _value(f)} for f in fields},
        "additionalProperties": False,
    }
    forms: dict[str, Schema] = {
        "dataframe_records": records,
        "dataframe_split": split,
        "instances": records,
        "inputs": {"anyOf": [records, by_column]},
    }
    body = [
        {
            "type": "object",
            "properties": {name: form},
            "required": [name],
            "additionalProperties": False,
        }
        for name, form in forms.items()
    ]
    return {
        "Row": row,
        "Body": {"oneOf": body},
        "Answer": _answer(),
        "Explanation": _explanation(),
        "Failure": _fault({"faults": {"type": "array", "items": _fault({})}}),
    }


def _value(field: Field) -> Schema:
    return _value_of(field.type)


def _value_of(kind: str) -> Schema:
    if kind == "void":
        return {"type": "null"}
    if kind.startswith("array<"):
        return {"type": ["array", "null"], "items": _value_of(kind[len("array<") : -1])}
    if kind in _WHOLE_BITS:
        bits = _WHOLE_BITS[kind]
        found: Schema = {
            "type": "integer",
            "minimum": -(2 ** (bits - 1)),
            "maximum": 2 ** (bits - 1) - 1,
        }
    else:
        found = dict(_PLAIN.get(kind, _DECIMAL))
    return found | {"type": [found["type"], "null"]}


def _answer() -> Schema:
    return {
        "type": "object",
        "properties": {
            "prediction": {},
            "answered_by": {"enum": ["model", "fallback", None]},
            "score": {"type": ["number", "null"]},
            "decision": {"type": "boolean"},
            "probabilities": {
                "type": "object",
                "additionalProperties": {"type": ["number", "null"]},
            },
            "reasons": {"type": "array", "items": {"type": "string"}},
            "key": {"type": "object"},
        },
        "required": ["prediction", "answered_by"],
    }


def _explanation() -> Schema:
    parts = {
        "explained_score": {"type": ["number", "null"]},
        "base_score": {"type": ["number", "null"]},
        "contributions": {
            "type": ["object", "null"],
            "additionalProperties": {"type": "number"},
        },
    }
    return {"allOf": [_ref("Answer"), {"type": "object", "properties": parts}]}


def _fault(more: Schema) -> Schema:
    return {
        "type": "object",
        "properties": {
            "error_code": {"type": "string"},
            "message": {"type": "string"},
            "column": {"type": "string"},
            "row": {"type": "integer", "minimum": 0},
            **more,
        },
        "required": ["error_code", "message"],
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _response(text: str, schema: Schema, *, kind: str = JSON) -> Schema:
    return {"description": text, "content": {kind: {"schema": schema}}}


def _failure(status: str) -> Schema:
    return _response(_REFUSALS[status], _ref("Failure"))


def _get(path: str, summary: str) -> Schema:
    return {
        "operationId": path[1:],
        "summary": summary,
        "responses": {"200": _response("Told", {"type": "object"}), "503": _failure("503")},
    }


def _post(name: str, summary: str, key: str, answers: Schema) -> Schema:
    found: Schema = {"type": "object", "properties": {key: answers}, "required": [key]}
    return {
        "operationId": name,
        "summary": summary,
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": _ref("Body")}, CSV: {"schema": {"type": "string"}}},
        },
        "responses": {"200": _response("Answers, in the order of the rows", found)}
        | {status: _failure(status) for status in _REFUSALS},
    }
