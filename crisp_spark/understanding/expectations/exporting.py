"""Rules as expectations of Great Expectations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from crisp_spark.errors import SpecError
from crisp_spark.spec import quality as rules
from crisp_spark.spec.columns import quoted
from crisp_spark.spec.quality import BoundRule, Severity
from crisp_spark.spec.sqltext import literal

META = "crisp_spark"
"""Key of an expectation's meta that holds the declared rule."""
QUERY = "unexpected_rows_expectation"
"""The expectation that a query finds no rows."""
KNOWN = "expect_column_proportion_of_non_null_values_to_be_between"
STATISTIC = {
    "mean_between": "expect_column_mean_to_be_between",
    "sum_between": "expect_column_sum_to_be_between",
    "stddev_between": "expect_column_stdev_to_be_between",
    "min_between": "expect_column_min_to_be_between",
    "max_between": "expect_column_max_to_be_between",
}

_SEVERITY = {Severity.WARN: "info", Severity.DROP: "warning", Severity.FAIL: "critical"}
Expectation = tuple[str, dict[str, Any]]
"""Type of an expectation and its arguments."""


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def export_suite(name: str, bound: Sequence[BoundRule], *, as_of: datetime) -> dict[str, Any]:
    """Return the rules as the JSON of a Great Expectations suite.

    Args:
        name: Name of the suite.
        bound: The rules of one source.
        as_of: Moment from which freshness is counted.
    """
    from great_expectations.core import ExpectationSuite

    domain = [configuration(rule, as_of).to_domain_obj() for rule in bound]
    exported: dict[str, Any] = ExpectationSuite(name=name, expectations=domain).to_json_dict()
    return exported


def configuration(bound: BoundRule, as_of: datetime) -> Any:
    """Return a rule as Great Expectations' configuration of an expectation."""
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    kind, arguments = _expectation(bound, as_of)
    rule = bound.rule
    if isinstance(rule, rules.RowRule) and kind != QUERY:
        if rule.mostly < 1:
            arguments["mostly"] = rule.mostly
        if rule.where:
            arguments |= {"row_condition": rule.where, "condition_parser": "spark"}
    return ExpectationConfiguration(
        type=kind,
        kwargs=arguments,
        severity=_SEVERITY[rule.severity],
        meta={
            META: rule.model_dump(mode="json"),
            "name": bound.name,
            "columns": list(bound.columns),
        },
    )


def _expectation(bound: BoundRule, as_of: datetime) -> Expectation:
    rule = bound.rule
    column = {"column": bound.columns[0]} if bound.columns else {}
    match rule:
        case rules.Unique() if len(bound.columns) > 1:
            return "expect_compound_columns_to_be_unique", {
                "column_list": list(bound.columns),
                "ignore_row_if": "any_value_is_missing",
            }
        case rules.Expression():
            return _rows_query(f"NOT ({rule.sql})", rule.where)
        case rules.Relationships():
            name, field = quoted(bound.columns[0]), quoted(rule.field)
            # NOT IN is never true once the list holds a null.
            known = f"(SELECT {field} FROM {rule.to} WHERE {field} IS NOT NULL)"
            return _rows_query(f"{name} IS NOT NULL AND {name} NOT IN {known}", rule.where)
        case rules.Between() if _is_text(rule):
            name = quoted(bound.columns[0])
            return _rows_query(f"NOT ({_within(name, rule)})", rule.where)
        case rules.RowRule():
            kind, arguments = _value_expectation(rule)
            return kind, column | arguments
        case _:
            return _table_expectation(bound, as_of, column)


def _value_expectation(rule: rules.RowRule) -> Expectation:
    """A rule about each value of one column, without the column."""
    plain = {
        "not_null": "expect_column_values_to_not_be_null",
        "unique": "expect_column_values_to_be_unique",
    }
    match rule:
        case rules.AcceptedValues():
            return "expect_column_values_to_be_in_set", {"value_set": list(rule.values)}
        case rules.RejectedValues():
            return "expect_column_values_to_not_be_in_set", {"value_set": list(rule.values)}
        case rules.Between():
            return "expect_column_values_to_be_between", _bounds(rule)
        case rules.Matches():
            way = "not_match" if rule.negate else "match"
            return f"expect_column_values_to_{way}_regex", {"regex": rule.pattern}
        case rules.LengthBetween():
            return "expect_column_value_lengths_to_be_between", _bounds(rule)
        case rules.NotNull() | rules.Unique():
            return plain[rule.kind], {}
        case _:
            raise SpecError(f"quality: no expectation says {type(rule).__name__}")


def _table_expectation(  # noqa: PLR0911  # one case per rule
    bound: BoundRule, as_of: datetime, column: dict[str, Any]
) -> Expectation:
    rule = bound.rule
    match rule:
        case rules.Freshness():
            start = _in_utc(datetime.fromisoformat(rule.as_of) if rule.as_of else as_of)
            oldest = (start - timedelta(days=rule.max_age_days)).isoformat()
            newest = f"max({quoted(bound.columns[0])})"
            # A query, because the library compares moments in the time zone of the process.
            holds = f"coalesce({newest} >= TIMESTAMP {literal(oldest)}, false)"
            return _aggregate_query(newest, holds)
        case rules.RowCount():
            return "expect_table_row_count_to_be_between", _bounds(rule)
        case rules.StatisticBetween() if _is_text(rule):
            name = f"{rule.kind.removesuffix('_between')}({quoted(bound.columns[0])})"
            return _aggregate_query(name, f"({_within(name, rule)})", rule.where)
        case rules.StatisticBetween():
            some = {"row_condition": rule.where, "condition_parser": "spark"} if rule.where else {}
            if rule.kind == "null_fraction_between":
                return KNOWN, column | _known_share(rule) | some
            return STATISTIC[rule.kind], column | _bounds(rule) | some
        case rules.QuantileBetween():
            ranges = {"quantiles": [rule.quantile], "value_ranges": [[rule.min, rule.max]]}
            return "expect_column_quantile_values_to_be_between", column | {
                "quantile_ranges": ranges,
                "allow_relative_error": 0.0 if rule.exact else 1e-4,
            }
        case rules.DistinctCountBetween():
            return "expect_column_unique_value_count_to_be_between", column | _bounds(rule)
        case rules.SchemaIs():
            names = list(rule.columns)
            if rule.ordered and rule.exact:
                return "expect_table_columns_to_match_ordered_list", {"column_list": names}
            return "expect_table_columns_to_match_set", {
                "column_set": names,
                "exact_match": rule.exact,
            }
        case _:  # every rule about rows was taken before
            raise SpecError(f"{bound.place}: no expectation says {rule.kind!r}")


def _known_share(rule: rules.StatisticBetween) -> dict[str, Any]:
    """A share of missing values as the share of known ones: the ends change places."""
    ends = {
        "min_value": None if rule.max is None else float(f"{1 - float(rule.max):.12g}"),
        "max_value": None if rule.min is None else float(f"{1 - float(rule.min):.12g}"),
        "strict_min": rule.strict_max or None,
        "strict_max": rule.strict_min or None,
    }
    return {name: value for name, value in ends.items() if value is not None}


def _is_text(rule: Any) -> bool:
    """Say whether bounds are plain texts, which the library refuses."""
    for bound in (rule.min, rule.max):
        if isinstance(bound, str):
            try:
                datetime.fromisoformat(bound)
            except ValueError:
                return True
    return False


def _within(name: str, rule: Any) -> str:
    parts = []
    if rule.min is not None:
        parts.append(f"{name} {'>' if rule.strict_min else '>='} {literal(rule.min)}")
    if rule.max is not None:
        parts.append(f"{name} {'<' if rule.strict_max else '<='} {literal(rule.max)}")
    return " AND ".join(parts)


def _bounds(rule: Any) -> dict[str, Any]:
    found = {"min_value": rule.min, "max_value": rule.max}
    if getattr(rule, "strict_min", False):
        found["strict_min"] = True
    if getattr(rule, "strict_max", False):
        found["strict_max"] = True
    return {name: value for name, value in found.items() if value is not None}


def _rows_query(failing: str, where: str) -> Expectation:
    condition = f"({where}) AND ({failing})" if where else failing
    # The SQL is the project's own, and it is only shown here, never run.
    query = "SELECT * FROM {batch} WHERE " + condition
    return QUERY, {"unexpected_rows_query": query}


def _aggregate_query(observed: str, holds: str, where: str = "") -> Expectation:
    rows = "{batch}" + (f" WHERE {where}" if where else "")
    query = f"SELECT {observed} AS observed FROM {rows} HAVING NOT {holds}"
    return QUERY, {"unexpected_rows_query": query}
