"""The reference of the project file, as Markdown, from the models themselves."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

_LONGEST_DEFAULT = 60
_INTRODUCTION = (
    "One `crisp.yml` drives all six phases. This page is made from the models that check it; "
    "`crisp config schema` prints the same as JSON Schema for editors."
)


def project_reference(schema: Schema) -> str:
    """Render the JSON Schema of the project file as one Markdown page.

    Args:
        schema: JSON Schema with its definitions under ``$defs`` (or ``definitions``).
    """
    definitions: Mapping[str, Schema] = schema.get("$defs") or schema.get("definitions") or {}
    parts = [
        "# The project file, key by key",
        "",
        _INTRODUCTION,
        "",
        *_section("The file", schema),
    ]
    for name in _order(schema, definitions):
        definition = definitions[name]
        if definition.get("properties"):
            parts += _section(name, definition)
    headings = {part[3:].lower() for part in parts if part.startswith("## ")}
    text = "\n".join(parts).rstrip() + "\n"
    # Enumerations and the like have no section: their names stay, without a link.
    return re.sub(
        r"\[(\w+)\]\(#(\w+)\)", lambda link: link[0] if link[2] in headings else link[1], text
    )


def _order(schema: Schema, definitions: Mapping[str, Schema]) -> list[str]:
    """Definitions in the order in which the file first mentions them."""
    found: list[str] = []
    waiting: list[Any] = [schema.get("properties", {})]
    while waiting:
        for name in _mentioned(waiting.pop(0)):
            if name in definitions and name not in found:
                found.append(name)
                waiting.append(definitions[name])
    return found


def _mentioned(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        own = [value["$ref"].rsplit("/", 1)[1]] if isinstance(value.get("$ref"), str) else []
        return own + [n for k, v in value.items() if k != "$defs" for n in _mentioned(v)]
    if isinstance(value, list):
        return [name for item in value for name in _mentioned(item)]
    return []


def _section(title: str, definition: Schema) -> list[str]:
    required = set(definition.get("required", ()))
    rows = [
        f"| `{name}` | {_type(field)} | {_default(name, field, required)} "
        f"| {_escaped(field.get('description', ''))} |"
        for name, field in definition.get("properties", {}).items()
    ]
    text = _escaped(definition.get("description", "")).replace("\\|", "|")
    return [
        f"## {title}",
        "",
        *([text, ""] if text else []),
        "| key | type | default | meaning |",
        "|---|---|---|---|",
        *rows,
        "",
    ]


def _type(field: Schema) -> str:
    """Say the type of a value in a few words, with links to what is described below."""
    if "$ref" in field:
        name = field["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return " \\| ".join(f"`{value}`" for value in field["enum"])
    for key in ("anyOf", "oneOf", "allOf"):
        if key in field:
            names = [_type(option) for option in field[key]]
            return " \\| ".join(dict.fromkeys(name for name in names if name != "null"))
    kind = field.get("type", "any")
    if kind == "array":
        return f"list of {_type(field.get('items', {}))}"
    if kind == "object" and isinstance(field.get("additionalProperties"), Mapping):
        return f"map of {_type(field['additionalProperties'])}"
    return " \\| ".join(kind) if isinstance(kind, list) else str(kind)


def _default(name: str, field: Schema, required: set[str]) -> str:
    if name in required:
        return "**required**"
    if "const" in field or field.get("default") in (None, "", [], {}):
        return ""
    text = json.dumps(field["default"], ensure_ascii=False)
    return f"`{text}`" if len(text) <= _LONGEST_DEFAULT else "see there"


def _escaped(text: str) -> str:
    return " ".join(text.replace("``", "`").split()).replace("|", "\\|")


def main() -> None:
    """Print the reference: ``python -m crisp_spark.spec.reference > docs/project-file.md``."""
    import sys

    from crisp_spark.spec.schema import project_schema

    sys.stdout.write(project_reference(project_schema()))


if __name__ == "__main__":
    main()
