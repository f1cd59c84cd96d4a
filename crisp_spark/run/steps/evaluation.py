"""Wires the evaluation: scores every split once, judges it, publishes the predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crisp_spark.results.charter import CharterResult
from crisp_spark.results.deploy import DeployResult
from crisp_spark.results.evaluate import EvaluateResult
from crisp_spark.results.sweep import SweepResult
from crisp_spark.run.steprun import Note, Outcome, StepRun

if TYPE_CHECKING:
    from pyspark.ml import PipelineModel
    from pyspark.sql import DataFrame

    from crisp_spark.evaluation.task import Task

_SPLITS = ("train", "validation", "test", "later")
_PUBLISHED = ("test", "later")


def evaluate(run: StepRun) -> Outcome:
    """Measure the model on every split, choose the threshold, explain, write predictions."""
    from crisp_spark.business.history import check_frozen
    from crisp_spark.evaluation.evaluate import evaluate_model
    from crisp_spark.evaluation.predictions import prediction_table
    from crisp_spark.evaluation.task import Split
    from crisp_spark.modeling.labels import score_frame

    charter = run.result(CharterResult)
    check_frozen(run.spec.business, charter)  # before a test row is read
    sweep, goal = run.result(SweepResult), run.spec.business.mining_goal
    champion, why_not = _champion(run, sweep)
    task, model = _task(run, sweep, champion), run.model("model")
    splits = {
        name: Split(_scored(run, name, sweep, (task, champion)), run.rows(name))
        for name in _SPLITS
        if run.has(name) and (run.rows(name) or name == "test")
    }
    kept = [splits[name].frame.persist() for name in _PUBLISHED if name in splits]
    try:
        result = evaluate_model(splits, task, lambda frame: score_frame(model, frame, goal.problem))
        # The charter's guard reads these: criteria stay as they were when the test set was read.
        result = result.model_copy(
            update={
                "criteria_hash": charter.criteria_hash,
                "charter_version": charter.version,
                "notes": [*result.notes, *why_not],
            }
        )
        threshold = result.threshold.value if result.threshold else None
        written = run.write(
            "predictions",
            prediction_table(
                {name: splits[name].frame for name in _PUBLISHED if name in splits},
                [*goal.key, *filter(None, (goal.user, goal.item)), *task.spec.slices],
                threshold,
            ),
        )
    finally:
        for frame in kept:
            frame.unpersist()
    notes = [*_headline(result), Note(f"{written.rows:,} predictions")]
    metrics = {
        f"{split}.{name}": value.value
        for split, part in result.splits.items()
        for name, value in part.metrics.items()
        if value.value is not None
    }
    return Outcome(result, notes, metrics)


@dataclass(frozen=True)
class _Champion:
    """The model in use: what was deployed last, and its pipeline."""

    deployed: DeployResult
    model: PipelineModel

    def add_to(self, frame: DataFrame, problem: str, classes: Sequence[str]) -> DataFrame:
        """Add its answers as those of a baseline, in the numbers of today's classes."""
        from pyspark.sql import functions as F

        from crisp_spark.evaluation.names import BASELINE, IN_USE
        from crisp_spark.modeling.labels import PREDICTION, SCORE, score_frame
        from crisp_spark.spec.columns import quoted

        said = score_frame(self.model, frame, problem)
        answer = F.col(SCORE if problem == "binary" else PREDICTION)
        if problem == "multiclass":
            places = [F.lit(float(classes.index(name))) for name in self.deployed.classes]
            answer = F.element_at(F.array(*places), answer.cast("int") + 1)
        kept = [F.col(quoted(name)) for name in frame.columns]
        return said.select(*kept, answer.alias(BASELINE + IN_USE))


def _champion(run: StepRun, sweep: SweepResult) -> tuple[_Champion | None, list[str]]:
    """Find the model in use, where it is another one and can answer for today's rows."""
    used = [c for c in run.commits("deploy") if c["result"]["status"] == "deployed"]
    own = run.lineage()
    key = used[-1]["inputs"].get("sweep") if used else None
    if key is None or key == own["sweep"] or sweep.problem == "clustering":
        return None, []
    deployed = DeployResult.model_validate(used[-1]["result"])
    label = f"The model in use ({deployed.model_label})"
    types = {field.name: field.dataType.simpleString() for field in run.read("test").schema}
    wanted = {item.name: item.type for item in deployed.inputs if item.use == "model"}
    strange = sorted(name for name, kind in wanted.items() if types.get(name) != kind)
    same = deployed.problem == sweep.problem and set(deployed.classes) == set(sweep.classes)
    model = run.earlier_model("sweep", key, "model") if same and not strange else None
    if model is None:
        what = f"it reads {', '.join(strange)}" if strange else "its goal or its files changed"
        return None, [f"{label} is not compared: {what}."]
    made = [c["inputs"] for c in run.commits("sweep") if c["stage_key"] == key]
    moved = not made or made[0].get("split") != own.get("split")
    flattered = f"{label} was made from another division: it may know some of today's test rows."
    return _Champion(deployed, model), [flattered] if moved else []


def _task(run: StepRun, sweep: SweepResult, champion: _Champion | None) -> Task:
    from crisp_spark.evaluation.task import Task

    sources = {feature.name: feature.source_columns for feature in sweep.features}
    weighty = [name for weight in sweep.winner.weights for name in sources.get(weight.feature, [])]
    others = [name for names in sources.values() for name in names]
    return Task(
        business=run.spec.business,
        spec=run.spec.evaluation,
        metric=sweep.metric,
        classes=sweep.classes,
        columns=sweep.model_columns,
        searchable=list(dict.fromkeys([*weighty, *others, *sweep.model_columns])),
        width=sum(feature.slots for feature in sweep.features),
        seed=run.spec.project.seed,
        probabilities=sweep.winner.score_is_probability,
        threshold_in_use=champion.deployed.threshold if champion else None,
        private=frozenset(
            name
            for source in run.spec.data.sources.values()
            for name, column in source.columns.items()
            if column.pii
        ),
    )


def _scored(
    run: StepRun, name: str, sweep: SweepResult, asked: tuple[Task, _Champion | None]
) -> DataFrame:
    """Label, score and baselines of a split; out-of-fold rows are scored already."""
    from pyspark.sql import functions as F

    from crisp_spark.evaluation.task import needed_columns
    from crisp_spark.modeling.baselines import with_baselines
    from crisp_spark.modeling.labels import LABEL, score_frame, with_label
    from crisp_spark.spec.columns import quoted

    goal, frame = run.spec.business.mining_goal, run.read(name)
    task, champion = asked
    if champion is not None and name in _PUBLISHED:
        frame = champion.add_to(frame, goal.problem, sweep.classes)
    if LABEL not in frame.columns:
        frame = with_label(frame, goal, sweep.classes)
    if name != "validation":
        frame = score_frame(
            run.model("model"), frame, goal.problem, keep_features=goal.problem == "clustering"
        )
    frame = with_baselines(frame, sweep.baselines)
    wanted = needed_columns(frame.columns, task, name)
    return frame.select(*(F.col(quoted(column)) for column in wanted))


def _headline(result: EvaluateResult) -> list[Note]:
    notes = []
    for name in ("test", "later"):
        part = result.splits.get(name)
        found = part.metrics.get(result.main_metric) if part else None
        if found is not None and found.value is not None:
            ends = "" if found.low is None else f" ({found.low:.4g} to {found.high:.4g})"
            notes.append(Note(f"{result.main_metric} on {name}: {found.value:.4g}{ends}"))
    if result.threshold is not None:
        notes.append(Note(result.threshold.explanation))
    notes += [Note(reading.text) for reading in result.readings if reading.outcome == "all"]
    weak = [item for item in result.slices.slices if item.weak] if result.slices else []
    if weak:
        notes.append(Note(f"weakest slice: {weak[0].name} ({weak[0].rows:,} rows)", "warning"))
    return [*notes, *(Note(text, "warning") for text in result.notes)]
