"""The run on one page for programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crisp_spark.reporting.facts import RunFacts
from crisp_spark.reporting.results_at_hand import Results
from crisp_spark.results.base import StepResult, Verdict
from crisp_spark.results.decide import DecideResult
from crisp_spark.results.evaluate import EvaluateResult
from crisp_spark.results.sweep import SweepResult


def summary_json(results: Mapping[str, StepResult], *, facts: RunFacts) -> dict[str, Any]:
    """The run on one page for programs: decision, criteria, main numbers, durations."""
    at_hand = Results(results)
    decide, evaluated = at_hand.get(DecideResult), at_hand.get(EvaluateResult)
    sweep = at_hand.get(SweepResult)
    criteria = [
        item.model_dump(mode="json", include={"id", "metric", "on", "verdict", "value", "target"})
        for item in (decide.criteria if decide else [])
    ]
    return {
        "project": facts.project,
        "run_id": facts.run_id,
        "decision": decide.decision if decide else None,
        "verdict": decide.verdict if decide else None,
        "overridden": decide.overridden if decide else False,
        "reasons": decide.reasons if decide else [],
        "criteria": criteria,
        "criteria_met": sum(item["verdict"] == Verdict.PASS.value for item in criteria),
        "winner": sweep.winner.model_dump(
            mode="json", include={"trial", "family", "params", "metric"}
        )
        if sweep
        else None,
        "metrics": {
            split: {name: value.value for name, value in part.metrics.items()}
            for split, part in (evaluated.splits.items() if evaluated else ())
        },
        "seconds": {fact.step: fact.seconds for fact in facts.steps},
        "steps": sorted(results),
    }
