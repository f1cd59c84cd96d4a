"""Prints the decision with its reasons, criterion by criterion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crisp_spark.cli.output import Output, show

if TYPE_CHECKING:
    from crisp_spark.results.decide import DecideResult

_STYLES = {"deploy": "bold green", "iterate": "bold yellow", "stop": "bold red"}
_VERDICTS = {"pass": "green", "warn": "yellow", "unknown": "yellow", "fail": "bold red"}


def print_decision(out: Output, result: DecideResult) -> None:
    """Print the decision and why it was taken."""
    out.text(f"decision  {result.decision.upper()}", style=_STYLES[result.decision])
    if result.override is not None:
        out.text(f"          {result.override.sentence}", style="yellow")
    for reason in result.reasons:
        out.text(f"          {reason}")


def print_whole_decision(out: Output, result: DecideResult) -> None:
    """Print the decision, the verdict on each criterion, and what would change it."""
    if out.as_json:
        return
    from rich.text import Text

    print_decision(out, result)
    out.text()
    rows = [
        (
            criterion.id,
            Text(criterion.verdict.value, style=_VERDICTS[criterion.verdict.value]),
            criterion.metric + ("" if criterion.slice == "all" else f" where {criterion.slice}"),
            criterion.on,
            _held(criterion.value, criterion.low, criterion.high),
            f"{criterion.direction.replace('_', ' ')} {show(criterion.target)} {criterion.unit}",
            criterion.required,
        )
        for criterion in result.criteria
    ]
    columns = ("criterion", "verdict", "metric", "on", "value (interval)", "target", "required")
    out.table(columns, rows)
    for title, lines in (
        ("leakage", result.leakage),
        ("caveats", result.caveats),
        ("what would change it", [change.sentence for change in result.changes]),
        ("next", [f"{action.title}: {action.reason}" for action in result.actions]),
    ):
        if lines:
            out.text()
            out.text(title, style="bold")
            for line in lines:
                out.text(f"  {line}")


def _held(value: float | None, low: float | None, high: float | None) -> str:
    interval = "" if low is None or high is None else f" ({show(low)} to {show(high)})"
    return f"{show(value)}{interval}"
