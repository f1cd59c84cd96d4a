"""A card per column: type, missing, distinct, distribution, most frequent values, shapes."""

from __future__ import annotations

from datetime import UTC, datetime

from crisp_spark.reporting.charts import Chart, histogram, horizontal_bars
from crisp_spark.reporting.html import Content, Html, join, tag
from crisp_spark.reporting.kit import (
    Heads,
    badge,
    definitions,
    figures,
    folded,
    name,
    note,
    num,
    table,
)
from crisp_spark.reporting.numbers import UNKNOWN, count, number, percent, plural, short
from crisp_spark.reporting.words import plain_value
from crisp_spark.results.profile import ColumnProfile, Numbers, SemanticType, TableProfile, Texts

MOST_CARDS = 480
"""Cards in one report, shared among the sources; beyond them a file is slow to open."""


def column_cards(source: TableProfile, most: int) -> Html:
    """The columns of a source, each folded into one line; those beyond ``most`` are counted."""
    cards = [_card(source, column) for column in source.columns[:most]]
    more = len(source.columns) - most
    if more > 0:
        cards.append(note("info", f"{plural(more, 'further column')} of this source not shown."))
    return join(cards)


def _card(source: TableProfile, column: ColumnProfile) -> Html:
    marks = []
    if column.pii:
        marks.append(badge("unknown", "personal"))
    if column.known_at == "outcome":
        marks.append(badge("warn", "known at the outcome"))
    if column.notes:
        marks.append(badge("info", plural(len(column.notes), "note")))
    about = f"{column.semantic.value} · {_missing(column)} · {_distinct(column)}"
    summary = join([name(column.name), tag("span", about, class_="meta"), *marks], " ")
    return folded(
        summary,
        tag("p", column.description) if column.description else None,
        *(note("info", text) for text in column.notes),
        figures(_distribution(column), _values(column)),
        definitions(_definitions(source, column)),
        _patterns(column.texts) if column.texts else None,
        css="card",
    )


def _missing(column: ColumnProfile) -> str:
    return f"{percent(column.missing_share)} missing" if column.missing else "none missing"


def _distinct(column: ColumnProfile) -> str:
    if column.distinct is None:
        return "distinct values not counted"
    about = "" if column.distinct_exact else "about "
    return about + plural(column.distinct, "distinct value")


def _definitions(source: TableProfile, column: ColumnProfile) -> list[tuple[Content, Content]]:
    pairs: list[tuple[Content, Content]] = [
        ("Type", f"{column.type}, read as {column.semantic.value}"),
        ("Unit", column.unit),
        ("Role", column.role),
        ("Missing", f"{count(column.missing)} of {count(source.rows)}"),
        ("Distinct", _distinct(column)),
    ]
    if column.min is not None:
        pairs.append(("Range", f"{plain_value(column.min)} to {plain_value(column.max)}"))
    if column.numbers:
        pairs += _numbers(column.numbers)
    if column.texts:
        pairs += _texts(column.texts)
    return pairs


def _numbers(numbers: Numbers) -> list[tuple[Content, Content]]:
    quantiles = ", ".join(
        f"{percent(float(share), 0)}: {number(value)}" for share, value in numbers.quantiles.items()
    )
    error = (
        f" (rank error up to {percent(numbers.quantile_error)})" if numbers.quantile_error else ""
    )
    odd = [
        (numbers.nans, "not a number"),
        (numbers.positive_infinities, "+infinity"),
        (numbers.negative_infinities, "-infinity"),
    ]
    return [
        ("Mean ± standard deviation", f"{number(numbers.mean)} ± {number(numbers.std)}"),
        ("Quantiles", quantiles + error if quantiles else ""),
        ("Skewness, excess kurtosis", f"{number(numbers.skewness)}, {number(numbers.kurtosis)}"),
        ("Zeros, negatives", f"{count(numbers.zeros)}, {count(numbers.negatives)}"),
        ("Outside the fences", count(numbers.outside_fences) if numbers.outside_fences else ""),
        ("Not finite", ", ".join(f"{count(rows)} {what}" for rows, what in odd if rows)),
    ]


def _texts(texts: Texts) -> list[tuple[Content, Content]]:
    span = (
        f"{count(texts.min_length)} to {count(texts.max_length)}, mean {number(texts.mean_length)}"
        if texts.max_length is not None
        else ""
    )
    return [
        ("Length", span),
        ("Blank", count(texts.blank) if texts.blank else ""),
        ("Spaces at an end", count(texts.padded) if texts.padded else ""),
        ("Beyond ASCII", f"{count(texts.non_ascii)} ({percent(texts.non_ascii_share)})"),
    ]


def _distribution(column: ColumnProfile) -> Chart | None:
    bins = column.histogram
    if len(bins) < 2:  # noqa: PLR2004 - one bar says nothing
        return None
    edges = [bins[0].low, *(item.high for item in bins)]
    dated = column.semantic is SemanticType.DATE or column.type in ("date", "timestamp")
    fullest = max(bins, key=lambda item: item.rows)
    total = sum(item.rows for item in bins) or 1
    written = _day if dated else number
    finding = (
        f"{percent(fullest.rows / total)} of the values lie between {written(fullest.low)} and "
        f"{written(fullest.high)}."
    )
    quantiles = column.numbers.quantiles if column.numbers else {}
    median = quantiles.get("0.5")
    return histogram(
        f"Distribution of {column.name}",
        finding,
        edges,
        [item.rows for item in bins],
        x_label=column.unit,
        marks=[(median, "median")] if median is not None else (),
        fmt=_day if dated else short,
    )


def _day(seconds: float | None) -> str:
    if seconds is None:
        return UNKNOWN
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
    except (OverflowError, ValueError, OSError):
        return number(seconds)


def _values(column: ColumnProfile) -> Chart | None:
    if not column.top_values or (column.histogram and column.semantic is SemanticType.NUMERIC):
        return None
    top = column.top_values[:10]
    caution = "" if column.top_values_complete else " The list was found in the sample."
    return horizontal_bars(
        f"Most frequent values of {column.name}",
        f"“{plain_value(top[0].value)}” stands in {percent(top[0].share)} of the rows.{caution}",
        [plain_value(item.value) for item in top],
        [item.rows for item in top],
        value_label="rows",
        fmt=count,
        notes=[f"({percent(item.share)})" for item in top],
    )


def _patterns(texts: Texts) -> Html | None:
    if not texts.patterns:
        return None
    rows: list[list[Content]] = [
        [name(plain_value(item.value)), count(item.rows), percent(item.share)]
        for item in texts.patterns
    ]
    heads: Heads = ["Shape", num("Rows"), num("Share")]
    where = "in the sample" if texts.patterns_sampled else "in all rows"
    caption = f"Shapes of the texts, {where} (A capital, a small letter, 9 digit)"
    return table(heads, rows, caption=caption, most=12)
