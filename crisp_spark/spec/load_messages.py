"""What pydantic finds, said in words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core.core_schema import ErrorType

from crisp_spark.spec.faults import Fault, Place, describe, holds, nearest, parse_place
from crisp_spark.spec.load_types import Steps, along, field_description, keys_of
from crisp_spark.spec.secrets import looks_secret

_EXPECTED = {
    "int": "a whole number",
    "float": "a number",
    "decimal": "a number",
    "string": "a text",
    "bool": "true or false",
    "dict": "a map",
    "mapping": "a map",
    "model": "a map",
    "dataclass": "a map",
    "list": "a list",
    "tuple": "a list",
    "set": "a list",
    "frozen_set": "a list",
    "date": "a date like 2013-11-01",
    "datetime": "a date and time like 2013-11-01T06:00:00",
    "time": "a time like 06:00",
    "none": "nothing",
}
_KIND = re.compile(
    r"^(frozen_set|[a-z]+?)_(?:from_\w+_)?(?:type|parsing|inexact|attributes_type)\b"
)
_LIMITS = {
    "greater_than": ("greater than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
    "multiple_of": ("a multiple of", "multiple_of"),
}
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'")
CHOICES = {"literal_error", "enum"}
OWN_WORDS = {"value_error", "assertion_error", "rules"}
_NAMED_ITEM = re.compile(r"^\w+ '([^']+)'$")
_HIDDEN = "a value (not shown)"


@dataclass(frozen=True)
class Found:
    """One pydantic error, at its place in the file.

    Attributes:
        place: The place.
        branch: Labels of union branches that led here, with how deep they stand.
        steps: The location as pydantic gives it, each part with whether it is such a label.
        error: The error of pydantic.
    """

    place: Place
    branch: tuple[tuple[int, str], ...]
    steps: Steps
    error: Mapping[str, Any]

    @property
    def expected(self) -> str | None:
        """What should stand here, where the error is one of type."""
        kind = str(self.error["type"])
        if kind == "int_from_float":
            return _EXPECTED["int"]
        found = _KIND.match(kind)
        return _EXPECTED.get(found[1]) if found else None


def type_fault(first: Found, several: Sequence[Found]) -> Fault:
    """Say which types are expected."""
    return Fault(first.place, f"expected {_types(several)}, got {_got(first)}")


def _types(several: Sequence[Found]) -> str:
    names = list(dict.fromkeys(one.expected or "" for one in several))
    if _EXPECTED["float"] in names and _EXPECTED["int"] in names:
        names.remove(_EXPECTED["int"])
    return ", ".join(names[:-1]) + (" or " if names[1:] else "") + names[-1]


def choice_fault(several: Sequence[Found], typed: Sequence[Found] = ()) -> Fault:
    """Say which words are valid, and which types besides, all branches of a union together."""
    valid = [word for one in several for word in _QUOTED.findall(one.error["ctx"]["expected"])]
    first = several[0]
    hint = nearest(str(first.error["input"]), valid)
    besides = f", or {_types(typed)}" if typed else ""
    return Fault(first.place, f"no valid choice, got {_got(first)}", f"{hint}{besides}")


def _got(one: Found) -> str:
    names = [part for part in one.place if isinstance(part, str)]
    return _HIDDEN if names and looks_secret(names[-1]) else describe(one.error["input"])


def other_fault(one: Found, model: type[BaseModel]) -> Fault:
    """Say what else is wrong."""
    error = one.error
    kind: str = error["type"]
    context: Mapping[str, Any] = error.get("ctx") or {}
    build = _BUILDERS.get(kind)
    if build:
        what, hint = build(one, model)
    elif kind in _LIMITS:
        words, key = _LIMITS[kind]
        what, hint = f"must be {words} {context[key]}, got {_got(one)}", ""
    else:
        message: str = error["msg"]
        what = f"{message}, got {_got(one)}" if kind in _builtin_kinds() else message
        what, hint = what[:1].lower() + what[1:], ""
    place = (*one.place, _tag_name(context)) if kind == "union_tag_invalid" else one.place
    return Fault(place, what, hint)


def own_words(one: Found) -> Iterator[Fault]:
    """Take over what a validator says; ``a.b: what`` speaks about a place further down."""
    context: Mapping[str, Any] = one.error.get("ctx") or {}
    if "faults" in context:
        # Several faults, each with its full place.
        for text in re.split(r"; (?=data\.sources\.)", str(context["faults"])):
            head, _, what = text.partition(": ")
            yield Fault(parse_place(head) or one.place, what)
        return
    text = str(context["error"]) if "error" in context else str(one.error["msg"])
    head, separator, what = text.partition(": ")
    below = parse_place(head) if separator else None
    item = _NAMED_ITEM.match(head)
    if below and _reaches(one.error["input"], below):
        yield Fault((*one.place, *below), what)
    elif separator and item and (found := _item_called(item[1], one.error["input"])):
        yield Fault((*one.place, *found), what)
    else:
        yield Fault(one.place, text)


def _item_called(name: str, node: Any) -> Place | None:
    """Return the place of the list item with this id or name."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            for number, item in enumerate(value if isinstance(value, list) else ()):
                if isinstance(item, Mapping) and name in {item.get("id"), item.get("name")}:
                    return (key, number)
    return None


def _reaches(node: Any, place: Place) -> bool:
    for part in place:
        if not holds(node, part):
            return False
        node = node[part]
    return True


@cache
def _builtin_kinds() -> frozenset[str]:
    return frozenset(get_args(ErrorType))


def _tag_name(context: Mapping[str, Any]) -> str:
    name = str(context["discriminator"]).strip("'")
    return "op" if name.endswith("()") else name  # a function that looks at `op`


def _missing(one: Found, model: type[BaseModel]) -> tuple[str, str]:
    parents = along(model, one.steps[:-1])
    return "missing, but required", field_description(parents, str(one.place[-1]))


def _unknown(one: Found, model: type[BaseModel]) -> tuple[str, str]:
    key = str(one.place[-1]) if one.place else str(one.error["loc"][-1])
    valid = keys_of(along(model, one.steps[:-1]))
    return f"unknown key {key!r}", nearest(key, valid)


def _bad_tag(one: Found, model: type[BaseModel]) -> tuple[str, str]:
    context = one.error["ctx"]
    tag, name = str(context["tag"]), _tag_name(context)
    return f"unknown {name} {tag!r}", nearest(tag, _tags(one, model, name))


def _tags(one: Found, model: type[BaseModel], name: str) -> list[str]:
    return keys_of(along(model, one.steps), tags_of=name)


def _no_tag(one: Found, model: type[BaseModel]) -> tuple[str, str]:
    name = _tag_name(one.error["ctx"])
    given = one.error["input"]
    if not isinstance(given, Mapping):
        return f"expected a map with {name!r}, got {describe(given)}", ""
    return f"{name!r} is missing", nearest("", _tags(one, model, name))


def _short(one: Found, _model: type[BaseModel]) -> tuple[str, str]:
    least = one.error["ctx"].get("min_length", 1)
    if least == 1:
        return "must not be empty", ""
    unit = "characters" if isinstance(one.error["input"], str) else "items"
    return f"needs at least {least} {unit}, got {len(one.error['input'])}", ""


def _long(one: Found, _model: type[BaseModel]) -> tuple[str, str]:
    most = one.error["ctx"]["max_length"]
    unit = "characters" if isinstance(one.error["input"], str) else "items"
    return f"takes at most {most} {unit}, got {len(one.error['input'])}", ""


def _pattern(one: Found, model: type[BaseModel]) -> tuple[str, str]:
    parents = along(model, one.steps[:-1])
    last = next((part for part in reversed(one.place) if isinstance(part, str)), "")
    hint = field_description(parents, last)
    return f"not well formed, got {_got(one)}", hint or f"pattern {one.error['ctx']['pattern']}"


_BUILDERS: Mapping[str, Callable[[Found, type[BaseModel]], tuple[str, str]]] = {
    "missing": _missing,
    "extra_forbidden": _unknown,
    "union_tag_invalid": _bad_tag,
    "union_tag_not_found": _no_tag,
    "too_short": _short,
    "string_too_short": _short,
    "too_long": _long,
    "string_too_long": _long,
    "string_pattern_mismatch": _pattern,
}
