"""The signals of a monitoring as numbers: what is held against limits, and told to CloudWatch."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from crisp_spark.results.base import Verdict
from crisp_spark.results.monitor import ColumnDrift, MonitorResult, QualityDrift
from crisp_spark.spec.deployment import Signal
from crisp_spark.spec.signals import METRICS, NAMESPACE, dimensions_of


@dataclass(frozen=True)
class SignalValue:
    """The worst value of a signal.

    Attributes:
        value: The value; 0 where chance alone explains all that was measured.
        feature: Column or metric that it was found in.
    """

    value: float
    feature: str


def beyond_chance(drift: ColumnDrift) -> dict[str, float]:
    """Return the measures of a column's drift: signal to value, 0 where chance explains it.

    What was not measured is left out. Wasserstein's distance has no known distribution under
    chance and is returned as it is.
    """
    # For small differences both are sums of squares: JS in bits is PSI / (8 ln 2).
    js_noise = None if drift.psi_noise is None else drift.psi_noise / (8 * math.log(2))
    measured = {
        "psi": (drift.psi, drift.psi_noise),
        "js": (drift.js, js_noise),
        "ks": (drift.ks, drift.ks_noise),
        "wasserstein": (drift.wasserstein, None),
    }
    return {
        name: value if noise is None or value > noise else 0.0
        for name, (value, noise) in measured.items()
        if value is not None
    }


def missing_rise(drift: ColumnDrift) -> float:
    """Return by how much the missing share of a column has risen, -1 to 1."""
    return drift.missing_current - drift.missing_reference


def signal_values(result: MonitorResult, at: datetime) -> dict[Signal, SignalValue]:
    """Return the worst value of each signal that was judged.

    A value is above its limit exactly where the monitoring raises an alarm. Signals of which
    nothing could be judged (too few rows, no labels yet) are left out.

    Args:
        result: The monitoring.
        at: Now; the model's age is counted to this day, in UTC.
    """
    found: dict[str, SignalValue] = {}
    for signal, value, feature in _judged(result):
        known = found.get(signal)
        if known is None or value > known.value:
            found[signal] = SignalValue(max(value, 0.0), feature)
    days = (at.astimezone(UTC).date() - result.trained_on).days
    found["stale"] = SignalValue(float(max(days, 0)), "model")
    return {metric.signal: found[metric.signal] for metric in METRICS if metric.signal in found}


def _judged(result: MonitorResult) -> Iterator[tuple[str, float, str]]:
    for drift in result.columns:
        if drift.verdict is Verdict.UNKNOWN:
            continue
        for signal, value in beyond_chance(drift).items():
            yield signal, value, drift.column
        yield "missing", missing_rise(drift), drift.column
        yield "unseen", float(drift.unseen_rows), drift.column
    for metric in result.quality:
        if metric.verdict is not Verdict.UNKNOWN and metric.held_drop is not None:
            yield "performance", _established_drop(metric, metric.held_drop), metric.metric


def _established_drop(metric: QualityDrift, drop: float) -> float:
    """The drop, or 0 where its interval does not lie above 0."""
    return drop if metric.low is None or metric.low > 0 else 0.0


def monitoring_line(result: MonitorResult, *, project: str, model: str, at: datetime) -> str:
    """Return one line of JSON that CloudWatch turns into metrics (embedded metric format 0).

    Names of columns are told beside the metrics, values of theirs never.

    Args:
        result: The monitoring.
        project: Name of the project.
        model: Name of the model.
        at: Now, with its time zone.
    """
    values = signal_values(result, at)
    metrics = [metric for metric in METRICS if metric.signal in values]
    dimensions = dimensions_of(project, model)
    directive = {
        "Namespace": NAMESPACE,
        "Dimensions": [list(dimensions)],
        "Metrics": [{"Name": metric.name, "Unit": metric.unit} for metric in metrics],
    }
    line: dict[str, Any] = {
        "_aws": {"Timestamp": int(at.timestamp() * 1000), "CloudWatchMetrics": [directive]},
        **dimensions,
        **{metric.name: values[metric.signal].value for metric in metrics},
        "Worst": {metric.name: values[metric.signal].feature for metric in metrics},
        "Alarms": sorted({alarm.signal for alarm in result.alarms}),
        "Retrain": result.retrain is not None,
        "Rows": result.current_rows,
    }
    return json.dumps(line, separators=(",", ":"))
