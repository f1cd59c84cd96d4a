"""A project in a notebook, a script or a test: the same steps as the command line's, as objects.

::

    from crisp_spark.notebook import open_project

    project = open_project("crisp.yml")
    project.run(last="merge")
    project.table("merged").groupBy("origin").count().show()
    project.result("profile").sources["flights"].kept
    project.run()
    project.report()
"""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from crisp_spark import flow
from crisp_spark.engine import tables
from crisp_spark.errors import StorageError, suggest
from crisp_spark.run.places import local_project, open_session_for
from crisp_spark.run.runner import RunSummary, StepEvent, run_flow
from crisp_spark.run.status import StepStatus, report_file, result_of, results_of, status_of
from crisp_spark.run.workspace import Workspace
from crisp_spark.spec.load import load_project

if TYPE_CHECKING:
    from pyspark.ml import PipelineModel
    from pyspark.sql import DataFrame, SparkSession

    from crisp_spark.engine.commits import Commit, TableCommit
    from crisp_spark.results.base import StepResult
    from crisp_spark.run.plan import PlanReport
    from crisp_spark.run.sql import SqlAnswer
    from crisp_spark.spec.load import LoadedProject
    from crisp_spark.spec.project import ProjectSpec


@dataclass(frozen=True)
class ReportPage:
    """The report of a run; a notebook shows it below the cell.

    Attributes:
        file: The page, self-contained.
    """

    file: Path

    def _repr_html_(self) -> str:
        page = html.escape(self.file.read_text(encoding="utf-8"), quote=True)
        style = "width:100%;height:48em;border:1px solid #ccc"
        return f'<iframe srcdoc="{page}" sandbox="" style="{style}"></iframe>'


class Project:
    """One project file and its workspace.

    Args:
        loaded: The project file with all its layers; :func:`open_project` reads it.
    """

    def __init__(self, loaded: LoadedProject) -> None:
        self.loaded = loaded
        self._workspace = Workspace(loaded)

    def __repr__(self) -> str:
        return f"<crisp_spark project {self.spec.project.name!r} in {self.loaded.project_dir}>"

    @property
    def spec(self) -> ProjectSpec:
        """What the project file declares."""
        return self.loaded.spec

    @property
    def spark(self) -> SparkSession:
        """The Spark session of the project's target; the one that is there is taken up."""
        return open_session_for(self.loaded, "notebook")

    def plan(self) -> PlanReport:
        """Try the whole preparation on empty tables; starts no Spark job.

        Raises:
            SpecError: What is declared does not fit together; all faults at once.
        """
        from crisp_spark.run.plan import plan_project

        return plan_project(self.loaded, self.spark)

    def run(
        self,
        *,
        first: str | None = None,
        last: str | None = None,
        only: Sequence[str] = (),
        force: bool = False,
        run_id: str | None = None,
        on_event: Callable[[StepEvent], None] = lambda _event: None,
    ) -> RunSummary:
        """Run the flow, or a part of it; work that has not changed is skipped.

        Args:
            first: Step to begin with.
            last: Step to end with.
            only: Just these steps.
            force: Run steps even where nothing has changed.
            run_id: Takes up, or names, a run.
            on_event: Told of every start and end of a step.

        Raises:
            CrispError: A step failed; finished ones are kept.
        """
        steps = flow.select_steps(first=first, last=last, only=only)
        return run_flow(self.loaded, steps, run_id=run_id, force=force, on_event=on_event)

    def status(self) -> list[StepStatus]:
        """Return the state of every step: current, stale or missing."""
        return status_of(self.loaded)

    def result(self, step: str) -> StepResult:
        """Return the current result of a step.

        Raises:
            UsageError: No such step.
            StorageError: It has not run.
        """
        return result_of(self.loaded, step)

    def results(self) -> Mapping[str, StepResult]:
        """Return the current results of all steps that have run."""
        return results_of(self.loaded)

    def tables(self) -> Mapping[str, int]:
        """Return the published tables and their rows, in the order of the flow."""
        return {name: table.rows for name, table in self._published().items()}

    def table(self, name: str) -> DataFrame:
        """Open a published table, such as ``raw.flights``, ``merged`` or ``predictions``.

        Raises:
            StorageError: No step has published it.

        Rows: all of it · Adds: nothing · Drops: nothing · Jobs: none
        """
        published = self._published()
        if name not in published:
            near = suggest(name, list(published))
            known = ", ".join(published) or "none yet"
            raise StorageError(
                f"table {name!r} is not published",
                hint=(f"did you mean {near!r}? " if near else "") + f"published: {known}",
            )
        return tables.read_table(self._workspace.objects, self.spark, published[name])

    def sql(self, query: str, *, most_rows: int = 100) -> SqlAnswer:
        """Ask SQL of sources (by their names) and published tables (``clean_flights``).

        Raises:
            UsageError: The statement does not only read.
            DataError: Spark refuses the query.
        """
        from crisp_spark.run.sql import run_sql

        return run_sql(self.loaded, query, most_rows=most_rows, spark=self.spark)

    def model(self) -> PipelineModel:
        """Load the winner of the sweep: the whole path from a merged row to the prediction.

        Raises:
            StorageError: The sweep has not run.
        """
        commit = self._workspace.commits.current("sweep")
        if commit is None:
            raise StorageError("sweep: has not run", hint="call run(last='sweep') first")
        (name,) = commit.models
        open_session_for(self.loaded, "notebook")  # models are loaded into a session that is there
        return tables.read_model(
            self._workspace.objects, commit.model_roots[name], commit.models[name]
        )

    def report(self) -> ReportPage:
        """Return the newest report.

        Raises:
            StorageError: There is none yet.
        """
        file = report_file(self.loaded)
        if file is None:
            raise StorageError("report: has not run", hint="call run() first")
        return ReportPage(file)

    def _published(self) -> dict[str, TableCommit]:
        found: dict[str, TableCommit] = {}
        for step in flow.FLOW:
            commit: Commit | None = self._workspace.commits.current(step.name)
            found |= dict(sorted(commit.tables.items())) if commit else {}
        return found


def open_project(
    path: str | Path = "crisp.yml",
    *,
    target: str | None = None,
    variables: Mapping[str, str] | None = None,
    overrides: Sequence[str] = (),
) -> Project:
    """Read a project file.

    Args:
        path: The file: a path, or an ``s3://`` URI.
        target: Target of the file; else its default one.
        variables: Values of its variables.
        overrides: ``PATH=VALUE`` texts, such as ``modeling.search.trials=4``.

    Raises:
        SpecError: The file is wrong; all faults at once, each with file and line.
    """
    loaded = load_project(
        local_project(str(path)), target=target, variables=variables or {}, overrides=overrides
    )
    return Project(loaded)
