"""Wires the step that derives columns, the target and the population."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from crisp_spark.results.derive import DerivedColumn, DeriveResult, PopulationReport, TargetReport
from crisp_spark.run.steprun import Note, Outcome, StepRun
from crisp_spark.spec.deriving import DeriveHook, DeriveOp, Window
from crisp_spark.spec.lineage import derivations, excluded_columns, outcome_columns

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def derive(run: StepRun) -> Outcome:
    """Derive columns and measure them on what was written."""
    from crisp_spark.preparation.derive import class_counts, derive_frame, derived_metrics

    spec, goal = run.spec.preparation, run.spec.business.mining_goal
    frame = derive_frame(run.read("merged"), spec, goal, folder=run.project_dir)
    written = run.write("derived", frame)
    table = run.reread("derived")
    operations = derivations(spec, goal)
    names = [name for op in operations for name in op.names]
    measured = names + ([goal.target] if goal.target and goal.target not in names else [])
    found = derived_metrics(table, measured).collect()[0].asDict()
    measures = {name: _measures(found, number) for number, name in enumerate(measured)}
    rows = run.rows("merged")
    counts: dict[str, int] | None = None
    if goal.target and goal.problem in {"binary", "multiclass"}:
        collected = class_counts(table, goal.target).limit(200).collect()
        counts = {str(row["class"]): row["rows"] for row in collected}
    result = DeriveResult(
        population=PopulationReport(
            expression=spec.population.expression if spec.population else "",
            reason=spec.population.reason if spec.population else "",
            rows_in=rows,
            rows_kept=written.rows,
            rows_out=rows - written.rows,
        ),
        columns=[
            column
            for op in operations
            for column in _columns(run, op, table, measures, written.rows)
        ],
        target=_target(run, table, measures, counts),
        types={name: kind for name, kind in table.dtypes if not name.startswith("_crisp_")},
        excluded=excluded_columns(run.spec.data, spec, goal),
    )
    notes = [
        Note(f"{len(names)} columns derived, {written.rows:,} of {rows:,} rows in the population")
    ]
    return Outcome(result, notes, {"rows": float(written.rows)})


def _measures(found: Mapping[str, Any], number: int) -> dict[str, Any]:
    start = f"{number}_"
    return {key.removeprefix(start): value for key, value in found.items() if key.startswith(start)}


def _columns(
    run: StepRun,
    op: DeriveOp,
    table: DataFrame,
    measures: Mapping[str, Mapping[str, Any]],
    rows: int,
) -> list[DerivedColumn]:
    goal = run.spec.business.mining_goal
    late = outcome_columns(run.spec.data, run.spec.preparation, goal)
    excluded = {**late, **run.spec.preparation.exclude}
    known = {name.lower(): name for name in table.columns}
    texts = dict(op.sql())
    found = []
    for name in op.names:
        measure = measures[name]
        role = "target" if name == goal.target else "excluded" if name in excluded else "feature"
        found.append(
            DerivedColumn.model_validate(
                {
                    "name": name,
                    "kind": op.op,
                    "expression": texts.get(name) or _in_words(op),
                    "doc": op.doc,
                    "type": dict(table.dtypes)[name],
                    "uses": sorted(known[used] for used in op.inputs if used in known),
                    "role": role,
                    "why_excluded": excluded.get(name, "") if role == "excluded" else "",
                    "nulls": measure["nulls"],
                    "null_share": measure["nulls"] / rows if rows else None,
                    "distinct": measure.get("distinct"),
                    "min": _finite(measure.get("min")),
                    "max": _finite(measure.get("max")),
                    "mean": _number(measure.get("mean")),
                }
            )
        )
    return found


def _in_words(op: DeriveOp) -> str:
    if isinstance(op, Window):
        what = f" of {op.column}" if op.column else ""
        per = f" per {', '.join(op.partition_by)}" if op.partition_by else ""
        back = f" over {op.over}" if op.over else ""
        late = f", known after {op.known_after}" if op.known_after else ""
        return f"{op.function}{what} in earlier rows{per}{back}, by {op.order_by}{late}"
    return f"python {op.python}" if isinstance(op, DeriveHook) else op.op


def _target(
    run: StepRun,
    table: DataFrame,
    measures: Mapping[str, Mapping[str, Any]],
    counts: dict[str, int] | None,
) -> TargetReport | None:
    goal = run.spec.business.mining_goal
    if goal.target is None:
        return None
    measure = measures[goal.target]
    return TargetReport(
        name=goal.target,
        expression=goal.target_expression or "",
        type=dict(table.dtypes)[goal.target],
        classes=counts,
        mean=_number(measure.get("mean")),
        std=_number(measure.get("std")),
        min=_number(measure.get("min")),
        max=_number(measure.get("max")),
    )


def _number(value: Any) -> float | None:
    """A finite number, or None: JSON has no NaN."""
    finite = _finite(value)
    return float(finite) if isinstance(finite, int | float) else None


def _finite(value: Any) -> Any:
    from math import isfinite

    return None if isinstance(value, float) and not isfinite(value) else value
