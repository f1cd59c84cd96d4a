"""What moved the metric, what quality costs, how sure it is, what to try next."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import sqrt
from typing import Any

from crisp_spark.results.findings import FrontierPoint, ImportanceResult
from crisp_spark.results.sweep import TrialResult
from crisp_spark.spec.base import canonical_json
from crisp_spark.spec.modeling import Between, Family

_FEWEST = 6
"""Trials below which no importance is told."""
_MOST_GROUPS = 5
_WEAK = 0.02
_ROUNDING = 1e-24
_EDGE = 0.02
_FEW_STEPS = 6


def full_trials(trials: Sequence[TrialResult]) -> list[TrialResult]:
    """Return finished trials that were fitted in full."""
    return [t for t in trials if t.metric is not None and t.status == "finished" and t.share >= 1]


def importances(trials: Sequence[TrialResult], *, higher_is_better: bool) -> list[ImportanceResult]:
    """Return how much of the variance of the metric each hyperparameter explains alone.

    Trials are grouped by the value of the hyperparameter (numbers with many values by their
    quantiles, five groups at most), and the share of the variance that lies between the means of
    the groups is taken, less what as many groups explain by chance: epsilon squared,
    (SS_between - (groups - 1) MS_within) / SS_total, at least 0. On a full grid this is the main
    effect of functional ANOVA; what is missing to 1 is interaction and chance. Source: T. Kelley,
    "An unbiased correlation ratio measure" (1935).

    Args:
        trials: Trials.
        higher_is_better: Direction of the metric.
    """
    usable = full_trials(trials)
    families = dict.fromkeys(trial.family for trial in usable)
    pick = max if higher_is_better else min
    found = []
    if len(families) > 1:
        entry = _importance(usable, "family", lambda t: t.family, pick)
        found += [entry] if entry is not None else []
    for family in families:
        own = [trial for trial in usable if trial.family == family]
        names = dict.fromkeys(name for trial in own for name in trial.params)
        entries = [
            _importance(own, name, lambda t, name=name: t.params.get(name), pick)  # type: ignore[misc]
            for name in names
        ]
        known = [entry.model_copy(update={"family": family}) for entry in entries if entry]
        found += sorted(known, key=lambda entry: (-entry.share, entry.parameter))
    return found


def _importance(
    trials: Sequence[TrialResult],
    name: str,
    value: Callable[[TrialResult], Any],
    pick: Callable[..., Any],
) -> ImportanceResult | None:
    groups: dict[str, list[float]] = {}
    labels = group_labels([value(trial) for trial in trials])
    for label, trial in zip(labels, trials, strict=True):
        groups.setdefault(label, []).append(trial.metric or 0.0)
    count, members = len(trials), len(groups)
    if count < _FEWEST or members < 2 or count <= members:  # noqa: PLR2004
        return None
    mean = sum(t.metric or 0.0 for t in trials) / count
    total = sum(((t.metric or 0.0) - mean) ** 2 for t in trials)
    means = {label: sum(values) / len(values) for label, values in groups.items()}
    between = sum(len(values) * (means[label] - mean) ** 2 for label, values in groups.items())
    if total <= count * _ROUNDING * (1 + mean**2):
        return None
    by_chance = (members - 1) * (total - between) / (count - members)
    share = max(0.0, (between - by_chance) / total)
    best = pick(means, key=lambda label: means[label])
    return ImportanceResult(
        family="", parameter=name, share=round(share, 4), trials=count, best=str(best)
    )


def group_labels(values: Sequence[Any]) -> list[str]:
    """Return the group of each value: the value itself, or a range where there are many numbers."""
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    distinct = Counter(canonical_json(value) for value in values)
    if not numbers or len(distinct) <= _MOST_GROUPS:
        return ["default" if value is None else _text(value) for value in values]
    ordered = sorted(values)
    size = len(ordered)
    edges = sorted({ordered[round(at * size / _MOST_GROUPS)] for at in range(1, _MOST_GROUPS)})

    def group(value: float) -> str:
        at = sum(value >= edge for edge in edges)
        inside = [v for v in ordered if sum(v >= edge for edge in edges) == at]
        return f"{_text(inside[0])} to {_text(inside[-1])}"

    return [group(value) for value in values]


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def frontier(trials: Sequence[TrialResult], *, higher_is_better: bool) -> list[FrontierPoint]:
    """Return the trials that no other beats in both quality and time, cheapest first.

    Trials taken over from an earlier attempt count with the time they took then.
    """
    sign = 1.0 if higher_is_better else -1.0
    found: list[FrontierPoint] = []
    best = float("-inf")
    for trial in sorted(full_trials(trials), key=lambda t: (t.seconds, -sign * (t.metric or 0.0))):
        value = trial.metric or 0.0
        if sign * value > best:
            best = sign * value
            found.append(FrontierPoint(trial=trial.name, metric=value, seconds=trial.seconds))
    return found


def fold_spread(trials: Sequence[TrialResult]) -> float | None:
    """Return the median over trials of the standard deviation over folds."""
    known = [trial.std for trial in full_trials(trials) if trial.std is not None]
    return statistics.median(known) if known else None


def seed_spread(trials: Sequence[TrialResult]) -> float | None:
    """Return the standard deviation over trials that differ in their seed alone.

    Pooled over all such sets: the square root of the mean of their variances, weighted by degrees
    of freedom.
    """
    sets: dict[str, list[float]] = {}
    for trial in full_trials(trials):
        if "seed" in trial.params:
            rest = {name: value for name, value in trial.params.items() if name != "seed"}
            sets.setdefault(canonical_json([trial.family, rest]), []).append(trial.metric or 0.0)
    repeated = [values for values in sets.values() if len(values) > 1]
    free = sum(len(values) - 1 for values in repeated)
    if not free:
        return None
    return sqrt(sum((len(v) - 1) * statistics.variance(v) for v in repeated) / free)


def next_steps(
    trials: Sequence[TrialResult],
    best: TrialResult,
    families: Mapping[str, Family],
    *,
    higher_is_better: bool,
    stopped: str = "",
) -> list[str]:
    """Return what to try next, and why, the most promising first.

    Args:
        trials: Trials.
        best: The winner.
        families: Families by label.
        higher_is_better: Direction of the metric.
        stopped: Why the sweep stopped early; empty when it did not.
    """
    usable = full_trials(trials)
    found = list[str]()
    if stopped:
        found.append(f"The search was cut short ({stopped}): a larger budget may find a better one")
    family = families.get(best.family)
    if family is not None:
        found += _beyond_edges(best, family)
    moved = importances(trials, higher_is_better=higher_is_better)
    own = [entry for entry in moved if entry.family == best.family]
    flat = [entry.parameter for entry in own if entry.share < _WEAK]
    if own and flat and len(flat) < len(own):
        found.append(
            f"{', '.join(flat)} hardly moved the metric: leave at the default, and spend the "
            f"trials on {own[0].parameter}"
        )
    found += _unsure(usable, best, higher_is_better=higher_is_better)
    failed = Counter(trial.family for trial in trials if trial.status == "failed")
    for name, count in failed.most_common(2):
        found.append(f"{count} {'trial' if count == 1 else 'trials'} of {name} failed: see why")
    return found[:_FEW_STEPS]


def _beyond_edges(best: TrialResult, family: Family) -> list[str]:
    found = []
    for name, choices in family.params.items():
        value = best.params.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or name == "seed":
            continue
        if isinstance(choices, Between):
            low, high = choices.low, choices.high
        else:
            numbers = [c for c in choices if isinstance(c, int | float)]
            if len(numbers) < 2:  # noqa: PLR2004
                continue
            low, high = min(numbers), max(numbers)
        room = _EDGE * (high - low) if isinstance(choices, Between) else 0.0
        if value >= high - room:
            found.append(f"{name} = {_text(value)} is the largest that was tried: try larger")
        elif value <= low + room and value > 0:
            found.append(f"{name} = {_text(value)} is the smallest that was tried: try smaller")
    return found


def _unsure(
    usable: Sequence[TrialResult], best: TrialResult, *, higher_is_better: bool
) -> list[str]:
    if best.std is None or best.metric is None or len(best.fold_metrics) < 2:  # noqa: PLR2004
        return []
    sign = 1.0 if higher_is_better else -1.0
    reach = best.std / sqrt(len(best.fold_metrics))
    near = [t for t in usable if sign * (best.metric - (t.metric or 0.0)) <= reach]
    simpler = [t for t in near if t.complexity < best.complexity]
    if len(near) < 2:  # noqa: PLR2004
        return []
    words = f"{len(near)} trials lie within one standard error ({reach:.2g}) of the winner"
    if simpler:
        return [f"{words}, {len(simpler)} of them simpler: consider one_standard_error"]
    return [f"{words}: more folds would tell them apart"]
