"""Finds the declared types along a place, so that a fault can name the valid keys."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, Tag

from crisp_spark.spec.descriptions import field_descriptions

Steps = Sequence[tuple[str | int, bool]]
"""A pydantic location: each part, and whether it is the label of a union branch."""

_TAGS: dict[Any, set[str]] = {}  # labels that unions give their branches by hand


def along(model: type[BaseModel], steps: Steps) -> list[Any]:
    """Return the types that a pydantic location may lead to from ``model``."""
    found: list[Any] = [model]
    for part, is_branch in steps:
        below = [] if is_branch else [step for one in found for step in _below(one, part)]
        # The key of a shorthand (`between: {...}`) is the label of a branch as well.
        found = below or [one for one in found if _is_branch(one, str(part))] or found
    return found


def keys_of(found: Iterable[Any], *, tags_of: str | None = None) -> list[str]:
    """Return the keys of the models among the types, or the tags of a discriminating field."""
    models = [one for one in found if _is_model(one)]
    if tags_of:
        return [
            str(tag)
            for one in models
            if tags_of in one.model_fields
            for tag in get_args(one.model_fields[tags_of].annotation)
        ]
    return [info.alias or name for one in models for name, info in one.model_fields.items()]


def field_description(found: Iterable[Any], name: str) -> str:
    """Return the first sentence of a field's description."""
    for one in found:
        if _is_model(one):
            for field, info in one.model_fields.items():
                text = field_descriptions(one).get(field, "")
                if name in {field, info.alias} and text:
                    return " ".join(text.split()).split(". ")[0].rstrip(".")
    return ""


def members(annotation: Any) -> Iterator[Any]:
    """Take an annotation apart: the models, containers and scalars it may be."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *extra = get_args(annotation)
        for note in extra:
            if isinstance(note, Tag):
                _TAGS.setdefault(inner, set()).add(note.tag)
        yield from members(inner)
    elif origin in (Union, types.UnionType):
        for one in get_args(annotation):
            yield from members(one)
    elif annotation is not type(None):
        yield annotation


def _below(one: Any, part: str | int) -> Iterator[Any]:
    origin = get_origin(one)
    if _is_model(one):
        for name, info in one.model_fields.items():
            if part in (name, info.alias):
                yield from members(info.annotation)
    elif origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        if isinstance(part, str):
            yield from members(get_args(one)[1])
    elif isinstance(origin, type) and issubclass(origin, Sequence) and isinstance(part, int):
        yield from members(get_args(one)[0])


def _is_branch(one: Any, label: str) -> bool:
    if not _is_model(one):
        return False
    if one.__name__ == label or label in _TAGS.get(one, ()):
        return True
    return any(
        get_origin(info.annotation) is Literal and label in map(str, get_args(info.annotation))
        for info in one.model_fields.values()
    )


def _is_model(one: Any) -> bool:
    return isinstance(one, type) and issubclass(one, BaseModel)
