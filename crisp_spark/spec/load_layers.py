"""Layers of a project file: what is laid over what, and how."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from crisp_spark.errors import UsageError
from crisp_spark.spec.faults import Fault, Origin, Place, describe, dotted, nearest, parse_place
from crisp_spark.spec.load_tree import Node, from_plain, item_id, read_file, read_text
from crisp_spark.spec.load_variables import Variables

REPLACE = "$replace"
PHASES = ("business", "data", "preparation", "modeling", "evaluation", "deployment", "review")
_OVERRIDABLE = ("project", *PHASES)
_MAIN_ONLY = ("include",)


def merge(low: Node, high: Node) -> Node:
    """Lay one value over another.

    Maps merge deep, lists whose items all have an ``id`` merge by id, everything else is
    replaced. ``$replace: true`` in a map, or as the first item of a list, replaces it whole.
    """
    if replaces(high):
        return high
    if low.is_map and high.is_map:
        values = dict(low.value)
        for key, node in high.value.items():
            values[key] = merge(values[key], node) if key in values else node
        return Node(values, high.origin, {**low.keys, **high.keys})
    if low.is_list and high.is_list and high.value and _has_ids(low) and _has_ids(high):
        items = {item_id(item): item for item in low.value}
        for item in high.value:
            known = items.get(item_id(item))
            items[item_id(item)] = merge(known, item) if known else item
        return Node(list(items.values()), high.origin)
    return high


def replaces(node: Node) -> bool:
    """Say whether a value asks to replace what lies below it."""
    if node.is_map:
        marker = node.value.get(REPLACE)
        return marker is not None and marker.value is True
    return node.is_list and bool(node.value) and _only_marker(node.value[0])


def _only_marker(node: Node) -> bool:
    return node.is_map and list(node.value) == [REPLACE]


def _has_ids(node: Node) -> bool:
    ids = [item_id(item) for item in node.value]
    return None not in ids and len(set(ids)) == len(ids)


def without_markers(node: Node) -> Node:
    """Take the ``$replace`` markers out of a merged tree."""
    if node.is_map:
        kept = {key: without_markers(item) for key, item in node.value.items() if key != REPLACE}
        return replace(node, value=kept)
    if node.is_list:
        items = [without_markers(item) for item in node.value if not _only_marker(item)]
        return replace(node, value=items)
    return node


def with_includes(main: Node, path: Path, name: str, variables: Variables) -> Node:
    """Lay the included files over the main file, in the order of the globs and of their names."""
    faults = variables.faults
    found = main.child("include")
    if found is None or found.value is None:
        return main
    patterns = found.value if found.is_list else [found]
    tree = main
    read: set[Path] = {path.resolve()}
    for number, pattern in enumerate(patterns):
        place: Place = ("include", number) if found.is_list else ("include",)
        text = variables.substituted(pattern, place).value
        if not isinstance(text, str) or not text:
            what = f"expected a path or glob, got {describe(pattern.plain())}"
            faults.append(Fault(place, what, "", pattern.origin))
            continue
        for file in _matches(text, path, place, pattern.origin, faults):
            if file.resolve() in read:
                continue
            read.add(file.resolve())
            tree = merge(tree, _included(file, path, name, faults))
    return tree


def _matches(
    pattern: str, path: Path, place: Place, origin: Origin, faults: list[Fault]
) -> Sequence[Path]:
    base = path.parent
    names = sorted(glob.glob(pattern, root_dir=base, recursive=True))  # noqa: PTH207  # may be absolute
    if not names and not glob.has_magic(pattern):
        near = [*base.glob("*.y*ml"), *base.glob("*/*.y*ml")]
        beside = [str(file.relative_to(base)) for file in sorted(near)]
        faults.append(
            Fault(place, f"no such file, got {pattern!r}", nearest(pattern, beside), origin)
        )
    return [base / found for found in names if (base / found).is_file()]


def _included(file: Path, path: Path, name: str, faults: list[Fault]) -> Node:
    shown = _shown(file, path, name)
    tree = read_file(file, shown, faults)
    if tree is None:
        return Node({}, Origin(shown, 1))
    for key in _MAIN_ONLY:
        if key in tree.value:
            what = "allowed only in the main file"
            faults.append(Fault((key,), what, f"move it to {name}", tree.keys[key]))
    kept = {key: node for key, node in tree.value.items() if key not in _MAIN_ONLY}
    return replace(tree, value=kept)


def _shown(file: Path, path: Path, name: str) -> str:
    try:
        return str(Path(name).parent / file.relative_to(path.parent))
    except ValueError:
        return str(file)


def chosen_target(tree: Node, wanted: str | None, faults: list[Fault]) -> str | None:
    """Return the name of the target to use: the one asked for, else the default one.

    Raises:
        UsageError: The target asked for does not exist.
    """
    targets = tree.child("targets")
    names = list(targets.value) if targets and targets.is_map else []
    if wanted is not None:
        if wanted in names:
            return wanted
        raise UsageError(
            f"--target: no target {wanted!r}",
            hint=nearest(wanted, names, kind="targets") if names else "the file declares none",
        )
    default = [
        name
        for name in names
        if targets
        and (flag := targets.value[name].child("default")) is not None
        and flag.value is True
    ]
    for extra in default[1:]:
        place: Place = ("targets", extra, "default")
        what = f"a second default target, the first is {default[0]!r}"
        faults.append(Fault(place, what, "keep one default", tree.locate(place)))
    return default[0] if default else None


def with_target(tree: Node, target: str | None, faults: list[Fault]) -> Node:
    """Lay the overrides of a target over the tree."""
    if target is None:
        return tree
    place: Place = ("targets", target, "overrides")
    overrides = tree
    for part in place:
        below = overrides.child(part)
        if below is None:
            return tree
        overrides = below
    if not overrides.is_map:
        return tree  # the shape check says so
    kept = {}
    for key, node in overrides.value.items():
        if key in _OVERRIDABLE:
            kept[key] = node
        else:
            what = f"unknown key {key!r}"
            hint = nearest(key, _OVERRIDABLE)
            faults.append(Fault((*place, key), what, hint, overrides.keys.get(key)))
    return merge(tree, replace(overrides, value=kept, origin=tree.origin))


def with_settings(tree: Node, settings: Sequence[str], faults: list[Fault]) -> Node:
    """Lay ``a.b=1`` settings of the command line over the tree, in order."""
    for setting in settings:
        text, separator, value = setting.partition("=")
        origin = Origin(f"--set {text}")
        place = parse_place(text.strip()) if separator else None
        if place is None:
            raise UsageError(
                f"--set: expected PATH=VALUE, got {text!r}",
                hint="for example --set modeling.search.trials=20 or "
                "--set 'business.criteria[B1].target=0.5'",
            )
        if place[0] == "variables":
            raise UsageError(
                f"--set: variables are set with --var, got {text!r}", hint="--var NAME=VALUE"
            )
        parsed = _read_value(value, origin, faults)
        tree = _set(tree, place, parsed, (), faults)
    return tree


def _read_value(text: str, origin: Origin, faults: list[Fault]) -> Node:
    found: list[Fault] = []
    node = read_text(text, origin.source, found)
    faults += [replace(fault, origin=origin) for fault in found]
    return from_plain(node.plain(), origin) if node else Node(None, origin)


def _set(node: Node, place: Place, value: Node, done: Place, faults: list[Fault]) -> Node:
    if not place:
        return value
    part, rest = place[0], place[1:]
    here = (*done, part)
    if node.is_list:
        position = node.position(part)
        if position is None and isinstance(part, str) and part.isdigit():
            position = node.position(int(part))
        if position is None:
            ids = [name for item in node.value if (name := item_id(item))]
            what = f"no item {part!r} in a list of {len(node.value)}"
            hint = nearest(str(part), ids, kind="ids") if ids else "count from 0"
            faults.append(Fault(here, what, hint, value.origin))
            return node
        items = list(node.value)
        items[position] = _set(items[position], rest, value, here, faults)
        return replace(node, value=items)
    if not node.is_map and node.value is not None:
        what = f"{dotted(done)} holds {describe(node.value)}, nothing can be set below it"
        faults.append(Fault(here, what, "", value.origin))
        return node
    values = dict(node.value or {})
    key = str(part)
    values[key] = _set(values.get(key, Node(None, value.origin)), rest, value, here, faults)
    origins = dict(node.keys)
    if not rest or key not in origins:
        origins[key] = value.origin
    return Node(values, node.origin, origins)
