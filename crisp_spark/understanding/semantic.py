"""What the values of a column are: identifiers, categories, codes, e-mail addresses, ..."""

from __future__ import annotations

from collections.abc import Mapping

from crisp_spark.results.profile import SemanticType
from crisp_spark.understanding.profile_columns import Family
from crisp_spark.understanding.text_shapes import form_of

_TRUTH = ({"0", "1"}, {"y", "n"}, {"yes", "no"}, {"true", "false"}, {"t", "f"})
_MOST_CATEGORIES = 50
_LONGEST_CODE = 24
_FEW_SHAPES = 4
_LONG_TEXT = 40
_RARE = 0.05
_UNIQUE = 0.9
_FEWEST = 20


def semantic_type(
    family: Family,
    *,
    known: int,
    distinct: int | None,
    unique: bool,
    texts: Mapping[str, int],
    shapes: int,
) -> SemanticType:
    """Decide what a column is.

    Args:
        family: How the column is stored.
        known: Values that are not missing.
        distinct: Distinct values.
        unique: Every value is known and different.
        texts: Texts seen with their counts, for text columns.
        shapes: Number of different shapes among them.
    """
    if not known:
        return SemanticType.EMPTY
    if family is Family.NESTED:
        return SemanticType.NESTED
    if family is Family.BINARY:
        return SemanticType.BINARY
    if distinct == 1:
        return SemanticType.CONSTANT
    if family is Family.BOOLEAN:
        return SemanticType.BOOLEAN
    if family is Family.MOMENT:
        return SemanticType.DATE
    if family is Family.NUMBER:
        return SemanticType.ID if unique and known >= _FEWEST else SemanticType.NUMERIC
    return _text_type(
        known=known, distinct=distinct or 0, unique=unique, texts=texts, shapes=shapes
    )


def _text_type(
    *, known: int, distinct: int, unique: bool, texts: Mapping[str, int], shapes: int
) -> SemanticType:
    form = form_of(texts)
    if form is not None and form is not SemanticType.NUMERIC:
        return form
    if {text.strip().lower() for text in texts} in _TRUTH:
        return SemanticType.BOOLEAN
    if unique and known >= _FEWEST:
        return SemanticType.ID
    if form is SemanticType.NUMERIC:
        return form
    longest = max(map(len, texts), default=0)
    spaces = sum(rows for text, rows in texts.items() if " " in text.strip())
    total = sum(texts.values()) or 1
    coded = shapes <= _FEW_SHAPES and longest <= _LONGEST_CODE and not spaces
    if distinct <= max(_MOST_CATEGORIES, 0) and distinct <= max(2, known * 0.5):
        return SemanticType.CATEGORY
    if coded or (longest <= _LONGEST_CODE and spaces == 0 and _has_digits(texts)):
        return SemanticType.CODE
    if distinct <= _RARE * known and spaces <= total and longest <= _LONG_TEXT:
        return SemanticType.CATEGORY
    return SemanticType.TEXT


def _has_digits(texts: Mapping[str, int]) -> bool:
    total = sum(texts.values())
    return (
        total > 0
        and sum(rows for text, rows in texts.items() if any(sign.isdigit() for sign in text))
        >= _UNIQUE * total
    )
