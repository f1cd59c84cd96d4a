"""Rehearsal of derivations: missing columns, wrong types, columns that give the target away."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from crisp_spark.errors import CrispError, MissingColumnsError
from crisp_spark.spec.deriving import (
    BinColumn,
    Cyclic,
    DateParts,
    DeriveOp,
    Expression,
    Interaction,
    Ratio,
    TextTokens,
    Window,
)
from crisp_spark.spec.lineage import derivations, outcome_columns

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from crisp_spark.run.plan import Rehearsal

_GUESSED = re.compile(
    r"cast\((?P<name>[^#()]+)#\d+L? as "
    r"(?P<type>tinyint|smallint|int|bigint|float|double|decimal\(\d+,\d+\)|date|timestamp|boolean)\)"
)


def rehearse_derive(plan: Rehearsal, merged: DataFrame) -> DataFrame | None:
    """Derive on empty tables; returns the derived table as far as it could be made."""
    spec, goal = plan.project.spec.preparation, plan.project.spec.business.mining_goal
    try:
        operations = derivations(spec, goal)
    except ValueError as error:
        plan.fault(f"preparation.derive: {error}")
        return None
    from crisp_spark.preparation.analysis import user_columns

    derived = _derive(plan, merged, operations)
    _find_leaks(plan, merged, operations)
    if goal.target and goal.target not in derived.columns:
        failed = any(goal.target in op.names for op in operations)
        if not failed:
            missing = MissingColumnsError(
                "business.mining_goal.target", [goal.target], user_columns(derived)
            )
            plan.fault(f"{missing.message}; {missing.hint}")
    else:
        _check_positive(plan, derived)
    _check_population(plan, derived)
    return derived


def place_of(plan: Rehearsal, op: DeriveOp) -> str:
    """Where a derivation stands in the project file."""
    declared = plan.project.spec.preparation.derive
    for number, one in enumerate(declared):
        if one is op:
            return f"preparation.derive[{number}] {op.names[0]!r}"
    return "business.mining_goal.target_expression"


def _derive(plan: Rehearsal, merged: DataFrame, operations: list[DeriveOp]) -> DataFrame:
    from crisp_spark.preparation.derive import with_derivation

    frame, failed = merged, set[str]()
    for op in operations:
        names = {name.lower() for name in op.names}
        if op.inputs & failed:
            failed |= names  # the fault is that of the column it uses
            continue
        place = place_of(plan, op)
        rename = (f"preparation.derive {op.names[0]!r}", place)
        before = len(plan.report.faults)
        made = plan.attempt(
            lambda f=frame, o=op: with_derivation(f, o, folder=plan.project.project_dir),  # type: ignore[misc]
            rename=rename,
        )
        if made is not None:
            plan.attempt(lambda f=frame, o=op, p=place: _check_types(p, f, o))  # type: ignore[misc]
        if made is None or len(plan.report.faults) > before:
            failed |= names
        else:
            frame = made
    return frame


def _check_types(place: str, frame: DataFrame, op: DeriveOp) -> None:
    """Check what Spark would only find out row by row: texts taken for numbers or times."""
    from crisp_spark.preparation.analysis import need_type

    if isinstance(op, Cyclic | BinColumn):
        need_type(place, frame, [op.column], "number")
    elif isinstance(op, Ratio):
        need_type(place, frame, [op.numerator, op.denominator], "number")
    elif isinstance(op, Interaction) and op.kind == "product":
        need_type(place, frame, op.columns, "number")
    elif isinstance(op, DateParts):
        need_type(place, frame, [op.column], "moment")
    elif isinstance(op, TextTokens):
        need_type(place, frame, [op.column], "text")
    elif isinstance(op, Expression):
        check_guesses(place, frame, op.expression)


def check_guesses(place: str, frame: DataFrame, expression: str) -> None:
    """Refuse expressions in which Spark silently takes a text column for a number or time.

    Raises:
        SpecError: It does; the first bad value would stop the run.
    """
    from pyspark.sql import functions as F

    from crisp_spark.errors import SpecError

    if re.search(r"cast\s*\(|::", expression, re.IGNORECASE):
        return  # the writer has thought of types
    # Only the analysed plan tells which casts Spark put in by itself.
    query = frame.select(F.expr(expression))._jdf.queryExecution()  # noqa: SLF001
    plan = query.analyzed().toString()
    project = plan.split("\n", maxsplit=1)[0]
    texts = {name for name, kind in frame.dtypes if kind == "string"}
    for match in _GUESSED.finditer(project):
        if match["name"] in texts:
            raise SpecError(
                f"{place}: wrong type: column {match['name']!r} is a text, used as "
                f"{match['type']} in {expression!r}",
                hint="declare its type under data.sources, or cast it",
            )


def _find_leaks(plan: Rehearsal, merged: DataFrame, operations: list[DeriveOp]) -> None:
    """Derive once more without the columns known too late: what cannot be made then leaks."""
    from pyspark.sql import functions as F

    from crisp_spark.preparation.derive import with_derivation

    project = plan.project.spec
    spec, goal = project.preparation, project.business.mining_goal
    late = outcome_columns(project.data, spec, goal)
    reasons = {name.lower(): why for name, why in late.items()}
    safe = merged.drop(*(name for name in merged.columns if name in late))
    kinds = dict(merged.dtypes)
    for op in operations:
        if goal.target in op.names:
            continue
        exempt = isinstance(op, Window) and op.known_after is not None
        base = safe
        if exempt and isinstance(op, Window) and op.column in late and op.column in kinds:
            base = safe.withColumn(op.column, F.lit(None).cast(kinds[op.column]))
        try:
            made = with_derivation(base, op, folder=plan.project.project_dir)
        except MissingColumnsError as error:
            used = sorted(name for name in error.missing if name.lower() in reasons)
            if used and not all(name in spec.exclude for name in op.names):
                plan.fault(_leak(place_of(plan, op), op, used, reasons))
            reasons |= dict.fromkeys((n.lower() for n in op.names), "it uses " + ", ".join(used))
            continue
        except CrispError:
            continue  # reported by the first pass
        extra = [name for name in made.columns if name not in {*safe.columns, *op.names}]
        safe = made.drop(*extra)


def _leak(place: str, op: DeriveOp, used: list[str], reasons: dict[str, str]) -> str:
    why = "; ".join(f"{name!r}: {reasons[name.lower()]}" for name in used)
    names = ", ".join(map(repr, op.names))
    hint = f"take it out, or list {names} under preparation.exclude with a reason"
    if isinstance(op, Window):
        hint += ", or say known_after"
    return f"{place}: leaking column: it uses {why}; {hint}"


def _check_positive(plan: Rehearsal, derived: DataFrame) -> None:
    """The positive class must be a value that the target can have."""
    from crisp_spark.preparation.analysis import type_of
    from crisp_spark.preparation.constants import constant_or_none

    goal = plan.project.spec.business.mining_goal
    if goal.problem != "binary" or goal.target is None or goal.positive is None:
        return
    kind = type_of(derived, goal.target)
    if constant_or_none(kind, goal.positive) is None:
        plan.fault(
            f"business.mining_goal.positive: wrong type: {goal.target!r} is {kind.simpleString()}, "
            f"got {goal.positive!r}"
        )


def _check_population(plan: Rehearsal, derived: DataFrame) -> None:
    from crisp_spark.preparation.clean_rows import condition

    population = plan.project.spec.preparation.population
    if population is not None:
        place = "preparation.population.expression"
        found = plan.attempt(lambda: condition(place, derived, population.expression))
        if found is not None:
            plan.attempt(lambda: check_guesses(place, derived, population.expression))
