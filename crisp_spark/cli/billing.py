"""Gathers the bill of a run: its cluster from the submission, phases from commits, the promise."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from crisp_spark.errors import StorageError, UsageError

if TYPE_CHECKING:
    from crisp_spark.aws.bill import CostReport, PhaseTime
    from crisp_spark.aws.clients import Clients
    from crisp_spark.aws.lifetimes import ClusterLife
    from crisp_spark.aws.pricing import Prices
    from crisp_spark.results.base import StepResult
    from crisp_spark.run.history import StepRecord
    from crisp_spark.run.workspace import Workspace
    from crisp_spark.spec.compute import AwsCompute
    from crisp_spark.spec.load import LoadedProject


@dataclass(frozen=True)
class Bill:
    """What a run cost, beside what it promised.

    Attributes:
        run_id: The run.
        report: Its cost.
        promised: What became of the charter's business criteria.
        kept_at: Key of the record in the workspace.
        page: The same as a page for people.
    """

    run_id: str
    report: CostReport
    promised: tuple[str, ...]
    kept_at: str
    page: str


def bill_of(
    project: LoadedProject, *, run_id: str | None, cluster_id: str | None, live: bool, track: bool
) -> Bill:
    """Work out, keep and record the bill of a run on AWS.

    Args:
        project: The loaded project; its target names the Region and the disks.
        run_id: The run; the newest submitted one when None.
        cluster_id: Its cluster; from the submission's record when None.
        live: Ask AWS for on-demand prices and fees.
        track: Record the figures in MLflow.

    Raises:
        UsageError: The target is local, or nothing of the run is known.
        CrispError: AWS did not answer, or a price is missing.
    """
    from crisp_spark.run.history import step_records
    from crisp_spark.run.workspace import Workspace
    from crisp_spark.spec.compute import EmrCompute, EmrServerlessCompute

    compute = project.compute
    if not isinstance(compute, EmrCompute | EmrServerlessCompute):
        raise UsageError(
            f"cost report: target {project.target or '(none)'} is local and costs nothing",
            hint="name the target that the run was submitted to with --target",
        )
    workspace = Workspace(project)
    place = _place_of(workspace, compute.region, run_id, cluster_id)
    records = [record for record in step_records(workspace) if record.run_id == place.run_id]
    if place.job:
        found = _serverless_bill(compute, place, records)
    else:
        found = _cluster_bill(compute, place, records, live=live)
    if track:
        _track(workspace, place.run_id, found, records)
    promised, page = _promised(project), f"runs/{place.run_id}/cost-{_now()}.html"
    workspace.objects.put_if_absent(page, _page(project, place.run_id, found, promised).encode())
    kept = _keep(workspace, place.run_id, found)
    return Bill(place.run_id, found, promised, kept, workspace.objects.uri(page))


@dataclass(frozen=True)
class _Place:
    """Where a run was."""

    run_id: str
    cluster_id: str
    own: bool = True
    job: str = ""


def _place_of(
    workspace: Workspace, region: str, run_id: str | None, cluster_id: str | None
) -> _Place:
    """Find where a run was: in its submission, else (a scheduled run) by its cluster's tags."""
    if run_id and cluster_id:
        return _Place(run_id, cluster_id)
    keys = [
        found.key
        for found in workspace.objects.stat("submissions")
        if found.key.count("/") == 1 and found.key.endswith(".json")
    ]
    records = [json.loads(workspace.objects.read(key)) for key in keys]
    known = [one for one in records if run_id in {None, one["run_id"]}]
    if known:
        newest = max(known, key=lambda one: str(one.get("submitted", "")))
        job = str(newest.get("job", "")) if newest.get("kind") == "emr-serverless" else ""
        own = bool(newest.get("own_place", True))
        return _Place(newest["run_id"], cluster_id or newest["place"], own, job)
    if not run_id:
        raise UsageError(
            "cost report: nothing was submitted from this workspace",
            hint="a run that a schedule started needs --run-id",
        )
    return _Place(run_id, _tagged(region, run_id))


def _tagged(region: str, run_id: str) -> str:
    from crisp_spark.aws.clients import clients
    from crisp_spark.aws.lifetimes import cluster_of_run

    found = cluster_of_run(clients(region), run_id)
    if not found:
        raise UsageError(
            f"cost report: no submission of run {run_id} is on record, and no cluster of the last "
            "two months carries its tag",
            hint="give --cluster-id as well",
        )
    return found


def _cluster_bill(
    compute: AwsCompute, place: _Place, records: Sequence[StepRecord], *, live: bool
) -> CostReport:
    from crisp_spark.aws.bill import clipped, report
    from crisp_spark.aws.clients import clients
    from crisp_spark.aws.lifetimes import read_cluster, spot_history
    from crisp_spark.spec.compute import EmrCompute

    aws = clients(compute.region)
    life = read_cluster(aws, place.cluster_id)
    if not place.own and records:
        begun = min(one.started for one in records)
        life = clipped(life, begun, max(one.ended for one in records))
    return report(
        life,
        _prices(aws, life, live=live),
        history=spot_history(aws, life.lives, life.zone),
        phases=_phases(records),
        compute=compute if isinstance(compute, EmrCompute) and place.own else None,
    )


def _serverless_bill(
    compute: AwsCompute, place: _Place, records: Sequence[StepRecord]
) -> CostReport:
    from crisp_spark.aws.bill import serverless_report
    from crisp_spark.aws.clients import clients, translated
    from crisp_spark.aws.pricing import serverless

    client = clients(compute.region).get("emr-serverless")
    with translated(f"job run {place.job}"):
        found = client.get_job_run(applicationId=place.cluster_id, jobRunId=place.job)
    return serverless_report(
        place.job,
        found["jobRun"].get("billedResourceUtilization") or {},
        serverless(compute.region, compute.architecture),
        phases=_phases(records),
    )


def _phases(records: Sequence[StepRecord]) -> list[PhaseTime]:
    from crisp_spark.aws.bill import PhaseTime

    return [PhaseTime(one.phase, one.started, one.ended) for one in records]


def _page(project: LoadedProject, run_id: str, found: CostReport, promised: Sequence[str]) -> str:
    from crisp_spark.reporting.cost_page import CostPage, CostRow, render_cost
    from crisp_spark.results.charter import CharterResult

    charter = _result(project, "charter")
    costs = charter.costs if isinstance(charter, CharterResult) else None
    return render_cost(
        CostPage(
            project=project.spec.project.name,
            run_id=run_id,
            place=found.cluster_id,
            rows=tuple(
                CostRow(one.phase, one.market, one.hours, one.ec2, one.emr_fee, one.ebs, one.saved)
                for one in found.lines
            ),
            interruptions=found.interruptions,
            redone_seconds=found.redone_seconds,
            prices=f"{found.prices}, {found.prices_as_of}",
            notes=found.notes,
            promised=tuple(promised),
            expected_per_run=costs.per_run if costs else None,
            currency=costs.currency if costs else "",
            cap_usd=project.spec.business.max_cost_usd,
        )
    )


def _prices(aws: Clients, life: ClusterLife, *, live: bool) -> Prices:
    from crisp_spark.aws.live_prices import live_prices
    from crisp_spark.aws.pricing import bundled

    if live:
        return live_prices(aws, sorted({one.instance_type for one in life.lives}))
    return bundled(aws.region)


def _promised(project: LoadedProject) -> tuple[str, ...]:
    """Return the verdicts on the business criteria, where the run got that far."""
    from crisp_spark.results.decide import DecideResult

    decided = _result(project, "decide")
    if not isinstance(decided, DecideResult):
        return ("nothing yet: the run has made no decision",)
    return tuple(f"{one.id}: {one.sentence}" for one in decided.criteria if one.level != "mining")


def _result(project: LoadedProject, step: str) -> StepResult | None:
    from crisp_spark.run.status import result_of

    try:
        return result_of(project, step)
    except StorageError:
        return None  # the run did not get that far


def _now() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}"


def _keep(workspace: Workspace, run_id: str, found: CostReport) -> str:
    key = f"runs/{run_id}/cost-{_now()}.json"
    document: dict[str, Any] = asdict(found)
    totals = {"total": found.total, "saved_by_spot": found.saved_by_spot}
    workspace.put(key, {**document, **totals})
    return key


def _track(
    workspace: Workspace, run_id: str, found: CostReport, records: Sequence[StepRecord]
) -> None:
    from crisp_spark.run.tracked import open_tracker

    tracker = open_tracker(workspace, run_id)
    ended = {record.step for record in records}
    with tracker.step("cost", tags={"crisp.cluster_id": found.cluster_id}) as step:
        step.metrics(found.metrics())
        step.tags({"crisp.prices": f"{found.prices} {found.prices_as_of}"})
    tracker.finish(failed="report" not in ended)
