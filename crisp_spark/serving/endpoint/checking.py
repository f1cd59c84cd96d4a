"""Rows of a request against the model's signature; nothing is guessed and nothing is dropped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crisp_spark.errors import suggest
from crisp_spark.serving.endpoint.faults import MOST_FAULTS, Fault, RequestError
from crisp_spark.serving.endpoint.reading import ABSENT, Rows
from crisp_spark.serving.endpoint.signature import Field, WrongTypeError, converter

_BAD = 400
_KINDS = {
    bool: "a truth value",
    int: "a number",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "an object",
}
_TRUTHS = {"true": True, "false": False}
_TEXT_TYPES = frozenset({"string", "date", "timestamp", "timestamp_ntz"})


def checked_columns(rows: Rows, fields: Sequence[Field]) -> dict[str, list[Any]]:
    """Return every column of the signature with values of its type; null where there is none.

    Args:
        rows: Rows as they came.
        fields: The signature.

    Raises:
        RequestError: A column is missing or unknown, or a value has the wrong type; all faults
            up to a limit are told at once.
    """
    faults = [*_unknown(rows, fields), *_missing(rows, fields)]
    columns: dict[str, list[Any]] = {}
    for field in fields:
        if len(faults) >= MOST_FAULTS:
            break
        values = rows.columns.get(field.name)
        if values is None:
            columns[field.name] = [None] * rows.count
        else:
            columns[field.name] = _converted(field, values, faults, text=rows.text)
    if faults:
        raise RequestError(_BAD, faults)
    return columns


def _unknown(rows: Rows, fields: Sequence[Field]) -> list[Fault]:
    known = [field.name for field in fields]
    faults = []
    for name in rows.columns:
        if name not in known:
            near = suggest(name, known)
            hint = f"; is {near!r} meant?" if near else ""
            shown = name if len(name) <= 64 else f"{name[:61]}..."  # noqa: PLR2004 - for people
            faults.append(Fault("UNKNOWN_COLUMN", f"no such column: {shown!r}{hint}", shown))
    return faults


def _missing(rows: Rows, fields: Sequence[Field]) -> list[Fault]:
    if not (rows.count or rows.named):
        return []
    return [
        Fault("MISSING_COLUMN", f"column {field.name!r} ({field.type}) is missing", field.name)
        for field in fields
        if field.needed and field.name not in rows.columns
    ]


def _converted(
    field: Field, values: Sequence[Any], faults: list[Fault], *, text: bool
) -> list[Any]:
    convert = converter(field.type)
    found: list[Any] = []
    for number, value in enumerate(values):
        if value is None or (value is ABSENT and not field.needed):
            found.append(None)
            continue
        if value is ABSENT:
            message = f"column {field.name!r} ({field.type}) is missing"
            faults.append(Fault("MISSING_COLUMN", message, field.name, number))
        else:
            try:
                found.append(convert(_from_text(value, field.type) if text else value))
                continue
            except WrongTypeError as error:
                got = "another text" if text else _KINDS.get(type(value), "something else")
                message = f"column {field.name!r} takes {error}, got {got}"
                faults.append(Fault("WRONG_TYPE", message, field.name, number))
        if len(faults) >= MOST_FAULTS:
            break
    return found


def _from_text(cell: str, kind: str) -> Any:
    """Read a cell of CSV as the JSON value that stands for it."""
    if kind in _TEXT_TYPES or kind.startswith("decimal"):
        return cell
    if kind == "boolean":
        return _TRUTHS.get(cell.lower(), cell)
    try:
        return int(cell)
    except ValueError:
        try:
            return float(cell)
        except ValueError:
            return cell
