"""Result of the step ``evaluate``: everything that the decision and the report need."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from crisp_spark.results.base import ResultPart, StepResult


class MetricValue(ResultPart):
    """A number with its interval."""

    name: str
    """Metric."""
    value: float | None
    """Point estimate; None where it cannot be computed."""
    low: float | None = None
    """Lower end of the interval."""
    high: float | None = None
    """Upper end of the interval."""
    support: int = 0
    """Rows that the number rests on (alerts for precision, positives for recall, ...)."""
    method: str = ""
    """How the interval was made: wilson, delong, normal, bootstrap, mover."""
    reason: str = ""
    """Why there is no value."""


class Confusion(ResultPart):
    """Counts at the threshold (binary)."""

    tp: int
    fp: int
    fn: int
    tn: int
    threshold: float


class CurvePoint(ResultPart):
    """One point of a curve."""

    x: float
    y: float
    threshold: float | None = None
    """Score at which the point is reached."""


class CalibrationBin(ResultPart):
    """Rows of about the same score: what was promised, what came."""

    rows: int
    mean_score: float
    rate: float
    low: float
    high: float


class LiftPoint(ResultPart):
    """The best-scored share of rows: what it holds."""

    share: float
    """Share of rows, best scores first."""
    gain: float
    """Share of all positives among them."""
    lift: float
    """Positives found per positive expected by chance."""


class Curves(ResultPart):
    """Curves of a binary model."""

    roc: list[CurvePoint] = Field(default=[])
    """x = false positive rate, y = recall."""
    pr: list[CurvePoint] = Field(default=[])
    """x = recall, y = precision."""
    calibration: list[CalibrationBin] = Field(default=[])
    calibration_error: float | None = None
    """Mean absolute gap between score and rate, weighted by rows (expected calibration error)."""
    gains: list[LiftPoint] = Field(default=[])


class ClassMetrics(ResultPart):
    """One class of a multiclass model."""

    label: str
    support: int
    predicted: int
    precision: MetricValue
    recall: MetricValue
    f1: float | None


class HistogramBin(ResultPart):
    """Rows between two edges."""

    low: float
    high: float
    rows: int


class ErrorDecile(ResultPart):
    """Errors of rows with about the same prediction (regression)."""

    decile: int
    rows: int
    mean_prediction: float
    mean_label: float
    mae: float
    bias: float


class Residuals(ResultPart):
    """Prediction minus target (regression)."""

    histogram: list[HistogramBin]
    deciles: list[ErrorDecile]
    quantiles: dict[str, float]
    """Quantiles of the residual: ``0.05``, ``0.25``, ..."""


class Comparison(ResultPart):
    """The model against another one, on the same rows."""

    other: str
    """``baseline <name>`` or ``champion``."""
    split: str
    metric: str
    model: float | None
    other_value: float | None
    gain: MetricValue
    """Advantage of the model; positive is better whatever the metric's direction."""
    better: bool | None
    """True or False where the interval excludes 0, None where it does not."""


class SplitEvaluation(ResultPart):
    """Everything about one set of rows."""

    split: Literal["train", "validation", "test", "later"]
    rows: int
    """All rows of the split."""
    read_rows: int
    """Rows that were read to the driver: all, or a hash sample of a very large split."""
    labelled_rows: int
    """Rows with a known label."""
    positives: int | None = None
    metrics: dict[str, MetricValue]
    confusion: Confusion | None = None
    class_matrix: list[list[int]] = Field(default=[])
    """Multiclass: rows are labels, columns are predictions."""
    classes: list[ClassMetrics] = Field(default=[])
    curves: Curves | None = None
    residuals: Residuals | None = None


class ThresholdPoint(ResultPart):
    """What a threshold would give."""

    threshold: float
    alert_rate: float
    precision: float | None
    recall: float | None
    f1: float | None
    value_per_row: float | None
    """Money per row, where outcome values are declared."""


class ThresholdChoice(ResultPart):
    """The threshold and the reason for it."""

    value: float
    """A row with a score of at least this gets an alert."""
    low: float | None = None
    """Lower end of the interval: other rows of the same kind might have given another choice."""
    high: float | None = None
    """Upper end of the interval."""
    by: Literal["outcome_values", "metric", "fixed"]
    metric: str
    """What was maximised: ``value_per_row`` or a metric's name; empty for a fixed threshold."""
    chosen_on: str
    """Split it was chosen on."""
    capacity_share: float | None = None
    """Largest share of rows that may get an alert."""
    capacity_binds: bool = False
    """Whether the best threshold without the limit would raise more alerts."""
    unlimited: float | None = None
    """The best threshold without the limit."""
    break_even: float | None = None
    """Score at which an alert pays, were the scores perfect probabilities."""
    explanation: str
    """In one or two sentences."""
    curve: list[ThresholdPoint] = Field(default=[])


class Reading(ResultPart):
    """An outcome read out in words."""

    outcome: Literal["tp", "fp", "fn", "tn", "all"]
    split: str
    slice: str = "all"
    rows: int
    share: float | None
    """Share of the rows that could have had this outcome (of all negatives, for fp and tn)."""
    money: float | None = None
    """Sum of the outcome's value."""
    text: str


class SliceResult(ResultPart):
    """One slice of the rows."""

    name: str
    """``carrier=UA``, or ``carrier=UA & origin=EWR``."""
    columns: list[str]
    declared: bool
    """Whether the project named the column, or the search found it."""
    rows: int
    loss: float
    """Mean loss per row in the slice."""
    excess: float
    """Mean loss above that of the other rows."""
    low: float
    high: float
    """Interval of the excess, widened for the number of slices looked at."""
    harm: float
    """Loss in the slice beyond what the same rows would cost at the overall mean."""
    judged: bool = True
    """Whether there are enough rows to call it weak or not."""
    weak: bool
    """Whether the interval lies above 0."""
    confusion: Confusion | None = None
    positives: int | None = None
    metrics: dict[str, float | None] = Field(default={})
    """Main metrics in the slice, without intervals."""
    net_value: float | None = None


class SliceReport(ResultPart):
    """The slices, worst first."""

    split: str
    loss: str
    """What the loss is: ``regret in EUR``, ``wrong decisions``, ``absolute error``, ..."""
    overall: float
    """Mean loss per row over all rows."""
    tested: int
    """Slices looked at; intervals are widened for that many (Bonferroni)."""
    confidence: float
    """Confidence of all intervals together."""
    min_support: int
    columns: list[str]
    """Columns looked at."""
    skipped: dict[str, str] = Field(default={})
    """Column -> why it was not looked at."""
    slices: list[SliceResult]


class TargetGroup(ResultPart):
    """A group worth acting on."""

    name: str
    rows: int
    rate: float
    """Observed share of positives."""
    alert_rate: float
    precision: float | None
    value_per_row: float | None


class Importance(ResultPart):
    """What one column is worth to the model."""

    column: str
    drop: float
    """Loss of the metric when the column's values are permuted among rows; above 0: it helps."""
    low: float
    high: float


class ImportanceReport(ResultPart):
    """Permutation importance, largest first."""

    metric: str
    base: float | None
    """The metric on the untouched sample."""
    rows: int
    repeats: int
    items: list[Importance]


class DependencePoint(ResultPart):
    """Mean score when a column is set to a value in every row of the sample."""

    value: float | str | None
    mean: float
    low: float
    high: float


class Dependence(ResultPart):
    """Partial dependence of the score on one column."""

    column: str
    kind: Literal["number", "category"]
    rows: int
    points: list[DependencePoint]


class RobustnessPoint(ResultPart):
    """Quality when input cells are blanked or swapped."""

    damage: Literal["missing", "swapped"]
    share: float
    """Share of input cells damaged."""
    metric: str
    value: float | None
    base: float | None
    error: str = ""
    """Why the model could not score the damaged rows."""


class StabilityRow(ResultPart):
    """One metric over the splits."""

    metric: str
    values: dict[str, float | None]
    """Split -> value."""
    gaps: dict[str, MetricValue]
    """``train_test``, ``validation_test``, ``test_later``: second minus first, with an interval."""


class ClusterPart(ResultPart):
    """One cluster."""

    cluster: int
    rows: int
    share: float
    silhouette: float | None
    within_ss: float | None


class RankingPart(ResultPart):
    """How lists were judged (recommendation)."""

    k: int
    users: int
    """Users with at least one relevant row."""
    relevant_from: float
    note: str


class Measurement(ResultPart):
    """The measured side of one criterion of the charter."""

    criterion_id: str
    metric: str
    on: str
    slice: str
    value: float | None
    low: float | None
    high: float | None
    support: int
    """Rows that the number rests on."""
    rows: int
    """Labelled rows of the split in the slice."""
    method: str = ""
    reason: str = ""
    """Why there is no value."""


class EvaluateResult(StepResult):
    """Result of the step ``evaluate``."""

    step: ClassVar[str] = "evaluate"

    problem: str
    unit: str = "row"
    """Unit of prediction, in the singular (``one flight``)."""
    currency: str = ""
    classes: list[str] = Field(default=[])
    main_metric: str
    """Metric of the sweep; importance and robustness are about it."""
    confidence: float
    bootstrap: int
    seed: int
    splits: dict[str, SplitEvaluation]
    threshold: ThresholdChoice | None = None
    readings: list[Reading] = Field(default=[])
    slices: SliceReport | None = None
    target_groups: list[TargetGroup] = Field(default=[])
    importance: ImportanceReport | None = None
    partial_dependence: list[Dependence] = Field(default=[])
    robustness: list[RobustnessPoint] = Field(default=[])
    comparisons: list[Comparison] = Field(default=[])
    stability: list[StabilityRow] = Field(default=[])
    clusters: list[ClusterPart] = Field(default=[])
    ranking: RankingPart | None = None
    measured: list[Measurement] = Field(default=[])
    criteria_hash: str = ""
    """Hash of the criteria under which the test set was read."""
    charter_version: int = 1
    """Version of the charter under which the test set was read."""
    methods: dict[str, str] = Field(default={})
    """Name of an interval's method -> what it is, with its source."""
    notes: list[str] = Field(default=[])
    """What a reader must know: samples taken, parts that could not be computed."""
