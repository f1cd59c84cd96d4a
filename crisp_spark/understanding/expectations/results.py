"""Our counts as a validation result of Great Expectations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from crisp_spark.results.base import Verdict
from crisp_spark.results.quality import RuleResult, SourceQuality
from crisp_spark.spec.quality import BoundRule
from crisp_spark.understanding.expectations.exporting import configuration


def validation_result(
    quality: SourceQuality, bound: Sequence[BoundRule], *, run_id: str, started: datetime
) -> Any:
    """Return our counts as Great Expectations' own validation result.

    Args:
        quality: Counts and verdicts of one source.
        bound: The rules they belong to.
        run_id: Id of the run.
        started: When the step started.
    """
    import great_expectations as gx
    from great_expectations.core import ExpectationSuiteValidationResult

    by_name = {rule.name: rule for rule in bound}
    results = [_result_of(found, by_name[found.name], started) for found in quality.rules]
    good = sum(bool(result.success) for result in results)
    return ExpectationSuiteValidationResult(
        success=good == len(results),
        results=results,
        suite_name=quality.source,
        statistics={
            "evaluated_expectations": len(results),
            "successful_expectations": good,
            "unsuccessful_expectations": len(results) - good,
            "success_percent": 100.0 * good / len(results) if results else None,
        },
        meta={
            "great_expectations_version": gx.__version__,
            "run_id": {"run_name": run_id, "run_time": started.isoformat()},
            "batch_spec": {"data_asset_name": quality.source},
            "active_batch_definition": {"data_asset_name": quality.source},
        },
    )


def _result_of(found: RuleResult, bound: BoundRule, started: datetime) -> Any:
    from great_expectations.core import ExpectationValidationResult

    success = found.verdict is Verdict.PASS
    return ExpectationValidationResult(
        success=success,
        expectation_config=configuration(bound, started),
        result=_numbers(found),
        meta={"name": found.name},
        exception_info={
            "raised_exception": bool(found.error),
            "exception_message": found.error,
            "exception_traceback": "",
        },
    )


def _numbers(found: RuleResult) -> dict[str, Any]:
    if found.error:
        return {}
    if found.failed is None:
        return {"observed_value": _observed(found), "element_count": found.rows}
    if found.kind in {"expression", "relationships"}:
        return {"observed_value": found.failed, "element_count": found.rows}
    rows, failed, missing = found.rows, found.failed, found.missing or 0
    judged = rows - missing
    samples = [sample.value for sample in found.samples]
    numbers: dict[str, Any] = {
        "element_count": rows,
        "unexpected_count": failed,
        "unexpected_percent": 100.0 * failed / judged if judged else 0.0,
        "partial_unexpected_list": samples,
    }
    if found.kind != "not_null":
        numbers |= {
            "missing_count": missing,
            "missing_percent": 100.0 * missing / rows if rows else 0.0,
            "unexpected_percent_total": 100.0 * failed / rows if rows else 0.0,
            "unexpected_percent_nonmissing": numbers["unexpected_percent"],
            "partial_unexpected_counts": [
                {"value": sample.value, "count": sample.rows}
                for sample in found.samples
                if sample.rows is not None
            ],
        }
    return numbers


def _observed(found: RuleResult) -> Any:
    """The observed value in the shape that the library's own pages read."""
    if found.kind == "quantile_between":
        return {"quantiles": [found.declared.get("quantile")], "values": [found.observed]}
    if found.kind == "schema":
        return str(found.observed or "").split(", ")
    return found.observed
