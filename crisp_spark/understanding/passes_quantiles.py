"""Exact quantiles without sorting: a sample brackets the value, a query of two scans counts.

The values at given ranks are found as by ``approxQuantile`` with error 0: the value at rank
``ceil(q * n)`` of the sorted values, without nulls and NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from crisp_spark.understanding.arrow import collect_arrow
from crisp_spark.understanding.passes_fused import rows_where

SAMPLE = 200_000
_MOST_COLLECTED = 5_000_000
_MOST_BRACKETS = 50
_SIGMAS = 5.0
_SEED = 20_240_229


@dataclass(frozen=True, eq=False)
class Ask:
    """Values to find in a column.

    Attributes:
        value: The column as double; null where a row does not count, never NaN.
        count: Values that count.
        ranks: Ranks to find, from 1 to ``count``.
    """

    value: Column
    count: int
    ranks: tuple[int, ...]


@dataclass(frozen=True)
class _Bracket:
    ask: int
    low: float
    high: float
    ranks: tuple[int, ...]


def rank_of(quantile: float, count: int) -> int:
    """Return the rank (from 1) that ``approxQuantile`` with error 0 takes for a quantile."""
    return min(max(math.ceil(quantile * count), 1), count)


def values_at_ranks(df: DataFrame, asks: Sequence[Ask], rows: int) -> list[dict[int, float] | None]:
    """Find the values at ranks of the sorted columns, exactly.

    Args:
        df: The rows.
        asks: Columns and ranks.
        rows: Rows of ``df``.

    Returns:
        Per ask the value by rank; None where the sample missed (the caller sorts then).

    Rows: none. Adds: nothing. Drops: nothing. Jobs: one for a small table, else a sample and
    a query of two scans.
    """
    if sum(len(ask.ranks) for ask in asks) > _MOST_BRACKETS and len(asks) > 1:
        return _by_halves(df, asks, rows)
    names = [f"v{at}" for at in range(len(asks))]
    narrow = df.select(*[ask.value.alias(name) for ask, name in zip(asks, names, strict=True)])
    share = 1.0 if rows <= SAMPLE else max(SAMPLE, rows // 200) / rows
    sampled = narrow if share >= 1 else narrow.sample(fraction=share, seed=_SEED)
    drawn = collect_arrow(sampled)
    samples = [np.sort(_numbers(drawn.column(at))) for at in range(len(asks))]
    if share >= 1:
        return [
            {rank: float(values[rank - 1]) for rank in ask.ranks}
            if len(values) == ask.count
            else None
            for ask, values in zip(asks, samples, strict=True)
        ]
    brackets = [
        bracket for at, ask in enumerate(asks) for bracket in _brackets(at, ask, samples[at])
    ]
    expected = sum(_share(samples[bracket.ask], bracket) * rows for bracket in brackets)
    if expected > _MOST_COLLECTED or len(brackets) > _MOST_BRACKETS:
        return _by_halves(df, asks, rows) if len(asks) > 1 else [None]
    return _found(narrow, asks, brackets)


def _by_halves(df: DataFrame, asks: Sequence[Ask], rows: int) -> list[dict[int, float] | None]:
    """Ask less at a time: another pass over few columns is nothing beside a sort of one."""
    middle = len(asks) // 2
    return [*values_at_ranks(df, asks[:middle], rows), *values_at_ranks(df, asks[middle:], rows)]


def _brackets(at: int, ask: Ask, sample: np.ndarray) -> list[_Bracket]:
    """Bracket each rank; brackets that touch become one."""
    size = len(sample)
    merged: list[_Bracket] = []
    for rank in sorted(set(ask.ranks)):
        share = rank / ask.count
        center, spread = share * size, _SIGMAS * math.sqrt(size * share * (1 - share)) + _SIGMAS
        first, last = math.floor(center - spread), math.ceil(center + spread)
        low = float(sample[first]) if first >= 0 else -math.inf
        high = float(sample[last]) if last < size else math.inf
        if merged and low <= merged[-1].high:
            before = merged.pop()
            merged.append(_Bracket(at, before.low, max(high, before.high), (*before.ranks, rank)))
        else:
            merged.append(_Bracket(at, low, high, (rank,)))
    return merged


def _share(sample: np.ndarray, bracket: _Bracket) -> float:
    """Share of distinct sampled values inside: equal values are counted, not collected."""
    if not len(sample):
        return 1.0
    inside = sample[(sample >= bracket.low) & (sample <= bracket.high)]
    return len(np.unique(inside)) / len(sample)


def _found(
    narrow: DataFrame, asks: Sequence[Ask], brackets: Sequence[_Bracket]
) -> list[dict[int, float] | None]:
    """Count below each bracket and per value inside, in one query."""
    number, value = F.lit(None).cast("int"), F.lit(None).cast("double")
    under, some, items = [], [], []
    for at, bracket in enumerate(brackets):
        own = F.col(f"v{bracket.ask}")
        under.append(rows_where(own < F.lit(bracket.low)))
        inside = (own >= F.lit(bracket.low)) & (own <= F.lit(bracket.high))
        some.append(inside)
        items.append(F.when(inside, F.struct(F.lit(at).alias("b"), own.alias("v"))))
    values = (
        narrow.where(reduce(or_, some))
        .select(F.explode(F.array(*items)).alias("i"))
        .where("i IS NOT NULL")
        .groupBy("i.b", "i.v")
        .agg(F.count(F.lit(1)).alias("n"))
        .select("b", "v", "n", F.lit(None).cast("array<bigint>").alias("under"))
    )
    below = narrow.agg(F.array(*under).alias("under")).select(
        number.alias("b"), value.alias("v"), F.lit(None).cast("bigint").alias("n"), "under"
    )
    found = collect_arrow(below.unionAll(values))
    (starts,) = found.column("under").drop_null().to_pylist()
    inside_rows = found.filter(found.column("b").is_valid())
    of = inside_rows.column("b").to_numpy()
    single, counts = _numbers(inside_rows.column("v")), inside_rows.column("n").to_numpy()
    results: list[dict[int, float] | None] = [{} for _ in asks]
    for at, (bracket, start) in enumerate(zip(brackets, starts, strict=True)):
        mine = of == at
        at_ranks = _at_ranks(bracket.ranks, start, single[mine], counts[mine])
        own_results = results[bracket.ask]
        if at_ranks is None or own_results is None:
            results[bracket.ask] = None
        else:
            own_results.update(at_ranks)
    return results


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    found: np.ndarray = column.drop_null().to_numpy()
    return found


def _at_ranks(
    ranks: Sequence[int], start: int, values: np.ndarray, counts: np.ndarray
) -> dict[int, float] | None:
    order = np.argsort(values)
    ends = np.cumsum(counts[order]) + start
    if not len(ends) or ranks[0] <= start or ranks[-1] > ends[-1]:
        return None
    return {rank: float(values[order[int(np.searchsorted(ends, rank))]]) for rank in ranks}
