"""A profile made of merged states: no data is read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from crisp_spark.results.profile import (
    Bin,
    ColumnProfile,
    Missingness,
    Numbers,
    SemanticType,
    TableProfile,
    Texts,
)
from crisp_spark.results.profile_state import ColumnState, TableState
from crisp_spark.understanding.distributions import bars, edges_of
from crisp_spark.understanding.profile_scan import QUANTILES, steady
from crisp_spark.understanding.profile_state import DISTINCT_ERROR, SHIFT, VALUE_ERROR
from crisp_spark.understanding.text_shapes import masked

if TYPE_CHECKING:
    from crisp_spark.spec.data import ColumnSpec

_GROWTH = (1 + VALUE_ERROR) / (1 - VALUE_ERROR)
_FLOATS = ("float", "double")
_NUMBERS = (*_FLOATS, "tinyint", "smallint", "int", "bigint")


def profile_of(
    state: TableState, specs: Mapping[str, ColumnSpec] | None = None, *, note: str = ""
) -> TableProfile:
    """Return what the merged states tell.

    Keys, associations, predictive power, frequent values and patterns of gaps need all rows at
    once: a full profile has them.

    Args:
        state: The merged states, estimated.
        specs: What the project file says about the columns.
        note: What to tell the reader about the parts.
    """
    columns = tuple(_column(one, state.rows, (specs or {}).get(one.name)) for one in state.columns)
    complete = state.rows if all(one.missing == 0 for one in columns) else None
    return TableProfile(
        name=state.name,
        rows=state.rows,
        columns=columns,
        duplicated_rows=None,
        missingness=Missingness(complete_rows=complete),
        sample_rows=0,
        sample_note="no sample: the profile was merged from parts",
        scans=2,
        notes=(note,) if note else (),
    )


def _column(one: ColumnState, rows: int, spec: ColumnSpec | None) -> ColumnProfile:
    private = bool(spec and spec.pii)
    missing = rows - one.known
    numeric = one.type in _NUMBERS or one.type.startswith("decimal")
    return ColumnProfile(
        name=one.name,
        type=one.type,
        semantic=_semantic(one, numeric=numeric),
        description=spec.description if spec else "",
        unit=spec.unit if spec else "",
        role=(spec.role or "") if spec else "",
        known_at=spec.known_at if spec else "prediction",
        pii=private,
        missing=missing,
        missing_share=missing / rows if rows else 0.0,
        distinct=one.distinct,
        distinct_exact=False,
        distinct_error=DISTINCT_ERROR if one.distinct is not None else 0.0,
        min=masked(one.low) if private else one.low,
        max=masked(one.high) if private else one.high,
        numbers=_numbers(one, private=private) if numeric else None,
        texts=_texts(one) if one.type == "string" else None,
        histogram=() if private or not numeric else _histogram(one),
        top_values_complete=not one.known,
    )


def _semantic(one: ColumnState, *, numeric: bool) -> SemanticType:
    if not one.known:
        return SemanticType.EMPTY
    if one.low is not None and one.low == one.high and one.finite in {0, one.known}:
        return SemanticType.CONSTANT
    if numeric:
        return SemanticType.NUMERIC
    kinds = {
        "boolean": SemanticType.BOOLEAN,
        "date": SemanticType.DATE,
        "timestamp": SemanticType.DATE,
        "timestamp_ntz": SemanticType.DATE,
        "string": SemanticType.TEXT,
        "binary": SemanticType.BINARY,
    }
    return kinds.get(one.type, SemanticType.NESTED)


def _numbers(one: ColumnState, *, private: bool) -> Numbers:
    n = one.finite
    second = one.m2 / n if n else 0.0
    spread = second > 0
    cuts = {} if private else quantiles_of(one)
    return Numbers(
        mean=steady(one.mean) if n else None,
        std=steady(math.sqrt(one.m2 / (n - 1))) if n > 1 else None,
        skewness=steady(one.m3 / n / second**1.5) if spread else None,
        kurtosis=steady(one.m4 / n / second**2 - 3) if spread else None,
        sum=steady(one.mean * n) if n else None,
        zeros=one.zeros,
        negatives=one.negatives,
        nans=one.nans,
        positive_infinities=one.positive_infinities,
        negative_infinities=one.negative_infinities,
        quantiles={str(probability): value for probability, value in cuts.items()},
        quantile_value_error=VALUE_ERROR,
    )


def _texts(one: ColumnState) -> Texts:
    foreign = one.known - one.ascii
    return Texts(
        min_length=one.min_length,
        max_length=one.max_length,
        mean_length=one.length_sum / one.known if one.known else None,
        blank=one.blank,
        padded=one.padded,
        non_ascii=foreign,
        non_ascii_share=foreign / one.known if one.known else 0.0,
    )


def _places(one: ColumnState) -> tuple[list[float], list[int]]:
    """Values that stand for the bins, rising, and their rows; near zero is zero."""
    held = [(_value(place), rows) for place, rows in one.bins.items()]
    nothing = one.finite - sum(one.bins.values())
    held += [(0.0, nothing)] if nothing > 0 else []
    held.sort()
    return [value for value, _ in held], [rows for _, rows in held]


def _value(place: int) -> float:
    # The point of a bin from which no value is further than the relative error.
    size = 2 * _GROWTH ** (abs(place) - SHIFT) / (_GROWTH + 1)
    return math.copysign(size, place)


def quantiles_of(one: ColumnState) -> dict[float, float]:
    """Return quantiles, each within the relative error of a value that has the rank."""
    values, rows = _places(one)
    if not rows:
        return {}
    reached = np.cumsum(rows)
    low, high = (end if isinstance(end, int | float) else None for end in (one.low, one.high))
    found = {}
    for probability in QUANTILES:
        rank = max(1, math.ceil(probability * int(reached[-1]) - 1e-9))
        value = values[int(np.searchsorted(reached, rank))]
        value = value if low is None else max(value, float(low))
        found[probability] = value if high is None else min(value, float(high))
    return found


def _histogram(one: ColumnState) -> tuple[Bin, ...]:
    values, rows = _places(one)
    if not rows or not isinstance(one.low, int | float) or not isinstance(one.high, int | float):
        return ()
    reached = np.cumsum(rows) / sum(rows)
    low, high = (values[int(np.searchsorted(reached, cut))] for cut in (0.005, 0.995))
    edges = edges_of(max(low, float(one.low)), min(high, float(one.high)), whole=False)
    if not edges:
        return (Bin(low=float(one.low), high=float(one.high), rows=int(sum(rows))),)
    places = np.searchsorted(np.asarray(edges), values, side="right")
    totals = np.bincount(places, weights=rows, minlength=len(edges) + 1)
    return bars(edges, [int(total) for total in totals], float(one.low), float(one.high))
