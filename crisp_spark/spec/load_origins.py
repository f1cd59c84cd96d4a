"""Where each value of a loaded project was set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from crisp_spark.spec.faults import Origin, Place, dotted
from crisp_spark.spec.load_tree import Node

DEFAULT = Origin("default")


def origins_of(spec: BaseModel, tree: Node) -> dict[str, str]:
    """Return the origin of every single value of the spec.

    A value that a shorthand expands to has the origin of the shorthand.
    """
    return {dotted(place): str(origin) for place, origin in _walk(spec, (), tree, tree.origin)}


def _walk(
    value: Any, place: Place, node: Node | None, origin: Origin
) -> Iterator[tuple[Place, Origin]]:
    if isinstance(value, BaseModel):
        for name, info in type(value).model_fields.items():
            key = info.serialization_alias or info.alias or name
            declared = name in value.model_fields_set and origin is not DEFAULT
            below, where = _step(node, key, origin) if declared else (None, DEFAULT)
            yield from _walk(getattr(value, name), (*place, key), below, where)
    elif isinstance(value, Mapping) and value:
        for key, item in value.items():
            below, where = _step(node, str(key), origin)
            yield from _walk(item, (*place, str(key)), below, where)
    elif isinstance(value, list | tuple) and value:
        for number, item in enumerate(value):
            below, where = _step(node, number, origin)
            yield from _walk(item, (*place, number), below, where)
    else:
        yield place, origin


def _step(node: Node | None, part: str | int, origin: Origin) -> tuple[Node | None, Origin]:
    if node is None:
        return None, origin
    below = node.child(part)
    if below is not None:
        return below, node.locate((part,))
    if node.is_map and len(node.value) == 1:
        # A shorthand like `between: {min: 0}`: the details stand one level deeper.
        (inner,) = node.value.values()
        if inner.child(part) is not None:
            return inner.child(part), inner.locate((part,))
    return None, origin
