"""Bring a small table to the driver as Arrow columns, on both Spark lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame


def collect_arrow(df: DataFrame) -> pa.Table:
    """Return the rows as an Arrow table.

    Rows: all. Adds: nothing. Drops: nothing. Jobs: one.
    """
    import pyarrow as pa
    from pyspark.sql.pandas.types import to_arrow_schema

    public: Any = getattr(df, "toArrow", None)
    if public is not None:
        return public()
    batches = df._collect_as_arrow()  # type: ignore[operator]  # noqa: SLF001
    # Spark 3.5 has no public way; its Arrow columns carry the same types.
    schema = batches[0].schema if batches else to_arrow_schema(df.schema)
    return pa.Table.from_batches(batches, schema=schema)
