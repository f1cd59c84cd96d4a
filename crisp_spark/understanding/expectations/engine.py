"""An execution engine for Great Expectations that plans a whole suite before it reads a row.

For users of plain Great Expectations it takes one line::

    import crisp_spark.understanding.expectations.engine

    source = context.data_sources.add_crisp_spark("orders")

Everything else stays as it is: assets, suites, checkpoints, actions, stores, Data Docs. The
conditions of expectations are the library's own; only how they are computed differs. What this
engine does not know is handed to the library's own Spark engine, metric by metric.

The library asks for metrics wave by wave, and asks again for those that it has not been given.
So this engine first answers only what costs nothing (columns, types, conditions), holds all
values back until nothing else is left, and then computes them together.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from great_expectations.datasource.fluent import SparkDatasource
from great_expectations.exceptions import MetricResolutionError
from great_expectations.execution_engine import SparkDFExecutionEngine
from great_expectations.expectations.core import ExpectColumnQuantileValuesToBeBetween

from crisp_spark.understanding.expectations.suite import resolve_values
from crisp_spark.understanding.expectations.suite_metrics import (
    ROW_COUNT,
    Late,
    costs_nothing,
    is_own,
)

_LOG = logging.getLogger(__name__)


class CrispSparkExecutionEngine(SparkDFExecutionEngine):  # type: ignore[misc]
    """Great Expectations' Spark engine with one plan for a whole suite.

    Verdicts, observed values and counts equal those of ``SparkDFExecutionEngine``; which failing
    values are shown may differ, their number does not. Nothing is cached unless ``persist=True``.

    Args:
        persist: Cache the data before it is judged. It costs more than it brings where the suite
            is resolved in few passes.
        **kwargs: As of ``SparkDFExecutionEngine``.
    """

    def __init__(self, *args: Any, persist: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, persist=persist, **kwargs)
        self._graph: Mapping[Any, Any] | None = None
        self._answers: dict[Any, Any] = {}
        self._failures: dict[Any, MetricResolutionError] = {}

    def resolve_metrics(
        self,
        metrics_to_resolve: Iterable[Any],
        metrics: dict[Any, Any] | None = None,
        runtime_configuration: dict[str, Any] | None = None,
    ) -> dict[Any, Any]:
        """Compute metrics; those that a later wave can share a pass with are held back.

        Args:
            metrics_to_resolve: Metrics to compute.
            metrics: Metrics that are known.
            runtime_configuration: As the library passes it on.

        Returns:
            Values by metric id. Metrics that are not among them are asked for again.
        """
        if not isinstance(metrics_to_resolve, set) or metrics is None:
            # Not the graph of a validation: the caller does not ask twice.
            return dict(super().resolve_metrics(metrics_to_resolve, metrics, runtime_configuration))
        if self._graph is not metrics:
            self._graph, self._answers, self._failures = metrics, {}, {}
        late = {id_: value.metric for id_, value in metrics.items() if isinstance(value, Late)}
        free = [metric for metric in metrics_to_resolve if costs_nothing(metric)]
        if free and (not late or all(is_own(metric, self) for metric in free)):
            self._free(free, metrics, runtime_configuration)
            return self._given(free)
        values = [] if free else list(metrics_to_resolve)
        waiting = [metric for metric in (*late.values(), *values) if self._is_open(metric)]
        if waiting:
            answers, failures = resolve_values(self, waiting, metrics, runtime_configuration)
            self._answers |= answers
            self._failures |= failures
            for id_ in failures.keys() & late.keys():
                # Asked for again, so that the failure is told as any other.
                del metrics[id_]
        return self._given([*late.values(), *values])

    def stock(
        self,
        metrics: Sequence[Any],
        known: Mapping[Any, Any],
        runtime_configuration: dict[str, Any] | None,
    ) -> dict[Any, Any]:
        """Compute metrics the library's own way.

        Raises:
            MetricResolutionError: One of them fails.
        """
        return dict(super().resolve_metrics(metrics, dict(known), runtime_configuration))

    def _is_open(self, metric: Any) -> bool:
        known = metric.id in self._failures or metric.id in self._answers
        return not known or isinstance(self._answers.get(metric.id), Late)

    def _free(
        self, free: Sequence[Any], known: Mapping[Any, Any], configuration: dict[str, Any] | None
    ) -> None:
        for metric in free:
            if not self._is_open(metric):
                continue
            try:
                if metric.metric_name == ROW_COUNT:
                    # An invalid condition is told at once.
                    self.get_domain_records(metric.metric_domain_kwargs)
                    self._answers[metric.id] = Late(metric)
                else:
                    self._answers |= self.stock([metric], known, configuration)
            except MetricResolutionError as error:
                self._failures[metric.id] = error
            except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to this metric
                self._failures[metric.id] = MetricResolutionError(
                    message=str(error), failed_metrics=(metric,)
                )

    def _given(self, asked: Sequence[Any]) -> dict[Any, Any]:
        """Hand out what is known; of failed metrics the first is told, the next when asked again.

        Raises:
            MetricResolutionError: One of the metrics failed.
        """
        for metric in asked:
            if metric.id in self._failures:
                raise self._failures[metric.id]
        return {metric.id: self._answers[metric.id] for metric in asked}


class CrispSparkDatasource(SparkDatasource):  # type: ignore[misc]
    """A Spark data source whose suites are planned as a whole.

    Importing this module adds ``context.data_sources.add_crisp_spark(name)`` and its siblings
    ``update_``, ``add_or_update_`` and ``delete_``.
    """

    type: Literal["crisp_spark"] = "crisp_spark"
    persist: bool = False

    @property
    def execution_engine_type(self) -> Any:
        """The engine that judges suites of this source."""
        return CrispSparkExecutionEngine


def _keep_truth_storable() -> None:
    """Give the verdict on quantiles as a plain truth value.

    The library's is NumPy's, which its own stores cannot write: the run would be lost after all
    work is done.
    """
    stock = ExpectColumnQuantileValuesToBeBetween._validate  # noqa: SLF001

    def _validate(self: Any, *args: Any, **kwargs: Any) -> Any:
        found = stock(self, *args, **kwargs)
        if isinstance(found, dict) and isinstance(found.get("success"), np.bool_):
            found["success"] = bool(found["success"])
        return found

    ExpectColumnQuantileValuesToBeBetween._validate = _validate  # noqa: SLF001


_keep_truth_storable()
