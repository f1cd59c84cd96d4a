"""The command that puts a model to use on AWS: deploy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crisp_spark.cli.answering import By, Reason
from crisp_spark.cli.command import Shared, command
from crisp_spark.cli.scheduling import carry_out, schedule, show_proposal
from crisp_spark.errors import UsageError

if TYPE_CHECKING:
    from crisp_spark.aws.rollout.plan import RolloutPlan
    from crisp_spark.aws.schedule.deploy import Deployer
    from crisp_spark.spec.load import LoadedProject

_PENDING = "0" * 64

Alias = Annotated[
    str | None,
    typer.Option(
        "--alias",
        metavar="NAME",
        help="With --upload: alias to move, such as that of the shadow; else the one in use.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    command(app, "deploy", panel="Use")(deploy)


@dataclass(frozen=True)
class _Made:
    """Files of a roll-out, the template's parameters, and what is uploaded: key to content."""

    files: Mapping[str, bytes]
    template: Mapping[str, Any]
    parameters: Mapping[str, str]
    uploads: Mapping[str, bytes]


def deploy(
    shared: Shared,
    *,
    to: Annotated[str, typer.Option("--to", help="lambda, ecs, ec2, pipeline or batch.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write everything here.")
    ] = None,
    upload: Annotated[
        bool, typer.Option("--upload", help="Put code and bundle into S3, and move the alias.")
    ] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Ask AWS what would change; change nothing.")
    ] = False,
    apply_: Annotated[
        bool, typer.Option("--apply", help="Upload, and change the stack after asking.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before changing.")] = False,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", metavar="NAME=VALUE", help="Parameter of the template."),
    ] = None,
    alias: Alias = None,
    by: By = None,
    reason: Reason = "deployed",
) -> None:
    """Put the deployed model to use on AWS, its roll-out watched by alarms that take it back.

    Without options it says what would be made. --out writes template, package and all; --diff
    shows changes to what is deployed; --apply makes them, after asking.
    """
    if diff and apply_:
        raise UsageError("deploy: --diff and --apply exclude each other")
    if alias is not None and (apply_ or not upload):
        raise UsageError("deploy: --alias goes with --upload alone: it changes no stack")
    if to == "batch":
        schedule(shared, out=out, diff=diff, deploy=apply_, yes=yes)
        return
    project = shared.load()
    from crisp_spark.aws.rollout.plan import plan_rollout

    plan = plan_rollout(project, to)
    given = dict(_pair(text) for text in parameter or ())
    if diff:
        _diff(shared, plan, given)
        return
    if out is None and not apply_ and not upload:
        _describe(shared, plan)
        return
    made = _make(project, plan)
    if out is not None:
        _write(shared, made, out, given)
    if upload or apply_:
        _upload(plan, made)
        if plan.kind != "pipeline":
            _publish(shared, project, alias or plan.alias, by=by, reason=reason)
    if apply_:
        _apply(shared, plan, made, given, yes=yes)


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise UsageError(f"--parameter: expected NAME=VALUE, got {text!r}")
    return name, value


def _template(plan: RolloutPlan, digest: str) -> Mapping[str, Any]:
    from crisp_spark.aws.rollout.ec2_stack import ec2_template
    from crisp_spark.aws.rollout.ecs_stack import ecs_template
    from crisp_spark.aws.rollout.lambda_stack import lambda_template
    from crisp_spark.aws.rollout.pipeline_stack import pipeline_template

    if plan.kind == "lambda":
        return lambda_template(plan, digest=digest)
    plain = {"ecs": ecs_template, "ec2": ec2_template, "pipeline": pipeline_template}
    return plain[plan.kind](plan)


def _make(project: LoadedProject, plan: RolloutPlan) -> _Made:
    from crisp_spark.aws.package import constraints_text
    from crisp_spark.aws.rollout import zips
    from crisp_spark.aws.rollout.ec2_stack import revision_files
    from crisp_spark.run.deployed import deployed_bundle

    spec = plan.endpoint
    if plan.kind == "pipeline":
        return _Made({}, _template(plan, ""), {}, {})
    bundle = None if plan.kind != "lambda" or spec.follow else deployed_bundle(project)[0]
    if plan.kind == "lambda":
        python = spec.runtime.removeprefix("python")
        wheels = zips.function_wheels(
            constraints_text(), architecture=spec.architecture, python=python
        )
        packed = zips.function_zip(wheels, bundle)
        key = plan.artifacts.key(f"endpoints/{packed.digest}/function.zip")
        return _Made(
            {"function.zip": packed.content},
            _template(plan, packed.digest),
            {"CodeKey": key, "CodeDigest": packed.digest},
            {key: packed.content},
        )
    files = zips.image_folder(constraints_text(), architecture=spec.architecture, bundle=None)
    if plan.kind == "ecs":
        image = {f"image/{name}": content for name, content in files.items()}
        return _Made(image, _template(plan, ""), {}, {})
    own = {name: text.encode() for name, text in revision_files(plan).items()}
    code = {name: content for name, content in files.items() if name.startswith("code/")}
    programs = frozenset(name for name in own if name.endswith(".sh"))
    packed = zips.packed_files(own | code, programs)
    key = plan.artifacts.key(f"endpoints/{packed.digest}/revision.zip")
    return _Made({"revision.zip": packed.content}, _template(plan, ""), {}, {key: packed.content})


def _describe(shared: Shared, plan: RolloutPlan) -> None:
    template = _template(plan, _PENDING)
    kinds = {name: one["Type"] for name, one in template["Resources"].items()}
    parameters = {name: one["Description"] for name, one in template["Parameters"].items()}
    shared.out.data(
        {
            "stack": plan.name,
            "region": plan.region,
            "models": plan.models_uri,
            "parameters": parameters,
            "resources": kinds,
        }
    )
    spec = plan.endpoint
    shared.out.text(f"stack      {plan.name} in {plan.region}")
    shared.out.text(f"model      {plan.model} @{plan.alias} from {plan.models_uri}")
    shared.out.text(f"strategy   {spec.strategy}, {spec.step_percent} %, {spec.step_minutes} min")
    shared.out.text(f"tells      {', '.join(spec.notify) or 'nobody: give `notify` an address'}")
    for name, text in parameters.items():
        shared.out.text(f"parameter  {name}: {text}")
    shared.out.text(f"resources  {len(kinds)}; --out DIR writes them, --apply makes them")


def _write(shared: Shared, made: _Made, folder: Path, given: Mapping[str, str]) -> None:
    values = {"Parameters": {**made.parameters, **given}}
    files = {
        **made.files,
        "template.json": (json.dumps(made.template, indent=1) + "\n").encode(),
        "parameters.json": (json.dumps(values, indent=1) + "\n").encode(),
    }
    written = []
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        written.append(str(file))
    shared.out.data({"files": written})
    shared.out.text(f"{len(written)} files in {folder}")


def _upload(plan: RolloutPlan, made: _Made) -> None:
    from crisp_spark.aws.clients import clients
    from crisp_spark.aws.objects import S3Objects

    objects = S3Objects(f"s3://{plan.artifacts.bucket}", clients(plan.region))
    for key, content in made.uploads.items():  # named by their content
        objects.put_if_absent(key, content)


def _publish(
    shared: Shared,
    project: LoadedProject,
    alias: str,
    *,
    by: str | None,
    reason: str,
) -> None:
    """Publish the bundle and move the alias, which endpoints that follow it take up at once."""
    from crisp_spark.run.deployed import deployed_bundle
    from crisp_spark.run.models import models_of, who

    bundle, deployed = deployed_bundle(project)
    version = deployed.model.version if deployed.model else ""
    move = models_of(project).publish(bundle, version, alias, by=who(by), reason=reason)
    shared.out.text(f"alias      {move.alias} -> {move.version} (move {move.number}, {move.by})")


def _deployer(plan: RolloutPlan) -> Deployer:
    from crisp_spark.aws.clients import clients
    from crisp_spark.aws.schedule.deploy import Deployer

    return Deployer(clients(plan.region), plan)


def _diff(shared: Shared, plan: RolloutPlan, given: Mapping[str, str]) -> None:
    from crisp_spark.aws.schedule.deploy import Change, Proposal

    template = _template(plan, _PENDING)
    deployer = _deployer(plan)
    if deployer.exists():
        pending = {"CodeKey": "pending", "CodeDigest": _PENDING}
        proposal = deployer.propose(template, pending | deployer.values() | dict(given))
        deployer.withdraw(proposal)
    else:
        added = [Change("Add", name, one["Type"]) for name, one in template["Resources"].items()]
        proposal = Proposal(plan.name, "", new=True, changes=tuple(added))
    show_proposal(shared, proposal)


def _apply(
    shared: Shared, plan: RolloutPlan, made: _Made, given: Mapping[str, str], *, yes: bool
) -> None:
    deployer = _deployer(plan)
    values = deployer.values() | dict(made.parameters) | dict(given)
    missing = [
        name
        for name, one in made.template["Parameters"].items()
        if name not in values and "Default" not in one
    ]
    if missing:
        raise UsageError(
            f"deploy: the template needs {', '.join(missing)}",
            hint=f"--parameter {missing[0]}=...",
        )
    outputs = carry_out(shared, deployer, deployer.propose(made.template, values), yes=yes)
    shared.out.data({"stack": plan.name, "outputs": outputs})
    for name, value in outputs.items():
        shared.out.text(f"{name:<15} {value}")
