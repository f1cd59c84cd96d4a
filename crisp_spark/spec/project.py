"""The whole project file."""

from __future__ import annotations

from math import ceil
from typing import Literal

from pydantic import Field

from crisp_spark.spec.base import SpecModel
from crisp_spark.spec.business import BusinessSpec
from crisp_spark.spec.data import DataSpec
from crisp_spark.spec.deployment import DeploymentSpec
from crisp_spark.spec.evaluation import EvaluationSpec
from crisp_spark.spec.modeling import ModelingSpec
from crisp_spark.spec.preparation import PreparationSpec
from crisp_spark.spec.review import ReviewSpec
from crisp_spark.spec.target import TargetSpec
from crisp_spark.spec.variables import VariableSpec

_LEAST_PARTITIONS = 4
_PARTITION_ROWS = 500_000


class ProjectInfo(SpecModel):
    """Name and place of the project."""

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")
    """Name of the project: letters, digits, ``-`` and ``_``."""
    owner: str = ""
    """Who answers for the project."""
    description: str = ""
    """One or two sentences."""
    workspace: str = "workspace"
    """Folder that holds tables, commits, reports and MLflow's records."""
    tracking_uri: str = ""
    """MLflow tracking server or store; empty: ``MLFLOW_TRACKING_URI``, else a database in the
    workspace."""
    seed: int = 42
    """Seed of every split, sample and learner."""
    layout_partitions: int | None = Field(default=None, ge=1)
    """Number of partitions that data is laid out in before anything is fitted, so that the number
    of cores or input files never changes a model; empty: one for each 500,000 rows, at least 4."""

    def partitions_of(self, rows: int) -> int:
        """Return the number of partitions for a table: it depends on its rows, on no machine."""
        return self.layout_partitions or max(_LEAST_PARTITIONS, ceil(rows / _PARTITION_ROWS))


class ProjectSpec(SpecModel):
    """The whole project file: one top key per CRISP-DM phase."""

    version: Literal[1]
    """Version of the file format."""
    project: ProjectInfo
    """Name and place of the project."""
    business: BusinessSpec
    """Phase 1: what the business wants, and what counts as success."""
    data: DataSpec
    """Phase 2: where the data is and what is known about it."""
    preparation: PreparationSpec = PreparationSpec()
    """Phase 3: how the sources become training and test rows."""
    modeling: ModelingSpec = ModelingSpec()
    """Phase 4: what is tried, and how the winner is chosen."""
    evaluation: EvaluationSpec = EvaluationSpec()
    """Phase 5: how the winner is judged."""
    deployment: DeploymentSpec = DeploymentSpec()
    """Phase 6: how the model is put to use and watched."""
    review: ReviewSpec = ReviewSpec()
    """What people add to the review of the 24 tasks and 42 outputs of CRISP-DM."""
    include: tuple[str, ...] = ()
    """Further files, as globs beside this one; they are laid over it in this order."""
    variables: dict[str, VariableSpec] = Field(default_factory=dict)
    """Variables, used as ``${var.name}``."""
    targets: dict[str, TargetSpec] = Field(default_factory=dict)
    """Places to run the project."""
