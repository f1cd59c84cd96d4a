"""The model against baselines, the champion, other splits, and the charter's criteria."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from crisp_spark.evaluation.estimates import independent_difference
from crisp_spark.evaluation.formulas import NO_ROWS
from crisp_spark.evaluation.judging import Judge
from crisp_spark.evaluation.metrics import estimate, gain_over, measure
from crisp_spark.evaluation.names import IN_USE
from crisp_spark.evaluation.rows import ScoredRows
from crisp_spark.results.evaluate import (
    Comparison,
    Measurement,
    MetricValue,
    SplitEvaluation,
    StabilityRow,
)
from crisp_spark.spec.business import Criterion
from crisp_spark.spec.evaluation import METRICS, metric_info, metric_names

_GAPS = {
    "train_test": ("train", "test"),
    "validation_test": ("validation", "test"),
    "test_later": ("test", "later"),
}


def _better(gain: MetricValue) -> bool | None:
    if gain.low is None or gain.high is None:
        return None
    return True if gain.low > 0 else False if gain.high < 0 else None


def compare_baselines(rows: ScoredRows, judge: Judge) -> list[Comparison]:
    """Compare with every baseline, and the model in use, on the same rows, by paired intervals."""
    found = []
    for baseline in sorted(rows.baselines):
        for metric in METRICS[judge.problem]:
            theirs = estimate(rows, judge, metric, baseline)
            ours = estimate(rows, judge, metric)
            if ours.value is None and theirs.value is None:
                continue
            gain = gain_over(rows, judge, metric, baseline)
            found.append(
                Comparison(
                    other="champion" if baseline == IN_USE else f"baseline {baseline}",
                    split=rows.split,
                    metric=metric,
                    model=ours.value,
                    other_value=theirs.value,
                    gain=gain,
                    better=_better(gain),
                )
            )
    return found


def compare_splits(splits: Mapping[str, SplitEvaluation]) -> list[StabilityRow]:
    """Put every metric side by side over the splits, with the gaps between them.

    Sums of money are left out: they grow with the number of rows.
    """
    names = list(dict.fromkeys(name for split in splits.values() for name in split.metrics))
    found = []
    for name in names:
        if name in {"net_value", "cost", "within_ss"}:
            continue
        by_split = {
            split: part.metrics[name] for split, part in splits.items() if name in part.metrics
        }
        found.append(
            StabilityRow(
                metric=name,
                values={split: value.value for split, value in by_split.items()},
                gaps={
                    gap: independent_difference(name, by_split[second], by_split[first])
                    for gap, (first, second) in _GAPS.items()
                    if first in by_split and second in by_split
                },
            )
        )
    return found


def measure_criteria(
    criteria: Sequence[Criterion], splits: Mapping[str, ScoredRows], judge: Judge
) -> list[Measurement]:
    """Measure every criterion of the charter that a program can measure."""
    return [
        _measurement(criterion, splits, judge)
        for criterion in criteria
        if criterion.measured_by == "program"
    ]


def _measurement(
    criterion: Criterion, splits: Mapping[str, ScoredRows], judge: Judge
) -> Measurement:
    rows, reason = _rows_of(criterion, splits)
    if not reason and metric_info(judge.problem, criterion.metric) is None:
        known = ", ".join(metric_names(judge.problem))
        reason = f"no metric {criterion.metric} for a {judge.problem} problem; there are {known}"
    found = MetricValue(name=criterion.metric, value=None, reason=reason)
    if rows is not None and not reason:
        found = measure(rows, judge, criterion.metric)
    return Measurement(
        criterion_id=criterion.id,
        metric=criterion.metric,
        on=criterion.on,
        slice=criterion.slice,
        value=found.value,
        low=found.low,
        high=found.high,
        support=found.support,
        rows=rows.labelled_rows if rows is not None else 0,
        method=found.method,
        reason=found.reason,
    )


def _rows_of(
    criterion: Criterion, splits: Mapping[str, ScoredRows]
) -> tuple[ScoredRows | None, str]:
    rows = splits.get(criterion.on)
    if rows is None:
        return None, f"the project has no {criterion.on} rows"
    if criterion.slice_column is not None and criterion.slice_value is not None:
        column = rows.columns.get(criterion.slice_column)
        if column is None:
            return None, f"{criterion.on} rows have no column {criterion.slice_column}"
        rows = rows.where(column.matches(criterion.slice_value))
        if not rows.size:
            return rows, f"no labelled rows where {criterion.slice}"
    return rows, "" if rows.size else NO_ROWS
