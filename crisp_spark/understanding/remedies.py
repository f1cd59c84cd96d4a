"""What could be done about a broken rule: words, and lines ready for ``preparation.clean``."""

from __future__ import annotations

import json
from typing import Any

from crisp_spark.results.quality import FailingValue, Remedy
from crisp_spark.spec import quality as q
from crisp_spark.spec.columns import quoted
from crisp_spark.spec.quality import BoundRule

_MUCH = 0.5
_MOST_CODES = 5


def propose(
    bound: BoundRule,
    *,
    failed_share: float,
    samples: tuple[FailingValue, ...],
    private: bool,
    numeric: bool,
) -> Remedy | None:
    """Propose a remedy for a broken rule.

    Args:
        bound: The rule.
        failed_share: Share of the judged rows that failed.
        samples: Failing values.
        private: The values must not be repeated.
        numeric: The rule's column holds numbers.
    """
    rule = bound.rule
    if isinstance(rule, q.NotNull):
        return _missing(bound.columns[0], failed_share, numeric=numeric)
    if isinstance(rule, q.Unique):
        text = f"keep one record per {', '.join(bound.columns)}"
        return Remedy(text=text, yaml=_op(op="deduplicate", keys=list(bound.columns)))
    if isinstance(rule, q.Between):
        return _outside(bound.columns[0], rule)
    if isinstance(rule, q.AcceptedValues | q.RejectedValues | q.Relationships):
        return _codes(bound, samples, private=private)
    if isinstance(rule, q.Matches | q.LengthBetween):
        return _text(bound.columns[0], rule)
    if isinstance(rule, q.Expression):
        keep = f"coalesce({rule.sql}, true)"
        return Remedy(
            text="drop the records that break the rule, or correct one of the columns in it",
            yaml=_op(op="filter", expression=keep, reason=f"breaks the rule {bound.name}"),
        )
    return Remedy(text=_table_text(rule))


def _missing(column: str, share: float, *, numeric: bool) -> Remedy:
    if share >= _MUCH:
        return Remedy(
            text="most values are missing: leave the column out, or keep only whether it is known",
            yaml=_op(op="select", exclude=[column], reason="mostly missing"),
        )
    fitted = "median" if numeric else "mode"
    return Remedy(
        text=f"drop the few records without a value, or impute: preparation.features can learn"
        f" the {fitted} from training rows (op: impute, method: {fitted})",
        yaml=_op(op="drop_missing", columns=[column]),
    )


def _outside(column: str, rule: q.Between) -> Remedy:
    bounds = {
        name: value for name, value in (("min", rule.min), ("max", rule.max)) if value is not None
    }
    return Remedy(
        text="treat the values as unknown (null_outside), pull them to the bounds (clip), or drop"
        " the records (drop_outside)",
        yaml=_op(op="null_outside", columns=[column], **bounds),
    )


def _codes(bound: BoundRule, samples: tuple[FailingValue, ...], *, private: bool) -> Remedy:
    column = bound.columns[0]
    values = [one.value for one in samples if isinstance(one.value, str | int | float)]
    if private or not values:
        return Remedy(text="map the values to valid ones, or treat them as missing")
    if isinstance(bound.rule, q.Relationships):
        text = f"add the values to {bound.rule.to}, or treat them as missing"
    else:
        text = "treat the values as missing, or map them to valid ones (op: map)"
    codes = values[:_MOST_CODES]
    return Remedy(text=text, yaml=_op(op="missing_codes", columns=[column], codes=codes))


def _text(column: str, rule: q.Matches | q.LengthBetween) -> Remedy:
    if isinstance(rule, q.Matches):
        escaped = rule.pattern.replace("\\", "\\\\").replace("'", "\\'")
        condition = f"{quoted(column)} RLIKE '{escaped}'"
        condition = f"NOT ({condition})" if rule.negate else condition
    else:
        ends = [f"length({quoted(column)}) >= {rule.min}"] if rule.min is not None else []
        ends += [f"length({quoted(column)}) <= {rule.max}"] if rule.max is not None else []
        condition = " AND ".join(ends)
    trim = _op(op="trim", columns=[column], collapse=True)
    filtered = _op(
        op="filter",
        expression=f"{quoted(column)} IS NULL OR ({condition})",
        reason=f"{column} has another form",
    )
    return Remedy(
        text="bring the texts into one form (trim, case, replace), then drop what still differs",
        yaml=f"{trim}\n{filtered}",
    )


def _table_text(rule: Any) -> str:
    if isinstance(rule, q.Freshness):
        return "ask the owner of the source for newer data, or move the age that is accepted"
    if isinstance(rule, q.RowCount):
        return "check whether all files arrived, and none twice"
    if isinstance(rule, q.SchemaIs):
        return "declare the columns as they are now, or ask the owner what changed"
    return "look at the column's profile and its change since the bounds were set"


def _op(*, op: str, **details: Any) -> str:
    """One YAML line. Values are JSON, which is YAML too, so nothing in them can break it."""
    parts = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in details.items()]
    return f"- {{{', '.join([f'op: {op}', *parts])}}}"
