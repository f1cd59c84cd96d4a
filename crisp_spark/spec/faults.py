"""Faults of a project file: where, what, what was got, and how to mend it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from crisp_spark.errors import SpecError, suggest

Place = tuple[str | int, ...]
"""Way from the top of the project file to a value: keys and list positions."""

_PLAIN_KEY = re.compile(r"^[^\s.\[\]\"=]+$")
_SEGMENT = re.compile(r'\[(?P<item>[^\]"]+)\]|"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^.\[\]"]+)')
_SHOWN_NAMES = 30


@dataclass(frozen=True)
class Origin:
    """Where a value was written.

    Attributes:
        source: File as the user named it, ``CRISP_VAR_X``, ``--var x``, ``--set a.b``.
        line: Line in the file, counted from 1; 0 where there are no lines.
        via: Where the variables used in the value were set.
    """

    source: str
    line: int = 0
    via: tuple[str, ...] = ()

    def __str__(self) -> str:
        place = f"{self.source}:{self.line}" if self.line else self.source
        return f"{place} ({'; '.join(self.via)})" if self.via else place

    @property
    def bare(self) -> Origin:
        """The same place without the variables."""
        return replace(self, via=())


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a project file.

    Attributes:
        place: Value that is wrong.
        what: What is wrong, and what was got.
        hint: What is valid, or what to do.
        origin: File and line, once known.
    """

    place: Place
    what: str
    hint: str = ""
    origin: Origin | None = None

    def __str__(self) -> str:
        parts = [str(self.origin.bare) if self.origin else "", dotted(self.place), self.what]
        text = ": ".join(part for part in parts if part)
        return f"{text}; {self.hint}" if self.hint else text


class ProjectFileError(SpecError):
    """A project file with faults; ``details`` holds them as values, ``faults`` as lines."""

    def __init__(self, source: str, details: Iterable[Fault]) -> None:
        self.details = tuple(sorted(set(details), key=_by_file_and_line))
        count = len(self.details)
        super().__init__(
            f"{source}: {count} {'fault' if count == 1 else 'faults'}",
            faults=[str(fault) for fault in self.details],
        )


def _by_file_and_line(fault: Fault) -> tuple[str, int, str, str]:
    origin = fault.origin or Origin("")
    return origin.source, origin.line, dotted(fault.place), fault.what


def dotted(place: Sequence[str | int]) -> str:
    """Write a place as ``a.b[0].c``; keys that are not plain words stand in double quotes."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        quoted = part.replace("\\", "\\\\").replace('"', '\\"')
        name = part if _PLAIN_KEY.match(part) else f'"{quoted}"'
        text += f".{name}" if text else name
    return text


def parse_place(text: str) -> Place | None:
    """Read what :func:`dotted` writes; ``[B1]`` names a list item by its id; None if malformed."""
    place: list[str | int] = []
    position = 0
    while position < len(text):
        if text[position] == "." and place:
            position += 1
        elif place and text[position] != "[":
            return None
        found = _SEGMENT.match(text, position)
        if not found:
            return None
        item, quoted, plain = found["item"], found["quoted"], found["plain"]
        if item is not None:
            place.append(int(item) if item.isdigit() else item)
        elif quoted is not None:
            place.append(re.sub(r"\\(.)", r"\1", quoted))
        else:
            place.append(plain)
        position = found.end()
    return tuple(place) or None


def nearest(name: str, valid: Iterable[str], *, kind: str = "valid") -> str:
    """Return a hint that names the nearest valid name and lists them all, as far as they fit."""
    names = list(dict.fromkeys(valid))
    near = suggest(name, names)
    hint = f"did you mean {near!r}? " if near else ""
    shown = ", ".join(names[:_SHOWN_NAMES]) + (", ..." if len(names) > _SHOWN_NAMES else "")
    return f"{hint}{kind}: {shown or 'none'}"


def describe(value: object) -> str:
    """Say in a few words what was got."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            return repr(value if len(value) <= 60 else value[:57] + "...")  # noqa: PLR2004
        case dict():
            return "an empty map" if not value else "a map"
        case list() | tuple():
            return "an empty list" if not value else "a list"
        case _:
            return str(value)


def holds(value: Any, part: str | int) -> bool:
    """Say whether plain data has a value at a key or position."""
    if isinstance(value, Mapping):
        return part in value
    return isinstance(value, list | tuple) and isinstance(part, int) and part < len(value)
