"""Evidence of the outputs of phases 4, 5 and 6."""

from __future__ import annotations

from collections import Counter

from crisp_spark.business.evidence import Finding, Material, count
from crisp_spark.results.base import Verdict
from crisp_spark.results.charter import CharterResult
from crisp_spark.results.decide import DecideResult
from crisp_spark.results.deploy import DeployResult
from crisp_spark.results.evaluate import EvaluateResult
from crisp_spark.results.report import ReportResult
from crisp_spark.results.split import SplitResult
from crisp_spark.results.sweep import SweepResult


def technique(at: Material) -> Finding | None:
    """Output 4.1.1."""
    found = at.of(SweepResult)
    if found is None:
        return None
    tried = ", ".join(family.title for family in found.families)
    return Finding(f"{found.winner.title}, out of {tried}: {found.winner.reason}")


def assumptions(at: Material) -> Finding | None:
    """Output 4.1.2."""
    found = at.of(SweepResult)
    if found is None:
        return None
    notes = [*found.warnings, *(note for family in found.families for note in family.notes)]
    return Finding(
        f"constraints of the learners checked, {count(notes, 'remark')}"
        + (f", first: {notes[0]}" if notes else "")
    )


def design(at: Material) -> Finding | None:
    """Output 4.2.1."""
    found = at.of(SplitResult)
    if found is None:
        return None
    holding = [check for check in found.checks if check.verdict is Verdict.PASS]
    return Finding(
        f"split by {found.kind}, {found.test_share:.0%} test, {count(found.folds, 'fold')}; "
        f"{len(holding)} of {count(found.checks, 'check')} hold"
    )


def parameters(at: Material) -> Finding | None:
    """Output 4.3.1."""
    found = at.of(SweepResult)
    if found is None:
        return None
    values = ", ".join(f"{name} {value}" for name, value in found.winner.params.items())
    return Finding(f"{found.winner.trial}: {values or 'defaults of the learner'}")


def models(at: Material) -> Finding | None:
    """Output 4.3.2."""
    found = at.of(SweepResult)
    if found is None:
        return None
    finished = [trial for trial in found.trials if trial.status == "finished"]
    return Finding(
        f"{len(finished)} of {count(found.trials, 'trial')} finished; the winner is kept as one "
        "pipeline"
    )


def model_descriptions(at: Material) -> Finding | None:
    """Output 4.3.3."""
    found = at.of(SweepResult)
    if found is None:
        return None
    return Finding("; ".join(found.winner.facts) or found.winner.title)


def assessment(at: Material) -> Finding | None:
    """Output 4.4.1."""
    found, sweep = at.of(EvaluateResult), at.of(SweepResult)
    if found is None:
        return None
    test = found.splits.get("test")
    metric = test.metrics.get(found.main_metric) if test else None
    text = f"{found.main_metric} with intervals on {', '.join(found.splits)}"
    if metric is not None and metric.value is not None:
        text += f"; {metric.value:.4g} on test"
    return Finding(text + (f"; {len(sweep.trials)} trials ranked" if sweep else ""))


def revised_parameters(at: Material) -> Finding | None:
    """Output 4.4.2."""
    found = at.of(SweepResult)
    if found is None:
        return None
    values = [trial.metric for trial in found.trials if trial.metric is not None]
    spread = f", {found.metric} from {min(values):.4g} to {max(values):.4g}" if values else ""
    return Finding(f"{found.plan.search} search over {count(found.trials, 'trial')}{spread}")


def results(at: Material) -> Finding | None:
    """Output 5.1.1."""
    found = at.of(DecideResult)
    if found is None:
        return None
    tally = Counter(item.verdict.value for item in found.criteria)
    return Finding(", ".join(f"{number} {verdict}" for verdict, number in sorted(tally.items())))


def approved_models(at: Material) -> Finding | None:
    """Output 5.1.2."""
    found, decided = at.of(DeployResult), at.of(DecideResult)
    if found is not None and found.model is not None:
        return Finding(f"{found.model_label}, alias {found.model.alias}", settled=True)
    if decided is not None and decided.decision != "deploy":
        return Finding(f"none: the decision is {decided.decision}", settled=True)
    return Finding("the winner of the sweep, not registered yet") if decided else None


def process(at: Material) -> Finding | None:
    """Output 5.2.1: the list itself, and what a person says about it."""
    if at.spec.review.process:
        return Finding(at.spec.review.process.strip().splitlines()[0], settled=True)
    return Finding("this list") if at.results else None


def actions(at: Material) -> Finding | None:
    """Output 5.3.1."""
    found = at.of(DecideResult)
    if found is None:
        return None
    first = found.actions[0].title if found.actions else "none"
    return Finding(f"{count(found.actions, 'action')}, first: {first}")


def decision(at: Material) -> Finding | None:
    """Output 5.3.2."""
    found = at.of(DecideResult)
    if found is None:
        return None
    by = found.override.name if found.override and found.overridden else ""
    return Finding(
        f"{found.decision} on evidence {found.evidence.hash[:12]}: {found.summary}",
        settled=bool(by),
        owner=by,
    )


def deployment_plan(at: Material) -> Finding | None:
    """Output 6.1.1."""
    found = at.of(DeployResult)
    if found is None:
        return None
    declared = at.spec.deployment
    return Finding(
        count(found.deployment_plan, "line"),
        settled=bool(declared.users and declared.rollout),
    )


def monitoring_plan(at: Material) -> Finding | None:
    """Output 6.2.1."""
    found = at.of(DeployResult)
    if found is None:
        return None
    owner = at.spec.deployment.monitoring.owner
    return Finding(
        f"{count(found.monitoring_plan, 'signal')} with limit and action",
        settled=bool(owner),
        owner=owner,
    )


def final_report(at: Material) -> Finding | None:
    """Output 6.3.1."""
    found = at.of(ReportResult)
    if found is None:
        return None
    conclusion = at.spec.review.conclusion.strip()
    written = "report.html"
    return Finding(
        f"{written}: {conclusion.splitlines()[0]}"
        if conclusion
        else f"{written}, no conclusion yet",
        settled=bool(conclusion),
    )


def presentation(at: Material) -> Finding | None:
    """Output 6.3.2."""
    found = at.of(ReportResult)
    slides = [file.name for file in found.files if "presentation" in file.name] if found else []
    return Finding(slides[0]) if slides else None


def experience(at: Material) -> Finding | None:
    """Output 6.4.1."""
    lessons = at.spec.review.lessons
    seen = observations(at)
    if not lessons and not seen:
        return None
    return Finding(
        f"{count(lessons, 'lesson')} by people, {count(seen, 'observation')} by the program",
        settled=bool(lessons),
    )


def observations(at: Material) -> list[str]:
    """What the program noticed about the course of the project, for the record of experience."""
    lines = []
    charter, sweep, decided = at.of(CharterResult), at.of(SweepResult), at.of(DecideResult)
    if charter:
        lines += [
            f"The charter was amended to version {item.version}: {item.reason}"
            for item in charter.amendments
            if item.version > 1
        ]
    if sweep:
        errors = Counter(trial.error for trial in sweep.trials if trial.status == "failed")
        lines += [
            f"{count([0] * number, 'trial')} failed: {error or 'no reason given'}"
            for error, number in errors.most_common(3)
        ]
    if decided and decided.override and decided.overridden:
        lines.append(decided.override.sentence)
    return lines
