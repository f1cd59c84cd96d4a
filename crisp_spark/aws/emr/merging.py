"""Lays the raw overlay of the project file over a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crisp_spark.errors import SpecError, suggest


def overlaid(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``overlay`` laid over it: maps merge deep, the rest is replaced.

    A value of ``null`` takes the field away. Lists whose items have a ``Name`` or a
    ``Classification`` in common merge item by item; other lists are replaced.
    """
    merged = dict(base)
    for key, value in overlay.items():
        old = merged.get(key)
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(old, Mapping):
            merged[key] = overlaid(old, value)
        elif isinstance(value, list | tuple) and isinstance(old, list) and _key_of(old, value):
            merged[key] = _items(old, value, _key_of(old, value))
        else:
            merged[key] = value
    return merged


def check_fields(overlay: Mapping[str, Any], known: Mapping[str, Any], operation: str) -> None:
    """Refuse an overlay whose top fields the request does not have.

    Raises:
        SpecError: A field is unknown.
    """
    for key in overlay:
        if key not in known:
            near = suggest(key, known)
            raise SpecError(
                f"compute.overlay: {operation} has no field {key!r}",
                hint=f"did you mean {near!r}?" if near else f"fields: {', '.join(sorted(known))}",
            )


def _key_of(old: list[Any], new: list[Any] | tuple[Any, ...]) -> str:
    for key in ("Classification", "Key", "Name"):
        if old and new and all(isinstance(item, Mapping) and key in item for item in [*old, *new]):
            return key
    return ""


def _items(old: list[Any], new: list[Any] | tuple[Any, ...], key: str) -> list[Any]:
    found = {item[key]: item for item in old}
    for item in new:
        found[item[key]] = overlaid(found.get(item[key], {}), item)
    return list(found.values())
