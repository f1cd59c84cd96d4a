"""Put what the passes found about one column into its profile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crisp_spark.results.profile import (
    Bin,
    ColumnProfile,
    Numbers,
    SemanticType,
    Texts,
    ValueCount,
)
from crisp_spark.understanding.distributions import histogram_of, numbers_of, texts_of, top_of
from crisp_spark.understanding.profile_columns import ColumnPlan, Family
from crisp_spark.understanding.profile_moments import Centre, numbers_from_details
from crisp_spark.understanding.profile_scan import DISTINCT_ERROR, Basics
from crisp_spark.understanding.profile_values import bars_from
from crisp_spark.understanding.semantic import semantic_type
from crisp_spark.understanding.text_shapes import count_shapes, is_personal, masked

_MUCH_MISSING = 0.5
_SKEWED = 3.0
_DOMINANT = 0.99
_SHAPES = 15


@dataclass(frozen=True)
class Evidence:
    """What the passes found about one column.

    Attributes:
        rows: Rows of the table.
        basics: Answers of the first pass.
        few: All values were counted.
        values: Value (as text) to rows, where all values were counted.
        candidates: Frequent texts to rows, where not.
        bars: Rows per bar of the histogram, where not.
        edges: Edges of those bars.
        details: Moments or lengths, where not all values were counted.
        centre: Centre that the moments refer to.
        texts: Texts of the sample.
        unique: Every value is known and different.
    """

    rows: int
    basics: Basics
    few: bool
    values: Mapping[str, int] | None
    candidates: Mapping[str, int] | None
    bars: Mapping[str, int] | None
    edges: Sequence[float] | None
    details: Mapping[str, Any]
    centre: Centre | None
    texts: Any
    unique: bool


def describe_column(plan: ColumnPlan, evidence: Evidence) -> ColumnProfile:
    """Build the profile of a column; no job."""
    basics, spec = evidence.basics, plan.spec
    values = dict(evidence.values or {}) if evidence.few else None
    distinct = basics.distinct if values is None or not _countable(plan) else len(values)
    exact = distinct == 0 or (values is not None and _countable(plan)) or evidence.unique
    if evidence.unique:
        distinct = basics.known
    seen = _seen_texts(plan, evidence, values)
    semantic = semantic_type(
        plan.family,
        known=basics.known,
        distinct=distinct if exact or (distinct or 0) > 1 else None,
        unique=evidence.unique,
        texts=seen,
        shapes=len(count_shapes(seen.items())),
    )
    private = bool(spec and spec.pii) or is_personal(semantic)
    numbers = _numbers(plan, evidence, values)
    texts = _texts(plan, evidence, values, seen)
    top, complete = _top(plan, evidence, values)
    low, high = _ends(plan, evidence)
    missing = evidence.rows - basics.known
    profile = ColumnProfile(
        name=plan.name,
        type=plan.type,
        semantic=semantic,
        description=spec.description if spec else "",
        unit=spec.unit if spec else "",
        role=(spec.role or "") if spec else "",
        known_at=spec.known_at if spec else "prediction",
        pii=private,
        missing=missing,
        missing_share=missing / evidence.rows if evidence.rows else 0.0,
        distinct=distinct,
        distinct_exact=exact,
        distinct_error=0.0 if exact or distinct is None else DISTINCT_ERROR,
        min=low,
        max=high,
        numbers=numbers,
        texts=texts,
        histogram=_histogram(plan, evidence, values),
        top_values=top,
        top_values_complete=complete,
    )
    profile = profile.model_copy(
        update={"notes": _notes(profile, declared=bool(spec and spec.pii))}
    )
    return _hidden(profile) if private else profile


def _countable(plan: ColumnPlan) -> bool:
    return plan.family not in {Family.NESTED, Family.BINARY}


def _seen_texts(
    plan: ColumnPlan, evidence: Evidence, values: Mapping[str, int] | None
) -> Mapping[str, int]:
    if plan.family is not Family.TEXT:
        return {}
    if values is not None:
        return values
    return Counter(text for text in evidence.texts if text is not None)


def _arrays(plan: ColumnPlan, values: Mapping[str, int]) -> tuple[Any, Any]:
    counts = np.array(list(values.values()), dtype=np.int64)
    if plan.family is Family.MOMENT:
        # Only for pictures: the dates themselves stay texts.
        moments = np.array([_moment(text) for text in values], dtype="datetime64[us]")
        seconds = moments.astype("int64") / 1e6
        return np.where(np.isnat(moments), np.nan, seconds), counts
    return np.array([float(text) for text in values], dtype=np.float64), counts


def _moment(text: str) -> str:
    return text if len(text.split("-", maxsplit=1)[0]) == 4 else "NaT"  # noqa: PLR2004


def _numbers(
    plan: ColumnPlan, evidence: Evidence, values: Mapping[str, int] | None
) -> Numbers | None:
    if plan.family is not Family.NUMBER:
        return None
    if values is not None:
        return numbers_of(*_arrays(plan, values))
    if evidence.centre is None:
        return None
    return numbers_from_details(evidence.details, evidence.centre, evidence.basics)


def _texts(
    plan: ColumnPlan,
    evidence: Evidence,
    values: Mapping[str, int] | None,
    seen: Mapping[str, int],
) -> Texts | None:
    if plan.family is not Family.TEXT:
        return None
    known = evidence.basics.known
    if values is not None:
        return texts_of(list(values), list(values.values()), known)
    found = evidence.details
    if not found:
        return texts_of([], [], 0)
    return Texts(
        min_length=found["short"],
        max_length=found["long"],
        mean_length=found["mean"],
        blank=found["blank"],
        padded=found["padded"],
        non_ascii=known - found["ascii"],
        non_ascii_share=1 - found["ascii"] / known if known else 0.0,
        patterns=top_of(count_shapes(seen.items()), sum(seen.values()) or 1, _SHAPES),
        patterns_sampled=True,
    )


def _histogram(
    plan: ColumnPlan, evidence: Evidence, values: Mapping[str, int] | None
) -> tuple[Bin, ...]:
    if plan.family not in {Family.NUMBER, Family.MOMENT}:
        return ()
    if values is not None:
        return histogram_of(*_arrays(plan, values)) if values else ()
    if not evidence.edges or evidence.bars is None:
        return ()
    low, high = evidence.basics.low, evidence.basics.high
    if plan.family is Family.MOMENT or not isinstance(low, int | float):
        low, high = evidence.edges[0], evidence.edges[-1]
    return bars_from(evidence.bars, evidence.edges, float(low), float(high or 0))


def _top(
    plan: ColumnPlan, evidence: Evidence, values: Mapping[str, int] | None
) -> tuple[tuple[ValueCount, ...], bool]:
    known = evidence.basics.known
    if values is not None and _countable(plan):
        typed = [(_typed(plan, text), rows) for text, rows in values.items()]
        return top_of(typed, known) if known else (), True
    if evidence.candidates:
        return top_of(list(evidence.candidates.items()), known), False
    return (), not known


def _typed(plan: ColumnPlan, text: str) -> Any:
    if plan.family is Family.BOOLEAN:
        return text == "true"
    if plan.family is not Family.NUMBER:
        return text
    number = float(text)
    if not np.isfinite(number):
        return text
    return number if plan.fractional or "." in text else int(text)


def _ends(plan: ColumnPlan, evidence: Evidence) -> tuple[Any, Any]:
    if plan.family is Family.BOOLEAN and evidence.values:
        seen = sorted(evidence.values)
        return seen[0] == "true", seen[-1] == "true"
    return evidence.basics.low, evidence.basics.high


def _notes(profile: ColumnProfile, *, declared: bool) -> tuple[str, ...]:
    notes = []
    if profile.semantic is SemanticType.EMPTY:
        return ("all values are missing",)
    if profile.semantic is SemanticType.CONSTANT:
        notes.append("one value only")
    if profile.missing_share >= _MUCH_MISSING:
        notes.append(f"{profile.missing_share:.0%} of the values are missing")
    if is_personal(profile.semantic) and not declared:
        notes.append(f"looks like personal data ({profile.semantic}) but is not declared pii")
    notes += _number_notes(profile.numbers) + _text_notes(profile)
    top = profile.top_values[0] if profile.top_values else None
    if top and _DOMINANT <= top.share < 1:
        notes.append(f"one value makes up {top.share:.1%}")
    return tuple(notes)


def _number_notes(numbers: Numbers | None) -> list[str]:
    if numbers is None:
        return []
    notes = []
    strange = numbers.nans + numbers.positive_infinities + numbers.negative_infinities
    if strange:
        notes.append(f"{strange:,} values are NaN or infinite")
    if numbers.skewness is not None and abs(numbers.skewness) >= _SKEWED:
        notes.append(f"skewed ({numbers.skewness:.1f})")
    return notes


def _text_notes(profile: ColumnProfile) -> list[str]:
    texts = profile.texts
    if texts is None:
        return []
    notes = [] if not texts.blank else [f"{texts.blank:,} blank texts"]
    if texts.padded:
        notes.append(f"{texts.padded:,} texts with spaces at an end")
    if profile.semantic is SemanticType.NUMERIC:
        notes.append("numbers stored as text")
    if profile.semantic is SemanticType.DATE:
        notes.append("dates stored as text")
    return notes


def _hidden(profile: ColumnProfile) -> ColumnProfile:
    """Take out what tells single values of personal data."""
    top = tuple(
        value.model_copy(update={"value": masked(value.value)}) for value in profile.top_values
    )
    texts = profile.texts
    numbers = profile.numbers
    return profile.model_copy(
        update={
            "min": masked(profile.min),
            "max": masked(profile.max),
            "top_values": top,
            "histogram": (),
            "texts": texts.model_copy(update={"patterns": ()}) if texts else None,
            "numbers": numbers.model_copy(update={"quantiles": {}}) if numbers else None,
        }
    )
