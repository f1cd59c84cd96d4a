"""One cluster: a thread that provisions, bootstraps, runs steps and ends."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from emr.loopback.cluster_state import (
    ACTIVE,
    ENDED,
    STEP_ENDED,
    ClusterStatus,
    Fleet,
    Instance,
    Step,
    new_id,
    now,
    tags_of,
)
from emr.loopback.machine import Machine, Process
from emr.loopback.options import Options, SparkHere
from emr.loopback.spark_line import local_line

logger = logging.getLogger(__name__)

NO_CAPACITY_TAG = "loopback:no-capacity"
LOSE_TAG = "loopback:lose"
_TICK = 0.05
_LOST = (
    "ExecutorLostFailure (executor 1 exited unrelated to the running tasks) Reason: Container "
    "from a bad node. Exit status: -100. Diagnostics: Container released on a *lost* node.\n"
)


class Cluster:
    """A cluster; every public method may be called from any thread.

    Args:
        request: RunJobFlow's request.
        options: How the loop-back EMR behaves.
        machine: Makes the machine that runs commands, given the cluster's id.
        on_change: Told of each change of state: kind, id, state, detail.
    """

    def __init__(
        self,
        request: Mapping[str, Any],
        options: Options,
        *,
        machine: Callable[[str], Machine],
        on_change: Callable[[str, Mapping[str, Any]], None],
    ) -> None:
        self.id = new_id("j-")
        self.request = dict(request)
        self.status = ClusterStatus()
        self.tags = tags_of(request.get("Tags", ()))
        instances = request.get("Instances", {})
        self.keep_alive = bool(instances.get("KeepJobFlowAliveWhenNoSteps", False))
        self.protected = bool(instances.get("TerminationProtected", False))
        self.concurrency = int(request.get("StepConcurrencyLevel") or 1)
        self.scaling: Any = request.get("ManagedScalingPolicy")
        self.auto_termination: Any = request.get("AutoTerminationPolicy")
        self.fleets = [Fleet(dict(one)) for one in instances.get("InstanceFleets", ())]
        self.instances: list[Instance] = []
        self.steps: list[Step] = []
        self._options = options
        self._machine = machine(self.id)
        self._on_change = on_change
        self._lock = threading.RLock()
        self._processes: dict[str, Process] = {}
        self._workers: list[threading.Thread] = []
        self._wake = threading.Event()
        self._end: tuple[str, str, str] | None = None
        self.add_steps(request.get("Steps", ()), role=request.get("StepExecutionRoleArn", ""))
        self._thread = threading.Thread(target=self._live, name=f"cluster {self.id}", daemon=True)

    def start(self) -> None:
        """Start the cluster's life."""
        self._thread.start()

    def join(self, seconds: float) -> None:
        """Wait for the cluster's end."""
        self._thread.join(seconds)

    # -- what the API asks -------------------------------------------------------------------

    def add_steps(self, requests: Any, *, role: str = "") -> list[str]:
        """Add steps and return their ids."""
        with self._lock:
            added = [Step(request, role=role) for request in requests]
            self.steps += added
        self._wake.set()
        return [step.id for step in added]

    def step(self, step_id: str) -> Step | None:
        """Return the step, or None."""
        return next((step for step in self.steps if step.id == step_id), None)

    def cancel(self, step_id: str, *, kill: bool) -> tuple[str, str]:
        """Cancel a step and return the status of the request and its reason."""
        with self._lock:
            step = self.step(step_id)
            if step is None:
                return "FAILED", f"Step {step_id} does not exist."
            if step.state == "PENDING":
                self._step_ends(step, "CANCELLED", "Cancelled by user")
            elif step.state == "RUNNING" and step_id in self._processes:
                step.state = "CANCEL_PENDING"
                self._processes[step_id].end(signal.SIGKILL if kill else signal.SIGTERM)
            else:
                return "FAILED", f"Step {step_id} is in state {step.state}."
            return "SUBMITTED", ""

    def terminate(
        self, code: str = "USER_REQUEST", message: str = "Terminated by user request"
    ) -> None:
        """End the cluster."""
        self._end = self._end or ("TERMINATED", code, message)
        self._wake.set()

    def lose(self, step_id: str) -> None:
        """Take the spot machines away and, with them, the step."""
        with self._lock:
            spot = [one for one in self.instances if one.market == "SPOT" and one.ended is None]
            for one in spot:
                one.end("INSTANCE_FAILURE", "Instance was terminated: Spot interruption")
            self.instances += [Instance(one.fleet, one.kind, one.market, one.role) for one in spot]
            step, process = self.step(step_id), self._processes.get(step_id)
            if step is not None and process is not None:
                step.lost = True
                process.end(signal.SIGKILL)

    def resize(self, change: Mapping[str, Any]) -> None:
        """Change a fleet's targets."""
        for fleet in self.fleets:
            if fleet.id == change["InstanceFleetId"]:
                fleet.request.update(
                    {key: value for key, value in change.items() if key.startswith("Target")}
                )

    # -- the cluster's life ------------------------------------------------------------------

    def _live(self) -> None:
        try:
            if self._provisioned() and self._bootstrapped():
                self._run_steps()
        except Exception as error:
            logger.exception("cluster %s broke", self.id)
            self._end = ("TERMINATED_WITH_ERRORS", "INTERNAL_ERROR", str(error))
        self._wind_up()

    def _provisioned(self) -> bool:
        self._tell_cluster()
        self._wake.wait(0)
        time.sleep(self._options.provisioning)
        if NO_CAPACITY_TAG in self.tags:
            message = "The instance fleet could not be provisioned: insufficient capacity."
            self.status.errors = [
                {
                    "ErrorCode": "INTERNAL_ERROR_EC2_INSUFFICIENT_CAPACITY_AZ",
                    "ErrorMessage": message,
                }
            ]
            self._end = ("TERMINATED_WITH_ERRORS", "INSTANCE_FLEET_TIMEOUT", message)
            return False
        with self._lock:
            for fleet in self.fleets:
                fleet.state = "RUNNING"
                self.instances += fleet.launch()
        return self._end is None

    def _bootstrapped(self) -> bool:
        self._state("BOOTSTRAPPING")
        node = next((one.ec2_id for one in self.instances if one.role == "MASTER"), "i-0")
        for number, action in enumerate(self.request.get("BootstrapActions", ()), 1):
            if self._end is not None:
                return False
            folder = self._machine.folder / "node" / "bootstrap-actions" / str(number)
            process = Process(folder, self._logs(f"node/{node}/bootstrap-actions/{number}/"))
            self._processes[f"bootstrap-{number}"] = process
            script = action["ScriptBootstrapAction"]
            try:
                file = self._machine.fetch(script["Path"], folder / "script")
            except Exception:  # noqa: BLE001  # any way of not getting it is the same to EMR
                self._bootstrap_failed(node, number, "could not be downloaded")
                return False
            code = self._machine.run(["bash", str(file), *script.get("Args", ())], process)
            if code and self._end is None:
                self._bootstrap_failed(node, number, "returned a non-zero return code")
                return False
        return self._end is None

    def _bootstrap_failed(self, node: str, number: int, what: str) -> None:
        message = f"On the master instance ({node}), bootstrap action {number} {what}"
        fetched = "non-zero" in what
        code = "PRIMARY_WITH_NON_ZERO_CODE" if fetched else "BA_DOWNLOAD_FAILED_PRIMARY"
        self.status.errors = [{"ErrorCode": f"BOOTSTRAP_FAILURE_{code}", "ErrorMessage": message}]
        self._end = ("TERMINATED_WITH_ERRORS", "BOOTSTRAP_FAILURE", message)

    def _run_steps(self) -> None:
        self.status.ready = now()
        idle_since = time.monotonic()
        while self._end is None:
            with self._lock:
                running = sum(step.state in {"RUNNING", "CANCEL_PENDING"} for step in self.steps)
                waiting = [step for step in self.steps if step.state == "PENDING"]
                for step in waiting[: max(0, self.concurrency - running)]:
                    self._begin(step)
                    running += 1
            if running:
                self._state("RUNNING")
                idle_since = time.monotonic()
            elif self.steps and not self.keep_alive:
                failed = any(step.state == "FAILED" for step in self.steps)
                message = "Steps completed with errors" if failed else "Steps completed"
                self.terminate("ALL_STEPS_COMPLETED", message)
            elif not self.keep_alive:
                self.terminate("ALL_STEPS_COMPLETED", "Steps completed")
            else:
                self._state("WAITING")
                self._end_when_idle(idle_since)
            self._wake.wait(_TICK)
            self._wake.clear()

    def _end_when_idle(self, since: float) -> None:
        limit = (self.auto_termination or {}).get("IdleTimeout")
        if limit and time.monotonic() - since > limit * self._options.idle_scale:
            self.terminate("USER_REQUEST", "Terminated by the auto-termination policy")

    def _begin(self, step: Step) -> None:
        step.state, step.started = "RUNNING", now()
        folder = self._machine.folder / "steps" / step.id
        process = Process(folder, self._logs(f"steps/{step.id}/"))
        self._processes[step.id] = process
        self._tell_step(step)
        worker = threading.Thread(target=self._work, args=(step, process), daemon=True)
        self._workers.append(worker)
        worker.start()

    def _work(self, step: Step, process: Process) -> None:
        try:
            command, environ = self._command(step, process)
            code = self._machine.run(command, process, environ)
            if step.lost:
                with (process.folder / "stderr").open("a") as log:
                    log.write(_LOST)
                self._machine.upload(process)
        except Exception as error:
            logger.exception("step %s could not be run", step.id)
            process.folder.mkdir(parents=True, exist_ok=True)
            (process.folder / "stderr").write_text(f"{error}\n")
            self._machine.upload(process)
            code = 1
        with self._lock:
            self._step_done(step, process, code)
        self._wake.set()

    def _command(self, step: Step, process: Process) -> tuple[list[str], dict[str, str]]:
        jar = step.request["HadoopJarStep"]["Jar"]
        if "command-runner.jar" not in jar:
            raise ValueError(f"only command-runner.jar is modelled here, got {jar}")
        if step.args[0] != "spark-submit":
            return step.args, {}
        fetched = process.folder / "fetched"
        return local_line(
            [step.args[0], *self._spark_defaults(), *step.args[1:]],
            self._spark(),
            lambda uri: self._machine.fetch(uri, fetched),
        )

    def _spark(self) -> SparkHere:
        spark = self._options.spark
        return (
            replace(spark, conf={**self._machine.connector, **spark.conf}) if spark.jars else spark
        )

    def _spark_defaults(self) -> list[str]:
        found = []
        for part in self.request.get("Configurations", ()):
            if part["Classification"] == "spark-defaults":
                for key, value in part.get("Properties", {}).items():
                    found += ["--conf", f"{key}={value}"]
        return found

    def _step_done(self, step: Step, process: Process, code: int) -> None:
        if step.state == "CANCEL_PENDING":
            self._step_ends(step, "CANCELLED", "Cancelled by user")
        elif self._end is not None and code:
            self._step_ends(step, "CANCELLED", "Job terminated")
        elif code == 0:
            self._step_ends(step, "COMPLETED")
        else:
            failure = {"Reason": "Unknown Error."}
            if process.prefix:
                failure["LogFile"] = f"{process.prefix}stderr.gz"
            self._step_ends(step, "FAILED", failure=failure)
            self._after_failure(step)

    def _after_failure(self, step: Step) -> None:
        if step.action == "CONTINUE":
            return
        for other in self.steps:
            if other.state == "PENDING":
                self._step_ends(other, "CANCELLED", "Job terminated")
        if step.action == "TERMINATE_CLUSTER" and not self.protected:
            self._end = ("TERMINATED_WITH_ERRORS", "STEP_FAILURE", "Shut down as step failed")

    def _wind_up(self) -> None:
        state, code, message = self._end or ("TERMINATED", "USER_REQUEST", "")
        self.status.code, self.status.message = code, message
        self._state("TERMINATING")
        for process in list(self._processes.values()):
            process.end(signal.SIGTERM)
        for worker in self._workers:
            worker.join(self._options.grace + 5)
        with self._lock:
            for step in self.steps:
                if step.state not in STEP_ENDED:
                    self._step_ends(step, "CANCELLED", "Job terminated")
            for one in self.instances:
                one.end("CLUSTER_TERMINATED", "Cluster was terminated.")
            for fleet in self.fleets:
                fleet.state = "TERMINATED"
        time.sleep(self._options.ending)
        self.status.ended = now()
        self._state(state)

    # -- small things ------------------------------------------------------------------------

    @property
    def ended(self) -> bool:
        """Whether the cluster takes no more steps."""
        return self._end is not None or self.status.state in (*ENDED, "TERMINATING")

    @property
    def active(self) -> bool:
        """Whether the cluster is in an active state."""
        return self.status.state in ACTIVE

    def _logs(self, below: str) -> str:
        log_uri = self.request.get("LogUri")
        return f"{log_uri.rstrip('/')}/{self.id}/{below}" if log_uri else ""

    def _state(self, state: str) -> None:
        if self.status.state != state:
            self.status.state = state
            self._tell_cluster()

    def _step_ends(
        self, step: Step, state: str, message: str = "", failure: Mapping[str, str] | None = None
    ) -> None:
        step.end(state, message, failure=failure)
        self._tell_step(step)

    def _tell_cluster(self) -> None:
        detail = {
            "clusterId": self.id,
            "name": self.request.get("Name", ""),
            "state": self.status.state,
            "stateChangeReason": f'{{"code":"{self.status.code}"}}',
            "severity": "CRITICAL" if self.status.state == "TERMINATED_WITH_ERRORS" else "INFO",
        }
        self._on_change("EMR Cluster State Change", detail)

    def _tell_step(self, step: Step) -> None:
        detail = {
            "clusterId": self.id,
            "stepId": step.id,
            "name": step.request["Name"],
            "actionOnFailure": step.action,
            "state": step.state,
            "severity": "ERROR" if step.state == "FAILED" else "INFO",
        }
        self._on_change("EMR Step Status Change", detail)
