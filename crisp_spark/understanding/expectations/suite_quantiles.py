"""Quantiles and medians of a suite."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as T

from crisp_spark.spec.columns import quoted
from crisp_spark.understanding.expectations.suite_metrics import Domain
from crisp_spark.understanding.passes_quantiles import Ask, rank_of, values_at_ranks

_QUANTILES = "column.quantile_values"
_MEDIAN = "column.median"


class QuantileWork:
    """Exact quantiles; approximate ones are the library's to do."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.asks: list[tuple[Any, Domain, Column]] = []
        self.sizes: dict[str, int] = {}

    @property
    def metrics(self) -> list[Any]:
        """All metrics taken."""
        return [metric for metric, _, _ in self.asks]

    def take(self, metric: Any, domain: Callable[[Mapping[str, Any]], Domain]) -> bool:
        """Take a metric, if it is one of these."""
        if metric.metric_name not in (_QUANTILES, _MEDIAN):
            return False
        if metric.metric_value_kwargs.get("allow_relative_error"):
            return False
        name = metric.metric_domain_kwargs["column"]
        rows = domain(metric.metric_domain_kwargs)
        schema = self.engine.get_domain_records({"batch_id": rows.batch}).schema
        # The library takes a dot for a path.
        if "." in name or "`" in name or name not in schema.names:
            return False
        if not isinstance(schema[name].dataType, T.NumericType):
            return False
        value = F.col(quoted(name)).cast("double")
        known = F.when(~F.isnan(value), value)
        self.asks.append((metric, rows, rows.only(known)))
        return True

    def counts(self, batch: Any) -> dict[str, Column]:
        """Aggregates that are needed first."""
        return {
            f"quantile {at}": F.count(value)
            for at, (_, rows, value) in enumerate(self.asks)
            if rows.batch == batch
        }

    def counted(self, values: Mapping[str, Any]) -> None:
        """Read what was counted."""
        self.sizes |= {
            name: value for name, value in values.items() if name.startswith("quantile ")
        }

    def run(self, counted: Mapping[str, int]) -> tuple[dict[Any, Any], list[Any]]:
        """Compute the quantiles; return values and the metrics that the library has to compute."""
        answers: dict[Any, Any] = {}
        rest: list[Any] = []
        for batch in {rows.batch for _, rows, _ in self.asks}:
            own = [at for at, (_, rows, _) in enumerate(self.asks) if rows.batch == batch]
            some = [at for at in own if self.sizes.get(f"quantile {at}")]
            whole = f"batch {batch}"
            asks = [
                Ask(self.asks[at][2], self.sizes[f"quantile {at}"], self._ranks(at, counted))
                for at in some
            ]
            frame = self.engine.get_domain_records({"batch_id": batch})
            rows = counted.get(whole) or frame.count()
            found = dict(zip(some, values_at_ranks(frame, asks, rows) if asks else [], strict=True))
            for at in own:
                metric = self.asks[at][0]
                if f"quantile {at}" not in self.sizes or found.get(at, {}) is None:
                    rest.append(metric)
                    continue
                answers[metric.id] = self._answer(at, counted, found.get(at) or {})
        return answers, rest

    def _chances(self, at: int, counted: Mapping[str, int]) -> Sequence[float]:
        metric, rows, _ = self.asks[at]
        if metric.metric_name == _QUANTILES:
            return [float(chance) for chance in metric.metric_value_kwargs["quantiles"]]
        # The two middle values, as the library finds them.
        return [0.5, 0.5 + 1 / (2 + 2 * counted[rows.id])]

    def _ranks(self, at: int, counted: Mapping[str, int]) -> tuple[int, ...]:
        count = self.sizes[f"quantile {at}"]
        return tuple(rank_of(chance, count) for chance in self._chances(at, counted))

    def _answer(self, at: int, counted: Mapping[str, int], found: Mapping[int, float]) -> Any:
        chances = self._chances(at, counted)
        median = self.asks[at][0].metric_name == _MEDIAN
        if not found:
            return float("nan") if median else [None] * len(chances)
        values = [found[rank] for rank in self._ranks(at, counted)]
        return float(np.mean(values)) if median else values
