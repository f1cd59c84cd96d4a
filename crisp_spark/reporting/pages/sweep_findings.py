"""What a sweep found out beside its winner: importances, settings, cost, sureness, next steps."""

from __future__ import annotations

from crisp_spark.reporting.charts import Axis, Chart, Point, horizontal_bars, parallel, scatter
from crisp_spark.reporting.html import Content, Html, join
from crisp_spark.reporting.kit import (
    Heads,
    badge,
    bullets,
    definitions,
    figures,
    heading,
    num,
    paragraph,
    prose,
    sentence,
    table,
)
from crisp_spark.reporting.numbers import count, duration, number, percent
from crisp_spark.reporting.words import Measure, capital, metric_title
from crisp_spark.results.sweep import SweepResult, TrialResult

_MOST_BARS = 10
_MOST_AXES = 7
_MOST_LINES = 150
_DECADES = 50.0
_BEST_SHARE = 0.1


def findings(result: SweepResult, measure: Measure) -> Html:
    """What moved the metric, what quality costs, how sure it is, what to try next."""
    return join(
        [
            heading(4, "What the trials tell"),
            _sureness(result),
            figures(_importances(result), _frontier(result, measure)),
            figures(_settings(result, measure)),
            _rungs(result, measure),
            _assumptions(result),
            _next(result),
        ]
    )


def _sureness(result: SweepResult) -> Html:
    found = result.findings
    title = metric_title(result.metric)
    return definitions(
        [
            (
                "Spread over folds",
                f"± {number(found.fold_std, 2)} {title}, the median of all trials"
                if found.fold_std is not None
                else "",
            ),
            (
                "Spread over seeds",
                f"± {number(found.seed_std, 2)} {title}, same settings with another seed"
                if found.seed_std is not None
                else "",
            ),
            (
                "Stability of the clusters",
                f"{number(found.stability, 2)}: models of different folds on the same rows "
                "(adjusted Rand index; 1 the same clusters, 0 chance)"
                if found.stability is not None
                else "",
            ),
            ("Cut short", result.plan.regret),
        ]
    )


def _importances(result: SweepResult) -> Chart | None:
    shown = [entry for entry in result.findings.importances if entry.share > 0][:_MOST_BARS]
    if not shown:
        return None
    shown.sort(key=lambda entry: -entry.share)
    first = shown[0]
    return horizontal_bars(
        "What moved the metric",
        f"{capital(_named(first.family, first.parameter))} explains "
        f"{percent(first.share, 0)} of the differences among {first.trials} trials; what is "
        "missing to 100 % is interplay and chance.",
        [_named(entry.family, entry.parameter) for entry in shown],
        [entry.share for entry in shown],
        value_label="share of the variance",
        fmt=lambda value: percent(value, 0),
        notes=[f"(best: {entry.best})" for entry in shown],
    )


def _named(family: str, parameter: str) -> str:
    return f"{parameter} of {family.replace('_', ' ')}" if family else "the learner"


def _full(result: SweepResult) -> list[TrialResult]:
    return [t for t in result.trials if t.metric is not None and t.share >= 1]


def _frontier(result: SweepResult, measure: Measure) -> Chart | None:
    shown, line = _full(result), result.findings.frontier
    if len(shown) < 3 or not line:  # noqa: PLR2004
        return None
    on_line = {point.trial for point in line}
    cheapest, best = line[0], line[-1]
    if cheapest.trial == best.trial:
        words = f"{best.trial} is both the best and the fastest."
    else:
        words = (
            f"{cheapest.trial} took {duration(cheapest.seconds)} for "
            f"{measure.text(result.metric, cheapest.metric)}; the best, {best.trial}, "
            f"{duration(best.seconds)} for {measure.text(result.metric, best.metric)}."
        )
    return scatter(
        "Quality against cost",
        words,
        [
            Point(
                trial.name,
                trial.seconds,
                trial.metric or 0.0,
                trial.name if trial.name in on_line else "",
                trial.name == result.winner.trial,
            )
            for trial in shown
        ],
        x_label="seconds",
        y_label=metric_title(result.metric),
        steps=[(point.seconds, point.metric) for point in line],
        y_fmt=lambda value: measure.text(result.metric, value),
    )


def _settings(result: SweepResult, measure: Measure) -> Chart | None:
    """Settings of the winner's family across parallel axes, the best tenth picked out."""
    own = [trial for trial in _full(result) if trial.family == result.winner.family]
    names = dict.fromkeys(key for trial in own for key in trial.params)
    axes = [_axis(key, [trial.params.get(key) for trial in own[:_MOST_LINES]]) for key in names]
    varied = [axis for axis in axes if axis is not None][:_MOST_AXES]
    if len(own) < 4 or not varied:  # noqa: PLR2004
        return None
    sign = -1.0 if result.higher_is_better else 1.0
    shown = own[:_MOST_LINES]
    best = sorted(shown, key=lambda trial: sign * (trial.metric or 0.0))
    picked = {trial.name for trial in best[: max(1, round(len(best) * _BEST_SHARE))]}
    axes_drawn = [
        *varied,
        Axis(metric_title(result.metric), [trial.metric for trial in shown]),
    ]
    title = result.winner.title
    return parallel(
        f"Settings and {metric_title(result.metric)}: {title.lower()}",
        f"Each line is a trial; solid lines are the best {len(picked)} of {len(shown)}, "
        f"from {measure.text(result.metric, best[0].metric)} on.",
        axes_drawn,
        [trial.name for trial in shown],
        picked=[trial.name in picked for trial in shown],
    )


def _axis(key: str, values: list[object]) -> Axis | None:
    known = [value for value in values if value is not None]
    if len({str(value) for value in known}) < 2:  # noqa: PLR2004
        return None
    numbers = [v for v in known if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) == len(known):
        wide = min(numbers) > 0 and max(numbers) / min(numbers) >= _DECADES
        shown = [None if v is None else float(str(v)) for v in values]
        return Axis(key, shown, logarithmic=wide)
    texts = [None if value is None else str(value) for value in values]
    return Axis(key, texts, tuple(sorted({text for text in texts if text is not None})))


def _rungs(result: SweepResult, measure: Measure) -> Html | None:
    if not result.plan.rungs:
        return None
    heads: Heads = [
        "Rung",
        num("Trials"),
        num("Went on"),
        num("Best"),
        num("Worst that went on"),
        num("Same order as the next rung"),
    ]
    rows: list[list[Content]] = [
        [
            f"bracket {rung.bracket}: {percent(rung.share, 0)} of the {rung.resource}",
            count(rung.trials),
            count(rung.kept),
            measure.text(result.metric, rung.best),
            measure.text(result.metric, rung.cut),
            number(rung.agreement, 2),
        ]
        for rung in result.plan.rungs
    ]
    caption = "How trials were sifted (rank correlation: 1 the same order, 0 none)"
    return table(heads, rows, caption=caption)


def _assumptions(result: SweepResult) -> Html | None:
    found = result.findings.assumptions
    if not found:
        return None
    rows: list[list[Content]] = [
        [capital(item.name), badge(item.verdict), sentence(capital(item.finding))] for item in found
    ]
    heads: Heads = ["Assumption", "Verdict", prose("What was seen")]
    return table(heads, rows, caption="Assumptions of the technique")


def _next(result: SweepResult) -> Html | None:
    found = result.findings.next_steps
    if not found:
        return None
    return join([paragraph("What to try next:"), bullets(sentence(text) for text in found)])
