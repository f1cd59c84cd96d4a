"""Rules that the profile suggests, each with the evidence for it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from pydantic import TypeAdapter

from crisp_spark.results.profile import ColumnProfile, SemanticType, TableProfile
from crisp_spark.spec.quality import Rule, RuleSpec
from crisp_spark.understanding.rule_yaml import rule_yaml

_RULE: TypeAdapter[Any] = TypeAdapter(RuleSpec)
_MOST_VALUES = 30
_ENOUGH_ROWS = 100
_RARELY_MISSING = 0.01
_ROOM = 0.1
_FEW_SHAPES = 3
_NEARLY_ALL = 0.999
_WHOLE_TYPES = ("tinyint", "smallint", "int", "bigint")
_SIGNS = {"A": "[A-Z]", "a": "[a-z]", "9": "[0-9]"}
_FORMS = {
    SemanticType.EMAIL: r"^[^@\s]+@[^@\s]+\.[^@\s.]{2,}$",
    SemanticType.UUID: r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
    SemanticType.URL: r"^(https?|ftp|s3)://\S+$",
}


@dataclass(frozen=True)
class Suggestion:
    """A rule that the profile speaks for.

    Attributes:
        source: Source that it is about.
        column: Column that it stands under; empty for rules of the table.
        rule: The rule.
        evidence: What was seen, in words.
        yaml: The rule as one line of the project file.
    """

    source: str
    column: str
    rule: Rule
    evidence: str
    yaml: str


def suggest_rules(
    profile: TableProfile, declared: Iterable[tuple[str, str]] = ()
) -> list[Suggestion]:
    """Suggest quality rules for a source; no job.

    Every suggestion holds on the profiled data, give or take the share that it states, and is of
    severity ``warn``: whether what was seen is what must be, people decide.

    Args:
        profile: Profile of the source.
        declared: Rules that exist already, as pairs of column (empty: the table) and kind.
    """
    there = set(declared)
    found: list[tuple[str, dict[str, Any], str]] = []
    if profile.rows >= _ENOUGH_ROWS:
        for column in profile.columns:
            found += [(column.name, rule, why) for rule, why in _of_column(column, profile.rows)]
        found += [("", rule, why) for rule, why in _of_table(profile)]
    return [
        Suggestion(profile.name, column, _RULE.validate_python(rule), why, rule_yaml(rule))
        for column, rule, why in found
        if (column, rule["kind"]) not in there
    ]


def suggestions_yaml(suggestions: Sequence[Suggestion]) -> str:
    """Return suggestions as they stand under ``data.sources``, evidence as comments."""
    lines: list[str] = []
    for source in dict.fromkeys(one.source for one in suggestions):
        own = [one for one in suggestions if one.source == source]
        lines.append(f"{source}:")
        columns = dict.fromkeys(one.column for one in own if one.column)
        lines += ["  columns:"] if columns else []
        for column in columns:
            lines += [f"    {json.dumps(column, ensure_ascii=False)}:", "      rules:"]
            lines += [
                f"        - {one.yaml}  # {_comment(one.evidence)}"
                for one in own
                if one.column == column
            ]
        table = [one for one in own if not one.column]
        lines += ["  rules:"] if table else []
        lines += [f"    - {one.yaml}  # {_comment(one.evidence)}" for one in table]
    return "".join(f"{line}\n" for line in lines)


def _comment(text: str) -> str:
    return " ".join(text.split())


_Found = list[tuple[dict[str, Any], str]]


def _of_column(column: ColumnProfile, rows: int) -> _Found:
    if column.semantic in {SemanticType.EMPTY, SemanticType.NESTED, SemanticType.BINARY}:
        return []
    found = _of_presence(column, rows)
    if column.pii:
        # Bounds and lists would write personal data into the project file.
        return found + _of_form(column)
    if column.semantic in {SemanticType.CATEGORY, SemanticType.BOOLEAN} and column.texts:
        return found + _of_values(column)
    if column.texts:
        return found + (_of_form(column) or _of_shapes(column))
    return found + _of_range(column)


def _of_presence(column: ColumnProfile, rows: int) -> _Found:
    if not column.missing:
        return [({"kind": "not_null"}, f"none of {rows:,} values is missing")]
    if column.missing_share > _RARELY_MISSING:
        return []
    mostly = 1 - max(_RARELY_MISSING, 2 * column.missing_share)
    text = f"{column.missing:,} of {rows:,} values are missing"
    return [({"kind": "not_null", "mostly": round(mostly, 3)}, text)]


def _of_values(column: ColumnProfile) -> _Found:
    values = [one.value for one in column.top_values]
    if not column.distinct_exact or column.distinct != len(values) or len(values) > _MOST_VALUES:
        return []
    text = f"{len(values)} values, the rarest in {column.top_values[-1].rows:,} rows"
    return [({"kind": "accepted_values", "values": sorted(map(str, values))}, text)]


def _of_form(column: ColumnProfile) -> _Found:
    pattern = _FORMS.get(column.semantic)
    if pattern is None:
        return []
    rule = {"kind": "matches", "pattern": pattern, "mostly": 0.95}
    return [(rule, f"the values look like {column.semantic} addresses")]


def _of_shapes(column: ColumnProfile) -> _Found:
    texts = column.texts
    if texts is None or not texts.patterns or column.semantic is SemanticType.TEXT:
        return []
    shapes = texts.patterns[:_FEW_SHAPES]
    share = sum(one.share for one in shapes)
    if len(texts.patterns) > _FEW_SHAPES or share < _NEARLY_ALL or texts.patterns_sampled:
        return _of_lengths(column)
    if any(
        not isinstance(one.value, str) or "+" in one.value or "…" in one.value for one in shapes
    ):
        return _of_lengths(column)
    # Letters outside A to Z have the same signs.
    if texts.non_ascii:
        return _of_lengths(column)
    joined = "|".join(_pattern(str(one.value)) for one in shapes)
    text = f"{len(shapes)} shapes: {', '.join(str(one.value) for one in shapes)}"
    return [({"kind": "matches", "pattern": f"^({joined})$"}, text)]


def _pattern(shape: str) -> str:
    parts: list[str] = []
    at = 0
    while at < len(shape):
        sign = shape[at]
        run = 1
        while at + run < len(shape) and shape[at + run] == sign:
            run += 1
        escaped = _SIGNS.get(sign) or (sign if sign.isalnum() or sign in " _-" else "\\" + sign)
        parts.append(escaped + (f"{{{run}}}" if run > 1 else ""))
        at += run
    return "".join(parts)


def _of_lengths(column: ColumnProfile) -> _Found:
    texts = column.texts
    if texts is None or texts.min_length is None or texts.max_length is None:
        return []
    rule = {"kind": "length_between", "min": texts.min_length, "max": texts.max_length}
    return [(rule, f"lengths are {texts.min_length} to {texts.max_length}")]


def _of_range(column: ColumnProfile) -> _Found:
    numbers = column.numbers
    if numbers is None or column.semantic in {SemanticType.ID, SemanticType.CONSTANT}:
        return []
    low, high = column.min, column.max
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return []
    room = _ROOM * (high - low)
    whole = column.type in _WHOLE_TYPES
    # A natural end of zero stays where it is.
    bottom = 0 if 0 <= low <= room or low == 0 else low - room
    top = high + room
    ends = {"min": _rounded(bottom, whole=whole), "max": _rounded(top, whole=whole)}
    text = f"values are {low:g} to {high:g}; a tenth of the range is added"
    return [({"kind": "between", **ends}, text)]


def _rounded(value: float, *, whole: bool) -> float:
    return round(value) if whole else float(f"{value:.4g}")


def _of_table(profile: TableProfile) -> _Found:
    found: _Found = []
    for key in profile.keys:
        if key.unique:
            kind = "the declared key" if key.declared else "a possible key"
            text = f"{kind}: {key.distinct:,} different values in {key.rows:,} rows"
            found.append(({"kind": "unique", "columns": list(key.columns)}, text))
    low, high = round(profile.rows * 0.5), round(profile.rows * 2)
    found.append(({"kind": "row_count", "min": low, "max": high}, f"{profile.rows:,} rows today"))
    for time in profile.time:
        if time.last and _recent(time.last):
            rule = {"kind": "freshness", "column": time.column, "max_age_days": 7}
            found.append((rule, f"the newest value is {time.last}"))
    return found


def _recent(text: str) -> bool:
    try:
        return abs((date.today() - date.fromisoformat(text[:10])).days) <= 7  # noqa: DTZ011, PLR2004
    except ValueError:
        return False
