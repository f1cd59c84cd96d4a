"""The template of an endpoint on EC2: a group of machines, updated in place by CodeDeploy."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
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
from crisp_spark.aws.schedule.cloudformation import (
    Resource,
    allow,
    att,
    ref,
    role,
    s3_arn,
    sub,
)

PARAMETERS: dict[str, Any] = NETWORK | {
    "ImageId": {
        "Type": "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>",
        "Default": "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64",
        "Description": "Image of the machines: Amazon Linux 2023 of the processor's kind",
    },
    "InstanceType": {"Type": "String", "Default": "t4g.small", "Description": "Type of machine"},
}
_ALARMS = ("UnansweredAlarm", "FaultsAlarm", "FallbackAlarm", "LatencyAlarm")
_HOME = "/opt/crisp-endpoint"


def ec2_template(plan: RolloutPlan) -> dict[str, Any]:
    """Return the template."""
    logs = f"/crisp/{plan.name}"
    resources = {
        **topic(plan),
        **model_alarms(plan),
        **monitoring_alarms(plan),
        **dashboard(plan),
        **load_balancer(plan, ("Targets",)),
        **_machines(plan, logs),
        **_moves(plan),
        "UnansweredAlarm": balancer_alarm(plan),
        "Logs": log_group(plan, logs),
    }
    outputs = {
        "Address": ("Name of the load balancer", att("Balancer", "DNSName")),
        "Application": ("Application of CodeDeploy", ref("Application")),
        "Group": ("Deployment group of CodeDeploy", ref("Group")),
    }
    return stack(plan, "scoring machines", resources, PARAMETERS, outputs)


def _machines(plan: RolloutPlan, logs: str) -> dict[str, Resource]:
    managed = "arn:${AWS::Partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"
    revisions = s3_arn(plan.artifacts.bucket, plan.artifacts.below("endpoints"))
    rights = [
        *model_rights(plan, logs),
        allow("ReadRevisions", ("s3:GetObject", "s3:GetObjectVersion"), revisions),
        # CodeDeploy's agent comes from AWS's bucket of the region.
        allow(
            "ReadAgent",
            ("s3:GetObject",),
            sub("arn:${AWS::Partition}:s3:::aws-codedeploy-${AWS::Region}/*"),
        ),
    ]
    spec = plan.endpoint
    return {
        "MachineRole": role("ec2.amazonaws.com", *rights, managed=[sub(managed)]),
        "MachineProfile": {
            "Type": "AWS::IAM::InstanceProfile",
            "Properties": {"Roles": [ref("MachineRole")]},
        },
        "Launch": {
            "Type": "AWS::EC2::LaunchTemplate",
            "Properties": {
                "LaunchTemplateData": {
                    "ImageId": ref("ImageId"),
                    "InstanceType": ref("InstanceType"),
                    "IamInstanceProfile": {"Arn": att("MachineProfile")},
                    "SecurityGroupIds": [att("TargetAccess", "GroupId")],
                    "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
                    "UserData": {"Fn::Base64": sub(_FIRST_START)},
                    "TagSpecifications": [{"ResourceType": "instance", "Tags": plan.tags}],
                }
            },
        },
        "Machines": {
            "Type": "AWS::AutoScaling::AutoScalingGroup",
            "Properties": {
                "MinSize": str(spec.least_tasks),
                "MaxSize": str(spec.most_tasks),
                "VPCZoneIdentifier": ref("SubnetIds"),
                "TargetGroupARNs": [ref("Targets")],
                "LaunchTemplate": {
                    "LaunchTemplateId": ref("Launch"),
                    "Version": att("Launch", "LatestVersionNumber"),
                },
                "Tags": [one | {"PropagateAtLaunch": True} for one in plan.tags],
            },
        },
    }


def _moves(plan: RolloutPlan) -> dict[str, Resource]:
    policy = "arn:${AWS::Partition}:iam::aws:policy/service-role/AWSCodeDeployRole"
    return {
        "MoverRole": role("codedeploy.amazonaws.com", managed=[sub(policy)]),
        "Application": {
            "Type": "AWS::CodeDeploy::Application",
            "Properties": {"ComputePlatform": "Server", "Tags": plan.tags},
        },
        "Group": {
            "Type": "AWS::CodeDeploy::DeploymentGroup",
            "Properties": {
                "ApplicationName": ref("Application"),
                "ServiceRoleArn": att("MoverRole"),
                "DeploymentConfigName": "CodeDeployDefault.OneAtATime",
                "AutoScalingGroups": [ref("Machines")],
                "DeploymentStyle": {
                    "DeploymentType": "IN_PLACE",
                    "DeploymentOption": "WITH_TRAFFIC_CONTROL",
                },
                "LoadBalancerInfo": {
                    "TargetGroupInfoList": [{"Name": att("Targets", "TargetGroupName")}]
                },
                "AlarmConfiguration": {
                    "Enabled": True,
                    "Alarms": [{"Name": ref(name)} for name in _ALARMS],
                },
                "AutoRollbackConfiguration": {
                    "Enabled": True,
                    "Events": ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM"],
                },
                "Tags": plan.tags,
            },
        },
    }


def revision_files(plan: RolloutPlan) -> Mapping[str, str]:
    """Return the files that CodeDeploy puts on a machine beside the endpoint's own code."""
    lines = "".join(f"{key}={shlex.quote(text)}\n" for key, text in variables(plan).items())
    unit = [
        "[Unit]",
        f"Description=crisp_spark endpoint of {plan.model}",
        "After=network-online.target",
        "[Service]",
        f"EnvironmentFile={_HOME}/endpoint.env",
        f"ExecStart={_HOME}/venv/bin/python -m crisp_spark.serving.endpoint.container serve",
        f"WorkingDirectory={_HOME}/code",
        "DynamicUser=yes",
        "PrivateTmp=yes",
        "ProtectSystem=strict",
        "NoNewPrivileges=yes",
        "Restart=on-failure",
        "TimeoutStopSec=30",
        "[Install]",
        "WantedBy=multi-user.target",
    ]
    return {
        "appspec.yml": _APPSPEC,
        "endpoint.env": lines,
        "endpoint.service": "\n".join(unit) + "\n",
        "hooks/install.sh": _INSTALL,
        "hooks/start.sh": "#!/bin/bash\nset -euo pipefail\n"
        "systemctl daemon-reload\nsystemctl enable endpoint\nsystemctl restart endpoint\n",
        "hooks/stop.sh": "#!/bin/bash\nsystemctl stop endpoint || true\n",
        "hooks/validate.sh": _VALIDATE,
    }


_APPSPEC = f"""version: 0.0
os: linux
files:
  - source: code
    destination: {_HOME}/code
  - source: endpoint.env
    destination: {_HOME}
  - source: endpoint.service
    destination: /etc/systemd/system
file_exists_behavior: OVERWRITE
hooks:
  ApplicationStop:
    - {{location: hooks/stop.sh, timeout: 60}}
  AfterInstall:
    - {{location: hooks/install.sh, timeout: 600}}
  ApplicationStart:
    - {{location: hooks/start.sh, timeout: 60}}
  ValidateService:
    - {{location: hooks/validate.sh, timeout: 120}}
"""

_INSTALL = f"""#!/bin/bash
set -euo pipefail
test -d {_HOME}/venv || python3.11 -m venv {_HOME}/venv
{_HOME}/venv/bin/pip install --require-hashes -r {_HOME}/code/requirements.txt
"""

_VALIDATE = f"""#!/bin/bash
# The new code answers before the load balancer asks it.
for _ in $(seq 60); do
  curl -fsS http://127.0.0.1:{PORT}/ping > /dev/null && exit 0
  sleep 1
done
journalctl -u endpoint --no-pager | tail -50
exit 1
"""

_FIRST_START = """#!/bin/bash
set -euo pipefail
dnf install -y ruby python3.11
aws s3 cp s3://aws-codedeploy-${AWS::Region}/latest/install /opt/install
chmod +x /opt/install && /opt/install auto
"""
