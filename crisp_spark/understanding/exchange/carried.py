"""What was carried over, and what was not."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from crisp_spark.spec.quality import RuleSpec
from crisp_spark.understanding.rule_yaml import rule_yaml

_RULE: TypeAdapter[Any] = TypeAdapter(RuleSpec)
_OF_TABLE = ("schema", "row_count")


class NoEqualError(Exception):
    """Nothing on the other side says what this says."""


@dataclass
class SourceRules:
    """Rules as they stand under a source.

    Attributes:
        columns: Column to its rules, each tagged by ``kind``.
        rules: Rules of the table.
    """

    columns: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    rules: list[dict[str, Any]] = field(default_factory=list)

    def add(self, column: str, rule: Mapping[str, Any]) -> None:
        """Add a rule, unless the very same is there.

        Raises:
            NoEqualError: The rule is not valid.
        """
        told = {name: value for name, value in rule.items() if value not in (None, "", [])}
        try:
            _RULE.validate_python(told)
        except ValidationError as error:
            raise NoEqualError(error.errors()[0]["msg"]) from error
        of_table = not column or told["kind"] in _OF_TABLE
        place = self.rules if of_table else self.columns.setdefault(column, [])
        if told not in place:
            place.append(told)


@dataclass
class ImportedRules:
    """Rules that came from another tool.

    Attributes:
        sources: Source to its rules.
        left_out: What no rule says, each with its place and the reason.
        differences: Where a rule says nearly, but not exactly, the same.
    """

    sources: dict[str, SourceRules] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)

    def source(self, name: str) -> SourceRules:
        """Return the rules of a source, to be added to."""
        return self.sources.setdefault(name, SourceRules())

    @property
    def count(self) -> int:
        """How many rules were carried over."""
        return sum(
            len(own.rules) + sum(map(len, own.columns.values())) for own in self.sources.values()
        )

    def as_yaml(self) -> str:
        """Return the rules as they stand under ``data.sources`` of the project file."""
        lines: list[str] = []
        for name, own in self.sources.items():
            lines.append(f"{json.dumps(name, ensure_ascii=False)}:")
            lines += _rules_lines(own)
        lines += [f"# left out: {_one_line(text)}" for text in self.left_out]
        lines += [f"# differs: {_one_line(text)}" for text in self.differences]
        return "".join(f"{line}\n" for line in lines)


@dataclass(frozen=True)
class Exported:
    """A text for another tool.

    Attributes:
        text: The text.
        rules: How many rules it carries.
        left_out: Rules that the other tool cannot say, each with the reason.
    """

    text: str
    rules: int
    left_out: tuple[str, ...]


def _rules_lines(own: SourceRules) -> list[str]:
    lines = ["  columns:"] if own.columns else []
    for column, rules in own.columns.items():
        lines += [f"    {json.dumps(column, ensure_ascii=False)}:", "      rules:"]
        lines += [f"        - {rule_yaml(rule)}" for rule in rules]
    if own.rules:
        lines += ["  rules:", *(f"    - {rule_yaml(rule)}" for rule in own.rules)]
    return lines


def _one_line(text: str) -> str:
    return " ".join(text.split())


def share_above(share: float) -> float:
    """Return the smallest share that is greater than ``share``."""
    from math import nextafter

    return nextafter(share, 2.0)


def listed(values: Sequence[Any]) -> str:
    """Return values with commas between them."""
    return ", ".join(map(str, values))
