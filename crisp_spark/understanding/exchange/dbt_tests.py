"""Which rules say what a dbt test says: dbt's own four, dbt_utils and dbt_expectations."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from crisp_spark.spec.columns import quoted
from crisp_spark.understanding.exchange.carried import NoEqualError
from crisp_spark.understanding.expectations.equals import NoEqualError as NoExpectationError
from crisp_spark.understanding.expectations.equals import rule_saying

Said = tuple[str, dict[str, Any], str]
"""A column (empty: the table), a rule, and where it differs (empty: nowhere)."""

_REFERENCE = re.compile(r"""^\s*(?:\{\{)?\s*(?:ref|source)\((?P<names>[^)]*)\)\s*(?:\}\})?\s*$""")
_TEXT = re.compile(r"^\s*(?:date|timestamp)?\s*'(?P<text>(?:[^']|'')*)'\s*$", re.IGNORECASE)
_DAYS = {"minute": 1 / 1440, "hour": 1 / 24, "day": 1, "week": 7}
_RENAMED = {
    "expect_table_columns_to_contain_set": "expect_table_columns_to_match_set",
}


@dataclass(frozen=True)
class Test:
    """One test as it stands in a ``schema.yml``.

    Attributes:
        place: Where it stands.
        name: Its name, such as ``dbt_utils.accepted_range``.
        column: Column it stands under; empty below a model.
        arguments: What it is called with.
        config: Severity, condition and the like.
        given: Name that the file gives it.
        fault: Why it is no test.
    """

    place: str
    name: str
    column: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    given: str = ""
    fault: str = ""

    def argument(self, name: str) -> Any:
        """Return an argument that must be there."""
        if self.arguments.get(name) is None:
            raise NoEqualError(f"has no {name}")
        return self.arguments[name]

    @property
    def subject(self) -> str:
        """The column it is about."""
        name = self.column or str(self.arguments.get("column_name", ""))
        if not name:
            raise NoEqualError("names no column")
        return name


def rules_of(test: Test) -> list[Said]:
    """Return the rules that say what a test says.

    Raises:
        NoEqualError: No rule says it.
    """
    package, _, short = test.name.rpartition(".")
    if package == "dbt_expectations":
        return _expectation(test, short)
    said = (_OWN if not package or package == "dbt" else _UTILS).get(short)
    if said is None or (package and package not in {"dbt", "dbt_utils"}):
        raise NoEqualError("no rule says this")
    return said(test)


def _here(test: Test, rule: dict[str, Any], difference: str = "") -> list[Said]:
    return [(test.subject, rule, difference)]


# dbt's own tests.


def _accepted(test: Test) -> list[Said]:
    return _here(test, {"kind": "accepted_values", "values": list(test.argument("values"))})


def _relationship(test: Test) -> list[Said]:
    match = _REFERENCE.match(str(test.argument("to")))
    if match is None:
        raise NoEqualError(f"cannot read to: {test.argument('to')!r}")
    to = match["names"].split(",")[-1].strip().strip("'\"")
    if test.arguments.get("to_condition") not in {None, "1=1"}:
        raise NoEqualError("a condition on the other table (to_condition)")
    rule = {"kind": "relationships", "to": to, "field": str(test.argument("field"))}
    where = test.arguments.get("from_condition")
    rule |= {"where": str(where)} if where and where != "1=1" else {}
    return _here(test, rule, f"{to!r} must be a source of the project")


_OWN: dict[str, Callable[[Test], list[Said]]] = {
    "not_null": lambda test: _here(test, {"kind": "not_null"}),
    "unique": lambda test: _here(test, {"kind": "unique"}),
    "accepted_values": _accepted,
    "relationships": _relationship,
}


# dbt_utils.


def _bound(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    match = _TEXT.match(value)
    if match is None:
        try:
            return float(value) if set(value) & set(".eE") else int(value)
        except ValueError as error:
            raise NoEqualError(f"its bound {value!r} is SQL, not a value") from error
    return match["text"].replace("''", "'")


def _range(test: Test) -> list[Said]:
    bounds = {
        end: _bound(test.arguments.get(name))
        for end, name in (("min", "min_value"), ("max", "max_value"))
        if test.arguments.get(name) is not None
    }
    strict = {f"strict_{end}": True for end in bounds if test.arguments.get("inclusive") is False}
    return _here(test, {"kind": "between", **bounds, **strict})


def _combination(test: Test) -> list[Said]:
    columns = list(test.argument("combination_of_columns"))
    rule: dict[str, Any] = {"kind": "unique", "columns": columns}
    return [("", rule, "rows with a missing part are not compared here; dbt compares them")]


def _condition(test: Test) -> list[Said]:
    sql = str(test.argument("expression"))
    rule: dict[str, Any] = {"kind": "expression"}
    rule["sql"] = f"{quoted(test.column)} {sql}" if test.column else sql
    return [(test.column, rule, "")]


def _proportion(test: Test) -> list[Said]:
    low, high = float(test.argument("at_least")), float(test.arguments.get("at_most", 1.0))
    if high >= 1 and low > 0:
        return _here(test, {"kind": "not_null", "mostly": low})
    ends = {"min": float(f"{1 - high:.12g}"), "max": float(f"{1 - low:.12g}")}
    return _here(test, {"kind": "null_fraction_between", **ends})


def _recency(test: Test) -> list[Said]:
    part = str(test.argument("datepart")).lower()
    if part not in _DAYS:
        raise NoEqualError(f"ages in {part}s")
    age = _DAYS[part] * float(test.argument("interval"))
    column = test.column or str(test.arguments.get("field") or test.arguments.get("column_name"))
    return [(column, {"kind": "freshness", "max_age_days": age}, "counted from the run's start")]


def _distinct_at_least(least: int, difference: str = "") -> Callable[[Test], list[Said]]:
    rule = {"kind": "distinct_count_between", "min": least}
    return lambda test: _here(test, dict(rule), difference)


_UTILS: dict[str, Callable[[Test], list[Said]]] = {
    "accepted_range": _range,
    "unique_combination_of_columns": _combination,
    "expression_is_true": _condition,
    "not_null_proportion": _proportion,
    "recency": _recency,
    "relationships_where": _relationship,
    "at_least_one": _distinct_at_least(1),
    "not_constant": _distinct_at_least(2, "a column without any value fails here"),
    "not_accepted_values": lambda test: _here(
        test, {"kind": "rejected_values", "values": list(test.argument("values"))}
    ),
    "not_empty_string": lambda test: _here(
        test,
        {
            "kind": "expression",
            "sql": f"{_trimmed(test)} <> ''",
        },
    ),
}


def _trimmed(test: Test) -> str:
    name = quoted(test.subject)
    return name if test.arguments.get("trim_whitespace") is False else f"trim({name})"


# dbt_expectations.


def _expectation(test: Test, short: str) -> list[Said]:
    kind = short.lower()
    arguments = dict(test.arguments)
    where = arguments.pop("row_condition", None)
    if arguments.pop("strictly", False):
        arguments |= {"strict_min": True, "strict_max": True}
    for name in ("group_by", "compare_group_by", "flags", "is_raw", "date_filter_crit"):
        if arguments.pop(name, None):
            raise NoEqualError(f"with {name}")
    if test.column:
        arguments["column"] = test.column
    if "column_name" in arguments:
        arguments.setdefault("column", arguments.pop("column_name"))
    rule = _saying(test, kind, arguments)
    if where:
        rule["where"] = str(where)
    return [(str(arguments.get("column") or ""), rule, "")]


def _saying(test: Test, kind: str, arguments: dict[str, Any]) -> dict[str, Any]:
    if kind.startswith("expect_table_columns_to_") and kind.endswith("_set"):
        arguments["column_set"] = test.argument("column_list")
        arguments["exact_match"] = "contain" not in kind
    match kind:
        case "expression_is_true":
            return {"kind": "expression", "sql": str(test.argument("expression"))}
        case "expect_row_values_to_have_recent_data":
            return _recency(test)[0][1]
        case "expect_column_quantile_values_to_be_between":
            ends = {"min": arguments.get("min_value"), "max": arguments.get("max_value")}
            return {"kind": "quantile_between", "quantile": test.argument("quantile"), **ends}
        case "expect_column_values_to_be_between":
            arguments |= {
                name: _bound(arguments[name])
                for name in ("min_value", "max_value")
                if name in arguments
            }
        case "expect_column_values_to_be_of_type":
            arguments["type_"] = str(test.argument("column_type")).lower()
    try:
        return rule_saying(_RENAMED.get(kind, kind), arguments)
    except NoExpectationError as error:
        raise NoEqualError(str(error)) from error
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise NoEqualError(f"its arguments cannot be read ({error!r})") from error
