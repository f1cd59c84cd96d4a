"""Which rule says the same as an expectation of Great Expectations."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from crisp_spark.spec.columns import quoted
from crisp_spark.spec.sqltext import literal
from crisp_spark.understanding.expectations.exporting import KNOWN, QUERY, STATISTIC

_SELECTION = re.compile(
    r"^\s*SELECT\s+\*\s+FROM\s+\{batch\}\s+WHERE\s+(?P<condition>.+?)\s*;?\s*$",
    re.IGNORECASE | re.DOTALL,
)
_TYPES = {
    "StringType": "string",
    "IntegerType": "int",
    "LongType": "bigint",
    "ShortType": "smallint",
    "ByteType": "tinyint",
    "DoubleType": "double",
    "FloatType": "float",
    "BooleanType": "boolean",
    "DateType": "date",
    "TimestampType": "timestamp",
    "BinaryType": "binary",
}


class NoEqualError(Exception):
    """No rule says what an expectation says."""


def rule_saying(kind: str, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rule, tagged by kind, that says the same as an expectation.

    Args:
        kind: Type of the expectation.
        kwargs: Its arguments.

    Raises:
        NoEqualError: No rule says it.
    """
    for name, value in kwargs.items():
        if isinstance(value, Mapping) and "$PARAMETER" in value:
            raise NoEqualError(f"{name} is a suite parameter, which rules do not know")
    simple = _SIMPLE.get(kind)
    if simple is not None:
        return simple(kwargs)
    for rule, name in STATISTIC.items():
        if kind == name:
            return {"kind": rule, **_ends(kwargs)}
    condition = _CONDITIONS.get(kind)
    if condition is not None:
        return {"kind": "expression", "sql": condition(kwargs)}
    raise NoEqualError("no rule says this")


def _ends(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    names = {"min_value": "min", "max_value": "max"}
    found = {new: kwargs[old] for old, new in names.items() if kwargs.get(old) is not None}
    return found | {name: True for name in ("strict_min", "strict_max") if kwargs.get(name)}


def _missing_share(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    ends = _ends(kwargs)
    turned = {
        "min": float(f"{1 - ends['max']:.12g}") if "max" in ends else None,
        "max": float(f"{1 - ends['min']:.12g}") if "min" in ends else None,
        "strict_min": ends.get("strict_max", False),
        "strict_max": ends.get("strict_min", False),
    }
    return {"kind": "null_fraction_between", **{k: v for k, v in turned.items() if v is not None}}


def _count_ends(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    if kwargs.get("strict_min") or kwargs.get("strict_max"):
        raise NoEqualError("strict bounds of a count")
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in _ends(kwargs).items()
    }


def _quantile(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    ranges = kwargs["quantile_ranges"]
    if len(ranges["quantiles"]) != 1:
        raise NoEqualError("several quantiles: give each an expectation of its own")
    low, high = ranges["value_ranges"][0]
    exact = not kwargs.get("allow_relative_error")
    return {"kind": "quantile_between", "quantile": ranges["quantiles"][0]} | {
        "min": low,
        "max": high,
        "exact": exact,
    }


def _unique_together(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    if kwargs.get("ignore_row_if") != "any_value_is_missing":
        raise NoEqualError(
            "rows with a missing part count: ignore_row_if is not any_value_is_missing"
        )
    return {"kind": "unique", "columns": list(kwargs["column_list"])}


def _schema(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    exact = bool(kwargs.get("exact_match", True))
    return {"kind": "schema", "columns": list(kwargs["column_set"]), "exact": exact}


def _of_type(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    name = str(kwargs["type_"])
    return {"kind": "schema", "columns": {kwargs["column"]: _TYPES.get(name, name)}}


def _patterns(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    if kwargs.get("match_on", "any") != "any":
        raise NoEqualError("match_on is not any")
    joined = "|".join(f"(?:{pattern})" for pattern in kwargs["regex_list"])
    return {"kind": "matches", "pattern": joined}


_SIMPLE: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "expect_column_values_to_not_be_null": lambda _: {"kind": "not_null"},
    "expect_column_values_to_be_unique": lambda _: {"kind": "unique"},
    "expect_compound_columns_to_be_unique": _unique_together,
    "expect_column_values_to_be_in_set": lambda k: {
        "kind": "accepted_values",
        "values": list(k["value_set"] or ()),
    },
    "expect_column_values_to_not_be_in_set": lambda k: {
        "kind": "rejected_values",
        "values": list(k["value_set"] or ()),
    },
    "expect_column_values_to_be_between": lambda k: {"kind": "between", **_ends(k)},
    "expect_column_values_to_match_regex": lambda k: {"kind": "matches", "pattern": k["regex"]},
    "expect_column_values_to_not_match_regex": lambda k: {
        "kind": "matches",
        "pattern": k["regex"],
        "negate": True,
    },
    "expect_column_values_to_match_regex_list": _patterns,
    "expect_column_value_lengths_to_be_between": lambda k: {
        "kind": "length_between",
        **_count_ends(k),
    },
    "expect_column_value_lengths_to_equal": lambda k: {
        "kind": "length_between",
        "min": int(k["value"]),
        "max": int(k["value"]),
    },
    "expect_column_unique_value_count_to_be_between": lambda k: {
        "kind": "distinct_count_between",
        **_count_ends(k),
    },
    KNOWN: _missing_share,
    "expect_column_quantile_values_to_be_between": _quantile,
    "expect_column_median_to_be_between": lambda _: _no_median(),
    "expect_table_row_count_to_be_between": lambda k: {"kind": "row_count", **_count_ends(k)},
    "expect_table_row_count_to_equal": lambda k: {
        "kind": "row_count",
        "min": k["value"],
        "max": k["value"],
    },
    "expect_table_columns_to_match_set": _schema,
    "expect_table_columns_to_match_ordered_list": lambda k: {
        "kind": "schema",
        "columns": list(k["column_list"]),
        "ordered": True,
        "exact": True,
    },
    "expect_column_to_exist": lambda k: {"kind": "schema", "columns": [k["column"]]},
    "expect_column_values_to_be_of_type": _of_type,
}


def _no_median() -> dict[str, Any]:
    raise NoEqualError("its median averages two values; a rule's 0.5 quantile is one of them")


def _pair(kwargs: Mapping[str, Any], sign: str) -> str:
    if kwargs.get("ignore_row_if") == "both_values_are_missing":
        raise NoEqualError("a row with one missing value counts: ignore_row_if")
    return f"{quoted(kwargs['column_A'])} {sign} {quoted(kwargs['column_B'])}"


def _different(kwargs: Mapping[str, Any]) -> str:
    names = list(kwargs["column_list"])
    pairs = [(left, right) for at, left in enumerate(names) for right in names[at + 1 :]]
    return " AND ".join(f"{quoted(left)} <> {quoted(right)}" for left, right in pairs)


def _negated(kwargs: Mapping[str, Any]) -> str:
    found = _SELECTION.match(str(kwargs["unexpected_rows_query"]))
    if not found:
        raise NoEqualError("its query is not of the form SELECT * FROM {batch} WHERE ...")
    return f"NOT ({found['condition']})"


_CONDITIONS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "expect_column_values_to_be_null": lambda k: f"{quoted(k['column'])} IS NULL",
    "expect_column_values_to_match_like_pattern": lambda k: (
        f"{quoted(k['column'])} LIKE {literal(k['like_pattern'])}"
    ),
    "expect_column_values_to_not_match_like_pattern": lambda k: (
        f"{quoted(k['column'])} NOT LIKE {literal(k['like_pattern'])}"
    ),
    "expect_column_pair_values_a_to_be_greater_than_b": lambda k: _pair(
        k, ">=" if k.get("or_equal") else ">"
    ),
    "expect_column_pair_values_to_be_equal": lambda k: _pair(k, "="),
    "expect_multicolumn_sum_to_equal": lambda k: (
        f"{' + '.join(map(quoted, k['column_list']))} = {literal(k['sum_total'])}"
    ),
    "expect_select_column_values_to_be_unique_within_record": _different,
    QUERY: _negated,
}
