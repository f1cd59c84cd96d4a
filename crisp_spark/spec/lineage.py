"""Where columns come from, told from the project file alone: what may never become a feature."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from crisp_spark.spec.cleaning import Bin, CleanOp, FlagMissing, Outside, Select, Smooth
from crisp_spark.spec.data import DataSpec
from crisp_spark.spec.deriving import DeriveOp, Expression, Window, in_dependency_order
from crisp_spark.spec.merging import MergeSpec, MergeStep
from crisp_spark.spec.preparation import PreparationSpec


class Goal(Protocol):
    """What preparation needs to know of the mining goal."""

    @property
    def target(self) -> str | None:
        """Column to predict."""

    @property
    def target_expression(self) -> str | None:
        """Spark SQL of the target, where the column does not exist already."""


def derivations(spec: PreparationSpec, goal: Goal) -> list[DeriveOp]:
    """All derivations in the order they are applied; the target is the last of those it needs.

    Raises:
        ValueError: A derived column has the target's name and the goal has an expression too.
    """
    operations = list(spec.derive)
    if goal.target and goal.target_expression:
        if any(goal.target.lower() == name.lower() for op in operations for name in op.names):
            raise ValueError(
                f"{goal.target!r} is derived twice: by preparation.derive and by "
                "business.mining_goal.target_expression"
            )
        operations.append(
            Expression(name=goal.target, expression=goal.target_expression, doc="the target")
        )
    return in_dependency_order(operations)


def row_local_expressions(spec: PreparationSpec, goal: Goal) -> list[tuple[str, str]]:
    """Name and Spark SQL of every derived column that follows from the row alone, in order.

    The target, and whatever uses it, is left out: these expressions become the first stage of the
    deployed pipeline, where no target is known. Columns of windows and of Python functions are
    inputs of the pipeline, like merged columns.
    """
    known_late = {goal.target.lower()} if goal.target else set()
    found: list[tuple[str, str]] = []
    for op in derivations(spec, goal):
        if op.inputs & known_late:
            known_late |= {name.lower() for name in op.names}
        elif op.row_local:
            found += [pair for pair in op.sql() if pair[0].lower() not in known_late]
    return found


def outcome_columns(data: DataSpec, spec: PreparationSpec, goal: Goal) -> dict[str, str]:
    """Columns of the derived table that are known only after the prediction, each with the reason.

    These are the columns declared ``known_at: outcome`` under the names that cleaning and merging
    give them, the target, and every derived column that uses one of them; a window over an outcome
    is exempt where it says ``known_after``.
    """
    tables = {
        name: _after_cleaning(
            {
                column: f"{name}.{column} is known only with the outcome"
                for column, declared in source.columns.items()
                if declared.known_at == "outcome"
            },
            spec.clean.get(name, []),
        )
        for name, source in data.sources.items()
    }
    goal_source = getattr(goal, "target_source", None)
    late = dict(_after_merging(tables, spec.merge, goal_source))
    if goal.target:
        late[goal.target] = "it is the target"
    for op in derivations(spec, goal):
        lower = {name.lower(): name for name in late}
        used = sorted(lower[name] for name in op.inputs & set(lower))
        if isinstance(op, Window) and op.known_after is not None:
            used = []
        if used:
            late |= {name: f"it uses {', '.join(used)}" for name in op.names if name not in late}
    return late


def excluded_columns(data: DataSpec, spec: PreparationSpec, goal: Goal) -> dict[str, str]:
    """Columns that must not become a feature: those excluded by hand and those known too late."""
    return {**outcome_columns(data, spec, goal), **spec.exclude}


def _after_cleaning(late: dict[str, str], operations: Iterable[CleanOp]) -> dict[str, str]:
    """Follow late columns through the operations that take columns away or add some."""
    for op in operations:
        if isinstance(op, Select):
            gone = set(op.exclude) or set(late) - set(op.keep)
            late = {name: why for name, why in late.items() if name not in gone}
        if isinstance(op, Outside) and op.op != "flag_outside":
            continue
        if isinstance(op, FlagMissing | Bin | Smooth | Outside) and op.suffix:
            new = {f"{name}{op.suffix}": f"it uses {name}" for name in op.columns if name in late}
            late = {**late, **new}
    return late


def _after_merging(
    tables: dict[str, dict[str, str]], spec: MergeSpec, target_source: str | None
) -> Mapping[str, str]:
    known = dict(tables)
    for step in spec.steps:
        known[step.id] = _after_step(step, known)
    try:
        return known.get(spec.output(list(tables), target_source), {})
    except ValueError:
        return {}  # the merge step itself reports this


def _after_step(step: MergeStep, known: Mapping[str, dict[str, str]]) -> dict[str, str]:
    late = dict(known.get(step.left, {}))
    if step.how in {"semi", "anti"}:
        return late
    for member in step.members[1:]:
        for name, why in known.get(member, {}).items():
            new = taken_as(step, name)
            if new is not None:
                late[new] = why
    return _after_cleaning(late, step.reclean)


def taken_as(step: MergeStep, column: str) -> str | None:
    """Name that a right column has after a merge step, or None where it is not taken."""
    if step.how == "union":
        return column
    if step.columns is not None and column not in step.columns:
        return None
    if step.columns is None and column in step.keys.values():
        return None
    if step.columns is not None and step.columns[column] != column:
        return step.columns[column]
    return f"{step.prefix}{column}"


def row_local_names(spec: PreparationSpec, goal: Goal) -> list[str]:
    """Names of the columns of :func:`row_local_expressions`."""
    return [name for name, _ in row_local_expressions(spec, goal)]
