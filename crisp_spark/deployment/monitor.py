"""Drift of inputs and scores, quality with late labels, and the alarms that follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from crisp_spark.deployment.drift import (
    jensen_shannon_divergence,
    kolmogorov_smirnov_distance,
    ks_noise,
    population_stability_index,
    psi_noise,
    wasserstein_distance,
)
from crisp_spark.deployment.monitor_bins import BinnedColumn, measure_bins
from crisp_spark.deployment.monitor_quality import judge_quality
from crisp_spark.deployment.retraining import ask_for_retraining
from crisp_spark.deployment.signals import beyond_chance, missing_rise
from crisp_spark.results.base import Verdict, worst
from crisp_spark.results.evaluate import EvaluateResult
from crisp_spark.results.monitor import Alarm, ColumnDrift, DriftBin, MonitorResult, QualityDrift
from crisp_spark.spec.deployment import MonitoringSpec

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SCORE = "_crisp_score"

METHODS = {
    "psi": "population stability index over the reference's deciles or categories, in nats",
    "js": "Jensen-Shannon divergence over the same bins, in bits (Lin 1991)",
    "ks": "Kolmogorov-Smirnov distance on the edges of the reference's fiftieths",
    "wasserstein": "first Wasserstein distance between bin means, in standard deviations",
    "noise": "95th percentile of the measure for two samples of one population: chi-squared for "
    "psi (Yurdakul and Naranjo 2020) and js, Smirnov's limit for ks; below it nothing is alarmed",
    "performance": "difference of two separate samples, with its interval (Newcombe 1998); an "
    "alarm needs a drop above the limit and an interval above 0",
}


@dataclass(frozen=True)
class Watched:
    """The tables that are compared.

    Attributes:
        name: Names of the compared tables, for the report.
        reference: Rows that the model was made from.
        current: Rows it is used on now.
        columns: Columns to compare.
        reference_rows: Rows of the reference, where known; edges may then come from a sample.
    """

    name: tuple[str, str]
    reference: DataFrame
    current: DataFrame
    columns: Sequence[str]
    reference_rows: int | None = None


@dataclass(frozen=True)
class Times:
    """Days that ages are counted from.

    Attributes:
        today: Day of this look at the model.
        trained_on: Day the model was made.
    """

    today: date
    trained_on: date


def measure_monitoring(
    inputs: Watched,
    scores: Watched | None,
    evaluation: EvaluateResult,
    limits: MonitoringSpec,
    *,
    times: Times,
    pii: frozenset[str] = frozenset(),
) -> MonitorResult:
    """Compare inputs, scores and quality with what the model was accepted on.

    Args:
        inputs: Input columns then and now.
        scores: Score column then and now; None where a model gives none.
        evaluation: Measures of every split; those of the current rows are the late labels.
        limits: What is still tolerated.
        times: Days that ages are counted from.
        pii: Columns whose values must not be shown.

    Rows: all. Adds: none. Drops: none. Jobs: two per watched pair of tables.
    """
    drifts = [
        judge_column(column, "input", limits, hide=column.name in pii)
        for column in _measured(inputs)
    ]
    if scores is not None:
        drifts += [judge_column(c, "score", limits, hide=False) for c in _measured(scores)]
    quality = judge_quality(evaluation, limits, current=inputs.name[1])
    stale_after = None
    if limits.stale_after_days:
        stale_after = times.trained_on + timedelta(days=limits.stale_after_days)
    now = evaluation.splits.get(inputs.name[1])
    alarms = [
        *_drift_alarms(drifts, limits),
        *_quality_alarms(quality, limits),
        *_age_alarms(stale_after, times, limits),
    ]
    verdicts = [*(drift.verdict for drift in drifts), *(alarm.severity for alarm in alarms)]
    known: list[Verdict] = [verdict for verdict in verdicts if verdict is not Verdict.UNKNOWN]
    labelled = now.labelled_rows if now else 0
    return MonitorResult(
        verdict=worst(known) if known or not verdicts else Verdict.UNKNOWN,
        reference=inputs.name[0],
        score_reference=scores.name[0] if scores else "",
        current=inputs.name[1],
        reference_rows=_rows(drifts, "reference_rows"),
        current_rows=_rows(drifts, "current_rows"),
        limits=limits.model_dump(exclude={"owner", "action", "signals", "cloudwatch"}),
        columns=drifts,
        quality=quality,
        labels_known_rows=labelled,
        trained_on=times.trained_on,
        stale_after=stale_after,
        alarms=alarms,
        retrain=ask_for_retraining(alarms, times.today),
        methods=METHODS,
        notes=_notes(labelled, limits, drifts),
    )


def _measured(watched: Watched) -> list[BinnedColumn]:
    return measure_bins(
        watched.reference,
        watched.current,
        watched.columns,
        reference_rows=watched.reference_rows,
    )


def _notes(labelled: int, limits: MonitoringSpec, drifts: Sequence[ColumnDrift]) -> list[str]:
    notes = [] if labelled else ["No labels of current rows yet: quality is not judged."]
    if any(drift.verdict is Verdict.UNKNOWN for drift in drifts):
        notes.append(f"Drift is judged from {limits.min_rows:,} rows on; there are fewer.")
    if limits.label_lag_days:
        notes.append(
            f"Labels come {_counted(limits.label_lag_days, 'day')} late: "
            "the newest rows can be checked for drift, but not yet for quality."
        )
    return notes


def _counted(amount: int, noun: str) -> str:
    return f"{amount:,} {noun}" if amount == 1 else f"{amount:,} {noun}s"


def judge_column(
    column: BinnedColumn, role: str, limits: MonitoringSpec, *, hide: bool
) -> ColumnDrift:
    """Measure the drift of one column and hold it against the limits.

    A measure below what chance alone reaches at this number of rows is no drift, and with fewer
    than ``limits.min_rows`` rows nothing is judged.
    """
    before = sum(column.reference) + column.missing_reference
    now = sum(column.current) + column.missing_current
    usable = bool(sum(column.reference) and sum(column.current))
    bins = (column.reference, column.current)
    fine = (column.fine_reference, column.fine_current)
    means = (column.mean_reference, column.mean_current)
    drift = ColumnDrift(
        column=column.name,
        role="score" if role == "score" else "input",
        kind="number" if column.is_number else "category",
        reference_rows=before,
        current_rows=now,
        psi=population_stability_index(*bins) if usable else None,
        psi_noise=psi_noise(len(column.labels), sum(column.reference), sum(column.current)),
        js=jensen_shannon_divergence(*bins) if usable else None,
        ks=kolmogorov_smirnov_distance(*fine) if usable and column.is_number else None,
        ks_noise=ks_noise(sum(column.reference), sum(column.current)) if column.is_number else None,
        wasserstein=wasserstein_distance(*fine, places=means) if usable and means[0] else None,
        missing_reference=column.missing_reference / before if before else 0.0,
        missing_current=column.missing_current / now if now else 0.0,
        unseen_rows=column.unseen_rows,
        unseen_values=[] if hide else sorted(column.unseen),
        unseen_count=column.unseen_count,
        verdict=Verdict.UNKNOWN,
        bins=[] if hide else _bins(column),
    )
    return drift.model_copy(update={"verdict": _verdict(drift, limits)})


def _bins(column: BinnedColumn) -> list[DriftBin]:
    before, now = sum(column.reference) or 1, sum(column.current) or 1
    return [
        DriftBin(label=label, reference=p / before, current=q / now)
        for label, p, q in zip(column.labels, column.reference, column.current, strict=True)
    ]


def _verdict(drift: ColumnDrift, limits: MonitoringSpec) -> Verdict:
    if min(drift.reference_rows, drift.current_rows) < limits.min_rows:
        return Verdict.UNKNOWN
    if _signals(drift, limits) or missing_rise(drift) > limits.missing_limit:
        return Verdict.FAIL
    return Verdict.WARN if drift.unseen_count else Verdict.PASS


def _signals(drift: ColumnDrift, limits: MonitoringSpec) -> dict[str, tuple[float, float]]:
    """Measures above their limits: name to value and limit."""
    bounds: dict[str, float | None] = {
        "psi": limits.psi_limit,
        "js": limits.js_limit,
        "ks": limits.ks_limit,
        "wasserstein": limits.wasserstein_limit,
    }
    found = {}
    for name, value in beyond_chance(drift).items():
        limit = bounds[name]
        if limit is not None and value > limit:
            found[name] = (value, limit)
    return found


def _drift_alarms(drifts: Sequence[ColumnDrift], limits: MonitoringSpec) -> list[Alarm]:
    alarms = []
    for drift in drifts:
        if drift.verdict is Verdict.UNKNOWN:
            continue
        for signal, (value, limit) in _signals(drift, limits).items():
            text = f"{drift.column}: {signal} is {value:.3f}, the limit is {limit:g}"
            alarms.append(_alarm(signal, drift.column, value, limit, limits, text))
        more = missing_rise(drift)
        if more > limits.missing_limit:
            text = (
                f"{drift.column}: {drift.missing_current:.1%} missing, "
                f"{drift.missing_reference:.1%} in the reference"
            )
            alarms.append(_alarm("missing", drift.column, more, limits.missing_limit, limits, text))
        if drift.unseen_count:
            text = (
                f"{drift.column}: {_counted(drift.unseen_rows, 'row')} with "
                f"{_counted(drift.unseen_count, 'value')} that the reference does not have"
            )
            alarm = _alarm("unseen", drift.column, float(drift.unseen_rows), 0.0, limits, text)
            alarms.append(alarm.model_copy(update={"severity": Verdict.WARN}))
    return alarms


def _quality_alarms(quality: Sequence[QualityDrift], limits: MonitoringSpec) -> list[Alarm]:
    alarms = []
    for metric in quality:
        if metric.verdict not in {Verdict.FAIL, Verdict.WARN}:
            continue
        text = f"{metric.metric} went from {metric.reference:.3f} to {metric.current:.3f}"
        limit = limits.performance_drop_limit
        alarm = _alarm("performance", metric.metric, metric.drop, limit, limits, text)
        alarms.append(alarm.model_copy(update={"severity": metric.verdict}))
    return alarms


def _age_alarms(stale_after: date | None, times: Times, limits: MonitoringSpec) -> list[Alarm]:
    if stale_after is None or times.today <= stale_after:
        return []
    text = (
        f"the model was made on {times.trained_on.isoformat()} and counts as stale "
        f"since {stale_after.isoformat()}"
    )
    return [
        _alarm("stale", "model", times.today.isoformat(), stale_after.isoformat(), limits, text)
    ]


def _alarm(
    signal: str,
    feature: str,
    value: float | str | None,
    limit: float | str,
    limits: MonitoringSpec,
    text: str,
) -> Alarm:
    fields: Mapping[str, object] = {
        "signal": signal,
        "feature": feature,
        "value": value,
        "limit": limit,
        "severity": Verdict.FAIL,
        "action": limits.action_of(signal),
        "owner": limits.owner_of(signal),
        "text": text,
    }
    return Alarm.model_validate(fields)


def _rows(drifts: Sequence[ColumnDrift], name: str) -> int:
    return max((getattr(drift, name) for drift in drifts), default=0)
