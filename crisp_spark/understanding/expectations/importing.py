"""Suites of Great Expectations as rules; what has no equal is named, never skipped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from crisp_spark.errors import SpecError
from crisp_spark.spec.quality import RuleSpec
from crisp_spark.understanding.expectations.equals import NoEqualError, rule_saying
from crisp_spark.understanding.expectations.exporting import META
from crisp_spark.understanding.rule_yaml import rules_yaml

_SEVERITY_BACK = {"info": "warn", "warning": "warn", "critical": "fail"}
_RULE: TypeAdapter[Any] = TypeAdapter(RuleSpec)


@dataclass(frozen=True)
class ImportedSuite:
    """A suite turned into rules.

    Attributes:
        columns: Column to its rules, ready to stand in the project file.
        rules: Rules of the table.
        left_out: Expectations that no rule says, each with the reason; nothing is dropped silently.
    """

    columns: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    rules: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def as_yaml(self) -> str:
        """Return the rules as they stand under a source in the project file."""
        left_out = "".join(f"# left out: {reason}\n" for reason in self.left_out)
        return rules_yaml(self.columns, self.rules) + left_out


def import_suite(suite: Mapping[str, Any]) -> ImportedSuite:
    """Turn a Great Expectations suite (its JSON) into rules.

    Raises:
        SpecError: It is no suite.
    """
    expectations = suite.get("expectations")
    if not isinstance(expectations, list):
        raise SpecError(
            "suite: no list of expectations, got keys " + ", ".join(sorted(map(str, suite))),
            hint="give the JSON of an expectation suite",
        )
    found = ImportedSuite()
    for number, expectation in enumerate(expectations):
        kind = expectation.get("type") or expectation.get("expectation_type", "")
        try:
            column, rule = _imported(kind, expectation)
        except NoEqualError as error:
            found.left_out.append(f"expectations[{number}] {kind}: {error}")
            continue
        if column:
            rule.pop("column", None)
            found.columns.setdefault(column, []).append(rule)
        else:
            found.rules.append(rule)
    return found


def _imported(kind: str, expectation: Mapping[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """The column (None: the table) and the rule that an expectation stands for."""
    arguments = dict(expectation.get("kwargs") or {})
    meta = expectation.get("meta") or {}
    own = meta.get(META)
    named = meta.get("columns") or []
    if own:
        column = named[0] if len(named) == 1 else None
        return column, {name: value for name, value in own.items() if value not in (None, "")}
    try:
        rule = rule_saying(kind, arguments)
    except (KeyError, TypeError, IndexError) as error:
        raise NoEqualError(f"its arguments cannot be read ({error!r})") from error
    if rule["kind"] != "schema":
        rule |= _row_details(kind, arguments)
    rule["severity"] = _SEVERITY_BACK.get(str(expectation.get("severity", "")), "warn")
    try:
        _RULE.validate_python(rule)
    except ValidationError as error:
        raise NoEqualError(error.errors()[0]["msg"]) from error
    column = None if rule["kind"] in {"schema", "row_count"} else arguments.get("column")
    return column, {name: value for name, value in rule.items() if value not in (None, "")}


def _row_details(kind: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    details: dict[str, Any] = {}
    mostly = arguments.get("mostly")
    if mostly == 0:
        raise NoEqualError("mostly is 0: it always holds")
    if "column_values" in kind or "value_lengths" in kind or mostly is not None:
        details["mostly"] = mostly or 1.0
    condition = arguments.get("row_condition")
    if isinstance(condition, Mapping):
        if condition.get("type") != "pass_through":
            raise NoEqualError("its row condition is not Spark SQL")
        condition = condition.get("pass_through_filter")
    if condition:
        if arguments.get("condition_parser", "spark") != "spark":
            raise NoEqualError("its row condition is not Spark SQL")
        details["where"] = condition
    return details
