"""Section of the step ``charter``: what was agreed before the first row was read."""

from __future__ import annotations

from crisp_spark.reporting.html import Content, Html, join, tag
from crisp_spark.reporting.kit import (
    Heads,
    Section,
    definitions,
    facts,
    heading,
    lead,
    name,
    names,
    note,
    num,
    paragraph,
    prose,
    sentence,
    table,
)
from crisp_spark.reporting.numbers import count, moment, money, number, plural
from crisp_spark.reporting.pages.charter_plan import (
    conditions,
    history,
    people,
    plan,
    risks,
    techniques,
)
from crisp_spark.reporting.results_at_hand import Results
from crisp_spark.reporting.words import Measure, metric_title, plain_value, split_title
from crisp_spark.results.charter import CharterResult
from crisp_spark.spec.business import Authored, Criterion

TITLE = "Charter"


def section(results: Results) -> Section | None:
    """Build the section, or None where the step has not run."""
    result = results.get(CharterResult)
    if result is None:
        return None
    body = join(
        [
            _lead(result),
            *(note("warn", sentence(text)) for text in result.warnings),
            _background(result),
            _objectives(result),
            _criteria(result),
            _goal(result),
            _values(result),
            plan(result),
            risks(result),
            conditions(result),
            people(result),
            techniques(result),
            history(result),
        ]
    )
    return Section("charter", TITLE, body, badge="warn" if result.warnings else "")


def currency_of(result: CharterResult | None) -> str:
    """Currency of the charter's amounts."""
    return result.outcome_values.currency if result and result.outcome_values else ""


def _lead(result: CharterResult) -> Html:
    required = len(result.required_criteria)
    return lead(
        f"Version {result.version} of the charter was frozen on {moment(result.frozen_at)}, with "
        f"{plural(len(result.objectives), 'objective')} and "
        f"{plural(len(result.criteria), 'success criterion', 'success criteria')}, "
        f"{required} of them required."
    )


def _authored(item: Authored) -> Html:
    """Owner, date and status behind something a person wrote."""
    words = [item.status, item.owner, item.date.isoformat() if item.date else ""]
    words.append(f"until {item.expires.isoformat()}" if item.expires else "")
    return tag("small", " · ".join(word for word in words if word))


def _background(result: CharterResult) -> Html | None:
    if result.background is None:
        return None
    text = join(paragraph(part) for part in result.background.text.split("\n\n") if part.strip())
    return join([heading(4, "Background"), text, paragraph(_authored(result.background))])


def _objectives(result: CharterResult) -> Html | None:
    if not result.objectives:
        return None
    rows: list[list[Content]] = [
        [item.id, item.statement, str(item.priority), _authored(item)] for item in result.objectives
    ]
    heads: Heads = ["Objective", prose("What shall be different"), num("Priority"), "Written"]
    return join([heading(4, "Objectives"), table(heads, rows, caption="Objectives", quiet=True)])


def _criteria(result: CharterResult) -> Html | None:
    if not result.criteria:
        return None
    measure = Measure(result.goal.problem, currency_of(result))
    heads: Heads = [
        "Criterion",
        prose("In words"),
        "Metric",
        num("Today"),
        num("Target"),
        "Measured on",
        num("Rows needed"),
        "Required",
    ]
    rows = [_criterion_row(item, measure) for item in result.criteria]
    return join(
        [
            heading(4, "Success criteria"),
            table(heads, rows, caption="Success criteria, as agreed", quiet=True),
        ]
    )


def _criterion_row(item: Criterion, measure: Measure) -> list[Content]:
    sign = "≥" if item.direction == "at_least" else "≤"
    where = split_title(item.on) if item.measured_by == "program" else "by a person"
    if item.slice != "all":
        where += f", {item.slice}"
    words: list[Content] = [item.statement or item.objective, tag("br"), _authored(item)]
    return [
        join([item.id, tag("br"), tag("small", item.level)]),
        join(words),
        metric_title(item.metric),
        criterion_value(item.metric, item.unit, item.current, measure),
        f"{sign} {criterion_value(item.metric, item.unit, item.target, measure)}",
        where,
        count(item.min_support),
        "yes" if item.required else "no",
    ]


def criterion_value(metric: str, unit: str, value: float | None, measure: Measure) -> str:
    """A criterion's number: as the metric is written, or with the criterion's own unit."""
    if measure.meaning(metric):
        return measure.text(metric, value)
    return f"{number(value)} {unit}".strip() if value is not None else number(None)


def _goal(result: CharterResult) -> Html:
    goal = result.goal
    pairs: list[tuple[Content, Content]] = [
        ("Question", goal.question),
        ("Problem", goal.problem),
        ("Target", name(goal.target) if goal.target else ""),
        ("Defined as", name(goal.target_expression) if goal.target_expression else ""),
        ("Positive", plain_value(goal.positive) if goal.positive is not None else ""),
        ("One prediction is for", goal.unit_of_prediction),
        ("Known by", names(goal.key) if goal.key else ""),
        ("Made", goal.horizon),
        ("Form of the question", result.question_form),
        ("Class of techniques", result.technique_class),
    ]
    for title, rule in (("Rule today", result.current_rule), ("Fallback", result.fallback)):
        if rule is not None:
            pairs.append((title, join([name(rule.expression), " ", rule.statement])))
    return join([heading(4, "Data-mining goal"), definitions(pairs)])


def _values(result: CharterResult) -> Html | None:
    values, costs = result.outcome_values, result.costs
    if values is None and not costs.costs:
        return None
    currency = costs.currency or currency_of(result)
    worth: list[tuple[str, Content]] = []
    if values is not None and values.per_outcome:
        worth = [
            ("True positive", money(values.tp, currency)),
            ("False positive", money(values.fp, currency)),
            ("False negative", money(values.fn, currency)),
            ("True negative", money(values.tn, currency)),
        ]
    elif values is not None:
        worth = [("Cost per unit of error", money(values.cost_per_unit_error, currency))]
    rows: list[list[Content]] = [
        [cost.name, money(cost.amount, currency), cost.period] for cost in costs.costs
    ]
    summary = definitions(
        [
            ("Paid once", money(costs.once, currency)),
            ("Per year", money(costs.yearly, currency)),
            ("Per run of the flow", money(costs.per_run, currency) if costs.per_run else ""),
            ("Predictions per year", count(costs.rows_per_year) if costs.rows_per_year else ""),
            (
                "Each prediction must bring in",
                money(costs.break_even_per_row, currency) if costs.break_even_per_row else "",
            ),
        ]
    )
    heads: Heads = ["Cost", num("Amount"), "Per"]
    return join(
        [
            heading(4, "Costs and benefits"),
            facts(worth) if worth else None,
            table(heads, rows, caption="Running costs") if rows else None,
            summary if costs.costs else None,
        ]
    )
