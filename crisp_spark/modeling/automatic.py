"""What happens to features that no operation took care of; everything is recorded as automatic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from crisp_spark.modeling.encoding import encode
from crisp_spark.modeling.imputing import add_indicator, fill_missing
from crisp_spark.modeling.statements import number
from crisp_spark.modeling.statistics import Requests, Statistics, key_sql, median_sql
from crisp_spark.spec.features import Encode

if TYPE_CHECKING:
    from crisp_spark.modeling.fitting import Feature, Fitting

ONE_HOT_LIMIT = 32
"""Up to this many categories become one-hot."""
_MOST_CLASSES = 10
"""With more classes than this, one target encoding per class would be too many features."""
_IDENTIFIER_SHARE = 0.5
_IDENTIFIER_ROWS = 100


def complete_features(fitting: Fitting, chosen: Sequence[Feature], *, last: bool = False) -> None:
    """Fill numbers by the median (with an indicator) and encode categories.

    Args:
        fitting: Features under way.
        chosen: Features to complete; those that are complete already stay as they are.
        last: Whether this is the last look: constants are dropped, missing values counted.

    Jobs: one for all numbers, one for all categories.
    """
    requests = Requests()
    scalars = [f for f in chosen if f.kind in ("numeric", "flag") and not f.complete]
    texts = [f for f in chosen if f.kind == "categorical"]
    for feature in scalars:
        for sql in _asked(feature):
            requests.scalar(sql)
    if last:
        for sql, may_be_nan in fitting.intake.values():
            requests.scalar(_missing(sql))
            if may_be_nan:
                requests.scalar(_not_numbers(sql))
    keys = [fitting.define(key_sql(feature.sql), letter="k") for feature in texts]
    for key in keys:
        requests.count(key)
    if not (requests.scalars or requests.categories):
        return
    statistics = fitting.measure(requests)
    for feature in scalars:
        _complete_number(fitting, feature, statistics, last=last)
    _encode_texts(fitting, texts, keys, statistics)
    if last:
        _count_missing(fitting, statistics)


def _asked(feature: Feature) -> tuple[str, ...]:
    x = feature.sql
    return f"min({x})", f"max({x})", f"count_if({x} IS NULL)", median_sql(x)


def _missing(sql: str) -> str:
    return f"count_if({sql} IS NULL)"


def _not_numbers(sql: str) -> str:
    return f"count_if(isnan({sql}) OR abs({sql}) = double('infinity'))"


def _complete_number(
    fitting: Fitting, feature: Feature, statistics: Statistics, *, last: bool
) -> None:
    low, high, missing, middle = (statistics.number(sql) for sql in _asked(feature))
    if low is None:
        fitting.drop(feature.name, "no value in the training rows")
        return
    if last and low == high and not missing:
        fitting.drop(feature.name, "constant on the training rows")
        return
    fill_missing(fitting, feature, number(middle), "impute(median)")
    if missing:
        add_indicator(fitting, feature)
        name = _after(fitting, feature.name)
        fitting.put(replace(fitting.features[name], automatic=True))
        fitting.put(replace(fitting.features[feature.name], automatic=True))
    else:
        # Nothing was missing in training; the fill only keeps scoring from failing.
        plain = fitting.features[feature.name]
        fitting.put(replace(plain, transforms=feature.transforms))


def _after(fitting: Fitting, name: str) -> str:
    names = list(fitting.features)
    return names[names.index(name) + 1]


def _encode_texts(
    fitting: Fitting, texts: Sequence[Feature], keys: Sequence[str], statistics: Statistics
) -> None:
    groups: dict[str, list[tuple[Feature, str]]] = {}
    for feature, key in zip(texts, keys, strict=True):
        found = statistics.categories[key]
        if found.distinct <= 1:
            fitting.drop(feature.name, "constant on the training rows")
        elif found.distinct > max(_IDENTIFIER_ROWS, _IDENTIFIER_SHARE * found.rows):
            fitting.drop(
                feature.name,
                f"looks like an identifier: {found.distinct} values in {found.rows} rows",
            )
        else:
            groups.setdefault(_method(fitting, found.distinct), []).append((feature, key))
    for method in ("one_hot", "target", "frequency"):
        members = groups.get(method, [])
        if members:
            op = Encode(op="encode", columns=tuple(f.name for f, _ in members), method=method)
            encode(fitting, op, [(f, key, statistics.categories[key]) for f, key in members])
            bases = {feature.base for feature, _ in members}
            for name, feature in list(fitting.features.items()):
                if (
                    feature.base in bases
                    and feature.transforms[-1:]
                    and "encode" in feature.transforms[-1]
                ):
                    fitting.features[name] = replace(feature, automatic=True)


def _method(fitting: Fitting, distinct: int) -> Literal["one_hot", "target", "frequency"]:
    if distinct <= ONE_HOT_LIMIT:
        return "one_hot"
    context = fitting.context
    usable = bool(context.targets.sqls) and len(context.targets.sqls) <= _MOST_CLASSES
    return "target" if usable else "frequency"


def _count_missing(fitting: Fitting, statistics: Statistics) -> None:
    for name, feature in list(fitting.features.items()):
        if feature.base not in fitting.intake:
            continue
        sql, may_be_nan = fitting.intake[feature.base]
        nulls = int(statistics.number(_missing(sql)) or 0)
        odd = int(statistics.number(_not_numbers(sql)) or 0) if may_be_nan else 0
        fitting.features[name] = replace(feature, missing=nulls, not_numbers=odd)
