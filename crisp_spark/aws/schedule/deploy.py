"""Puts a stack in place by change sets: first what would change, then the change itself."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import uuid4

from botocore.exceptions import ClientError

from crisp_spark.aws.clients import Clients, translated
from crisp_spark.aws.schedule.stack import Place
from crisp_spark.errors import StorageError, UnavailableError, UsageError

LARGEST_INLINE_TEMPLATE = 51_200
"""Bytes of a template that CloudFormation takes in a request; larger ones are read from S3."""

_CAPABILITIES = ("CAPABILITY_NAMED_IAM",)
_EMPTY = ("didn't contain changes", "No updates are to be performed", "no changes")
_LOOK_SECONDS = 5.0
_GIVE_UP_SECONDS = 3600.0


@dataclass(frozen=True)
class Change:
    """One change to a resource.

    Attributes:
        action: Add, Modify, Remove, ...
        resource: Its name in the template.
        kind: Its type.
        replaced: Whether it is made anew, and the old one removed: True, False or Conditional.
    """

    action: str
    resource: str
    kind: str
    replaced: str = ""


@dataclass(frozen=True)
class Proposal:
    """A change set that waits to be carried out.

    Attributes:
        stack: Name of the stack.
        change_set: ARN of the change set; empty where nothing would change.
        new: Whether the stack is made by it.
        changes: What would change.
    """

    stack: str
    change_set: str
    new: bool
    changes: tuple[Change, ...]


class Named(Protocol):
    """A plan for a stack."""

    @property
    def name(self) -> str:
        """Name of the stack."""
        ...

    @property
    def project(self) -> str:
        """Name of the project."""
        ...

    @property
    def artifacts(self) -> Place:
        """Where large templates are kept."""
        ...


@dataclass(frozen=True)
class Deployer:
    """Deploys one stack.

    Attributes:
        clients: Clients of the target's region.
        plan: What the stack is made from.
        pause: Waits between two looks.
    """

    clients: Clients
    plan: Named
    pause: Callable[[float], None] = time.sleep

    @property
    def _cloudformation(self) -> Any:
        return self.clients.get("cloudformation")

    def exists(self) -> bool:
        """Say whether the stack is there."""
        return self._status() not in {None, "REVIEW_IN_PROGRESS"}

    def values(self) -> dict[str, str]:
        """Return the values of the deployed stack's parameters."""
        if not self.exists():
            return {}
        with translated("schedule: cloudformation"):
            (stack,) = self._cloudformation.describe_stacks(StackName=self.plan.name)["Stacks"]
        return {one["ParameterKey"]: one["ParameterValue"] for one in stack.get("Parameters", ())}

    def propose(self, template: Mapping[str, Any], parameters: Mapping[str, str]) -> Proposal:
        """Ask CloudFormation what a template would change; nothing is changed.

        Args:
            template: The template.
            parameters: Values of its parameters.

        Raises:
            UsageError: CloudFormation refuses the template.
            UnavailableError: It does not answer in time.
        """
        new = not self.exists()
        request: dict[str, Any] = {
            "StackName": self.plan.name,
            "ChangeSetName": f"crisp-{uuid4().hex[:12]}",
            "ChangeSetType": "CREATE" if new else "UPDATE",
            "Capabilities": list(_CAPABILITIES),
            "Parameters": [
                {"ParameterKey": name, "ParameterValue": value}
                for name, value in sorted(parameters.items())
                if name in template.get("Parameters", {})
            ],
            "Tags": [{"Key": "crisp:project", "Value": self.plan.project}],
            **self._body(template),
        }
        with translated("schedule: cloudformation"):
            made = self._cloudformation.create_change_set(**request)
        return self._proposed(made["Id"], new=new)

    def withdraw(self, proposal: Proposal) -> None:
        """Remove a change set, and the empty stack that CloudFormation made for it."""
        with translated("schedule: cloudformation"):
            if proposal.change_set:
                self._cloudformation.delete_change_set(ChangeSetName=proposal.change_set)
            if proposal.new and self._status() == "REVIEW_IN_PROGRESS":
                self._cloudformation.delete_stack(StackName=proposal.stack)

    def carry_out(self, proposal: Proposal, told: Callable[[str], None]) -> Mapping[str, str]:
        """Carry a change set out and wait for its end; returns the outputs of the stack.

        Args:
            proposal: What to do.
            told: Called with each new state of the stack.

        Raises:
            UsageError: The change failed and was taken back; the first reason is told.
            UnavailableError: It takes longer than an hour.
        """
        if proposal.change_set:
            with translated("schedule: cloudformation"):
                self._cloudformation.execute_change_set(ChangeSetName=proposal.change_set)
        waited, last = 0.0, ""
        while waited <= _GIVE_UP_SECONDS:
            status = self._status() or "DELETE_COMPLETE"
            if status != last:
                told(status)
                last = status
            if not status.endswith("_IN_PROGRESS"):
                break
            self.pause(_LOOK_SECONDS)
            waited += _LOOK_SECONDS
        else:
            raise UnavailableError(
                f"schedule: stack {proposal.stack} is still {last} after an hour",
                hint="look at its events; run the command again to go on waiting",
            )
        if last not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
            raise UsageError(
                f"schedule: stack {proposal.stack} ended as {last}: {self._first_failure()}",
                hint="remove the stack if it was new, mend the cause, and deploy again",
            )
        return self._outputs()

    def _proposed(self, change_set: str, *, new: bool) -> Proposal:
        waited = 0.0
        while waited <= _GIVE_UP_SECONDS:
            with translated("schedule: cloudformation"):
                found = self._cloudformation.describe_change_set(ChangeSetName=change_set)
            if found["Status"] == "FAILED":
                reason = found.get("StatusReason", "")
                empty = Proposal(self.plan.name, change_set, new, ())
                self.withdraw(empty)
                if any(words in reason for words in _EMPTY):
                    return Proposal(self.plan.name, "", new, ())
                raise UsageError(f"schedule: CloudFormation refuses the template: {reason}")
            if found["Status"].endswith("_COMPLETE"):
                return Proposal(self.plan.name, change_set, new, self._changes(found))
            self.pause(_LOOK_SECONDS)
            waited += _LOOK_SECONDS
        raise UnavailableError(f"schedule: change set {change_set} is not ready after an hour")

    def _changes(self, first: Mapping[str, Any]) -> tuple[Change, ...]:
        listed, page = list(first.get("Changes", ())), first
        while page.get("NextToken"):
            with translated("schedule: cloudformation"):
                page = self._cloudformation.describe_change_set(
                    ChangeSetName=first["ChangeSetId"], NextToken=page["NextToken"]
                )
            listed += page.get("Changes", ())
        changes = [one["ResourceChange"] for one in listed]
        return tuple(
            Change(
                action=one["Action"],
                resource=one.get("LogicalResourceId", ""),
                kind=one.get("ResourceType", ""),
                replaced=one.get("Replacement", ""),
            )
            for one in changes
        )

    def _body(self, template: Mapping[str, Any]) -> dict[str, str]:
        text = json.dumps(template, separators=(",", ":"), ensure_ascii=False)
        content = text.encode()
        if len(content) <= LARGEST_INLINE_TEMPLATE:
            return {"TemplateBody": text}
        digest = hashlib.sha256(content).hexdigest()[:16]
        place = self.plan.artifacts
        key = "/".join(part for part in (place.prefix, f"schedule/template-{digest}.json") if part)
        with translated("schedule: template"):
            self.clients.s3.put_object(Bucket=place.bucket, Key=key, Body=content)
        region = self.clients.region
        return {"TemplateURL": f"https://{place.bucket}.s3.{region}.amazonaws.com/{key}"}

    def _status(self) -> str | None:
        try:
            found = self._cloudformation.describe_stacks(StackName=self.plan.name)["Stacks"]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            with translated("schedule: cloudformation"):
                raise
        return str(found[0]["StackStatus"]) if found else None

    def _first_failure(self) -> str:
        with translated("schedule: cloudformation"):
            events = self._cloudformation.describe_stack_events(StackName=self.plan.name)
        failed = [
            f"{event.get('LogicalResourceId', '?')}: {event['ResourceStatusReason']}"
            for event in reversed(events["StackEvents"])
            if event["ResourceStatus"].endswith("_FAILED") and event.get("ResourceStatusReason")
        ]
        return failed[0] if failed else "no reason is recorded"

    def _outputs(self) -> Mapping[str, str]:
        with translated("schedule: cloudformation"):
            found = self._cloudformation.describe_stacks(StackName=self.plan.name)["Stacks"]
        if not found:
            raise StorageError(f"schedule: stack {self.plan.name} is gone")
        return {one["OutputKey"]: one["OutputValue"] for one in found[0].get("Outputs", ())}
