"""Rules as dbt tests."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from crisp_spark.spec import quality as q
from crisp_spark.spec.columns import quoted
from crisp_spark.spec.quality import BoundRule, Severity
from crisp_spark.spec.sqltext import literal
from crisp_spark.understanding.exchange.carried import Exported, NoEqualError

Test = tuple[str, dict[str, Any]]

_STATISTICS = {
    "mean_between": "mean",
    "sum_between": "sum",
    "stddev_between": "stdev",
    "min_between": "min",
    "max_between": "max",
}
_EXPECT = "dbt_expectations.expect_"


def export_dbt(sources: Mapping[str, Sequence[BoundRule]]) -> Exported:
    """Return the rules of several sources as a dbt ``schema.yml``; a source becomes a model.

    Tests come from dbt itself and from the packages dbt_utils and dbt_expectations.
    """
    models, left_out = [], []
    rules = 0
    for source, bound in sources.items():
        model: dict[str, Any] = {"name": source}
        columns: dict[str, list[Any]] = {}
        for rule in bound:
            try:
                item = _item(rule)
            except NoEqualError as error:
                left_out.append(f"{source}.{rule.name}: {error}")
                continue
            rules += 1
            if rule.rule.severity is Severity.DROP:
                left_out.append(f"{source}.{rule.name}: severity drop; dbt only warns of the rows")
            column = _column_of(rule)
            place = columns.setdefault(column, []) if column else model.setdefault("data_tests", [])
            place.append(item)
        if columns:
            model["columns"] = [
                {"name": name, "data_tests": tests} for name, tests in columns.items()
            ]
        models.append(model)
    comments = "".join(f"# left out: {' '.join(line.split())}\n" for line in left_out)
    return Exported(comments + _yaml({"version": 2, "models": models}), rules, tuple(left_out))


def _yaml(document: dict[str, Any]) -> str:
    from ruamel.yaml import YAML

    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.allow_unicode = True
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    out = io.StringIO()
    writer.dump(document, out)
    return out.getvalue()


def _column_of(bound: BoundRule) -> str:
    of_table = isinstance(bound.rule, q.SchemaIs | q.RowCount | q.Expression | q.Freshness)
    return "" if of_table or len(bound.columns) != 1 else bound.columns[0]


def _item(bound: BoundRule) -> Any:
    rule = bound.rule
    share = getattr(rule, "mostly", 1.0)
    if share < 1 and not isinstance(rule, q.NotNull):
        raise NoEqualError(f"a share of rows (mostly {share:g})")
    name, arguments = _test(bound)
    config: dict[str, Any] = {"severity": "error" if rule.severity is Severity.FAIL else "warn"}
    where = " AND ".join(f"({part})" for part in _conditions(bound)) or None
    if where:
        config["where"] = where
    own = {"name": rule.name} if rule.name else {}
    return {name: {**own, **({"arguments": arguments} if arguments else {}), "config": config}}


def _conditions(bound: BoundRule) -> list[str]:
    where = getattr(bound.rule, "where", "")
    parts = [where] if where else []
    if isinstance(bound.rule, q.Unique) and len(bound.columns) > 1:
        parts += [f"{quoted(name)} IS NOT NULL" for name in bound.columns]
    return parts


def _test(bound: BoundRule) -> Test:  # noqa: C901, PLR0911  # one case per rule
    rule = bound.rule
    match rule:
        case q.NotNull() if rule.mostly < 1:
            return "dbt_utils.not_null_proportion", {"at_least": rule.mostly}
        case q.NotNull():
            return "not_null", {}
        case q.Unique() if len(bound.columns) > 1:
            columns = {"combination_of_columns": list(bound.columns)}
            return "dbt_utils.unique_combination_of_columns", columns
        case q.Unique():
            return "unique", {}
        case q.AcceptedValues() | q.RejectedValues():
            accepted = isinstance(rule, q.AcceptedValues)
            name = "accepted_values" if accepted else "dbt_utils.not_accepted_values"
            return name, _listed(rule.values)
        case q.Between():
            return _range(bound, rule)
        case q.Matches():
            way = "not_match" if rule.negate else "match"
            return f"{_EXPECT}column_values_to_{way}_regex", {"regex": rule.pattern}
        case q.LengthBetween():
            return f"{_EXPECT}column_value_lengths_to_be_between", _ends(rule)
        case q.Expression():
            return "dbt_utils.expression_is_true", {"expression": rule.sql}
        case q.Relationships():
            return "relationships", {"to": f"ref('{rule.to}')", "field": rule.field}
        case _:
            return _table(bound)


def _table(bound: BoundRule) -> Test:  # one case per rule
    rule = bound.rule
    match rule:
        case q.RowCount():
            return f"{_EXPECT}table_row_count_to_be_between", _ends(rule)
        case q.DistinctCountBetween():
            return f"{_EXPECT}column_unique_value_count_to_be_between", _ends(rule)
        case q.QuantileBetween():
            found = {"quantile": rule.quantile, **_ends(rule)}
            return f"{_EXPECT}column_quantile_values_to_be_between", found
        case q.StatisticBetween() if rule.kind == "null_fraction_between":
            return _known_share(rule)
        case q.StatisticBetween():
            kind = _STATISTICS[rule.kind]
            return f"{_EXPECT}column_{kind}_to_be_between", {**_ends(rule), **_strictly(rule)}
        case q.Freshness() if not rule.as_of:
            return _recency(bound.columns[0], rule.max_age_days)
        case q.SchemaIs() if not any(rule.columns.values()):
            way = "match_ordered_list" if rule.ordered and rule.exact else "contain_set"
            way = "match_set" if rule.exact and not rule.ordered else way
            if rule.ordered and not rule.exact:
                raise NoEqualError("an order of some columns")
            return f"{_EXPECT}table_columns_to_{way}", {"column_list": list(rule.columns)}
        case _:
            raise NoEqualError(f"dbt has no {rule.kind} of this form")


def _known_share(rule: q.StatisticBetween) -> Test:
    if rule.strict_min or rule.strict_max:
        raise NoEqualError("a share of missing values without its ends")
    shares = {
        "at_least": 0.0 if rule.max is None else float(f"{1 - float(rule.max):.12g}"),
        "at_most": 1.0 if rule.min is None else float(f"{1 - float(rule.min):.12g}"),
    }
    return "dbt_utils.not_null_proportion", shares


def _recency(column: str, days: float) -> Test:
    hours = days * 24
    if not float(hours).is_integer():
        raise NoEqualError("an age that is no whole number of hours")
    part, amount = ("day", days) if float(days).is_integer() else ("hour", hours)
    return "dbt_utils.recency", {"datepart": part, "field": column, "interval": int(amount)}


def _listed(values: Sequence[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"values": list(values)}
    return found if all(isinstance(value, str) for value in values) else found | {"quote": False}


def _range(bound: BoundRule, rule: q.Between) -> Test:
    sides = [
        strict
        for strict, end in ((rule.strict_min, rule.min), (rule.strict_max, rule.max))
        if end is not None
    ]
    if len(set(sides)) > 1:
        name = quoted(bound.columns[0])
        raise NoEqualError(f"one end of the range of {name} belongs to it, the other does not")
    bounds = {
        name: literal(value) if isinstance(value, str) else value
        for name, value in (("min_value", rule.min), ("max_value", rule.max))
        if value is not None
    }
    return "dbt_utils.accepted_range", bounds | ({"inclusive": False} if sides[0] else {})


def _ends(rule: Any) -> dict[str, Any]:
    ends = {"min_value": rule.min, "max_value": rule.max}
    return {name: value for name, value in ends.items() if value is not None}


def _strictly(rule: q.StatisticBetween) -> dict[str, Any]:
    sides = {
        strict
        for strict, end in ((rule.strict_min, rule.min), (rule.strict_max, rule.max))
        if end is not None
    }
    if len(sides) > 1:
        raise NoEqualError("one end of the range belongs to it, the other does not")
    return {"strictly": True} if sides == {True} else {}
