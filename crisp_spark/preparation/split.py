"""Division into training, test and later rows: by hash or by time, never by chance.

A row's part follows from its key, the seed and the rule alone, so that neither layout nor order
nor a second run changes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from crisp_spark.errors import SpecError
from crisp_spark.preparation.analysis import ROW, column, need_columns, need_type
from crisp_spark.spec.business import MiningGoal
from crisp_spark.spec.columns import quoted
from crisp_spark.spec.splitting import SplitSpec

PART = "_crisp_part"
"""``train``, ``test`` or ``later``."""
FOLD = "_crisp_fold"
"""Validation fold of a training row, 0 to folds - 1; null elsewhere."""

_STEPS = 1_000_000  # resolution of the test share
_PLACE = "preparation.split"
_UNIT, _CLASS, _RANK, _SIZE, _BOUNDS, _UNTIL, _TOTAL = (
    f"_crisp_split_{name}" for name in ("unit", "class", "rank", "size", "bounds", "until", "total")
)


@dataclass(frozen=True)
class SplitRule:
    """A split with everything filled in that the project file may leave out.

    Attributes:
        spec: As declared.
        seed: Seed of the hash.
        unit: Columns whose equal values stay together: the group, or the key.
        strata: Columns whose shares are kept (``kind: stratified``).
        time: Time column, where one is needed or known.
        later_time: Time column of the later period.
    """

    spec: SplitSpec
    seed: int
    unit: tuple[str, ...]
    strata: tuple[str, ...] = ()
    time: str | None = None
    later_time: str | None = None


def split_rule(
    spec: SplitSpec, goal: MiningGoal, *, seed: int, source_time: str | None = None
) -> SplitRule:
    """Fill in what the project file leaves to the mining goal.

    Args:
        spec: The declared split.
        goal: Gives key and target.
        seed: Seed of the hash.
        source_time: Time column of the target's source.

    Raises:
        SpecError: The split cannot be done for this goal.
    """
    strata = tuple(spec.stratify_by)
    if spec.kind == "stratified" and not strata:
        if goal.target is None or goal.problem not in {"binary", "multiclass"}:
            raise SpecError(
                f"{_PLACE}: kind stratified needs classes, got a {goal.problem} goal",
                hint="name columns under stratify_by, or use kind: hash",
            )
        strata = (goal.target,)
    key = tuple(spec.key) or tuple(goal.key) or (ROW,)
    time = spec.time or source_time
    later_time = (spec.later.time or time) if spec.later else None
    if spec.later and not later_time:
        raise SpecError(
            f"{_PLACE}.later: no time column is known",
            hint="give later.time, or time on the target's source",
        )
    unit = tuple(spec.group) if spec.kind == "group" else key
    return SplitRule(spec, seed, unit, strata, time, later_time)


def with_parts(derived: DataFrame, rule: SplitRule) -> DataFrame:
    """Say for every row which part and which fold it belongs to.

    Rows without a time are never later rows, and with ``kind: time`` they are training rows.

    Rows: as given. Adds: ``_crisp_part``, ``_crisp_fold``. Drops: none. Jobs: none.

    Raises:
        MissingColumnsError: A column of the split is not there.
        SpecError: A time column holds no time.
    """
    times = [name for name in (rule.later_time, rule.spec.time) if name]
    need_columns(_PLACE, derived, [*rule.unit, *rule.strata, *times])
    need_type(_PLACE, derived, times, "moment")
    if rule.spec.kind == "stratified":
        divided = _by_rank(derived, rule)
    elif rule.spec.kind == "time":
        divided = _by_time(derived, rule)
    elif rule.spec.kind == "group":
        divided = _by_group(derived, rule)
    else:
        divided = _by_hash(derived, rule)
    return divided.withColumn(FOLD, F.when(F.col(PART) == "train", F.col(FOLD)))


def _later(rule: SplitRule) -> Column:
    """True for rows of the later period; null and false for the rest."""
    if rule.spec.later is None or rule.later_time is None:
        return F.lit(False)
    start = F.lit(rule.spec.later.start).cast("timestamp")
    return F.coalesce(column(rule.later_time).cast("timestamp") >= start, F.lit(False))


def _hash(rule: SplitRule, salt: int) -> Column:
    names = [column(name).cast("string") for name in rule.unit]
    return F.xxhash64(F.lit(rule.seed), F.lit(salt), *names)


def _part(rule: SplitRule, *, test: Column) -> Column:
    return F.when(_later(rule), F.lit("later")).when(test, F.lit("test")).otherwise(F.lit("train"))


def _by_hash(derived: DataFrame, rule: SplitRule) -> DataFrame:
    drawn = F.pmod(_hash(rule, 0), F.lit(_STEPS)) < F.lit(round(rule.spec.test * _STEPS))
    fold = F.pmod(_hash(rule, 1), F.lit(rule.spec.folds)).cast("int")
    return derived.withColumn(PART, _part(rule, test=drawn)).withColumn(FOLD, fold)


def _by_group(derived: DataFrame, rule: SplitRule) -> DataFrame:
    """Put groups in the order of their hash, and cut where the rows before come nearest the share.

    Groups are few and of unequal size, so that a plain hash misses the share by far. Groups whose
    hash falls on the same step go together: the list stays small however many groups there are.
    """
    own = F.pmod(_hash(rule, 0), F.lit(_STEPS))
    sizes = derived.filter(~_later(rule)).groupBy(own.alias(_UNIT)).agg(F.count("*").alias(_SIZE))
    ordered = Window.partitionBy(F.lit(0)).orderBy(_UNIT)
    known = sizes.withColumns(
        {
            _RANK: F.row_number().over(ordered),
            _UNTIL: F.sum(_SIZE).over(ordered.rowsBetween(Window.unboundedPreceding, 0)),
            _TOTAL: F.sum(_SIZE).over(Window.partitionBy(F.lit(0))),
            _BOUNDS: F.max(_UNIT).over(Window.partitionBy(F.lit(0))),
        }
    )
    middle = F.col(_UNTIL) - F.col(_SIZE) / 2
    near = middle <= F.col(_TOTAL) * F.lit(rule.spec.test)
    # However large the first or the last group is, neither part stays empty.
    test = (near | (F.col(_RANK) == 1)) & (F.col(_UNIT) != F.col(_BOUNDS))
    cut = known.select(_UNIT, _RANK, test.alias(_CLASS))
    joined = derived.withColumn(_UNIT, own).join(cut, _UNIT, "left")
    fold = F.pmod(F.col(_RANK), F.lit(rule.spec.folds)).cast("int")
    return (
        joined.withColumn(PART, _part(rule, test=F.coalesce(F.col(_CLASS), F.lit(False))))
        .withColumn(FOLD, fold)
        .drop(_UNIT, _RANK, _CLASS)
    )


def _by_rank(derived: DataFrame, rule: SplitRule) -> DataFrame:
    """Take the same share of each class: the units that come first in the order of their hash."""
    strata = [column(name).cast("string") for name in rule.strata]
    marked = derived.withColumns(
        {
            _UNIT: _hash(rule, 0),
            _CLASS: F.struct(_later(rule).alias("later"), F.array(*strata).alias("strata")),
        }
    )
    same = Window.partitionBy(_CLASS)
    # Rows of one unit share a rank, so a unit is never cut in two. The largest rank counts the
    # units: a set of them would be copied beside every row.
    ranked = marked.withColumn(_RANK, F.dense_rank().over(same.orderBy(_UNIT)))
    ranked = ranked.withColumn(_SIZE, F.max(_RANK).over(same))
    wanted = F.round(F.col(_SIZE) * F.lit(rule.spec.test))
    fold = F.pmod(F.col(_RANK), F.lit(rule.spec.folds)).cast("int")
    return (
        ranked.withColumn(PART, _part(rule, test=F.col(_RANK) <= wanted))
        .withColumn(FOLD, fold)
        .drop(_UNIT, _CLASS, _RANK, _SIZE)
    )


def _by_time(derived: DataFrame, rule: SplitRule) -> DataFrame:
    """Cut at exact quantiles of time; rows of one moment stay together."""
    assert rule.spec.time is not None  # the spec demands it for kind: time
    moment = F.unix_micros(column(rule.spec.time).cast("timestamp"))
    train = 1.0 - rule.spec.test
    cuts = [train * number / rule.spec.folds for number in range(1, rule.spec.folds)] + [train]
    known = derived.filter(~_later(rule))
    bounds = known.agg(F.percentile(moment, cuts).alias(_BOUNDS))
    joined = derived.crossJoin(F.broadcast(bounds))
    edges = [F.col(_BOUNDS)[number] for number in range(rule.spec.folds)]
    fold = F.lit(0)
    for edge in edges[:-1]:
        fold = fold + F.when(moment >= edge, 1).otherwise(0)
    test = F.coalesce(moment >= edges[-1], F.lit(False))
    return joined.withColumn(PART, _part(rule, test=test)).withColumn(FOLD, fold).drop(_BOUNDS)


def canonical(frame: DataFrame, keys: Sequence[str], partitions: int) -> DataFrame:
    """Lay rows out by their keys, so that what is fitted does not depend on files or cores.

    Rows: as given. Adds: none. Drops: none. Jobs: none.
    """
    order = [column(name) for name in keys]
    ties = [F.col(ROW)] if ROW in frame.columns and ROW not in keys else []
    return frame.repartition(partitions, *order).sortWithinPartitions(*order, *ties)


def part_sizes(
    parts: DataFrame, rule: SplitRule, target: str | None, *, classes: bool
) -> DataFrame:
    """Count rows per part, fold and class, with first and last time and the sum of the target.

    Rows: one per part, fold and class. Adds: part, fold, class, rows, first, last, total.
    Drops: all others. Jobs: none.
    """
    time = rule.later_time or rule.time
    moment = column(time).cast("timestamp") if time in parts.columns else F.lit(None)
    known = target is not None and target in parts.columns
    label = column(target).cast("string") if known and classes and target else F.lit(None)
    number = f"try_cast({quoted(target)} AS DOUBLE)" if known and not classes and target else "NULL"
    return parts.groupBy(
        F.col(PART).alias("part"), F.col(FOLD).alias("fold"), label.cast("string").alias("class")
    ).agg(
        F.count("*").alias("rows"),
        F.min(moment).cast("string").alias("first"),
        F.max(moment).cast("string").alias("last"),
        F.sum(F.expr(number).cast("decimal(38,6)")).cast("double").alias("total"),
    )


def shared_units(parts: DataFrame, rule: SplitRule) -> DataFrame:
    """Count units that lie in more than one part or fold; units with a null are left out.

    ``largest`` counts the rows of the largest unit outside the later period.

    Rows: one. Adds: units, train_test, train_later, folds, test, largest. Drops: all others.
    Jobs: none.
    """
    names = [column(name) for name in rule.unit]
    complete = F.lit(True)
    for name in names:
        complete = complete & name.isNotNull()
    per_unit = (
        parts.filter(complete)
        .groupBy(*names)
        .agg(
            F.max((F.col(PART) == "train").cast("int")).alias("train"),
            F.max((F.col(PART) == "test").cast("int")).alias("test"),
            F.max((F.col(PART) == "later").cast("int")).alias("later"),
            (F.min(FOLD) != F.max(FOLD)).alias("folds"),
            F.count_if(F.col(PART) != "later").alias("rows"),
        )
    )
    return per_unit.agg(
        F.count("*").alias("units"),
        F.count_if((F.col("train") == 1) & (F.col("test") == 1)).alias("train_test"),
        F.count_if(((F.col("train") == 1) | (F.col("test") == 1)) & (F.col("later") == 1)).alias(
            "train_later"
        ),
        F.count_if(F.col("folds")).alias("folds"),
        F.count_if(F.col("test") == 1).alias("test"),
        F.max("rows").alias("largest"),
    )
