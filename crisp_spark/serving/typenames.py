"""Spark's types by their simple names."""

from __future__ import annotations

WHOLE: dict[str, tuple[int, int]] = {
    "tinyint": (-(2**7), 2**7 - 1),
    "smallint": (-(2**15), 2**15 - 1),
    "int": (-(2**31), 2**31 - 1),
    "bigint": (-(2**63), 2**63 - 1),
}
"""Whole numbers and what fits them."""

FRACTIONS = ("double", "float")


def decimal_parts(name: str) -> tuple[int, int]:
    """Return precision and scale of ``decimal(10,2)``."""
    precision, _, scale = name[len("decimal(") : -1].partition(",")
    return int(precision), int(scale or 0)


def element_of(name: str) -> str:
    """Return the element type of ``array<string>``."""
    return name[len("array<") : -1]


def is_number(name: str) -> bool:
    """Say whether values are numbers."""
    return name in WHOLE or name in FRACTIONS or name.startswith("decimal")
