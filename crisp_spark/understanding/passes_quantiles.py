"""Exact quantiles without sorting: a sample brackets the value, one pass counts and collects.

The values at given ranks are found as by ``approxQuantile`` with error 0: the value at rank
``ceil(q * n)`` of the sorted values, without nulls and NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

SAMPLE = 60_000
_MOST_COLLECTED = 5_000_000
_MOST_BRACKETS = 50  # each has a bit of a double's whole numbers
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

    Rows: none. Adds: nothing. Drops: nothing. Jobs: one for a small table, else two passes.
    """
    if sum(len(ask.ranks) for ask in asks) > _MOST_BRACKETS and len(asks) > 1:
        middle = len(asks) // 2
        return [
            *values_at_ranks(df, asks[:middle], rows),
            *values_at_ranks(df, asks[middle:], rows),
        ]
    names = [f"v{at}" for at in range(len(asks))]
    narrow = df.select(*[ask.value.alias(name) for ask, name in zip(asks, names, strict=True)])
    share = 1.0 if rows <= SAMPLE else max(SAMPLE, rows // 200) / rows
    sampled = narrow if share >= 1 else narrow.sample(fraction=share, seed=_SEED)
    drawn = sampled.collect()
    samples = [
        np.sort([row[at] for row in drawn if row[at] is not None]) for at in range(len(asks))
    ]
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
        return [None] * len(asks)
    return _found(narrow, asks, brackets)


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
    """Count below each bracket and per value inside, in one pass."""
    below = F.lit(0)
    items = []
    for number, bracket in enumerate(brackets):
        value = F.col(f"v{bracket.ask}")
        low, high = F.lit(bracket.low), F.lit(bracket.high)
        below = below + F.when(value < low, F.lit(1 << number)).otherwise(F.lit(0))
        inside = F.when((value >= low) & (value <= high), value)
        items.append(
            F.when(inside.isNotNull(), F.struct(F.lit(number).alias("b"), inside.alias("v")))
        )
    # One item per row tells below which brackets it lies.
    items.append(F.struct(F.lit(-1).alias("b"), below.cast("double").alias("v")))
    counted = (
        narrow.select(F.explode(F.array(*items)).alias("i"))
        .where("i IS NOT NULL")
        .groupBy("i.b", "i.v")
        .count()
        .collect()
    )
    under = [0] * len(brackets)
    inside_of: list[list[tuple[float, int]]] = [[] for _ in brackets]
    for number, value, rows in counted:
        if number >= 0:
            inside_of[number].append((value, rows))
            continue
        for bit in range(len(brackets)):
            under[bit] += rows if int(value) >> bit & 1 else 0
    results: list[dict[int, float] | None] = [{} for _ in asks]
    for bracket, start, pairs in zip(brackets, under, inside_of, strict=True):
        values = _at_ranks(bracket.ranks, start, pairs)
        own = results[bracket.ask]
        if values is None or own is None:
            results[bracket.ask] = None
        else:
            own.update(values)
    return results


def _at_ranks(
    ranks: Sequence[int], start: int, pairs: Sequence[tuple[float, int]]
) -> dict[int, float] | None:
    ordered = sorted(pairs)
    ends = np.cumsum([rows for _, rows in ordered]) + start
    if not len(ends) or ranks[0] <= start or ranks[-1] > ends[-1]:
        return None
    return {rank: ordered[int(np.searchsorted(ends, rank))][0] for rank in ranks}
