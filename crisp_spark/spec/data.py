"""The data of a project: where each source comes from, what its columns mean and must satisfy."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from crisp_spark.errors import SpecError, suggest
from crisp_spark.spec.base import SpecModel
from crisp_spark.spec.columntypes import is_nested
from crisp_spark.spec.encodings import MULTILINE_ENCODINGS, Encoding, single_byte_signs
from crisp_spark.spec.quality import Relationships, bind_rules
from crisp_spark.spec.secrets import SecretRef, is_reference, looks_secret
from crisp_spark.spec.source import ColumnSpec, Source

__all__ = [
    "CatalogSource",
    "ColumnSpec",
    "CsvSource",
    "DataSpec",
    "FileSource",
    "JdbcPartition",
    "JdbcSource",
    "JsonSource",
    "OrcSource",
    "ParquetSource",
    "Source",
    "SourceSpec",
    "SqlSource",
    "TextSource",
]

_SECRET_IN_URL = re.compile(
    r"(password|passwd|pwd|secret|token)\s*=|://[^/@\s]+:[^/@\s]+@", re.IGNORECASE
)
_SOURCE_NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"


def _one_path(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class FileSource(Source):
    """What all sources made of files have in common."""

    path: Annotated[
        tuple[str, ...],
        BeforeValidator(_one_path, json_schema_input_type=str | tuple[str, ...]),
        Field(min_length=1),
    ]
    """Files, folders or globs (``data/*.csv``, ``s3://bucket/day=*/``); relative paths start at the
    project file. Files ending in ``.gz`` and the like are unpacked."""
    on_missing_column: Literal["null", "reject"] = "null"
    """A file without one of the columns: fill the column with nulls and note it, or reject all rows
    of the file. A file without a column of the key is always rejected."""
    on_bad_file: Literal["fail", "reject"] = "fail"
    """A file that is empty, cut short or not of its kind: stop with an error, or leave it out with
    a line in the rejects."""
    path_columns: bool = True
    """Take folders such as ``month=01`` as columns."""


class _TextFiles(FileSource):
    encoding: Encoding = "utf-8"
    """Encoding of the files. Bytes that are not valid in it send the row to the rejects."""

    @model_validator(mode="after")
    def _encoding_can_be_read(self) -> Self:
        multiline = getattr(self, "multiline", False)
        if multiline and self.encoding not in MULTILINE_ENCODINGS:
            raise PydanticCustomError(
                "encoding",
                "multiline files can be read in {valid}, got {got}",
                {"valid": ", ".join(MULTILINE_ENCODINGS), "got": self.encoding},
            )
        if not multiline and self.encoding != "utf-8" and not single_byte_signs(self.encoding):
            raise PydanticCustomError(
                "encoding",
                "files in {got} cannot be cut into lines before they are decoded; set "
                "multiline: true, or convert them to UTF-8",
                {"got": self.encoding},
            )
        return self


class CsvSource(_TextFiles):
    """Delimited text files."""

    kind: Literal["csv"] = "csv"
    header: bool = True
    """The first line of each file names the columns. False: columns are taken by position."""
    separator: str = Field(default=",", min_length=1)
    """Text between two fields."""
    quote: str = Field(default='"', min_length=1, max_length=1)
    """Character around fields that contain the separator."""
    escape: str = Field(default='"', min_length=1, max_length=1)
    """Character in front of a quote inside a quoted field; by default the quote is doubled."""
    null_values: tuple[str, ...] = ("",)
    """Texts that stand for a missing value."""
    multiline: bool = False
    """Quoted fields may contain line breaks; files can then not be read in parts."""

    @model_validator(mode="after")
    def _fields_are_flat(self) -> Self:
        for name, column in self.columns.items():
            if column.type is not None and is_nested(column.type):
                raise PydanticCustomError(
                    "nested_in_csv",
                    "a CSV field cannot be of type {type} (column {name}); read it as string",
                    {"type": column.type, "name": repr(name)},
                )
        return self


class JsonSource(_TextFiles):
    """Files with one JSON object per line, or (``multiline``) JSON documents."""

    kind: Literal["json"] = "json"
    null_values: tuple[str, ...] = ()
    """Texts that stand for a missing value."""
    multiline: bool = False
    """A file is one JSON object, or an array of them, over several lines."""


class ParquetSource(FileSource):
    """Parquet files."""

    kind: Literal["parquet"] = "parquet"


class OrcSource(FileSource):
    """ORC files."""

    kind: Literal["orc"] = "orc"


class TextSource(_TextFiles):
    """Plain text: one row per line, with the one column ``value``."""

    kind: Literal["text"] = "text"


class JdbcPartition(SpecModel):
    """Read a database table in parallel parts."""

    column: str
    """Numeric, date or timestamp column to cut by."""
    lower: str | int | float
    """Where the first part ends its left side; rows below are read too."""
    upper: str | int | float
    """Where the last part starts its right side; rows above are read too."""
    partitions: int = Field(ge=1, le=1000)
    """Number of parts, which is also the number of connections."""


class JdbcSource(Source):
    """A table or query of a database, through its JDBC driver."""

    kind: Literal["jdbc"] = "jdbc"
    url: str = Field(pattern=r"^jdbc:")
    """JDBC URL, without user and password."""
    table: str = ""
    """Table to read; or give ``query``."""
    query: str = ""
    """Query to read, in the database's own SQL."""
    user: str = ""
    """User name, or a reference such as ``${env:DB_USER}``."""
    password: SecretRef | None = None
    """Reference to the password, such as ``${env:DB_PASSWORD}``."""
    driver: str = ""
    """Class of the driver, where it is not found by the URL."""
    options: dict[str, str] = Field(default_factory=dict)
    """Further options of Spark's JDBC source or of the driver."""
    partition: JdbcPartition | None = None
    """How to read in parallel; one connection without it."""

    @model_validator(mode="after")
    def _one_thing_to_read(self) -> Self:
        if bool(self.table) == bool(self.query):
            raise PydanticCustomError("table_or_query", "give either table or query")
        if self.query and self.partition:
            raise PydanticCustomError(
                "partition_of_query", "partition needs table; wrap the query: (SELECT ...) AS q"
            )
        if _SECRET_IN_URL.search(self.url):
            raise PydanticCustomError(
                "secret_literal", "the url holds a secret (not shown); use user and password"
            )
        for name, value in self.options.items():
            if looks_secret(name) and not is_reference(value):
                raise PydanticCustomError(
                    "secret_literal",
                    "option {name} must be a reference such as ${{env:NAME}} (value not shown)",
                    {"name": name},
                )
        return self


class CatalogSource(Source):
    """A table that Spark's catalog knows."""

    kind: Literal["catalog"] = "catalog"
    table: str = Field(min_length=1)
    """Name, with catalog and database where needed."""


class SqlSource(Source):
    """A query over the other sources, which are tables by their names."""

    kind: Literal["sql"] = "sql"
    query: str = Field(min_length=1)
    """Spark SQL; it may name every source that is not SQL, and SQL sources declared before."""


SourceSpec = Annotated[
    CsvSource
    | JsonSource
    | ParquetSource
    | OrcSource
    | TextSource
    | JdbcSource
    | CatalogSource
    | SqlSource,
    Field(discriminator="kind"),
]
"""Any source; ``kind`` tells which."""


class DataSpec(SpecModel):
    """All sources of the project."""

    sources: dict[Annotated[str, Field(pattern=_SOURCE_NAME)], SourceSpec] = Field(
        default_factory=dict
    )
    """Sources by name; the name is that of their tables."""
    engine: Literal["spark", "local", "auto"] = "spark"
    """What judges the quality rules: ``spark`` (the reference); ``local``, which is DuckDB on the
    driver's machine, for tables on its disk; or ``auto``, local where the table is at most 2 GiB
    and DuckDB is installed. Verdicts and counts are the same."""

    @model_validator(mode="after")
    def _rules_fit(self) -> Self:
        faults: list[str] = []
        for name, source in self.sources.items():
            columns = {column: spec.rules for column, spec in source.columns.items()}
            try:
                bound = bind_rules(name, columns, source.rules)
            except SpecError as error:
                faults += error.faults
                continue
            for rule in bound:
                if isinstance(rule.rule, Relationships) and rule.rule.to not in self.sources:
                    near = suggest(rule.rule.to, self.sources)
                    hint = f"; did you mean {near!r}?" if near else ""
                    faults.append(f"{rule.place}: no source {rule.rule.to!r}{hint}")
        if faults:
            raise PydanticCustomError("rules", "{faults}", {"faults": "; ".join(faults)})
        return self
