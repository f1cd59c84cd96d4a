"""Charts of the profile: target, predictive power, associations, missing values, time."""

from __future__ import annotations

from datetime import datetime, timedelta

from crisp_spark.reporting.charts import Chart, columns, heat_map, horizontal_bars
from crisp_spark.reporting.numbers import count, fixed, percent, plural
from crisp_spark.reporting.words import plain_value
from crisp_spark.results.profile import Association, TableProfile, TargetProfile, TimeCoverage

_MOST_BARS = 15
_MOST_IN_MAP = 16
_NEARLY_PERFECT = 0.9
_MOST_PERIODS = 120
_MOST_FILLED = 50_000


def target_chart(source: TableProfile, target: TargetProfile) -> Chart | None:
    """Rows per class, or the histogram of a numeric target."""
    if not target.classes:
        return None
    labels = [plain_value(item.value) for item in target.classes[:_MOST_BARS]]
    first, last = target.classes[0], target.classes[-1]
    finding = (
        f"“{plain_value(first.value)}” makes up {percent(first.share)} of the known rows, "
        f"“{plain_value(last.value)}” {percent(last.share)}."
    )
    return horizontal_bars(
        f"Classes of {target.name} in {source.name}",
        finding,
        labels,
        [item.rows for item in target.classes[:_MOST_BARS]],
        value_label="rows",
        fmt=count,
        notes=[f"({percent(item.share)})" for item in target.classes[:_MOST_BARS]],
    )


def power_ranking(source: TableProfile) -> Chart | None:
    """What each column alone can tell about the target, strongest first."""
    if not source.power:
        return None
    shown = source.power[:_MOST_BARS]
    suspects = {suspect.column for suspect in source.suspects}
    top = next((power for power in shown if power.column not in suspects), shown[0])
    finding = (
        f"Beside the suspects, {top.column} tells most: {fixed(top.power, 2)} on a scale from 0 "
        "(chance) to 1 (certainty)."
    )
    if not suspects:
        finding = finding.replace("Beside the suspects, ", "Alone, ")
    return horizontal_bars(
        "Predictive power of single columns",
        finding,
        [power.column for power in shown],
        [power.power for power in shown],
        value_label="power",
        fmt=lambda value: fixed(value, 2),
        highlight=[power.column in suspects for power in shown],
        notes=["leakage suspect" if power.column in suspects else "" for power in shown],
        limit=_NEARLY_PERFECT if shown[0].power >= _NEARLY_PERFECT else None,
        limit_label="nearly certain",
    )


def association_map(source: TableProfile) -> Chart | None:
    """Association of columns with each other, over mixed types."""
    if len(source.associations) < 2:  # noqa: PLR2004 - one pair needs no map
        return None
    strongest: dict[frozenset[str], Association] = {}
    for pair in source.associations:
        key = frozenset((pair.left, pair.right))
        if key not in strongest or abs(pair.value) > abs(strongest[key].value):
            strongest[key] = pair
    weight: dict[str, float] = {}
    for pair in strongest.values():
        for column in (pair.left, pair.right):
            weight[column] = max(weight.get(column, 0.0), abs(pair.value))
    chosen = {
        column
        for column, _ in sorted(weight.items(), key=lambda item: (-item[1], item[0]))[:_MOST_IN_MAP]
    }
    order = [column.name for column in source.columns if column.name in chosen]
    values: list[list[float | None]] = []
    for row in order:
        pairs = [strongest.get(frozenset((row, column))) for column in order]
        values.append(
            [
                1.0 if row == column else (pair.value if pair else None)
                for column, pair in zip(order, pairs, strict=True)
            ]
        )
    top = max(strongest.values(), key=lambda pair: abs(pair.value))
    finding = (
        f"{top.left} and {top.right} go together most ({fixed(top.value, 2)}). Shown is the "
        "strongest of Pearson, Spearman, Cramér's V and correlation ratio; weak pairs are empty."
    )
    return heat_map(f"Associations in {source.name}", finding, order, order, values)


def missing_bars(source: TableProfile) -> Chart | None:
    """Share of missing values per column, largest first."""
    holed = sorted(
        (column for column in source.columns if column.missing),
        key=lambda column: -column.missing_share,
    )
    if not holed:
        return None
    top = holed[0]
    finding = (
        f"{plural(len(holed), 'column')} of {len(source.columns)} "
        f"{'has' if len(holed) == 1 else 'have'} missing values, {top.name} most of all "
        f"({percent(top.missing_share)})."
    )
    return horizontal_bars(
        f"Missing values in {source.name}",
        finding,
        [column.name for column in holed[:_MOST_BARS]],
        [column.missing_share for column in holed[:_MOST_BARS]],
        value_label="missing",
        fmt=percent,
        notes=[f"({count(column.missing)})" for column in holed[:_MOST_BARS]],
        limit=1.0 if top.missing_share > 0.5 else None,  # noqa: PLR2004 - then 100 % gives scale
        limit_label="100 %",
    )


def coverage(source: TableProfile, time: TimeCoverage) -> Chart | None:
    """Rows per period of time; periods without rows keep their place."""
    if not time.periods:
        return None
    gaps = (
        f"{plural(time.missing_periods, time.unit)} without rows."
        if time.missing_periods
        else f"No {time.unit} is without rows."
    )
    finding = f"From {time.first} to {time.last}. {gaps}"
    periods = _every_period(time)
    together = -(-len(periods) // _MOST_PERIODS)
    grouped = [periods[at : at + together] for at in range(0, len(periods), together)]
    unit = time.unit if together == 1 else f"{together} {time.unit}s"
    return columns(
        f"Rows of {source.name} by {unit} of {time.column}",
        finding,
        [group[0][0] for group in grouped],
        [sum(rows for _, rows in group) for group in grouped],
    )


def _every_period(time: TimeCoverage) -> list[tuple[str, int]]:
    """Periods in order, with those without rows put in where the calendar can be followed."""
    known = [(period.start, period.rows) for period in time.periods]
    try:
        return _filled(known, time.unit)
    except (ValueError, OverflowError):
        return known


def _filled(known: list[tuple[str, int]], unit: str) -> list[tuple[str, int]]:
    length = len(known[0][0])
    filled: list[tuple[str, int]] = []
    for text, rows in known:
        start = _start(text, unit)
        while filled and len(filled) < _MOST_FILLED:
            following = _next(_start(filled[-1][0], unit), unit)
            if following >= start:
                break
            filled.append((following.isoformat(sep=" ")[:length], 0))
        filled.append((text, rows))
    return filled


def _start(text: str, unit: str) -> datetime:
    padded = {"year": f"{text[:4]}-01-01", "month": f"{text[:7]}-01"}.get(unit, text)
    return datetime.fromisoformat(padded).replace(tzinfo=None)


def _next(start: datetime, unit: str) -> datetime:
    if unit == "hour":
        return start + timedelta(hours=1)
    if unit == "day":
        return start + timedelta(days=1)
    if unit == "year":
        return start.replace(year=start.year + 1)
    over = start.replace(day=1) + timedelta(days=32)
    return over.replace(day=1)
