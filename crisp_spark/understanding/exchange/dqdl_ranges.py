"""DQDL comparisons as ranges."""

from __future__ import annotations

import math
from typing import Any

from crisp_spark.understanding.exchange.carried import NoEqualError
from crisp_spark.understanding.exchange.dqdl_words import Age, Keyword, Test


def value_range(test: Test) -> dict[str, Any]:
    """Return ``min``, ``max`` and their strictness; ``between`` leaves out its ends, as in DQDL.

    Raises:
        NoEqualError: The test is no range.
    """
    values = test.values
    if any(isinstance(value, Keyword | Age | bool) for value in values):
        raise NoEqualError("its bound is no number and no date")
    match test.operator:
        case "=":
            return {"min": values[0], "max": values[0]}
        case ">":
            return {"min": values[0], "strict_min": True}
        case ">=":
            return {"min": values[0]}
        case "<":
            return {"max": values[0], "strict_max": True}
        case "<=":
            return {"max": values[0]}
        case "between":
            return {"min": values[0], "max": values[1], "strict_min": True, "strict_max": True}
        case _:
            raise NoEqualError(f"{test.operator} is no range")


def count_range(test: Test) -> dict[str, int]:
    """Return the smallest and the largest count that pass.

    Raises:
        NoEqualError: The test is no range, or nothing passes.
    """
    bounds = value_range(test)
    found: dict[str, int] = {}
    if "min" in bounds:
        low = _number(bounds["min"])
        floor = math.floor(low) + 1 if bounds.get("strict_min") else math.ceil(low)
        found["min"] = max(0, floor)
    if "max" in bounds:
        high = _number(bounds["max"])
        found["max"] = math.ceil(high) - 1 if bounds.get("strict_max") else math.floor(high)
    if found.get("max", 0) < found.get("min", 0) and "max" in found:
        raise NoEqualError("no count passes")
    return found


def share_range(test: Test) -> tuple[float | None, float | None, bool]:
    """Return the lower and upper end of a share, and whether the ends are left out.

    Raises:
        NoEqualError: The test is no range.
    """
    bounds = value_range(test)
    low, high = (
        None if bounds.get(end) is None else _number(bounds[end]) for end in ("min", "max")
    )
    return low, high, bool(bounds.get("strict_min") or bounds.get("strict_max"))


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise NoEqualError(f"{value!r} is no number") from error
