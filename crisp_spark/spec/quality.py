"""Quality rules, declared beside the columns they speak about, in dbt's words.

A rule is written as its name, or as its name with details::

    rules:
      - not_null
      - between: {min: 0, max: 1440, severity: drop}
      - accepted_values: [EWR, JFK, LGA]

A null passes every rule but ``not_null`` (the condition is not evaluated on it). NaN and the
infinities are values: they pass ``not_null``; NaN fails ``between``, and an infinity fails it where
it lies outside the bounds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, get_args

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from crisp_spark.errors import SpecError, suggest
from crisp_spark.spec.rules import (
    AcceptedValues,
    AsUsual,
    Between,
    ColumnRule,
    DistinctCountBetween,
    Expression,
    Freshness,
    LengthBetween,
    Level,
    Matches,
    Metric,
    NotNull,
    QuantileBetween,
    RejectedValues,
    Relationships,
    RowCount,
    RowRule,
    Rule,
    SchemaIs,
    Severity,
    StatisticBetween,
    Unique,
)

_AnyRule = (
    NotNull
    | Unique
    | AcceptedValues
    | RejectedValues
    | Between
    | Matches
    | LengthBetween
    | Expression
    | Relationships
    | Freshness
    | RowCount
    | StatisticBetween
    | QuantileBetween
    | DistinctCountBetween
    | AsUsual
    | SchemaIs
)

KINDS: tuple[str, ...] = tuple(
    kind for model in get_args(_AnyRule) for kind in get_args(model.model_fields["kind"].annotation)
)
"""Every rule name."""

_MAIN_FIELD = {
    "accepted_values": "values",
    "rejected_values": "values",
    "matches": "pattern",
    "expression": "sql",
    "schema": "columns",
    "unique": "columns",
}


def _expand(value: Any) -> Any:
    """Turn the short form ``name`` or ``{name: details}`` into ``{kind: name, ...}``."""
    if isinstance(value, str):
        return {"kind": _known(value)}
    if isinstance(value, Rule) or (isinstance(value, Mapping) and "kind" in value):
        return value
    if not isinstance(value, Mapping):
        raise PydanticCustomError("rule_form", "a rule is a name or one name with details")
    if len(value) != 1:
        raise PydanticCustomError(
            "rule_form",
            "a rule is a name or one name with details, got {keys}",
            {"keys": ", ".join(map(str, value)) or "nothing"},
        )
    ((kind, details),) = value.items()
    main = _MAIN_FIELD.get(_known(kind))
    if details is None:
        details = {}
    elif main and (kind == "schema" or not isinstance(details, Mapping)):
        known = isinstance(details, Mapping) and main in details
        details = details if known else {main: details}
    if not isinstance(details, Mapping):
        raise PydanticCustomError(
            "rule_details",
            "the details of {kind} are a map like {severity: drop}",
            {"kind": kind},
        )
    return {**details, "kind": kind}


def _known(kind: Any) -> str:
    if kind in KINDS:
        return str(kind)
    near = suggest(str(kind), KINDS)
    raise PydanticCustomError(
        "unknown_rule",
        "no rule {kind}{near}; rules: {kinds}",
        {
            "kind": repr(kind),
            "near": f", did you mean {near!r}?" if near else "",
            "kinds": ", ".join(KINDS),
        },
    )


class _ShortForm:
    """Lets the union of rules be written the short way, in files and in the JSON Schema."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(_expand, handler(source))

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        tagged = handler(schema)
        mapping: dict[str, str] = tagged["discriminator"]["mapping"]
        short = {"type": ["array", "string", "object", "null"]}
        properties = {
            kind: {"anyOf": [{"$ref": ref}, short]} if kind in _MAIN_FIELD else {"$ref": ref}
            for kind, ref in mapping.items()
        }
        details = {"type": "object", "minProperties": 1, "maxProperties": 1}
        return {
            "anyOf": [
                {"enum": ["not_null", "unique"]},
                {**details, "properties": properties, "additionalProperties": False},
            ]
        }


RuleSpec = Annotated[Annotated[_AnyRule, Field(discriminator="kind")], _ShortForm]
"""Any rule, in short or tagged form."""


@dataclass(frozen=True)
class BoundRule:
    """A rule with its place: which source, which columns, under which name.

    Attributes:
        rule: What was declared.
        source: Source that the rule judges.
        name: Unique name within the source.
        columns: Columns that the rule names directly (not those inside SQL).
        place: Where it stands in the project file.
    """

    rule: _AnyRule
    source: str
    name: str
    columns: tuple[str, ...]
    place: str

    @property
    def column(self) -> str | None:
        """The one column the rule is about, if it is about one."""
        return self.columns[0] if len(self.columns) == 1 else None


def bind_rules(
    source: str,
    columns: Mapping[str, Sequence[_AnyRule]],
    rules: Sequence[_AnyRule] = (),
) -> tuple[BoundRule, ...]:
    """Give every rule of a source its columns and a unique name, in the order declared.

    Args:
        source: Name of the source.
        columns: Column to the rules that stand under it.
        rules: Rules of the table.

    Raises:
        SpecError: Rules without a column, under a wrong column, or two with the same given name.
    """
    root = f"data.sources.{source}"
    placed = [
        (rule, column, f"{root}.columns.{column}.rules[{number}]")
        for column, own in columns.items()
        for number, rule in enumerate(own)
    ] + [(rule, "", f"{root}.rules[{number}]") for number, rule in enumerate(rules)]
    faults: list[str] = []
    given: Counter[str] = Counter(rule.name for rule, _, _ in placed if rule.name)
    faults += [
        f"{root}: {count} rules are named {name!r}" for name, count in given.items() if count > 1
    ]
    bound: list[BoundRule] = []
    taken = set(given)
    for rule, parent, place in placed:
        names, fault = _columns_of(rule, parent)
        if fault:
            faults.append(f"{place}: {rule.kind} {fault}")
            continue
        metric = [rule.metric] if isinstance(rule, AsUsual) else []
        name = rule.name or _free_name("_".join([rule.kind, *metric, *names]), taken)
        taken.add(name)
        bound.append(BoundRule(rule, source, name, names, place))
    if faults:
        raise SpecError(f"{root}: rules cannot be used", faults=faults)
    return tuple(bound)


def _columns_of(rule: _AnyRule, parent: str) -> tuple[tuple[str, ...], str]:
    """Columns that a rule names, and what is wrong with them."""
    if isinstance(rule, SchemaIs | RowCount):
        return (), f"belongs to the rules of the source, not of column {parent!r}" if parent else ""
    if isinstance(rule, AsUsual) and rule.metric == "row_count":
        named = parent or rule.column
        return (), f"of row_count belongs to the source, not to column {named!r}" if named else ""
    if isinstance(rule, Unique) and rule.columns:
        return rule.columns, ""
    if rule.column and parent and rule.column != parent:
        return (), f"stands under {parent!r} but names column {rule.column!r}"
    column = rule.column or parent
    if column:
        return (column,), ""
    return (), "" if isinstance(rule, Expression) else "names no column"


def _free_name(name: str, taken: Iterable[str]) -> str:
    used = set(taken)
    if name not in used:
        return name
    number = 2
    while f"{name}_{number}" in used:
        number += 1
    return f"{name}_{number}"


__all__ = [
    "KINDS",
    "AcceptedValues",
    "AsUsual",
    "Between",
    "BoundRule",
    "ColumnRule",
    "DistinctCountBetween",
    "Expression",
    "Freshness",
    "LengthBetween",
    "Level",
    "Matches",
    "Metric",
    "NotNull",
    "QuantileBetween",
    "RejectedValues",
    "Relationships",
    "RowCount",
    "RowRule",
    "Rule",
    "RuleSpec",
    "SchemaIs",
    "Severity",
    "StatisticBetween",
    "Unique",
    "bind_rules",
]
