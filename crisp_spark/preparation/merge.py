"""Merging: sources become one table, step by step, and the nulls this makes are cleaned again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from crisp_spark.errors import SpecError, suggest
from crisp_spark.preparation.analysis import FILE, ROW, column, need_new_names, user_columns
from crisp_spark.preparation.asof import join_asof
from crisp_spark.preparation.clean_cells import new_values
from crisp_spark.preparation.joining import Joined, join_equal
from crisp_spark.preparation.union import union_frames
from crisp_spark.spec import cleaning as ops
from crisp_spark.spec.merging import MergeSpec, MergeStep


@dataclass(frozen=True)
class Merged:
    """All steps, lazily.

    Attributes:
        output: Name of the step or source that is the merged table.
        frame: The merged table, with the flags of its steps.
        steps: Steps that the output is made of, in order.
    """

    output: str
    frame: DataFrame
    steps: tuple[Joined, ...]


def merge_sources(
    sources: Mapping[str, DataFrame], spec: MergeSpec, target_source: str | None = None
) -> Merged:
    """Make the merged table.

    Args:
        sources: Cleaned sources by name.
        spec: Steps.
        target_source: Source that is the merged table where there are several and no steps.

    Raises:
        MissingColumnsError: A key or column is not there.
        SpecError: A step does not fit its inputs, or is not used by the output.

    Rows: as the steps say. Adds: flags. Drops: reserved columns but file and row. Jobs: none.
    """
    own = {ROW, FILE}
    frames = {
        name: frame.select(*map(column, [*user_columns(frame), *sorted(own & set(frame.columns))]))
        for name, frame in sources.items()
    }
    bases: dict[str, DataFrame] = dict(frames)
    try:
        output = spec.output(list(sources), target_source)
    except ValueError as error:
        names = ", ".join([*sources, *(step.id for step in spec.steps)])
        raise SpecError(
            f"preparation.merge: {error}", hint=f"sources and steps: {names}"
        ) from error
    used = _needed_steps(spec, output, set(sources))
    steps = []
    for number, step in used:
        place = f"preparation.merge.steps[{number}] {step.id!r}"
        joined = merge_step(place, step, [frames[name] for name in step.members])
        base = bases[step.left] if joined.keeps_rows else joined.frame
        frames[step.id], bases[step.id] = joined.frame, base
        steps.append(replace(joined, base=bases[step.left]))
    return Merged(output, frames[output], tuple(steps))


def merge_step(place: str, step: MergeStep, inputs: list[DataFrame]) -> Joined:
    """Carry out one step and clean the nulls it makes.

    Rows: as ``how`` says. Adds: right columns, flags. Drops: right keys. Jobs: none.
    """
    if step.how == "union":
        joined = union_frames(place, step, inputs)
    elif step.how == "asof":
        joined = join_asof(place, step, *inputs)
    else:
        joined = join_equal(place, step, *inputs)
    frame, added = joined.frame, list(joined.added)
    for number, op in enumerate(step.reclean):
        before = set(frame.columns)
        frame = _reclean(f"{place}.reclean[{number}] {op.op}", frame, op, joined.absent)
        added += [name for name in frame.columns if name not in before]
    return replace(joined, frame=frame, added=tuple(added))


def _reclean(
    place: str, frame: DataFrame, op: ops.CleanOp, absent: Mapping[str, Column]
) -> DataFrame:
    """Clean cells that the merge left empty; all other cells stay as they are."""
    _check_touched(place, op, absent)
    values = new_values(place, frame, op)
    known = set(frame.columns)
    need_new_names(place, frame, [name for name in values if name not in known])
    changed: dict[str, Column] = {}
    for name, value in values.items():
        if name in known:
            if name in absent:
                changed[name] = F.when(absent[name], value).otherwise(column(name))
        else:
            source = name.removesuffix(getattr(op, "suffix", ""))
            changed[name] = F.when(absent[source], value).otherwise(F.lit(0))
    return frame.withColumns(changed)


def _check_touched(place: str, op: ops.CleanOp, absent: Mapping[str, Column]) -> None:
    columns = getattr(op, "columns", [])
    named = [] if columns == "*" else list(columns)
    if isinstance(op, ops.Fill):
        named += op.values
    foreign = [name for name in named if name not in absent]
    if foreign:
        near = suggest(foreign[0], absent)
        raise SpecError(
            f"{place}: this merge puts no nulls into {', '.join(map(repr, foreign))}",
            hint=(f"did you mean {near!r}? " if near else "")
            + f"columns it brings in: {', '.join(absent)}",
        )


def _needed_steps(spec: MergeSpec, output: str, sources: set[str]) -> list[tuple[int, MergeStep]]:
    by_id = {step.id: step for step in spec.steps}
    shadowed = sorted(sources & set(by_id))
    if shadowed:
        raise SpecError(
            f"preparation.merge: {', '.join(map(repr, shadowed))} names a source and a step",
            hint="give the step another id",
        )
    needed: set[str] = set()
    waiting = [output]
    while waiting:
        name = waiting.pop()
        if name in by_id and name not in needed:
            needed.add(name)
            waiting += by_id[name].members
    for number, step in enumerate(spec.steps):
        place = f"preparation.merge.steps[{number}] {step.id!r}"
        for name in step.members:
            if name not in sources and name not in by_id:
                near = suggest(name, [*sources, *by_id])
                raise SpecError(
                    f"{place}: no source or step {name!r}",
                    hint=(f"did you mean {near!r}? " if near else "")
                    + f"sources and steps: {', '.join([*sorted(sources), *by_id])}",
                )
        if step.id not in needed:
            raise SpecError(
                f"{place}: its output is used by nothing",
                hint=f"the merged table is {output!r}; use the step in it, or remove it",
            )
    return [(n, step) for n, step in enumerate(spec.steps) if step.id in needed]
