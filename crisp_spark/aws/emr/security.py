"""Encryption, metadata service and logs of a cluster."""

from __future__ import annotations

from typing import Any

from crisp_spark.spec.compute import EmrCompute

MONITORED_STREAMS = ("STDOUT", "STDERR")
"""Streams of a driver that go to CloudWatch."""


def security_content(compute: EmrCompute) -> dict[str, Any]:
    """Return the content of the security configuration.

    Objects in S3 are encrypted by S3's keys or by the declared KMS key; local disks need a KMS
    key of one's own. The metadata service answers version 2 only, to the machine itself only.
    Steps get their own role where one is declared. Encryption in transit needs certificates and
    is not switched on.
    """
    key = compute.kms_key
    at_rest: dict[str, Any] = {
        "S3EncryptionConfiguration": {"EncryptionMode": "SSE-KMS", "AwsKmsKey": key}
        if key
        else {"EncryptionMode": "SSE-S3"}
    }
    if key:
        at_rest["LocalDiskEncryptionConfiguration"] = {
            "EncryptionKeyProviderType": "AwsKms",
            "AwsKmsKey": key,
            "EnableEbsEncryption": True,
        }
    content: dict[str, Any] = {
        "EncryptionConfiguration": {
            "EnableInTransitEncryption": False,
            "EnableAtRestEncryption": True,
            "AtRestEncryptionConfiguration": at_rest,
        },
        "InstanceMetadataServiceConfiguration": {
            "MinimumInstanceMetadataServiceVersion": 2,
            "HttpPutResponseHopLimit": 1,
        },
    }
    if compute.runtime_role:
        content["AuthorizationConfiguration"] = {
            "IAMConfiguration": {"EnableApplicationScopedIAMRole": True}
        }
    return content


def monitoring(compute: EmrCompute, project: str) -> dict[str, Any]:
    """Return the part of the request that sends driver and executor logs to CloudWatch."""
    logs: dict[str, Any] = {
        "Enabled": True,
        "LogGroupName": compute.log_group,
        "LogStreamNamePrefix": project,
        "LogTypes": {
            "STEP_LOGS": list(MONITORED_STREAMS),
            "SPARK_DRIVER": list(MONITORED_STREAMS),
            "SPARK_EXECUTOR": ["STDERR"],
        },
    }
    if compute.kms_key:
        logs["EncryptionKeyArn"] = compute.kms_key
    return {"CloudWatchLogConfiguration": logs}
