"""Result of the step ``sweep``: trials, winner, baselines and the features of the model."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from crisp_spark.results.base import ResultPart, StepResult
from crisp_spark.results.findings import SweepFindings


class FamilyResult(ResultPart):
    """A learner that was tried."""

    name: str
    """Name in the project."""
    kind: str
    """Learner."""
    title: str
    """Learner in words."""
    trials: int
    """Trials of it, failed ones included."""
    failed: int
    """Trials that failed."""
    best_metric: float | None
    """Best mean of the metric."""
    seconds: float
    """Time spent on its trials."""
    notes: list[str] = Field(default=[])
    """Fixes made for it (features rescaled, bins raised, ...)."""


class TrialResult(ResultPart):
    """One point of the search space."""

    name: str
    """Short name, unique in the sweep."""
    family: str
    """Name of its family."""
    params: dict[str, Any]
    """Hyperparameters that were set."""
    status: Literal["finished", "failed"]
    """Whether it could be fitted and scored on every fold."""
    metric: float | None = None
    """Mean of the sweep's metric over the folds."""
    std: float | None = None
    """Standard deviation over the folds (n - 1)."""
    fold_metrics: list[float | None] = Field(default=[])
    """The sweep's metric fold by fold."""
    metrics: dict[str, float | None] = Field(default={})
    """Means of all metrics."""
    seconds: float = 0.0
    """Time from start to end; its share where trials share a fit."""
    complexity: float = 0.0
    """Order of simplicity: lower is simpler."""
    error: str = ""
    """Why it failed."""
    notes: list[str] = Field(default=[])
    """Fixes made before it was fitted."""
    resumed: bool = False
    """Whether it was taken over from an interrupted attempt."""
    started_ms: int = 0
    """Start, milliseconds since the epoch."""
    engine: str = ""
    """What fitted it: mllib, or an engine that shares work among trials."""
    label: Literal["exact", "equivalent", ""] = ""
    """Whether MLlib alone would have given the very same metrics, or only as good ones."""
    share: float = 1.0
    """Share of its iterations or of the rows that an early rung gave it; below 1 it cannot win."""


class RungResult(ResultPart):
    """A rung of a search that starts many trials small and takes the best further."""

    bracket: int
    """Number of the bracket; rungs of one bracket follow each other."""
    share: float
    """Share of the resource that each trial got."""
    resource: Literal["iterations", "rows"]
    """What there was less of."""
    trials: int
    """Trials at this rung."""
    kept: int
    """Trials that went on."""
    best: float | None
    """Best metric at this rung."""
    cut: float | None
    """Worst metric at this rung among those that went on."""
    agreement: float | None
    """Rank correlation (Spearman) of those that went on, between this rung and the next; None for
    fewer than three. Low: trials that were cut might have come out ahead."""


class Winner(ResultPart):
    """The model that was fitted on all training rows."""

    trial: str
    """Name of its trial."""
    family: str
    """Name of its family."""
    title: str
    """Learner in words."""
    params: dict[str, Any]
    """Hyperparameters that were set."""
    metric: float
    """Mean of the metric over the folds."""
    std: float | None
    """Standard deviation over the folds."""
    reason: str
    """Why it won."""
    rows: int
    """Training rows of the final fit."""
    seconds: float
    """Time of the final fit."""
    score_is_probability: bool
    """Whether scores are probabilities, or only an order (support vector machines)."""
    facts: list[str] = Field(default=[])
    """The model in words: stages, trees, coefficients."""
    weights: list[FeatureWeight] = Field(default=[])
    """Importance (trees) or coefficient (linear models) by slot, largest first."""
    weight_kind: Literal["importance", "coefficient", ""] = ""
    """What the weights are."""


class FeatureWeight(ResultPart):
    """What a slot of the feature vector weighs in the model."""

    slot: str
    """Name of the slot: the feature, and the category of a one-hot feature."""
    feature: str
    """Feature that it belongs to."""
    value: float
    """Importance, or coefficient on the feature's own scale."""


class BaselineResult(ResultPart):
    """A rule to beat."""

    name: str
    """Short name; scored frames carry it as ``_crisp_baseline_<name>``."""
    expression: str
    """Spark SQL of its score or prediction."""
    doc: str
    """What it stands for."""
    metrics: dict[str, float | None]
    """Means of all metrics over the folds."""
    fold_metrics: list[float | None] = Field(default=[])
    """The sweep's metric fold by fold."""
    user: bool = False
    """Whether the project declared it."""


class FeatureResult(ResultPart):
    """A feature of the model."""

    name: str
    """Name for readers."""
    source_columns: list[str]
    """Input columns that it comes from."""
    kind: Literal["numeric", "flag", "categorical", "vector"]
    """What it is after fitting."""
    transforms: list[str] = Field(default=[])
    """What was done to it, in order."""
    slots: int = 1
    """Places it takes in the feature vector."""
    first_slot: int = 0
    """Index of its first place."""
    slot_names: list[str] = Field(default=[])
    """Names of its places where there are several (at most 200)."""
    automatic: bool = False
    """Whether a transform was chosen automatically."""
    missing: int = 0
    """Training rows where the source was null."""
    not_numbers: int = 0
    """Training rows where the source was NaN or infinite, treated as missing."""


class ExcludedColumn(ResultPart):
    """A column that is no feature."""

    column: str
    """Name."""
    reason: str
    """Why."""


class FoldResult(ResultPart):
    """One validation fold."""

    fold: int
    """Number of the fold."""
    train_rows: int
    """Rows fitted on."""
    validation_rows: int
    """Rows scored."""
    features: int
    """Length of the feature vector fitted on this fold."""
    seconds: float
    """Time to prepare its features."""


class Plan(ResultPart):
    """What was planned."""

    search: str
    """Kind of search: grid, random, quasi_random, tpe, halving or hyperband."""
    mode: str = "exact"
    """exact or fast."""
    planned: int
    """Trials planned."""
    run: int
    """Trials finished or failed in this attempt."""
    resumed: int
    """Trials taken over from an interrupted attempt."""
    left_out: int
    """Trials left out by the budget."""
    stopped: str = ""
    """Why it stopped early."""
    rows: int | None = None
    """Rows sampled for the trials; None when all were used."""
    validation: str
    """k_fold, repeated, expanding or sliding."""
    partitions: int
    """Partitions that training data was laid out in."""
    class_weights: dict[str, float] = Field(default={})
    """Weight of each class."""
    rungs: list[RungResult] = Field(default=[])
    """How trials were sifted; empty where every trial was fitted in full."""
    regret: str = ""
    """What is risked by cutting trials short."""


class SweepResult(StepResult):
    """Result of the step ``sweep``."""

    step: ClassVar[str] = "sweep"

    problem: str
    """binary, multiclass, regression, clustering or recommendation."""
    classes: list[str]
    """Class names in the order of their labels; empty for numbers."""
    metric: str
    """Metric that decided."""
    higher_is_better: bool
    """Direction of the metric."""
    train_rows: int
    """Labelled training rows."""
    plan: Plan
    """What was planned, and what came of it."""
    folds: list[FoldResult]
    """Validation folds."""
    families: list[FamilyResult]
    """Learners tried."""
    trials: list[TrialResult]
    """Every trial, in the order it was planned."""
    winner: Winner
    """The model chosen."""
    baselines: list[BaselineResult]
    """Rules to beat."""
    features: list[FeatureResult]
    """Features in the order of the vector."""
    excluded: list[ExcludedColumn]
    """Columns that are no features, with reasons."""
    model_columns: list[str]
    """Input columns that the pipeline reads."""
    warnings: list[str]
    """What a reader should know: leak suspects, fixes, rows without a label."""
    seconds: float
    """Time of the whole sweep."""
    findings: SweepFindings = SweepFindings()
    """What was found out beside the winner."""


Winner.model_rebuild()
