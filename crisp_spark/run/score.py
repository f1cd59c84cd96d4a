"""Scores a batch of files with the model of a project; every row of the input is accounted for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from crisp_spark.engine import tables
from crisp_spark.engine.commits import Commit, TableCommit
from crisp_spark.engine.objects import ObjectStore
from crisp_spark.errors import (
    DataError,
    MissingColumnsError,
    ModelError,
    StorageError,
    UsageError,
    suggest,
)
from crisp_spark.results.deploy import DeployResult, ModelInput
from crisp_spark.run.places import open_place, open_session_for
from crisp_spark.run.steps.deployment import MODEL
from crisp_spark.run.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.ml import PipelineModel
    from pyspark.sql import DataFrame, SparkSession

    from crisp_spark.deployment.score import ScoringContract
    from crisp_spark.spec.load import LoadedProject

Kind = Literal["parquet", "orc", "csv", "json"]
KINDS: tuple[Kind, ...] = ("parquet", "orc", "csv", "json")

SUMMARY = "summary.json"
_SHOWN_REASONS = 20


@dataclass(frozen=True)
class ScoreSummary:
    """What became of the rows of a batch.

    Attributes:
        rows_in: Rows of the input, counted before anything was scored.
        rows_scored: Rows in ``scored``, from the footers of the written files.
        rows_rejected: Rows in ``rejected``, from the footers of the written files.
        rows_by_rule: Rejected rows that the fallback rule answered.
        output: Folder that holds ``scored``, ``rejected`` and ``summary.json``.
        model: Name and version of the model.
        ignored: Columns of the input that neither the model nor the rule reads.
        reasons: Reason of a reject to rows, the most frequent first.
    """

    rows_in: int
    rows_scored: int
    rows_rejected: int
    rows_by_rule: int
    output: str
    model: str
    ignored: tuple[str, ...] = ()
    reasons: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Batch:
    """An opened input: rows as text or typed, rows that are no records, and their number."""

    rows: DataFrame
    malformed: DataFrame | None
    count: int
    ignored: tuple[str, ...] = ()


def score_batch(
    project: LoadedProject,
    *,
    input_path: str | Sequence[str],
    output_path: str,
    kind: str = "parquet",
    model: str = "decided",
    spark: SparkSession | None = None,
    root: str | None = None,
    signed: Mapping[str, Any] = MappingProxyType({}),
) -> ScoreSummary:
    """Score the files at ``input_path``.

    Args:
        project: The project whose workspace holds the model.
        input_path: File, folder or glob of merged rows, or several of them.
        output_path: New folder for ``scored`` and ``rejected`` (Parquet) and a summary.
        kind: parquet, orc, csv (with header) or json (an object per line).
        model: ``decided`` takes the newest deployed model, ``candidate`` the newest winner,
            whatever was decided about it.
        spark: Session; the one of the project's target when None.
        root: Folder below which ``day=1/`` in a path is a column, where single files are named.
        signed: More to write into the summary file.

    Raises:
        UsageError: An unknown kind or model, or an output that exists.
        ModelError: There is no such model.
        MissingColumnsError: The input lacks columns that the model reads.
        DataError: The input cannot be read, or rows were lost.
    """
    from crisp_spark.deployment.score import contract_of, score_frame
    from crisp_spark.modeling.labels import score_columns

    _check_kind(kind)
    paths = [input_path] if isinstance(input_path, str) else list(input_path)
    output = _new_output(output_path)
    workspace = Workspace(project)
    deployed, sweep = _chosen(workspace, model)
    session = spark or open_session_for(project, "score", also=(*paths, output_path))
    pipeline = _load(workspace, sweep)
    contract = contract_of(deployed, project.spec.deployment.score)
    if model == "candidate":
        contract = replace(contract, model=f"candidate {sweep.stage_key[:12]}")
    batch = _open(session, paths, kind, contract, root)
    result = score_frame(batch.rows, pipeline, contract, score_columns)
    rejected = result.rejected
    if batch.malformed is not None:
        rejected = rejected.unionByName(batch.malformed, allowMissingColumns=True)
    return _write(
        output,
        batch=batch,
        frames=(result.scored, rejected),
        model=contract.model,
        ignored=(*batch.ignored, *result.ignored),
        signed=signed,
        spark=session,
    )


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        near = suggest(kind, KINDS)
        raise UsageError(
            f"score: unknown kind {kind!r}" + (f", did you mean {near!r}?" if near else ""),
            hint=f"kinds: {', '.join(KINDS)}",
        )


def _new_output(output_path: str) -> ObjectStore:
    output = open_place(output_path, base=Path.cwd())
    if output.exists(SUMMARY) or output.stat("scored") or output.stat("rejected"):
        raise UsageError(
            f"score: {output_path} holds a scored batch already",
            hint="choose another folder, or remove that one",
        )
    return output


def _chosen(workspace: Workspace, model: str) -> tuple[DeployResult, Commit]:
    """The deployment to score with, and the commit of the sweep that holds its pipeline."""
    if model not in {"decided", "candidate"}:
        raise UsageError(f"score: unknown model {model!r}", hint="models: decided, candidate")
    commits = workspace.commits
    newest = commits.current("deploy")
    found = [commit for commit in [*commits.all("deploy"), newest] if commit is not None]
    usable = [
        (commit, result)
        for commit in found
        if (result := DeployResult.model_validate(commit.result)).status == "deployed"
        or model == "candidate"
    ]
    if not usable:
        reason = f": {found[-1].result['reason']}" if found else ""
        raise ModelError(
            f"score: no model was deployed{reason}",
            hint="run the flow up to deploy"
            if not found
            else "--model candidate scores with the newest winner all the same",
        )
    commit, deployed = usable[-1]
    sweep = commits.find("sweep", commit.inputs.get("sweep", ""))
    if sweep is None:
        raise StorageError(
            f"score: the sweep behind {deployed.model_label} is gone from the workspace",
            hint="run the flow again",
        )
    return deployed, sweep


def _load(workspace: Workspace, sweep: Commit) -> PipelineModel:
    if MODEL not in sweep.models:
        raise ModelError(f"score: the sweep {sweep.stage_key} holds no model {MODEL!r}")
    return tables.read_model(workspace.objects, sweep.model_roots[MODEL], sweep.models[MODEL])


def _open(
    spark: SparkSession,
    paths: Sequence[str],
    kind: str,
    contract: ScoringContract,
    root: str | None,
) -> _Batch:
    # Hadoop writes file:/a, with one slash.
    places = [path if ":/" in path else str(Path(path).absolute()) for path in paths]
    if kind in {"csv", "json"}:
        return _open_text(spark, places, kind, contract)
    from pyspark.errors import AnalysisException

    try:
        reader = spark.read if root is None else spark.read.option("basePath", root)
        rows = reader.format(kind).load(places)
    except AnalysisException as error:
        raise DataError(
            f"score: cannot read {', '.join(paths)} as {kind} ({str(error).splitlines()[0]})",
            hint="is the path right, and --kind?",
        ) from error
    return _Batch(rows=rows, malformed=None, count=rows.count())


def _open_text(
    spark: SparkSession, places: Sequence[str], kind: str, contract: ScoringContract
) -> _Batch:
    """Read text as text: types are a matter of scoring, which keeps what it cannot cast."""
    from crisp_spark.deployment.score import REASONS
    from crisp_spark.spec.data import CsvSource, JsonSource
    from crisp_spark.understanding.ingest import IngestContext, ingest_source

    source = (CsvSource if kind == "csv" else JsonSource).model_validate(
        {
            "path": list(places),
            "columns": {item.name: {"type": "string"} for item in contract.inputs},
            "infer": False,
            "path_columns": False,
        }
    )
    try:
        read = ingest_source(spark, "batch", source, IngestContext(Path.cwd()))
    except DataError as error:
        # The reader speaks of a source of the project file; here there is none.
        words = error.message.removeprefix("data.sources.batch: ")
        raise DataError(f"score: {words}", hint=error.hint) from error
    problems = read.draft.problems
    _refuse_missing(
        contract.inputs,
        {item.column for item in problems if item.kind in {"missing_column", "renamed_column"}},
        {item.column for item in problems if item.kind == "extra_column"},
    )
    malformed = read.rejected.withColumnsRenamed(
        {"text": "_crisp_text", "text_bytes": "_crisp_text_bytes", "reasons": REASONS}
    )
    return _Batch(
        rows=read.kept,
        malformed=malformed,
        count=sum((read.draft.rows or {}).values()),
        ignored=tuple(
            dict.fromkeys(item.column for item in problems if item.kind == "extra_column")
        ),
    )


def _refuse_missing(inputs: Sequence[ModelInput], missing: set[str], extra: set[str]) -> None:
    needed = {item.name for item in inputs if item.use != "fallback"}
    if missing & needed:
        raise MissingColumnsError("score", missing & needed, (needed - missing) | extra)


def _write(
    output: ObjectStore,
    *,
    batch: _Batch,
    frames: tuple[DataFrame, DataFrame],
    model: str,
    ignored: tuple[str, ...],
    signed: Mapping[str, Any],
    spark: SparkSession,
) -> ScoreSummary:
    """Write both frames, hold the written rows against those of the input, then sign off."""
    scored, rejected = (
        tables.write_table(output, name, name, frame)
        for name, frame in zip(("scored", "rejected"), frames, strict=True)
    )
    if scored.rows + rejected.rows != batch.count:
        raise DataError(
            f"score: {batch.count:,} rows came in, but {scored.rows:,} were scored and "
            f"{rejected.rows:,} rejected",
            hint="did the input change while it was read?",
        )
    by_rule, reasons = (0, {}) if not rejected.rows else _count_rejects(output, rejected, spark)
    summary = ScoreSummary(
        rows_in=batch.count,
        rows_scored=scored.rows,
        rows_rejected=rejected.rows,
        rows_by_rule=by_rule,
        output=output.root,
        model=model,
        ignored=tuple(name for name in ignored if not name.startswith("_crisp_")),
        reasons=reasons,
    )
    facts = {**asdict(summary), "created": datetime.now(UTC).isoformat(), **signed}
    output.put_if_absent(SUMMARY, json.dumps(facts, indent=1, ensure_ascii=False).encode())
    return summary


def _count_rejects(
    output: ObjectStore, rejected: TableCommit, spark: SparkSession
) -> tuple[int, dict[str, int]]:
    from pyspark.sql import functions as F

    from crisp_spark.deployment.score import ANSWERED_BY, REASONS

    frame = tables.read_table(output, spark, rejected)
    by_rule = 0
    if ANSWERED_BY in frame.columns:
        by_rule = frame.where(F.col(ANSWERED_BY) == "fallback").count()
    rows = (
        frame.select(F.explode(REASONS).alias("reason"))
        .groupBy("reason")
        .count()
        .orderBy(F.desc("count"), "reason")
        .limit(_SHOWN_REASONS)
        .collect()
    )
    return by_rule, {row["reason"]: row["count"] for row in rows}
