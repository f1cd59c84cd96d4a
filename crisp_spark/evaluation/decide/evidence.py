"""What the verdict rests on: baselines, the proof of the split, leaks, quality, its hash."""

from __future__ import annotations

from collections.abc import Iterator

from crisp_spark.evaluation.decide.criteria import number
from crisp_spark.results.base import Verdict
from crisp_spark.results.charter import CharterResult
from crisp_spark.results.decide import BaselineCheck, Evidence, ProofCheck
from crisp_spark.results.evaluate import Comparison, EvaluateResult
from crisp_spark.results.quality import QualityResult
from crisp_spark.results.split import SplitResult
from crisp_spark.results.sweep import SweepResult
from crisp_spark.spec.base import digest

_BASELINE = "baseline "
_ECE_LIMIT = 0.1


def check_baselines(evaluation: EvaluateResult) -> list[BaselineCheck]:
    """Hold the main metric on test rows against every baseline and the model in use.

    The strongest opponent comes first.
    """
    checks = [
        _check(item)
        for item in evaluation.comparisons
        if item.split == "test" and item.metric == evaluation.main_metric
    ]
    return sorted(checks, key=lambda item: (item.gain is None, item.gain or 0.0, item.other))


def check_split(split: SplitResult | None) -> list[ProofCheck]:
    """Read the proof of the split."""
    if split is None:
        return []
    return [
        ProofCheck(
            name=check.name,
            verdict=check.verdict,
            sentence=check.statement
            if check.value is None
            else f"{check.statement} (found: {_found(check.value)})",
        )
        for check in split.checks
    ]


def _found(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def leak_warnings(sweep: SweepResult | None) -> list[str]:
    """Return the warnings of the sweep that name a suspected leak."""
    if sweep is None:
        return []
    return [line for line in sweep.warnings if "leak" in line.casefold()]


def list_caveats(
    charter: CharterResult,
    evaluation: EvaluateResult,
    quality: QualityResult | None,
    sweep: SweepResult | None,
) -> list[str]:
    """List what weakens the evidence without deciding."""
    return [
        *(f"charter: {line}" for line in charter.warnings if "expired" in line),
        *_versions(charter),
        *_about_quality(quality),
        *_about_sweep(sweep),
        *_about_evaluation(evaluation),
    ]


def hash_evidence(
    charter: CharterResult, evaluation: EvaluateResult, split: SplitResult | None
) -> Evidence:
    """Hash what decides, so that a signature can be tied to it."""
    parts = {
        "criteria": charter.criteria_hash,
        "version": charter.version,
        "readings": [
            item.reading.model_dump(mode="json") for item in charter.criteria if item.reading
        ],
        "measured": [item.model_dump(mode="json") for item in evaluation.measured],
        "comparisons": [item.model_dump(mode="json") for item in evaluation.comparisons],
        "threshold": evaluation.threshold.value if evaluation.threshold else None,
        "split": [check.model_dump(mode="json") for check in split.checks] if split else [],
    }
    return Evidence(
        hash=digest(parts),
        charter_version=charter.version,
        charter_hash=charter.charter_hash,
        criteria_hash=charter.criteria_hash,
        amendments=sum(1 for item in charter.amendments if item.version > 1),
    )


def _check(item: Comparison) -> BaselineCheck:
    name = item.other.removeprefix(_BASELINE)
    gain = item.gain
    verdict = {True: Verdict.PASS, False: Verdict.FAIL, None: Verdict.UNKNOWN}[item.better]
    if gain.value is not None and (gain.low is None or gain.high is None):
        # Without an interval only the sign is left; it may clear the model, never condemn it.
        verdict = Verdict.PASS if gain.value > 0 else Verdict.UNKNOWN
    opponent = "the model in use" if item.other == "champion" else f"the baseline {name!r}"
    if gain.value is None:
        words = f"was not compared with {opponent}" + (f": {gain.reason}" if gain.reason else "")
    else:
        way = "better" if gain.value >= 0 else "worse"
        words = f"is {number(abs(gain.value))} {way} than {opponent} in {item.metric}"
        if gain.low is not None and gain.high is not None:
            words += f" (advantage {number(gain.low)} to {number(gain.high)})"
        if verdict is Verdict.UNKNOWN:
            words += ", which may be chance"
    return BaselineCheck(
        other=name,
        metric=item.metric,
        split=item.split,
        model=item.model,
        other_value=item.other_value,
        gain=gain.value,
        low=gain.low,
        high=gain.high,
        verdict=verdict,
        sentence=f"The model {words}.",
    )


def _versions(charter: CharterResult) -> Iterator[str]:
    for item in charter.amendments:
        if item.criteria_changed and item.version > 1:
            yield (
                f"charter: version {item.version} changed the criteria "
                f"({item.reason}): {'; '.join(item.changes) or 'see the charter'}"
            )


def _about_quality(quality: QualityResult | None) -> Iterator[str]:
    if quality is None:
        yield "quality: no rules were checked"
        return
    for source in quality.sources:
        broken = [rule.name for rule in source.rules if rule.verdict is not Verdict.PASS]
        if broken:
            shown = ", ".join(broken[:3]) + (", ..." if len(broken) > len(broken[:3]) else "")
            yield (
                f"quality: {source.source}: {len(broken)} of {len(source.rules)} rules do not "
                f"hold or could not be judged ({shown}); {source.quarantined:,} of "
                f"{source.rows:,} rows are in quarantine"
            )


def _about_sweep(sweep: SweepResult | None) -> Iterator[str]:
    if sweep is None:
        return
    failed = sum(1 for trial in sweep.trials if trial.status == "failed")
    if failed:
        yield f"sweep: {failed} of {len(sweep.trials)} trials failed"
    if sweep.plan.left_out:
        yield f"sweep: {sweep.plan.left_out} planned trials were left out ({sweep.plan.stopped})"


def _about_evaluation(evaluation: EvaluateResult) -> Iterator[str]:
    test = evaluation.splits.get("test")
    error = test.curves.calibration_error if test and test.curves else None
    if error is not None and error > _ECE_LIMIT:
        yield f"evaluation: scores are off by {number(error)} on average, as probabilities"
    for row in evaluation.stability:
        gap = row.gaps.get("test_later")
        if (
            row.metric == evaluation.main_metric
            and gap is not None
            and gap.low is not None
            and gap.high is not None
            and not gap.low <= 0 <= gap.high
        ):
            yield (
                f"evaluation: {row.metric} differs between the test rows and the later period "
                f"({number(gap.low)} to {number(gap.high)})"
            )
    yield from (f"evaluation: {note}" for note in evaluation.notes)
