"""Prints a step's result: values first, then tables, then the parts below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crisp_spark.cli.output import Output, show
from crisp_spark.errors import UsageError
from crisp_spark.spec.faults import dotted, holds, nearest, parse_place

_MOST_ROWS = 25
_MOST_COLUMNS = 9
_LONGEST_CELL = 60


def print_result(out: Output, result: Any, place: str | None = None) -> None:
    """Print a result, or the part at ``place``.

    Raises:
        UsageError: There is nothing at ``place``.
    """
    value = result.model_dump(mode="json")
    name = result.step
    if place:
        value = _part(value, place)
        name = f"{name} {place}"
    out.data(value)
    if not out.as_json:
        _print(out, value, name)


def _part(value: Any, place: str) -> Any:
    parts = parse_place(place) or ()
    for number, part in enumerate(parts):
        if holds(value, part):
            value = value[part]
        else:
            below = [str(key) for key in value] if isinstance(value, Mapping) else []
            hint = nearest(str(part), below) if below else "count from 0"
            raise UsageError(f"show: nothing at {dotted(parts[: number + 1])!r}", hint=hint)
    return value


def _print(out: Output, value: Any, name: str) -> None:
    if isinstance(value, Mapping):
        _print_map(out, value, name)
    elif isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        _print_rows(out, value, name)
    elif isinstance(value, list):
        out.text(f"{name}: {_cell(value) or 'none'}")
    else:
        out.text(f"{name}: {show(value)}")


def _print_map(out: Output, value: Mapping[str, Any], name: str) -> None:
    flat = [(key, _cell(item)) for key, item in value.items() if _is_flat(item)]
    if flat:
        out.table((name, ""), flat)
        out.text()
    for key, item in value.items():
        if not _is_flat(item):
            _print(out, item, key)
            out.text()


def _print_rows(out: Output, rows: Sequence[Mapping[str, Any]], name: str) -> None:
    columns = [
        key
        for key in rows[0]
        if all(_is_flat(row.get(key)) for row in rows) and any(row.get(key) for row in rows)
    ][:_MOST_COLUMNS]
    shown = [[_cell(row.get(key)) for key in columns] for row in rows[:_MOST_ROWS]]
    more = f", {len(rows) - _MOST_ROWS} more with --json" if len(rows) > _MOST_ROWS else ""
    out.table(columns, shown, title=f"{name} ({len(rows)}{more})")
    deeper = [key for key in rows[0] if any(not _is_flat(row.get(key)) for row in rows)]
    if deeper:
        out.text(f"  deeper: {', '.join(f'{name}[0].{key}' for key in deeper)}", style="dim")


def _is_flat(item: Any) -> bool:
    if isinstance(item, Mapping):
        return False
    return not (isinstance(item, list) and any(isinstance(one, Mapping | list) for one in item))


def _cell(item: Any) -> str:
    text = show(item)
    return text if len(text) <= _LONGEST_CELL else f"{text[: _LONGEST_CELL - 1]}…"
