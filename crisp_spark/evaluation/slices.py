"""Where the model does worst: slices ranked by the harm they do, and groups worth acting on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from crisp_spark.evaluation.cuts import Cut, cuts_of, pair_of
from crisp_spark.evaluation.estimates import Flags, Floats, normal_quantile, wilson
from crisp_spark.evaluation.judging import Judge, answers, row_values
from crisp_spark.evaluation.metrics import estimate
from crisp_spark.evaluation.rows import ScoredRows
from crisp_spark.results.evaluate import Confusion, SliceReport, SliceResult, TargetGroup
from crisp_spark.spec.evaluation import SliceSearchSpec

_GROUPS = 12
_PAIRED_COLUMNS = 12
_SHOWN = {
    "binary": ("precision", "recall", "false_positive_rate", "alert_rate", "roc_auc"),
    "multiclass": ("accuracy", "macro_f1"),
    "regression": ("mae", "bias", "rmse"),
    "recommendation": ("mae", "rmse"),
}


@dataclass(frozen=True)
class _Scan:
    """Losses of the slices of one cut; every array has shape (slices,).

    Slices with enough rows are judged; declared ones are shown in any case.
    """

    cut: Cut
    rows: Floats
    mean: Floats
    excess: Floats
    error: Floats
    judged: Flags
    shown: Flags


def row_losses(rows: ScoredRows, judge: Judge) -> tuple[Floats, str]:
    """Return the loss of each row, 0 being best, and what it is in words.

    With outcome values it is the regret: what a perfect decision would have been worth, less what
    this one was worth. Regret does not blame a slice for having many or few positives.
    """
    said = answers(rows, judge)
    if judge.problem == "binary":
        values = judge.values
        if values is None or not values.per_outcome:
            return np.not_equal(said.positive, said.alert).astype(np.float64), "wrong decisions"
        best = np.where(said.positive, max(values.tp, values.fn), max(values.fp, values.tn))
        regret = best - row_values(said.positive, said.alert, values)
        return regret, f"regret in {values.currency}"
    if judge.problem == "multiclass":
        return np.not_equal(said.label, said.prediction).astype(np.float64), "wrong classes"
    error = np.abs(said.prediction - said.label)
    if judge.values is not None and judge.values.cost_per_unit_error is not None:
        return error * judge.values.cost_per_unit_error, f"cost in {judge.values.currency}"
    return error, "absolute error"


def _scan(cut: Cut, loss: Floats, min_support: int) -> _Scan:
    """Compare each slice's mean loss with that of all other rows (Welch)."""
    rows: Floats = cut.sizes().astype(np.float64)
    sums, squares = cut.sums(loss), cut.sums(np.square(loss))
    rest = loss.size - rows
    with np.errstate(divide="ignore", invalid="ignore"):
        mean, others = sums / rows, (loss.sum() - sums) / rest
        spread = (squares / rows - mean**2) / (rows - 1)
        spread_others = ((np.square(loss).sum() - squares) / rest - others**2) / (rest - 1)
        error = np.sqrt(np.maximum(spread, 0) + np.maximum(spread_others, 0))
    usable = (rows >= 2) & (rest >= 2)  # noqa: PLR2004
    judged = usable & (rows >= min_support)
    return _Scan(cut, rows, mean, mean - others, error, judged, usable if cut.declared else judged)


def find_slices(
    rows: ScoredRows,
    judge: Judge,
    *,
    declared: Sequence[str],
    searched: Sequence[str],
    spec: SliceSearchSpec,
) -> SliceReport | None:
    """Measure declared slices and search all others for the weakest.

    Single columns and, where asked for, pairs of columns are looked at. Intervals of the excess
    loss are widened for the number of slices looked at (Bonferroni), so that a slice called weak
    is so with the stated confidence over all of them together. A pair is reported only when it
    is worse than either of its columns explains.

    Args:
        rows: Labelled, scored rows.
        judge: What decides about right and wrong.
        declared: Columns the project wants to see.
        searched: Columns to search, most important first.
        spec: Limits of the search.
    """
    if rows.size == 0 or judge.problem not in _SHOWN:
        return None
    loss, what = row_losses(rows, judge)
    cuts, skipped = cuts_of(rows, list(declared), list(searched)[: spec.max_columns], spec)
    single = [_scan(cut, loss, spec.min_support) for cut in cuts]
    by_name = {
        name: float(scan.excess[index])
        for scan in single
        for index, name in enumerate(scan.cut.names)
    }
    pairs = []
    if spec.enabled and spec.pairs:
        for first, second in combinations(cuts[:_PAIRED_COLUMNS], 2):
            pairs.append(_scan(pair_of(first, second), loss, spec.min_support))
    tested = int(sum(scan.judged.sum() for scan in (*single, *pairs)))
    z = normal_quantile(1 - (1 - judge.confidence) / max(tested, 1))
    mean = float(loss.mean())
    found = [
        _result(scan, index, z, mean, rows.weight)
        for scan in (*single, *pairs)
        for index in np.flatnonzero(
            scan.shown if len(scan.cut.columns) == 1 else scan.judged
        ).tolist()
        if len(scan.cut.columns) == 1 or _adds(scan, index, z, by_name)
    ]
    return SliceReport(
        split=rows.split,
        loss=what,
        overall=mean,
        tested=tested,
        confidence=judge.confidence,
        min_support=spec.min_support,
        columns=[cut.columns[0] for cut in cuts],
        skipped=skipped,
        slices=[
            _described(slice_, rows, judge, cuts) for slice_ in _worst_first(found, spec.report)
        ],
    )


def _adds(scan: _Scan, index: int, z: float, singles: dict[str, float]) -> bool:
    explained = max(singles[part] for part in scan.cut.parts[index])
    return bool(scan.excess[index] - z * scan.error[index] > max(explained, 0.0))


def _result(scan: _Scan, index: int, z: float, mean: float, weight: float) -> SliceResult:
    excess, half = float(scan.excess[index]), float(z * scan.error[index])
    return SliceResult(
        name=scan.cut.names[index],
        columns=list(scan.cut.columns),
        declared=scan.cut.declared,
        rows=round(float(scan.rows[index]) * weight),
        loss=float(scan.mean[index]),
        excess=excess,
        low=excess - half,
        high=excess + half,
        harm=float((scan.mean[index] - mean) * scan.rows[index]) * weight,
        judged=bool(scan.judged[index]),
        weak=bool(scan.judged[index]) and excess - half > 0,
    )


def _worst_first(found: list[SliceResult], report: int) -> list[SliceResult]:
    """Declared slices, then the most harmful others, at most ``report``; all by falling harm."""
    ranked = sorted(found, key=lambda item: (-item.harm, item.name))
    single = [item for item in ranked if item.declared and len(item.columns) == 1]
    weak = [item for item in ranked if item.weak and item not in single]
    others = [item for item in ranked if item.harm > 0 and not item.weak and item not in single]
    half = report // 2
    kept = [*weak[:half], *single[: report - min(half, len(weak))]]
    kept += [item for item in [*weak[half:], *others] if item not in kept][: report - len(kept)]
    return sorted(kept, key=lambda item: (-item.harm, item.name))


def _members(item: SliceResult, cuts: Sequence[Cut]) -> Flags:
    by_column = {cut.columns[0]: cut for cut in cuts}
    if len(item.columns) == 1:
        cut = by_column[item.columns[0]]
    else:
        cut = pair_of(by_column[item.columns[0]], by_column[item.columns[1]])
    return cut.members(cut.names.index(item.name))


def _described(
    item: SliceResult, rows: ScoredRows, judge: Judge, cuts: Sequence[Cut]
) -> SliceResult:
    part = rows.where(_members(item, cuts))
    update: dict[str, object] = {
        "metrics": {name: estimate(part, judge, name).value for name in _SHOWN[judge.problem]}
    }
    if judge.problem == "binary":
        confusion = confusion_of(part, judge)
        update |= {"confusion": confusion, "positives": confusion.tp + confusion.fn}
        if judge.values is not None and judge.values.per_outcome:
            update["net_value"] = estimate(part, judge, "net_value").value
    return item.model_copy(update=update)


def confusion_of(rows: ScoredRows, judge: Judge) -> Confusion:
    """Count the four outcomes at the threshold; scaled up where rows are a sample."""
    if rows.counts is not None:
        tp, fp, fn, tn = rows.counts
    else:
        said = answers(rows, judge)
        pairs = (
            said.positive & said.alert,
            ~said.positive & said.alert,
            said.positive & ~said.alert,
            ~said.positive & ~said.alert,
        )
        tp, fp, fn, tn = (round(float(flags.sum()) * rows.weight) for flags in pairs)
    return Confusion(tp=tp, fp=fp, fn=fn, tn=tn, threshold=judge.threshold)


def target_groups(
    rows: ScoredRows,
    judge: Judge,
    *,
    declared: Sequence[str],
    searched: Sequence[str],
    spec: SliceSearchSpec,
) -> list[TargetGroup]:
    """Groups with the largest share of positives: whom to act on first.

    Ranked by the lower end of the share's interval, so that a small group must show more; only
    groups whose lower end is above the share of all rows are listed.
    """
    if judge.problem != "binary" or rows.size == 0:
        return []
    cuts, _ = cuts_of(rows, list(declared), list(searched)[: spec.max_columns], spec)
    overall = float(rows.label.mean())
    found: list[tuple[float, Cut, int]] = []
    for cut in cuts:
        sizes = cut.sizes()
        hits = cut.sums(rows.label)
        for index in np.flatnonzero(sizes >= spec.min_support).tolist():
            low, _ = wilson(float(hits[index]), int(sizes[index]), judge.confidence)
            if low > overall:
                found.append((low, cut, index))
    found.sort(key=lambda entry: (-entry[0], entry[1].names[entry[2]]))
    return [_group(rows, judge, cut, index) for _, cut, index in found[:_GROUPS]]


def _group(rows: ScoredRows, judge: Judge, cut: Cut, index: int) -> TargetGroup:
    part = rows.where(cut.members(index))
    return TargetGroup(
        name=cut.names[index],
        rows=part.labelled_rows,
        rate=float(part.label.mean()),
        alert_rate=estimate(part, judge, "alert_rate").value or 0.0,
        precision=estimate(part, judge, "precision").value,
        value_per_row=estimate(part, judge, "value_per_row").value,
    )
