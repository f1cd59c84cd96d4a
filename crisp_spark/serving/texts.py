"""Functions of texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from crisp_spark.serving import javaregex
from crisp_spark.serving.hashing import hash_value
from crisp_spark.serving.nodes import Builder, Node, Run, Strict
from crisp_spark.serving.refusal import UnsupportedError


def constant(node: Node, at: int) -> Any:
    """Return an argument that must be a literal.

    Raises:
        UnsupportedError: It is none.
    """
    argument = node["a"][at]
    if "v" not in argument or argument["v"] is None:
        raise UnsupportedError(f"{node['f']} whose argument {at + 1} is no literal")
    return argument["v"]


def substring(text: str, start: int, length: int) -> str:
    """Return a part as Spark's substring does: from 1, or from the end where negative."""
    begin = start - 1 if start > 0 else (len(text) + start if start < 0 else 0)
    return text[max(begin, 0) : max(begin + length, 0)] if length > 0 else ""


def _trim(left: str | None, right: str | None) -> Callable[[Node, list[Run]], Run]:
    def build(_node: Node, arguments: list[Run]) -> Run:
        source, *rest = arguments

        def run(row: Sequence[Any]) -> str | None:
            text: str | None = source(row)
            if text is None:
                return None
            signs = rest[0](row) if rest else " "
            if signs is None:
                return None
            text = text.lstrip(signs) if left and signs else text
            return text.rstrip(signs) if right and signs else text

        return run

    return build


def _concat(node: Node, arguments: list[Run]) -> Run:
    is_list = node["t"].startswith("array")
    if node["t"] != "string" and not is_list:
        raise UnsupportedError(f"CONCAT of {node['t']}")

    def run(row: Sequence[Any]) -> Any:
        parts = []
        for argument in arguments:
            value = argument(row)
            if value is None:
                return None
            parts.append(value)
        return [item for part in parts for item in part] if is_list else "".join(parts)

    return run


def _concat_with(_node: Node, arguments: list[Run]) -> Run:
    separator, *others = arguments

    def run(row: Sequence[Any]) -> str | None:
        between = separator(row)
        if between is None:
            return None
        parts: list[str] = []
        for other in others:
            value = other(row)
            if isinstance(value, list):
                parts += [item for item in value if item is not None]
            elif value is not None:
                parts.append(value)
        return str(between).join(parts)

    return run


def _padded(*, left: bool) -> Strict:
    def pad(text: str, length: int, fill: str) -> str:
        if len(text) >= length:
            return text[: max(length, 0)]
        missing = length - len(text)
        added = (fill * (missing // len(fill) + 1))[:missing] if fill else ""
        return added + text if left else text + added

    return lambda _node: pad


def _locate(part: str, text: str, start: int) -> int:
    return text.find(part, start - 1) + 1 if start >= 1 else 0


def _matches(node: Node) -> Callable[[str, Any], bool]:
    pattern = javaregex.compiled(constant(node, 1))
    return lambda text, _pattern: pattern.search(text) is not None


def _like(node: Node) -> Callable[[str, Any], bool]:
    pattern = javaregex.like(constant(node, 1), node.get("escape", "\\"))
    return lambda text, _pattern: pattern.fullmatch(text) is not None


def _replace_matches(node: Node) -> Callable[..., str]:
    pattern = javaregex.compiled(constant(node, 1))
    fill = javaregex.replacement(constant(node, 2))
    start = constant(node, 3) if len(node["a"]) > 3 else 1  # noqa: PLR2004
    if pattern.match("") or start != 1:
        raise UnsupportedError(
            "REGEXP_REPLACE from a later place, or of a pattern that may be empty"
        )
    return lambda text, *_rest: pattern.sub(fill, text)


def _extract(node: Node) -> Callable[..., str]:
    pattern, group = javaregex.compiled(constant(node, 1)), constant(node, 2)
    if not 0 <= group <= pattern.groups:
        raise UnsupportedError(f"REGEXP_EXTRACT of group {group}")

    def run(text: str, *_rest: Any) -> str:
        found = pattern.search(text)
        return (found[group] or "") if found else ""

    return run


def _split(node: Node) -> Callable[..., list[str]]:
    limit = constant(node, 2) if len(node["a"]) > 2 else -1  # noqa: PLR2004
    if limit > 0:
        raise UnsupportedError("SPLIT with a limit")
    # A limit of 0 keeps empty parts at the end too, unlike Java's.
    split = javaregex.splitter(constant(node, 1), keep_empty_end=True)
    return lambda text, *_rest: split(text)


def _capitals(text: str) -> str:
    return " ".join(word[:1].upper() + word[1:] for word in text.lower().split(" "))


def _before(text: str, mark: str, count: int) -> str:
    if not mark or count == 0:
        return ""
    parts = text.split(mark)
    chosen = parts[:count] if count > 0 else parts[count:]
    return mark.join(chosen)


def _translate(text: str, old: str, new: str) -> str:
    table: dict[str, str] = {}
    for at, sign in enumerate(old):
        table.setdefault(sign, new[at] if at < len(new) else "")
    return "".join(table.get(sign, sign) for sign in text)


def _of_texts(node: Node, function: Callable[..., Any]) -> Callable[..., Any]:
    if node["a"][0]["t"] != "string":
        raise UnsupportedError(f"{node['f']} of {node['a'][0]['t']}")
    return function


def _texts(function: Callable[..., Any]) -> Strict:
    return lambda node: _of_texts(node, function)


def _hash(node: Node, arguments: list[Run]) -> Run:
    kinds = [argument["t"] for argument in node["a"]]
    start = int(node.get("seed", 42))

    def run(row: Sequence[Any]) -> int:
        found = start
        for kind, argument in zip(kinds, arguments, strict=True):
            value = argument(row)
            if value is not None:
                found = hash_value(value, kind, found)
        return found

    return run


STRICT: dict[str, Strict] = {
    "Lower": _texts(str.lower),
    "Upper": _texts(str.upper),
    "Length": _texts(len),
    "OctetLength": _texts(lambda text: len(text.encode())),
    "BitLength": _texts(lambda text: 8 * len(text.encode())),
    "Substring": _texts(substring),
    "StringLPad": _padded(left=True),
    "StringRPad": _padded(left=False),
    "StringRepeat": _texts(lambda text, count: text * max(count, 0)),
    "StringReplace": _texts(lambda text, old, new: text.replace(old, new) if old else text),
    "StringInstr": _texts(lambda text, part: text.find(part) + 1),
    "StringTranslate": _texts(_translate),
    "SubstringIndex": _texts(_before),
    "InitCap": _texts(_capitals),
    "Reverse": lambda _node: lambda value: value[::-1],
    "Contains": _texts(lambda text, part: part in text),
    "StartsWith": _texts(str.startswith),
    "EndsWith": _texts(str.endswith),
    "Ascii": _texts(lambda text: ord(text[0]) if text else 0),
    "RLike": _matches,
    "Like": _like,
    "RegExpReplace": _replace_matches,
    "RegExpExtract": _extract,
    "StringSplit": _split,
    "StringLocate": lambda _node: _locate,
}

SPECIAL: dict[str, Builder] = {
    "StringTrim": _trim("left", "right"),
    "StringTrimLeft": _trim("left", None),
    "StringTrimRight": _trim(None, "right"),
    "Concat": _concat,
    "ConcatWs": _concat_with,
    "Murmur3Hash": _hash,
}
