"""The shape check: what pydantic finds, said in terms of the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from crisp_spark.spec.faults import Fault, Place, holds
from crisp_spark.spec.load_messages import (
    CHOICES,
    OWN_WORDS,
    Found,
    choice_fault,
    other_fault,
    own_words,
    type_fault,
)
from crisp_spark.spec.secrets import SecretReference, is_reference

M = TypeVar("M", bound=BaseModel)
_MAY_REFER = {"user", "options"}  # of a JDBC source: both plain values and references are fine


def check_shape(plain: Mapping[str, Any], model: type[M]) -> tuple[M | None, list[Fault]]:
    """Validate plain data against a model.

    Returns:
        The model, or None together with the faults.
    """
    try:
        spec = model.model_validate(plain)
    except ValidationError as error:
        found = [_placed(entry, plain) for entry in error.errors(include_url=False)]
        return None, list(_faults(found, model))
    return spec, []


def _placed(error: Any, plain: Any) -> Found:
    place: list[str | int] = []
    branch: list[tuple[int, str]] = []
    steps: list[tuple[str | int, bool]] = []
    node = plain
    location: Sequence[str | int] = error["loc"]
    for number, part in enumerate(location):
        last = number == len(location) - 1
        steps.append((part, False))
        if holds(node, part):
            node = node[part]
            place.append(part)
        elif last and error["type"] == "missing":
            place.append(part)
        elif part != "[key]":
            branch.append((len(place), str(part)))
            steps[-1] = (part, True)
    return Found(tuple(place), tuple(branch), tuple(steps), error)


def _faults(found: list[Found], model: type[BaseModel]) -> Iterator[Fault]:
    groups: dict[tuple[Place, str], list[Found]] = {}
    for number, one in enumerate(_without_idle_branches(found)):
        kind: str = one.error["type"]
        sort = "type" if one.expected else "choice" if kind in CHOICES else str(number)
        groups.setdefault((one.place, sort), []).append(one)
    for (_, sort), several in groups.items():
        first = several[0]
        if sort == "type" and (first.place, "choice") not in groups:
            yield type_fault(first, several)
        elif sort == "choice":
            yield choice_fault(several, groups.get((first.place, "type"), ()))
        elif sort == "type":
            continue  # said together with the choices
        elif first.error["type"] in OWN_WORDS:
            yield from own_words(first)
        else:
            yield other_fault(first, model)


def _without_idle_branches(found: list[Found]) -> Iterator[Found]:
    """Leave out "expected a text" where another form of the same value was nearly met."""
    for one in found:
        depth, label = one.branch[-1] if one.branch else (-1, "")
        root = one.place[:depth] if depth >= 0 else ()
        rivals = [
            other
            for other in found
            if other is not one
            and any(there == depth and name != label for there, name in other.branch)
            and other.place[:depth] == root
            and not (_is_plain(other) and other.place == root)
        ]
        if depth >= 0 and _is_plain(one) and one.place == root and rivals:
            continue
        yield one


def _is_plain(one: Found) -> bool:
    return one.expected is not None or one.error["type"] in CHOICES


def stray_references(spec: BaseModel) -> Iterator[Fault]:
    """Find references to secrets in fields that take none: they would be used as they stand."""
    for place, value in _texts(spec, ()):
        if isinstance(value, SecretReference) or place[:1] == ("variables",):
            continue
        if place[0] == "targets" and place[2:3] != ("compute",):
            continue
        if place[:2] == ("data", "sources") and place[3] in _MAY_REFER and is_reference(value):
            continue
        if "${env:" in value or "${secret:" in value:
            hint = "declare a variable, use ${var.NAME}, and set it with --var or CRISP_VAR_NAME"
            yield Fault(place, "a reference to a secret in a field that is not secret", hint)


def _texts(value: Any, place: Place) -> Iterator[tuple[Place, str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, BaseModel):
        for name, info in type(value).model_fields.items():
            yield from _texts(getattr(value, name), (*place, info.alias or name))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item, (*place, str(key)))
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from _texts(item, (*place, number))
