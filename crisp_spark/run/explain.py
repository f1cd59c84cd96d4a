"""What the quality step will cost per source, told from the columns alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crisp_spark.errors import SpecError
from crisp_spark.run.plan import Rehearsal, source_frames

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from crisp_spark.spec.load import LoadedProject
    from crisp_spark.understanding.quality_explain import Explained


def explain_quality(
    project: LoadedProject, spark: SparkSession | None = None
) -> tuple[list[Explained], list[str]]:
    """Plan the rules of every source whose columns are known; no job is run.

    Args:
        project: The project.
        spark: Session to analyse with; without one a small local one is started.

    Returns:
        The plans, and what could not be planned, in words.

    Raises:
        SpecError: Rules do not fit the columns.
    """
    from crisp_spark.engine.session import build_session
    from crisp_spark.spec.quality import bind_rules
    from crisp_spark.understanding.quality_explain import explain_rules
    from crisp_spark.understanding.usual import measurable

    rehearsal = Rehearsal(project, spark or build_session("explain", master="local[1]"))
    known, frames = source_frames(rehearsal)
    plans: list[Explained] = []
    notes = [*rehearsal.report.warnings]
    faults = [*rehearsal.report.faults]
    for name, source in project.spec.data.sources.items():
        columns = {column: spec.rules for column, spec in source.columns.items()}
        rules = bind_rules(name, columns, source.rules)
        if not known[name].complete:
            notes.append(f"{name}: not every column is known yet; run `crisp run --to ingest`")
            continue
        try:
            plans.append(
                explain_rules(frames[name], measurable(rules), source=name, parents=frames)
            )
        except SpecError as error:
            faults += error.faults or [error.message]
    if faults:
        raise SpecError("quality explain: rules cannot be planned", faults=faults)
    return plans, notes
