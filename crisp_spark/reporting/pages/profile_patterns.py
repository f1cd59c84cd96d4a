"""Part of the profile's section: what occurs together, and what follows what."""

from __future__ import annotations

from crisp_spark.reporting.html import Content, Html, join
from crisp_spark.reporting.kit import Heads, heading, name, names, num, paragraph, table
from crisp_spark.reporting.numbers import count, number, percent, plural
from crisp_spark.results.patterns import SourcePatterns

_MOST = 20


def patterns(found: SourcePatterns) -> Html:
    """Frequent item sets, rules and sequences of a source."""
    if not found.baskets:
        return join([_heading(found), paragraph("There are no baskets.")])
    left = f" {plural(found.left_out, 'row')} without one were left out." if found.left_out else ""
    said = paragraph(
        f"{plural(found.baskets, 'basket')} (",
        names(found.basket),
        f") hold {plural(found.items, 'different item')} (",
        name(found.item),
        f").{left} A pattern occurs in at least {percent(found.min_support, 2)} of the baskets; "
        f"{plural(found.found_sets, 'set')} of two items or more and "
        f"{plural(found.found_rules, 'rule')} do.",
    )
    return join([_heading(found), said, _rules(found), _sets(found), _sequences(found)])


def _heading(found: SourcePatterns) -> Html:
    return heading(5, "Patterns of ", name(found.item), " in ", name(found.source))


def _rules(found: SourcePatterns) -> Html | None:
    if not found.rules:
        return None
    heads: Heads = [
        "Baskets with",
        "also have",
        num("in so many of them"),
        num("lift (1 is chance)"),
        num("share of all"),
    ]
    rows: list[list[Content]] = [
        [
            names(rule.when),
            names(rule.then),
            percent(rule.confidence, 1),
            number(rule.lift, 3),
            percent(rule.support, 2),
        ]
        for rule in found.rules
    ]
    return table(heads, rows, caption="Rules, highest lift first", most=_MOST)


def _sets(found: SourcePatterns) -> Html | None:
    if not found.sets:
        return None
    rows: list[list[Content]] = [
        [names(one.items), count(one.baskets), percent(one.support, 2)] for one in found.sets
    ]
    heads: Heads = ["Items", num("Baskets"), num("Share")]
    return table(heads, rows, caption="What occurs together most often", most=_MOST)


def _sequences(found: SourcePatterns) -> Html | None:
    if not found.sequences:
        return None
    rows: list[list[Content]] = [
        [
            join((names(moment) for moment in one.moments), " → "),
            count(one.baskets),
            percent(one.support, 2),
        ]
        for one in found.sequences
    ]
    heads: Heads = ["First, then", num("Baskets"), num("Share")]
    return table(heads, rows, caption="What follows what, other items between", most=_MOST)
