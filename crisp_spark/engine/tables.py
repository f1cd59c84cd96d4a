"""Tables and fitted pipelines as files that are written once and opened by exact list."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from crisp_spark.engine.commits import DataFile, TableCommit
from crisp_spark.engine.objects import ObjectStat, ObjectStore
from crisp_spark.errors import StorageError

if TYPE_CHECKING:
    from pyspark.ml import PipelineModel
    from pyspark.sql import DataFrame, SparkSession

_THREADS = 8
"""Files looked at together: most of it waits for storage."""


def write_table(objects: ObjectStore, folder: str, name: str, frame: DataFrame) -> TableCommit:
    """Write ``frame`` as Parquet into the new ``folder`` and describe what was written.

    Rows: as given. Adds: none. Drops: none. Jobs: one write.

    Raises:
        StorageError: Spark left an incomplete output.
    """
    frame.write.mode("errorifexists").parquet(objects.uri(folder))
    found = objects.stat(folder)
    if not any(item.key.endswith("/_SUCCESS") for item in found):
        raise StorageError(f"{folder}: Spark did not finish the write (no _SUCCESS)")
    files = _described(
        objects,
        [item for item in found if item.key.endswith(".parquet")],
        rows=lambda key: _rows_of(objects, key),
    )
    return TableCommit(
        name=name,
        rows=sum(file.rows or 0 for file in files),
        spark_schema=frame.schema.json(),
        files=files,
    )


def read_table(objects: ObjectStore, spark: SparkSession, table: TableCommit) -> DataFrame:
    """Open exactly the files of ``table``; the folder is never listed.

    Rows: as published. Adds: none. Drops: none. Jobs: none.

    Raises:
        StorageError: A file is missing or has another size.
    """
    from pyspark.sql.types import StructType

    check_files(objects, table.name, table.files)
    schema = StructType.fromJson(json.loads(table.spark_schema))
    filled = [objects.uri(file.key) for file in table.files if file.rows]
    if not filled:
        return spark.createDataFrame([], schema)
    return spark.read.schema(schema).parquet(*filled)


def write_model(objects: ObjectStore, folder: str, model: PipelineModel) -> tuple[DataFile, ...]:
    """Save a fitted pipeline into the new ``folder`` and list its files."""
    model.write().save(objects.uri(folder))
    return _described(objects, objects.stat(folder), rows=lambda _key: None)


def read_model(objects: ObjectStore, folder: str, files: tuple[DataFile, ...]) -> PipelineModel:
    """Load a fitted pipeline.

    Raises:
        StorageError: A file is missing or has another size.
    """
    from pyspark.ml import PipelineModel

    check_files(objects, folder, files)
    return PipelineModel.load(objects.uri(folder))


def _described(
    objects: ObjectStore, found: Sequence[ObjectStat], *, rows: Callable[[str], int | None]
) -> tuple[DataFile, ...]:
    def describe(item: ObjectStat) -> DataFile:
        key = item.key
        return DataFile(key=key, bytes=item.bytes, sha256=objects.sha256(key), rows=rows(key))

    with ThreadPoolExecutor(_THREADS) as pool:
        return tuple(pool.map(describe, found))


def check_files(objects: ObjectStore, place: str, files: tuple[DataFile, ...]) -> None:
    """Raise StorageError when a published file is missing or has another size."""
    sizes = {
        item.key: item.bytes
        for folder in sorted({file.key.rsplit("/", 1)[0] for file in files})
        for item in objects.stat(folder)
    }
    for file in files:
        if sizes.get(file.key) != file.bytes:
            state = "missing" if file.key not in sizes else f"{sizes[file.key]} bytes"
            raise StorageError(
                f"{place}: published file {file.key} is damaged, expected {file.bytes} bytes, "
                f"got {state}",
                hint="run `crisp run` again: a step whose files are damaged is run anew",
            )


def _rows_of(objects: ObjectStore, key: str) -> int:
    from pyarrow import parquet

    with objects.open(key) as file:
        return int(parquet.read_metadata(file).num_rows)
