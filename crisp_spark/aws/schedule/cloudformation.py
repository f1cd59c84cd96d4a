"""Words of CloudFormation and IAM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Resource = dict[str, Any]
Statement = dict[str, Any]

SAME_ACCOUNT = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
"""Condition that a service acts for this account only."""


def ref(name: str) -> dict[str, str]:
    """Refer to a resource or parameter."""
    return {"Ref": name}


def att(name: str, attribute: str = "Arn") -> dict[str, list[str]]:
    """Refer to an attribute of a resource."""
    return {"Fn::GetAtt": [name, attribute]}


def sub(text: str) -> dict[str, str]:
    """Return a text with ``${AWS::Region}`` and the like in it."""
    return {"Fn::Sub": text}


def arn(service: str, resource: str) -> dict[str, str]:
    """Return an ARN of this account and region."""
    return sub(f"arn:${{AWS::Partition}}:{service}:${{AWS::Region}}:${{AWS::AccountId}}:{resource}")


def s3_arn(bucket: str, key: str = "") -> dict[str, str]:
    """Return the ARN of a bucket, or of the objects below a key."""
    return sub(f"arn:${{AWS::Partition}}:s3:::{bucket}" + (f"/{key}" if key else ""))


def allow(
    sid: str,
    actions: Sequence[str],
    resources: Any,
    *,
    condition: Mapping[str, Any] | None = None,
) -> Statement:
    """Return a statement that allows actions."""
    statement: Statement = {
        "Sid": sid,
        "Effect": "Allow",
        "Action": list(actions),
        "Resource": resources if isinstance(resources, list) else [resources],
    }
    return statement | ({"Condition": dict(condition)} if condition else {})


def document(*statements: Statement) -> dict[str, Any]:
    """Return a policy document."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def only_tls(resources: list[Any], actions: str) -> Statement:
    """Return the statement that refuses every call that is not encrypted on its way."""
    return {
        "Sid": "OnlyEncryptedCalls",
        "Effect": "Deny",
        "Principal": {"AWS": "*"},
        "Action": actions,
        "Resource": resources,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def topic_policy(topic: str, *more: Statement) -> Resource:
    """Return the policy of a topic that the account's alarms tell, over TLS only.

    Args:
        topic: Logical name of the topic.
        more: Further statements.
    """
    alarms = {"Principal": {"Service": "cloudwatch.amazonaws.com"}}
    return {
        "Type": "AWS::SNS::TopicPolicy",
        "Properties": {
            "Topics": [ref(topic)],
            "PolicyDocument": document(
                only_tls([ref(topic)], "sns:Publish"),
                allow("AlarmsTell", ("sns:Publish",), ref(topic), condition=SAME_ACCOUNT) | alarms,
                *more,
            ),
        },
    }


def mail_subscription(topic: str, address: str) -> Resource:
    """Return the subscription of a mail address to a topic; the address must agree once."""
    return {
        "Type": "AWS::SNS::Subscription",
        "Properties": {"TopicArn": ref(topic), "Protocol": "email", "Endpoint": address},
    }


def role(
    service: str,
    *statements: Statement,
    name: str = "",
    managed: Sequence[Any] = (),
    condition: Mapping[str, Any] | None = None,
) -> Resource:
    """Return a role that a service takes up.

    Args:
        service: Principal, such as ``states.amazonaws.com``.
        statements: What it may do.
        name: Name; CloudFormation chooses one when empty.
        managed: ARNs of managed policies.
        condition: When it may be taken up.
    """
    trust: Statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
    }
    if condition:
        trust["Condition"] = dict(condition)
    properties: dict[str, Any] = {"AssumeRolePolicyDocument": document(trust)}
    if name:
        properties["RoleName"] = name
    if managed:
        properties["ManagedPolicyArns"] = list(managed)
    if statements:
        properties["Policies"] = [
            {"PolicyName": "allowed", "PolicyDocument": document(*statements)}
        ]
    return {"Type": "AWS::IAM::Role", "Properties": properties}
