"""Key, bucket and audit trail of a schedule's stack."""

from __future__ import annotations

from typing import Any

from crisp_spark.aws.schedule.cloudformation import (
    Resource,
    allow,
    arn,
    document,
    only_tls,
    ref,
    s3_arn,
    sub,
)
from crisp_spark.aws.schedule.stack import StackPlan

AUDIT_DAYS = 365
_LOG_DAYS = 90
_OLD_VERSION_DAYS = 30

STORAGE = ("Bucket", "BucketPolicy")
"""Resources that are made first: packages are uploaded into the bucket before the rest is."""


def storage(plan: StackPlan) -> dict[str, Resource]:
    """Return bucket, policies, the key for messages and logs, and the trail."""
    found: dict[str, Resource] = {"Key": _key()}
    if plan.schedule.create_bucket:
        found |= _bucket(plan)
    if plan.schedule.audit:
        found |= _audit(plan)
    return found


def _key() -> Resource:
    services = {
        "Sid": "AlarmsAndRules",
        "Effect": "Allow",
        "Principal": {"Service": ["cloudwatch.amazonaws.com", "events.amazonaws.com"]},
        "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
        "Resource": ["*"],
    }
    logs = {
        "Sid": "LogsOfThisAccount",
        "Effect": "Allow",
        "Principal": {"Service": sub("logs.${AWS::Region}.amazonaws.com")},
        "Action": ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*"],
        "Resource": ["*"],
        "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": arn("logs", "*")}},
    }
    owner = {
        "Sid": "OwnersByTheirOwnPolicies",
        "Effect": "Allow",
        "Principal": {"AWS": sub("arn:${AWS::Partition}:iam::${AWS::AccountId}:root")},
        "Action": ["kms:*"],
        "Resource": ["*"],
    }
    return {
        "Type": "AWS::KMS::Key",
        "DeletionPolicy": "Delete",
        "UpdateReplacePolicy": "Retain",
        "Properties": {
            "Description": "crisp_spark: messages and logs",
            "EnableKeyRotation": True,
            "KeyPolicy": document(owner, services, logs),
        },
    }


def _encryption(kms_key: str) -> dict[str, Any]:
    default = (
        {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": kms_key}
        if kms_key
        else {"SSEAlgorithm": "AES256"}
    )
    rule: dict[str, Any] = {"ServerSideEncryptionByDefault": default}
    if kms_key:
        rule["BucketKeyEnabled"] = True
    return {"ServerSideEncryptionConfiguration": [rule]}


def _closed_bucket(kms_key: str, rules: list[dict[str, Any]], **more: Any) -> Resource:
    return {
        "Type": "AWS::S3::Bucket",
        "DeletionPolicy": "Retain",
        "UpdateReplacePolicy": "Retain",
        "Properties": {
            **more,
            "BucketEncryption": _encryption(kms_key),
            "LifecycleConfiguration": {"Rules": rules},
            "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
            "PublicAccessBlockConfiguration": {
                "BlockPublicAcls": True,
                "BlockPublicPolicy": True,
                "IgnorePublicAcls": True,
                "RestrictPublicBuckets": True,
            },
            "VersioningConfiguration": {"Status": "Enabled"},
        },
    }


def _bucket(plan: StackPlan) -> dict[str, Resource]:
    bucket = plan.artifacts.bucket
    rules: list[dict[str, Any]] = [
        {
            "Id": "old-versions",
            "Status": "Enabled",
            "NoncurrentVersionExpiration": {"NoncurrentDays": _OLD_VERSION_DAYS},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        },
        {
            "Id": "logs-of-clusters",
            "Status": "Enabled",
            "Prefix": plan.artifacts.below("logs").removesuffix("*"),
            "ExpirationInDays": _LOG_DAYS,
        },
    ]
    return {
        "Bucket": _closed_bucket(plan.compute.kms_key, rules, BucketName=bucket),
        "BucketPolicy": {
            "Type": "AWS::S3::BucketPolicy",
            "Properties": {
                "Bucket": ref("Bucket"),
                "PolicyDocument": document(only_tls([s3_arn(bucket), s3_arn(bucket, "*")], "s3:*")),
            },
        },
    }


def _audit(plan: StackPlan) -> dict[str, Resource]:
    """Record reads and writes of objects; in a bucket of its own, or it would record itself."""
    trail = arn("cloudtrail", f"trail/{plan.name}")
    from_trail = {"StringEquals": {"aws:SourceArn": trail}}
    service = {"Principal": {"Service": "cloudtrail.amazonaws.com"}}
    bucket_arn = sub("arn:${AWS::Partition}:s3:::${AuditBucket}")
    objects = sub("arn:${AWS::Partition}:s3:::${AuditBucket}/AWSLogs/${AWS::AccountId}/*")
    everything = sub("arn:${AWS::Partition}:s3:::${AuditBucket}/*")
    expire = {"Id": "old", "Status": "Enabled", "ExpirationInDays": AUDIT_DAYS}
    selector = {
        "Name": "Objects of the bucket",
        "FieldSelectors": [
            {"Field": "eventCategory", "Equals": ["Data"]},
            {"Field": "resources.type", "Equals": ["AWS::S3::Object"]},
            {
                "Field": "resources.ARN",
                "StartsWith": [s3_arn(plan.artifacts.bucket, f"{plan.artifacts.prefix}/")]
                if plan.artifacts.prefix
                else [sub(f"arn:${{AWS::Partition}}:s3:::{plan.artifacts.bucket}/")],
            },
        ],
    }
    return {
        "AuditBucket": _closed_bucket("", [expire]),
        "AuditBucketPolicy": {
            "Type": "AWS::S3::BucketPolicy",
            "Properties": {
                "Bucket": ref("AuditBucket"),
                "PolicyDocument": document(
                    only_tls([bucket_arn, everything], "s3:*"),
                    allow("TrailLooks", ["s3:GetBucketAcl"], bucket_arn, condition=from_trail)
                    | service,
                    allow("TrailWrites", ["s3:PutObject"], objects, condition=from_trail) | service,
                ),
            },
        },
        "Trail": {
            "Type": "AWS::CloudTrail::Trail",
            "DependsOn": ["AuditBucketPolicy"],
            "Properties": {
                "TrailName": plan.name,
                "S3BucketName": ref("AuditBucket"),
                "IsLogging": True,
                "EnableLogFileValidation": True,
                "IncludeGlobalServiceEvents": False,
                "AdvancedEventSelectors": [selector],
            },
        },
    }
