"""Quality with late labels: what the model was accepted on against what it does now."""

from __future__ import annotations

from dataclasses import dataclass

from crisp_spark.results.base import Verdict
from crisp_spark.results.evaluate import EvaluateResult, MetricValue
from crisp_spark.results.monitor import QualityDrift
from crisp_spark.spec.deployment import MonitoringSpec
from crisp_spark.spec.evaluation import MetricInfo, metric_info

_BEFORE = {"later": "test", "test": "validation"}
_NOT_QUALITY = {"alert_rate"}
_SMALLEST_REFERENCE = 1e-9
"""What a drop is divided by where the metric was 0 before."""


@dataclass(frozen=True)
class _Pair:
    """One metric, before and now."""

    info: MetricInfo
    before: MetricValue
    now: MetricValue | None
    gap: MetricValue | None

    def worse_by(self, value: float, reference: float) -> float:
        """How much worse ``value`` is than ``reference``."""
        if self.info.name == "bias":
            return abs(value) - abs(reference)
        return reference - value if self.info.higher_is_better else value - reference


def judge_quality(
    evaluation: EvaluateResult, limits: MonitoringSpec, *, current: str = "later"
) -> list[QualityDrift]:
    """Hold the metrics of the current rows against those the model was accepted on.

    Later rows are held against test rows; where there is no later period, test rows against
    out-of-fold rows. The interval of a drop is that of the difference of two separate samples.
    A drop counts when it is above the limit and its interval lies above 0. Metrics that are not
    shares are held against the limit relative to their value then. Only the metric that the model
    was chosen by can fail; a drop of another is a warning.
    """
    before = evaluation.splits.get(_BEFORE.get(current, "test"))
    now = evaluation.splits.get(current)
    if before is None:
        return []
    gaps = {
        row.metric: row.gaps.get(f"{_BEFORE.get(current)}_{current}")
        for row in evaluation.stability
    }
    found = []
    for name, value in before.metrics.items():
        info = metric_info(evaluation.problem, name)
        if info is None or info.unit == "money" or name in _NOT_QUALITY:
            continue  # sums grow with rows; the value per row is among the metrics
        pair = _Pair(info, value, now.metrics.get(name) if now else None, gaps.get(name))
        judged = _judge(pair, limits)
        if judged.verdict is Verdict.FAIL and name != evaluation.main_metric:
            judged = judged.model_copy(update={"verdict": Verdict.WARN})
        found.append(judged)
    return found


def _judge(pair: _Pair, limits: MonitoringSpec) -> QualityDrift:
    reference, now = pair.before.value, pair.now
    if now is None or reference is None or now.value is None:
        reason = (now.reason if now is not None else "") or pair.before.reason or "no labels yet"
        return QualityDrift(
            metric=pair.info.name, reference=reference, current=None, drop=None, reason=reason
        )
    drop = pair.worse_by(now.value, reference)
    low, high = _interval(pair)
    scale = 1.0 if pair.info.unit == "share" else max(abs(reference), _SMALLEST_REFERENCE)
    held = drop / scale
    real = held > limits.performance_drop_limit and (low is None or low > 0)
    enough = now.support >= limits.min_rows
    verdict = (Verdict.FAIL if real else Verdict.PASS) if enough else Verdict.UNKNOWN
    return QualityDrift(
        metric=pair.info.name,
        reference=reference,
        current=now.value,
        drop=drop,
        held_drop=held,
        low=low,
        high=high,
        support=now.support,
        verdict=verdict,
        reason="" if enough else f"fewer than {limits.min_rows} rows with a label",
    )


def _interval(pair: _Pair) -> tuple[float | None, float | None]:
    """Interval of the drop; the gap is current minus before."""
    gap, now = pair.gap, pair.now
    if pair.info.name == "bias":
        if now is None or now.low is None or now.high is None:
            return None, None
        # A bias is worse the farther it lies from 0, on either side.
        nearest = 0.0 if now.low <= 0 <= now.high else min(abs(now.low), abs(now.high))
        before = abs(pair.before.value or 0.0)
        return nearest - before, max(abs(now.low), abs(now.high)) - before
    if gap is None or gap.low is None or gap.high is None:
        return None, None
    return (-gap.high, -gap.low) if pair.info.higher_is_better else (gap.low, gap.high)
