"""How a model is judged: metrics, intervals, the threshold, slices and explanations."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Literal

from pydantic import Field, model_validator

from crisp_spark.spec.base import SpecModel

GAIN_SUFFIX = "_gain"
"""``<metric>_gain`` is the advantage over the best baseline; positive is always better."""


class MetricInfo(SpecModel):
    """What a metric is, and which way is better."""

    name: str
    """Name in the project file."""
    higher_is_better: bool
    """Whether a larger value is better."""
    unit: str
    """``share``, ``money``, ``money per row``, ``target`` (the unit of the target), ``none``."""
    needs: Literal["score", "decision", "values", "features", "ranking"]
    """What it is computed from: ``values`` needs ``business.outcome_values``."""
    meaning: str
    """One line for readers of a report."""


def _table(*rows: tuple[str, bool, str, str, str]) -> Mapping[str, MetricInfo]:
    return MappingProxyType(
        {
            row[0]: MetricInfo.model_validate(
                dict(
                    zip(("name", "higher_is_better", "unit", "needs", "meaning"), row, strict=True)
                )
            )
            for row in rows
        }
    )


METRICS: Mapping[str, Mapping[str, MetricInfo]] = MappingProxyType(
    {
        "binary": _table(
            ("accuracy", True, "share", "decision", "share of decisions that were right"),
            ("precision", True, "share", "decision", "share of alerts that were right"),
            ("recall", True, "share", "decision", "share of positives that got an alert"),
            ("f1", True, "share", "decision", "harmonic mean of precision and recall"),
            ("specificity", True, "share", "decision", "share of negatives left alone"),
            (
                "false_positive_rate",
                False,
                "share",
                "decision",
                "share of negatives that got a false alarm",
            ),
            ("alert_rate", False, "share", "decision", "share of rows that got an alert"),
            (
                "roc_auc",
                True,
                "share",
                "score",
                "chance that a positive is scored above a negative",
            ),
            ("pr_auc", True, "share", "score", "precision averaged over recall"),
            ("log_loss", False, "none", "score", "surprise per row of the scores, in nats"),
            ("brier", False, "none", "score", "mean squared error of the scores"),
            ("net_value", True, "money", "values", "sum of the outcome values of all decisions"),
            ("value_per_row", True, "money per row", "values", "net value divided by rows"),
        ),
        "multiclass": _table(
            ("accuracy", True, "share", "decision", "share of rows given their class"),
            ("macro_f1", True, "share", "decision", "F1 averaged over classes"),
            ("macro_precision", True, "share", "decision", "precision averaged over classes"),
            ("macro_recall", True, "share", "decision", "recall averaged over classes"),
            ("log_loss", False, "none", "score", "surprise per row of the scores, in nats"),
        ),
        "regression": _table(
            ("rmse", False, "target", "decision", "root of the mean squared error"),
            ("mae", False, "target", "decision", "mean absolute error"),
            ("r2", True, "none", "decision", "share of the target's variance explained"),
            ("mape", False, "share", "decision", "mean absolute error relative to the target"),
            ("bias", False, "target", "decision", "mean of prediction minus target; 0 is best"),
            ("cost", False, "money", "values", "cost per unit of error, summed over all rows"),
            ("cost_per_row", False, "money per row", "values", "cost divided by rows"),
        ),
        "clustering": _table(
            ("silhouette", True, "none", "features", "how much nearer the own cluster is, -1 to 1"),
            ("within_ss", False, "none", "features", "squared distances to the cluster centres"),
        ),
        "recommendation": _table(
            ("rmse", False, "target", "decision", "root of the mean squared error"),
            ("mae", False, "target", "decision", "mean absolute error"),
            ("precision_at_k", True, "share", "ranking", "share of the top k that was relevant"),
            ("ndcg_at_k", True, "share", "ranking", "relevance of the top k, discounted by rank"),
        ),
    }
)
"""Problem type -> metric name -> what it is."""


def metric_names(problem: str) -> tuple[str, ...]:
    """Every name that a criterion of this problem type may use, gains included."""
    plain = tuple(METRICS[problem])
    if problem == "clustering":
        return plain
    return plain + tuple(name + GAIN_SUFFIX for name in plain)


def metric_info(problem: str, name: str) -> MetricInfo | None:
    """What the metric ``name`` (or the gain of one) is, or None where there is no such metric."""
    table = METRICS[problem]
    if name in table:
        return table[name]
    plain = name.removesuffix(GAIN_SUFFIX)
    if name.endswith(GAIN_SUFFIX) and plain in table and problem != "clustering":
        info = table[plain]
        return info.model_copy(
            update={
                "name": name,
                "higher_is_better": True,
                "meaning": f"advantage over the best baseline in: {info.meaning}",
            }
        )
    return None


class ThresholdSpec(SpecModel):
    """Which score is high enough for an alert. Chosen on out-of-fold rows, never on test rows."""

    by: Literal["auto", "outcome_values", "metric", "fixed"] = "auto"
    """``outcome_values`` maximises money, ``metric`` maximises ``metric``, ``fixed`` takes
    ``value``; ``auto`` is ``outcome_values`` where the business declares them, else ``metric``."""
    metric: str = "f1"
    """Metric to maximise: one of accuracy, precision, recall, f1, specificity."""
    value: float | None = Field(default=None, ge=0, le=1)
    """The threshold itself (score), for ``by: fixed``."""
    capacity: float | None = Field(default=None, gt=0)
    """Most alerts that can be acted on. Up to 1: a share of rows. Above 1: a number of alerts per
    ``capacity_rows`` rows, or, where that is not given, in the whole test set."""
    capacity_rows: int | None = Field(default=None, gt=0)
    """Rows to which a capacity above 1 refers (flights a day, customers a month)."""

    @model_validator(mode="after")
    def _complete(self) -> ThresholdSpec:
        if self.by == "fixed" and self.value is None:
            raise ValueError("by: fixed needs `value`, a score between 0 and 1")
        allowed = ("accuracy", "precision", "recall", "f1", "specificity")
        if self.metric not in allowed:
            raise ValueError(f"metric must be one of {', '.join(allowed)}, got {self.metric!r}")
        return self


class SliceSearchSpec(SpecModel):
    """The automatic search for the weakest slices."""

    enabled: bool = True
    """Whether to search beyond the declared slices."""
    max_columns: int = Field(default=20, ge=1, le=100)
    """Most columns searched, the most important ones of the model first."""
    max_values: int = Field(default=30, ge=2, le=200)
    """A column with more distinct values is cut into quartiles (numbers) or left out (text)."""
    min_support: int = Field(default=100, ge=1)
    """Slices with fewer rows are not judged."""
    pairs: bool = True
    """Whether to look at pairs of columns too."""
    report: int = Field(default=30, ge=1, le=200)
    """Most slices reported."""


class ImportanceSpec(SpecModel):
    """Permutation importance and the sample that explanations are computed on."""

    enabled: bool = True
    """Whether to compute explanations at all."""
    rows: int = Field(default=2000, ge=50, le=50_000)
    """Test rows in the sample (chosen by hash)."""
    repeats: int = Field(default=2, ge=1, le=20)
    """Permutations per column."""
    max_scored_rows: int = Field(default=150_000, ge=1000)
    """Bound on rows x columns x repeats; the sample shrinks where it would be passed."""


class RobustnessSpec(SpecModel):
    """What happens to quality when inputs get worse."""

    enabled: bool = True
    """Whether to try it."""
    shares: list[float] = Field(default=[0.05, 0.2])
    """Shares of input cells that are blanked, or swapped with another row's."""


class OverrideSpec(SpecModel):
    """A person's decision against the verdict; it stays visible."""

    decision: Literal["deploy", "iterate", "stop"]
    """What to do instead."""
    name: str = Field(min_length=1)
    """Who answers for it."""
    reason: str = Field(min_length=1)
    """Why."""
    date: date
    """When it was decided (ISO date)."""
    evidence: str = Field(default="", pattern=r"^([0-9a-f]{8,64})?$")
    """First digits of the evidence hash that ``decide`` shows: the override then holds for these
    results only, not for those of a later run."""


class EvaluationSpec(SpecModel):
    """Phase 5: evaluation."""

    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """Confidence of every interval."""
    bootstrap: int = Field(default=200, ge=20, le=10_000)
    """Resamples, for metrics without a closed-form interval."""
    threshold: ThresholdSpec = ThresholdSpec()
    """How the decision threshold is chosen (binary)."""
    slices: list[str] = Field(default=[])
    """Columns by which results are broken down and read out."""
    slice_search: SliceSearchSpec = SliceSearchSpec()
    """The search for the weakest slices."""
    importance: ImportanceSpec = ImportanceSpec()
    """Permutation importance."""
    partial_dependence: list[str] | None = None
    """Columns to draw; left out: the four most important ones; empty: none."""
    partial_dependence_points: int = Field(default=10, ge=2, le=50)
    """Points of each partial-dependence curve."""
    robustness: RobustnessSpec = RobustnessSpec()
    """Noise and missing values injected into test rows."""
    top_k: int = Field(default=10, ge=1)
    """k of precision_at_k and ndcg_at_k."""
    relevant_from: float | None = None
    """A rating of at least this is relevant (recommendation); left out: the mean rating."""
    curve_points: int = Field(default=100, ge=10, le=1000)
    """Most points of any curve in the result."""
    max_rows: int = Field(default=1_000_000, ge=1000)
    """Most rows of a split brought to the driver; beyond it a hash sample stands for them and
    only the counts of the confusion matrix stay exact."""
    override: OverrideSpec | None = None
    """A person's decision that replaces the verdict."""

    @property
    def measuring(self) -> EvaluationSpec:
        """All that decides how results are measured: without a person's decision about them."""
        return self.model_copy(update={"override": None})

    @model_validator(mode="after")
    def _no_twice(self) -> EvaluationSpec:
        if len(set(self.slices)) != len(self.slices):
            raise ValueError(f"slices: a column is named twice in {self.slices}")
        return self
