"""The template of a service on ECS Fargate, which moves its traffic step by step by itself."""

from __future__ import annotations

from typing import Any

from crisp_spark.aws.rollout.plan import RolloutPlan, stack
from crisp_spark.aws.rollout.service import (
    NETWORK,
    PORT,
    balancer_alarm,
    load_balancer,
    model_rights,
    variables,
)
from crisp_spark.aws.rollout.watching import (
    dashboard,
    log_group,
    model_alarms,
    monitoring_alarms,
    topic,
)
from crisp_spark.aws.schedule.cloudformation import Resource, att, ref, role, sub

PARAMETERS: dict[str, Any] = NETWORK | {
    "ImageUri": {
        "Type": "String",
        "AllowedPattern": r"[^@]+(:[^:/]+|@sha256:[0-9a-f]{64})",
        "Description": "Image of the endpoint, by tag or digest",
    },
}
_ALARMS = ("UnansweredAlarm", "FaultsAlarm", "FallbackAlarm", "LatencyAlarm")


def ecs_template(plan: RolloutPlan) -> dict[str, Any]:
    """Return the template."""
    logs = f"/crisp/{plan.name}"
    resources = {
        **topic(plan),
        **model_alarms(plan),
        **monitoring_alarms(plan),
        **dashboard(plan),
        **load_balancer(plan, ("Blue", "Green")),
        **_roles(plan, logs),
        **_service(plan, logs),
        **_scaling(plan),
        "UnansweredAlarm": balancer_alarm(plan),
        "Logs": log_group(plan, logs),
    }
    outputs = {
        "Address": ("Name of the load balancer", att("Balancer", "DNSName")),
        "ServiceName": ("Name of the service", att("Service", "Name")),
    }
    return stack(plan, "scoring service", resources, PARAMETERS, outputs)


def _roles(plan: RolloutPlan, logs: str) -> dict[str, Resource]:
    policy = "arn:${AWS::Partition}:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
    moves = (
        "arn:${AWS::Partition}:iam::aws:policy/AmazonECSInfrastructureRolePolicyForLoadBalancers"
    )
    return {
        "TaskRole": role("ecs-tasks.amazonaws.com", *model_rights(plan, logs)),
        "ExecutionRole": role("ecs-tasks.amazonaws.com", managed=[sub(policy)]),
        "MoverRole": role("ecs.amazonaws.com", managed=[sub(moves)]),
    }


def _service(plan: RolloutPlan, logs: str) -> dict[str, Resource]:
    spec = plan.endpoint
    return {
        "Cluster": {
            "Type": "AWS::ECS::Cluster",
            "Properties": {
                "ClusterName": plan.name,
                "ClusterSettings": [{"Name": "containerInsights", "Value": "enabled"}],
                "Tags": plan.tags,
            },
        },
        "Task": _task(plan, logs),
        "Service": {
            "Type": "AWS::ECS::Service",
            "Properties": {
                "ServiceName": plan.name,
                "Cluster": ref("Cluster"),
                "TaskDefinition": ref("Task"),
                "LaunchType": "FARGATE",
                "DesiredCount": spec.least_tasks,
                "HealthCheckGracePeriodSeconds": 30,
                "PropagateTags": "SERVICE",
                "DeploymentController": {"Type": "ECS"},
                "DeploymentConfiguration": _moves(plan),
                "NetworkConfiguration": {
                    "AwsvpcConfiguration": {
                        "AssignPublicIp": "DISABLED",
                        "Subnets": ref("SubnetIds"),
                        "SecurityGroups": [att("TargetAccess", "GroupId")],
                    }
                },
                "LoadBalancers": [
                    {
                        "ContainerName": "endpoint",
                        "ContainerPort": PORT,
                        "TargetGroupArn": ref("Blue"),
                        "AdvancedConfiguration": {
                            "AlternateTargetGroupArn": ref("Green"),
                            "ProductionListenerRule": ref("Rule"),
                            "RoleArn": att("MoverRole"),
                        },
                    }
                ],
                "Tags": plan.tags,
            },
        },
    }


def _task(plan: RolloutPlan, logs: str) -> Resource:
    spec = plan.endpoint
    processor = {"arm64": "ARM64", "x86_64": "X86_64"}[spec.architecture]
    container = {
        "Name": "endpoint",
        "Image": ref("ImageUri"),
        "Essential": True,
        "ReadonlyRootFilesystem": True,
        "User": "10001",
        "StopTimeout": 30,
        "PortMappings": [{"ContainerPort": PORT, "Protocol": "tcp"}],
        "Environment": [{"Name": key, "Value": text} for key, text in variables(plan).items()],
        # The only place that can be written to holds the fetched bundle.
        "MountPoints": [{"SourceVolume": "scratch", "ContainerPath": "/tmp"}],  # noqa: S108
        "LogConfiguration": {
            "LogDriver": "awslogs",
            "Options": {
                "awslogs-group": logs,
                "awslogs-region": ref("AWS::Region"),
                "awslogs-stream-prefix": "endpoint",
            },
        },
    }
    return {
        "Type": "AWS::ECS::TaskDefinition",
        "Properties": {
            "Family": plan.name,
            "Cpu": str(spec.task_cpu),
            "Memory": str(spec.task_memory_mb),
            "NetworkMode": "awsvpc",
            "RequiresCompatibilities": ["FARGATE"],
            "RuntimePlatform": {"CpuArchitecture": processor, "OperatingSystemFamily": "LINUX"},
            "ExecutionRoleArn": att("ExecutionRole"),
            "TaskRoleArn": att("TaskRole"),
            "Volumes": [{"Name": "scratch"}],
            "ContainerDefinitions": [container],
            "Tags": plan.tags,
        },
    }


def _moves(plan: RolloutPlan) -> dict[str, Any]:
    """How traffic goes from the old tasks to the new ones; an alarm takes it back."""
    spec = plan.endpoint
    found: dict[str, Any] = {
        "BakeTimeInMinutes": spec.step_minutes,
        "MinimumHealthyPercent": 100,
        "MaximumPercent": 200,
        "DeploymentCircuitBreaker": {"Enable": True, "Rollback": True},
        "Alarms": {
            "Enable": True,
            "Rollback": True,
            "AlarmNames": [ref(name) for name in _ALARMS],
        },
    }
    if spec.strategy == "all_at_once":
        return found | {"Strategy": "BLUE_GREEN"}
    if spec.strategy == "canary":
        step = {
            "CanaryPercent": spec.step_percent,
            "CanaryBakeTimeInMinutes": spec.step_minutes,
        }
        return found | {"Strategy": "CANARY", "CanaryConfiguration": step}
    step = {"StepPercent": spec.step_percent, "StepBakeTimeInMinutes": spec.step_minutes}
    return found | {"Strategy": "LINEAR", "LinearConfiguration": step}


def _scaling(plan: RolloutPlan) -> dict[str, Resource]:
    spec = plan.endpoint
    target = {
        "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
        "Properties": {
            "ServiceNamespace": "ecs",
            "ScalableDimension": "ecs:service:DesiredCount",
            "ResourceId": sub("service/${Cluster}/${Service.Name}"),
            "MinCapacity": spec.least_tasks,
            "MaxCapacity": spec.most_tasks,
        },
    }
    policy = {
        "Type": "AWS::ApplicationAutoScaling::ScalingPolicy",
        "Properties": {
            "PolicyName": f"{plan.name}-cpu",
            "PolicyType": "TargetTrackingScaling",
            "ScalingTargetId": ref("Scaling"),
            "TargetTrackingScalingPolicyConfiguration": {
                "TargetValue": 60,
                "PredefinedMetricSpecification": {
                    "PredefinedMetricType": "ECSServiceAverageCPUUtilization"
                },
            },
        },
    }
    return {"Scaling": target, "ScalingPolicy": policy}
