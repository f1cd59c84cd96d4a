"""The state machine of a scheduled run, in JSONata, from the flow and the plan of a cluster.

Two decisions are not the usual ones:

* The cluster is made by ``RunJobFlow`` itself and looked at until it is ready, not by
  ``createCluster.sync``: its id is known from the first second, so no time limit and no failure of
  the start can lose it, and every field of the plan is passed on.
* A run is claimed by an object that is put if absent, not by the name of the execution: the
  scheduler hands the due time over as text with colons, which no name may hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crisp_spark.aws.schedule.ending import after_failure, messages, teardown
from crisp_spark.aws.schedule.plan import MachinePlan
from crisp_spark.aws.schedule.stages import REPORT, STAGES, Stage, job_arguments
from crisp_spark.aws.schedule.states import (
    ENDED,
    State,
    among,
    choice,
    emr_sync,
    quoted,
    remembered,
    sdk,
    task,
)

LOOK_SECONDS = 30
"""Time between two looks at a cluster that starts."""

_DUE = "$states.input.scheduled_time"
_BEGUN = "$states.context.Execution.StartTime"


def state_machine(plan: MachinePlan) -> dict[str, Any]:
    """Return the definition of the state machine."""
    states: dict[str, State] = {
        "Begin": _begin(),
        **_claim(plan),
        **_cluster(plan),
        **_stages(plan),
        **after_failure(plan),
        **teardown(),
        **messages(plan),
    }
    return {
        "Comment": f"crisp_spark: scheduled run of {plan.project}",
        "QueryLanguage": "JSONata",
        "StartAt": "Begin",
        "TimeoutSeconds": plan.timeout_minutes * 60,
        "States": states,
    }


def run_id_expression() -> str:
    """Return the expression of the run id: by the due time, else by the start of the execution."""
    plain = "$replace($substring({0}, 0, 19), /[-:]/, '')"
    due = f"{plain.format(_DUE)} & '-scheduled'"
    begun = f"{plain.format(_BEGUN)} & '-manual'"
    given = "$exists($states.input.run_id) ? $states.input.run_id"
    return f"{{% {given} : $exists({_DUE}) ? {due} : {begun} %}}"


def _begin() -> State:
    return {
        "Type": "Pass",
        "Assign": {
            "runId": run_id_expression(),
            "execution": "{% $states.context.Execution.Id %}",
            "clusterId": "",
            "clusterState": "",
            "looks": 0,
            "stage": "",
            "attempt": 1,
            "lost": False,
            "decision": "",
            "error": "",
            "cause": "",
        },
        "Output": {},
        "Next": "Claim",
    }


def _claim(plan: MachinePlan) -> dict[str, State]:
    place = {"Bucket": plan.bucket, "Key": plan.key("'/claim.json'")}
    found = "$parse($states.result.Body).execution"
    return {
        "Claim": task(
            sdk("s3", "putObject"),
            place | {"Body": {"execution": "{% $execution %}"}, "IfNoneMatch": "*"},
            "CreateCluster",
            caught=("ReadClaim", remembered()),
        ),
        # Whatever the error was: who holds the claim decides.
        "ReadClaim": task(
            sdk("s3", "getObject"),
            place,
            "Mine",
            assign={"holder": f"{{% {found} %}}"},
            caught=("TellFailure", {}),
        ),
        "Mine": choice(
            ("$holder = $execution", "CreateCluster", {"error": "", "cause": ""}),
            otherwise="AlreadyStarted",
        ),
        "AlreadyStarted": {
            "Type": "Succeed",
            "Output": {"run_id": "{% $runId %}", "started_by": "{% $holder %}"},
        },
    }


def _cluster(plan: MachinePlan) -> dict[str, State]:
    request = dict(plan.request)
    tags = {tag["Key"]: tag["Value"] for tag in request.get("Tags", ())}
    tags |= {"crisp:run-id": "{% $runId %}", "crisp:execution": "{% $execution %}"}
    request["Name"] = (
        f"{{% {quoted(plan.project)} & ' ' & $runId & ' ' & $states.context.Execution.Name %}}"
    )
    request["Tags"] = [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
    status = "$states.result.Cluster.Status"
    late = plan.limits.cluster * 60 // LOOK_SECONDS
    minutes = plan.limits.cluster
    return {
        "CreateCluster": task(
            sdk("emr", "runJobFlow"),
            request,
            "LookAtCluster",
            assign={"clusterId": "{% $states.result.JobFlowId %}"},
            caught=("TellFailure", remembered(stage="cluster")),
        ),
        "LookAtCluster": task(
            sdk("emr", "describeCluster"),
            {"ClusterId": "{% $clusterId %}"},
            "Ready",
            assign={
                "clusterState": f"{{% {status}.State %}}",
                "clusterReason": f"{{% $string({status}.StateChangeReason) %}}",
                "looks": "{% $looks + 1 %}",
            },
            caught=("EndCluster", remembered(stage="cluster")),
        ),
        "Ready": choice(
            (among("$clusterState", ("WAITING", "RUNNING")), "Prepare", None),
            (
                among("$clusterState", ENDED),
                "EndCluster",
                {"error": "Crisp.ClusterFailed", "cause": "{% $clusterReason %}"},
            ),
            (
                f"$looks >= {late}",
                "EndCluster",
                {
                    "error": "Crisp.ClusterTimeout",
                    "cause": f"the cluster was not ready after {minutes} minutes",
                },
            ),
            otherwise="WaitForCluster",
        ),
        "WaitForCluster": {"Type": "Wait", "Seconds": LOOK_SECONDS, "Next": "LookAtCluster"},
    }


def _stages(plan: MachinePlan) -> dict[str, State]:
    prepare, sweep, decide, deploy = STAGES
    word = "$parse($states.result.Body)"
    return {
        prepare.state: _step(plan, prepare, sweep.state, plan.limits.prepare),
        sweep.state: _step(plan, sweep, decide.state, plan.limits.sweep),
        decide.state: _step(plan, decide, "ReadDecision", plan.limits.decide, keep_attempt=True),
        "ReadDecision": task(
            sdk("s3", "getObject"),
            {"Bucket": plan.bucket, "Key": plan.outcome_key},
            "Decision",
            assign={"decision": f"{{% {word}.decision %}}", "attempt": 1},
            caught=("EndCluster", remembered()),
        ),
        "Decision": choice(("$decision = 'deploy'", deploy.state, None), otherwise=REPORT.state),
        deploy.state: _step(plan, deploy, "EndCluster", plan.limits.deploy),
        REPORT.state: _step(plan, REPORT, "EndCluster", plan.limits.deploy),
    }


def _step(
    plan: MachinePlan, stage: Stage, then: str, minutes: int, *, keep_attempt: bool = False
) -> State:
    arguments: dict[str, Any] = {
        "ClusterId": "{% $clusterId %}",
        "Step": {
            "Name": f"{{% '{stage.name} ' & $runId & ' attempt ' & $string($attempt) %}}",
            "ActionOnFailure": "CONTINUE",
            "HadoopJarStep": {
                "Jar": "command-runner.jar",
                "Args": _command(plan, job_arguments(stage, project_uri=plan.project_uri)),
            },
        },
    }
    if plan.runtime_role:
        arguments["ExecutionRoleArn"] = plan.runtime_role
    return task(
        emr_sync("addStep"),
        arguments,
        then,
        assign={"stage": stage.name} | ({} if keep_attempt else {"attempt": 1}),
        caught=("ReadOutcome", remembered(stage=stage.name)),
        minutes=minutes,
    )


def _command(plan: MachinePlan, arguments: Sequence[str]) -> list[str]:
    return list(plan.command.spark_submit(plan.job_uri, arguments, conf={}))
