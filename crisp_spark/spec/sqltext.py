"""Spark SQL as text: literals, and the names an expression speaks of."""

from __future__ import annotations

import math
import re

_TOKEN = re.compile(
    r"""
    (?P<text>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*")
  | (?P<comment>--[^\n]*|/\*.*?\*/)
  | (?P<quoted>`(?:[^`]|``)*`)
  | (?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?[A-Za-z]*)
  | (?P<name>[^\W\d]\w*)(?P<call>\s*\()?
    """,
    re.VERBOSE | re.DOTALL,
)


def literal(value: bool | float | str | None) -> str:
    """Return ``value`` as a Spark SQL literal (default string escapes)."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value}L" if abs(value) > 2**31 - 1 else str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            return f"double('{value}')"
        return f"{value!r}D"
    escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"


def names_in(expression: str) -> frozenset[str]:
    """Return the lower-case names that a SQL expression may refer to.

    Names of functions, texts and comments are left out; key words and lambda variables are not
    told apart from columns, so the answer may hold more than the columns, never less. A dotted
    name counts with its first part and its parts.
    """
    found: set[str] = set()
    for match in _TOKEN.finditer(expression):
        if match["quoted"]:
            found.add(match["quoted"][1:-1].replace("``", "`").lower())
        elif match["name"] and not match["call"]:
            found.add(match["name"].lower())
    return frozenset(found)
