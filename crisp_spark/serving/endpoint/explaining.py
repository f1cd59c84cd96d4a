"""Contributions of the columns to one row's score."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crisp_spark.serving.endpoint.signature import Model, RowAnswer

METHOD = (
    "Shapley values against the usual row of training (medians and commonest values), from "
    "antithetic permutations; they sum up to score minus base score (Strumbelj and Kononenko "
    "2014; Mitchell et al. 2022)"
)
PAIRS = 4
"""Pairs of a permutation and its reverse; exact for models that are sums of pairs of columns."""

_SEED = 42


@dataclass(frozen=True)
class Explanation:
    """Why one row got its score.

    Attributes:
        answer: What the model says to the row.
        base: Score of the usual row.
        score: Score of this row: of the positive or of the predicted class, or the number.
        contributions: Column to its part of ``score - base``; empty where there is no score.
    """

    answer: RowAnswer
    base: float | None = None
    score: float | None = None
    contributions: Mapping[str, float] | None = None


def explain_rows(
    model: Model, columns: Mapping[str, Sequence[Any]], rows: int
) -> list[Explanation]:
    """Explain rows, given as columns.

    A column that is as usual gets 0 without being looked at. The model is asked about
    ``2 * PAIRS * (columns + 1)`` mixed rows for each explained row.
    """
    answers = model.answers(columns, rows)
    usual = dict(model.reference_row())
    return [
        _explain(model, {name: values[number] for name, values in columns.items()}, usual, answer)
        for number, answer in enumerate(answers)
    ]


def _explain(
    model: Model, row: Mapping[str, Any], usual: Mapping[str, Any], answer: RowAnswer
) -> Explanation:
    if answer.answered_by != "model":
        return Explanation(answer)
    names = [field.name for field in model.fields if field.use == "model"]
    # What is not said of the usual row is taken as it stands.
    moved = [name for name in names if name in usual and row[name] != usual[name]]
    start = {**row, **{name: usual[name] for name in moved}}
    orders = _orders(moved)
    mixed = [one for order in orders for one in _walk(start, row, order)] or [start]
    columns = {name: [one[name] for one in mixed] for name in row}
    scores = [_score(one, answer) for one in model.answers(columns, len(mixed))]
    total = _score(answer, answer)
    known = [score for score in scores if score is not None]
    if len(known) < len(scores) or total is None:
        return Explanation(answer, score=total)
    sums = dict.fromkeys(names, 0.0)
    for number, order in enumerate(orders):
        first = number * (len(order) + 1)
        for place, name in enumerate(order, start=first):
            sums[name] += (known[place + 1] - known[place]) / len(orders)
    return Explanation(answer, known[0], total, sums)


def _orders(names: Sequence[str]) -> list[list[str]]:
    """Return permutations, each followed by its reverse; the same ones for every row."""
    if not names:
        return []
    if len(names) == 1:
        return [list(names)]
    spun = random.Random(_SEED)  # noqa: S311 - no secret
    found: list[list[str]] = []
    for _ in range(PAIRS if len(names) > 2 else 1):  # noqa: PLR2004 - two columns have two orders
        order = list(names)
        spun.shuffle(order)
        found += [order, order[::-1]]
    return found


def _walk(
    start: Mapping[str, Any], end: Mapping[str, Any], order: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the rows on the way from ``start`` to ``end``, one column after the other."""
    steps = [dict(start)]
    for name in order:
        steps.append({**steps[-1], name: end[name]})
    return steps


def _score(answer: RowAnswer, explained: RowAnswer) -> float | None:
    if answer.answered_by != "model":
        return None
    # Several classes: the probability of the class that this row was given.
    if answer.probabilities is not None and explained.decision is None:
        chosen = answer.probabilities.get(str(explained.prediction))
        if chosen is not None:
            return chosen
    return answer.score
