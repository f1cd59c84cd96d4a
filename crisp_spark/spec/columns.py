"""Column names as Spark SQL writes them."""

from __future__ import annotations

RESERVED_PREFIX = "_crisp_"
"""Columns that the package generates start with this."""


def quoted(name: str) -> str:
    """Return ``name`` in backticks, so that dots, spaces and any Unicode are taken literally."""
    return "`" + name.replace("`", "``") + "`"
