"""Frequent patterns: what occurs together in a basket, and what follows what.

Item sets and rules come from MLlib's FP-growth (J. Han et al., "Mining frequent patterns without
candidate generation", 2000), sequences from its PrefixSpan (J. Pei et al., 2001).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyspark.ml.fpm import FPGrowth, PrefixSpan
from pyspark.sql import functions as F

from crisp_spark.errors import MissingColumnsError
from crisp_spark.results.patterns import ItemSet, PatternRule, Sequence, SourcePatterns
from crisp_spark.spec.columns import quoted

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from crisp_spark.spec.patterns import Patterns

_TWO = 2
_LONGEST_SEQUENCE = 6
_DIGITS = 9


def find_patterns(table: DataFrame, source: str, spec: Patterns) -> SourcePatterns:
    """Find frequent patterns of a source.

    Args:
        table: The source.
        source: Its name.
        spec: What a basket and an item are, and how frequent is frequent.

    Raises:
        MissingColumnsError: A column is not there.

    Rows: those with a basket and an item. Adds: nothing. Drops: rows with nulls in them.
    Jobs: about eight, and those of PrefixSpan where an order is given.
    """
    wanted = [*spec.basket, spec.item, *([spec.order] if spec.order else [])]
    missing = [name for name in wanted if name not in table.columns]
    if missing:
        raise MissingColumnsError(f"data.sources.{source}.patterns", missing, table.columns)
    rows = table.select(
        F.struct(*(F.col(quoted(name)) for name in spec.basket)).alias("basket"),
        *(F.col(quoted(name)).alias(f"b{at}") for at, name in enumerate(spec.basket)),
        F.col(quoted(spec.item)).cast("string").alias("item"),
        (F.col(quoted(spec.order)) if spec.order else F.lit(0)).alias("moment"),
    )
    keys = [f"b{at}" for at in range(len(spec.basket))]
    kept = rows.dropna(subset=[*keys, "item", "moment"])
    baskets = kept.groupBy("basket").agg(F.sort_array(F.collect_set("item")).alias("items"))
    baskets = baskets.persist()
    try:
        count = baskets.count()
        sizes = rows.agg(F.count(F.lit(1)).alias("n")).collect()[0]["n"]
        there = kept.agg(
            F.count(F.lit(1)).alias("n"), F.count_distinct("item").alias("items")
        ).collect()[0]
        sets, rules = _sets_and_rules(baskets, count, spec)
        return SourcePatterns(
            source=source,
            basket=list(spec.basket),
            item=spec.item,
            order=spec.order,
            min_support=spec.min_support,
            min_confidence=spec.min_confidence,
            baskets=count,
            items=there["items"],
            left_out=sizes - there["n"],
            found_sets=len(sets),
            found_rules=len(rules),
            sets=sets[: spec.most],
            rules=rules[: spec.most],
            sequences=_sequences(kept, count, spec) if spec.order else [],
        )
    finally:
        baskets.unpersist()


def _sets_and_rules(
    baskets: DataFrame, count: int, spec: Patterns
) -> tuple[list[ItemSet], list[PatternRule]]:
    if not count:
        return [], []
    miner = FPGrowth(
        itemsCol="items", minSupport=spec.min_support, minConfidence=spec.min_confidence
    )
    model = miner.fit(baskets)
    frequent = model.freqItemsets.where(F.size("items") >= _TWO).collect()
    sets = [
        ItemSet(items=sorted(row["items"]), baskets=row["freq"], support=row["freq"] / count)
        for row in frequent
    ]
    rules = [
        PatternRule(
            when=sorted(row["antecedent"]),
            then=sorted(row["consequent"]),
            confidence=row["confidence"],
            lift=row["lift"],
            support=row["support"],
        )
        for row in model.associationRules.collect()
    ]
    sets.sort(key=lambda found: (-found.baskets, found.items))
    # Equal lifts differ in their last digits from run to run.
    rules.sort(key=lambda r: (-round(r.lift, _DIGITS), -round(r.support, _DIGITS), r.when, r.then))
    return sets, rules


def _sequences(kept: DataFrame, count: int, spec: Patterns) -> list[Sequence]:
    if not count:
        return []
    moments = kept.groupBy("basket", "moment").agg(
        F.sort_array(F.collect_set("item")).alias("items")
    )
    ordered = F.sort_array(F.collect_list(F.struct("moment", "items")))
    sequences = moments.groupBy("basket").agg(ordered.alias("s"))
    miner = PrefixSpan(
        minSupport=spec.min_support,
        maxPatternLength=_LONGEST_SEQUENCE,
        sequenceCol="sequence",
    )
    frequent: Any = miner.findFrequentSequentialPatterns(
        sequences.select(F.col("s.items").alias("sequence"))
    )
    found = [
        Sequence(
            moments=[sorted(moment) for moment in row["sequence"]],
            baskets=row["freq"],
            support=row["freq"] / count,
        )
        for row in frequent.where(F.size("sequence") >= _TWO).collect()
    ]
    found.sort(key=lambda one: (-one.baskets, one.moments))
    return found[: spec.most]
