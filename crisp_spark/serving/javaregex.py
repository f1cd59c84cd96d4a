"""Java's regular expressions in Python's words, as far as both mean the same."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable
from functools import cache, lru_cache

from crisp_spark.serving.refusal import UnsupportedError

_LINE = "\\n\\r\\u0085\\u2028\\u2029"
_CLASSES = {
    "Alpha": "a-zA-Z",
    "Digit": "0-9",
    "Alnum": "a-zA-Z0-9",
    "Upper": "A-Z",
    "Lower": "a-z",
    "Punct": "!-/:-@\\[-`{-~",
    "Space": " \\t\\n\\x0b\\f\\r",
    "ASCII": "\\x00-\\x7f",
}
_SAME = frozenset("dDwWsSbB")
_PLAIN = frozenset("tnrfx")


@lru_cache(maxsize=256)
def compiled(pattern: str) -> re.Pattern[str]:
    """Return a Java pattern for use in Python.

    Raises:
        UnsupportedError: It has a construct that Python lacks or understands otherwise.
    """
    try:
        return re.compile(_translated(pattern), re.ASCII)
    except (re.error, OverflowError) as error:
        raise UnsupportedError(f"regular expression {pattern!r}: {error}") from error


def _translated(pattern: str) -> str:
    made, at = [], 0
    while at < len(pattern):
        sign = pattern[at]
        if sign == "\\":
            text, at = _escape(pattern, at, inside=False)
            made.append(text)
            continue
        if sign == "[":
            text, at = _class(pattern, at)
            made.append(text)
            continue
        if (
            sign == "("
            and pattern[at + 1 : at + 2] == "?"
            and pattern[at + 2 : at + 3] not in ":=!"
        ):
            raise UnsupportedError(f"regular expression {pattern!r}: groups with flags or names")
        if sign == ".":
            made.append(f"[^{_LINE}]")
        elif sign == "$":
            made.append(f"(?=(?:\\r\\n|[{_LINE}])?\\Z)")
        else:
            made.append(sign)
        at += 1
    return "".join(made)


def _escape(pattern: str, at: int, *, inside: bool) -> tuple[str, int]:
    sign = pattern[at + 1 : at + 2]
    if sign in ("p", "P"):
        return _property(pattern, at, inside=inside)
    if sign in _SAME and not (inside and sign in "bB"):
        return f"\\{sign}", at + 2
    if sign == "z" and not inside:
        return "\\Z", at + 2
    if sign == "A" and not inside:
        return "\\A", at + 2
    if sign == "u":
        return pattern[at : at + 6], at + 6
    if sign in _PLAIN or (sign and not sign.isalnum()) or (sign.isdigit() and sign != "0"):
        return f"\\{sign}", at + 2
    raise UnsupportedError(f"regular expression {pattern!r}: \\{sign}")


def _property(pattern: str, at: int, *, inside: bool) -> tuple[str, int]:
    negated = pattern[at + 1] == "P"
    if pattern[at + 2 : at + 3] == "{":
        end = pattern.find("}", at)
        name, after = pattern[at + 3 : end], end + 1
    else:
        name, after = pattern[at + 2 : at + 3], at + 3
    ranges = _CLASSES.get(name) or _category(name.removeprefix("Is"), negated=False)
    if not ranges:
        raise UnsupportedError(f"regular expression {pattern!r}: property {name!r}")
    if negated:
        if name in _CLASSES:
            raise UnsupportedError(f"regular expression {pattern!r}: \\P{{{name}}}")
        ranges = _category(name.removeprefix("Is"), negated=True)
    return (ranges if inside else f"[{ranges}]"), after


@cache
def _category(name: str, *, negated: bool) -> str:
    """Return the code points of a general category (L, Lu, N) as ranges of a class."""
    if not re.fullmatch("[CLMNPSZ][a-z]?", name):
        return ""
    found: list[tuple[int, int]] = []
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code)).startswith(name) != negated:
            if found and found[-1][1] == code - 1:
                found[-1] = (found[-1][0], code)
            else:
                found.append((code, code))
    return "".join(f"\\U{low:08x}-\\U{high:08x}" for low, high in found)


def _class(pattern: str, at: int) -> tuple[str, int]:
    made, at = ["["], at + 1
    if pattern[at : at + 1] == "^":
        made.append("^")
        at += 1
    while at < len(pattern) and pattern[at] != "]":
        if pattern[at] == "[" or pattern[at : at + 2] == "&&":
            raise UnsupportedError(f"regular expression {pattern!r}: classes within classes")
        if pattern[at] == "\\":
            text, at = _escape(pattern, at, inside=True)
            made.append(text)
        else:
            made.append(pattern[at])
            at += 1
    if at >= len(pattern) or len(made) == 1:
        raise UnsupportedError(f"regular expression {pattern!r}: a class is not closed")
    return "".join([*made, "]"]), at + 1


def splitter(pattern: str, *, keep_empty_end: bool) -> Callable[[str], list[str]]:
    """Return how Java splits a text at a pattern.

    Raises:
        UnsupportedError: The pattern may match nothing, or is not the same in Python.
    """
    found = compiled(pattern)
    if found.match("") or found.groups:
        raise UnsupportedError(
            f"splitting at {pattern!r}: it matches the empty text, or has groups"
        )

    def split(text: str) -> list[str]:
        parts = found.split(text)
        if not keep_empty_end:
            while len(parts) > 1 and not parts[-1]:
                parts.pop()
            if len(parts) == 1 and not parts[0] and text:
                return []
        return parts

    return split


def like(pattern: str, escape: str) -> re.Pattern[str]:
    """Return a LIKE pattern as a regular expression.

    Raises:
        UnsupportedError: The escape sign stands before a sign that needs none.
    """
    made, at = [], 0
    while at < len(pattern):
        sign = pattern[at]
        if sign == escape:
            following = pattern[at + 1 : at + 2]
            if following not in ("_", "%", escape) or not following:
                raise UnsupportedError(f"LIKE {pattern!r}: a wrong escape")
            made.append(re.escape(following))
            at += 2
            continue
        made.append("." if sign == "_" else ".*" if sign == "%" else re.escape(sign))
        at += 1
    return re.compile("".join(made), re.DOTALL)


def replacement(text: str) -> Callable[[re.Match[str]], str]:
    """Return what Java puts in place of a match: ``$1`` is a group, a backslash escapes."""
    parts: list[str | int] = []
    at = 0
    while at < len(text):
        if text[at] == "\\" and at + 1 < len(text):
            parts.append(text[at + 1])
            at += 2
        elif text[at] == "$":
            digits = re.match(r"\d", text[at + 1 :], re.ASCII)
            if digits is None:
                raise UnsupportedError(f"replacement {text!r}: named groups")
            parts.append(int(digits[0]))
            at += 2
        else:
            parts.append(text[at])
            at += 1
    return lambda match: "".join(
        (match[part] or "") if isinstance(part, int) else part for part in parts
    )
