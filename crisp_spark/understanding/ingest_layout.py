"""Files with the same fields, the columns of the table to be, and how the two belong together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from crisp_spark.errors import DataError
from crisp_spark.results.ingest import IngestProblem, Origin
from crisp_spark.spec.data import ColumnSpec
from crisp_spark.understanding.sourcefiles import SourceFile

_NAMED_FILES = 3


@dataclass(frozen=True)
class Fields:
    """Files that have the same fields in the same order.

    Attributes:
        names: The fields.
        files: The files.
        headers: Raw header lines, as bytes.
        ordered: Whether the order carries meaning (not so for JSON keys).
    """

    names: tuple[str, ...]
    files: tuple[SourceFile, ...]
    headers: frozenset[bytes] = frozenset()
    ordered: bool = True


@dataclass(frozen=True)
class Target:
    """A column of the table to be.

    Attributes:
        name: Its name.
        type: Its Spark type; None until inferred.
        origin: Where the type comes from.
        spec: What is declared about it.
    """

    name: str
    type: str | None
    origin: Origin
    spec: ColumnSpec

    @property
    def spark_type(self) -> str:
        """The type, which must be known by now."""
        if self.type is None:
            raise DataError(f"column {self.name!r}: its type was not inferred")
        return self.type


@dataclass(frozen=True)
class Layout:
    """Files with the same fields, and what their fields are called in the table.

    Attributes:
        fields: The files and their fields.
        places: Target column to field; columns that are missing here are left out.
        reject: Why no row of these files can be used; empty otherwise.
        unusable: The header itself is at fault, so that the file counts as a bad one.
    """

    fields: Fields
    places: dict[str, str]
    reject: str = ""
    unusable: bool = False


@dataclass(frozen=True)
class IngestPlan:
    """Columns, layouts, and what was noticed on the way."""

    targets: tuple[Target, ...]
    layouts: tuple[Layout, ...]
    problems: tuple[IngestProblem, ...]

    def with_types(self, types: Mapping[str, str]) -> IngestPlan:
        """Fill in the types that were inferred."""
        return replace(
            self,
            targets=tuple(
                replace(target, type=types[target.name], origin="inferred")
                if target.type is None
                else target
                for target in self.targets
            ),
        )

    def with_field_types(self, types: Mapping[str, str]) -> IngestPlan:
        """Fill in types known by column or by field; columns that no file has become text."""
        places: dict[str, str] = {}
        for layout in self.layouts:
            places = {**layout.places, **places}
        return self.with_types(
            {
                target.name: types.get(target.name)
                or types.get(places.get(target.name, target.name), "string")
                for target in self.targets
            }
        )


def layout_problem(
    kind: str,
    group: Fields,
    text: str,
    *,
    column: str = "",
    hint: str = "",
    level: str = "warn",
) -> IngestProblem:
    """Word a problem that all files of a group have; three of them are named."""
    files = [file.name for file in group.files]
    named = ", ".join(files[:_NAMED_FILES])
    more = len(files) - _NAMED_FILES
    subject = f"{named} and {more} more files" if more > 0 else named
    return IngestProblem.model_validate(
        {
            "kind": kind,
            "level": level,
            "message": f"{subject}: {text}",
            "file": files[0] if files else "",
            "column": column,
            "suggestion": hint,
        }
    )
