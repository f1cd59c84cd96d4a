"""Exports a fitted pipeline: every stage as data that scoring without Spark understands."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crisp_spark.deployment.portable_learners import LEARNERS
from crisp_spark.deployment.portable_sql import (
    NotPortableError,
    definitions,
    expression_tree,
)
from crisp_spark.deployment.portable_stages import STAGES

if TYPE_CHECKING:
    from pyspark.ml import PipelineModel
    from pyspark.sql import DataFrame

__all__ = ["LINES", "Exported", "NotPortableError", "export_pipeline", "export_rule"]

LINES = ("3.5", "4.0", "4.1")
"""Spark lines whose models are read."""


@dataclass
class Exported:
    """A pipeline as data.

    Attributes:
        stages: Description of each stage.
        arrays: Numbers of the stages.
        answer: Columns of the last learner: prediction, probability, raw.
    """

    stages: list[dict[str, Any]] = field(default_factory=list)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    answer: dict[str, str] = field(default_factory=dict)

    def keep(self, name: str, values: Any) -> str:
        """Keep numbers and return the name under which they are found."""
        full = f"s{len(self.stages)}.{name}"
        array = np.asarray(values)
        self.arrays[full] = array.astype(np.float64) if array.dtype == object else array
        return full


def export_pipeline(
    model: PipelineModel, empty: DataFrame, *, functions: Collection[str], spark: str
) -> Exported:
    """Export a pipeline.

    Args:
        model: The fitted pipeline; nested pipelines are opened.
        empty: Frame without rows with the pipeline's input columns.
        functions: Names of SQL functions that the runtime has.
        spark: Version of Spark that fitted it.

    Raises:
        NotPortableError: Another Spark line, or a stage or an expression without a counterpart; the
            message names it.
    """
    if not spark.startswith(tuple(f"{line}." for line in LINES)):
        raise NotPortableError(
            f"deploy: models of Spark {spark} are not exported", hint=f"lines: {', '.join(LINES)}"
        )
    exported, frame = Exported(), empty
    for stage in flat(model.stages):
        made = stage.transform(frame)
        name = type(stage).__name__
        try:
            _export_stage(exported, stage, (frame, made), functions)
        except NotPortableError as error:
            raise NotPortableError(
                f"deploy: stage {len(exported.stages) + 1} ({name}) cannot be carried out of "
                f"Spark: {error.message}",
                hint=error.hint or "the model can still be scored with Spark",
            ) from error
        frame = made
    if not exported.answer:
        raise NotPortableError("deploy: the pipeline has no learner that can be carried")
    return exported


def _export_stage(
    exported: Exported, stage: Any, frames: tuple[DataFrame, DataFrame], functions: Collection[str]
) -> None:
    """Add one stage; ``frames`` are those before and behind it."""
    name, (before, behind) = type(stage).__name__, frames
    if name == "SQLTransformer":
        _export_statement(exported, behind, before, functions)
    elif name in STAGES:
        exported.stages.append(STAGES[name](stage, before, exported.keep))
    elif name in LEARNERS:
        spec = LEARNERS[name](stage, before, exported.keep)
        exported.stages.append(spec)
        exported.answer = {role: column for role, column in spec["outputs"].items() if column}
    else:
        raise NotPortableError(f"stage {name} has no counterpart outside Spark")


def flat(stages: Sequence[Any]) -> list[Any]:
    """Return stages with pipelines among them opened."""
    found = []
    for stage in stages:
        inner = getattr(stage, "stages", None)
        found += flat(inner or []) if type(stage).__name__ == "PipelineModel" else [stage]
    return found


def _export_statement(
    exported: Exported, made: DataFrame, frame: DataFrame, functions: Collection[str]
) -> None:
    columns = [
        {"name": name, "tree": tree} for name, tree in definitions(made, frame.columns, functions)
    ]
    exported.stages.append({"kind": "sql", "columns": columns})
    if exported.answer.get("prediction") in {column["name"] for column in columns}:
        raise NotPortableError("a statement that replaces the prediction")
    if "prediction" in {column["name"] for column in columns}:
        # What stands behind a learner completes its answer (unknown users and items).
        exported.answer["prediction"] = "prediction"


def export_rule(
    sql: str, kind: str, empty: DataFrame, functions: Collection[str]
) -> Mapping[str, Any]:
    """Export the fallback rule, cast to the type of a decision or a prediction.

    Raises:
        NotPortableError: It has a part without a counterpart.
    """
    tree = expression_tree(f"CAST(({sql}) AS {kind})", empty, functions)
    return {"expression": sql, "tree": tree}
