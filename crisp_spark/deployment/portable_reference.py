"""What training rows looked like, kept in the bundle: what live input is held against."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F
from pyspark.sql import types as T

from crisp_spark.spec.columns import quoted

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_SHARES = tuple(n / 20 for n in range(21))
_MOST_VALUES = 50
_ACCURACY = 10_000


def reference_statistics(train: DataFrame, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Describe columns: rows and nulls, then ends, moments and twentieths, or the commonest values.

    NaN and the infinities count as missing. Dates and times have no more than rows and nulls.

    Rows: all. Adds: nothing. Drops: nothing. Jobs: two.
    """
    kinds = {f.name: f.dataType for f in train.schema.fields if f.name in names}
    numbers = [name for name, kind in kinds.items() if isinstance(kind, T.NumericType)]
    texts = [n for n, kind in kinds.items() if isinstance(kind, T.StringType | T.BooleanType)]
    asked: list[Column] = [F.count(F.lit(1)).alias("rows")]
    for at, name in enumerate(kinds):
        asked += _asked(at, name, is_number=name in numbers)
    row = train.agg(*asked).collect()[0].asDict()
    found: dict[str, dict[str, Any]] = {}
    for at, name in enumerate(kinds):
        found[name] = {"rows": row["rows"], "missing": row[f"{at}_missing"]}
        if name in numbers:
            for part in ("min", "max", "mean", "std", "quantiles"):
                found[name][part] = _plain(row[f"{at}_{part}"])
    for name, values in _commonest(train, texts).items():
        found[name]["values"] = values
        found[name]["other"] = row["rows"] - found[name]["missing"] - sum(values.values())
    return found


def _asked(at: int, name: str, *, is_number: bool) -> list[Column]:
    column = F.col(quoted(name))
    if not is_number:
        return [F.count_if(column.isNull()).alias(f"{at}_missing")]
    double = column.cast("double")
    value = F.when(~F.isnan(double) & (F.abs(double) != math.inf), double)
    return [
        F.count_if(value.isNull()).alias(f"{at}_missing"),
        F.min(value).alias(f"{at}_min"),
        F.max(value).alias(f"{at}_max"),
        F.avg(value).alias(f"{at}_mean"),
        F.stddev_samp(value).alias(f"{at}_std"),
        F.percentile_approx(value, list(_SHARES), _ACCURACY).alias(f"{at}_quantiles"),
    ]


def _plain(value: Any) -> Any:
    """JSON has no NaN: what cannot be said is null."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if value is None or not math.isfinite(value) else value


def _commonest(train: DataFrame, names: Sequence[str]) -> dict[str, dict[str, int]]:
    if not names:
        return {}
    cells = F.array(
        *(
            F.struct(F.lit(name).alias("name"), F.col(quoted(name)).cast("string").alias("value"))
            for name in names
        )
    )
    counted = train.select(F.inline(cells)).where("value IS NOT NULL").groupBy("name", "value")
    ranked = counted.count().selectExpr(
        "name",
        "value",
        "count",
        "row_number() OVER (PARTITION BY name ORDER BY count DESC, value) AS place",
    )
    found: dict[str, dict[str, int]] = {name: {} for name in names}
    for row in ranked.where(f"place <= {_MOST_VALUES}").orderBy("name", "place").collect():
        found[row["name"]][row["value"]] = row["count"]
    return found
