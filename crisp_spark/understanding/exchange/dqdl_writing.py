"""Rules as a Glue DQDL ruleset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crisp_spark.spec import quality as q
from crisp_spark.spec.columns import quoted
from crisp_spark.spec.quality import BoundRule, Severity
from crisp_spark.understanding.exchange.carried import Exported, NoEqualError
from crisp_spark.understanding.exchange.dqdl_words import quoted_text as text

_STATISTICS = {"mean_between": "Mean", "sum_between": "Sum"}
_FUNCTIONS = {"stddev_between": "stddev_samp", "min_between": "min", "max_between": "max"}
_USUAL = {
    "row_count": "RowCount",
    "distinct_count": "DistinctValuesCount",
    "mean": "Mean",
    "sum": "Sum",
}


def export_dqdl(bound: Sequence[BoundRule]) -> Exported:
    """Return the rules of one source as a DQDL ruleset.

    DQDL counts missing values against a rule, so rules about values look at known ones only. It
    has no severities.
    """
    lines, left_out = [], []
    for rule in bound:
        try:
            lines.append(_said(rule))
        except NoEqualError as error:
            left_out.append(f"{rule.name}: {error}")
            continue
        if rule.rule.severity is not Severity.WARN:
            left_out.append(f"{rule.name}: severity {rule.rule.severity} (DQDL has none)")
    comments = "".join(f"# left out: {' '.join(line.split())}\n" for line in left_out)
    body = ",\n".join(f"    {line}" for line in lines)
    return Exported(f"{comments}Rules = [\n{body}\n]\n", len(lines), tuple(left_out))


def _said(bound: BoundRule) -> str:  # one case per rule
    rule = bound.rule
    where = getattr(rule, "where", "")
    condition = f" where {text(where)}" if where else ""
    names = " ".join(map(text, bound.columns))
    match rule:
        case q.NotNull():
            share = f"Completeness {names} >= {rule.mostly!r}"
            return (f"IsComplete {names}" if rule.mostly == 1 else share) + condition
        case q.Unique():
            return _unique(bound, rule, condition)
        case q.Relationships():
            reference = text(f"{rule.to}.{rule.field}")
            if where:
                raise NoEqualError("ReferentialIntegrity takes no where")
            return f"ReferentialIntegrity {names} {reference} >= {rule.mostly!r}"
        case q.Expression():
            return _query(f"NOT ({rule.sql})", rule)
        case q.RowRule():
            return _values(bound, rule)
        case q.StatisticBetween():
            return _statistic(bound, rule, condition)
        case _:
            return _table(bound, names)


def _unique(bound: BoundRule, rule: q.Unique, condition: str) -> str:
    if len(bound.columns) == 1:
        name = text(bound.columns[0])
        whole = rule.mostly == 1
        return (
            f"IsUnique {name}" if whole else f"Uniqueness {name} >= {rule.mostly!r}"
        ) + condition
    if rule.mostly < 1:
        raise NoEqualError("a share of unique keys over several columns")
    keys = ", ".join(map(quoted, bound.columns))
    known = " AND ".join(f"{quoted(name)} IS NOT NULL" for name in bound.columns)
    known += f" AND ({rule.where})" if rule.where else ""
    found = f"SELECT 1 FROM primary WHERE {known} GROUP BY {keys} HAVING count(*) > 1"
    return f"CustomSql {text(f'SELECT count(*) FROM ({found})')} = 0"


def _query(failing: str, rule: q.RowRule) -> str:
    if rule.mostly < 1:
        raise NoEqualError("a share of an expression's known outcomes")
    condition = f"({rule.where}) AND {failing}" if rule.where else failing
    return f"CustomSql {text(f'SELECT count(*) FROM primary WHERE {condition}')} = 0"


def _values(bound: BoundRule, rule: q.RowRule) -> str:
    column = bound.columns[0]
    known = f"{quoted(column)} IS NOT NULL" + (f" AND ({rule.where})" if rule.where else "")
    end = f" where {text(known)}"
    if rule.mostly < 1:
        end += f" with threshold >= {rule.mostly!r}"
    tests = [f"ColumnValues {text(column)} {test}" for test in _tests(rule)]
    if isinstance(rule, q.LengthBetween):
        tests = [f"ColumnLength {text(column)} {test}" for test in _ends(rule)]
    if len(tests) > 1 and rule.mostly < 1:
        raise NoEqualError("a share of values within two ends that belong to the range")
    if len(tests) == 1:
        return tests[0] + end
    return " and ".join(f"({test}{end})" for test in tests)


def _tests(rule: q.RowRule) -> list[str]:
    match rule:
        case q.AcceptedValues():
            return [f"in [{', '.join(map(_value, rule.values))}]"]
        case q.RejectedValues():
            return [f"not in [{', '.join(map(_value, rule.values))}]"]
        case q.Matches():
            return [f"{'not ' if rule.negate else ''}matches {text(rule.pattern)}"]
        case q.Between():
            return _ends(rule)
        case _:
            return []


def _ends(rule: Any) -> list[str]:
    """One test per end; an open range is DQDL's own ``between``."""
    low_strict = getattr(rule, "strict_min", False)
    high_strict = getattr(rule, "strict_max", False)
    if low_strict and high_strict and rule.min is not None and rule.max is not None:
        return [f"between {_value(rule.min)} and {_value(rule.max)}"]
    tests = []
    if rule.min is not None:
        tests.append(f"{'>' if low_strict else '>='} {_value(rule.min)}")
    if rule.max is not None:
        tests.append(f"{'<' if high_strict else '<='} {_value(rule.max)}")
    return tests


def _value(value: Any) -> str:
    if isinstance(value, bool):
        raise NoEqualError("a truth value in a rule about values")
    return text(value) if isinstance(value, str) else repr(value)


def _statistic(bound: BoundRule, rule: q.StatisticBetween, condition: str) -> str:
    name = text(bound.columns[0])
    if rule.kind == "null_fraction_between":
        turned = q.StatisticBetween(
            kind="mean_between",
            min=None if rule.max is None else float(f"{1 - float(rule.max):.12g}"),
            max=None if rule.min is None else float(f"{1 - float(rule.min):.12g}"),
            strict_min=rule.strict_max,
            strict_max=rule.strict_min,
        )
        return _both(f"Completeness {name}", turned, condition)
    if any(isinstance(end, str) for end in (rule.min, rule.max)):
        raise NoEqualError("a bound that is no number")
    if rule.kind in _STATISTICS:
        return _both(f"{_STATISTICS[rule.kind]} {name}", rule, condition)
    where = f" WHERE {rule.where}" if rule.where else ""
    query = f"SELECT {_FUNCTIONS[rule.kind]}({quoted(bound.columns[0])}) FROM primary{where}"
    return _both(f"CustomSql {text(query)}", rule, "")


def _both(subject: str, rule: Any, condition: str) -> str:
    tests = [f"{subject} {test}{condition}" for test in _ends(rule)]
    return tests[0] if len(tests) == 1 else " and ".join(f"({test})" for test in tests)


def _table(bound: BoundRule, names: str) -> str:
    rule = bound.rule
    match rule:
        case q.RowCount():
            return _both("RowCount", rule, "")
        case q.DistinctCountBetween():
            return _both(f"DistinctValuesCount {names}", rule, "")
        case q.Freshness() if not rule.as_of:
            column, seconds = quoted(bound.columns[0]), round(rule.max_age_days * 86400)
            newest = f"SELECT max({column}) AS newest FROM primary"
            fresh = f"newest >= current_timestamp() - INTERVAL {seconds} SECONDS"
            return f"CustomSql {text(f'SELECT count(*) FROM ({newest}) WHERE {fresh}')} = 1"
        case q.SchemaIs() if not rule.exact and not rule.ordered and not any(rule.columns.values()):
            parts = [f"ColumnExists {text(name)}" for name in rule.columns]
            return parts[0] if len(parts) == 1 else " and ".join(f"({part})" for part in parts)
        case q.AsUsual() if rule.within is not None and rule.metric in _USUAL:
            if rule.within >= 1 or rule.max_rise or rule.max_fall or rule.robust_z:
                raise NoEqualError("more than a range around the median of earlier runs")
            low, high = (float(f"{1 + side * rule.within:.12g}") for side in (-1, 1))
            usual = f"median(last({rule.runs}))"
            subject = f"{_USUAL[rule.metric]} {names}".strip()
            return f"{subject} between {low!r} * {usual} and {high!r} * {usual}"
        case _:
            raise NoEqualError(f"DQDL has no {rule.kind} of this form")
