"""Section of the step ``deploy``: the registered model, and how it is used and watched."""

from __future__ import annotations

from crisp_spark.reporting.html import Content, Html, join
from crisp_spark.reporting.kit import (
    Heads,
    Section,
    definitions,
    folded,
    heading,
    lead,
    name,
    names,
    prose,
    sentence,
    table,
)
from crisp_spark.reporting.numbers import number, plural
from crisp_spark.reporting.results_at_hand import Results
from crisp_spark.results.deploy import DeployResult

TITLE = "Model put to use"


def section(results: Results) -> Section | None:
    """Build the section, or None where the step has not run."""
    result = results.get(DeployResult)
    if result is None:
        return None
    word = "The model is registered." if result.status == "deployed" else "Nothing was deployed."
    body = join(
        [
            lead(f"{word} ", sentence(result.reason)),
            _model(result),
            _plan(result),
            _watch(result),
        ]
    )
    badge = "pass" if result.status == "deployed" else "info"
    return Section("deploy", TITLE, body, badge=badge)


def _model(result: DeployResult) -> Html:
    model = result.model
    pairs: list[tuple[Content, Content]] = []
    if model is not None:
        pairs += [
            ("Registered as", join([name(model.name), f" version {model.version}"])),
            ("Alias", name(model.alias)),
            ("Address", name(model.uri)),
            ("Run of the tracker", name(model.run_id)),
        ]
    pairs += [
        ("Threshold", number(result.threshold) if result.threshold is not None else ""),
        ("Key", names(result.key) if result.key else ""),
        ("Fallback", name(result.fallback) if result.fallback else ""),
    ]
    inputs: list[list[Content]] = [
        [name(item.name), item.type, item.use, "yes" if item.required else "no"]
        for item in result.inputs
    ]
    written = table(
        ["Column", "Type", "Read by", "Required"],
        inputs,
        caption="Columns of a batch",
        quiet=True,
        most=200,
    )
    tags: list[list[Content]] = (
        [[name(key), value] for key, value in sorted(model.tags.items())] if model else []
    )
    linked = table(["Tag", prose("Value")], tags, caption="Links", quiet=True, most=100)
    return join(
        [
            definitions(pairs),
            folded(f"{plural(len(inputs), 'column')} of a batch", written, css="card")
            if inputs
            else None,
            folded("Links to data, code and decision", linked, css="card") if tags else None,
        ]
    )


def _plan(result: DeployResult) -> Html | None:
    if not result.deployment_plan:
        return None
    rows: list[list[Content]] = [
        [line.topic, sentence(line.text), line.owner or line.written_by]
        for line in result.deployment_plan
    ]
    heads: Heads = ["Topic", prose("Plan"), "By"]
    return join([heading(4, "Deployment plan"), table(heads, rows, caption="Plan", quiet=True)])


def _watch(result: DeployResult) -> Html | None:
    if not result.monitoring_plan:
        return None
    rows: list[list[Content]] = [
        [line.signal, line.limit, sentence(line.meaning), sentence(line.action), line.owner]
        for line in result.monitoring_plan
    ]
    heads: Heads = ["Signal", "Limit", prose("Meaning"), prose("Action"), "Owner"]
    return join([heading(4, "Monitoring plan"), table(heads, rows, caption="Signals", quiet=True)])
