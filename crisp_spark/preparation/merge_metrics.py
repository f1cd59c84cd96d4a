"""What merging did: keys and matches counted before rows are joined, nulls counted afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import and_
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from crisp_spark.preparation.analysis import column
from crisp_spark.preparation.joining import Joined, matched_flag
from crisp_spark.preparation.merge import Merged
from crisp_spark.preparation.union import input_flag
from crisp_spark.results.merge import IntroducedNulls, KeyReport, MergeStepReport
from crisp_spark.spec.cleaning import CleanOp, Fill

_SIDE = ("rows", "distinct", "repeated", "null_rows", "most")
_COUNTS = (
    *(f"left_{name}" for name in _SIDE),
    *(f"right_{name}" for name in _SIDE),
    "matched_left",
    "unmatched_right",
    "pairs",
)
_SAMPLES = 5


def key_metrics_frame(merged: Merged) -> DataFrame | None:
    """One row per step with the counts of its keys; None where there are no steps.

    Counts come from the keys alone (rows per key on either side), so that a join that would
    multiply rows is found before it is made.

    Rows: one per step. Adds: counts. Drops: all other columns. Jobs: none.
    """
    frames = [_step_counts(number, joined) for number, joined in enumerate(merged.steps)]
    if not frames:
        return None
    return reduce(lambda a, b: a.unionByName(b), frames)


def output_metrics_frames(merged: Merged, written: DataFrame) -> list[tuple[list[int], DataFrame]]:
    """Frames of one row that count what each step left behind, with the steps each is about.

    All steps are counted on the written table, in one pass, except those whose rows or columns a
    later step takes away: these are counted on their own output.

    Rows: one per frame. Adds: counts. Drops: all other columns. Jobs: none.
    """
    on_written = [
        number for number in range(len(merged.steps)) if _lasts(merged, number, written.columns)
    ]
    groups = [(on_written, written)] if on_written else []
    groups += [
        ([number], merged.steps[number].frame)
        for number in range(len(merged.steps))
        if number not in on_written
    ]
    return [
        (
            numbers,
            frame.agg(
                F.count(F.lit(1)).alias("rows"),
                *(count for n in numbers for count in _output_counts(n, merged.steps[n])),
            ),
        )
        for numbers, frame in groups
    ]


def step_reports(
    merged: Merged, keys: Sequence[Mapping[str, Any]], output: Mapping[str, Any] | None = None
) -> list[MergeStepReport]:
    """Put the counts into one report per step; without ``output`` nulls are not known yet."""
    return [
        _report(number, joined, {k: v or 0 for k, v in keys[number].items()}, output)
        for number, joined in enumerate(merged.steps)
    ]


def violations(joined: Joined, report: MergeStepReport) -> list[str]:
    """What a step promised and did not keep, in words."""
    found = []
    expect = report.expect
    for side, keys, word in (
        ("right", report.right_keys, "_to_one"),
        ("left", report.left_keys, "one_to_"),
    ):
        wanted = expect.endswith(word) if side == "right" else expect.startswith(word)
        if wanted and keys is not None and not keys.unique:
            found.append(
                f"{joined.place}: expected {expect}, but {keys.repeated_keys:,} of "
                f"{keys.distinct:,} keys ({', '.join(keys.columns)}) occur more than once on the "
                f"{side}, up to {keys.most_rows_per_key:,} times"
            )
    if report.match_rate is not None and report.match_rate < report.min_match:
        found.append(
            f"{joined.place}: {report.match_rate:.2%} of {report.rows_left:,} left rows found a "
            f"right row, at least {report.min_match:.2%} expected"
        )
    return found


def repeated_keys_frame(joined: Joined, side: str) -> DataFrame:
    """Samples of keys that occur more than once: the keys and ``rows``.

    Rows: at most five. Adds: ``rows``. Drops: all but keys. Jobs: none.
    """
    frame, names = _side(joined, side)
    counted = frame.groupBy(*map(column, names)).agg(F.count(F.lit(1)).alias("_crisp_rows"))
    complete = reduce(and_, (column(name).isNotNull() for name in names))
    return (
        counted.where(complete & (F.col("_crisp_rows") > 1))
        .orderBy(F.col("_crisp_rows").desc(), *map(column, names))
        .limit(_SAMPLES)
    )


def unmatched_keys_frame(joined: Joined) -> DataFrame:
    """Samples of the most frequent left keys that found nothing: the keys and ``rows``.

    Rows: at most five. Adds: ``rows``. Drops: all but keys. Jobs: none.
    """
    left, names = _side(joined, "left")
    right, others = _side(joined, "right")
    if joined.step.asof is not None:
        left, names = joined.frame.where(~F.col(matched_flag(joined.step))), list(joined.step.keys)
        found = left
    else:
        keys = right.select(*(column(n).alias(f"_crisp_rk{i}") for i, n in enumerate(others)))
        equal = reduce(and_, (column(n) == F.col(f"_crisp_rk{i}") for i, n in enumerate(names)))
        found = left.join(keys, equal, "left_anti")
    counted = found.groupBy(*map(column, names)).agg(F.count(F.lit(1)).alias("_crisp_rows"))
    return counted.orderBy(F.col("_crisp_rows").desc(), *map(column, names)).limit(_SAMPLES)


def _side(joined: Joined, side: str) -> tuple[DataFrame, list[str]]:
    step = joined.step
    if side == "right":
        return joined.inputs[1], [*step.keys.values(), *([step.asof.right] if step.asof else [])]
    names = list(step.keys)
    base = joined.base
    if base is not None and set(names) <= set(base.columns):
        return base, names
    return joined.inputs[0], names


def _step_counts(number: int, joined: Joined) -> DataFrame:
    step = joined.step
    if not step.keys:
        sizes = [frame.agg(F.count(F.lit(1)).alias(f"n{i}")) for i, frame in _numbered(joined)]
        all_sizes = reduce(lambda a, b: a.crossJoin(b), sizes)
        others = reduce(lambda a, b: a + b, (F.col(f"n{i}") for i, _ in _numbered(joined)[1:]))
        known = {"left_rows": F.col("n0"), "right_rows": others, "pairs": F.col("n0") * others}
        return _row(all_sizes, number, known)
    left, right = _keys_of(joined, "left", "l"), _keys_of(joined, "right", "r")
    if step.asof is not None:
        wide = left.agg(*_side_counts("left", "l")).crossJoin(
            right.agg(*_side_counts("right", "r"))
        )
        names = [name for name in _COUNTS if name.startswith(("left_", "right_"))]
        return _row(wide, number, {name: F.col(name) for name in names})
    equal = reduce(and_, (F.col(f"l{i}") == F.col(f"r{i}") for i in range(len(step.keys))))
    both = left.join(right, equal, "full_outer")
    n, m = F.col("l_rows"), F.col("r_rows")
    counts = both.agg(
        *_side_counts("left", "l"),
        *_side_counts("right", "r"),
        F.sum(F.when(m.isNotNull(), n)).alias("matched_left"),
        F.sum(F.when(n.isNull(), m)).alias("unmatched_right"),
        # As a decimal: a join nobody wants may have more rows than a long can count.
        F.sum(n.cast("decimal(19,0)") * m.cast("decimal(19,0)")).alias("pairs"),
    )
    return _row(counts, number, {name: F.col(name) for name in _COUNTS})


def _numbered(joined: Joined) -> list[tuple[int, DataFrame]]:
    return list(enumerate(joined.inputs))


def _row(frame: DataFrame, number: int, known: Mapping[str, Column]) -> DataFrame:
    counts = (known.get(name, F.lit(None)).cast("decimal(38,0)").alias(name) for name in _COUNTS)
    return frame.select(F.lit(number).alias("step"), *counts)


def _keys_of(joined: Joined, side: str, sign: str) -> DataFrame:
    """Rows per key, and whether the key is complete."""
    frame, names = _side(joined, side)
    keys = [column(name).alias(f"{sign}{i}") for i, name in enumerate(names)]
    counted = frame.select(*keys).groupBy(*(f"{sign}{i}" for i in range(len(names))))
    complete = reduce(and_, (F.col(f"{sign}{i}").isNotNull() for i in range(len(names))))
    return counted.agg(F.count(F.lit(1)).alias(f"{sign}_rows")).withColumn(f"{sign}_ok", complete)


def _side_counts(side: str, sign: str) -> list[Column]:
    rows, ok = F.col(f"{sign}_rows"), F.col(f"{sign}_ok")
    return [
        F.sum(rows).alias(f"{side}_rows"),
        F.count(F.when(ok, 1)).alias(f"{side}_distinct"),
        F.count(F.when(ok & (rows > 1), 1)).alias(f"{side}_repeated"),
        F.sum(F.when(~ok, rows)).alias(f"{side}_null_rows"),
        F.max(F.when(ok, rows)).alias(f"{side}_most"),
    ]


def _lasts(merged: Merged, number: int, written: Sequence[str]) -> bool:
    """Say whether a step's cells are all still in the written table, each exactly once."""
    name = merged.steps[number].step.id
    for later in merged.steps[number + 1 :]:
        if name in later.step.members:
            if later.step.left != name or not later.keeps_rows:
                return False
            name = later.step.id
    return name == merged.output and set(merged.steps[number].added) <= set(written)


def _output_counts(number: int, joined: Joined) -> list[Column]:
    step = joined.step
    counts = []
    if step.how == "asof":
        counts.append(F.count(F.when(F.col(matched_flag(step)), 1)).alias(f"matched_{number}"))
    if step.how == "union":
        counts += [
            F.count(F.when(F.col(input_flag(step)) == i, 1)).alias(f"input_{number}_{i}")
            for i, _ in _numbered(joined)
        ]
    for i, (name, condition) in enumerate(joined.absent.items()):
        counts += [
            F.count(F.when(condition, 1)).alias(f"introduced_{number}_{i}"),
            F.count(F.when(condition & column(name).isNull(), 1)).alias(f"left_{number}_{i}"),
        ]
    return counts


def _rows_out(joined: Joined, keys: Mapping[str, Any], output: Mapping[str, Any] | None) -> int:
    step = joined.step
    left, matched, pairs = (int(keys[k]) for k in ("left_rows", "matched_left", "pairs"))
    if step.how == "union":
        sizes = [(output or {}).get(f"input_{keys['step']}_{i}") for i, _ in _numbered(joined)]
        if step.distinct and None not in sizes:
            return sum(int(size or 0) for size in sizes)
        return left + int(keys["right_rows"])
    return {
        "inner": pairs,
        "left": pairs + left - matched,
        "outer": pairs + left - matched + int(keys["unmatched_right"]),
        "semi": matched,
        "anti": left - matched,
        "cross": pairs,
        "asof": left,
    }[step.how]


def _report(
    number: int, joined: Joined, keys: Mapping[str, Any], output: Mapping[str, Any] | None
) -> MergeStepReport:
    step = joined.step
    left, right = _key_report(joined, "left", keys), _key_report(joined, "right", keys)
    rows_left, rows_out = int(keys["left_rows"]), _rows_out(joined, keys, output)
    matched: int | None = int(keys["matched_left"]) if step.keys else None
    if step.how == "asof":
        matched = None if output is None else int(output[f"matched_{number}"])
    return MergeStepReport(
        id=step.id,
        how=step.how,
        inputs=list(step.members),
        reason=step.reason,
        expect=step.cardinality,
        found="" if left is None or right is None else _cardinality(left, right),
        rows_left=rows_left,
        rows_right=int(keys["right_rows"]),
        rows_out=rows_out,
        matched_left=matched,
        match_rate=None if matched is None or not rows_left else matched / rows_left,
        min_match=step.min_match,
        unmatched_right=int(keys["unmatched_right"]) if step.keys and not step.asof else None,
        fan_out=rows_out / rows_left if rows_left else None,
        left_keys=left,
        right_keys=right,
        columns_added=list(joined.added),
        nulls=[] if output is None else _nulls(number, joined, output),
        type_changes=dict(joined.type_changes),
    )


def _cardinality(left: KeyReport, right: KeyReport) -> str:
    return f"{'one' if left.unique else 'many'}_to_{'one' if right.unique else 'many'}"


def _key_report(joined: Joined, side: str, keys: Mapping[str, Any]) -> KeyReport | None:
    if not joined.step.keys:
        return None
    rows, distinct, repeated, nulls, most = (int(keys[f"{side}_{name}"]) for name in _SIDE)
    return KeyReport(
        columns=_side(joined, side)[1],
        rows=rows,
        distinct=distinct,
        repeated_keys=repeated,
        null_rows=nulls,
        most_rows_per_key=most,
        top_key_share=most / rows if rows else None,
    )


def _nulls(number: int, joined: Joined, output: Mapping[str, Any]) -> list[IntroducedNulls]:
    return [
        IntroducedNulls(
            column=name,
            introduced=int(output[f"introduced_{number}_{i}"]),
            left_after_cleaning=int(output[f"left_{number}_{i}"]),
            operations=[op.op for op in joined.step.reclean if _touches(op, name)],
        )
        for i, name in enumerate(joined.absent)
    ]


def _touches(op: CleanOp, name: str) -> bool:
    if isinstance(op, Fill) and op.values:
        return name in op.values
    columns = getattr(op, "columns", [])
    return columns == "*" or name in columns
