"""Glue DQDL rulesets as rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from crisp_spark.spec.columns import quoted
from crisp_spark.understanding.exchange.carried import ImportedRules, NoEqualError
from crisp_spark.understanding.exchange.dqdl_ranges import count_range, share_range, value_range
from crisp_spark.understanding.exchange.dqdl_text import parse_dqdl
from crisp_spark.understanding.exchange.dqdl_values import (
    Placed,
    freshness_rules,
    length_rules,
    mostly_of,
    others_than_known,
    value_rules,
)
from crisp_spark.understanding.exchange.dqdl_words import DqdlRule, Formula, Test

_STATISTICS = {"Mean": "mean", "Sum": "sum", "StandardDeviation": "stddev"}
_USUAL = {
    "RowCount": "row_count",
    "DistinctValuesCount": "distinct_count",
    **_STATISTICS,
}
_TYPES = {
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "integer": "INT",
    "long": "BIGINT",
    "double": "DOUBLE",
    "float": "FLOAT",
}
_WITHOUT_WHERE = ("row_count", "distinct_count_between", "schema", "as_usual")
_RANGES = ("between", "row_count")
_UNIQUE = re.compile(
    r"^SELECT count\(\*\) FROM \(SELECT 1 FROM primary WHERE (?P<where>.+) GROUP BY (?P<keys>.+)"
    r" HAVING count\(\*\) > 1\)$",
    re.DOTALL,
)
_NEWEST = re.compile(
    r"^SELECT count\(\*\) FROM \(SELECT max\((?P<column>`(?:[^`]|``)+`)\) AS newest FROM primary\)"
    r" WHERE newest >= current_timestamp\(\) - INTERVAL (?P<seconds>\d+) SECONDS$"
)
_NAME = re.compile(r"`((?:[^`]|``)+)`")
_AVERAGE = r"(?P<how>median|avg)\(\s*last\(\s*(?P<runs>\d+)\s*\)\s*\)"
_FACTOR = r"(?P<factor>\d+(?:\.\d+)?)"
_TIMES = re.compile(rf"^(?:{_AVERAGE}\s*\*\s*{_FACTOR})$")
_TIMES_BACK = re.compile(rf"^(?:{_FACTOR}\s*\*\s*{_AVERAGE})$")
_COUNT_OF_ROWS = re.compile(
    r"^\s*SELECT\s+COUNT\(\s*(?:\*|1)\s*\)\s+FROM\s+primary(?:\s+WHERE\s+(?P<where>.+?))?\s*;?\s*$",
    re.IGNORECASE | re.DOTALL,
)
_ROWS = re.compile(
    r"^\s*SELECT\s+[^()]+?\s+FROM\s+primary\s+WHERE\s+(?P<where>.+?)\s*;?\s*$",
    re.IGNORECASE | re.DOTALL,
)
_ONE_NUMBER = re.compile(
    r"^\s*SELECT\s+(?P<how>avg|sum|min|max|stddev|stddev_samp)\(\s*(?P<column>`[^`]+`|\w+)\s*\)"
    r"\s+FROM\s+primary(?:\s+WHERE\s+(?P<where>.+?))?\s*;?\s*$",
    re.IGNORECASE | re.DOTALL,
)


def import_dqdl(text: str, source: str) -> ImportedRules:
    """Turn a DQDL ruleset into rules of a source.

    DQDL counts a missing value against most rules about values; rules of a project leave it to
    ``not_null``. So a ``not_null`` comes along wherever DQDL lets a missing value fail.

    Raises:
        SpecError: It is no ruleset; the message names the line.
    """
    ruleset = parse_dqdl(text)
    found = ImportedRules()
    own = found.source(source)
    for rule in ruleset.rules:
        try:
            for column, said in _carry(rule, found):
                own.add(column, said)
        except NoEqualError as error:
            found.left_out.append(f"{rule.text}: {error}")
    for name, items in ruleset.others.items():
        what = "labels are not kept" if name == "DefaultLabels" else f"{items} analyzers"
        found.left_out.append(f"{name}: {what}; only rules are carried over")
    return found


def _carry(rule: DqdlRule, found: ImportedRules) -> list[Placed]:
    if rule.labels:
        found.differences.append(f"{rule.text}: labels are not kept")
    if rule.joined == "or":
        raise NoEqualError("rules joined by or")
    if rule.joined:
        return _merged([placed for part in rule.parts for placed in _carry(part, found)])
    carry = _KINDS.get(rule.kind)
    if carry is None:
        raise NoEqualError("no rule says this")
    placed = _usual(rule, found) or carry(rule, found)
    where = others_than_known(rule)
    if where:
        for _, said in placed:
            if said["kind"] in _WITHOUT_WHERE:
                raise NoEqualError(f"{said['kind']} takes no where")
            said["where"] = where
    return placed


def _merged(placed: list[Placed]) -> list[Placed]:
    """Two ends of one range are one rule, and so are columns that must exist."""
    if len(placed) > 1 and all(said["kind"] == "schema" for _, said in placed):
        names = [name for _, said in placed for name in said["columns"]]
        return [("", {"kind": "schema", "columns": names})]
    if len(placed) != 2:  # noqa: PLR2004
        return placed
    (column, first), (other, second) = placed
    if (first["kind"], second["kind"]) == ("not_null", "null_fraction_between"):
        known = float(first.get("mostly", 1.0))
        first = {"kind": second["kind"], "max": float(f"{1 - known:.12g}")}
    ends = {"min", "max", "strict_min", "strict_max"}
    told = {name: value for name, value in first.items() if name not in ends}
    same = column == other and told == {k: v for k, v in second.items() if k not in ends}
    if same and not set(first) & set(second) & ends and first["kind"].endswith(_RANGES):
        return [(column, first | second)]
    return placed


def _column(rule: DqdlRule) -> str:
    if len(rule.parameters) != 1:
        raise NoEqualError(f"needs one column, got {len(rule.parameters)}")
    return rule.parameters[0]


def _test(rule: DqdlRule) -> Test:
    if rule.test is None:
        raise NoEqualError("has no expression")
    if any(isinstance(value, Formula) for value in rule.test.values):
        raise NoEqualError("compares with earlier runs in a way that as_usual does not")
    return rule.test


def _usual(rule: DqdlRule, found: ImportedRules) -> list[Placed]:
    """``between 0.8 * median(last(7)) and 1.2 * median(last(7))``."""
    test, metric = rule.test, _USUAL.get(rule.kind)
    if metric is None or test is None or test.operator != "between":
        return []
    ends = [
        _TIMES.match(value.text) or _TIMES_BACK.match(value.text)
        for value in test.values
        if isinstance(value, Formula)
    ]
    low, high = [*ends, None, None][:2]
    if low is None or high is None or low.groupdict()["runs"] != high["runs"]:
        return []
    below, above = 1 - float(low["factor"]), float(high["factor"]) - 1
    if below <= 0 or abs(below - above) > 1e-9:  # noqa: PLR2004  # decimal fractions
        return []
    found.differences.append(
        f"{rule.text}: the median of the last {low['runs']} runs is taken, and the rule is unknown"
        " until there are 3"
    )
    column = rule.parameters[0] if rule.parameters else ""
    within = float(f"{below:.12g}")
    return [
        (column, {"kind": "as_usual", "metric": metric, "within": within, "runs": int(low["runs"])})
    ]


def _complete(rule: DqdlRule, _: ImportedRules) -> list[Placed]:
    return [(_column(rule), {"kind": "not_null"})]


def _completeness(rule: DqdlRule, _: ImportedRules) -> list[Placed]:
    column, test = _column(rule), _test(rule)
    if test.operator in {">", ">=", "="} and (test.operator != "=" or float(test.values[0]) == 1):
        return [(column, {"kind": "not_null", "mostly": mostly_of(test)})]
    low, high, strict = share_range(test)
    # A share of known values turned round: the ends change places.
    said: dict[str, Any] = {"kind": "null_fraction_between"}
    for end, share in (("min", high), ("max", low)):
        if share is not None:
            said[end] = float(f"{1 - share:.12g}")
            said |= {f"strict_{end}": True} if strict else {}
    return [(column, said)]


def _unique(rule: DqdlRule, _: ImportedRules) -> list[Placed]:
    return [_unique_rule(rule.parameters)]


def _unique_rule(columns: Sequence[str]) -> Placed:
    if not columns:
        raise NoEqualError("names no column")
    if len(columns) == 1:
        return columns[0], {"kind": "unique"}
    return "", {"kind": "unique", "columns": list(columns)}


def _uniqueness(rule: DqdlRule, _: ImportedRules) -> list[Placed]:
    column, said = _unique_rule(rule.parameters)
    return [(column, said | {"mostly": mostly_of(_test(rule))})]


def _primary_key(rule: DqdlRule, _: ImportedRules) -> list[Placed]:
    known = [(column, {"kind": "not_null"}) for column in rule.parameters]
    return [*known, _unique_rule(rule.parameters)]


def _row_count(rule: DqdlRule, _: ImportedRules) -> list[Placed]:
    return [("", {"kind": "row_count", **count_range(_test(rule))})]


def _distinct(rule: DqdlRule, _: ImportedRules) -> list[Placed]:
    return [(_column(rule), {"kind": "distinct_count_between", **count_range(_test(rule))})]


def _statistic(rule: DqdlRule, found: ImportedRules) -> list[Placed]:
    if rule.kind == "StandardDeviation":
        found.differences.append(f"{rule.text}: ours is that of a sample (n - 1)")
    kind = f"{_STATISTICS[rule.kind]}_between"
    return [(_column(rule), {"kind": kind, **value_range(_test(rule))})]


def _exists(rule: DqdlRule, _: ImportedRules) -> list[Placed]:
    return [("", {"kind": "schema", "columns": [_column(rule)]})]


def _data_type(rule: DqdlRule, found: ImportedRules) -> list[Placed]:
    column, test = _column(rule), _test(rule)
    kind = _TYPES.get(str(test.values[0]).lower())
    if kind is None or test.operator != "=":
        raise NoEqualError(f"type {test.values[0]!r} with {test.operator} is not known")
    found.differences.append(f"{rule.text}: a value fits when Spark can cast it to {kind}")
    name = quoted(column)
    said = {"kind": "expression", "column": column, "mostly": mostly_of(rule.threshold)}
    return [(column, said | {"sql": f"{name} IS NULL OR try_cast({name} AS {kind}) IS NOT NULL"})]


def _reference(rule: DqdlRule, found: ImportedRules) -> list[Placed]:
    if len(rule.parameters) != 2:  # noqa: PLR2004
        raise NoEqualError("needs columns and a reference")
    column, reference = rule.parameters
    to, _, field = reference.partition(".")
    field = field.strip("{} ")
    if "," in column or "," in field:
        raise NoEqualError("several columns; relationships take one")
    found.differences.append(f"{rule.text}: {to!r} must be a source; missing values are not judged")
    said = {"kind": "relationships", "to": to, "field": field, "mostly": mostly_of(_test(rule))}
    return [(column, said)]


def _written_here(sql: str, test: Test | None) -> list[Placed]:
    """The queries that an export of our own rules writes."""
    unique, newest = _UNIQUE.match(sql), _NEWEST.match(sql)
    if unique and test == Test("=", (0,)):
        names = _names(unique["keys"])
        known = " AND ".join(f"{quoted(name)} IS NOT NULL" for name in names)
        rest = unique["where"].removeprefix(known).removeprefix(" AND (").removesuffix(")")
        column, said = _unique_rule(names)
        return [(column, said | ({"where": rest} if rest else {}))]
    if newest and test == Test("=", (1,)):
        days = int(newest["seconds"]) / 86400
        return [(_names(newest["column"])[0], {"kind": "freshness", "max_age_days": days})]
    return []


def _names(sql: str) -> list[str]:
    return [name.replace("``", "`") for name in _NAME.findall(sql)]


def _negated(condition: str) -> str:
    """The opposite of a condition; of ``NOT (...)`` what stands inside."""
    inside = condition[5:-1] if condition.startswith("NOT (") and condition.endswith(")") else ""
    depth = 0
    for sign in inside:
        depth += (sign == "(") - (sign == ")")
        if depth < 0:
            return f"NOT ({condition})"
    return inside or f"NOT ({condition})"


def _custom(rule: DqdlRule, found: ImportedRules) -> list[Placed]:
    sql = _column(rule)
    if own := _written_here(sql, rule.test):
        return own
    counted, number, rows = _COUNT_OF_ROWS.match(sql), _ONE_NUMBER.match(sql), _ROWS.match(sql)
    if counted and not counted["where"]:
        return _row_count(rule, found)
    if counted:
        test = _test(rule)
        if test != Test("=", (0,)) and test != Test("=", (0.0,)):
            raise NoEqualError("only a count of rows that is 0 says something about each row")
        return [("", {"kind": "expression", "sql": _negated(counted["where"])})]
    if number:
        how = {"avg": "mean", "stddev_samp": "stddev"}.get(number["how"].lower())
        kind = f"{how or number['how'].lower()}_between"
        said = {"kind": kind, **value_range(_test(rule)), "where": number["where"] or ""}
        return [(number["column"].strip("`"), said)]
    if rows and rule.test is None:
        said = {"kind": "expression", "sql": f"coalesce({rows['where']}, false)"}
        return [("", said | {"mostly": mostly_of(rule.threshold)})]
    raise NoEqualError("its query is more than a condition, a count or one statistic of primary")


_KINDS: dict[str, Callable[[DqdlRule, ImportedRules], list[Placed]]] = {
    "IsComplete": _complete,
    "Completeness": _completeness,
    "IsUnique": _unique,
    "Uniqueness": _uniqueness,
    "IsPrimaryKey": _primary_key,
    "ColumnValues": value_rules,
    "ColumnLength": length_rules,
    "RowCount": _row_count,
    "DistinctValuesCount": _distinct,
    **dict.fromkeys(_STATISTICS, _statistic),
    "ColumnExists": _exists,
    "ColumnDataType": _data_type,
    "DataFreshness": freshness_rules,
    "ReferentialIntegrity": _reference,
    "CustomSql": _custom,
    "CustomSQL": _custom,
}
