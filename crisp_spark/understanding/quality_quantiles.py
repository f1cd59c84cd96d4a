"""Quantiles of columns: exact by a bracketing sample, approximate by Spark's sketch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame

from crisp_spark.spec import quality as q
from crisp_spark.understanding.passes_quantiles import SAMPLE, Ask, rank_of, values_at_ranks
from crisp_spark.understanding.profile_columns import ColumnPlan
from crisp_spark.understanding.quality_checks import Compiled

if TYPE_CHECKING:
    from crisp_spark.spec.quality import BoundRule

APPROXIMATE_ERROR = 1e-4


@dataclass(frozen=True)
class Quantiles:
    """Observed quantiles.

    Attributes:
        values: Rule and what was observed; None where the column has no finite value.
        approximate: Names of the rules whose value is approximate.
        passes: Passes over the table.
    """

    values: tuple[tuple[BoundRule, float | None], ...]
    approximate: frozenset[str]
    passes: int


def exact_columns(compiled: Compiled) -> list[str]:
    """Return the columns whose exact quantiles are asked for."""
    return list(dict.fromkeys(bound.columns[0] for bound in _rules(compiled, exact=True)))


def find_quantiles(
    df: DataFrame,
    compiled: Compiled,
    plans: Mapping[str, ColumnPlan],
    sizes: Mapping[str, int],
    rows: int,
) -> Quantiles:
    """Find all quantiles that rules ask for; NaN and infinities do not count.

    Args:
        df: The rows.
        compiled: The rules.
        plans: The columns.
        sizes: Column to its finite values, for exact quantiles.
        rows: Rows of ``df``.

    Rows: none. Adds: nothing. Drops: nothing. Jobs: a sample and two passes for exact quantiles
    (one in all for a small table); one pass for approximate ones.
    """
    exact, rough = _rules(compiled, exact=True), _rules(compiled, exact=False)
    ranks = {
        bound.name: rank_of(_chance(bound), sizes[bound.columns[0]])
        for bound in exact
        if sizes[bound.columns[0]]
    }
    asked: dict[str, list[int]] = {}
    for bound in exact:
        if bound.name in ranks:
            asked.setdefault(bound.columns[0], []).append(ranks[bound.name])
    asks = [
        Ask(plans[name].finite.cast("double"), sizes[name], tuple(own))
        for name, own in asked.items()
    ]
    found = dict(zip(asked, values_at_ranks(df, asks, rows) if asks else [], strict=True))
    passes = (1 + 2 * (rows > SAMPLE)) * bool(asks)
    missed = [bound for bound in exact if found.get(bound.columns[0], {}) is None]
    values: list[tuple[BoundRule, float | None]] = [
        (bound, (found.get(bound.columns[0]) or {}).get(ranks.get(bound.name, 0)))
        for bound in exact
        if bound not in missed
    ]
    for some, error in ((missed, 0.0), (rough, APPROXIMATE_ERROR)):
        values += _by_spark(df, some, plans, error)
        passes += bool(some)
    return Quantiles(tuple(values), frozenset(bound.name for bound in rough), passes)


def _by_spark(
    df: DataFrame, rules: Sequence[BoundRule], plans: Mapping[str, ColumnPlan], error: float
) -> list[tuple[BoundRule, float | None]]:
    if not rules:
        return []
    columns = list(dict.fromkeys(bound.columns[0] for bound in rules))
    chances = sorted({_chance(bound) for bound in rules})
    # Positions instead of names: approxQuantile takes dots for paths.
    numbers = [plans[name].finite.cast("double").alias(f"q{at}") for at, name in enumerate(columns)]
    found = df.select(*numbers).approxQuantile(
        [f"q{at}" for at in range(len(columns))], chances, error
    )
    by_column = dict(zip(columns, found, strict=True))
    return [
        (bound, values[chances.index(_chance(bound))] if values else None)
        for bound in rules
        for values in [by_column[bound.columns[0]]]
    ]


def _rules(compiled: Compiled, *, exact: bool) -> list[BoundRule]:
    return [
        bound
        for bound in compiled.quantiles
        if isinstance(bound.rule, q.QuantileBetween) and bound.rule.exact is exact
    ]


def _chance(bound: BoundRule) -> float:
    rule: Any = bound.rule
    return float(rule.quantile)
