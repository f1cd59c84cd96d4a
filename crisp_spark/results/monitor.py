"""Result of the step ``monitor``: drift, quality and alarms."""

from __future__ import annotations

from datetime import date
from typing import ClassVar, Literal

from pydantic import Field

from crisp_spark.results.base import ResultPart, StepResult, Verdict


class DriftBin(ResultPart):
    """One bin of a column: shares in the reference and now."""

    label: str
    reference: float
    current: float


class ColumnDrift(ResultPart):
    """How far one column has moved."""

    column: str
    role: Literal["input", "score"]
    kind: Literal["number", "category"]
    reference_rows: int
    current_rows: int
    psi: float | None
    """Population stability index over the reference's deciles or categories."""
    psi_noise: float | None
    """PSI that two samples of this size from one population reach in 1 case of 20."""
    js: float | None
    """Jensen-Shannon divergence in bits, 0 to 1."""
    ks: float | None
    """Largest distance of the two cumulated distributions (numbers only), on the bins' edges."""
    ks_noise: float | None = None
    """KS that two samples of this size from one population reach in 1 case of 20."""
    wasserstein: float | None = None
    """Mean way that a row has moved, in standard deviations of the reference (numbers only)."""
    missing_reference: float
    missing_current: float
    unseen_rows: int = 0
    """Current rows with a category that the reference does not have."""
    unseen_values: list[str] = Field(default=[])
    """Number of such categories is ``unseen_count``; no values of columns marked as personal."""
    unseen_count: int = 0
    verdict: Verdict
    bins: list[DriftBin] = Field(default=[])


class QualityDrift(ResultPart):
    """One metric, when the model was accepted and now."""

    metric: str
    reference: float | None
    current: float | None
    drop: float | None
    """How much worse it has become, in the metric's own unit; negative is better."""
    held_drop: float | None = None
    """The drop as it is held against the limit: relative to the reference unless a share."""
    low: float | None = None
    high: float | None = None
    support: int = 0
    """Current rows with a label."""
    verdict: Verdict = Verdict.UNKNOWN
    reason: str = ""


class Alarm(ResultPart):
    """A limit was passed."""

    signal: Literal[
        "psi", "js", "ks", "wasserstein", "missing", "unseen", "performance", "stale", "labels"
    ]
    feature: str
    value: float | str | None
    limit: float | str | None
    severity: Verdict
    action: str
    """What to do."""
    owner: str = ""
    """Who is told."""
    text: str


class RetrainRequest(ResultPart):
    """Why the model should be made anew; the next deployment carries it on."""

    reason: str
    signals: list[str]
    """Signals that were raised, each once."""
    columns: list[str]
    """What they were raised for."""
    requested_on: date


class MonitorResult(StepResult):
    """Result of the step ``monitor``."""

    step: ClassVar[str] = "monitor"

    verdict: Verdict
    reference: str
    """Table that inputs are compared with."""
    score_reference: str
    """Table that scores are compared with."""
    current: str
    reference_rows: int
    current_rows: int
    limits: dict[str, float | int | None]
    columns: list[ColumnDrift]
    quality: list[QualityDrift]
    labels_known_rows: int
    """Current rows with a label."""
    trained_on: date
    stale_after: date | None
    """From this date the model is stale unless fresh labels have confirmed it."""
    alarms: list[Alarm]
    retrain: RetrainRequest | None = None
    """Present where an alarm says that the model no longer fits."""
    methods: dict[str, str] = Field(default={})
    """Measure -> formula and source."""
    notes: list[str] = Field(default=[])
