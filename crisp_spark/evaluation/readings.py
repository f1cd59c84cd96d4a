"""Outcomes read out in words, with numbers and money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from crisp_spark.evaluation.cuts import cut_by
from crisp_spark.evaluation.judging import Judge
from crisp_spark.evaluation.rows import ScoredRows
from crisp_spark.evaluation.slices import confusion_of
from crisp_spark.results.evaluate import Confusion, Reading
from crisp_spark.spec.business import MiningGoal, OutcomeValues
from crisp_spark.spec.evaluation import SliceSearchSpec

Outcome = Literal["tp", "fp", "fn", "tn"]
_ARTICLES = {"a", "an", "each", "every", "one", "the"}
_SLICES_PER_COLUMN = 8


@dataclass(frozen=True)
class Wording:
    """Words for the rows and for the two classes.

    Attributes:
        many: The unit of prediction in the plural.
        positive: What a positive row is.
        negative: What a negative row is.
    """

    many: str
    positive: str
    negative: str


def wording_of(goal: MiningGoal) -> Wording:
    """Find words for rows and classes in the mining goal."""
    words = [word for word in goal.unit_of_prediction.split() if word.lower() not in _ARTICLES]
    many = _plural(words[0]) if len(words) == 1 else "rows"
    target = goal.target or "positive"
    if goal.positive is True:
        return Wording(many, target, f"not {target}")
    return Wording(many, f"{target}={goal.positive}", f"not {target}={goal.positive}")


def _plural(word: str) -> str:
    if word.endswith(("s", "x", "ch", "sh")):
        return f"{word}es"
    if word.endswith("y") and word[-2:-1] not in {"a", "e", "i", "o", "u"}:
        return f"{word[:-1]}ies"
    return f"{word}s"


def money_text(amount: float, currency: str) -> str:
    """Write money for a sentence: whole numbers from 100 on, two places below."""
    whole = 100
    text = f"{amount:,.0f}" if abs(amount) >= whole or amount == round(amount) else f"{amount:,.2f}"
    return f"{text} {currency}".strip()


def _worth(rows: int, values: OutcomeValues | None, outcome: Outcome) -> tuple[float | None, str]:
    if values is None or not values.per_outcome:
        return None, ""
    each = float(getattr(values, outcome))
    total = each * rows
    if each == 0:
        return 0.0, " That costs and earns nothing."
    verb = "earn" if each > 0 else "cost"
    each_text = money_text(abs(each), values.currency)
    total_text = money_text(abs(total), values.currency)
    return total, f" At {each_text} each they {verb} {total_text}."


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _percent(share: float | None) -> str:
    return "none" if share is None else f"{share:.1%}"


def _sentence(outcome: Outcome, counts: Confusion, words: Wording) -> tuple[float | None, str]:
    positives, negatives = counts.tp + counts.fn, counts.fp + counts.tn
    rows = getattr(counts, outcome)
    share = _share(rows, positives if outcome in {"tp", "fn"} else negatives)
    said = f"{rows:,} {words.many}"
    of_negatives = f"{_percent(share)} of the {negatives:,} that were {words.negative}"
    of_positives = f"{_percent(share)} of the {positives:,} that were {words.positive}"
    if outcome == "fp":
        wrong = _percent(_share(counts.fp, counts.fp + counts.tp))
        detail = f"{of_negatives}; {wrong} of all {counts.fp + counts.tp:,} alerts"
        return share, (
            f"False positives: {said} got an alert and were {words.negative} ({detail})."
        )
    if outcome == "tn":
        return share, f"True negatives: {said} were rightly left alone ({of_negatives})."
    alert, name = ("an alert", "True") if outcome == "tp" else ("no alert", "False")
    kind = "positives" if outcome == "tp" else "negatives"
    text = f"{name} {kind}: {said} got {alert} and were {words.positive} ({of_positives})."
    return share, text


def read_outcome(
    outcome: Outcome,
    counts: Confusion,
    judge: Judge,
    words: Wording,
    *,
    split: str,
    slice_name: str = "all",
) -> Reading:
    """Read one of the four outcomes out."""
    share, text = _sentence(outcome, counts, words)
    rows = getattr(counts, outcome)
    money, worth = _worth(rows, judge.values, outcome)
    where = "" if slice_name == "all" else f"Where {slice_name}: "
    return Reading(
        outcome=outcome,
        split=split,
        slice=slice_name,
        rows=rows,
        share=share,
        money=money,
        text=f"{where}{text}{worth}",
    )


def _summary(counts: Confusion, judge: Judge, words: Wording, split: str) -> Reading:
    total = counts.tp + counts.fp + counts.fn + counts.tn
    right = counts.tp + counts.tn
    text = (
        f"Of {total:,} {words.many} in {split}, {counts.tp + counts.fn:,} were {words.positive}. "
        f"With alerts from a score of {counts.threshold:.4g} on, {counts.tp + counts.fp:,} "
        f"({_percent(_share(counts.tp + counts.fp, total))}) got one, and {right:,} decisions "
        f"({_percent(_share(right, total))}) were right."
    )
    money = None
    values = judge.values
    if values is not None and values.per_outcome:
        parts = ((counts.tp, values.tp), (counts.fp, values.fp))
        money = sum(n * v for n, v in (*parts, (counts.fn, values.fn), (counts.tn, values.tn)))
        text += f" Together they are worth {money_text(money, values.currency)}"
        text += f", {money_text(money / total, values.currency)} each." if total else "."
    return Reading(
        outcome="all", split=split, rows=total, share=_share(right, total), money=money, text=text
    )


def read_out(
    splits: Sequence[ScoredRows], judge: Judge, words: Wording, *, slices: Sequence[str]
) -> list[Reading]:
    """Read the outcomes of each split out, and, by slice, false positives and true negatives.

    Args:
        splits: Rows of the splits to read out; slices are read out for the first.
        judge: Threshold and values.
        words: Words for rows and classes.
        slices: Columns the project wants to see; at most eight values of each are read out.
    """
    readings: list[Reading] = []
    order: tuple[Outcome, ...] = ("fp", "tn", "tp", "fn")
    for rows in splits:
        if rows.size:
            counts = confusion_of(rows, judge)
            readings.append(_summary(counts, judge, words, rows.split))
            readings += [read_outcome(o, counts, judge, words, split=rows.split) for o in order]
    if not splits or not splits[0].size:
        return readings
    rows = splits[0]
    limits = SliceSearchSpec(max_values=_SLICES_PER_COLUMN)
    for name in slices:
        cut = cut_by(rows.columns[name], limits, declared=True) if name in rows.columns else ""
        if isinstance(cut, str):
            continue
        sizes = cut.sizes()
        for index in np.lexsort((np.arange(sizes.size), -sizes)):
            if sizes[index]:
                counts = confusion_of(rows.where(cut.members(int(index))), judge)
                readings += [
                    read_outcome(
                        o, counts, judge, words, split=rows.split, slice_name=cut.names[index]
                    )
                    for o in order[:2]
                ]
    return readings
