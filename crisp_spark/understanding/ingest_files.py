"""Sources made of files, kind by kind: which are sound, how they are read, what was counted."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from crisp_spark.errors import DataError
from crisp_spark.results.ingest import ColumnReceipt, IngestProblem
from crisp_spark.spec.data import CsvSource, FileSource, JsonSource, TextSource
from crisp_spark.understanding import ingest_csv, ingest_json
from crisp_spark.understanding.ingest_columnar import (
    frame_records,
    from_files,
    open_files,
    read_footers,
)
from crisp_spark.understanding.ingest_infer import column_types, infer_text_types
from crisp_spark.understanding.ingest_layout import Fields, IngestPlan
from crisp_spark.understanding.ingest_lines import (
    INVALID,
    LINE,
    LineCount,
    count_lines,
    read_lines,
    text_columns,
    without_headers,
)
from crisp_spark.understanding.ingest_plan import plan_ingest
from crisp_spark.understanding.ingest_records import (
    EARLY,
    FILE,
    SOUND,
    Records,
    early_reasons,
    path_value,
    raw,
)
from crisp_spark.understanding.ingest_types import wider_type
from crisp_spark.understanding.sourcefiles import (
    HEAD_BYTES,
    FileReader,
    SourceFile,
    SourceFiles,
    attempt,
    for_each,
)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_PATH_COLUMN = re.compile(r"([^/=]+)=[^/]*/")
_LISTED_FAULTS = 20


@dataclass(frozen=True)
class Read:
    """What reading a source gave.

    Attributes:
        plan: Columns, all with types, and layouts.
        records: Records, one frame per layout.
        rows: Records per file, counted before anything was parsed.
        lines: Physical lines per file, for text read line by line.
        left_out: Files that cannot be read, with the reason.
        problems: What was noticed, besides the plan's own problems.
    """

    plan: IngestPlan
    records: tuple[Records, ...]
    rows: Mapping[str, int]
    lines: Mapping[str, LineCount] | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[IngestProblem, ...] = ()


@dataclass(frozen=True)
class FileJob:
    """The files of a source and all that is needed to read them."""

    spark: SparkSession
    place: str
    source: FileSource
    reader: FileReader
    found: SourceFiles
    frozen: tuple[ColumnReceipt, ...] = ()

    def read(self) -> Read:
        """Read the files as the source's kind says.

        Rows: none yet · Adds: nothing · Drops: nothing · Jobs: at most 3
        """
        damage = for_each(self.found.files, self.reader.damage)
        left_out = {
            file.name: fault for file, fault in zip(self.found.files, damage, strict=True) if fault
        }
        files = [file for file in self.found.files if file.name not in left_out]
        source = self.source
        if isinstance(source, CsvSource):
            return _read_csv(self, source, files, left_out)
        if isinstance(source, JsonSource):
            return _read_json(self, source, files, left_out)
        if isinstance(source, TextSource):
            return _read_text(self, source, files, left_out)
        return _read_columnar(self, files, left_out)

    def refuse(self, faults: Mapping[str, str]) -> None:
        """Stop at bad files where the source says so.

        Raises:
            DataError: There are bad files and they are fatal.
        """
        if not faults or self.source.on_bad_file == "reject":
            return
        listed = [f"{name}: {fault}" for name, fault in list(faults.items())[:_LISTED_FAULTS]]
        more = len(faults) - len(listed)
        raise DataError(
            f"{self.place}: {len(faults)} of {len(self.found.files)} files cannot be used:\n  - "
            + "\n  - ".join([*listed, *([f"and {more} more"] if more else [])]),
            hint="mend or remove them, or set on_bad_file: reject to leave them out",
        )

    def path_names(self) -> tuple[str, ...]:
        """Columns that every file has in its path."""
        if not self.source.path_columns:
            return ()
        each = [_PATH_COLUMN.findall(file.name) for file in self.found.files]
        return tuple(name for name in each[0] if all(name in names for names in each))

    def plan(self, groups: Sequence[Fields]) -> IngestPlan:
        """Plan columns and layouts; headers that cannot be used count as bad files."""
        plan = plan_ingest(
            self.place, self.source, groups, frozen=self.frozen, path_names=self.path_names()
        )
        self.refuse(
            {
                file.name: layout.reject
                for layout in plan.layouts
                if layout.unusable
                for file in layout.fields.files
            }
        )
        return plan


def _read_csv(
    job: FileJob, source: CsvSource, files: Sequence[SourceFile], left_out: Mapping[str, str]
) -> Read:
    heads = list(zip(files, for_each(files, job.reader.head), strict=True))
    endless = [
        file.name
        for file, head in heads
        if len(head) >= HEAD_BYTES and b"\n" not in head and b"\r" not in head
    ]
    faults = dict(left_out) | dict.fromkeys(
        endless, f"no line ends within the first {HEAD_BYTES} bytes"
    )
    heads = [(file, head) for file, head in heads if file.name not in faults]
    groups, blank = ingest_csv.group_by_header(heads, source)
    faults |= {file.name: "the file holds only blank lines" for file in blank}
    job.refuse(faults)
    plan = job.plan(groups)
    lines, rows = None, {}
    if source.multiline:
        parsed = [
            ingest_csv.read_multiline(job.spark, job.found.root, layout, source)
            for layout in plan.layouts
        ]
        rows = _count_rows(parsed)
    else:
        frames = [
            read_lines(job.spark, job.found.root, layout.fields.files, source.encoding)
            for layout in plan.layouts
        ]
        headers = [layout.fields.headers for layout in plan.layouts]
        lines = count_lines(list(zip(frames, headers, strict=True))) if frames else {}
        rows = {name: count.records for name, count in lines.items()}
        parsed = [
            ingest_csv.parse_lines(frame, layout, source)
            for frame, layout in zip(frames, plan.layouts, strict=True)
        ]
    records = tuple(
        ingest_csv.csv_records(frame, layout, source, plan.targets)
        for frame, layout in zip(parsed, plan.layouts, strict=True)
    )
    inferred = infer_text_types(records, plan.targets)
    plan = plan.with_types(inferred.types)
    return Read(plan, records, rows, lines, faults, inferred.problems)


def _read_text(
    job: FileJob, source: TextSource, files: Sequence[SourceFile], left_out: Mapping[str, str]
) -> Read:
    job.refuse(left_out)
    name = next(iter(source.columns), "value")
    plan = job.plan([Fields((name,), tuple(files))] if files else [])
    untyped = {target.name: "string" for target in plan.targets if target.type is None}
    plan = plan.with_types(untyped)
    if not files:
        return Read(plan, (), {}, {}, left_out)
    lines = read_lines(job.spark, job.found.root, files, source.encoding)
    counts = count_lines([(lines, ())])
    fault = (INVALID, f"bytes that are not valid {source.encoding}")
    values = [
        path_value(target.name)
        if target.origin == "path"
        else (LINE if target.name == name else "CAST(NULL AS STRING)")
        for target in plan.targets
    ]
    frame = without_headers(lines, ()).selectExpr(
        FILE,
        *text_columns(),
        f"NOT ({INVALID}) AS {SOUND}",
        f"{early_reasons([fault])} AS {EARLY}",
        *(f"{value} AS {raw(number)}" for number, value in enumerate(values)),
    )
    records = Records(frame, ("string",) * len(values))
    rows = {file: count.records for file, count in counts.items()}
    return Read(plan, (records,), rows, counts, left_out)


def _read_json(
    job: FileJob, source: JsonSource, files: Sequence[SourceFile], left_out: Mapping[str, str]
) -> Read:
    job.refuse(left_out)
    if not files:
        return Read(job.plan([]).with_field_types({}), (), {}, {}, left_out)
    lines = read_lines(job.spark, job.found.root, files, source.encoding)
    counts = None if source.multiline else count_lines([(lines, ())], keys=True)
    types: Mapping[str, str] = {}
    known = {column.name for column in job.frozen} | set(source.columns)
    typed = all(spec.type for spec in source.columns.values()) and not source.infer
    if not (typed or job.frozen) or counts is None:
        texts = files if counts is None else lines
        types = ingest_json.infer_json_types(job.spark, job.place, texts, source)
    if counts is None:
        groups = [Fields(tuple(types), tuple(files), ordered=False)]
    else:
        groups = _group_by_keys(files, counts, tuple(types) or tuple(sorted(known)))
    plan = job.plan(groups).with_field_types(types)
    fields = ingest_json.json_fields(plan)
    if counts is None:
        parsed = ingest_json.read_documents(job.spark, job.found.root, files, source, fields)
        rows = _count_rows([parsed])
    else:
        parsed = ingest_json.parse_lines(lines, fields)
        rows = {name: count.records for name, count in counts.items()}
    rejected = {
        layout.reject: [file.name for file in layout.fields.files]
        for layout in plan.layouts
        if layout.reject
    }
    seen = {key for count in (counts or {}).values() for key in count.keys}
    records = ingest_json.json_records(parsed, fields, source, plan.targets, rejected, seen)
    return Read(plan, (records,), rows, counts, left_out)


def _group_by_keys(
    files: Sequence[SourceFile], counts: Mapping[str, LineCount], order: Sequence[str]
) -> list[Fields]:
    """Files by the keys of their objects, in the order in which the table has them."""
    groups: dict[tuple[str, ...], list[SourceFile]] = {}
    place = {name: number for number, name in enumerate(order)}
    for file in files:
        count = counts.get(file.name)
        if count is not None and count.keys:
            keys = sorted(count.keys, key=lambda key: (place.get(key, len(place)), key))
            groups.setdefault(tuple(keys), []).append(file)
    return [Fields(keys, tuple(members), ordered=False) for keys, members in groups.items()]


def _read_columnar(job: FileJob, files: Sequence[SourceFile], left_out: Mapping[str, str]) -> Read:
    kind: str = job.source.model_dump(include={"kind"})["kind"]
    footers = read_footers(job.reader, files, kind)
    faults = {**left_out, **footers.damaged}
    opened: list[tuple[DataFrame, Fields]] = []
    for members in footers.schemas.values():
        frame, fault = attempt(lambda members=members: open_files(job.spark, kind, members))  # type: ignore[misc]
        if frame is None:
            faults |= dict.fromkeys((file.name for file in members), f"cannot be opened ({fault})")
        else:
            opened.append((frame, Fields(tuple(frame.columns), members)))
    job.refuse(faults)
    plan = job.plan([group for _, group in opened])
    have = [column_types(frame) for frame, _ in opened]
    found: dict[str, list[str]] = {}
    for layout, types in zip(plan.layouts, have, strict=True):
        for name, place in layout.places.items():
            found.setdefault(name, []).append(types[place])
    typed = plan.with_field_types({name: wider_type(kinds) for name, kinds in found.items()})
    records = tuple(
        frame_records(frame, from_files(job.found.root), layout, typed.targets)
        for (frame, _), layout in zip(opened, typed.layouts, strict=True)
    )
    rows = {name: count for name, count in footers.rows.items() if name not in faults}
    return Read(typed, records, rows, None, faults, _mixed_types(plan, typed, found))


def _mixed_types(
    plan: IngestPlan, typed: IngestPlan, found: Mapping[str, Sequence[str]]
) -> tuple[IngestProblem, ...]:
    untyped = {target.name for target in plan.targets if target.type is None}
    return tuple(
        IngestProblem(
            kind="mixed_types",
            level="warn",
            message=f"column {target.name!r} has types {', '.join(dict.fromkeys(kinds))} in "
            f"different files; read as {target.type}",
            column=target.name,
            suggestion=f"declare a type for column {target.name!r}",
        )
        for target in typed.targets
        if target.name in untyped and len(set(kinds := found.get(target.name, []))) > 1
    )


def _count_rows(frames: Sequence[DataFrame]) -> dict[str, int]:
    """Count the records of each file.

    Rows: one per file · Adds: counts · Drops: everything else · Jobs: 1 per frame
    """
    counts: dict[str, int] = {}
    for frame in frames:
        counts |= {row[0]: row[1] for row in frame.groupBy(FILE).agg(F.count("*")).collect()}
    return counts
