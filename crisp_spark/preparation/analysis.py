"""Names and types of a frame, and Spark's complaints about them in the words of this package."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from crisp_spark.errors import MissingColumnsError, SpecError
from crisp_spark.spec.columns import RESERVED_PREFIX, quoted

ROW = "_crisp_row"
"""Hash of the original record; breaks ties."""
FILE = "_crisp_file"
"""Source file of the record."""

_QUOTED = re.compile(r"`((?:[^`]|``)*)`")


def user_columns(frame: DataFrame) -> list[str]:
    """Names of the columns that are not the package's own."""
    return [name for name in frame.columns if not name.startswith(RESERVED_PREFIX)]


def column(name: str) -> Column:
    """The column called exactly ``name``, whatever signs the name holds."""
    return F.col(quoted(name))


def type_of(frame: DataFrame, name: str) -> T.DataType:
    """Type of a column that is known to be there."""
    return next(field.dataType for field in frame.schema.fields if field.name == name)


def is_text(kind: T.DataType) -> bool:
    """Say whether values are texts."""
    return isinstance(kind, T.StringType)


def is_number(kind: T.DataType) -> bool:
    """Say whether values are numbers."""
    return isinstance(kind, T.NumericType)


def is_fraction(kind: T.DataType) -> bool:
    """Say whether values are numbers that may have digits after the point."""
    return isinstance(kind, T.FractionalType)


def is_moment(kind: T.DataType) -> bool:
    """Say whether values are dates or times."""
    return isinstance(kind, T.DateType | T.TimestampType | T.TimestampNTZType)


def need_columns(place: str, frame: DataFrame, names: Iterable[str]) -> None:
    """Check that columns are there, by their exact names.

    Raises:
        MissingColumnsError: Some are not; the message has the nearest names.
    """
    known = set(frame.columns)
    missing = [name for name in names if name not in known]
    if missing:
        raise MissingColumnsError(place, missing, user_columns(frame))


def need_type(place: str, frame: DataFrame, names: Iterable[str], *kinds: str) -> None:
    """Check that columns are there and hold ``text``, ``number`` or ``moment`` values.

    Raises:
        MissingColumnsError: A column is not there.
        SpecError: A column holds something else.
    """
    wanted = list(names)
    need_columns(place, frame, wanted)
    tests = {"text": is_text, "number": is_number, "moment": is_moment}
    for name in wanted:
        kind = type_of(frame, name)
        if not any(tests[allowed](kind) for allowed in kinds):
            words = {"text": "text", "number": "a number", "moment": "a date or time"}
            expected = " or ".join(words[allowed] for allowed in kinds)
            raise SpecError(
                f"{place}: {expected} is needed, got column {name!r} of type {kind.simpleString()}",
                hint="cast it first, or name another column",
            )


def need_new_names(place: str, frame: DataFrame, names: Iterable[str]) -> None:
    """Check that no column has one of these names yet; names are compared without case.

    Raises:
        SpecError: A name is taken.
    """
    taken = {name.lower(): name for name in frame.columns}
    for name in names:
        if name.lower() in taken:
            raise SpecError(
                f"{place}: a column {taken[name.lower()]!r} is already there",
                hint="give the new column another name",
            )


@contextmanager
def analysed(place: str, frame: DataFrame) -> Iterator[None]:
    """Turn Spark's complaint about an expression over ``frame`` into an error of this package.

    Raises:
        MissingColumnsError: The expression names a column that is not there.
        SpecError: The expression cannot be read, or its types do not fit.
    """
    try:
        yield
    except (AnalysisException, PySparkException) as error:
        condition = error.getErrorClass() or ""
        parameters = dict(error.getMessageParameters() or {})
        if condition.startswith("UNRESOLVED_COLUMN"):
            name = unquoted(str(parameters.get("objectName", "")))
            raise MissingColumnsError(place, [name], user_columns(frame)) from error
        raise SpecError(f"{place}: {_in_words(condition, parameters, error)}") from error


def unquoted(name: str) -> str:
    """Undo the backticks of a possibly qualified name."""
    parts = [part.replace("``", "`") for part in _QUOTED.findall(name)]
    return ".".join(parts) if parts else name


def _in_words(condition: str, parameters: dict[str, str], error: PySparkException) -> str:
    if condition.startswith("DATATYPE_MISMATCH"):
        expression = parameters.get("sqlExpr", "").strip('"')
        detail = _first_sentence(error, skip_intro=True)
        return f"wrong type in {expression}: {detail}"
    if condition == "UNRESOLVED_ROUTINE":
        return f"no such function {unquoted(parameters.get('routineName', ''))}()"
    if condition.startswith("PARSE_SYNTAX_ERROR"):
        return f"the SQL cannot be read near {parameters.get('error', '')}"
    return _first_sentence(error)


def _first_sentence(error: PySparkException, *, skip_intro: bool = False) -> str:
    text = str(error).split("SQLSTATE", maxsplit=1)[0].split("\n", maxsplit=1)[0]
    text = re.sub(r"^\[[A-Z0-9_.]+\]\s*", "", text.strip()).strip()
    if skip_intro:
        _, found, rest = text.partition("due to data type mismatch: ")
        text = rest if found else text
    return text.rstrip(" .;")
