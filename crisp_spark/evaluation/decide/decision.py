"""Deploy, iterate or stop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crisp_spark.evaluation.decide.actions import list_actions
from crisp_spark.evaluation.decide.changes import list_changes
from crisp_spark.evaluation.decide.criteria import judge_criteria
from crisp_spark.evaluation.decide.evidence import (
    check_baselines,
    check_split,
    hash_evidence,
    leak_warnings,
    list_caveats,
)
from crisp_spark.results.base import Verdict
from crisp_spark.results.charter import CharterResult
from crisp_spark.results.decide import (
    BaselineCheck,
    Choice,
    CriterionVerdict,
    DecideResult,
    Evidence,
    Override,
    ProofCheck,
)
from crisp_spark.results.evaluate import EvaluateResult
from crisp_spark.results.quality import QualityResult
from crisp_spark.results.split import SplitResult
from crisp_spark.results.sweep import SweepResult
from crisp_spark.spec.evaluation import OverrideSpec

CHAMPION = "champion"


@dataclass(frozen=True)
class Grounds:
    """Everything that the verdict follows from."""

    criteria: Sequence[CriterionVerdict]
    baselines: Sequence[BaselineCheck]
    proofs: Sequence[ProofCheck]
    leakage: Sequence[str]


def decide(
    charter: CharterResult,
    evaluation: EvaluateResult,
    *,
    quality: QualityResult | None = None,
    split: SplitResult | None = None,
    sweep: SweepResult | None = None,
    override: OverrideSpec | None = None,
) -> DecideResult:
    """Decide from the criteria that were frozen before the test set was read.

    ``stop``: the model is worse than a baseline for sure, or a required economic criterion is
    for sure worse than today (or loses money, where today's value is not given). ``iterate``: a
    required criterion fails or is unknown, the advantage over a baseline may be chance, the proof
    of the split has a hole, or a leak is suspected. ``deploy``: none of these. A better value of
    any one criterion never makes the decision worse.

    Args:
        charter: The frozen charter.
        evaluation: What was measured.
        quality: Quality of the sources, for caveats.
        split: Proof of the test design.
        sweep: The sweep, for warnings of leaks.
        override: A person's decision; the verdict stays visible beside it.
    """
    measured = evaluation.measured
    if evaluation.criteria_hash and evaluation.criteria_hash != charter.criteria_hash:
        measured = []  # Measured under other criteria: no verdict may rest on it.
    grounds = Grounds(
        criteria=judge_criteria(charter.criteria, measured),
        baselines=check_baselines(evaluation),
        proofs=check_split(split),
        leakage=leak_warnings(sweep),
    )
    verdict, reasons = reach_verdict(grounds)
    evidence = hash_evidence(charter, evaluation, split)
    overriding = _override(override, verdict, evidence)
    decision = overriding.decision if overriding and overriding.applied else verdict
    changes = list_changes(grounds.criteria, grounds.baselines, evaluation)
    return DecideResult(
        decision=decision,
        verdict=verdict,
        summary=_summary(decision, verdict, reasons, overriding),
        reasons=reasons,
        criteria=list(grounds.criteria),
        baselines=list(grounds.baselines),
        proofs=list(grounds.proofs),
        leakage=list(grounds.leakage),
        caveats=list_caveats(charter, evaluation, quality, sweep),
        changes=changes,
        actions=list_actions(verdict, grounds.criteria, changes, evaluation, grounds.leakage),
        override=overriding,
        evidence=evidence,
    )


def reach_verdict(grounds: Grounds) -> tuple[Choice, list[str]]:
    """Reach the verdict, with its reasons."""
    stops = [
        *(
            f"The goal is out of reach so far: {check.sentence}"
            for check in grounds.baselines
            if check.verdict is Verdict.FAIL and check.other != CHAMPION
        ),
        *(
            f"{item.id} loses for sure: {item.sentence}"
            for item in grounds.criteria
            if loses_for_sure(item)
        ),
    ]
    blocks = _blocks(grounds)
    if stops:
        return "stop", [*stops, *blocks]
    if blocks:
        return "iterate", blocks
    passed = [item.sentence for item in grounds.criteria if item.required]
    beaten = [check.sentence for check in grounds.baselines if check.verdict is Verdict.PASS]
    return "deploy", [*passed, *beaten[:1]]


def loses_for_sure(item: CriterionVerdict) -> bool:
    """Whether a required economic criterion is, with its whole interval, worse than today.

    Where today's value is not given, losing money (a value below 0) counts as worse.
    """
    if item.level != "economic" or not item.required or item.verdict is not Verdict.FAIL:
        return False
    if item.direction == "at_least":
        best = item.high if item.high is not None else item.value
        floor = 0.0 if item.current is None else item.current
        return best is not None and best < min(floor, item.target)
    best = item.low if item.low is not None else item.value
    if item.current is None or best is None:
        return False
    return best > max(item.current, item.target)


def _blocks(grounds: Grounds) -> list[str]:
    required = [item for item in grounds.criteria if item.required]
    lines = [item.sentence for item in required if item.verdict is Verdict.FAIL]
    lines += [item.sentence for item in required if item.verdict is Verdict.UNKNOWN]
    if not required:
        lines.append("No criterion is required, so nothing says when the project is a success.")
    for check in grounds.baselines:
        if check.verdict is Verdict.UNKNOWN and check.other != CHAMPION:
            lines.append(f"No advantage is proven: {check.sentence}")
        if check.verdict is Verdict.FAIL and check.other == CHAMPION:
            lines.append(f"The model in use is better: {check.sentence}")
    lines += [
        f"The split does not hold: {proof.sentence}"
        for proof in grounds.proofs
        if proof.verdict is Verdict.FAIL
    ]
    lines += [f"A leak is suspected: {line}" for line in grounds.leakage]
    return lines


def _override(spec: OverrideSpec | None, verdict: Choice, evidence: Evidence) -> Override | None:
    if spec is None:
        return None
    other = bool(spec.evidence) and not evidence.hash.startswith(spec.evidence)
    applied = not other and spec.decision != verdict
    who = f"{spec.name} ({spec.date.isoformat()})"
    if other:
        sentence = (
            f"{who} decided {spec.decision} for other evidence ({spec.evidence}); "
            f"this is {evidence.hash[:12]}, so the verdict stands."
        )
    elif applied:
        sentence = f"{who} decided {spec.decision} against the verdict {verdict}: {spec.reason}"
        if not spec.evidence:
            sentence += (
                f" (tied to no evidence, so it will also apply to later results; "
                f"evidence: {evidence.hash[:12]} ties it to these)"
            )
    else:
        sentence = f"{who} decided {spec.decision}, as the verdict does: {spec.reason}"
    return Override(
        decision=spec.decision,
        name=spec.name,
        reason=spec.reason,
        date=spec.date.isoformat(),
        applied=applied,
        sentence=sentence,
    )


def _summary(
    decision: Choice, verdict: Choice, reasons: Sequence[str], override: Override | None
) -> str:
    more = f" (the first of {len(reasons)} reasons)" if len(reasons) > 1 else ""
    words = {
        "deploy": "Deploy: every required criterion passes.",
        "iterate": f"Iterate: {reasons[0]}{more}",
        "stop": f"Stop: {reasons[0]}{more}",
    }[verdict]
    if override and override.applied:
        return f"{decision.capitalize()}, by override. {override.sentence} Verdict: {words}"
    return words
