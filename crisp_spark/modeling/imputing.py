"""Fitted imputation by mean, median, mode, constant or group."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from crisp_spark.errors import DataError, SpecError
from crisp_spark.modeling.fitting import Feature, Fitting, looked_up, missing_count
from crisp_spark.modeling.statements import number, text
from crisp_spark.modeling.statistics import (
    NULL_KEY,
    Requests,
    Statistics,
    category_of,
    group_key_sql,
    key_sql,
    median_sql,
)

if TYPE_CHECKING:
    from crisp_spark.spec.features import Impute

Apply = Callable[[Statistics], None]
"""Second half of an operation: what it does once the statistics are there."""


def plan_impute(fitting: Fitting, op: Impute, chosen: list[Feature], requests: Requests) -> Apply:
    """Plan an imputation by mean, median, mode, constant or group."""
    fills = [_plan_fill(fitting, op, feature, requests) for feature in chosen]
    for feature in chosen:
        requests.scalar(missing_count(feature))

    def apply(statistics: Statistics) -> None:
        for feature, fill in zip(chosen, fills, strict=True):
            missing = int(statistics.number(missing_count(feature)) or 0)
            with_indicator = op.indicator is True or (op.indicator == "auto" and missing > 0)
            fill_missing(fitting, feature, fill(statistics), f"impute({op.method})")
            if with_indicator:
                add_indicator(fitting, feature)

    return apply


def _plan_fill(
    fitting: Fitting, op: Impute, feature: Feature, requests: Requests
) -> Callable[[Statistics], str]:
    """Ask for what is needed, and return how the SQL of the fill value follows from it."""
    if op.method == "constant":
        return lambda _: _constant(op, feature)
    if feature.kind == "categorical" and op.method != "mode":
        raise SpecError(
            f"preparation.features.impute: {feature.name!r} holds categories, "
            f"method 'mode' or 'constant' is needed, got {op.method!r}"
        )
    if op.method == "mode":
        key = fitting.define(key_sql(feature.sql), letter="k")
        requests.count(key)
        return lambda statistics: _most_frequent(statistics, key, feature)
    fitting.require(feature, "impute", ("numeric", "flag"))
    if op.method == "group":
        return _plan_group_fill(fitting, op, feature, requests)
    overall = requests.scalar(_middle(op.method, feature.sql))
    return lambda statistics: number(known(statistics.number(overall), feature))


def _middle(statistic: str, sql: str) -> str:
    return f"avg({sql})" if statistic == "mean" else median_sql(sql)


def _plan_group_fill(
    fitting: Fitting, op: Impute, feature: Feature, requests: Requests
) -> Callable[[Statistics], str]:
    by = [fitting.raw_sql(name, "preparation.features.impute.by") for name in op.by]
    key = fitting.define(group_key_sql(by), letter="k")
    sql = _middle(op.statistic, feature.sql)
    overall = requests.scalar(sql)
    requests.group(key, sql)

    def fill(statistics: Statistics) -> str:
        found = statistics.groups[key]
        labels = sorted(found)
        (index,) = fitting.index([key], [labels])
        values = [found[label][sql] for label in labels]
        default = known(statistics.number(overall), feature)
        # A group without any value takes what all rows have.
        plain = [default if value is None else float(value) for value in values]
        return looked_up(index, plain, default)

    return fill


def known(value: float | None, feature: Feature) -> float:
    """Return a statistic, or refuse a feature that has none.

    Raises:
        DataError: All training rows are missing.
    """
    if value is None or not math.isfinite(value):
        raise DataError(
            f"preparation.features.impute: {feature.name!r} has no value in the training rows",
            hint="exclude the column, or impute a constant",
        )
    return value


def _constant(op: Impute, feature: Feature) -> str:
    if feature.kind == "categorical":
        return text(str(op.value))
    if isinstance(op.value, str) or op.value is None:
        raise SpecError(
            f"preparation.features.impute: {feature.name!r} holds numbers, got value {op.value!r}"
        )
    return number(op.value)


def _most_frequent(statistics: Statistics, key: str, feature: Feature) -> str:
    for item in statistics.categories[key].items:
        if item.key != NULL_KEY:
            value = category_of(item.key) or ""
            return text(value) if feature.kind == "categorical" else number(float(value))
    raise DataError(
        f"preparation.features.impute: {feature.name!r} has no value in the training rows",
        hint="exclude the column, or impute a constant",
    )


def fill_missing(fitting: Fitting, feature: Feature, fill: str, transform: str) -> None:
    """Replace missing values of a feature by a SQL value."""
    column = fitting.define(f"coalesce({feature.sql}, {fill})")
    fitting.put(feature.then(transform, column, complete=True))


def add_indicator(fitting: Fitting, feature: Feature) -> None:
    """Add a feature that says where ``feature`` (as it was given) is missing."""
    name = fitting.free_name(f"{feature.name}__missing")
    column = fitting.define(f"CAST({feature.sql} IS NULL AS DOUBLE)")
    flag = feature.then("is missing", column, name=name, kind="flag", complete=True)
    fitting.insert_after(feature.name, flag)
