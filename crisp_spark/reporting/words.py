"""Names and number formats of metrics, problems and verdicts, in the words of a reader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crisp_spark.reporting.numbers import UNKNOWN, fixed, money, number, percent
from crisp_spark.spec.evaluation import GAIN_SUFFIX, METRICS, metric_info

_TITLES = {
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC",
    "f1": "F1",
    "macro_f1": "macro F1",
    "r2": "R²",
    "rmse": "RMSE",
    "mae": "MAE",
    "mape": "MAPE",
    "brier": "Brier score",
    "within_ss": "within-cluster sum of squares",
    "ndcg_at_k": "NDCG at k",
    "precision_at_k": "precision at k",
    "value_per_row": "value per row",
    "net_value": "net value",
    "false_positive_rate": "false positive rate",
    "specificity": "specificity",
}
_DECIMALS = frozenset({"roc_auc", "pr_auc", "f1", "macro_f1"})
_SPLITS = {
    "train": "training rows",
    "validation": "validation folds",
    "test": "test set",
    "later": "later period",
}
_OUTCOMES = {
    "tp": "true positives",
    "fp": "false positives",
    "fn": "false negatives",
    "tn": "true negatives",
    "all": "all rows",
}


@dataclass(frozen=True)
class Measure:
    """How the metrics of one problem are written.

    Attributes:
        problem: Problem type.
        currency: Currency of amounts.
        unit: Unit of the target, for errors in it.
    """

    problem: str
    currency: str = ""
    unit: str = ""

    def text(self, metric: str, value: float | None) -> str:
        """Write the value of a metric with its unit."""
        if value is None:
            return UNKNOWN
        if metric.endswith(GAIN_SUFFIX) and metric != GAIN_SUFFIX:
            return self.difference(metric.removesuffix(GAIN_SUFFIX), value)
        return self._plain(metric, value)

    def difference(self, metric: str, value: float | None) -> str:
        """Write how far two values of a metric lie apart, with its sign; shares in points."""
        if value is None:
            return UNKNOWN
        text = self._plain(metric, value).replace("\u00a0%", "\u00a0points")
        return f"+{text}" if value > 0 else text

    def _plain(self, metric: str, value: float) -> str:
        info = metric_info(self.problem, metric) if self.problem in METRICS else None
        unit = info.unit if info else "none"
        if unit == "share" and metric not in _DECIMALS:
            return percent(value, 1)
        if unit == "share":
            return fixed(value, 3)
        if unit == "money":
            return money(value, self.currency)
        if unit == "money per row":
            return money(round(value, 2), self.currency)
        suffix = f" {self.unit}" if unit == "target" and self.unit else ""
        return number(value) + suffix

    def span(self, metric: str, low: float | None, high: float | None) -> str:
        """Write an interval of a metric."""
        if low is None or high is None:
            return UNKNOWN
        return f"{self.text(metric, low)} to {self.text(metric, high)}"

    def higher_is_better(self, metric: str) -> bool:
        """Say which way is better; unknown metrics count as better when higher."""
        info = metric_info(self.problem, metric) if self.problem in METRICS else None
        return info.higher_is_better if info else True

    def meaning(self, metric: str) -> str:
        """Say in one line what a metric is."""
        info = metric_info(self.problem, metric) if self.problem in METRICS else None
        return info.meaning if info else ""

    def apart(self, metric: str, low: float | None, high: float | None) -> str:
        """Write an interval of a difference."""
        if low is None or high is None:
            return UNKNOWN
        return f"{self.difference(metric, low)} to {self.difference(metric, high)}"

    def explained(self, metric: str, value: float | None) -> str:
        """Write a value with what the metric means."""
        meaning = self.meaning(metric)
        return f"{self.text(metric, value)}: {meaning}" if meaning else self.text(metric, value)


def metric_title(metric: str) -> str:
    """Name of a metric as readers know it."""
    if metric.endswith(GAIN_SUFFIX) and metric != GAIN_SUFFIX:
        return f"{metric_title(metric.removesuffix(GAIN_SUFFIX))} gain over the best baseline"
    return _TITLES.get(metric, metric.replace("_", " "))


def split_title(split: str) -> str:
    """Name of a set of rows."""
    return _SPLITS.get(split, split)


def outcome_title(outcome: str) -> str:
    """Name of an outcome of a binary decision."""
    return _OUTCOMES.get(outcome, outcome)


def capital(text: str) -> str:
    """The text with its first letter raised."""
    return text[:1].upper() + text[1:]


def plain_value(value: Any) -> str:
    """A value of the data or of a hyperparameter, as a person would write it."""
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return number(value, 4)
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)  # noqa: PLR2004 - years stay whole
    if isinstance(value, list | tuple):
        return ", ".join(plain_value(item) for item in value)
    return str(value)


def settings(params: dict[str, Any]) -> str:
    """Hyperparameters on one line."""
    return ", ".join(f"{key} = {plain_value(value)}" for key, value in params.items()) or "defaults"


def listed(words: list[str], most: int = 5) -> str:
    """``a, b and c``; beyond ``most`` the rest is counted."""
    if len(words) > most:
        return f"{', '.join(words[:most])} and {len(words) - most} more"
    if len(words) < 2:  # noqa: PLR2004
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"
