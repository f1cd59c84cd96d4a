"""Variables of the project file: declared once, used as ``${var.name}``."""

from __future__ import annotations

from typing import Any

from pydantic import GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from crisp_spark.spec.base import SpecModel

VariableValue = str | int | float | bool | list[Any] | dict[str, Any]
"""What a variable may hold."""

VARIABLE_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*$"


class VariableSpec(SpecModel):
    """A variable; ``name: value`` is short for ``name: {default: value}``."""

    default: VariableValue | None = None
    """Value where no layer sets one; without it the variable must be set."""
    description: str = ""
    """What the variable is for."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        whole = handler(schema)
        short = {"type": ["string", "number", "boolean", "array"]}
        return {"anyOf": [whole, short]}

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return value if isinstance(value, dict | VariableSpec) else {"default": value}
