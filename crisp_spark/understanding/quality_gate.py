"""The gate: a broken rule of severity ``fail`` stops the flow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crisp_spark.errors import QualityGateError
from crisp_spark.results.base import Verdict
from crisp_spark.results.quality import RuleResult, SourceQuality


def raise_for_failures(sources: Sequence[SourceQuality], result: Any = None) -> None:
    """Stop where a rule of severity ``fail`` is broken.

    Args:
        sources: Judged sources.
        result: Kept on the error, so that it can be shown and recorded.

    Raises:
        QualityGateError: Names the rules, their counts and examples.
    """
    broken = [
        (source.source, rule)
        for source in sources
        for rule in source.rules
        if rule.verdict is Verdict.FAIL
    ]
    if not broken:
        return
    lines = [f"{source}.{rule.name}: {_told(rule)}" for source, rule in broken]
    raise QualityGateError(
        f"quality: {len(broken)} rules of severity fail are broken:\n  - " + "\n  - ".join(lines),
        hint="correct the data, or lower the severity of the rule to drop or warn",
        result=result,
    )


def _told(rule: RuleResult) -> str:
    if rule.error:
        return f"could not be judged: {rule.error}"
    if rule.failed is None:
        return f"{rule.expected}, got {rule.observed}"
    shown = ", ".join(str(one.value) for one in rule.samples[:3])
    examples = f", such as {shown}" if shown else ""
    return f"{rule.expected}: {rule.failed:,} of {rule.evaluated or 0:,} rows fail{examples}"
