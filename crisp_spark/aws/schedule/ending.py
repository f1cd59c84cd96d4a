"""The roads out of a scheduled run: second attempts, the end of the cluster, messages."""

from __future__ import annotations

from crisp_spark.aws.schedule.plan import MachinePlan
from crisp_spark.aws.schedule.stages import REPORT, STAGES
from crisp_spark.aws.schedule.states import ENDED, State, among, choice, emr_sync, sdk, task


def after_failure(plan: MachinePlan) -> dict[str, State]:
    """What follows a failed step: a second attempt if its machine was lost, else the end.

    A job says in its outcome whether its machines were lost. A job that left no outcome was killed
    before it could write one, which only the loss of its own machine does. A step that someone
    cancelled, or that ran out of time, is not tried again.
    """
    again = " and ".join(
        [
            "$lost",
            f"$attempt < {plan.attempts}",
            "$error != 'States.Timeout'",
            "$not($contains($cause, 'CANCELLED'))",
            among("$clusterState", ("WAITING", "RUNNING")),
        ]
    )
    back = {"attempt": "{% $attempt + 1 %}", "error": "", "cause": ""}
    rules = [
        (f"{again} and $stage = '{stage.name}'", stage.state, back) for stage in (*STAGES, REPORT)
    ]
    return {
        "ReadOutcome": task(
            sdk("s3", "getObject"),
            {"Bucket": plan.bucket, "Key": plan.outcome_key},
            "LookAgain",
            assign={"lost": "{% $parse($states.result.Body).lost %}"},
            caught=("LookAgain", {"lost": True}),
        ),
        "LookAgain": task(
            sdk("emr", "describeCluster"),
            {"ClusterId": "{% $clusterId %}"},
            "Again",
            assign={"clusterState": "{% $states.result.Cluster.Status.State %}"},
            caught=("EndCluster", {}),
        ),
        "Again": choice(*rules, otherwise="EndCluster"),
    }


def teardown() -> dict[str, State]:
    """The end of the cluster, on every road."""
    return {
        "EndCluster": task(
            emr_sync("terminateCluster"),
            {"ClusterId": "{% $clusterId %}"},
            "Result",
            caught=(
                "LookAtEnd",
                {
                    "endError": "{% $states.errorOutput.Error %}",
                    "clusterState": "UNKNOWN",
                },
            ),
            minutes=30,
        ),
        "LookAtEnd": task(
            sdk("emr", "describeCluster"),
            {"ClusterId": "{% $clusterId %}"},
            "Ended",
            assign={"clusterState": "{% $states.result.Cluster.Status.State %}"},
            caught=("Ended", {}),
        ),
        "Ended": choice(
            (among("$clusterState", ENDED), "Result", None),
            # The first error stays the error of the run.
            ("$error != ''", "TellLeak", None),
            otherwise="Leaked",
        ),
        "Leaked": {
            "Type": "Pass",
            "Assign": {
                "error": "Crisp.ClusterNotEnded",
                "cause": "{% 'cluster ' & $clusterId & ' could not be ended: ' & $endError %}",
            },
            "Output": {},
            "Next": "TellLeak",
        },
    }


def messages(plan: MachinePlan) -> dict[str, State]:
    """What people are told, and the two ends of the execution."""
    facts = [
        "'run ' & $runId",
        "'cluster ' & $clusterId",
        "'execution ' & $execution",
    ]
    told = (*facts, "'stage ' & $stage", "$error", "$cause")
    leak = (
        "'Cluster ' & $clusterId & ' could not be ended. End it by hand; it ends itself when idle.'"
    )
    done = "TellSuccess" if plan.notify_success else "Done"
    return {
        "Result": choice(("$error = ''", done, None), otherwise="TellFailure"),
        "TellLeak": _tell(plan, "a cluster is left", (leak, *told), "Failed"),
        "TellFailure": _tell(plan, "the run failed", told, "Failed"),
        **(
            {"TellSuccess": _tell(plan, "done", ("'decision ' & $decision", *facts), "Done")}
            if plan.notify_success
            else {}
        ),
        # Names that begin with "States." belong to Step Functions; nothing else may raise them.
        "Failed": {
            "Type": "Fail",
            "Error": "{% $replace($error, /^States\\./, 'Crisp.') %}",
            "Cause": "{% $cause %}",
        },
        "Done": {
            "Type": "Succeed",
            "Output": {
                "run_id": "{% $runId %}",
                "cluster_id": "{% $clusterId %}",
                "decision": "{% $decision %}",
            },
        },
    }


def _tell(plan: MachinePlan, subject: str, lines: tuple[str, ...], then: str) -> State:
    """A message; that it could not be sent changes nothing."""
    message = f"{{% $join([{', '.join(lines)}], '\\n') %}}"
    return task(
        "arn:aws:states:::sns:publish",
        {
            "TopicArn": plan.topic,
            "Subject": f"{plan.project}: {subject}"[:100],
            "Message": message,
        },
        then,
        caught=(then, {}),
    )
