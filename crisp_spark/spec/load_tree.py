"""YAML 1.2 text to a tree of values that remember their file and line."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crisp_spark.errors import UsageError
from crisp_spark.spec.faults import Fault, Origin, Place, describe

YamlNode = Any  # ruamel.yaml is imported where it is used, and its nodes share no useful base
MERGE_KEY = "<<"
_MOST_NODES = 200_000
_NULL = {"", "~", "null", "Null", "NULL"}
_TRUE = {"true", "True", "TRUE"}
_FALSE = {"false", "False", "FALSE"}
_INTEGER = re.compile(r"^[-+]?[0-9]+$|^0o[0-7]+$|^0x[0-9a-fA-F]+$")
_FLOAT = re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$")
_NOT_FINITE = re.compile(r"^[-+]?\.(inf|Inf|INF)$|^\.(nan|NaN|NAN)$")
_LEADING_ZERO = re.compile(r"^[-+]?0[0-9]+$")
_STANDARD_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True)
class Node:
    """A value of the project file.

    Attributes:
        value: A scalar, a dict of nodes or a list of nodes.
        origin: Where it was written.
        keys: For a map: where each key was written.
    """

    value: Any
    origin: Origin
    keys: dict[str, Origin] = field(default_factory=dict)

    @property
    def is_map(self) -> bool:
        """Whether this is a map."""
        return isinstance(self.value, dict)

    @property
    def is_list(self) -> bool:
        """Whether this is a list."""
        return isinstance(self.value, list)

    def child(self, part: str | int) -> Node | None:
        """Return the value below a key or at a position; ``part`` may be the id of an item."""
        if isinstance(self.value, dict):
            found = self.value.get(part if isinstance(part, str) else str(part))
            return found if isinstance(found, Node) else None
        if isinstance(self.value, list):
            position = self.position(part)
            return None if position is None else self.value[position]
        return None

    def position(self, part: str | int) -> int | None:
        """Return the position of a list item given by position or id."""
        if isinstance(part, int):
            return part if 0 <= part < len(self.value) else None
        ids = [item_id(item) for item in self.value]
        return ids.index(part) if part in ids else None

    def plain(self) -> Any:
        """Return the value without origins."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def locate(self, place: Place) -> Origin:
        """Return where the value at ``place``, or the nearest one above it, was written."""
        node, origin = self, self.origin
        for part in place:
            below = node.child(part)
            if below is None:
                break
            origin = node.keys.get(str(part), below.origin) if node.is_map else below.origin
            if node.is_map and below.origin.via:
                origin = Origin(origin.source, origin.line, below.origin.via)
            node = below
        return origin


def item_id(node: Node) -> str | None:
    """Return the ``id`` of a list item, as text."""
    if not node.is_map or "id" not in node.value:
        return None
    found = node.value["id"].value
    return str(found) if isinstance(found, str | int) else None


def from_plain(value: Any, origin: Origin) -> Node:
    """Give a plain value one origin throughout."""
    if isinstance(value, dict):
        nodes = {str(key): from_plain(item, origin) for key, item in value.items()}
        return Node(nodes, origin, dict.fromkeys(nodes, origin))
    if isinstance(value, list | tuple):
        return Node([from_plain(item, origin) for item in value], origin)
    return Node(value, origin)


def read_file(path: Path, name: str, faults: list[Fault]) -> Node | None:
    """Read a YAML file.

    Args:
        path: The file.
        name: The file as faults call it.
        faults: Faults are added here; None comes back where nothing can be used.

    Raises:
        UsageError: There is no such file, or it cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise UsageError(
            f"{name}: no such file", hint="name it with --project, or make one with `crisp init`"
        ) from error
    except IsADirectoryError as error:
        raise UsageError(f"{name}: a folder, not a file", hint=f"try {name}/crisp.yml") from error
    except OSError as error:
        raise UsageError(f"{name}: cannot be read ({error.strerror})") from error
    text = _decoded(content, name, faults)
    if text is None:
        return None
    tree = read_text(text, name, faults)
    if tree is None:
        return None
    if tree.is_map and tree.value:
        return tree
    empty = tree.value is None or (tree.is_map and not tree.value)
    faults.append(
        Fault(
            (),
            "the file is empty" if empty else f"expected a map of keys, got {_form(tree)}",
            "a project file starts with `version: 1` and `project: {name: ...}`; `crisp init` "
            "writes one",
            Origin(name, tree.origin.line or 1),
        )
    )
    return None


def _form(tree: Node) -> str:
    return describe(tree.plain()) if tree.is_list else f"a single value, {describe(tree.value)}"


def _decoded(content: bytes, name: str, faults: list[Fault]) -> str | None:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        utf16 = content[:2] in {b"\xff\xfe", b"\xfe\xff"}
        found = "UTF-16" if utf16 else f"byte 0x{content[error.start]:02x}"
        faults.append(
            Fault((), f"not UTF-8, got {found}", "save the file as UTF-8", Origin(name, line))
        )
        return None


def read_text(text: str, name: str, faults: list[Fault]) -> Node | None:
    """Read YAML text; see :func:`read_file`."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        documents = list(YAML(typ="safe", pure=True).compose_all(io.StringIO(text)))
    except MarkedYAMLError as error:
        faults.append(_syntax_fault(error, name, text))
        return None
    except YAMLError as error:
        # A character that YAML does not allow: the reader gives a position, not a line.
        position = getattr(error, "position", 0)
        line = text[:position].count("\n") + 1
        what = f"a character YAML does not allow, got {text[position : position + 1]!r}"
        faults.append(Fault((), what, "remove it", Origin(name, line)))
        return None
    if len(documents) > 1:
        line = documents[1].start_mark.line + 1
        what = "a second YAML document starts here"
        faults.append(Fault((), what, "keep one document per file", Origin(name, line)))
        return None
    if not documents or documents[0] is None:
        return Node(None, Origin(name, 1))
    return _Reader(name, faults).read(documents[0], ())


def _syntax_fault(error: Any, name: str, text: str) -> Fault:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 1
    rows = text.splitlines()
    row = rows[line - 1] if line <= len(rows) else ""
    problem = (error.problem or error.context or "not YAML").strip()
    hint = error.context.strip() if error.context and error.problem else ""
    if "\t" in row[: len(row) - len(row.lstrip())] or "'\\t'" in problem:
        problem, hint = "a tab used for indentation", "YAML is indented with spaces"
    elif "mapping values are not allowed" in problem:
        hint = "put a text that contains `: ` in quotes, or check the indentation"
    elif "found undefined alias" in problem:
        hint = "write a text that starts with * or & in quotes"
    return Fault((), f"not YAML: {problem}", hint, Origin(name, line))


@dataclass
class _Reader:
    """Turns composed YAML into nodes; gathers faults instead of stopping at the first."""

    name: str
    faults: list[Fault]
    nodes: int = 0
    open: list[int] = field(default_factory=list)

    def read(self, node: YamlNode, place: Place) -> Node:
        origin = Origin(self.name, node.start_mark.line + 1)
        self.nodes += 1
        if id(node) in self.open or self.nodes > _MOST_NODES:
            again = "an alias of a value that contains it"
            what = again if id(node) in self.open else "too many values through aliases"
            if self.nodes <= _MOST_NODES + 1:
                self.faults.append(Fault(place, what, "write the values out", origin))
            return Node(None, origin)
        self.open.append(id(node))
        try:
            return self._read(node, place, origin)
        finally:
            self.open.pop()

    def _read(self, node: YamlNode, place: Place, origin: Origin) -> Node:
        tag = str(node.tag)
        if not tag.startswith(_STANDARD_TAG) or "/" in tag[len(_STANDARD_TAG) :]:
            self.faults.append(Fault(place, f"tag {tag} is not allowed", "remove it", origin))
        match node.id:
            case "mapping":
                return self._map(node, place, origin)
            case "sequence":
                items = [self.read(item, (*place, i)) for i, item in enumerate(node.value)]
                return Node(items, origin)
            case _:
                return Node(self._scalar(node, place, origin), origin)

    def _map(self, node: YamlNode, place: Place, origin: Origin) -> Node:
        values: dict[str, Node] = {}
        keys: dict[str, Origin] = {}
        merged: list[Node] = []
        for key_node, value_node in node.value:
            where = Origin(self.name, key_node.start_mark.line + 1)
            if key_node.id != "scalar":
                self.faults.append(Fault(place, "a key must be a single text", "", where))
                continue
            key = str(key_node.value)
            if key == MERGE_KEY and str(key_node.tag).endswith(":merge"):
                merged += self._merged(value_node, place, where)
                continue
            if key in keys:
                what = f"key {key!r} stands here twice, first on line {keys[key].line}"
                self.faults.append(Fault((*place, key), what, "remove one of them", where))
                continue
            keys[key] = where
            values[key] = self.read(value_node, (*place, key))
        for other in merged:
            for key, below in other.value.items():
                values.setdefault(key, below)
                keys.setdefault(key, other.keys[key])
        return Node(values, origin, keys)

    def _merged(self, node: YamlNode, place: Place, where: Origin) -> Iterator[Node]:
        below = self.read(node, place)
        for other in below.value if below.is_list else [below]:
            if other.is_map:
                yield other
            else:
                self.faults.append(
                    Fault(place, f"`<<` needs a map, got {describe(other.plain())}", "", where)
                )

    def _scalar(self, node: YamlNode, place: Place, origin: Origin) -> Any:
        text = str(node.value)
        if node.style is not None or str(node.tag).endswith(":str"):
            return text
        if _LEADING_ZERO.match(text):
            what = f"a number with a leading zero, got {text}"
            hint = f"write '{text}' for a text, {int(text)} for a number"
            self.faults.append(Fault(place, what, hint, origin))
            return text
        if _NOT_FINITE.match(text):
            what = f"expected a finite number, got {text}"
            self.faults.append(Fault(place, what, "leave out a bound that does not bind", origin))
            return text
        return plain_scalar(text)


def plain_scalar(text: str) -> str | int | float | bool | None:
    """Read an unquoted scalar by the core schema of YAML 1.2."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INTEGER.match(text):
        return int(text, 0) if text[:2] in {"0o", "0x"} else int(text)
    if _FLOAT.match(text):
        number = float(text)
        return number if math.isfinite(number) else text
    return text
