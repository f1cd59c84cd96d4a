"""What the signals of monitoring are called in CloudWatch, and which limit each is held against.

The job that monitors writes these metrics, and the templates put alarms on them: both read them
here, so that no alarm waits for a metric of another name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from crisp_spark.spec.deployment import MonitoringSpec, Signal

NAMESPACE = "crisp_spark/monitoring"
"""Namespace of the metrics."""

DIMENSIONS = ("Project", "Model")
"""Names of what the metrics are split by."""


@dataclass(frozen=True)
class SignalMetric:
    """A signal as a metric of CloudWatch: the worst column, or the worst measure of quality.

    Attributes:
        signal: The signal, as the plan of monitoring names it.
        name: Name of the metric.
        unit: Unit, as CloudWatch has it; ``None`` for shares, distances and days.
        meaning: What it says, for people.
        setting: Field of ``deployment.monitoring`` with the limit; empty: the limit is 0.
    """

    signal: Signal
    name: str
    unit: str
    meaning: str
    setting: str

    def limit(self, monitoring: MonitoringSpec) -> float | None:
        """Return the limit above which the signal is raised; None where it never is."""
        if not self.setting:
            return 0.0
        limit: float | None = getattr(monitoring, self.setting)
        return limit


ALWAYS = "ModelAgeDays"
"""Metric that every monitoring writes, whatever else it could judge."""

METRICS: tuple[SignalMetric, ...] = (
    SignalMetric(
        "psi", "PopulationStabilityIndex", "None", "shares moved between bins", "psi_limit"
    ),
    SignalMetric("js", "JensenShannonDivergence", "None", "distributions moved apart", "js_limit"),
    SignalMetric(
        "ks", "KolmogorovSmirnovDistance", "None", "largest gap of the distributions", "ks_limit"
    ),
    SignalMetric(
        "wasserstein",
        "WassersteinDistance",
        "None",
        "way that rows have moved, in standard deviations",
        "wasserstein_limit",
    ),
    SignalMetric(
        "missing", "MissingRise", "None", "rise of the share of missing values", "missing_limit"
    ),
    SignalMetric("unseen", "UnseenRows", "Count", "rows with a value that training never had", ""),
    SignalMetric(
        "performance",
        "PerformanceDrop",
        "None",
        "drop of quality on rows whose outcome is known",
        "performance_drop_limit",
    ),
    SignalMetric(
        "stale", "ModelAgeDays", "None", "days since the model was made", "stale_after_days"
    ),
)
"""Every signal that can be raised, in the order in which it is shown."""


def watched_metrics(monitoring: MonitoringSpec) -> Iterator[tuple[SignalMetric, float]]:
    """Yield each metric that has a limit, and the limit."""
    for metric in METRICS:
        limit = metric.limit(monitoring)
        if limit is not None:
            yield metric, float(limit)


def dimensions_of(project: str, model: str) -> dict[str, str]:
    """Return what the metrics of a project's model are split by: name to value.

    CloudWatch takes ASCII only.
    """
    values = (value.encode("ascii", "backslashreplace").decode() for value in (project, model))
    return dict(zip(DIMENSIONS, values, strict=True))
