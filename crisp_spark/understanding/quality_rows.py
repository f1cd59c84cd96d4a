"""Split a source into rows that stay and rows for quarantine, with every failing rule named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from crisp_spark.spec import quality as q
from crisp_spark.spec.columns import quoted
from crisp_spark.spec.quality import Severity
from crisp_spark.understanding.profile_columns import row_hash
from crisp_spark.understanding.quality_checks import RowCheck, key_columns
from crisp_spark.understanding.quality_keys import bad_keys

FAILED_RULES = "_crisp_failed_rules"
RUN = "_crisp_run"
_DROPPED = "_crisp_dropped"
_BROADCAST_ROWS = 500_000


@dataclass(frozen=True)
class BrokenRules:
    """Broken rules about rows, as far as a split needs them.

    Attributes:
        rows: Rules that judge a row by itself.
        keys: Rules that compare rows, with the number of failing rows.
    """

    rows: Sequence[RowCheck]
    keys: Sequence[tuple[RowCheck, int]]


def split_rows(
    df: DataFrame, broken: BrokenRules, parents: Mapping[str, DataFrame], run_id: str
) -> tuple[DataFrame, DataFrame]:
    """Return the rows that stay, and those that a broken rule of severity ``drop`` sends away.

    Of rows that share a key under a ``unique`` rule of severity ``drop``, one stays: preferably
    one that no other rule sends away, then the lowest ``_crisp_row``, then ``_crisp_file``, then
    the lowest hash of the content.

    Args:
        df: The source's rows.
        broken: Broken rules.
        parents: Sources that ``relationships`` refer to.
        run_id: Id of the run, noted on rejected rows.

    Rows: each row in one of the two frames. Adds: to the second ``_crisp_failed_rules`` (names of
    all rules that the row fails, of any severity) and ``_crisp_run``. Drops: nothing. Jobs: none.
    """
    run = F.lit(run_id).alias(RUN)
    own = [F.col(quoted(name)) for name in df.columns]
    severities = [check.bound.rule.severity for check in _all_checks(broken)]
    if Severity.DROP not in severities:
        nothing = F.array().cast("array<string>").alias(FAILED_RULES)
        return df, df.where(F.lit(False)).select(*own, nothing, run)
    frame, flags = _with_flags(df, broken, parents)
    names = F.array(
        *[F.when(flag, F.lit(check.bound.name)) for check, flag in flags],
    )
    # Dropping by row comes first: a survivor of a repeated key should survive everything else.
    by_row = _any(
        [
            flag
            for check, flag in flags
            if check.bound.rule.severity is Severity.DROP
            and not isinstance(check.bound.rule, q.Unique)
        ]
    )
    frame = frame.withColumn(
        FAILED_RULES, F.filter(names, lambda name: name.isNotNull())
    ).withColumn(_DROPPED, by_row)
    unique = [
        (check, flag)
        for check, flag in flags
        if check.bound.rule.severity is Severity.DROP and isinstance(check.bound.rule, q.Unique)
    ]
    if unique:
        repeated = _any([flag for _, flag in unique])
        rest, hit = frame.where(~repeated), frame.where(repeated)
        for check, flag in unique:
            hit = _keep_survivor(hit, df, check, flag)
        frame = rest.unionByName(hit)
    kept = frame.where(~F.col(_DROPPED)).select(*own)
    quarantined = frame.where(F.col(_DROPPED)).select(*own, F.col(FAILED_RULES), run)
    return kept, quarantined


def _all_checks(broken: BrokenRules) -> list[RowCheck]:
    return [*broken.rows, *(check for check, _ in broken.keys)]


def _any(flags: Sequence[Column]) -> Column:
    result = F.lit(False)
    for flag in flags:
        result = result | flag
    return result


def _with_flags(
    df: DataFrame, broken: BrokenRules, parents: Mapping[str, DataFrame]
) -> tuple[DataFrame, list[tuple[RowCheck, Column]]]:
    """Join the failing keys, and give each rule a column that says whether the row fails."""
    frame = df
    flags = [(check, check.fails) for check in broken.rows]
    for at, (check, failed) in enumerate(broken.keys):
        flag = f"_crisp_fails_{at}"
        bad = bad_keys(df, check, parents)
        renamed = {f"k{i}": f"_crisp_key_{at}_{i}" for i in range(len(check.bound.columns))}
        bad = bad.select(
            *[F.col(old).alias(new) for old, new in renamed.items()],
            F.lit(True).alias(flag),
        )
        match = check.evaluated
        for column, name in zip(key_columns(check.bound.columns), renamed.values(), strict=True):
            match = match & (column == F.col(name))
        if failed <= _BROADCAST_ROWS:
            bad = F.broadcast(bad)
        frame = frame.join(bad, match, "left").drop(*renamed.values())
        flags.append((check, F.coalesce(F.col(flag), F.lit(False))))
    return frame, flags


def _keep_survivor(frame: DataFrame, df: DataFrame, check: RowCheck, flag: Column) -> DataFrame:
    """Mark all but one row of each repeated key as dropped."""
    content = row_hash(df, [name for name in df.columns if not name.startswith("_crisp_")])
    order = [F.col(_DROPPED).asc()]
    order += [F.col(name).asc() for name in ("_crisp_row", "_crisp_file") if name in df.columns]
    # Rows of other keys go where they cannot pile up in one place.
    other = F.when(~flag, content)
    keys = [F.when(flag, column) for column in key_columns(check.bound.columns)]
    window = Window.partitionBy(*keys, other).orderBy(*order, content.asc())
    rank = F.row_number().over(window)
    return frame.withColumn(_DROPPED, F.col(_DROPPED) | (flag & (rank > 1)))
