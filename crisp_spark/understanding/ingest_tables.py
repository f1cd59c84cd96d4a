"""Sources that are tables already: databases, Spark's catalog, SQL over other sources."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame

from crisp_spark.errors import DataError
from crisp_spark.spec.data import CatalogSource, JdbcSource, SqlSource
from crisp_spark.spec.secrets import is_reference

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Reveal = Callable[[str], str]
"""Looks up the value behind a reference to a secret."""


def jdbc_frame(spark: SparkSession, place: str, source: JdbcSource, reveal: Reveal) -> DataFrame:
    """Open a table or query of a database.

    Rows: all · Adds: nothing · Drops: nothing · Jobs: none (one query for the schema)
    """
    options = {"url": source.url, **source.options}
    options |= {"query": source.query} if source.query else {"dbtable": source.table}
    if source.driver:
        options["driver"] = source.driver
    if source.user:
        options["user"] = source.user
    if source.password is not None:
        options["password"] = source.password
    part = source.partition
    if part is not None:
        options |= {
            "partitionColumn": part.column,
            "lowerBound": str(part.lower),
            "upperBound": str(part.upper),
            "numPartitions": str(part.partitions),
        }
    known = {
        name: reveal(value) if is_reference(value) else value for name, value in options.items()
    }
    return _opened(place, lambda: spark.read.format("jdbc").options(**known).load())


def catalog_frame(spark: SparkSession, place: str, source: CatalogSource) -> DataFrame:
    """Open a table of Spark's catalog.

    Rows: all · Adds: nothing · Drops: nothing · Jobs: none
    """
    return _opened(place, lambda: spark.table(source.table))


def sql_frame(
    spark: SparkSession, place: str, source: SqlSource, tables: Mapping[str, DataFrame]
) -> DataFrame:
    """Run a query over other sources, which it sees under their names.

    Rows: those of the query · Adds: nothing · Drops: nothing · Jobs: none
    """
    for name, table in tables.items():
        generated = [column for column in table.columns if column.startswith("_crisp_")]
        table.drop(*generated).createOrReplaceTempView(name)
    try:
        return _opened(place, lambda: spark.sql(source.query))
    finally:
        for name in tables:
            spark.catalog.dropTempView(name)


def _opened(place: str, action: Callable[[], DataFrame]) -> DataFrame:
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        return action()
    except (PySparkException, Py4JError) as error:
        cause = getattr(error, "java_exception", None)
        text = str(cause.toString()) if cause is not None else str(error)
        raise DataError(f"{place}: cannot be opened ({text.splitlines()[0]})") from error
