"""The other kinds of problem through the whole flow: the examples, made smaller."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from crisp_spark.cli.examples.registry import example
from crisp_spark.flow import FLOW, STEP_NAMES
from crisp_spark.results.base import Verdict
from crisp_spark.run.runner import RunSummary, run_flow
from crisp_spark.run.score import score_batch
from crisp_spark.run.status import report_file, result_of, status_of
from crisp_spark.run.workspace import Workspace
from crisp_spark.spec.load import LoadedProject, load_project

pytestmark = pytest.mark.slow

FEW = ("preparation.split.folds=2", "evaluation.bootstrap=20", "evaluation.importance.rows=60")


@dataclass(frozen=True)
class Small:
    """An example made smaller, and what must come out of it."""

    name: str
    table: str
    families: str
    sections: tuple[str, ...]
    aircraft: int | None = None

    def write(self, folder: Path) -> Path:
        file = example(self.name).write(folder)
        if self.aircraft is not None:
            table = folder / self.table
            head, *rows = table.read_text(encoding="utf-8").splitlines()
            kept = sorted({row.split(",")[0] for row in rows})[: self.aircraft]
            chosen = [row for row in rows if row.split(",")[0] in kept]
            table.write_text("\n".join([head, *chosen]) + "\n", encoding="utf-8")
        return file


SMALL = (
    Small(
        "wine",
        "wines.csv",
        "[{kind: logistic_regression, params: {regParam: [0.1]}}, {kind: naive_bayes, params: {modelType: [gaussian]}}]",
        ("Actual and predicted classes", "By class", "Importance of the columns"),
    ),
    Small(
        "diabetes",
        "patients.csv",
        "[{kind: linear_regression, params: {regParam: [0.0, 50.0]}}]",
        ("Prediction minus target", "RMSE rises from", "cholesterol_ratio", "cost per row"),
    ),
    Small(
        "wine-groups",
        "wines.csv",
        "[{kind: kmeans, params: {k: [2, 3]}}]",
        ("Rows by cluster", "Cluster 0", "Within-cluster sum of squares"),
    ),
    Small(
        "routes",
        "services.csv",
        "[{kind: als, params: {rank: [5], regParam: [0.1], maxIter: [5]}}]",
        ("Ranked lists", "Length of a list", "The model reads"),
        aircraft=60,
    ),
)


@dataclass(frozen=True)
class Ran:
    """A finished run."""

    small: Small
    project: LoadedProject
    summary: RunSummary
    again: Callable[..., tuple[LoadedProject, RunSummary]]

    def rows(self) -> dict[str, int]:
        commits = [Workspace(self.project).commits.current(name) for name in STEP_NAMES]
        return {name: t.rows for c in commits if c for name, t in c.tables.items()}


def states(summary: RunSummary) -> dict[str, str]:
    return {event.step: event.state for event in summary.events}


@pytest.fixture(scope="module", params=SMALL, ids=lambda small: small.name)
def ran(request, spark_session, tmp_path_factory) -> Ran:
    small: Small = request.param
    file = small.write(tmp_path_factory.mktemp(small.name))

    def again(*overrides: str) -> tuple[LoadedProject, RunSummary]:
        asked = [*FEW, f"modeling.families={small.families}", *overrides]
        project = load_project(file, overrides=asked)
        return project, run_flow(project)

    return Ran(small, *again(), again)


def test_every_step_runs_and_a_second_run_skips_them_all(ran):
    assert states(ran.summary) == dict.fromkeys(STEP_NAMES, "done")
    assert {status.state for status in status_of(ran.project)} == {"current"}
    assert set(states(ran.again()[1]).values()) == {"skipped"}


def test_rows_balance(ran):
    rows = ran.rows()
    source = ran.small.table.removesuffix(".csv")
    total = len((ran.project.project_dir / ran.small.table).read_text().splitlines()) - 1
    assert rows[f"raw.{source}"] == rows["derived"] == total
    assert rows["train"] + rows["test"] == total
    assert rows["test"] / total == pytest.approx(0.3, abs=0.05)
    assert (rows["validation"], rows["predictions"]) == (rows["train"], rows["test"])
    drift = result_of(ran.project, "monitor")
    assert (drift.reference_rows, drift.current_rows) == (rows["train"], rows["test"])
    too_few = rows["test"] < ran.project.spec.deployment.monitoring.min_rows
    assert drift.verdict in ({Verdict.UNKNOWN} if too_few else {Verdict.PASS, Verdict.WARN})


def test_the_model_beats_the_baselines_and_is_deployed(ran):
    decided, judged = result_of(ran.project, "decide"), result_of(ran.project, "evaluate")
    assert (decided.decision, decided.leakage) == ("deploy", [])
    assert {item.verdict for item in decided.criteria} == {Verdict.PASS}
    against = [c for c in judged.comparisons if c.metric == judged.main_metric]
    assert all(c.better and c.gain.value > 0 for c in against)
    assert bool(against) == (judged.problem != "clustering")
    assert result_of(ran.project, "deploy").model.version == "1"


def test_out_of_fold_rows_are_judged_as_the_sweep_judged_the_folds(ran):
    """Clusters and lists of different folds must not be thrown together."""
    swept, judged = result_of(ran.project, "sweep"), result_of(ran.project, "evaluate")
    validation = judged.splits["validation"].metrics
    trial = next(trial for trial in swept.trials if trial.name == swept.winner.trial)
    for name in {swept.metric, "precision_at_k", "ndcg_at_k"} & set(validation):
        assert validation[name].value == pytest.approx(trial.metrics[name], rel=0.05)


def test_the_report_has_every_section_and_no_nonsense(ran):
    page = report_file(ran.project).read_text(encoding="utf-8")
    for step in FLOW[:-1]:
        assert f'id="{step.name}"' in page
    for words in ran.small.sections:
        assert words in page
    plain = re.sub(r"<[^>]*>", " ", re.sub(r"<style.*?</style>", " ", page, flags=re.DOTALL))
    assert not re.search(r"\b(nan|inf|None|NaN)\b", plain)
    assert "(found: 0.0)" not in plain
    assert "may leak the outcome: the target is computed from it" not in plain


def test_a_raw_batch_is_scored_whole(ran, spark, tmp_path):
    summary = score_batch(
        ran.project,
        input_path=str(ran.project.project_dir / ran.small.table),
        output_path=str(tmp_path / "out"),
        kind="csv",
        spark=spark,
    )
    rows = ran.rows()["derived"]
    assert (summary.rows_in, summary.rows_scored, summary.rows_rejected) == (rows, rows, 0)
    scored = spark.read.parquet(f"{tmp_path}/out/scored")
    found = {row[0] for row in scored.select("_crisp_prediction").distinct().collect()}
    expected = {"wine": {"A", "B", "C"}, "wine-groups": {0, 1, 2}}
    assert found == expected.get(ran.small.name, found)
    assert None not in found


def test_other_words_decide_nothing_anew_and_a_next_model_meets_the_one_in_use(ran):
    """Runs last: it leaves another deployment behind."""
    text = ran.project.path.read_text(encoding="utf-8")
    said = re.sub(r"statement: [^,}]*", "statement: In other words", text)
    assert said != text
    ran.project.path.write_text(said, encoding="utf-8")
    done = {step for step, state in states(ran.again()[1]).items() if state == "done"}
    assert done == {"charter", "deploy", "report"}
    if ran.small.name != "wine":
        return
    before = result_of(ran.project, "evaluate").splits["test"].metrics
    project, _ = ran.again("modeling.families=[{kind: decision_tree, params: {maxDepth: [1]}}]")
    judged = result_of(project, "evaluate")
    met = {c.metric: c for c in judged.comparisons if c.other == "champion"}
    # The same rows, so the very figures that it was accepted with, class by class.
    assert met["macro_f1"].other_value == pytest.approx(before["macro_f1"].value)
    assert met["macro_f1"].gain.value <= 0
    assert judged.notes == []
    assert "champion" in {check.other for check in result_of(project, "decide").baselines}
