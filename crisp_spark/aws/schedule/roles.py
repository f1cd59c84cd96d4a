"""Roles of a schedule's stack: each may do what it needs, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crisp_spark.aws.schedule.cloudformation import (
    SAME_ACCOUNT,
    Resource,
    Statement,
    allow,
    arn,
    att,
    ref,
    role,
    s3_arn,
    sub,
)
from crisp_spark.aws.schedule.stack import Place, StackPlan

WILDCARDS: Mapping[str, str] = {
    "StartClusters": "RunJobFlow knows no resources; the tag that the cluster must get limits it",
    "ListClusters": "ListClusters knows no resources",
    "DeliverLogs": "the log deliveries of Step Functions know no resources",
    "OwnersByTheirOwnPolicies": "in the policy of a key, * means this key",
    "AlarmsAndRules": "in the policy of a key, * means this key",
    "LogsOfThisAccount": "in the policy of a key, * means this key",
}
"""Statements with a bare ``*`` as resource, and why; a test holds the template against it."""

_READ = ("s3:GetObject",)
_WRITE = (
    "s3:AbortMultipartUpload",
    "s3:DeleteObject",
    "s3:GetObject",
    "s3:ListMultipartUploadParts",
    "s3:PutObject",
)


def roles(plan: StackPlan) -> dict[str, Resource]:
    """Return the roles of the state machines, and those of EMR where the stack makes them."""
    found = {"MachineRole": _machine(plan), "CleanupRole": _cleanup(plan)}
    if plan.schedule.create_shared:
        found |= _service(plan) | _node(plan)
    return found


def _service(plan: StackPlan) -> dict[str, Resource]:
    if plan.compute.service_role.startswith("arn:"):
        return {}
    policy = "arn:${AWS::Partition}:iam::aws:policy/service-role/AmazonEMRServicePolicy_v2"
    return {
        "ServiceRole": role(
            "elasticmapreduce.amazonaws.com",
            _pass("PassNodeRole", _node_role(plan), "ec2.amazonaws.com"),
            name=plan.compute.service_role,
            managed=[sub(policy)],
            condition=SAME_ACCOUNT,
        )
    }


def _node(plan: StackPlan) -> dict[str, Resource]:
    profile = plan.compute.instance_profile
    if profile.startswith("arn:"):
        return {}
    return {
        "NodeRole": role("ec2.amazonaws.com", *node_statements(plan), name=profile),
        "NodeProfile": {
            "Type": "AWS::IAM::InstanceProfile",
            "Properties": {"InstanceProfileName": profile, "Roles": [ref("NodeRole")]},
        },
    }


def node_statements(plan: StackPlan) -> list[Statement]:
    """Return what the machines may do; without a runtime role the jobs are among it."""
    artifacts = plan.artifacts
    found = [
        allow("ReadPackages", _READ, s3_arn(artifacts.bucket, artifacts.below())),
        allow(
            "WriteClusterLogs",
            ("s3:PutObject",),
            s3_arn(artifacts.bucket, artifacts.below("logs")),
        ),
        # EMR's own packages, which the machines fetch when they start.
        allow(
            "ReadEmr", _READ, sub("arn:${AWS::Partition}:s3:::${AWS::Region}.elasticmapreduce/*")
        ),
    ]
    if plan.compute.log_group:
        streams = ("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents")
        found.append(
            allow("WriteLogs", streams, arn("logs", f"log-group:{plan.compute.log_group}:*"))
        )
    if plan.compute.runtime_role:
        steps = ("sts:AssumeRole", "sts:TagSession")
        return [*found, allow("TakeUpStepRole", steps, plan.compute.runtime_role)]
    return found + _data(plan)


def _data(plan: StackPlan) -> list[Statement]:
    """Return access to the workspace and the sources."""
    workspace = plan.workspace
    found = [
        allow("Workspace", _WRITE, s3_arn(workspace.bucket, workspace.below())),
        allow("List", ("s3:ListBucket",), s3_arn(workspace.bucket), condition=_listed(plan)),
        # The committer looks for uploads that a lost machine left open.
        allow("ListUploads", ("s3:ListBucketMultipartUploads",), s3_arn(workspace.bucket)),
    ]
    if plan.sources:
        places = [s3_arn(source.bucket, source.below()) for source in plan.sources]
        buckets = sorted({source.bucket for source in plan.sources})
        found += [
            allow("Sources", _READ, places),
            allow("ListSources", ("s3:ListBucket",), [s3_arn(bucket) for bucket in buckets]),
        ]
    if plan.secrets:
        names = [arn("secretsmanager", f"secret:{name}-??????") for name in plan.secrets]
        found.append(allow("Secrets", ("secretsmanager:GetSecretValue",), names))
    if plan.compute.kms_key:
        uses = ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:DescribeKey")
        found.append(allow("DataKey", uses, plan.compute.kms_key))
    if plan.databases:
        reads = ("glue:GetDatabase", "glue:GetTable", "glue:GetPartitions")
        found.append(allow("Catalog", reads, _catalog(plan.databases)))
    return found


def _catalog(databases: tuple[str, ...]) -> list[Any]:
    names = [arn("glue", f"database/{name}") for name in databases]
    return [arn("glue", "catalog"), *names, *(arn("glue", f"table/{name}/*") for name in databases)]


def _listed(plan: StackPlan) -> dict[str, Any]:
    places: tuple[Place, ...] = (plan.workspace, plan.artifacts)
    return {"StringLike": {"s3:prefix": sorted({place.below() for place in places})}}


def _service_role(plan: StackPlan) -> Any:
    name = plan.compute.service_role
    return name if name.startswith("arn:") else _role_arn(name)


def _node_role(plan: StackPlan) -> Any:
    """The role behind the instance profile; it has the profile's name."""
    return _role_arn(plan.compute.instance_profile.rsplit("/", 1)[-1])


def _role_arn(name: str) -> Any:
    return sub(f"arn:${{AWS::Partition}}:iam::${{AWS::AccountId}}:role/{name}")


def _pass(sid: str, who: Any, service: str) -> Statement:
    to_service = {"StringEquals": {"iam:PassedToService": service}}
    return allow(sid, ("iam:PassRole",), who, condition=to_service)


def _own_clusters(plan: StackPlan) -> dict[str, Any]:
    return {"StringEquals": {"aws:ResourceTag/crisp:project": plan.project}}


def _machine(plan: StackPlan) -> Resource:
    clusters = arn("elasticmapreduce", "cluster/*")
    asked = {"StringEquals": {"aws:RequestTag/crisp:project": plan.project}}
    settings = (
        "elasticmapreduce:AddTags",
        "elasticmapreduce:PutAutoTerminationPolicy",
        "elasticmapreduce:PutManagedScalingPolicy",
    )
    uses = (
        "elasticmapreduce:CancelSteps",
        "elasticmapreduce:DescribeCluster",
        "elasticmapreduce:DescribeStep",
        "elasticmapreduce:TerminateJobFlows",
    )
    as_role = {"StringEquals": {"elasticmapreduce:ExecutionRoleArn": plan.compute.runtime_role}}
    adding = _own_clusters(plan)
    if plan.compute.runtime_role:
        adding = {"StringEquals": adding["StringEquals"] | as_role["StringEquals"]}
    rules = ("AddJobFlowSteps", "TerminateJobFlows")
    waits = [arn("events", f"rule/StepFunctionsGetEventForEMR{name}Rule") for name in rules]
    watching = ("events:DescribeRule", "events:PutRule", "events:PutTargets")
    records = f"{plan.workspace.below('runs')}"
    statements = [
        allow("StartClusters", ("elasticmapreduce:RunJobFlow",), "*", condition=asked),
        allow("SetUpClusters", settings, clusters),
        allow("UseClusters", uses, clusters, condition=_own_clusters(plan)),
        allow("AddSteps", ("elasticmapreduce:AddJobFlowSteps",), clusters, condition=adding),
        _pass("PassServiceRole", _service_role(plan), "elasticmapreduce.amazonaws.com"),
        _pass("PassNodeRole", _node_role(plan), "ec2.amazonaws.com"),
        allow("WaitForClusters", watching, waits),
        allow("Records", ("s3:GetObject", "s3:PutObject"), s3_arn(plan.workspace.bucket, records)),
        _cleanup_of_emr(),
        *telling(),
        delivering(),
    ]
    if plan.compute.kms_key:
        uses_key = ("kms:Decrypt", "kms:GenerateDataKey")
        statements.append(allow("DataKey", uses_key, plan.compute.kms_key))
    return role("states.amazonaws.com", *statements, condition=SAME_ACCOUNT)


def _cleanup_of_emr() -> Statement:
    """The first cluster of an account makes the role by which EMR removes what is left of it."""
    service = "elasticmapreduce.amazonaws.com"
    return allow(
        "CreateEmrsOwnRole",
        ("iam:CreateServiceLinkedRole",),
        _role_arn(f"aws-service-role/{service}/AWSServiceRoleForEMRCleanup"),
        condition={"StringEquals": {"iam:AWSServiceName": service}},
    )


def _cleanup(plan: StackPlan) -> Resource:
    return role(
        "states.amazonaws.com",
        allow("ListClusters", ("elasticmapreduce:ListClusters",), "*"),
        allow(
            "EndClusters",
            ("elasticmapreduce:TerminateJobFlows",),
            arn("elasticmapreduce", "cluster/*"),
            condition=_own_clusters(plan),
        ),
        *telling(),
        delivering(),
        condition=SAME_ACCOUNT,
    )


def telling() -> tuple[Statement, ...]:
    """Return the right to send messages to the topic, which is encrypted."""
    return (
        allow("Tell", ("sns:Publish",), ref("Topic")),
        allow("MessageKey", ("kms:Decrypt", "kms:GenerateDataKey"), att("Key")),
    )


def delivering() -> Statement:
    """Return the rights by which Step Functions writes its log; AWS offers no narrower ones."""
    return allow(
        "DeliverLogs",
        (
            "logs:CreateLogDelivery",
            "logs:DeleteLogDelivery",
            "logs:DescribeLogGroups",
            "logs:DescribeResourcePolicies",
            "logs:GetLogDelivery",
            "logs:ListLogDeliveries",
            "logs:PutResourcePolicy",
            "logs:UpdateLogDelivery",
        ),
        "*",
    )
