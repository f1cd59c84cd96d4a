"""Wiring of the decision; plain Python, no Spark session is started."""

from __future__ import annotations

from crisp_spark.run.steprun import Note, Outcome, StepRun


def decide(run: StepRun) -> Outcome:
    """Judge every criterion and decide: deploy, iterate or stop."""
    from crisp_spark.evaluation.decide import decide as decide_on
    from crisp_spark.results.charter import CharterResult
    from crisp_spark.results.evaluate import EvaluateResult
    from crisp_spark.results.quality import QualityResult
    from crisp_spark.results.split import SplitResult
    from crisp_spark.results.sweep import SweepResult

    result = decide_on(
        run.result(CharterResult),
        run.result(EvaluateResult),
        quality=run.result_or_none(QualityResult),
        split=run.result_or_none(SplitResult),
        sweep=run.result_or_none(SweepResult),
        override=run.spec.evaluation.override,
    )
    run.tracker.tags(
        {
            "crisp.decision": result.decision,
            "crisp.verdict": result.verdict,
            "crisp.evidence": result.evidence.hash,
            **{f"crisp.criterion.{item.id}": item.verdict.value for item in result.criteria},
        }
    )
    notes = [
        Note(result.summary, level="info" if result.decision == "deploy" else "warning"),
        *(Note(item.sentence) for item in result.criteria),
    ]
    metrics = {
        f"criterion.{item.id}.margin": item.margin
        for item in result.criteria
        if item.margin is not None
    }
    return Outcome(result, notes=notes, metrics=metrics)
