"""Shapes of compiled expressions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Node = dict[str, Any]
"""A part of an expression tree."""

Run = Callable[[Sequence[Any]], Any]
"""From a row to a value; None is null."""

Strict = Callable[[Node], Callable[..., Any]]
"""From a node to its function of values, for functions that are null where an argument is."""

Builder = Callable[[Node, list[Run]], Run]
"""From a node and its compiled arguments to its function of a row."""
