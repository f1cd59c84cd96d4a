"""Possible next actions, drawn from what the results show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from crisp_spark.evaluation.decide.criteria import number
from crisp_spark.results.base import Verdict
from crisp_spark.results.decide import Action, Change, Choice, CriterionVerdict
from crisp_spark.results.evaluate import EvaluateResult
from crisp_spark.spec.evaluation import metric_info

_SHOWN_SLICES = 3
_SIMPLER = {
    "clustering": "Take fewer features, or another number of clusters",
    "recommendation": "Regularise more, or take a smaller rank",
}


def list_actions(
    verdict: Choice,
    criteria: Sequence[CriterionVerdict],
    changes: Sequence[Change],
    evaluation: EvaluateResult,
    leakage: Sequence[str],
) -> list[Action]:
    """List what could be done next, recommended actions first."""
    found = [
        *_by_verdict(verdict, criteria),
        *_against_leaks(leakage),
        *_from_changes(verdict, changes),
        *_from_evaluation(verdict, evaluation),
    ]
    return sorted(found, key=lambda action: not action.recommended)


def _by_verdict(verdict: Choice, criteria: Sequence[CriterionVerdict]) -> Iterator[Action]:
    if verdict == "deploy":
        yield Action(
            id="deploy",
            title="Deploy the model and watch it",
            reason="Every required criterion passes.",
            recommended=True,
        )
        open_ones = [item.id for item in criteria if item.verdict is not Verdict.PASS]
        if open_ones:
            yield Action(
                id="follow_up",
                title="Follow up the criteria that are not required",
                reason=f"Not passed: {', '.join(open_ones)}.",
            )
    if verdict == "stop":
        yield Action(
            id="stop",
            title="Stop, keep today's rule and write down why",
            reason="The result is for sure no better than what the business has.",
            recommended=True,
        )
        yield Action(
            id="reframe",
            title="Frame the goal anew: another target, horizon or population",
            reason="With this goal and this data, a baseline does better.",
        )


def _against_leaks(leakage: Sequence[str]) -> Iterator[Action]:
    if leakage:
        yield Action(
            id="leak",
            title="Find out when the suspected columns are known, and take out what comes later",
            reason=leakage[0],
            recommended=True,
        )


def _from_changes(verdict: Choice, changes: Sequence[Change]) -> Iterator[Action]:
    if verdict == "deploy":
        return
    titles = {
        "rows": ("more_rows", "Collect more rows to test on"),
        "threshold": ("threshold", "Choose another threshold"),
        "measure": ("measure", "Measure what is still unknown"),
        "target": ("charter", "Talk about the target with its owner"),
        "charter": ("charter", "Agree on criteria"),
    }
    seen: set[str] = set()
    for change in changes:
        if change.kind in titles:
            name, title = titles[change.kind]
            if name not in seen:
                seen.add(name)
                yield Action(
                    id=name,
                    title=title,
                    reason=change.sentence,
                    recommended=verdict == "iterate" and name in {"more_rows", "measure"},
                )


def _from_evaluation(verdict: Choice, evaluation: EvaluateResult) -> Iterator[Action]:
    gap = _overfit_gap(evaluation)
    iterate = verdict == "iterate"
    if gap is not None and gap > 0:
        yield Action(
            id="simplify",
            title=_SIMPLER.get(evaluation.problem, "Regularise more, or take fewer features"),
            reason=f"{evaluation.main_metric} is {number(gap)} better on training rows than on "
            "test rows, and that is no chance.",
            recommended=iterate,
        )
    elif iterate:
        yield Action(
            id="features",
            title="Derive features that say more, or add a source",
            reason="Training and test rows are judged alike, so the model is not too large.",
            recommended=True,
        )
    slices = [item for item in evaluation.slices.slices if item.weak] if evaluation.slices else []
    if slices:
        names = ", ".join(item.name for item in slices[:_SHOWN_SLICES])
        yield Action(
            id="slices",
            title="Look into the weakest slices",
            reason=f"Worse than the other rows for sure: {names}.",
        )
    damaged = [item for item in evaluation.robustness if item.value is None or item.error]
    if damaged:
        yield Action(
            id="robustness",
            title="Make the pipeline take damaged inputs",
            reason=f"It could not score rows with {damaged[0].share:.0%} of the cells "
            f"{damaged[0].damage}.",
        )


def _overfit_gap(evaluation: EvaluateResult) -> float | None:
    """How much better training rows are judged than test rows, where the interval excludes 0."""
    info = metric_info(evaluation.problem, evaluation.main_metric)
    for row in evaluation.stability:
        gap = row.gaps.get("train_test")
        if row.metric != evaluation.main_metric or gap is None or info is None:
            continue
        if gap.value is None or gap.low is None or gap.high is None or gap.low <= 0 <= gap.high:
            return None
        return -gap.value if info.higher_is_better else gap.value
    return None
