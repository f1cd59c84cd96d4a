"""Spark SQL texts for stock SQLTransformer stages: exact literals, new columns in layers.

A fitted statistic that no stock stage holds becomes a literal in such a statement, so that the
saved pipeline needs nothing of this package to score.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from crisp_spark.spec.columns import quoted

THIS = "__THIS__"
"""What a SQLTransformer replaces by its input."""

_TOKEN = re.compile(
    r"""
    (?P<other>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|--[^\n]*|/\*.*?\*/
      |\d+(?:\.\d*)?(?:[eE][+-]?\d+)?[A-Za-z]*)
  | (?P<dot>\.\s*)?(?:`(?P<quoted>(?:[^`]|``)*)`|(?P<name>[^\W\d]\w*))
    (?P<after>\s*(?:\(|(?=['"])|FROM\b))?
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_TYPE_OR_UNIT = re.compile(r"(\bAS|\bINTERVAL\s+\S+)\s*$", re.IGNORECASE)


@dataclass(frozen=True)
class Definition:
    """A new column.

    Attributes:
        name: Name of the column.
        sql: Its Spark SQL.
        training_sql: Its Spark SQL on training rows, where it differs (out-of-fold encodings).
    """

    name: str
    sql: str
    training_sql: str | None = None

    @cached_property
    def uses(self) -> frozenset[str]:
        """Lower-case names of the columns it may use."""
        return references(self.sql)


def number(value: float | None) -> str:
    """Return a double literal that reads back to exactly ``value``; None is a null double."""
    if value is None:
        return "CAST(NULL AS DOUBLE)"
    plain = float(value)
    if not math.isfinite(plain):
        return f"double('{plain}')"
    return f"{plain!r}D" if plain >= 0 else f"(-{-plain!r}D)"


def numbers(values: Iterable[float | None]) -> str:
    """Return an array literal of doubles."""
    return f"array({', '.join(number(value) for value in values)})"


def text(value: str) -> str:
    """Return a text literal that quotes, variables (``${x}``) and ``__THIS__`` cannot break."""
    plain = re.sub(r"[\\'\"$_`\x00-\x1f\x7f]", lambda match: f"\\u{ord(match.group()):04x}", value)
    return f"'{plain}'"


def _column(match: re.Match[str]) -> str | None:
    """Return the lower-case column name that a token may be.

    Functions, texts, comments, parts behind a dot, types and units of intervals are none.
    """
    name = match["quoted"] if match["quoted"] is not None else match["name"]
    if name is None or match["dot"]:
        return None
    before = match.string[max(0, match.start() - 60) : match.start()]
    if match["quoted"] is None and (match["after"] is not None or _TYPE_OR_UNIT.search(before)):
        return None
    return name.replace("``", "`").lower()


def renamed(expression: str, names: Mapping[str, str]) -> str:
    """Return the expression with columns replaced by others.

    Args:
        expression: Spark SQL.
        names: Lower-case name to the new name.
    """

    def replace(match: re.Match[str]) -> str:
        found = names.get(_column(match) or "")
        return match.group() if found is None else quoted(found) + (match["after"] or "")

    return _TOKEN.sub(replace, expression)


def references(expression: str) -> frozenset[str]:
    """Return the lower-case names that an expression may take from its row."""
    found = (_column(match) for match in _TOKEN.finditer(expression))
    return frozenset(name for name in found if name is not None)


def layers(definitions: Sequence[Definition]) -> list[list[Definition]]:
    """Group definitions so that each uses only columns of earlier groups."""
    depth: dict[str, int] = {}
    for definition in definitions:
        used = definition.uses
        depth[definition.name] = 1 + max(
            (depth[name] for name in depth if name.lower() in used), default=0
        )
    groups: list[list[Definition]] = [[] for _ in range(max(depth.values(), default=0))]
    for definition in definitions:
        groups[depth[definition.name] - 1].append(definition)
    return groups


def statement(definitions: Iterable[Definition], *, training: bool = False) -> str:
    """Return a SQLTransformer statement that adds the columns to all columns of its input."""
    columns = [f"{(training and d.training_sql) or d.sql} AS {quoted(d.name)}" for d in definitions]
    return f"SELECT *, {', '.join(columns)} FROM {THIS}"  # noqa: S608
