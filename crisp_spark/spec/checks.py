"""Checks across the blocks of a project file: names that must exist, values that can be reached.

Each check gets the blocks that are sound by themselves (one that has faults of its own is absent)
and says what does not fit together, with the place in the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from pydantic import BaseModel

from crisp_spark.spec.business import BusinessSpec
from crisp_spark.spec.checks_criteria import criterion_faults
from crisp_spark.spec.data import DataSpec, Source
from crisp_spark.spec.evaluation import EvaluationSpec
from crisp_spark.spec.faults import Fault, Place, nearest, parse_place
from crisp_spark.spec.lineage import derivations
from crisp_spark.spec.modeling import ModelingSpec
from crisp_spark.spec.preparation import PreparationSpec
from crisp_spark.spec.project import ProjectInfo
from crisp_spark.spec.quality import BoundRule, bind_rules

_USER_IN_URL = re.compile(r"://[^/@\s]+:[^/@\s]+@")


@dataclass(frozen=True)
class Blocks:
    """The sound blocks of a project file."""

    project: ProjectInfo | None = None
    business: BusinessSpec | None = None
    data: DataSpec | None = None
    preparation: PreparationSpec | None = None
    modeling: ModelingSpec | None = None
    evaluation: EvaluationSpec | None = None


def check_project(parts: Mapping[str, BaseModel]) -> list[Fault]:
    """Check the sound blocks of a project file together."""
    known = {name: part for name, part in parts.items() if name in Blocks.__dataclass_fields__}
    blocks = Blocks(**known)  # type: ignore[arg-type]  # the loader validated each by its class
    return [fault for check in _CHECKS for fault in check(blocks)]


def _no_secret_in_addresses(blocks: Blocks) -> Iterator[Fault]:
    if blocks.project:
        for name in ("tracking_uri", "workspace"):
            if _USER_IN_URL.search(getattr(blocks.project, name)):
                what = "holds user and password (not shown)"
                hint = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead"
                yield Fault(("project", name), what, hint)


def _some_sources(blocks: Blocks) -> Iterator[Fault]:
    if blocks.data is not None and not blocks.data.sources:
        yield Fault(("data", "sources"), "no source is declared", "name at least one")


def _goal_names_a_source(blocks: Blocks) -> Iterator[Fault]:
    if blocks.business and blocks.data and blocks.data.sources:
        source = blocks.business.mining_goal.target_source
        if source and source not in blocks.data.sources:
            place: Place = ("business", "mining_goal", "target_source")
            yield _no_such("source", source, place, blocks.data.sources)


def _no_such(kind: str, name: str, place: Place, valid: Mapping[str, object] | set[str]) -> Fault:
    names = sorted(valid) if isinstance(valid, set) else valid
    return Fault(place, f"no {kind} {name!r}", nearest(name, names, kind=f"{kind}s"))


def _clean_names_sources(blocks: Blocks) -> Iterator[Fault]:
    if blocks.preparation and blocks.data:
        for name in blocks.preparation.clean:
            if name not in blocks.data.sources:
                place: Place = ("preparation", "clean", name)
                yield _no_such("source", name, place, blocks.data.sources)


def _merge_names_tables(blocks: Blocks) -> Iterator[Fault]:
    if not (blocks.preparation and blocks.data and blocks.data.sources):
        return
    merge, sources = blocks.preparation.merge, blocks.data.sources
    tables = dict.fromkeys(sources)
    for number, step in enumerate(merge.steps):
        place: Place = ("preparation", "merge", "steps", number)
        if step.id in sources:
            what = f"{step.id!r} is a source already"
            yield Fault((*place, "id"), what, "give the step another id")
        for side, names in (
            ("left", [step.left]),
            ("right", [step.right] if step.right else []),
            ("inputs", step.inputs),
        ):
            for name in names:
                if name not in tables:
                    valid = {**tables}
                    hint = nearest(name, valid, kind="sources and earlier steps")
                    yield Fault((*place, side), f"no source or earlier step {name!r}", hint)
        tables[step.id] = None
    goal = blocks.business.mining_goal if blocks.business else None
    try:
        merge.output(list(sources), goal.target_source if goal else None)
    except ValueError as error:
        if goal or merge.output_of:
            place = ("preparation", "merge", *(["output_of"] if merge.output_of else []))
            yield Fault(place, str(error))


def _derivations_fit(blocks: Blocks) -> Iterator[Fault]:
    if blocks.preparation and blocks.business:
        try:
            derivations(blocks.preparation, blocks.business.mining_goal)
        except ValueError as error:
            yield Fault(("preparation", "derive"), str(error))


def _split_fits(blocks: Blocks) -> Iterator[Fault]:
    if not (blocks.preparation and blocks.business and blocks.data):
        return
    split, goal = blocks.preparation.split, blocks.business.mining_goal
    has_classes = goal.problem in {"binary", "multiclass"}
    if split.kind == "stratified" and not (split.stratify_by or has_classes):
        what = f"stratified needs classes, got a {goal.problem} goal"
        hint = "name columns under stratify_by, or use kind: hash"
        yield Fault(("preparation", "split", "kind"), what, hint)
    source = blocks.data.sources.get(goal.target_source or "")
    if split.later and not (split.later.time or split.time or (source and source.time)):
        what = "no time column is known"
        hint = "give time here, or on the target's source"
        yield Fault(("preparation", "split", "later"), what, hint)


def _modeling_fits_the_problem(blocks: Blocks) -> Iterator[Fault]:
    if blocks.modeling and blocks.business:
        for text in blocks.modeling.faults(blocks.business.mining_goal.problem):
            head, _, what = text.partition(": ")
            place = parse_place(head) or ("modeling",)
            if place[0] == "families":
                labels = [family.label for family in blocks.modeling.families]
                number = labels.index(str(place[1])) if place[1] in labels else 0
                place = ("modeling", "families", number)
            yield Fault(place if what else ("modeling", "families"), what or text)


def _values_fit_the_problem(blocks: Blocks) -> Iterator[Fault]:
    if not blocks.business:
        return
    values, problem = blocks.business.outcome_values, blocks.business.mining_goal.problem
    place: Place = ("business", "outcome_values")
    if values is not None and values.per_outcome != (problem == "binary"):
        wanted = {"binary": "tp, fp, fn and tn", "regression": "cost_per_unit_error"}.get(problem)
        hint = f"give {wanted}" if wanted else "leave them out"
        yield Fault(place, f"these values do not fit a {problem} problem", hint)
    threshold = blocks.evaluation.threshold if blocks.evaluation else None
    if threshold and threshold.by == "outcome_values" and values is None:
        what = "outcome_values is asked for, but the business declares none"
        hint = "add business.outcome_values, or use by: metric"
        yield Fault(("evaluation", "threshold", "by"), what, hint)
    if blocks.modeling and values is None:
        for name in blocks.modeling.needs_values(problem):
            what = "this needs business.outcome_values, and the business declares none"
            yield Fault(("modeling", name), what, "add business.outcome_values")


def _criteria_can_be_met(blocks: Blocks) -> Iterator[Fault]:
    if blocks.business:
        later = blocks.preparation.split.later is not None if blocks.preparation else True
        yield from criterion_faults(blocks.business, has_later=later)


def _conditions_name_rules(blocks: Blocks) -> Iterator[Fault]:
    if not (blocks.business and blocks.data):
        return
    rules = {rule.name for name in blocks.data.sources for rule in _rules(blocks.data, name)}
    for block in ("requirements", "assumptions", "constraints"):
        for number, condition in enumerate(getattr(blocks.business, block)):
            if condition.rule and condition.rule not in rules:
                place: Place = ("business", block, number, "rule")
                yield _no_such("rule", condition.rule, place, rules)


def _rules(data: DataSpec, name: str) -> tuple[BoundRule, ...]:
    source = data.sources[name]
    columns = {column: spec.rules for column, spec in source.columns.items()}
    return bind_rules(name, columns, source.rules)


def _rules_name_columns(blocks: Blocks) -> Iterator[Fault]:
    """Where a source takes declared columns only, its rules can be held against them."""
    if blocks.data is None:
        return
    for name, source in blocks.data.sources.items():
        if source.infer or not source.columns:
            continue
        for rule in _rules(blocks.data, name):
            for column in rule.columns:
                if column not in source.columns:
                    place = parse_place(rule.place) or ("data", "sources", name)
                    yield _no_such("column", column, place, source.columns)


def _keys_name_columns(blocks: Blocks) -> Iterator[Fault]:
    """Where all columns are declared, the columns that split and goal name must be among them."""
    known = _all_columns(blocks)
    if known is None or not (blocks.preparation and blocks.business):
        return
    split, goal = blocks.preparation.split, blocks.business.mining_goal
    named: list[tuple[Place, tuple[str, ...] | list[str]]] = [
        (("preparation", "split", "key"), split.key),
        (("preparation", "split", "group"), split.group),
        (("preparation", "split", "stratify_by"), split.stratify_by),
        (("preparation", "split", "time"), [split.time] if split.time else []),
        (("business", "mining_goal", "key"), goal.key),
    ]
    for place, names in named:
        for name in names:
            if name not in known:
                yield _no_such("column", name, place, known)


def _all_columns(blocks: Blocks) -> set[str] | None:
    """Return every column name there can be, or None where it cannot be told from the file."""
    if not (blocks.data and blocks.preparation and blocks.business):
        return None
    sources: list[Source] = list(blocks.data.sources.values())
    if not sources or any(source.infer or not source.columns for source in sources):
        return None
    found = {name for source in sources for name in source.columns}
    goal = blocks.business.mining_goal
    found |= {goal.target} if goal.target else set()
    found |= {name for op in blocks.preparation.derive for name in op.names}
    for step in blocks.preparation.merge.steps:
        found |= set((step.columns or {}).values())
        found |= {f"{step.prefix}{name}" for name in list(found)} if step.prefix else set()
    suffixes = {
        getattr(op, "suffix", "") for ops in blocks.preparation.clean.values() for op in ops
    }
    return found | {f"{name}{suffix}" for name in found for suffix in suffixes if suffix}


_CHECKS: tuple[Callable[[Blocks], Iterator[Fault]], ...] = (
    _no_secret_in_addresses,
    _some_sources,
    _goal_names_a_source,
    _clean_names_sources,
    _merge_names_tables,
    _derivations_fit,
    _split_fits,
    _modeling_fits_the_problem,
    _values_fit_the_problem,
    _criteria_can_be_met,
    _conditions_name_rules,
    _rules_name_columns,
    _keys_name_columns,
)
