"""The door to MLflow: one run per flow, a child per step, a grandchild per trial."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crisp_spark.errors import TrackingError
from crisp_spark.tracking.objects_tracker import Objects, ObjectsStepTracker, step_key
from crisp_spark.tracking.tracker import Registered, StepTracker, Trial
from crisp_spark.tracking.trial_writer import TrialWriter, batch_metrics, cut, short_tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from pyspark.ml import PipelineModel
    from pyspark.sql import DataFrame

_PARENT = "mlflow.parentRunId"
_NAME = "mlflow.runName"
_FLOW_ID = "crisp.run_id"
_URI = "MLFLOW_TRACKING_URI"
_LONGEST_TAG = 5000
PORTABLE = "portable"
"""Folder, among the artifacts of a run, of files that were attached to its model."""
_PATIENCE_S = 20.0
"""How long an interrupted step waits for its trials to be written."""

logger = logging.getLogger(__name__)


def quiet_mlflow() -> None:
    """Keep MLflow's progress talk and its usage reporting out of a run."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    # Half a minute in place of four: what a server away does not take is kept in the workspace.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "4")
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)


def default_uri(workspace: Path) -> str:
    """Return the tracking store that lives in a local workspace."""
    return f"sqlite:///{workspace / 'mlflow.db'}"


class MlflowTracker:
    """Records of one run of the flow in MLflow.

    Args:
        uri: Tracking server or store.
        experiment: Experiment name; created when absent.
        run_id: Id of the flow's run; a run with this id is taken up again.
        artifacts: Where a new experiment keeps artifacts (None: the server decides).
        tags: Tags of the flow's run.
        spool: The workspace: keeps what a server that went away does not take.
    """

    def __init__(
        self,
        uri: str,
        experiment: str,
        *,
        run_id: str,
        artifacts: str | None,
        tags: Mapping[str, str],
        spool: Objects,
    ) -> None:
        quiet_mlflow()
        import mlflow
        from mlflow.exceptions import MlflowException

        self._uri = uri
        self._run_id = run_id
        self._spool = spool
        try:
            self._client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
            found = self._client.get_experiment_by_name(experiment)
            self._experiment = (
                found.experiment_id
                if found
                else self._client.create_experiment(experiment, artifact_location=artifacts)
            )
            self._parent = self._take_up(run_id, tags)
        except MlflowException as error:
            raise TrackingError(
                f"mlflow: cannot open experiment {experiment!r} ({error})",
                hint="is the tracking server up? see MLFLOW_TRACKING_URI",
            ) from error

    @property
    def flow_run_id(self) -> str:
        """MLflow id of the flow's run."""
        return self._parent

    def _take_up(self, run_id: str, tags: Mapping[str, str]) -> str:
        found = self._client.search_runs(
            [self._experiment], f"tags.`{_FLOW_ID}` = '{run_id}' and tags.`crisp.level` = 'flow'"
        )
        if found:
            self._client.update_run(found[0].info.run_id, status="RUNNING")
            return str(found[0].info.run_id)
        own = {_NAME: run_id, _FLOW_ID: run_id, "crisp.level": "flow", **short_tags(tags)}
        return str(self._client.create_run(self._experiment, tags=own).info.run_id)

    @contextmanager
    def step(self, name: str, *, tags: Mapping[str, str]) -> Iterator[StepTracker]:
        """Open the step's run below the flow's run; an exception marks it failed."""
        own = {_NAME: name, _PARENT: self._parent, "crisp.level": "step", "crisp.step": name}
        spool = ObjectsStepTracker(self._spool, step_key(self._run_id, name), tags)
        door = _Door(name)
        run_id = door.ask(
            lambda: self._client.create_run(self._experiment, tags={**own, **short_tags(tags)})
        )
        tracker = MlflowStepTracker(
            self._client, self._uri, self._experiment, run_id or spool.run_id, (door, spool)
        )
        try:
            yield tracker
        except BaseException as error:
            tracker.tags({"crisp.error": str(error)[:_LONGEST_TAG]})
            tracker.end("FAILED", patience_s=_PATIENCE_S)
            raise
        tracker.end("FINISHED")

    def finish(self, *, failed: bool) -> None:
        """Close the flow's run."""
        status = "FAILED" if failed else "FINISHED"
        _Door("run").sent(lambda: self._client.set_terminated(self._parent, status))


class _Door:
    """Calls to MLflow that must not cost a step its work: what does not arrive is said once."""

    def __init__(self, step: str) -> None:
        self._step = step
        self.away = False

    def ask(self, create: Callable[[], Any]) -> str:
        """Return the id of a new run; empty when the server is away."""
        made: list[str] = []
        self.sent(lambda: made.append(create().info.run_id))
        return made[0] if made else ""

    def sent(self, call: Callable[[], object]) -> bool:
        """Carry out a call and say whether it arrived; after a failure none is tried."""
        from mlflow.exceptions import MlflowException

        if self.away:
            return False
        try:
            call()
        except (MlflowException, OSError) as error:
            self.away = True
            logger.warning(
                "mlflow: records of %s are kept in the workspace below tracking/, the server "
                "takes none: %s",
                self._step,
                str(error)[:300],
            )
            return False
        return True


class MlflowStepTracker:
    """Records of one step in MLflow; in the workspace once the server is away.

    Args:
        client: Client of the tracking server or store.
        uri: Its address.
        experiment: Id of the experiment.
        run_id: Id of the step's run.
        ways: The door to MLflow, and the way round it.
    """

    def __init__(
        self,
        client: MlflowClient,
        uri: str,
        experiment: str,
        run_id: str,
        ways: tuple[_Door, ObjectsStepTracker],
    ) -> None:
        self._client = client
        self._uri = uri
        self._experiment = experiment
        self.run_id = run_id
        self._door, self._spool = ways
        self._trials = TrialWriter(client, experiment, run_id, self._door.sent)

    def params(self, values: Mapping[str, Any]) -> None:
        """Record parameters; long values are cut, never refused."""
        from mlflow.entities import Param

        entries = [Param(key, cut(value)) for key, value in values.items()]
        for start in range(0, len(entries), 100):
            some = entries[start : start + 100]
            if not self._door.sent(lambda some=some: self._client.log_batch(self.run_id, (), some)):  # type: ignore[misc]
                self._spool.params(values)
                return

    def metrics(self, values: Mapping[str, float]) -> None:
        """Record numbers; values that are not finite are left out."""
        entries = batch_metrics(values, 0, 0)
        if not self._door.sent(lambda: self._client.log_batch(self.run_id, entries)):
            self._spool.metrics(values)

    def live(self, values: Mapping[str, float], step: int) -> None:
        """Record numbers that change while the step runs; the caller never waits."""
        self._trials.live(values, step)

    def tags(self, values: Mapping[str, str]) -> None:
        """Record tags."""
        from mlflow.entities import RunTag

        entries = [RunTag(key, value) for key, value in short_tags(values).items()]
        if not self._door.sent(lambda: self._client.log_batch(self.run_id, tags=entries)):
            self._spool.tags(values)

    def text(self, name: str, content: str) -> None:
        """Keep a text (JSON, HTML) as an artifact."""
        if not self._door.sent(lambda: self._client.log_text(self.run_id, content, name)):
            self._spool.text(name, content)

    def trial(self, trial: Trial, *, own_run: bool = False) -> None:
        """Record one trial; the caller never waits."""
        self._trials.add(trial, own_run=own_run)

    def end(self, status: str, *, patience_s: float | None = None) -> None:
        """Write what is under way and close the step's run."""
        for trial in self._trials.close(patience_s):
            self._spool.trial(trial)
        ended = self._door.sent(lambda: self._client.set_terminated(self.run_id, status))
        if not ended:
            self._spool.end({"status": status})

    def register(
        self,
        name: str,
        model: PipelineModel,
        *,
        example: DataFrame,
        alias: str,
        tags: Mapping[str, str],
        description: str,
    ) -> Registered:
        """Log the pipeline with its signature, register a version, move the alias.

        Raises:
            TrackingError: MLflow refused.
        """
        from mlflow.exceptions import MlflowException

        try:
            logged = self._log_model(model, example)
            if not any(found.name == name for found in self._client.search_registered_models()):
                self._client.create_registered_model(name)
            version = self._client.create_model_version(
                name, logged, run_id=self.run_id, description=description, tags=short_tags(tags)
            )
            self._client.set_registered_model_alias(name, alias, version.version)
        except MlflowException as error:
            raise TrackingError(
                f"mlflow: cannot register model {name!r} ({error})",
                hint="the tracking server must offer a model registry",
            ) from error
        uri = f"models:/{name}/{version.version}"
        return Registered(name, str(version.version), uri, alias, self.run_id)

    def attach(
        self, registered: Registered, file: str, content: bytes, *, tags: Mapping[str, str]
    ) -> str:
        """Log a file as an artifact of the run whose model was registered, and tag the version.

        Raises:
            TrackingError: MLflow, or its store of artifacts, refused.
        """
        from mlflow.exceptions import MlflowException

        try:
            with tempfile.TemporaryDirectory(prefix="crisp-mlflow-") as scratch:
                Path(scratch, file).write_bytes(content)
                self._client.log_artifacts(registered.run_id, scratch, PORTABLE)
            # The checksum last: where it stands, the file is there.
            for name, value in short_tags(tags).items():
                self._client.set_model_version_tag(registered.name, registered.version, name, value)
        except (MlflowException, OSError) as error:
            raise TrackingError(
                f"mlflow: cannot keep {file} with {registered.name} {registered.version} ({error})",
                hint="is the store of artifacts up, and may it be written to?",
            ) from error
        return f"runs:/{registered.run_id}/{PORTABLE}/{file}"

    def _log_model(self, model: PipelineModel, example: DataFrame) -> str:
        import mlflow
        import mlflow.spark
        from mlflow.models import infer_signature

        before = os.environ.get(_URI)
        mlflow.set_tracking_uri(self._uri)
        try:
            answer = model.transform(example).select("prediction")
            with (
                tempfile.TemporaryDirectory(prefix="crisp-mlflow-") as scratch,
                mlflow.start_run(run_id=self.run_id),
            ):
                info = mlflow.spark.log_model(
                    model,
                    "model",
                    dfs_tmpdir=Path(scratch).as_uri(),
                    signature=infer_signature(example, answer),
                    # Pinned here: the default starts a second interpreter to guess them.
                    pip_requirements=[f"pyspark=={metadata.version('pyspark')}"],
                )
        finally:
            # Setting an address exports it: left there, the next project of this process, and
            # what it starts, would keep its records in this one's store.
            mlflow.set_tracking_uri(None)  # type: ignore[arg-type]  # None: none is set
            if before is not None:
                os.environ[_URI] = before
        return str(info.model_uri)
