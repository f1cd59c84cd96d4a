"""How columns relate: to each other, to the target, and in what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from crisp_spark.results.profile import (
    Association,
    ColumnProfile,
    MissingByTarget,
    Missingness,
    MissingPattern,
    Power,
    SemanticType,
    Suspect,
)
from crisp_spark.understanding.associations import Category, associations, encode, strongest
from crisp_spark.understanding.power import Target, bins_of, levels_of, measure_power, suspects
from crisp_spark.understanding.profile_columns import ColumnPlan, Family
from crisp_spark.understanding.profile_sample import Sample
from crisp_spark.understanding.profile_values import COMPLETE, PATTERN, sampled_patterns

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST_PAIRS = 1000
_MOST_PATTERNS = 25
_MOST_TEXT_LEVELS = 1000
_SKIPPED = frozenset({SemanticType.EMPTY, SemanticType.CONSTANT, SemanticType.NESTED})


@dataclass(frozen=True)
class Relations:
    """What the sample says about pairs of columns and about the target."""

    associations: tuple[Association, ...]
    left_out: int
    power: tuple[Power, ...]
    suspects: tuple[Suspect, ...]
    missing_by_target: tuple[MissingByTarget, ...]


def relate(
    plans: Sequence[ColumnPlan],
    profiles: Mapping[str, ColumnProfile],
    sample: Sample,
    *,
    problem: str,
    declared_outcome: set[str],
    in_target: set[str],
    left_out: set[str],
) -> Relations:
    """Measure associations and predictive power in the sample; no job.

    Args:
        plans: Columns.
        profiles: What is known of each.
        sample: Rows to measure on.
        problem: Kind of problem; empty where the target is not of this table.
        declared_outcome: Columns declared ``known_at: outcome``.
        in_target: Columns that the target is computed from.
        left_out: Columns without a power of their own: the target itself.
    """
    numbers, categories, codes = _views(plans, profiles, sample, coded=bool(problem))
    codes = {name: code for name, code in codes.items() if name not in left_out}
    pairs, weak = strongest(associations(numbers, categories), _MOST_PAIRS)
    if not problem or sample.target is None or sample.target_known is None:
        return Relations(pairs, weak, (), (), ())
    target = Target(problem, sample.target, sample.target_known)
    power = measure_power(codes, target)
    known = max(1, int(target.known.sum()))
    power = [
        one.model_copy(
            update={
                "missing_share": round(
                    float((sample.missing[one.column] & target.known).sum()) / known, 6
                )
            }
        )
        for one in power
    ]
    return Relations(
        associations=pairs,
        left_out=weak,
        power=tuple(power),
        suspects=suspects(power, declared_outcome, in_target),
        missing_by_target=_by_target(sample, target),
    )


def _views(
    plans: Sequence[ColumnPlan],
    profiles: Mapping[str, ColumnProfile],
    sample: Sample,
    *,
    coded: bool,
) -> tuple[dict[str, NDArray[np.float64]], dict[str, Category], dict[str, NDArray[np.int64]]]:
    """Sort the columns into numbers and categories, and give each its codes."""
    numbers: dict[str, NDArray[np.float64]] = {}
    categories: dict[str, Category] = {}
    codes: dict[str, NDArray[np.int64]] = {}
    for plan in plans:
        if profiles[plan.name].semantic in _SKIPPED:
            continue
        if plan.family is Family.TEXT:
            texts = sample.texts[plan.name]
            if (profiles[plan.name].distinct or 0) <= _MOST_TEXT_LEVELS:
                categories[plan.name] = encode(texts)
            if coded:
                codes[plan.name] = levels_of(texts)
        elif plan.family is not Family.BINARY:
            values = sample.numbers[plan.name]
            if plan.family is Family.BOOLEAN:
                categories[plan.name] = encode(values)
            else:
                numbers[plan.name] = values
            if coded:
                codes[plan.name] = bins_of(values)
    return numbers, categories, codes


def _by_target(sample: Sample, target: Target) -> tuple[MissingByTarget, ...]:
    values: NDArray[Any] = target.values
    if target.problem == "multiclass":
        # The most frequent class stands for all.
        values = (encode(target.values).codes == 0).astype(float)
    found = []
    for name, missing in sample.missing.items():
        gone, here = missing & target.known, ~missing & target.known
        if not gone.any():
            continue
        found.append(
            MissingByTarget(
                column=name,
                missing_rows=int(gone.sum()),
                target_where_missing=float(values[gone].astype(float).mean()),
                target_where_known=float(values[here].astype(float).mean()) if here.any() else None,
            )
        )
    return tuple(found)


def missingness(
    counts: Mapping[str, Mapping[str, int]],
    columns: Sequence[str],
    rows: int,
    sample: Sample,
    *,
    by_target: tuple[MissingByTarget, ...],
    gapless: bool,
    hopeless: bool,
) -> Missingness:
    """Describe which values are missing together.

    Args:
        counts: Counts per slot.
        columns: Columns behind the signs of a pattern.
        rows: Rows of the table.
        sample: The sample.
        by_target: The target where values are missing.
        gapless: No column has a missing value.
        hopeless: Some column has no value at all.
    """
    exact = PATTERN in counts or not columns
    patterns = Counter(counts.get(PATTERN, {})) if exact else sampled_patterns(sample, columns)
    total = max(1, rows if exact else sample.rows)
    ranked = sorted(patterns.items(), key=lambda item: (-item[1], item[0]))[:_MOST_PATTERNS]
    complete: int | None
    if gapless:
        complete = rows
    elif hopeless:
        complete = 0
    elif COMPLETE in counts:
        complete = counts[COMPLETE].get("1", 0)
    else:
        complete = patterns.get("0" * len(columns), 0)
    return Missingness(
        complete_rows=complete,
        patterns=tuple(
            MissingPattern(
                columns=tuple(
                    name for name, sign in zip(columns, signs, strict=True) if sign == "1"
                ),
                rows=found,
                share=found / total,
            )
            for signs, found in ranked
        ),
        exact=exact,
        by_target=by_target,
    )
