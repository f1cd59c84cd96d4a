"""Shapes of texts, what they stand for, and masks for those that tell who a person is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from crisp_spark.results.profile import Cell, SemanticType

_LONGEST_SHAPE = 30
_TOO_MANY_SHAPES = 60
_RUNS = re.compile(r"(A|a|9)\1+")

_FORMS: tuple[tuple[SemanticType, re.Pattern[str]], ...] = (
    (SemanticType.EMAIL, re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]{2,}")),
    (SemanticType.UUID, re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")),
    (SemanticType.URL, re.compile(r"(https?|ftp|s3)://\S+", re.IGNORECASE)),
    (
        SemanticType.IP,
        re.compile(
            r"((25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(25[0-5]|2[0-4]\d|1?\d?\d)"
            r"|(?=(.*:){2})[0-9a-fA-F:]{3,39}"
        ),
    ),
    (
        SemanticType.DATE,
        re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?"),
    ),
    (SemanticType.DATE, re.compile(r"\d{1,2}[./]\d{1,2}[./]\d{4}( \d{1,2}:\d{2}(:\d{2})?)?")),
    (
        SemanticType.PHONE,
        re.compile(
            r"(?=(.*\d){7})(\+\d{1,3}[ /.-]?)?(\(\d{1,5}\)[ /.-]?)?\d{2,5}([ /.-]\d{2,6}){1,5}"
        ),
    ),
    (SemanticType.NUMERIC, re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")),
)
_PERSONAL = frozenset({SemanticType.EMAIL, SemanticType.IP, SemanticType.PHONE})
_ENOUGH = 0.95


def shape(text: str) -> str:
    """Return the shape of a text: ``A`` a capital, ``a`` a letter, ``9`` a digit, others as is."""
    cut = text[:_LONGEST_SHAPE]
    signs = "".join(
        "9" if sign.isdigit() else ("A" if sign.isupper() else "a") if sign.isalpha() else sign
        for sign in cut
    )
    return signs + ("…" if len(text) > len(cut) else "")


def count_shapes(values: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    """Count shapes, most frequent first; where there are many, runs are written ``a+``."""
    counts: Counter[str] = Counter()
    for text, rows in values:
        counts[shape(text)] += rows
    if len(counts) > _TOO_MANY_SHAPES:
        short: Counter[str] = Counter()
        for found, rows in counts.items():
            short[_RUNS.sub(r"\1+", found)] += rows
        counts = short
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def form_of(values: Mapping[str, int]) -> SemanticType | None:
    """Return the form that nearly all texts have (e-mail, IP address, date ...), or None."""
    texts = {text.strip(): rows for text, rows in values.items() if text.strip()}
    total = sum(texts.values())
    if not total:
        return None
    for kind, pattern in _FORMS:
        if sum(rows for text, rows in texts.items() if pattern.fullmatch(text)) >= _ENOUGH * total:
            return kind
    return None


def is_personal(kind: SemanticType) -> bool:
    """Say whether values of this kind tell who a person is."""
    return kind in _PERSONAL


def masked(value: Cell) -> Cell:
    """Replace a value by a mark that tells no more than its length."""
    if value is None:
        return None
    return f"*** ({len(value)} characters)" if isinstance(value, str) else "***"
