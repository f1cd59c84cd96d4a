"""What is left to the library: computed its own way, failing values only where it counted some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from great_expectations.exceptions import MetricResolutionError

QUERY_ROWS = "unexpected_rows_query.table"
_QUERY_COUNT = "unexpected_rows_query.row_count"


class Library:
    """The library's own way to compute metrics.

    Args:
        engine: The engine.
        configuration: Run-time configuration of the library.
        answers: Takes values by metric id.
        failures: Takes errors by metric id.
    """

    def __init__(
        self,
        engine: Any,
        configuration: dict[str, Any] | None,
        answers: dict[Any, Any],
        failures: dict[Any, MetricResolutionError],
    ) -> None:
        self.engine = engine
        self.configuration = configuration
        self.answers = answers
        self.failures = failures

    def compute(self, metrics: Sequence[Any], known: Mapping[Any, Any]) -> None:
        """Let the library compute metrics; where one of them fails, each by itself."""
        bundled = [one for one in metrics if "metric_partial_fn" in one.metric_dependencies]
        single = [[one] for one in metrics if one not in bundled]
        for group in ([bundled] if bundled else []) + single:
            try:
                given = {**known, **self.answers}
                self.answers |= self.engine.stock(group, given, self.configuration)
            except MetricResolutionError as error:
                if len(group) == 1:
                    self.failures[group[0].id] = error
                    continue
                for one in group:
                    self.compute([one], known)

    def show(self, metrics: Sequence[Any], known: Mapping[Any, Any]) -> None:
        """Let the library look for failing values where it has counted some."""
        for metric in metrics:
            if self._counted(metric, {**known, **self.answers}) == 0:
                self.answers[metric.id] = nothing_shown(metric)
            else:
                self.compute([metric], known)

    def _counted(self, metric: Any, known: Mapping[Any, Any]) -> Any:
        """Return what the library counted for the same condition."""
        name = str(metric.metric_name)
        if name == QUERY_ROWS:
            counter, about = _QUERY_COUNT, metric.id
        else:
            counter = f"{name.rpartition('.')[0]}.unexpected_count"
            about = metric.metric_dependencies["unexpected_condition"].id
        # Ids are the name, the rows it is about, and the arguments.
        return known.get(type(about)(counter, *about[1:]))


def nothing_shown(metric: Any) -> Any:
    """Return what the library shows where no row fails."""
    if not metric.metric_name.endswith(".unexpected_index_list"):
        return []
    asked = metric.metric_value_kwargs["result_format"]
    return [] if asked.get("unexpected_index_column_names") else None
