"""The JSON Schema of the project file, for editors; made from the models, shipped as a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from crisp_spark.spec.descriptions import field_descriptions
from crisp_spark.spec.project import ProjectSpec

SCHEMA_FILE = Path(__file__).with_name("schema.json")
MODELINE = "# yaml-language-server: $schema="
"""Start of the line by which editors find the schema of a YAML file."""

_DIALECT = "http://json-schema.org/draft-07/schema#"
_VARIABLE = {"type": "string", "pattern": r"^\$\{var\.[A-Za-z_][A-Za-z0-9_]*\}$"}
_SHORT_FORMS = ({"type": "string"}, {"type": "array", "items": {"type": "string"}})
_SCALARS = {"integer", "number", "boolean"}


class _Described(GenerateJsonSchema):
    """Adds the texts that stand below the fields in the source."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        found = super().model_schema(schema)
        model = schema["cls"]
        if isinstance(model, type) and issubclass(model, BaseModel):
            properties = found.get("properties", {})
            for name, text in field_descriptions(model).items():
                field = model.model_fields.get(name)
                shown = properties.get(field.alias or name) if field else None
                if shown is not None:
                    shown.setdefault("description", " ".join(text.replace("``", "`").split()))
            _add_short_forms(model, properties)
        return found


def _add_short_forms(model: type[BaseModel], properties: dict[str, Any]) -> None:
    """A field that is put in order before it is checked takes a text, or a list, as well."""
    for decorator in model.__pydantic_decorators__.field_validators.values():
        if decorator.info.mode != "before":
            continue
        for name in decorator.info.fields:
            shown = properties.get(name)
            if shown is not None and not _takes_lists(shown):
                description = {key: shown.pop(key) for key in ("description",) if key in shown}
                properties[name] = {"anyOf": [dict(shown), *_SHORT_FORMS], **description}


def _takes_lists(field: Mapping[str, Any]) -> bool:
    return "enum" in field or field.get("type") in {"string", "number", "integer"}


def project_schema() -> dict[str, Any]:
    """Return the JSON Schema as pydantic writes it (draft 2020-12), descriptions included."""
    return ProjectSpec.model_json_schema(by_alias=True, schema_generator=_Described)


def editor_schema() -> dict[str, Any]:
    """Return the JSON Schema for editors: draft 7, variables allowed in place of numbers."""
    schema: dict[str, Any] = _draft_7(project_schema())
    schema["$schema"] = _DIALECT
    schema["title"] = "crisp_spark project file"
    return schema


def _draft_7(value: Any) -> Any:
    if isinstance(value, list):
        return [_draft_7(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    found: dict[str, Any] = {}
    for key, item in value.items():
        found |= _keyword(key, item)
    return _lone_reference(found)


def _keyword(key: str, item: Any) -> dict[str, Any]:
    match key:
        case "$defs":
            return {"definitions": {name: _draft_7(one) for name, one in item.items()}}
        case "$ref":
            return {key: str(item).replace("#/$defs/", "#/definitions/")}
        case "prefixItems":
            return {"items": _draft_7(item), "additionalItems": False}
        case "properties":
            return {key: {name: _or_variable(_draft_7(one)) for name, one in item.items()}}
        case "discriminator" | "title" if not isinstance(item, Mapping) or "mapping" in item:
            return {}  # the first is OpenAPI's, the second says nothing
        case "default" if isinstance(item, dict | list) and item:
            return {}  # the parts say it better
        case "default" | "const" | "enum" | "examples" | "required":
            return {key: item}
        case _:
            return {key: _draft_7(item)}


def _lone_reference(schema: dict[str, Any]) -> dict[str, Any]:
    """Draft 7 ignores whatever stands beside ``$ref``."""
    if "$ref" not in schema or len(schema) == 1:
        return schema
    return {"allOf": [{"$ref": schema["$ref"]}]} | {
        key: item for key, item in schema.items() if key != "$ref"
    }


def _or_variable(field: dict[str, Any]) -> dict[str, Any]:
    """Let ``${var.name}`` stand for a number or a truth value."""
    if _types(field) & _SCALARS:
        outer = ("title", "description", "default")
        inner = {key: item for key, item in field.items() if key not in outer}
        kept = {key: field[key] for key in outer if key in field}
        return {"anyOf": [inner, _VARIABLE], **kept}
    options: list[dict[str, Any]] = field.get("anyOf", [])
    types = set().union(*map(_types, options))
    if types & _SCALARS and "string" not in types:
        return field | {"anyOf": [*options, _VARIABLE]}
    return field


def _types(field: Mapping[str, Any]) -> set[str]:
    found = field.get("type", [])
    return {found} if isinstance(found, str) else set(found)


def schema_text() -> str:
    """Return the schema for editors as it is shipped."""
    return json.dumps(editor_schema(), indent=1, ensure_ascii=False) + "\n"


def packaged_schema() -> str:
    """Return the shipped schema."""
    return SCHEMA_FILE.read_text(encoding="utf-8")


def write_schema() -> None:
    """Write the shipped schema anew; a test holds it against the models."""
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")


if __name__ == "__main__":
    write_schema()
