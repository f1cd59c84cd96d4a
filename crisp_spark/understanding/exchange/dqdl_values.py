"""DQDL's rules about each value of a column: values, lengths, ages."""

from __future__ import annotations

from typing import Any

from crisp_spark.spec.columns import quoted
from crisp_spark.spec.sqltext import literal
from crisp_spark.understanding.exchange.carried import ImportedRules, NoEqualError, share_above
from crisp_spark.understanding.exchange.dqdl_ranges import count_range, value_range
from crisp_spark.understanding.exchange.dqdl_words import Age, DqdlRule, Formula, Keyword, Test

Placed = tuple[str, dict[str, Any]]
"""A column (empty: the table) and a rule."""

_NULL = Keyword.NULL
_SECONDS = 86400


def mostly_of(test: Test | None) -> float:
    """Return the smallest share of passing rows that a test of the share allows.

    Raises:
        NoEqualError: The share has an upper bound, or every share passes.
    """
    if test is None:
        return 1.0
    try:
        share = float(test.values[0])
    except (TypeError, ValueError) as error:
        raise NoEqualError(f"{test.values[0]!r} is no share") from error
    if test.operator == "=" and share == 1:
        return 1.0
    if test.operator == ">" and 0 <= share < 1:
        return share_above(share)
    if test.operator == ">=" and 0 < share <= 1:
        return share
    if test.operator == ">=" and share <= 0:
        raise NoEqualError("every share passes")
    raise NoEqualError(f"a share that is {test.operator} {', '.join(map(str, test.values))}")


def value_rules(rule: DqdlRule, found: ImportedRules) -> list[Placed]:
    """``ColumnValues``: a missing value fails, but under ``!=`` and ``not in``."""
    column, test = _one(rule)
    if any(isinstance(value, Age) for value in test.values):
        found.differences.append(f"{rule.text}: now is the moment at which Spark judges the rule")
    only_known = _only_known(rule)
    if only_known and _NULL not in test.values:
        return [(column, _plain(column, test) | {"mostly": mostly_of(rule.threshold)})]
    if rule.threshold is not None:
        sql = f"coalesce({_sql(column, test)}, {_unknown(test)})"
        said = {"kind": "expression", "sql": sql, "mostly": mostly_of(rule.threshold)}
        return [(column, said)]
    known: list[Placed] = [] if _null_passes(test) else [(column, {"kind": "not_null"})]
    if test.operator in {"=", "in"} and test.values == (_NULL,):
        return [(column, {"kind": "expression", "sql": f"{quoted(column)} IS NULL"})]
    if test.operator in {"!=", "not in"} and test.values == (_NULL,):
        return known
    return [*known, (column, _plain(column, test))]


def others_than_known(rule: DqdlRule) -> str:
    """Return the rule's condition without the part that leaves out missing values."""
    if not _only_known(rule):
        return rule.where
    rest = rule.where.removeprefix(_known(rule.parameters[0]))
    return rest.removeprefix(" AND (").removesuffix(")") if rest else ""


def _only_known(rule: DqdlRule) -> bool:
    """Say whether the condition leaves out missing values, as an exported rule's does."""
    if len(rule.parameters) != 1 or rule.kind not in {"ColumnValues", "ColumnLength"}:
        return False
    rest = rule.where.removeprefix(_known(rule.parameters[0]))
    own = rest != rule.where
    return own and (not rest or (rest.startswith(" AND (") and rest.endswith(")")))


def _known(column: str) -> str:
    return f"{quoted(column)} IS NOT NULL"


def _one(rule: DqdlRule) -> tuple[str, Test]:
    if len(rule.parameters) != 1:
        raise NoEqualError(f"needs one column, got {len(rule.parameters)}")
    if rule.test is None:
        raise NoEqualError("has no expression")
    if any(isinstance(value, Formula) for value in rule.test.values):
        raise NoEqualError("compares with earlier runs")
    return rule.parameters[0], rule.test


def _null_passes(test: Test) -> bool:
    listed = _NULL in test.values
    negative = test.operator in {"!=", "not in"}
    return negative != listed if test.operator in {"=", "!=", "in", "not in"} else False


def _unknown(test: Test) -> str:
    return "true" if _null_passes(test) else "false"


def _plain(column: str, test: Test) -> dict[str, Any]:
    """The rule that speaks of known values only."""
    values = [value for value in test.values if value != _NULL]
    special = Keyword.WHITESPACES_ONLY in values
    aged = any(isinstance(value, Age) for value in values)
    if special or aged or test.operator == "not between":
        return {"kind": "expression", "sql": _sql(column, test)}
    plain = ["" if isinstance(value, Keyword) else value for value in values]
    match test.operator:
        case "=" | "in":
            return {"kind": "accepted_values", "values": plain}
        case "!=" | "not in":
            return {"kind": "rejected_values", "values": plain}
        case "matches":
            return {"kind": "matches", "pattern": str(plain[0])}
        case "not matches":
            return {"kind": "matches", "pattern": str(plain[0]), "negate": True}
        case _:
            return {"kind": "between", **value_range(test)}


def _sql(column: str, test: Test) -> str:
    name = quoted(column)
    shown = [_operand(value) for value in test.values if not isinstance(value, Keyword)]
    match test.operator:
        case "between":
            return f"{name} > {shown[0]} AND {name} < {shown[1]}"
        case "not between":
            return f"{name} <= {shown[0]} OR {name} >= {shown[1]}"
        case "matches" | "not matches":
            said = f"{name} RLIKE {shown[0]}"
            return said if test.operator == "matches" else f"NOT ({said})"
        case "=" | "in" | "!=" | "not in":
            said = " OR ".join(_alternatives(name, test, shown))
            return said if test.operator in {"=", "in"} else f"NOT ({said})"
        case _:
            return f"{name} {test.operator} {shown[0]}"


def _alternatives(name: str, test: Test, shown: list[str]) -> list[str]:
    special = {
        Keyword.NULL: f"{name} IS NULL",
        Keyword.EMPTY: f"{name} = ''",
        Keyword.WHITESPACES_ONLY: f"{name} RLIKE '^\\\\s+$'",
    }
    parts = [f"{name} IN ({', '.join(shown)})"] if shown else []
    return parts + [special[value] for value in test.values if isinstance(value, Keyword)]


def _operand(value: Any) -> str:
    if isinstance(value, Age):
        return f"current_timestamp() - INTERVAL {round(value.days * _SECONDS)} SECONDS"
    return literal(value)


def length_rules(rule: DqdlRule, _: ImportedRules) -> list[Placed]:
    """``ColumnLength``: a missing value counts as an empty text."""
    column, test = _one(rule)
    if rule.threshold is None and test.operator not in {"!=", "in", "not in", "not between"}:
        bounds = count_range(test)
        open_ended = bounds.get("min") and not _only_known(rule)
        known: list[Placed] = [(column, {"kind": "not_null"})] if open_ended else []
        return [*known, (column, {"kind": "length_between", **bounds})]
    sql = _sql("length", test).replace("`length`", f"length(coalesce({quoted(column)}, ''))")
    return [(column, {"kind": "expression", "sql": sql, "mostly": mostly_of(rule.threshold)})]


def freshness_rules(rule: DqdlRule, found: ImportedRules) -> list[Placed]:
    """``DataFreshness``: the age of every row, not only of the newest; a missing date fails."""
    column, test = _one(rule)
    if not all(isinstance(value, Age) for value in test.values):
        raise NoEqualError("its ages need a unit: hours or days")
    turned = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "between": "between"}
    if test.operator not in turned:
        raise NoEqualError(f"{test.operator} is no range of ages")
    found.differences.append(
        f"{rule.text}: it speaks of every row, as in DQDL, and now is the moment at which Spark"
        " judges it; a freshness rule looks at the newest row only"
    )
    # An older row lies further before now, so the comparison turns round.
    moments = Test(turned[test.operator], tuple(reversed(test.values)))
    sql = f"coalesce({_sql(column, moments)}, false)"
    return [(column, {"kind": "expression", "sql": sql, "mostly": mostly_of(rule.threshold)})]
