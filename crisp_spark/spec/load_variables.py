"""Variables: where their values come from, and their substitution as ``${var.name}``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from crisp_spark.errors import UsageError
from crisp_spark.spec.faults import Fault, Origin, Place, describe, nearest
from crisp_spark.spec.load_tree import Node, from_plain, read_text
from crisp_spark.spec.secrets import REFERENCE_FORMS

ENVIRONMENT_PREFIX = "CRISP_VAR_"
_REFERENCE = re.compile(r"\$?\$\{([^{}]*)\}")
_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
_FORMS = f"valid: ${{var.NAME}}, and for secrets {REFERENCE_FORMS}; write $${{ for a plain ${{"


@dataclass
class Variables:
    """Values of the declared variables, each with its origin.

    Attributes:
        values: Value of each variable that has one.
        declared: Names of all declared variables.
        faults: Faults found on the way.
    """

    values: dict[str, Node]
    declared: tuple[str, ...]
    faults: list[Fault]
    _done: dict[str, Node] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list)

    def substituted(self, node: Node, place: Place) -> Node:
        """Return the value with all variables filled in."""
        if node.is_map:
            items = {key: self.substituted(item, (*place, key)) for key, item in node.value.items()}
            return replace(node, value=items)
        if node.is_list:
            items_ = [self.substituted(item, (*place, i)) for i, item in enumerate(node.value)]
            return replace(node, value=items_)
        if not isinstance(node.value, str) or "${" not in node.value:
            return node
        return self._text(node, place)

    def _text(self, node: Node, place: Place) -> Node:
        text: str = node.value
        whole = _REFERENCE.fullmatch(text)
        if whole and not text.startswith("$$") and whole[1].startswith("var."):
            found = self._value(whole[1][4:], node, place)
            return replace(node, value=None) if found is None else _rooted(found, node.origin)
        via: list[str] = []

        def fill(match: re.Match[str]) -> str:
            if match[0].startswith("$$"):
                return match[0][1:]
            if not match[1].startswith("var."):
                return self._foreign(match, node, place)
            found = self._value(match[1][4:], node, place)
            if found is None:
                return ""
            if found.is_map or found.is_list or found.value is None:
                what = f"{match[0]} stands inside a text, got {describe(found.plain())}"
                self._fault(place, what, "only a single value can be part of a text", node)
                return ""
            via.extend(found.origin.via)
            return describe(found.value) if isinstance(found.value, bool) else str(found.value)

        filled = _REFERENCE.sub(fill, text)
        origin = replace(node.origin, via=tuple(dict.fromkeys(via)))
        return replace(node, value=filled, origin=origin)

    def _foreign(self, match: re.Match[str], node: Node, place: Place) -> str:
        # References to secrets stay as they are: the shape check knows which fields may hold one.
        if not match[1].startswith(("env:", "secret:")):
            near = nearest(match[1], self.declared, kind="variables")
            hint = f"{_FORMS}; {near}" if match[1] in self.declared else _FORMS
            self._fault(place, f"unknown reference {match[0]}", hint, node)
        return match[0]

    def _value(self, name: str, node: Node, place: Place) -> Node | None:
        if name in self._done:
            return self._done[name]
        if name in self._open:
            chain = " -> ".join([*self._open[self._open.index(name) :], name])
            self._fault(place, f"variable {name!r} needs its own value ({chain})", "", node)
            return None
        if name not in self.values:
            if name in self.declared:
                what = f"variable {name!r} has no value"
                hint = f"give it a default, or set it with --var {name}=... or CRISP_VAR_{name}"
            else:
                what = f"no variable {name!r}"
                hint = nearest(name, self.declared, kind="variables")
            self._fault(place, what, hint, node)
            return None
        self._open.append(name)
        raw = self.values[name]
        value = self.substituted(raw, ("variables", name))
        self._open.pop()
        via = (f"{name} from {raw.origin.bare}", *value.origin.via)
        self._done[name] = _with_via(value, via)
        return self._done[name]

    def _fault(self, place: Place, what: str, hint: str, node: Node) -> None:
        self.faults.append(Fault(place, what, hint, node.origin))


def _with_via(node: Node, via: tuple[str, ...]) -> Node:
    return replace(node, origin=replace(node.origin, via=via))


def _rooted(node: Node, origin: Origin) -> Node:
    """Move a variable's value to where it is used; ``via`` keeps where it was set."""
    moved = replace(origin, via=node.origin.via)
    return from_plain(node.plain(), moved)


def gathered(
    tree: Node,
    target: str | None,
    environ: Mapping[str, str],
    given: Mapping[str, str],
    faults: list[Fault],
) -> Variables:
    """Gather the values of all variables: default, target, environment, command line.

    Raises:
        UsageError: A variable is set that is not declared.
    """
    declared = _declared(tree, faults)
    values = {name: node for name, node in declared.items() if node is not None}
    for name, node in _of_target(tree, target).items():
        if name in declared:
            values[name] = node
        else:
            place: Place = ("targets", target or "", "variables", name)
            hint = nearest(name, declared, kind="variables")
            faults.append(Fault(place, f"no variable {name!r}", hint, tree.locate(place)))
    for name in declared:
        for key in (f"{ENVIRONMENT_PREFIX}{name}", f"{ENVIRONMENT_PREFIX}{name.upper()}"):
            if key in environ:
                values[name] = _read(environ[key], declared[name], Origin(key))
                break
    for name, text in given.items():
        if name not in declared:
            raise UsageError(
                f"--var: no variable {name!r}", hint=nearest(name, declared, kind="variables")
            )
        values[name] = _read(text, declared[name], Origin(f"--var {name}"))
    return Variables(values, tuple(declared), faults)


def _declared(tree: Node, faults: list[Fault]) -> dict[str, Node | None]:
    block = tree.child("variables")
    if block is None or not block.is_map:
        return {}
    declared: dict[str, Node | None] = {}
    for name, node in block.value.items():
        if not _NAME.match(name):
            what = f"not a name for a variable, got {name!r}"
            hint = "letters, digits and _, not starting with a digit"
            faults.append(Fault(("variables", name), what, hint, block.keys.get(name)))
        value = node.child("default") if node.is_map else node
        declared[name] = None if value is None or value.value is None else value
    return declared


def _of_target(tree: Node, target: str | None) -> dict[str, Node]:
    node: Node | None = tree
    for part in ("targets", target, "variables") if target else ():
        node = node.child(part) if node and part else None
    return node.value if target and node and node.is_map else {}


def _read(text: str, default: Node | None, origin: Origin) -> Node:
    """Read a value from outside: as YAML where the default is no text, else as it stands."""
    if default is None or isinstance(default.value, str):
        return Node(text, origin)
    found: list[Fault] = []
    node = read_text(text, origin.source, found)
    value: Any = text if found or node is None else node.plain()
    return from_plain(value, origin)
