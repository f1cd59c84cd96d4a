"""The state machine that ends the cluster of an execution that did not end it itself.

A rule of EventBridge starts it when an execution was aborted, timed out or failed. It needs no
code of ours: clusters bear the name of their execution, so listing and filtering finds them, and
two later looks find one that was still being asked for when the execution was stopped.
"""

from __future__ import annotations

from typing import Any

from crisp_spark.aws.schedule.states import ACTIVE, State, choice, sdk, task

LOOKS = 3
WAIT_SECONDS = 60


def cleanup_machine(project: str, *, topic: str = "${Topic}") -> dict[str, Any]:
    """Return the definition; its input is ``{"name": ..., "status": ...}`` of the execution.

    Args:
        project: Name of the project.
        topic: ARN of the topic for messages, or the token that is put in for it.
    """
    return {
        "Comment": f"crisp_spark: ends clusters that runs of {project} left behind",
        "QueryLanguage": "JSONata",
        "StartAt": "Begin",
        "TimeoutSeconds": 3600,
        "States": _states(project, topic),
    }


def _states(project: str, topic: str) -> dict[str, State]:
    listed = f"{{'ClusterStates': {list(ACTIVE)}}}"
    named = "$states.result.Clusters[$contains(Name, $name)].Id"
    message = (
        "'Execution ' & $name & ' ended as ' & $status & '. "
        "Its cluster was ended: ' & $join($found, ', ')"
    )
    return {
        "Begin": {
            "Type": "Pass",
            "Assign": {
                "name": "{% $states.input.name %}",
                "status": "{% $states.input.status %}",
                "found": [],
                "marker": "",
                "looks": 1,
            },
            "Output": {},
            "Next": "List",
        },
        "List": task(
            sdk("emr", "listClusters"),
            {},
            "More",
            assign={
                "found": f"{{% [$append($found, {named})] %}}",
                "marker": "{% $exists($states.result.Marker) ? $states.result.Marker : '' %}",
            },
        )
        | {"Arguments": f"{{% $merge([{listed}, $marker = '' ? {{}} : {{'Marker': $marker}}]) %}}"},
        "More": choice(
            ("$marker != ''", "List", None),
            ("$count($found) > 0", "End", None),
            (f"$looks < {LOOKS}", "Wait", {"looks": "{% $looks + 1 %}"}),
            otherwise="Done",
        ),
        "Wait": {"Type": "Wait", "Seconds": WAIT_SECONDS, "Next": "List"},
        "End": task(sdk("emr", "terminateJobFlows"), {"JobFlowIds": "{% $found %}"}, "Tell"),
        "Tell": task(
            "arn:aws:states:::sns:publish",
            {
                "TopicArn": topic,
                "Subject": f"{project}: a cluster was ended"[:100],
                "Message": f"{{% {message} %}}",
            },
            "Done",
            caught=("Done", {}),
        ),
        "Done": {"Type": "Succeed", "Output": {"ended": "{% $found %}"}},
    }
