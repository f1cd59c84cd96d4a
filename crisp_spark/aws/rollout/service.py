"""What ECS and EC2 share: a load balancer inside the network, in front of two groups of targets."""

from __future__ import annotations

from typing import Any

from crisp_spark.aws.rollout.plan import RolloutPlan
from crisp_spark.aws.rollout.watching import alarm, expression, metric
from crisp_spark.aws.schedule.cloudformation import (
    Resource,
    Statement,
    allow,
    arn,
    att,
    ref,
    s3_arn,
)

PORT = 8080
NETWORK: dict[str, Any] = {
    "VpcId": {"Type": "AWS::EC2::VPC::Id", "Description": "Network of the endpoint"},
    "SubnetIds": {
        "Type": "List<AWS::EC2::Subnet::Id>",
        "Description": "Private subnets in two zones, with a way to S3 and CloudWatch",
    },
    "CertificateArn": {
        "Type": "String",
        "AllowedPattern": "arn:[^:]+:acm:.*",
        "Description": "Certificate of the load balancer",
    },
    "CallersCidr": {
        "Type": "String",
        "AllowedPattern": r"\d{1,3}(\.\d{1,3}){3}/\d{1,2}",
        "Description": "Addresses that may call the endpoint, such as those of the network",
    },
}


def load_balancer(plan: RolloutPlan, groups: tuple[str, ...]) -> dict[str, Resource]:
    """Return the load balancer, its listener and rule, and the groups of targets."""
    forward = {
        "Type": "forward",
        "ForwardConfig": {
            "TargetGroups": [
                {"TargetGroupArn": ref(name), "Weight": int(place == 0)}
                for place, name in enumerate(groups)
            ]
        },
    }
    found: dict[str, Resource] = {
        "BalancerAccess": _security_group(
            plan,
            "Callers of the endpoint",
            {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": ref("CallersCidr")},
        ),
        "TargetAccess": _security_group(
            plan,
            "The load balancer only",
            {
                "IpProtocol": "tcp",
                "FromPort": PORT,
                "ToPort": PORT,
                "SourceSecurityGroupId": att("BalancerAccess", "GroupId"),
            },
        ),
        "Balancer": _balancer(plan),
        "Listener": _listener(),
        "Rule": {
            "Type": "AWS::ElasticLoadBalancingV2::ListenerRule",
            "Properties": {
                "ListenerArn": ref("Listener"),
                "Priority": 1,
                "Conditions": [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/*"]}}],
                "Actions": [forward],
            },
        },
    }
    return found | {name: _target_group(plan) for name in groups}


def _balancer(plan: RolloutPlan) -> Resource:
    return {
        "Type": "AWS::ElasticLoadBalancingV2::LoadBalancer",
        "Properties": {
            "Scheme": "internal",
            "Type": "application",
            "Subnets": ref("SubnetIds"),
            "SecurityGroups": [att("BalancerAccess", "GroupId")],
            "LoadBalancerAttributes": [
                {"Key": "routing.http.drop_invalid_header_fields.enabled", "Value": "true"},
                {"Key": "idle_timeout.timeout_seconds", "Value": "60"},
            ],
            "Tags": plan.tags,
        },
    }


def _listener() -> Resource:
    return {
        "Type": "AWS::ElasticLoadBalancingV2::Listener",
        "Properties": {
            "LoadBalancerArn": ref("Balancer"),
            "Port": 443,
            "Protocol": "HTTPS",
            "SslPolicy": "ELBSecurityPolicy-TLS13-1-2-2021-06",
            "Certificates": [{"CertificateArn": ref("CertificateArn")}],
            "DefaultActions": [
                {
                    "Type": "fixed-response",
                    "FixedResponseConfig": {
                        "StatusCode": "404",
                        "ContentType": "application/json",
                        "MessageBody": '{"error_code":"NOT_FOUND","message":"no such path"}',
                    },
                }
            ],
        },
    }


def _security_group(plan: RolloutPlan, what: str, rule: dict[str, Any]) -> Resource:
    return {
        "Type": "AWS::EC2::SecurityGroup",
        "Properties": {
            "GroupDescription": what,
            "VpcId": ref("VpcId"),
            "SecurityGroupIngress": [rule | {"Description": what}],
            "Tags": plan.tags,
        },
    }


def _target_group(plan: RolloutPlan) -> Resource:
    return {
        "Type": "AWS::ElasticLoadBalancingV2::TargetGroup",
        "Properties": {
            "VpcId": ref("VpcId"),
            "Protocol": "HTTP",
            "Port": PORT,
            "TargetType": "ip" if plan.kind == "ecs" else "instance",
            "HealthCheckPath": "/ping",
            "HealthCheckIntervalSeconds": 10,
            "HealthyThresholdCount": 2,
            "UnhealthyThresholdCount": 3,
            "TargetGroupAttributes": [
                {"Key": "deregistration_delay.timeout_seconds", "Value": "30"}
            ],
            "Tags": plan.tags,
        },
    }


def balancer_alarm(plan: RolloutPlan) -> Resource:
    """Return the alarm on requests that the targets did not answer."""
    where = [{"Name": "LoadBalancer", "Value": att("Balancer", "LoadBalancerFullName")}]
    space = "AWS/ApplicationELB"
    return alarm(
        plan,
        "Unanswered",
        "requests that ended with a status of 500 or above",
        [
            metric("faults", space, "HTTPCode_Target_5XX_Count", where, "Sum"),
            metric("requests", space, "RequestCount", where, "Sum"),
            expression("share", "IF(requests>0, FILL(faults, 0)/requests, 0)"),
        ],
        plan.endpoint.fault_share_limit,
    )


def model_rights(plan: RolloutPlan, logs: str) -> list[Statement]:
    """Return what an endpoint on ECS or EC2 may do: read its model, write its log."""
    models = plan.models
    listed = {"StringLike": {"s3:prefix": [f"{models.prefix}/*"]}}
    return [
        allow("ReadModels", ("s3:GetObject",), s3_arn(models.bucket, models.below())),
        # Without it S3 says of what is not there that it is forbidden.
        allow("FindModels", ("s3:ListBucket",), s3_arn(models.bucket), condition=listed),
        allow(
            "Log",
            ("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"),
            arn("logs", f"log-group:{logs}:*"),
        ),
    ]


def variables(plan: RolloutPlan) -> dict[str, str]:
    """Return the variables of an endpoint on ECS or EC2."""
    found = {
        "CRISP_STAGE": "container",
        "CRISP_MODEL": plan.models_uri,
        "CRISP_ALIAS": plan.alias,
        "CRISP_REFRESH_SECONDS": f"{plan.endpoint.refresh_seconds:g}",
        "CRISP_MOST_ROWS": str(plan.endpoint.most_rows),
    }
    return found | ({"CRISP_SHADOW": plan.endpoint.shadow} if plan.endpoint.shadow else {})
