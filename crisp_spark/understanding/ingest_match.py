"""Which field of a file is which column: by name, by alias, and what to say when one is missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from crisp_spark.errors import suggest
from crisp_spark.results.ingest import IngestProblem
from crisp_spark.spec.data import FileSource, Source
from crisp_spark.understanding.ingest_layout import Fields, Layout, Target, layout_problem


@dataclass(frozen=True)
class Expectation:
    """What the files of a source usually have."""

    columns: frozenset[str]
    order: tuple[str, ...]


def match_layout(
    source: Source, targets: Sequence[Target], group: Fields, usual: Expectation
) -> tuple[Layout, list[IngestProblem]]:
    """Find the field of each column in a group of files, and note what is not as usual."""
    twice = duplicate_names(group.names) if group.ordered else []
    if twice:
        reason = f"the header names column {twice[0]!r} twice"
        found = layout_problem(
            "duplicate_header", group, reason, column=twice[0], hint="rename one"
        )
        return Layout(group, {}, reason, unusable=True), [found]
    places: dict[str, str] = {}
    problems: list[IngestProblem] = []
    for target in targets:
        name = _field_of(target, group.names, loose=group.ordered)
        if name is None:
            continue
        places[target.name] = name
        if name != target.name and name not in target.spec.aliases:
            text = f"has {name!r}, taken as {target.name!r}"
            problems.append(
                layout_problem("header_spelling", group, text, column=target.name, level="info")
            )
    missing = [
        target.name
        for target in targets
        if target.name not in places and target.name in usual.columns
    ]
    problems += [_missing(name, group, places, usual) for name in missing]
    if group.ordered and not missing and _reordered(group, usual):
        text = "columns in another order than in most files"
        problems.append(layout_problem("reordered_columns", group, text, level="info"))
    if group.ordered and not places:
        return Layout(group, {}, "the header names none of the columns", unusable=True), problems
    return Layout(group, places, _reject_reason(source, missing)), problems


def duplicate_names(names: Iterable[str]) -> list[str]:
    """Names that occur twice when case is ignored, as Spark ignores it."""
    seen: set[str] = set()
    twice: dict[str, None] = {}
    for name in names:
        if name.lower() in seen:
            twice[name] = None
        seen.add(name.lower())
    return list(twice)


def _field_of(target: Target, names: Sequence[str], *, loose: bool) -> str | None:
    """The field that holds a column: by name, by alias, then without regard to case and space.

    JSON keys are read as they are written, so they must match exactly.
    """
    known = (target.name, *target.spec.aliases)
    for name in known:
        if name in names:
            return name
    alike = {name.strip().lower() for name in known} if loose else set()
    return next((name for name in names if name.strip().lower() in alike), None)


def _missing(
    column: str, group: Fields, places: dict[str, str], usual: Expectation
) -> IngestProblem:
    taken = {place for name, place in places.items() if name in usual.columns}
    free = [name for name in group.names if name not in taken]
    renamed = suggest(column, free) or _same_position(column, group, usual.order, free)
    if renamed is None:
        return layout_problem("missing_column", group, f"has no column {column!r}", column=column)
    return layout_problem(
        "renamed_column",
        group,
        f"has no column {column!r} but {renamed!r}, which looks like the same",
        column=column,
        hint=f"declare `aliases: [{renamed}]` for column {column!r}",
    )


def _same_position(
    column: str, group: Fields, order: Sequence[str], free: Sequence[str]
) -> str | None:
    """The unknown field that stands between the neighbours that the column usually has."""
    if not group.ordered or column not in order:
        return None
    neighbours = _neighbours(order, order.index(column))
    return next(
        (
            name
            for index, name in enumerate(group.names)
            if name in free and _neighbours(group.names, index) == neighbours
        ),
        None,
    )


def _neighbours(names: Sequence[str], index: int) -> tuple[str | None, str | None]:
    return (
        names[index - 1] if index else None,
        names[index + 1] if index + 1 < len(names) else None,
    )


def _reordered(group: Fields, usual: Expectation) -> bool:
    """Whether the fields shared with most files come in another order."""
    return [name for name in usual.order if name in group.names] != [
        name for name in group.names if name in usual.order
    ]


def _reject_reason(source: Source, missing: Sequence[str]) -> str:
    keyless = [name for name in source.key if name in missing]
    if keyless:
        return f"the file has no column {keyless[0]!r}, which belongs to the key"
    strict = isinstance(source, FileSource) and source.on_missing_column == "reject"
    if strict and missing:
        return f"the file has no column {', '.join(map(repr, missing))}"
    return ""
