"""Compare two profiles: schema and distributions, from what is kept; no data is read.

Distributions are compared through the profiles' histograms and value counts. Within a bar the
values are taken to be spread evenly, so a distance of distribution functions may be off by as much
as one bar holds; that bound is given with it. The population stability index is
sum((q - p) ln(q / p)) over groups of about a tenth of the earlier rows each, with half a row added
to every group so that an empty one stays finite.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crisp_spark.results.profile import (
    Bin,
    Cell,
    ColumnProfile,
    ProfileResult,
    TableProfile,
    ValueCount,
)
from crisp_spark.results.profile_changes import (
    Change,
    ColumnChange,
    ProfileChange,
    Shift,
    TableChange,
)

MOVED_PSI, DRIFTED_PSI = 0.1, 0.25
_MOVED_MISSING, _DRIFTED_MISSING = 0.05, 0.2
_GROUPS = 10
_ORDER = [Change.TYPE, Change.REMOVED, Change.ADDED, Change.DRIFTED, Change.MOVED, Change.SAME]


@dataclass(frozen=True)
class _Distance:
    psi: float | None = None
    ks: float | None = None
    ks_error: float | None = None
    total_variation: float | None = None
    new: tuple[Cell, ...] = ()
    lost: tuple[Cell, ...] = ()


def compare_profiles(
    before: ProfileResult, after: ProfileResult, *, runs: tuple[str, str] = ("", "")
) -> ProfileChange:
    """Compare the profiles of two runs.

    Args:
        before: The earlier one.
        after: The later one.
        runs: Their run ids.
    """
    names = [table.name for table in after.sources]
    earlier = {table.name: table for table in before.sources}
    return ProfileChange(
        before=runs[0],
        after=runs[1],
        sources=tuple(
            compare_tables(earlier[table.name], table)
            for table in after.sources
            if table.name in earlier
        ),
        added=tuple(name for name in names if name not in earlier),
        removed=tuple(name for name in earlier if name not in names),
    )


def compare_tables(before: TableProfile, after: TableProfile) -> TableChange:
    """Compare two profiles of one source."""
    old = {column.name: column for column in before.columns}
    new = {column.name: column for column in after.columns}
    found = [_compared(old[name], new[name], before, after) for name in new if name in old]
    found += [_alone(new[name], Change.ADDED) for name in new if name not in old]
    found += [_alone(old[name], Change.REMOVED) for name in old if name not in new]
    found.sort(key=lambda one: (_ORDER.index(one.change), -(one.psi or 0.0)))
    return TableChange(
        name=after.name,
        rows=Shift(before=before.rows, after=after.rows),
        duplicated_rows=Shift(before=before.duplicated_rows, after=after.duplicated_rows),
        columns=tuple(found),
        reordered=[name for name in old if name in new] != [name for name in new if name in old],
    )


def _alone(column: ColumnProfile, change: Change) -> ColumnChange:
    word = "new" if change is Change.ADDED else "gone"
    return ColumnChange(name=column.name, change=change, reasons=(f"the column is {word}",))


def _compared(
    old: ColumnProfile, new: ColumnProfile, before: TableProfile, after: TableProfile
) -> ColumnChange:
    distance = _distance(old, new, before.rows - old.missing, after.rows - new.missing)
    gap = abs(new.missing_share - old.missing_share) if before.rows and after.rows else 0.0
    reasons = _reasons(old, new, distance, gap)
    psi = distance.psi or 0.0
    change = Change.SAME
    if psi >= MOVED_PSI or gap >= _MOVED_MISSING:
        change = Change.MOVED
    if psi >= DRIFTED_PSI or gap >= _DRIFTED_MISSING:
        change = Change.DRIFTED
    if old.type != new.type:
        change = Change.TYPE
    return ColumnChange(
        name=new.name,
        change=change,
        types=_shift(old.type, new.type),
        semantics=_shift(old.semantic.value, new.semantic.value),
        missing_share=_shift(old.missing_share, new.missing_share),
        distinct=_shift(old.distinct, new.distinct),
        min=_shift(old.min, new.min),
        max=_shift(old.max, new.max),
        mean=_shift(_number(old, "mean"), _number(new, "mean")),
        std=_shift(_number(old, "std"), _number(new, "std")),
        median=_shift(_median(old), _median(new)),
        psi=distance.psi,
        ks=distance.ks,
        ks_error=distance.ks_error,
        total_variation=distance.total_variation,
        new_values=distance.new,
        lost_values=distance.lost,
        reasons=tuple(reasons),
    )


def _shift(old: Cell, new: Cell) -> Shift | None:
    return None if old == new else Shift(before=old, after=new)


def _number(column: ColumnProfile, name: str) -> float | None:
    return getattr(column.numbers, name) if column.numbers else None


def _median(column: ColumnProfile) -> float | None:
    return column.numbers.quantiles.get("0.5") if column.numbers else None


def _reasons(old: ColumnProfile, new: ColumnProfile, distance: _Distance, gap: float) -> list[str]:
    reasons = [f"type {old.type} became {new.type}"] if old.type != new.type else []
    if old.semantic is not new.semantic:
        reasons.append(f"looked like {old.semantic}, now like {new.semantic}")
    if gap >= _MOVED_MISSING:
        reasons.append(
            f"missing values went from {old.missing_share:.1%} to {new.missing_share:.1%}"
        )
    if distance.psi is not None and distance.psi >= MOVED_PSI:
        reasons.append(f"the distribution moved (PSI {distance.psi:.2f})")
    if distance.new:
        reasons.append(f"new values: {', '.join(map(str, distance.new[:5]))}")
    if distance.lost:
        reasons.append(f"values that are gone: {', '.join(map(str, distance.lost[:5]))}")
    return reasons


def _distance(old: ColumnProfile, new: ColumnProfile, known: int, now: int) -> _Distance:
    if not known or not now or old.pii or new.pii:
        return _Distance()  # of personal data no value is kept
    if old.histogram and new.histogram:
        return _of_histograms(old.histogram, new.histogram, known, now)
    if old.top_values and new.top_values:
        return _of_values(old, new, known, now)
    return _Distance()


def _of_histograms(old: Sequence[Bin], new: Sequence[Bin], known: int, now: int) -> _Distance:
    cuts = np.unique([end for one in (*old, *new) for end in (one.low, one.high)])
    first, second = _cumulated(old, cuts), _cumulated(new, cuts)
    edges = _groups(old)
    if len(edges) > 1:
        p, q = (np.diff(_cumulated(bins, edges, open_ends=True)) for bins in (old, new))
    else:  # one bar: one value, or nearly
        p, q = (_three(bins, old) for bins in (old, new))
    heaviest = max(_heaviest(old), _heaviest(new))
    return _Distance(
        psi=_psi(p, q, known, now),
        ks=float(np.max(np.abs(first - second))),
        ks_error=heaviest,
    )


def _cumulated(
    bins: Sequence[Bin], cuts: NDArray[np.float64], *, open_ends: bool = False
) -> NDArray[np.float64]:
    """Share of rows up to each cut, 0 to 1; with open ends the outermost cuts lie at infinity."""
    total = sum(one.rows for one in bins) or 1
    share = np.zeros(len(cuts))
    for one in bins:
        width = one.high - one.low
        inside = (cuts - one.low) / width if width > 0 else (cuts >= one.high).astype(float)
        share += np.clip(inside, 0.0, 1.0) * one.rows / total
    if open_ends:
        share[0], share[-1] = 0.0, 1.0
    return share


def _groups(bins: Sequence[Bin]) -> NDArray[np.float64]:
    """Edges of about ten groups of equal size, which are edges of bars."""
    total = sum(one.rows for one in bins) or 1
    edges, filled = [bins[0].low], 0
    for one in bins:
        filled += one.rows
        if filled >= total / _GROUPS and one.high > edges[-1]:
            edges.append(one.high)
            filled = 0
    if filled and len(edges) > 1 and bins[-1].high > edges[-1]:
        edges.append(bins[-1].high)
    return np.asarray(edges, dtype=np.float64)


def _three(bins: Sequence[Bin], old: Sequence[Bin]) -> NDArray[np.float64]:
    """Shares below, at and above the only place that the earlier values had."""
    total = sum(one.rows for one in bins) or 1
    below = sum(one.rows for one in bins if one.high < old[0].low) / total
    above = sum(one.rows for one in bins if one.low > old[-1].high) / total
    return np.asarray([below, 1 - below - above, above])


def _heaviest(bins: Sequence[Bin]) -> float:
    total = sum(one.rows for one in bins) or 1
    return max(one.rows for one in bins) / total


def _psi(p: NDArray[np.float64], q: NDArray[np.float64], known: int, now: int) -> float:
    p = (np.clip(p, 0, 1) * known + 0.5) / (known + 0.5 * len(p))
    q = (np.clip(q, 0, 1) * now + 0.5) / (now + 0.5 * len(q))
    return float(np.sum((q - p) * np.log(q / p)))


def _of_values(old: ColumnProfile, new: ColumnProfile, known: int, now: int) -> _Distance:
    first, second = _shares(old.top_values), _shares(new.top_values)
    shared = [value for value in first if value in second]
    whole_before, whole_now = _whole(old), _whole(new)
    # A value that one list lacks has share 0 only where the list holds every value.
    named = shared + [value for value in second if value not in first and whole_before]
    named += [value for value in first if value not in second and whole_now]
    p = np.asarray([first.get(value, 0.0) for value in named])
    q = np.asarray([second.get(value, 0.0) for value in named])
    p, q = np.append(p, max(0.0, 1 - p.sum())), np.append(q, max(0.0, 1 - q.sum()))
    return _Distance(
        psi=_psi(p, q, known, now),
        total_variation=float(np.abs(p - q).sum() / 2),
        new=tuple(value for value in second if value not in first and whole_before),
        lost=tuple(value for value in first if value not in second and whole_now),
    )


def _shares(values: Sequence[ValueCount]) -> dict[Any, float]:
    return {one.value: one.share for one in values}


def _whole(column: ColumnProfile) -> bool:
    """Whether the most frequent values are all values."""
    return column.top_values_complete and column.distinct == len(column.top_values)
