"""Scores what has arrived since the last time: each file of a growing folder once.

A call makes one batch, ``<output>/batch=<digest>/``, of the files that no earlier batch holds. Its
summary, written last, names them: that is the ledger. A batch without one was cut off, counts for
nothing, and is made anew by the next call.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from crisp_spark.errors import DataError, StorageError
from crisp_spark.run.places import open_place, open_session_for
from crisp_spark.run.score import SUMMARY, ScoreSummary, score_batch

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from crisp_spark.engine.objects import ObjectStore
    from crisp_spark.spec.load import LoadedProject
    from crisp_spark.understanding.sourcefiles import SourceFile

_BATCH = "batch="
_SHOWN = 3

Print = tuple[int, int]
"""Size and time of the last change of a file, bytes and milliseconds since the epoch."""


@dataclass(frozen=True)
class NewlyScored:
    """What a call found and did.

    Attributes:
        summary: The batch; None where nothing is new.
        files: Files scored by this call.
        known: Files that earlier batches hold.
    """

    summary: ScoreSummary | None
    files: int
    known: int


def score_new(
    project: LoadedProject,
    *,
    input_path: str,
    output_path: str,
    kind: str = "parquet",
    model: str = "decided",
    spark: SparkSession | None = None,
) -> NewlyScored:
    """Score the files below ``input_path`` that no batch of ``output_path`` holds yet.

    Rows that were scored stay as they are when the model changes: each names its model. Two calls
    on one output at the same time are not supported.

    Args:
        project: The project whose workspace holds the model.
        input_path: Folder or glob of merged rows.
        output_path: Folder of the batches.
        kind: parquet, orc, csv (with header) or json (an object per line).
        model: ``decided`` or ``candidate``, as for :func:`~crisp_spark.run.score.score_batch`.
        spark: Session; the one of the project's target when None.

    Raises:
        DataError: A file has changed since it was scored, or nothing can be found.
        StorageError: The ledger is damaged.
        Others: As :func:`~crisp_spark.run.score.score_batch`.
    """
    from crisp_spark.understanding.sourcefiles import FileReader

    session = spark or open_session_for(project, "score", also=(input_path, output_path))
    output = open_place(output_path, base=Path.cwd())
    ledger = _ledger(output)
    listed = FileReader(session).list("score", [input_path], Path.cwd())
    found = listed.files
    changed = [f.uri for f in found if f.uri in ledger and ledger[f.uri] != _print(f)]
    if changed:
        shown = ", ".join(changed[:_SHOWN]) + (", ..." if len(changed) > _SHOWN else "")
        raise DataError(
            f"score: {len(changed)} files have changed since they were scored: {shown}",
            hint="remove the batches whose summary.json names them, or score into another folder",
        )
    new = [file for file in found if file.uri not in ledger]
    known = len(found) - len(new)
    if not new:
        return NewlyScored(None, 0, known)
    batch = f"{_BATCH}{_digest(new)}"
    output.delete_tree(batch)  # of a call that was cut off
    summary = score_batch(
        project,
        input_path=[file.pattern for file in new],
        output_path=output.uri(batch),
        kind=kind,
        model=model,
        spark=session,
        root=listed.root,
        signed={"files": {file.uri: _print(file) for file in new}},
    )
    return NewlyScored(summary, len(new), known)


def _ledger(output: ObjectStore) -> Mapping[str, Print]:
    """Files of all batches that were brought to their end."""
    held: dict[str, Print] = {}
    for item in output.stat(""):
        if not item.key.startswith(_BATCH) or not item.key.endswith(f"/{SUMMARY}"):
            continue
        try:
            files = json.loads(output.read(item.key))["files"]
            held |= {uri: (int(size), int(changed)) for uri, (size, changed) in files.items()}
        except (KeyError, TypeError, ValueError) as error:
            raise StorageError(
                f"score: {output.uri(item.key)} does not say which files were scored ({error!r})",
                hint="remove that batch, and its files are scored again",
            ) from error
    return held


def _print(file: SourceFile) -> Print:
    return file.bytes, file.modified_ms


def _digest(files: Sequence[SourceFile]) -> str:
    text = json.dumps([[file.uri, *_print(file)] for file in files])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
