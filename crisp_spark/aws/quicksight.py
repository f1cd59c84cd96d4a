"""Files that make published tables and results data sets of QuickSight.

QuickSight reads Parquet only through a query engine, so a table becomes a data set over Athena. A
manifest serves what it reads from S3 itself: the verdicts, as CSV.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from crisp_spark.aws.catalog import Published

ACCOUNT = "111122223333"
"""Account in the written requests; to be replaced by one's own."""

_COLUMNS = ("criterion", "level", "metric", "on", "slice", "verdict", "value", "low", "high")
_MORE_COLUMNS = ("target", "direction", "current", "unit", "sentence")


def dataset_request(table: Published, *, database: str, region: str) -> dict[str, Any]:
    """Return the request for ``CreateDataSet`` of a table in the Glue catalog, asked directly.

    The data source is one of type Athena with the id ``crisp``; types that QuickSight cannot show
    (lists, maps, bytes) are left out.
    """
    columns = [
        {"Name": safe, "Type": kind}
        for safe, _, spark in table.columns
        if (kind := _kind(spark)) is not None
    ]
    source = f"arn:aws:quicksight:{region}:{ACCOUNT}:datasource/crisp"
    return {
        "AwsAccountId": ACCOUNT,
        "DataSetId": f"{database}-{table.view}".replace("_", "-"),
        "Name": f"{database}: {table.name}",
        "ImportMode": "DIRECT_QUERY",
        "PhysicalTableMap": {
            "published": {
                "RelationalTable": {
                    "DataSourceArn": source,
                    "Catalog": "AwsDataCatalog",
                    "Schema": database,
                    "Name": table.view,
                    "InputColumns": columns,
                }
            }
        },
    }


def manifest(uris: Sequence[str]) -> dict[str, Any]:
    """Return the manifest by which QuickSight reads CSV files with headers from S3."""
    return {
        "fileLocations": [{"URIs": list(uris)}],
        "globalUploadSettings": {"format": "CSV", "delimiter": ",", "containsHeader": "true"},
    }


def verdicts_csv(criteria: Sequence[Mapping[str, Any]]) -> str:
    """Return the verdicts of a decision as CSV, one criterion a line."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*_COLUMNS, *_MORE_COLUMNS))
    for one in criteria:
        writer.writerow([one["id"], *(one.get(name) for name in (*_COLUMNS[1:], *_MORE_COLUMNS))])
    return text.getvalue()


def _kind(spark: Any) -> str | None:
    if not isinstance(spark, str):
        return None
    if spark in {"byte", "short", "integer", "long"}:
        return "INTEGER"
    if spark in {"float", "double"} or spark.startswith("decimal("):
        return "DECIMAL"
    if spark in {"date", "timestamp", "timestamp_ntz"}:
        return "DATETIME"
    if spark == "boolean":
        return "BOOLEAN"
    return "STRING" if spark.startswith(("string", "varchar", "char")) else None
