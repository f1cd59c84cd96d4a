"""A rehearsal of the whole preparation on empty tables: every fault found, no Spark job run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from crisp_spark.errors import CrispError, DataError, SpecError
from crisp_spark.run.plan_sources import KnownColumns, known_columns
from crisp_spark.spec.data import SqlSource

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from crisp_spark.spec.cleaning import CleanOp
    from crisp_spark.spec.load import LoadedProject

_logger = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class PlanReport:
    """What a rehearsal found.

    Attributes:
        faults: What is wrong, each with its place in the project file.
        warnings: What could not be checked, or only by guessing.
        tables: Table to its columns and their types, as far as they could be made.
    """

    faults: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    tables: dict[str, list[tuple[str, str]]] = field(default_factory=dict)


@dataclass
class Rehearsal:
    """The rehearsal while it goes on: faults are gathered, the next piece goes on without."""

    project: LoadedProject
    spark: SparkSession
    report: PlanReport = field(default_factory=PlanReport)

    def attempt(self, action: Callable[[], T], *, rename: tuple[str, str] = ("", "")) -> T | None:
        """Do something; a fault is noted, with one piece of its text replaced."""
        try:
            return action()
        except SpecError as error:
            for text in error.faults or (_one_line(error),):
                self.fault(text.replace(*rename) if rename[0] else text)
        except DataError as error:
            text = _one_line(error)
            self.fault(text.replace(*rename) if rename[0] else text)
        return None

    def fault(self, text: str) -> None:
        """Note a fault once."""
        if text not in self.report.faults:
            self.report.faults.append(text)

    def table(self, name: str, frame: DataFrame) -> None:
        """Note the columns of a table."""
        self.report.tables[name] = [
            (column, kind) for column, kind in frame.dtypes if not column.startswith("_crisp_")
        ]


def plan_project(project: LoadedProject, spark: SparkSession | None = None) -> PlanReport:
    """Rehearse cleaning, merging, deriving and dividing, and all that names their columns.

    Args:
        project: The project.
        spark: Session to analyse with; without one a small local one is started.
    """
    from crisp_spark.engine.session import build_session
    from crisp_spark.run.plan_derive import rehearse_derive
    from crisp_spark.run.plan_names import check_later_names, check_source_names
    from crisp_spark.run.plan_portable import check_portable

    if spark is None:
        spark = build_session("plan", master="local[1]")
    plan = Rehearsal(project, spark)
    known, frames = source_frames(plan)
    check_source_names(plan, frames, known)
    cleaned = {name: _clean(plan, name, frame) for name, frame in frames.items()}
    open_sources = sorted(name for name, one in known.items() if not one.complete)
    if open_sources:
        plan.report.warnings.append(
            f"{', '.join(open_sources)}: not every column is known yet, so merging and what "
            "follows were not tried; run `crisp run --to ingest`, or declare all columns"
        )
        return plan.report
    merged = _merge(plan, cleaned)
    if merged is None:
        return plan.report
    plan.table("merged", merged)
    derived = rehearse_derive(plan, merged)
    if derived is not None:
        plan.table("derived", derived)
        check_later_names(plan, derived)
        check_portable(plan, derived)
    return plan.report


def empty_frame(spark: SparkSession, types: Mapping[str, str]) -> DataFrame:
    """A frame without rows, made without a job: the columns given, and the package's own."""
    from pyspark.sql import functions as F

    own = {"_crisp_file": "string", "_crisp_row": "bigint"}
    columns = [F.lit(None).cast(kind).alias(name) for name, kind in {**types, **own}.items()]
    return spark.range(0).select(*columns)


def source_frames(plan: Rehearsal) -> tuple[dict[str, KnownColumns], dict[str, DataFrame]]:
    """Return the columns of every source as far as they are known, and empty tables of them."""
    from crisp_spark.understanding.ingest_tables import sql_frame

    sources = plan.project.spec.data.sources
    known = known_columns(plan.project)
    frames: dict[str, DataFrame] = {}
    for name, source in sources.items():
        if not isinstance(source, SqlSource):
            frames[name] = empty_frame(plan.spark, known[name].types)
    for name, source in sources.items():
        if not isinstance(source, SqlSource):
            continue
        inputs, place = dict(frames), f"data.sources.{name}"
        made = plan.attempt(lambda s=source, i=inputs, p=place: sql_frame(plan.spark, p, s, i))  # type: ignore[misc]
        types = dict(made.dtypes) if made is not None else {}
        complete = made is not None and all(known[other].complete for other in inputs)
        declared = {c: d.type for c, d in source.columns.items() if d.type is not None}
        known[name] = KnownColumns({**types, **declared}, complete)
        frames[name] = empty_frame(plan.spark, known[name].types)
    for name, one in known.items():
        if one.note:
            plan.report.warnings.append(f"data.sources.{name}: {one.note}")
        plan.table(f"raw.{name}", frames[name])
    return known, {name: frames[name] for name in sources}


def _clean(plan: Rehearsal, name: str, frame: DataFrame) -> DataFrame:
    """Try each operation by itself, so that one fault does not hide the next."""
    from crisp_spark.preparation.clean import CAST_FAILURES, Cleaning, clean_frame

    operations = plan.project.spec.preparation.clean.get(name, [])
    sound: list[CleanOp] = []
    cleaning = Cleaning(name, plan.project.project_dir)
    for number, op in enumerate(operations):
        places = (cleaning.place(len(sound), op), cleaning.place(number, op))
        made = plan.attempt(
            lambda o=op: clean_frame(frame, [*sound, o], cleaning),  # type: ignore[misc]
            rename=places,
        )
        if made is not None:
            sound.append(op)
    kept = clean_frame(frame, sound, cleaning).kept
    kept = kept.drop(CAST_FAILURES)
    plan.table(f"clean.{name}", kept)
    return kept


def _merge(plan: Rehearsal, cleaned: Mapping[str, DataFrame]) -> DataFrame | None:
    from crisp_spark.preparation.merge import merge_sources
    from crisp_spark.preparation.merge_metrics import key_metrics_frame

    spec = plan.project.spec
    unknown = sorted(set(spec.preparation.clean) - set(cleaned))
    for name in unknown:
        plan.fault(f"preparation.clean.{name}: no source {name!r}")
    goal = spec.business.mining_goal
    merged = plan.attempt(
        lambda: merge_sources(cleaned, spec.preparation.merge, goal.target_source)
    )
    if merged is None:
        return None
    plan.attempt(lambda: key_metrics_frame(merged))
    return merged.frame


def _one_line(error: CrispError) -> str:
    return f"{error.message}; {error.hint}" if error.hint else error.message
