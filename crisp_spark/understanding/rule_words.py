"""Rules in words."""

from __future__ import annotations

from typing import Any

from crisp_spark.spec import quality as q
from crisp_spark.spec.quality import BoundRule

_MOST_VALUES = 8


def expected(bound: BoundRule) -> str:
    """Say what a rule expects, in a short sentence."""
    rule = bound.rule
    subject = " + ".join(bound.columns) if bound.columns else bound.source
    text = _predicate(rule, subject)
    where = getattr(rule, "where", "")
    if where:
        text += f" where {where}"
    mostly = getattr(rule, "mostly", 1.0)
    return text + (f", for at least {mostly:.4g} of the rows" if mostly < 1 else "")


def _predicate(rule: Any, subject: str) -> str:  # noqa: PLR0911  # one case per rule
    if isinstance(rule, q.NotNull):
        return f"{subject} is known"
    if isinstance(rule, q.Unique):
        return f"{subject} is unique"
    if isinstance(rule, q.AcceptedValues):
        return f"{subject} is one of {_listed(rule.values)}"
    if isinstance(rule, q.RejectedValues):
        return f"{subject} is none of {_listed(rule.values)}"
    if isinstance(rule, q.Matches):
        return f"{subject} {'does not match' if rule.negate else 'matches'} {rule.pattern}"
    if isinstance(rule, q.Expression):
        return rule.sql
    if isinstance(rule, q.Relationships):
        return f"{subject} exists in {rule.to}.{rule.field}"
    if isinstance(rule, q.AsUsual):
        return _usual(rule, subject)
    if isinstance(rule, q.Freshness):
        moment = rule.as_of or "the start of the run"
        return f"the newest {subject} is at most {rule.max_age_days:g} days before {moment}"
    return _range_predicate(rule, subject)


def _range_predicate(rule: Any, subject: str) -> str:
    if isinstance(rule, q.SchemaIs):
        return f"{subject} has the columns {_listed(tuple(rule.columns))}"
    nouns = {
        "between": subject,
        "length_between": f"the length of {subject}",
        "row_count": f"the number of rows of {subject}",
        "distinct_count_between": f"the number of distinct {subject}",
        "null_fraction_between": f"the share of missing {subject}",
        "quantile_between": f"the {getattr(rule, 'quantile', 0):g} quantile of {subject}",
    }
    statistic = rule.kind.removesuffix("_between")
    noun = nouns.get(rule.kind, f"the {statistic} of {subject}")
    low_word = "above" if getattr(rule, "strict_min", False) else "at least"
    high_word = "below" if getattr(rule, "strict_max", False) else "at most"
    if rule.min is None:
        return f"{noun} is {high_word} {rule.max}"
    if rule.max is None:
        return f"{noun} is {low_word} {rule.min}"
    if low_word == "at least" and high_word == "at most":
        return f"{noun} is between {rule.min} and {rule.max}"
    return f"{noun} is {low_word} {rule.min} and {high_word} {rule.max}"


def _usual(rule: q.AsUsual, subject: str) -> str:
    """The limits of a comparison with earlier runs."""
    nouns = {
        "row_count": f"the number of rows of {subject}",
        "null_fraction": f"the share of missing {subject}",
        "distinct_count": f"the number of distinct {subject}",
    }
    limits = [
        f"within {rule.within:.4g} of it as a share" if rule.within is not None else "",
        f"at most {rule.max_rise:g} above it" if rule.max_rise is not None else "",
        f"at most {rule.max_fall:g} below it" if rule.max_fall is not None else "",
        f"within {rule.robust_z:g} robust deviations of it" if rule.robust_z is not None else "",
    ]
    noun = nouns.get(rule.metric, f"the {rule.metric} of {subject}")
    last = "the last run" if rule.runs == 1 else f"the median of the last {rule.runs} runs"
    return f"{noun} is like {last}: {', '.join(limit for limit in limits if limit)}"


def _listed(values: tuple[Any, ...]) -> str:
    shown = ", ".join(map(str, values[:_MOST_VALUES]))
    more = len(values) - _MOST_VALUES
    return f"{shown} and {more} more" if more > 0 else shown
