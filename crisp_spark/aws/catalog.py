"""Registers published tables in the Glue Data Catalog, each at its published version.

A published folder is written once and never changed, so a table of the catalog that points at it
is that version for good. Publishing a newer version is one ``UpdateTable`` that names the version
of the entry it replaces: a reader sees the old table or the new one, and of two writers one is told
to try again. The switch is per table; several tables are switched one after the other, in the order
of the flow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from botocore.exceptions import ClientError

from crisp_spark.aws.clients import Clients, translated
from crisp_spark.errors import DataError

VERSION_KEY = "crisp.stage_key"
"""Parameter of a table that names its published version."""

_FORMAT = {
    "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
    "Compressed": False,
    "SerdeInfo": {
        "SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
        # By position: names of columns may hold what SQL engines refuse; a folder has one schema.
        "Parameters": {"parquet.column.index.access": "true"},
    },
}
_PLAIN = {
    "string": "string",
    "boolean": "boolean",
    "byte": "tinyint",
    "short": "smallint",
    "integer": "int",
    "long": "bigint",
    "float": "float",
    "double": "double",
    "binary": "binary",
    "date": "date",
    "timestamp": "timestamp",
    "timestamp_ntz": "timestamp",
}
_LONGEST_COMMENT = 255


class Published(Protocol):
    """A published table, as far as the catalog looks at it."""

    @property
    def view(self) -> str:
        """Name in SQL."""
        ...

    @property
    def name(self) -> str:
        """Name in the flow."""
        ...

    @property
    def stage_key(self) -> str:
        """Version."""
        ...

    @property
    def run_id(self) -> str:
        """Run that wrote it."""
        ...

    @property
    def location(self) -> str:
        """Folder, as an S3 URI."""
        ...

    @property
    def rows(self) -> int:
        """Rows."""
        ...

    @property
    def bytes(self) -> int:
        """Bytes."""
        ...

    @property
    def columns(self) -> tuple[tuple[str, str, Any], ...]:
        """Name in SQL, own name and Spark type of each column."""
        ...


@dataclass(frozen=True)
class Registration:
    """What became of one table.

    Attributes:
        table: Name in the catalog.
        action: ``created``, ``switched`` from an earlier version, or ``unchanged``.
        version: The published version.
        rows: Rows.
    """

    table: str
    action: Literal["created", "switched", "unchanged"]
    version: str
    rows: int


def register(aws: Clients, database: str, tables: Sequence[Published]) -> list[Registration]:
    """Make the catalog show each table at its published version.

    Args:
        aws: Clients of the target's region.
        database: Database; made when it is missing.
        tables: Tables, in the order in which they are switched.

    Raises:
        DataError: A column has a type that the catalog cannot hold, or data is not in S3.
        UnavailableError: Another writer was faster, or Glue did not answer.
    """
    entries = [_entry(table) for table in tables]  # all of them, before anything is changed
    glue = aws.get("glue")
    with translated(f"catalog: database {database}"):
        try:
            glue.get_database(Name=database)
        except glue.exceptions.EntityNotFoundException:
            description = "Published tables of a crisp_spark project"
            glue.create_database(DatabaseInput={"Name": database, "Description": description})
    return [
        _registered(glue, database, table, entry)
        for table, entry in zip(tables, entries, strict=True)
    ]


def _registered(
    glue: Any, database: str, table: Published, entry: Mapping[str, Any]
) -> Registration:
    action: Literal["created", "switched", "unchanged"] = "created"
    with translated(f"catalog: table {database}.{table.view}"):
        existing = _existing(glue, database, table.view)
        if existing is None:
            glue.create_table(DatabaseName=database, TableInput=dict(entry))
        elif existing.get("Parameters", {}).get(VERSION_KEY) == table.stage_key:
            action = "unchanged"
        else:
            action = "switched"
            version = existing.get("VersionId")
            known = {"VersionId": version} if version else {}
            glue.update_table(DatabaseName=database, TableInput=dict(entry), **known)
    return Registration(table.view, action, table.stage_key, table.rows)


def _existing(glue: Any, database: str, name: str) -> Mapping[str, Any] | None:
    try:
        found: Mapping[str, Any] = glue.get_table(DatabaseName=database, Name=name)["Table"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "EntityNotFoundException":
            return None
        raise
    return found


def _entry(table: Published) -> dict[str, Any]:
    if not table.location.startswith(("s3://", "s3a://")):
        raise DataError(
            f"catalog: {table.name} is at {table.location}, not in S3",
            hint="publish with the target whose workspace is in S3",
        )
    columns = [
        {
            "Name": safe,
            "Type": hive_type(kind, f"{table.name}.{own}"),
            **({"Comment": own[:_LONGEST_COMMENT]} if own != safe else {}),
        }
        for safe, own, kind in table.columns
    ]
    location = "s3://" + table.location.split("://", 1)[1]
    return {
        "Name": table.view,
        "Description": f"{table.name} of run {table.run_id}",
        "TableType": "EXTERNAL_TABLE",
        "Parameters": {
            "EXTERNAL": "TRUE",
            "classification": "parquet",
            VERSION_KEY: table.stage_key,
            "crisp.table": table.name,
            "crisp.run_id": table.run_id,
            "recordCount": str(table.rows),
            "sizeKey": str(table.bytes),
        },
        "StorageDescriptor": {"Columns": columns, "Location": location, **_FORMAT},
    }


def hive_type(kind: Any, place: str) -> str:
    """Return the type of a column as the catalog writes it.

    Args:
        kind: Spark type, as in the JSON of a Spark schema.
        place: Table and column, for the message.

    Raises:
        DataError: The catalog has no such type.
    """
    if isinstance(kind, str):
        if kind in _PLAIN or kind.startswith(("decimal(", "varchar(", "char(")):
            return _PLAIN.get(kind, kind)
    elif isinstance(kind, Mapping):
        if kind["type"] == "array":
            return f"array<{hive_type(kind['elementType'], place)}>"
        if kind["type"] == "map":
            key, value = (hive_type(kind[part], place) for part in ("keyType", "valueType"))
            return f"map<{key},{value}>"
        if kind["type"] == "struct":
            fields = (
                f"{field['name'].lower()}:{hive_type(field['type'], place)}"
                for field in kind["fields"]
            )
            return f"struct<{','.join(fields)}>"
        if kind["type"] == "udt":
            return hive_type(kind["sqlType"], place)
    raise DataError(
        f"catalog: {place} has a type that the catalog cannot hold, got {kind}",
        hint="cast it with a `derive` expression, or leave the column out",
    )
