"""The jobs on a real YARN in cluster mode, undisturbed and with nodes that are lost."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from crisp_spark.run.workspace import Workspace
from crisp_spark.spec.load import load_project
from tests import tiny_project
from tests.cluster import eventlog
from tests.cluster.flowrun import STEPS, FlowRun
from tests.cluster.losses import Losses
from tests.cluster.yarn.cluster import Yarn
from tests.cluster.yarn.daemons import text, wait_for
from tests.cluster.yarn.submitting import Package, submit

pytestmark = pytest.mark.cluster_long
LIMIT = 900
ANNOUNCED = {
    # Spark empties a node that YARN announces as going, if there is no shuffle service.
    "spark.decommission.enabled": "true",
    "spark.storage.decommission.enabled": "true",
    "spark.storage.decommission.rddBlocks.enabled": "true",
    "spark.storage.decommission.shuffleBlocks.enabled": "true",
}
spares = iter(f"127.0.0.{number}" for number in range(31, 60))


@dataclass
class Application:
    """The flow on the small project as one application of the cluster."""

    yarn: Yarn
    run: FlowRun
    client: subprocess.Popen[bytes]
    log: Path
    losses: Losses

    def ends(self) -> bool:
        """Wait for the end and say whether the application succeeded."""
        self.client.wait(LIMIT)
        return self.client.returncode == 0 and "final status: SUCCEEDED" in text(self.log)

    def why(self) -> str:
        return f"{text(self.log)[-2500:]}\n{self.yarn.logs('stderr')[-6000:]}"

    def spot_nodes(self) -> list[str]:
        """Spot nodes of the cluster on which containers run."""
        return [
            address
            for address, label in self.yarn.nodes.items()
            if label == "SPOT" and address in self.yarn.processes and self.yarn.containers(address)
        ]

    def a_spot_node(self, *, but: str = "") -> str:
        """Wait until containers run on a spot node, and return it."""
        assert wait_for(lambda: bool(set(self.spot_nodes()) - {but}), LIMIT), self.why()
        return next(node for node in self.spot_nodes() if node != but)

    def wait_for_replacement(self) -> None:
        """Wait until an executor has come after the last loss; YARN takes half a minute."""
        at = self.losses.seen[-1][0]
        events = self.losses.events
        come = wait_for(
            lambda: eventlog.after(events, at, float("inf")).replaced is not None, LIMIT, every=2
        )
        assert come, self.why()

    def lose(self, address: str, step: str, manner: str) -> None:
        self.losses.note(step, manner)
        assert self.yarn.lose_node(address) > 1, "nothing ran there"


def start(yarn: Yarn, code_zip: Path, folder: Path, **conf: str) -> Application:
    """Start the flow in a folder with the entry points; again, it is the next attempt."""
    file = folder / "project" / "crisp.yml"
    if not file.exists():
        tiny_project.write(file.parent)
    log = folder / f"client-{time.time_ns()}.log"
    events = folder / "events"
    client = submit(
        yarn,
        Package((code_zip,)),
        folder / "jobs" / "run.py",
        ["--project", file.as_uri(), "--run-id", "r1", "--steps", ",".join(STEPS)],
        log=log,
        events=events,
        conf=conf,
    )
    objects = Workspace(load_project(file)).objects
    run = FlowRun(objects, "r1", lambda: client.poll() is None)
    return Application(yarn, run, client, log, Losses("YARN", events))


@pytest.fixture
def spot(yarn):
    """The cluster with two spot nodes that hold nothing."""
    for address in [name for name in yarn.nodes if name not in yarn.processes]:
        del yarn.nodes[address]
    while sum(label == "SPOT" for label in yarn.nodes.values()) < 2:
        yarn.add_node(next(spares), "SPOT")
    return yarn


def test_a_node_that_is_killed_in_preparation_and_one_in_the_sweep(spot, code_zip, jobs, tmp_path):
    application = start(spot, code_zip, tmp_path)
    run = application.run
    run.wait_until_in("clean", delay=1)
    assert "127.0.0.21" in {node for node in spot.nodes if spot.containers(node)}
    application.lose(application.a_spot_node(), "clean", "kill -9 of a node")
    spot.add_node(next(spares), "SPOT")
    run.wait_for_trials(1)
    finished = run.trials()
    application.wait_for_replacement()
    application.lose(application.a_spot_node(), "sweep", "kill -9 of a node")
    spot.add_node(next(spares), "SPOT")
    assert application.ends(), application.why()
    run.assert_same_as_undisturbed()
    run.assert_no_finished_trial_was_fitted_again(finished)
    first, second = application.losses.report()
    assert first.noticed is not None
    assert second.noticed is not None
    assert first.replaced is not None
    # The driver was on demand all the time, the executors on spot.
    assert "127.0.0.21" not in eventlog.hosts(application.losses.events)


def test_a_node_that_is_lost_after_two_minutes_notice(spot, code_zip, jobs, tmp_path):
    application = start(spot, code_zip, tmp_path, **ANNOUNCED)
    run = application.run
    run.wait_until_in("ingest")
    # YARN tells of the notice once: an executor that the driver does not know yet would miss it.
    known = wait_for(lambda: len(eventlog.hosts(application.losses.events)) > 1, LIMIT, every=1)
    assert known, application.why()
    going = application.a_spot_node()
    application.losses.note("ingest", "notice of 120 s")
    spot.announce_loss(going, seconds=120)
    timer = threading.Timer(120, spot.lose_node, (going,))
    timer.start()
    spot.add_node(next(spares), "SPOT")
    run.wait_for_trials(1)
    finished = run.trials()
    next_one = application.a_spot_node(but=going)
    application.losses.note("sweep", "notice of 20 s")
    spot.announce_loss(next_one, seconds=20)
    time.sleep(20)
    # By now the node may be empty: that is what a notice is for.
    application.losses.note("sweep", "end of the notice")
    spot.lose_node(next_one)
    assert application.ends(), application.why()
    timer.join()
    run.assert_same_as_undisturbed()
    run.assert_no_finished_trial_was_fitted_again(finished)
    first, *_ = application.losses.report()
    assert "decommission" in " ".join(first.reasons).lower()
    assert first.failed == 0


def test_losing_the_driver_costs_no_finished_trial(spot, code_zip, jobs, tmp_path):
    application = start(spot, code_zip, tmp_path)
    application.run.wait_for_trials(1)
    finished = application.run.trials()
    application.losses.note("sweep", "kill -9 of the driver")
    (driver,) = re.findall(r"ApplicationMaster host: (127\.0\.0\.21)", text(application.log))[-1:]
    assert driver
    for pid in spot.containers(driver):
        subprocess.run(["kill", "-9", str(pid)], check=False)
    assert not application.ends()
    resumed = start(spot, code_zip, tmp_path)
    assert resumed.ends(), resumed.why()
    resumed.run.assert_same_as_undisturbed()
    resumed.run.assert_no_finished_trial_was_fitted_again(finished)
    assert resumed.run.commit("sweep")["result"]["plan"]["resumed"] == len(finished)
    application.losses.report()


def test_nodes_wear_their_labels(yarn):
    assert wait_for(lambda: "SPOT" in text(yarn.root / "resourcemanager.log"), 30)
