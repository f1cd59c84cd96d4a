"""Moments of numbers and lengths of texts with many values, counted along with the second pass.

The second pass counts (slot, code) pairs. The code of a number says into which bar it falls, its
sign, and whether it lies outside the fences; beside each pair goes the number, measured from the
column's centre, and its powers are summed up. The code of a text says what is strange about it,
and beside it goes its length.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from crisp_spark.results.profile import Numbers
from crisp_spark.understanding.profile_columns import ColumnPlan
from crisp_spark.understanding.profile_scan import QUANTILE_ACCURACY, QUANTILES, Basics, steady

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SIGNS = 3
_CODES = 2 * _SIGNS
"""Codes of one bar: three signs, each within or outside the fences."""


@dataclass(frozen=True)
class Centre:
    """Where the values of a column lie, roughly: sums around it lose no digits."""

    mean: float
    scale: float
    fence_low: float
    fence_high: float


class Sums(NamedTuple):
    """What is known of the rows of one slot and code: sums of what goes beside the code."""

    code: str
    rows: int
    z1: float | None
    z2: float | None
    z3: float | None
    z4: float | None
    low: float | None
    high: float | None


def centre_of(values: NDArray[np.float64]) -> Centre:
    """Find the centre of a column from its values in the sample (NaN where missing)."""
    values = values[~np.isnan(values)]
    if not len(values):
        return Centre(0.0, 1.0, float("-inf"), float("inf"))
    low, high = np.quantile(values, [0.25, 0.75], method="inverted_cdf")
    with np.errstate(over="ignore"):
        mean, scale, reach = float(values.mean()), float(values.std()), 1.5 * float(high - low)
    if not np.isfinite(mean) or not np.isfinite(scale) or not scale:
        mean, scale = (mean if np.isfinite(mean) else 0.0), 1.0
    return Centre(mean, scale, float(low) - reach, float(high) + reach)


def place_sql(value: str, edges: Sequence[float]) -> str:
    """Return the bar that a value falls into, as SQL: 0 is below the first edge."""
    if not edges:
        return "0"
    low, high, width = (_double(end) for end in (edges[0], edges[-1], edges[1] - edges[0]))
    inside = f"CAST(floor(({value} - {low}) / {width}) AS int) + 1"
    # Ends first: the quotient of a far outlier does not fit into an integer.
    return (
        f"CASE WHEN {value} < {low} THEN 0 WHEN {value} >= {high} THEN {len(edges)}"
        f" ELSE least({inside}, {len(edges) - 1}) END"
    )


def number_sql(plan: ColumnPlan, centre: Centre, edges: Sequence[float]) -> tuple[str, str]:
    """Return the code of a number, and what goes beside it."""
    value = f"CAST({plan.finite_sql} AS double)"
    fences = [f"{value} < {_double(centre.fence_low)}", f"{value} > {_double(centre.fence_high)}"]
    sign = f"CASE WHEN {plan.sql} = 0 THEN 0 WHEN {plan.sql} < 0 THEN 1 ELSE 2 END"
    outside = f"CASE WHEN {' OR '.join(fences)} THEN {_SIGNS} ELSE 0 END"
    code = f"({place_sql(value, edges)}) * {_CODES} + ({outside}) + ({sign})"
    if not plan.fractional:
        code = f"CASE WHEN {plan.sql} IS NOT NULL THEN CAST({code} AS string) END"
    else:
        # What is not finite is its own code: NaN, Infinity, -Infinity.
        finite = f"abs({plan.sql}) < CAST('Infinity' AS double)"
        code = f"CASE WHEN {finite} THEN CAST({code} AS string) ELSE {plan.text_sql} END"
    return code, f"({value} - {_double(centre.mean)}) / {_double(centre.scale)}"


def text_sql(plan: ColumnPlan) -> tuple[str, str]:
    """Return the code of a text, and its length."""
    marks = [
        f"trim({plan.sql}) = ''",
        f"trim({plan.sql}) <> {plan.sql}",
        f"octet_length({plan.sql}) = length({plan.sql})",
    ]
    code = ", ".join(f"CAST(CAST({mark} AS int) AS string)" for mark in marks)
    return f"concat({code})", f"CAST(length({plan.sql}) AS double)"


def bars_of(found: Iterable[Sums]) -> dict[str, int]:
    """Count the rows of each bar."""
    bars: dict[str, int] = {}
    for one in found:
        if one.z1 is not None:
            place = str(int(one.code) // _CODES)
            bars[place] = bars.get(place, 0) + one.rows
    return bars


def moments_of(found: Sequence[Sums]) -> dict[str, Any]:
    """Add up what was found about a number with many values."""
    # Sums of doubles depend on their order.
    finite = sorted(one for one in found if one.z1 is not None)
    marks = [(int(one.code) % _CODES, one.rows) for one in finite]
    strange = {one.code: one.rows for one in found if one.z1 is None}
    sums = {
        f"z{power}": sum(getattr(one, f"z{power}") for one in finite) if finite else None
        for power in (1, 2, 3, 4)
    }
    return sums | {
        "finite": sum(one.rows for one in finite),
        "zeros": sum(rows for mark, rows in marks if mark % _SIGNS == 0),
        "negatives": sum(rows for mark, rows in marks if mark % _SIGNS == 1)
        + strange.get("-Infinity", 0),
        "outside": sum(rows for mark, rows in marks if mark >= _SIGNS),
        "nan": strange.get("NaN", 0),
        "pinf": strange.get("Infinity", 0),
        "ninf": strange.get("-Infinity", 0),
    }


def lengths_of(found: Sequence[Sums]) -> dict[str, Any]:
    """Add up what was found about a text with many values."""
    rows = sum(one.rows for one in found)
    if not rows:
        return {}
    blank, padded, ascii_only = (
        sum(one.rows for one in found if one.code[mark] == "1") for mark in range(3)
    )
    return {
        "short": int(min(one.low for one in found if one.low is not None)),
        "long": int(max(one.high for one in found if one.high is not None)),
        "mean": sum(one.z1 or 0.0 for one in found) / rows,
        "blank": blank,
        "padded": padded,
        "ascii": ascii_only,
    }


def _double(value: float) -> str:
    return f"{value!r}D" if math.isfinite(value) else f"CAST('{value}' AS double)"


def numbers_from_details(found: Mapping[str, Any], centre: Centre, basics: Basics) -> Numbers:
    """Turn sums around a centre into moments.

    With z = (x - c) / s the central moments of z follow from its power sums; mean and standard
    deviation of x are c + s mean(z) and s std(z); skewness and kurtosis are those of z.
    """
    count = found["finite"]
    moments = _moments(count, *(found[f"z{power}"] for power in (1, 2, 3, 4)))
    mean = None if moments[0] is None else centre.mean + centre.scale * moments[0]
    return Numbers(
        mean=steady(mean),
        std=steady(None if moments[1] is None else centre.scale * moments[1]),
        skewness=steady(moments[2]),
        kurtosis=steady(moments[3]),
        sum=steady(None if mean is None else mean * count),
        zeros=found["zeros"],
        negatives=found["negatives"],
        nans=found["nan"],
        positive_infinities=found["pinf"],
        negative_infinities=found["ninf"],
        quantiles=dict(zip(map(str, QUANTILES), basics.quantiles or (), strict=False)),
        quantile_error=1 / QUANTILE_ACCURACY,
        outside_fences=found["outside"],
    )


def _moments(
    count: int, z1: float | None, z2: float | None, z3: float | None, z4: float | None
) -> tuple[float | None, float | None, float | None, float | None]:
    """Mean, sample standard deviation, population skewness and excess kurtosis from power sums."""
    if not count or z1 is None or z2 is None or z3 is None or z4 is None:
        return None, None, None, None
    mean = z1 / count
    second = z2 / count - mean**2
    third = z3 / count - 3 * mean * z2 / count + 2 * mean**3
    fourth = z4 / count - 4 * mean * z3 / count + 6 * mean**2 * z2 / count - 3 * mean**4
    if math.isnan(second):
        return mean, None, None, None
    if second <= 0:
        return mean, 0.0 if count > 1 else None, None, None
    std = math.sqrt(second * count / (count - 1)) if count > 1 else None
    return mean, std, third / second**1.5, fourth / second**2 - 3
