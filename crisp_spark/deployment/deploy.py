"""The gate in front of the registry, and the plans for using and watching the model."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from crisp_spark.errors import MissingColumnsError
from crisp_spark.results.charter import CharterResult
from crisp_spark.results.decide import DecideResult
from crisp_spark.results.deploy import ModelInput, PlanLine, WatchedSignal
from crisp_spark.results.evaluate import EvaluateResult
from crisp_spark.results.sweep import SweepResult
from crisp_spark.spec.deployment import DeploymentSpec, MonitoringSpec
from crisp_spark.spec.sqltext import names_in

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

_RISKS_SHOWN = 5


def why_refused(decision: DecideResult) -> str:
    """Return why there is nothing to deploy, or an empty text."""
    if decision.decision == "deploy":
        return ""
    return f"The decision is {decision.decision}: {decision.summary}"


def model_inputs(
    schema: StructType,
    *,
    model_columns: Sequence[str],
    required: Collection[str] = (),
    key: Sequence[str] = (),
    fallback: str | None = None,
) -> list[ModelInput]:
    """Describe the columns that a batch brings along.

    Args:
        schema: Schema of training rows.
        model_columns: Columns that the pipeline reads.
        required: Columns that must not be null, beside the key.
        key: Columns that name one unit of prediction.
        fallback: Spark SQL of the fallback rule; what it reads beyond the model is optional.

    Raises:
        MissingColumnsError: A column is not among those of training rows.
    """
    types = {field.name: field.dataType.simpleString() for field in schema}
    wanted = [*model_columns, *key, *required]
    missing = set(wanted) - set(types)
    if missing:
        raise MissingColumnsError("deployment.score.required", missing, types)
    must = {*key, *required}
    names = dict.fromkeys(wanted)
    inputs = [
        ModelInput(
            name=name,
            type=types[name],
            use="model" if name in model_columns else "key",
            required=name in must,
        )
        for name in names
    ]
    spoken_of = names_in(fallback) if fallback else frozenset()
    inputs += [
        ModelInput(name=name, type=kind, use="fallback")
        for name, kind in types.items()
        if name not in names and name.lower() in spoken_of
    ]
    return inputs


def registry_tags(
    decision: DecideResult,
    *,
    run_id: str,
    lineage: Mapping[str, str],
    code: Mapping[str, str],
    threshold: float | None,
) -> dict[str, str]:
    """Links from a registered version to its decision, its data and its code."""
    tags = {
        "crisp.run_id": run_id,
        "crisp.decision": decision.decision,
        "crisp.verdict": decision.verdict,
        "crisp.evidence": decision.evidence.hash,
        "crisp.charter_version": str(decision.evidence.charter_version),
        "crisp.charter_hash": decision.evidence.charter_hash,
        "crisp.criteria_hash": decision.evidence.criteria_hash,
        **{f"crisp.commit.{step}": key for step, key in sorted(lineage.items())},
        **{f"crisp.code.{step}": digest for step, digest in sorted(code.items())},
    }
    if decision.overridden and decision.override:
        tags["crisp.override"] = decision.override.sentence
    if threshold is not None:
        tags["crisp.threshold"] = repr(threshold)
    return tags


def describe_version(
    deployment: DeploymentSpec,
    *,
    charter: CharterResult,
    sweep: SweepResult,
    evaluation: EvaluateResult,
    decision: DecideResult,
) -> str:
    """Write the text beside a registered version."""
    goal = charter.goal
    lines = [
        deployment.description,
        f"Answers: {goal.question or charter.question_form}",
        f"Predicts {goal.target or 'groups'} for {goal.unit_of_prediction or 'one row'}"
        + (f", {goal.horizon}" if goal.horizon else "")
        + ".",
        f"{sweep.winner.title}, trained on {sweep.winner.rows:,} rows. {sweep.winner.reason}",
        decision.summary,
        *(item.sentence for item in decision.criteria),
    ]
    if evaluation.threshold:
        lines.append(
            f"Threshold {evaluation.threshold.value:.6g}. {evaluation.threshold.explanation}"
        )
    return "\n\n".join(line for line in lines if line)


def plan_deployment(
    deployment: DeploymentSpec,
    *,
    charter: CharterResult,
    decision: DecideResult,
    inputs: Sequence[ModelInput],
    threshold: float | None,
) -> list[PlanLine]:
    """Write the deployment plan: what people declared, completed by what the program knows."""
    lines = [
        _line("users", deployment.users, "who works with the scores is not declared yet"),
        _line("schedule", deployment.schedule, "when batches are scored is not declared yet"),
        PlanLine(
            topic="input",
            text="Merged rows with the columns "
            + ", ".join(f"{item.name} ({item.type})" for item in inputs if item.use != "fallback")
            + ".",
        ),
        PlanLine(
            topic="scoring",
            text="`crisp score` scores a batch with Spark; every row comes out scored, or rejected "
            "with its reasons.",
        ),
    ]
    if threshold is not None:
        lines.append(
            PlanLine(topic="threshold", text=f"An alert is raised from a score of {threshold:.6g}.")
        )
    if charter.fallback:
        text = charter.fallback.statement or charter.fallback.expression
        lines.append(PlanLine(topic="fallback", text=f"Where the model cannot answer: {text}"))
    lines += [
        PlanLine(
            topic=f"rollout {number}",
            text=step.step + (f" (done when: {step.check})" if step.check else ""),
            written_by="person",
            owner=step.owner,
        )
        for number, step in enumerate(deployment.rollout, start=1)
    ]
    lines.append(PlanLine(topic="rollback", text=deployment.rollback, written_by="person"))
    lines += [
        PlanLine(topic="open criterion", text=item.sentence)
        for item in decision.criteria
        if item.verdict != "pass"
    ]
    lines += [
        PlanLine(
            topic=f"risk {risk.id}",
            text=f"{risk.statement} ({risk.band})"
            + (f"; then: {risk.contingency}" if risk.contingency else ""),
            written_by="person",
            owner=risk.owner,
        )
        for risk in charter.risks[:_RISKS_SHOWN]
    ]
    return lines


def plan_monitoring(
    deployment: DeploymentSpec, *, charter: CharterResult, main_metric: str
) -> list[WatchedSignal]:
    """Write the monitoring plan: signals with limits, then triggers of risks and expiry dates."""
    limits = deployment.monitoring
    owner, action = limits.owner, limits.action
    signals = [
        ("drift of inputs and score (PSI)", f"{limits.psi_limit:g}", "shares moved between bins"),
        ("drift of inputs and score (JS)", f"{limits.js_limit:g}", "distributions moved apart"),
        ("drift of numbers (KS)", f"{limits.ks_limit:g}", "largest gap of the distributions"),
        ("missing values", f"+{limits.missing_limit:.0%}", "a source delivers less than before"),
        (
            main_metric,
            f"drop of {limits.performance_drop_limit:g}",
            f"quality on rows whose outcome is known after {limits.label_lag_days} days",
        ),
    ]
    if limits.stale_after_days is not None:
        signals.append(
            (
                "age without fresh labels",
                f"{limits.stale_after_days} days",
                "nobody knows any more how good the model is",
            )
        )
    return [
        *(
            WatchedSignal(signal=name, limit=limit, meaning=meaning, action=action, owner=owner)
            for name, limit, meaning in signals
        ),
        *_planned(deployment.monitoring),
        *_charter_signals(charter),
    ]


def _planned(limits: MonitoringSpec) -> Iterator[WatchedSignal]:
    """Signals whose owner or action is their own."""
    for signal, plan in limits.signals.items():
        yield WatchedSignal(
            signal=f"{signal}, in particular",
            limit="as above",
            meaning="told to another person, or treated otherwise",
            action=plan.action or limits.action,
            owner=plan.owner or limits.owner,
        )


def _charter_signals(charter: CharterResult) -> Iterator[WatchedSignal]:
    for risk in charter.risks:
        if risk.trigger:
            yield WatchedSignal(
                signal=f"risk {risk.id}",
                limit=risk.trigger,
                meaning=risk.statement,
                action=risk.contingency or "decide what to do",
                owner=risk.owner,
            )
    for item in charter.conditions:
        if item.expires:
            yield WatchedSignal(
                signal=f"{item.kind} {item.id}",
                limit=f"holds until {item.expires}",
                meaning=item.statement,
                action="confirm it, or plan without it",
                owner=item.owner,
            )


def _line(topic: str, text: str, otherwise: str) -> PlanLine:
    if text:
        return PlanLine(topic=topic, text=text, written_by="person")
    return PlanLine(topic=topic, text=f"Open: {otherwise}.")
