"""Wires the steps that clean sources and merge them into one table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from crisp_spark.errors import CrispError, DataError
from crisp_spark.results.clean import CleanedSource, CleanResult, FailureSample
from crisp_spark.results.merge import MergeResult, MergeStepReport
from crisp_spark.run.steprun import Note, Outcome, StepRun
from crisp_spark.spec.cleaning import DropMissing, PythonHook, Select, Unicode

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from crisp_spark.preparation.clean import Cleaned
    from crisp_spark.preparation.joining import Joined
    from crisp_spark.preparation.merge import Merged
    from crisp_spark.spec.cleaning import CleanOp

_HIDDEN = "(hidden)"


def clean(run: StepRun) -> Outcome:
    """Clean every source; kept and dropped rows are written, and counted from what was written."""
    sources = [clean_source(run, name) for name in run.spec.data.sources]
    notes = [
        Note(
            f"{one.source}: {one.rows_in:,} rows in, {one.rows_kept:,} kept, "
            f"{one.rows_dropped:,} dropped, "
            f"{sum(op.cells_changed for op in one.operations):,} cells changed"
        )
        for one in sources
    ]
    notes += [
        Note(f"{one.source}: {one.cast_failures:,} cells could not be cast", level="warn")
        for one in sources
        if one.cast_failures
    ]
    metrics = {f"rows_dropped_{one.source}": float(one.rows_dropped) for one in sources}
    return Outcome(CleanResult(sources=sources), notes, metrics)


def clean_source(run: StepRun, name: str) -> CleanedSource:
    """Clean one source and write what is kept and what is dropped.

    Raises:
        DataError: Rows got lost, which only a Python function can do.
    """
    from crisp_spark.preparation.clean import Cleaning, clean_frame
    from crisp_spark.preparation.clean_metrics import clean_metrics_frame, operation_reports

    operations = run.spec.preparation.clean.get(name, [])
    frame = run.read(f"checked.{name}")
    cleaning = Cleaning(name, run.project_dir, _missing_shares(run, name, operations))
    cleaned = clean_frame(frame, operations, cleaning)
    # Plain operations are cheaper to compute three times than to keep; Python is not.
    python = any(isinstance(op, PythonHook | Unicode) for op in operations)
    with _kept_at_hand(cleaned.tracked, needed=python):
        kept = run.write(f"clean.{name}", cleaned.kept).rows
        dropped = run.write(f"dropped.{name}", cleaned.dropped).rows
        counts = clean_metrics_frame(cleaned).collect()[0].asDict() if operations else {}
        failures = int(counts.get("cast_failures") or 0)
        samples = _samples(run, name, cleaned) if failures else []
        reasons = _reasons(cleaned) if dropped else {}
    rows_in = run.rows(f"checked.{name}")
    if kept + dropped != rows_in:
        raise DataError(
            f"clean.{name}: rows do not add up, got {rows_in:,} in, {kept:,} kept and "
            f"{dropped:,} dropped",
            hint="a Python function must neither drop nor add rows; a filter counts what it drops",
        )
    return CleanedSource(
        source=name,
        rows_in=rows_in,
        rows_kept=kept,
        rows_dropped=dropped,
        columns_in=_names(frame),
        columns_out=_names(cleaned.tracked),
        operations=operation_reports(cleaned, counts) if operations else [],
        dropped_by_reason=reasons,
        excluded=_excluded(cleaned),
        cast_failures=failures,
        failure_samples=samples,
    )


def _missing_shares(
    run: StepRun, name: str, operations: Sequence[CleanOp]
) -> dict[int, dict[str, float]]:
    """Measure missing shares where an operation drops sparse columns: one job each."""
    from crisp_spark.preparation.clean import Cleaning, clean_frame, missing_shares_frame

    shares: dict[int, dict[str, float]] = {}
    for number, op in enumerate(operations):
        if isinstance(op, DropMissing) and op.axis == "columns":
            cleaning = Cleaning(name, run.project_dir, dict(shares))
            so_far = clean_frame(run.read(f"checked.{name}"), operations[:number], cleaning)
            place = cleaning.place(number, op)
            found = missing_shares_frame(so_far, place, op).collect()[0]
            shares[number] = {c: float(v or 0.0) for c, v in found.asDict().items()}
    return shares


@contextmanager
def _kept_at_hand(frame: DataFrame, *, needed: bool) -> Iterator[None]:
    """Compute a frame once although it is read three times: kept, dropped, counted."""
    if not needed:
        yield
        return
    from pyspark import StorageLevel

    frame.persist(StorageLevel.MEMORY_AND_DISK)
    try:
        yield
    finally:
        frame.unpersist()


def _samples(run: StepRun, name: str, cleaned: Cleaned) -> list[FailureSample]:
    from crisp_spark.preparation.clean_metrics import failure_samples_frame

    columns = run.spec.data.sources[name].columns
    private = {column for column, declared in columns.items() if declared.pii}
    found: dict[tuple[str, str], int] = {}
    for row in failure_samples_frame(cleaned).collect():
        key = (row["column"], _HIDDEN if row["column"] in private else row["text"])
        found[key] = found.get(key, 0) + row["cells"]
    return [FailureSample(column=c, text=t, cells=n) for (c, t), n in found.items()]


def _reasons(cleaned: Cleaned) -> dict[str, int]:
    from pyspark.sql import functions as F

    from crisp_spark.preparation.clean import REASON

    counted = cleaned.dropped.groupBy(REASON).agg(F.count(F.lit(1)).alias("rows"))
    rows = counted.orderBy(F.col("rows").desc(), REASON).limit(100).collect()
    return {str(row[REASON]): int(row["rows"]) for row in rows}


def _excluded(cleaned: Cleaned) -> dict[str, str]:
    found: dict[str, str] = {}
    for trace in cleaned.traces:
        why = trace.op.reason
        if isinstance(trace.op, DropMissing):
            why = why or f"more than {trace.op.max_share:.0%} missing"
        if isinstance(trace.op, Select | DropMissing):
            found |= dict.fromkeys(trace.removed, why)
    return found


def _names(frame: DataFrame) -> list[str]:
    return [name for name in frame.columns if not name.startswith("_crisp_")]


def merge(run: StepRun) -> Outcome:
    """Merge the cleaned sources; keys are checked before rows are joined."""
    from crisp_spark.preparation.merge import merge_sources
    from crisp_spark.preparation.merge_metrics import output_metrics_frames, step_reports

    frames = {name: run.read(f"clean.{name}") for name in run.spec.data.sources}
    goal = run.spec.business.mining_goal
    merged = merge_sources(frames, run.spec.preparation.merge, goal.target_source)
    keys = _key_counts(merged)
    for joined, report in zip(merged.steps, step_reports(merged, keys), strict=True):
        _hold_to(joined, report)
    written = run.write("merged", merged.frame)
    output: dict[str, int] = {}
    for _, frame in output_metrics_frames(merged, run.reread("merged")):
        output |= frame.collect()[0].asDict()
    reports = step_reports(merged, keys, output)
    for joined, report in zip(merged.steps, reports, strict=True):
        if joined.step.how == "asof":
            _hold_to(joined, report)
    _check_arithmetic(merged, reports, written.rows)
    result = MergeResult(
        output=merged.output,
        rows_out=written.rows,
        columns={name: kind for name, kind in merged.frame.dtypes if name in _names(merged.frame)},
        steps=reports,
    )
    return Outcome(result, _merge_notes(reports), {"rows": float(written.rows)})


def _key_counts(merged: Merged) -> list[dict[str, int]]:
    from crisp_spark.preparation.merge_metrics import key_metrics_frame

    frame = key_metrics_frame(merged)
    rows = [] if frame is None else frame.collect()
    return sorted((row.asDict() for row in rows), key=lambda row: row["step"])


def _hold_to(joined: Joined, report: MergeStepReport) -> None:
    """Stop where a step does not keep what it promised.

    Raises:
        DataError: With the numbers, and keys as samples.
    """
    from crisp_spark.preparation.merge_metrics import (
        repeated_keys_frame,
        unmatched_keys_frame,
        violations,
    )

    broken = violations(joined, report)
    if not broken:
        return
    samples = []
    for text in broken:
        if "expected" in text and "more than once" in text:
            side = "right" if "on the right" in text else "left"
            samples.append(f"repeated on the {side}: {_keys(repeated_keys_frame(joined, side))}")
        else:
            samples.append(f"without a match: {_keys(unmatched_keys_frame(joined))}")
    raise DataError(
        "; ".join(broken),
        hint=f"{'; '.join(samples)}. Clean the keys, or change expect or min_match of the step",
    )


def _keys(frame: DataFrame) -> str:
    rows = frame.collect()
    return ", ".join(
        f"{'/'.join(str(value) for value in tuple(row)[:-1])} ({row[-1]:,} rows)" for row in rows
    )


def _check_arithmetic(merged: Merged, reports: Sequence[MergeStepReport], rows: int) -> None:
    """Compare the rows written with those that the keys promised.

    Raises:
        CrispError: They differ, which would be a bug.
    """
    if reports and merged.output == reports[-1].id and reports[-1].rows_out != rows:
        raise CrispError(
            f"merge: {reports[-1].rows_out:,} rows follow from the keys, got {rows:,} written"
        )


def _merge_notes(reports: Sequence[MergeStepReport]) -> list[Note]:
    return [
        Note(
            f"{report.id}: {' + '.join(report.inputs)} ({report.how}), {report.rows_out:,} rows"
            + ("" if report.match_rate is None else f", {report.match_rate:.1%} matched")
        )
        for report in reports
    ]
