"""Wiring of the deployment."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from crisp_spark.results.charter import CharterResult
from crisp_spark.results.decide import DecideResult
from crisp_spark.results.deploy import DeployResult, PortableModel, RegisteredModel
from crisp_spark.results.evaluate import EvaluateResult
from crisp_spark.results.sweep import SweepResult
from crisp_spark.run.steprun import Note, Outcome, StepRun
from crisp_spark.tracking.tracker import Registered

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from crisp_spark.run.portable import Portable

MODEL = "model"
"""Name under which the sweep keeps its winner."""
BUNDLE = "model.crisp.zip"
"""File that scores without Spark."""
_EXAMPLE_ROWS = 5
_CODE_OF = ("derive", "split", "sweep", "evaluate")


def deploy(run: StepRun) -> Outcome:
    """Register the pipeline where the decision is to deploy; say why not elsewhere."""
    from crisp_spark.deployment.deploy import (
        model_inputs,
        plan_deployment,
        plan_monitoring,
        why_refused,
    )

    charter, decision = run.result(CharterResult), run.result(DecideResult)
    sweep, evaluation = run.result(SweepResult), run.result(EvaluateResult)
    spec = run.spec.deployment
    fallback = charter.fallback.expression if charter.fallback else None
    threshold = evaluation.threshold.value if evaluation.threshold else None
    train = run.read("train")
    inputs = model_inputs(
        train.schema,
        model_columns=sweep.model_columns,
        required=spec.score.required,
        key=charter.goal.key,
        fallback=fallback,
    )
    refused = why_refused(decision)
    facts: dict[str, Any] = {
        "problem": sweep.problem,
        "classes": sweep.classes,
        "threshold": threshold,
        "key": list(charter.goal.key),
        "inputs": inputs,
        "fallback": fallback,
        "decision": decision.decision,
        "overridden": decision.overridden,
        "status": "refused" if refused else "deployed",
        "reason": refused or decision.summary,
        "positive": sweep.classes[1] if sweep.problem == "binary" and sweep.classes else None,
    }
    # Before anything is registered: a project may insist on a portable model.
    made, why = (None, "") if refused else _portable(run, DeployResult(**facts))
    model = None if refused else _register(run, train)
    result = DeployResult(
        model=model,
        portable=_written(run, model, made, why),
        deployment_plan=plan_deployment(
            spec, charter=charter, decision=decision, inputs=inputs, threshold=threshold
        ),
        monitoring_plan=plan_monitoring(spec, charter=charter, main_metric=evaluation.main_metric),
        **facts,
    )
    if model is None:
        return Outcome(result, notes=[Note(f"not deployed. {refused}", level="warning")])
    notes = [Note(f"registered {model.name} {model.version} @{model.alias}")]
    if why_made := model.tags.get("crisp.retrained_for"):
        notes.append(Note(f"answers the request of monitoring: {why_made}"))
    return Outcome(result, notes=[*notes, *_portable_notes(result.portable)])


def _portable(run: StepRun, deployed: DeployResult) -> tuple[Portable | None, str]:
    """Make the model that scores without Spark; return why not where it cannot be made.

    Raises:
        NotPortableError: It cannot, and the project requires one.
    """
    from crisp_spark.deployment.portable import NotPortableError
    from crisp_spark.deployment.portable_reference import reference_statistics
    from crisp_spark.deployment.score import contract_of
    from crisp_spark.run.portable import make_portable

    spec = run.spec.deployment
    if spec.portable == "off":
        return None, ""
    try:
        contract = contract_of(deployed, spec.score)
        reference = reference_statistics(run.read("train"), [item.name for item in contract.inputs])
        facts = {"reference": reference, "key": deployed.key}
        return make_portable(run.model(MODEL), contract, run.read("test"), facts=facts), ""
    except NotPortableError as error:
        if spec.portable == "required":
            raise
        return None, f"{error.message}; {error.hint}" if error.hint else error.message


def _written(
    run: StepRun, model: RegisteredModel | None, made: Portable | None, why: str
) -> PortableModel | None:
    """Write the bundle beside the step and the registered version, under its name and number."""
    if model is None or (made is None and not why):
        return None
    if made is None:
        return PortableModel(written=False, reason=why)
    content = made.packed(model.name, model.version)
    run.write_file(BUNDLE, content)
    sha256 = hashlib.sha256(content).hexdigest()
    artifact = run.tracker.attach(
        Registered(model.name, model.version, model.uri, model.alias, model.run_id),
        BUNDLE,
        content,
        tags={"crisp.portable.bytes": str(len(content)), "crisp.portable.sha256": sha256},
    )
    return PortableModel(
        written=True,
        file=BUNDLE,
        sha256=sha256,
        artifact=artifact,
        bytes=len(content),
        rows_compared=made.parity.rows,
        prediction_mismatches=made.parity.prediction_mismatches,
        max_abs_difference=made.parity.max_abs_difference,
    )


def _portable_notes(portable: PortableModel | None) -> list[Note]:
    if portable is None:
        return []
    if not portable.written:
        return [Note(f"no portable model: {portable.reason}", level="warning")]
    return [
        Note(
            f"portable model {portable.file}, {portable.bytes:,} bytes: {portable.rows_compared:,} "
            f"rows answered as by Spark, largest difference {portable.max_abs_difference:.1g}"
        )
    ]


def _register(run: StepRun, train: DataFrame) -> RegisteredModel:
    """Register once: an attempt that died after registering left a journal entry behind."""
    from crisp_spark import __version__, flow
    from crisp_spark.deployment.deploy import describe_version, registry_tags
    from crisp_spark.deployment.retraining import open_request
    from crisp_spark.run.keys import code_digest
    from crisp_spark.spec.columns import quoted

    done = run.journal().get("registered")
    if done is not None:
        return RegisteredModel.model_validate(dict(done))
    charter, decision = run.result(CharterResult), run.result(DecideResult)
    sweep, evaluation = run.result(SweepResult), run.result(EvaluateResult)
    spec = run.spec.deployment
    tags = registry_tags(
        decision,
        run_id=run.run_id,
        lineage=run.lineage(),
        code={name: code_digest(flow.step(name)) for name in _CODE_OF}
        | {"crisp_spark": __version__},
        threshold=evaluation.threshold.value if evaluation.threshold else None,
    )
    asked = open_request(run.commits("monitor"))
    if asked is not None:
        tags["crisp.retrained_for"] = f"{asked.requested_on}: {asked.reason}"

    registered = run.tracker.register(
        spec.model_name or run.spec.project.name,
        run.model(MODEL),
        example=train.select(*map(quoted, sweep.model_columns)).limit(_EXAMPLE_ROWS),
        alias=spec.alias,
        tags=tags,
        description=describe_version(
            spec, charter=charter, sweep=sweep, evaluation=evaluation, decision=decision
        ),
    )
    model = RegisteredModel(
        name=registered.name,
        version=registered.version,
        uri=registered.uri,
        alias=registered.alias,
        run_id=registered.run_id,
        tags=tags,
    )
    run.record("registered", model.model_dump(mode="json"))
    return model
