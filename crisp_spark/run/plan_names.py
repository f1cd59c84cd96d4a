"""Rehearsal of everything that names columns: keys, rules, splits, features, slices, baselines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from crisp_spark.errors import MissingColumnsError, SpecError, suggest
from crisp_spark.run.plan_sources import KnownColumns
from crisp_spark.spec.features import is_pattern
from crisp_spark.spec.lineage import excluded_columns, outcome_columns
from crisp_spark.spec.quality import Expression, Relationships, bind_rules

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from crisp_spark.run.plan import Rehearsal


def check_source_names(
    plan: Rehearsal, frames: Mapping[str, DataFrame], known: Mapping[str, KnownColumns]
) -> None:
    """Check keys, times and rules of every source whose columns are known."""
    from crisp_spark.preparation.clean_rows import condition

    for name, source in plan.project.spec.data.sources.items():
        if not known[name].complete:
            continue
        frame, place = frames[name], f"data.sources.{name}"
        _need(plan, f"{place}.key", source.key, frame.columns)
        _need(plan, f"{place}.time", [source.time] if source.time else [], frame.columns)
        columns = {column: spec.rules for column, spec in source.columns.items()}
        for bound in bind_rules(name, columns, source.rules):
            _need(plan, bound.place, bound.columns, frame.columns)
            if isinstance(bound.rule, Expression):
                plan.attempt(lambda b=bound, f=frame: condition(b.place, f, b.rule.sql))  # type: ignore[misc]
            if isinstance(bound.rule, Relationships):
                other = known.get(bound.rule.to)
                if other is not None and other.complete:
                    _need(plan, bound.place, [bound.rule.field], other.types)


def check_later_names(plan: Rehearsal, derived: DataFrame) -> None:
    """Check the split, features, baselines, slices and criteria against the derived table."""
    spec = plan.project.spec
    _check_split(plan, derived)
    _check_features(plan, derived.columns)
    _check_baselines(plan, derived)
    names = derived.columns
    _need(plan, "preparation.exclude", spec.preparation.exclude, names)
    _need(plan, "evaluation.slices", spec.evaluation.slices, names)
    drawn = spec.evaluation.partial_dependence or []
    _need(plan, "evaluation.partial_dependence", drawn, names)
    _need(plan, "business.mining_goal.key", spec.business.mining_goal.key, names)
    goal = spec.business.mining_goal
    _need(plan, "business.mining_goal", [n for n in (goal.user, goal.item) if n], names)
    for number, criterion in enumerate(spec.business.criteria):
        if criterion.slice_column:
            place = f"business.criteria[{number}].slice"
            _need(plan, place, [criterion.slice_column], names)


def _check_split(plan: Rehearsal, derived: DataFrame) -> None:
    from crisp_spark.preparation.split import split_rule, with_parts

    spec = plan.project.spec
    goal, split = spec.business.mining_goal, spec.preparation.split
    source = spec.data.sources.get(goal.target_source or "")
    rule = plan.attempt(
        lambda: split_rule(
            split, goal, seed=spec.project.seed, source_time=source.time or None if source else None
        )
    )
    if rule is not None:
        plan.attempt(lambda: with_parts(derived, rule))


def _check_features(plan: Rehearsal, names: Iterable[str]) -> None:
    spec = plan.project.spec
    goal = spec.business.mining_goal
    never = excluded_columns(spec.data, spec.preparation, goal)
    features = [name for name in names if name not in never and not name.startswith("_crisp_")]
    made = {getattr(op, "name", "") for op in spec.preparation.features}
    for number, op in enumerate(spec.preparation.features):
        place = f"preparation.features[{number}] {op.op}"
        plain = [entry for entry in op.columns if not is_pattern(entry)]
        for entry in plain:
            if entry in never:
                word = "leaking column" if entry not in spec.preparation.exclude else "excluded"
                plan.fault(f"{place}: {word}: {entry!r} cannot be a feature: {never[entry]}")
        unknown = [entry for entry in plain if entry not in never and entry not in made]
        _need(plan, place, unknown, features)
        by = [*getattr(op, "by", ()), *getattr(op, "using", ())]
        _need(plan, place, by, list(names))


def _check_baselines(plan: Rehearsal, derived: DataFrame) -> None:
    from pyspark.sql import functions as F

    from crisp_spark.preparation.analysis import analysed

    spec = plan.project.spec
    late = outcome_columns(spec.data, spec.preparation, spec.business.mining_goal)
    safe = derived.drop(*(name for name in derived.columns if name in late))
    for number, baseline in enumerate(spec.modeling.baselines):
        place = f"modeling.baselines[{number}] {baseline.name!r}"

        def tried(place: str = place, rule: str = baseline.rule) -> None:
            with analysed(place, safe):
                safe.select(F.expr(rule))

        try:
            tried()
        except MissingColumnsError as error:
            used = [name for name in error.missing if name in late]
            if used:
                why = "; ".join(f"{name!r}: {late[name]}" for name in used)
                plan.fault(f"{place}: leaking column: the rule uses {why}")
            else:
                plan.attempt(tried)
        except SpecError:
            plan.attempt(tried)


def _need(plan: Rehearsal, place: str, wanted: Iterable[str], known: Iterable[str]) -> None:
    """Note the names that are not there, with the nearest that are."""
    names = [name for name in known if not name.startswith("_crisp_")]
    for name in wanted:
        if name not in names and not name.startswith("_crisp_"):
            near = suggest(name, names)
            hint = f"did you mean {near!r}? " if near else ""
            plan.fault(
                f"{place}: no such column {name!r}; {hint}available: {', '.join(sorted(names))}"
            )
