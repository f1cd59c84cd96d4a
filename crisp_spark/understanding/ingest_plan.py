"""How the files of a source become one table: which columns, and where each file has them.

Plain Python: everything here is decided from names, before Spark reads a row.
"""

from __future__ import annotations

from collections.abc import Sequence

from crisp_spark.errors import DataError
from crisp_spark.results.ingest import ColumnReceipt, IngestProblem
from crisp_spark.spec.columns import RESERVED_PREFIX
from crisp_spark.spec.data import ColumnSpec, Source
from crisp_spark.understanding.ingest_layout import (
    Fields,
    IngestPlan,
    Layout,
    Target,
    layout_problem,
)
from crisp_spark.understanding.ingest_match import Expectation, match_layout
from crisp_spark.understanding.sourcefiles import SourceFile


def plan_ingest(
    place: str,
    source: Source,
    groups: Sequence[Fields],
    *,
    frozen: Sequence[ColumnReceipt] = (),
    path_names: Sequence[str] = (),
) -> IngestPlan:
    """Decide columns and layouts of a source.

    Args:
        place: Source, for messages.
        source: What is declared.
        groups: Files by their fields, in order of the first file's name.
        frozen: Columns of an earlier run; where given, new fields are noted and left out.
        path_names: Columns that folders such as ``month=01`` give.

    Raises:
        DataError: A reserved name, or a header with a name twice where bad files are fatal.
    """
    _refuse_reserved(place, groups)
    targets = _targets(source, groups, frozen if source.infer else (), path_names)
    typical = _typical_names(targets, groups, {column.name for column in frozen})
    # What most files look like; with a draw the first.
    usual = max(groups, key=lambda group: len(group.files)).names if groups else ()
    problems: list[IngestProblem] = []
    layouts: list[Layout] = []
    for group in groups:
        layout, found = match_layout(source, targets, group, Expectation(typical, usual))
        layouts.append(layout)
        problems += found
    problems += _extra_columns(source, targets, layouts)
    return IngestPlan(targets, tuple(layouts), tuple(problems))


def _refuse_reserved(place: str, groups: Sequence[Fields]) -> None:
    for group in groups:
        for name in group.names:
            if name.startswith(RESERVED_PREFIX):
                raise DataError(
                    f"{place}: {group.files[0].name} has a column {name!r}",
                    hint=f"names starting with {RESERVED_PREFIX} are reserved; rename it",
                )


def _targets(
    source: Source,
    groups: Sequence[Fields],
    frozen: Sequence[ColumnReceipt],
    path_names: Sequence[str],
) -> tuple[Target, ...]:
    known = {column.name: column for column in frozen}
    found: dict[str, Target] = {}
    for name, spec in source.columns.items():
        earlier = known.get(name)
        if spec.type is None and earlier is not None:
            found[name] = Target(name, earlier.type, earlier.origin, spec)
        else:
            path = name in path_names and spec.type is None
            found[name] = Target(
                name, "string" if path else spec.type, "path" if path else "declared", spec
            )
    for column in frozen:
        if column.name not in found:
            found[column.name] = Target(column.name, column.type, column.origin, ColumnSpec())
    if not source.infer or frozen:
        return tuple(found.values())
    taken = {
        known.lower() for name, target in found.items() for known in (name, *target.spec.aliases)
    }
    everywhere = [(name, "inferred") for group in groups for name in group.names]
    everywhere += [(name, "path") for name in path_names]
    for name, origin in everywhere:
        if name.strip().lower() in taken:
            continue
        taken.add(name.strip().lower())
        path = origin == "path"
        found[name] = Target(
            name, "string" if path else None, "path" if path else "inferred", ColumnSpec()
        )
    return tuple(found.values())


def _typical_names(
    targets: Sequence[Target], groups: Sequence[Fields], frozen: set[str]
) -> frozenset[str]:
    """Which columns the source is expected to have in every file.

    Declared and frozen ones always; one that was only found counts when at least half of the
    files have it, so that a column renamed in one file does not look missing in all others.
    """
    files = sum(len(group.files) for group in groups)
    typical = set()
    for target in targets:
        names = {name.lower() for name in (target.name, *target.spec.aliases)}
        having = sum(
            len(group.files) for group in groups if names & {name.lower() for name in group.names}
        )
        known = target.origin == "declared" or target.name in frozen
        if target.origin != "path" and (known or 2 * having >= files):
            typical.add(target.name)
    return frozenset(typical)


def _extra_columns(
    source: Source, targets: Sequence[Target], layouts: Sequence[Layout]
) -> list[IngestProblem]:
    """Fields that no column takes, one problem each."""
    having: dict[str, list[Layout]] = {}
    for layout in layouts:
        taken = set(layout.places.values())
        for name in layout.fields.names if layout.places else ():
            if name not in taken:
                having.setdefault(name, []).append(layout)
    why = "not declared" if not source.infer else "not among the columns kept from the first run"
    problems = []
    for name, found in having.items():
        files = tuple(file for layout in found for file in layout.fields.files)
        problems.append(
            layout_problem(
                "extra_column",
                Fields((), files),
                f"has column {name!r}, which is {why} and was left out",
                column=name,
                hint=f"declare column {name!r} to read it",
                level="info",
            )
        )
    rare = _rare_columns(targets, layouts)
    return problems + [
        layout_problem(
            "extra_column",
            Fields((), files),
            f"has column {name!r}, which most files lack; it is null there",
            column=name,
            level="info",
        )
        for name, files in rare.items()
    ]


def _rare_columns(
    targets: Sequence[Target], layouts: Sequence[Layout]
) -> dict[str, tuple[SourceFile, ...]]:
    """Columns taken from less than half of the files."""
    total = sum(len(layout.fields.files) for layout in layouts)
    rare = {}
    for target in targets:
        files = tuple(
            file
            for layout in layouts
            if target.name in layout.places
            for file in layout.fields.files
        )
        if target.origin == "inferred" and files and 2 * len(files) < total:
            rare[target.name] = files
    return rare
