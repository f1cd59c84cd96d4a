"""Regular expressions of Java's syntax in RE2's, where both mean the same."""

from __future__ import annotations

import re


class CannotError(Exception):
    """The local engine has no way to say this in the same sense as Spark."""


_NOT_AT_LINE_END = r"[^\n\r\x{85}\x{2028}\x{2029}]"
_BEFORE_LAST_LINE_END = r"(?:\r\n|[\n\r\x{85}\x{2028}\x{2029}])?\z"
_ESCAPES = {
    "d": "[0-9]",
    "D": "[^0-9]",
    "w": "[0-9A-Za-z_]",
    "W": "[^0-9A-Za-z_]",
    "s": r"[ \t\n\x0B\f\r]",
    "S": r"[^ \t\n\x0B\f\r]",
    "A": r"\A",
    "z": r"\z",
    "Z": _BEFORE_LAST_LINE_END,
    "t": r"\t",
    "n": r"\n",
    "r": r"\r",
    "f": r"\f",
}
_IN_CLASS = {"d": "0-9", "w": "0-9A-Za-z_", "s": r" \t\n\x0B\f\r"} | {s: rf"\{s}" for s in "tnrf"}
_COUNTED = re.compile(r"\{(\d+)(,(\d*))?\}")
_MOST_REPEATS = 1000
"""RE2 refuses more."""


def re2_pattern(pattern: str) -> str:
    """Translate a Java pattern that is searched for anywhere in a text.

    Raises:
        CannotError: It holds something that RE2 lacks or reads otherwise.
    """
    found: list[str] = []
    at = 0
    while at < len(pattern):
        sign = pattern[at]
        if sign == "\\":
            piece, at = _escape(pattern, at)
        elif sign == "[":
            piece, at = _class(pattern, at)
        elif sign == "(":
            piece, at = _group(pattern, at)
        elif sign == "{":
            piece, at = _count(pattern, at)
        elif sign in "*+?":
            piece, at = _repeat(pattern, at)
        else:
            special = {".": _NOT_AT_LINE_END, "$": _end(pattern, at)}
            piece, at = special.get(sign, sign), at + 1
        found.append(piece)
    return "".join(found)


def _end(pattern: str, at: int) -> str:
    """``$`` also matches before a line end that ends the text; something after it may need it."""
    if pattern[at] == "$" and pattern[at + 1 :].strip(")") and pattern[at + 1 : at + 2] != "|":
        raise CannotError("a $ inside a pattern")
    return _BEFORE_LAST_LINE_END


def _escape(pattern: str, at: int) -> tuple[str, int]:
    sign = pattern[at + 1 : at + 2]
    if sign in _ESCAPES:
        return _ESCAPES[sign], at + 2
    if sign and not sign.isalnum() and sign.isascii():
        return f"\\{sign}", at + 2
    raise CannotError(f"\\{sign} in a pattern")


def _class(pattern: str, start: int) -> tuple[str, int]:
    at = start + 1
    found = ["["]
    if pattern[at : at + 1] == "^":
        found.append("^")
        at += 1
    first = at
    while at < len(pattern) and (pattern[at] != "]" or at == first):
        sign = pattern[at]
        if sign in "[]" or pattern.startswith("&&", at):
            raise CannotError("a class inside a class of a pattern")
        if sign == "\\":
            name = pattern[at + 1 : at + 2]
            if name not in _IN_CLASS and (name.isalnum() or not name.isascii() or not name):
                raise CannotError(f"\\{name} in a class of a pattern")
            found.append(_IN_CLASS.get(name, f"\\{name}"))
            at += 2
            continue
        found.append(sign)
        at += 1
    if at >= len(pattern):
        raise CannotError("a class without an end")
    return "".join([*found, "]"]), at + 1


def _group(pattern: str, at: int) -> tuple[str, int]:
    if pattern.startswith("(?", at) and not pattern.startswith("(?:", at):
        raise CannotError(f"{pattern[at : at + 3]} in a pattern")
    return ("(?:", at + 3) if pattern.startswith("(?:", at) else ("(", at + 1)


def _count(pattern: str, at: int) -> tuple[str, int]:
    match = _COUNTED.match(pattern, at)
    if match is None or max(int(match[1]), int(match[3] or 0)) > _MOST_REPEATS:
        raise CannotError("a brace in a pattern")
    return match[0] + _lazy(pattern, match.end()), match.end() + len(_lazy(pattern, match.end()))


def _repeat(pattern: str, at: int) -> tuple[str, int]:
    lazy = _lazy(pattern, at + 1)
    return pattern[at] + lazy, at + 1 + len(lazy)


def _lazy(pattern: str, at: int) -> str:
    sign = pattern[at : at + 1]
    if sign == "+":
        raise CannotError("a possessive repetition in a pattern")
    return sign if sign == "?" else ""
