"""Second half of the charter's section: plan, risks, conditions, people, techniques, history."""

from __future__ import annotations

from crisp_spark.reporting.charts import Bar, Chart, heat_map, timeline
from crisp_spark.reporting.html import Content, Html, join, tag
from crisp_spark.reporting.kit import (
    Heads,
    badge,
    bullets,
    figures,
    folded,
    heading,
    name,
    num,
    prose,
    table,
)
from crisp_spark.reporting.numbers import count, moment, number, plural
from crisp_spark.results.charter import CharterResult

_GRADES = ("low", "medium", "high")


def plan(result: CharterResult) -> Html | None:
    """The plan as a time line, with its longest path."""
    if not result.plan:
        return None
    chart = timeline(
        "Project plan",
        f"{number(result.critical_path_days)} working days from start to end; the longest path is "
        f"{' → '.join(result.critical_path)}.",
        [
            Bar(
                stage.stage,
                stage.start_day,
                stage.end_day,
                f"{number(stage.days)} days" + (", critical" if stage.critical else ""),
                kind=2 if stage.critical else 1,
            )
            for stage in result.plan
        ],
        unit="working days from the start",
        kinds=("has slack", "on the longest path"),
    )
    rows: list[list[Content]] = [
        [
            stage.stage,
            number(stage.days),
            ", ".join(stage.depends_on),
            number(stage.slack_days),
            stage.evaluation,
        ]
        for stage in result.plan
    ]
    heads: Heads = ["Stage", num("Days"), "After", num("Slack"), prose("Done when")]
    return join(
        [
            heading(4, "Plan"),
            figures(chart),
            folded("Stages", table(heads, rows, caption="Stages of the plan", quiet=True)),
        ]
    )


def risks(result: CharterResult) -> Html | None:
    """Risks, greatest first, with what is done about them."""
    if not result.risks:
        return None
    heads: Heads = [
        num("Rank"),
        "Risk",
        prose("What may happen"),
        "Likelihood and impact",
        prose("Then"),
        prose("Noticed by"),
    ]
    kinds = {"low": "pass", "medium": "warn", "high": "fail"}
    rows: list[list[Content]] = [
        [
            count(risk.rank),
            risk.id,
            risk.statement,
            join([badge(kinds[risk.band], risk.band), " ", f"{risk.likelihood}, {risk.impact}"]),
            risk.contingency,
            risk.trigger,
        ]
        for risk in result.risks
    ]
    return join(
        [
            heading(4, "Risks and contingencies"),
            figures(risk_map(result)) if len(result.risks) > 2 else None,  # noqa: PLR2004
            table(heads, rows, caption="Risks, greatest first", quiet=True),
        ]
    )


def risk_map(result: CharterResult) -> Chart:
    """Number of risks by likelihood and impact."""
    counts: list[list[float | None]] = [
        [
            float(
                sum(
                    risk.likelihood == likelihood and risk.impact == impact for risk in result.risks
                )
            )
            for impact in _GRADES
        ]
        for likelihood in reversed(_GRADES)
    ]
    high_risks = sum(risk.band == "high" for risk in result.risks)
    high = max((value or 0.0 for row in counts for value in row), default=1.0)
    return heat_map(
        "Risks by likelihood (rows) and impact (columns)",
        f"{plural(len(result.risks), 'risk')} in all, {high_risks} of them high.",
        list(reversed(_GRADES)),
        list(_GRADES),
        counts,
        high=high or 1.0,
        fmt=count,
        wide=False,
    )


def conditions(result: CharterResult) -> Html | None:
    """Requirements, assumptions and constraints."""
    if not result.conditions:
        return None
    rows: list[list[Content]] = [
        [
            item.id,
            item.kind,
            item.statement,
            name(item.rule) if item.rule else "",
            item.owner,
            badge("warn", f"expired {item.expires}") if item.expired else item.expires,
        ]
        for item in result.conditions
    ]
    heads: Heads = ["Id", "Kind", prose("Statement"), "Tested by", "Owner", "Holds until"]
    title = heading(4, "Requirements, assumptions and constraints")
    return join([title, table(heads, rows, caption="Conditions", quiet=True)])


def people(result: CharterResult) -> Html | None:
    """Stakeholders and resources."""
    stakeholders = [
        join(
            [
                tag("strong", s.name),
                f", {s.role}" if s.role else "",
                f": {s.interest}" if s.interest else "",
            ]
        )
        for s in result.stakeholders
    ]
    rows: list[list[Content]] = [
        [
            item.name,
            item.kind,
            item.detail,
            "found here" if item.found_by == "program" else item.owner,
        ]
        for item in result.resources
    ]
    heads: Heads = ["Resource", "Kind", prose("Detail"), "Owner"]
    return join(
        [
            heading(4, "Stakeholders") if stakeholders else None,
            bullets(stakeholders),
            heading(4, "Resources") if rows else None,
            table(heads, rows, caption="Resources", quiet=True) if rows else None,
        ]
    )


def techniques(result: CharterResult) -> Html | None:
    """Techniques that fit the question, tried or not."""
    if not result.techniques:
        return None
    rows: list[list[Content]] = [
        [
            item.title,
            badge("pass", "tried") if item.chosen else "not tried",
            "; ".join(item.reasons),
            "; ".join(item.limits),
        ]
        for item in result.techniques
    ]
    heads: Heads = ["Technique", "Here", prose("For it"), prose("Against it")]
    return folded(
        "Techniques that fit the question",
        table(heads, rows, caption="Techniques", quiet=True),
        css="card",
    )


def history(result: CharterResult) -> Html | None:
    """Every version of the charter, where there is more than one."""
    if len(result.amendments) < 2:  # noqa: PLR2004 - the first version amends nothing
        return None
    rows: list[list[Content]] = [
        [
            f"version {item.version}",
            moment(item.created),
            item.reason,
            "; ".join(item.changes) or ("criteria unchanged" if not item.criteria_changed else ""),
            badge("warn", "yes") if item.evaluated else "no",
        ]
        for item in result.amendments
    ]
    heads: Heads = [
        "Version",
        "Frozen",
        prose("Reason"),
        prose("Changed"),
        "Test set read under it",
    ]
    return join(
        [
            heading(4, "Versions of the charter"),
            table(heads, rows, caption="Versions", quiet=True),
        ]
    )
