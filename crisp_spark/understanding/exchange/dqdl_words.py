"""What DQDL's rules are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Keyword(Enum):
    """Words that stand for values; a quoted text is never one of them."""

    NULL = "NULL"
    EMPTY = "EMPTY"
    WHITESPACES_ONLY = "WHITESPACES_ONLY"


@dataclass(frozen=True)
class Age:
    """A moment before now, or an age, in days."""

    days: float


@dataclass(frozen=True)
class Formula:
    """An operand that is computed, from earlier runs for instance; kept as text."""

    text: str


@dataclass(frozen=True)
class Test:
    """``<operator> <values>``; the operator of a negated test starts with ``not``."""

    operator: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class DqdlRule:
    """One rule.

    Attributes:
        kind: Its type, such as ``IsComplete``.
        parameters: Quoted parameters.
        test: What its value is held against.
        where: Spark SQL condition.
        threshold: What the share of passing rows is held against.
        labels: Labels as they stand.
        joined: ``and`` or ``or`` for a composite rule.
        parts: Rules of a composite rule.
        text: The rule as it stands.
    """

    kind: str
    parameters: tuple[str, ...] = ()
    test: Test | None = None
    where: str = ""
    threshold: Test | None = None
    labels: str = ""
    joined: str = ""
    parts: tuple[DqdlRule, ...] = ()
    text: str = ""


@dataclass(frozen=True)
class Ruleset:
    """A document.

    Attributes:
        rules: Its rules.
        others: Names of further lists, such as ``Analyzers``, with the number of their items.
    """

    rules: tuple[DqdlRule, ...]
    others: dict[str, int] = field(default_factory=dict)


def quoted_text(text: str) -> str:
    """Return a text as DQDL writes it."""
    return '"' + text.replace('"', '\\"') + '"'
