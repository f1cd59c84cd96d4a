"""Compute the metrics of a suite in few passes; what is not known here is the library's to do."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from great_expectations.exceptions import MetricResolutionError
from great_expectations.util import convert_to_json_serializable
from pyspark.sql import Column
from pyspark.sql import functions as F

from crisp_spark.understanding.expectations.suite_keys import KeyWork
from crisp_spark.understanding.expectations.suite_library import (
    QUERY_ROWS,
    Library,
    nothing_shown,
)
from crisp_spark.understanding.expectations.suite_metrics import (
    AGGREGATES,
    ROW_COUNT,
    UNIQUE,
    Domain,
    can_be_fused,
    domain_of,
    is_own,
    runs_python,
)
from crisp_spark.understanding.expectations.suite_quantiles import QuantileWork
from crisp_spark.understanding.expectations.suite_samples import Broken, sample
from crisp_spark.understanding.passes_fused import rows_where, run_fused
from crisp_spark.understanding.side_by_side import side_by_side

_LOG = logging.getLogger(__name__)
_SHOWN = (".unexpected_values", ".unexpected_rows", ".unexpected_index_list")


def resolve_values(
    engine: Any,
    asked: Sequence[Any],
    known: Mapping[Any, Any],
    configuration: dict[str, Any] | None,
) -> tuple[dict[Any, Any], dict[Any, MetricResolutionError]]:
    """Compute metrics together.

    Args:
        engine: The engine.
        asked: The metrics.
        known: Metrics known before.
        configuration: Run-time configuration of the library.

    Returns:
        Values and failures, by metric id.

    Rows: none. Adds: nothing. Drops: nothing. Jobs: one pass for all that judges rows by
    themselves; then side by side one query for keys, up to three passes for quantiles, up to two
    for failing values; the library's own for the rest.
    """
    work = _Work(engine, known, configuration)
    work.sort(asked)
    work.run()
    return work.answers, work.failures


@dataclass(frozen=True, eq=False)
class _Rule:
    """A condition of the library, and the metrics that are asked about it."""

    condition: Column
    domain: Domain
    accessor: Mapping[str, Any]
    by_column: bool
    python: bool
    counts: list[Any] = field(default_factory=list)
    domains: list[Any] = field(default_factory=list)
    shown: list[Any] = field(default_factory=list)


class _Work:
    def __init__(
        self, engine: Any, known: Mapping[Any, Any], configuration: dict[str, Any] | None
    ) -> None:
        self.engine = engine
        self.known = known
        self.configuration = configuration
        self.answers: dict[Any, Any] = {}
        self.failures: dict[Any, MetricResolutionError] = {}
        self.rules: dict[Any, _Rule] = {}
        self.domains: dict[str, Domain] = {}
        self.row_counts: list[tuple[Any, Domain]] = []
        self.aggregates: list[tuple[Any, Column, Domain]] = []
        self.keys = KeyWork(engine)
        self.quantiles = QuantileWork(engine)
        self.later: list[Any] = []  # shown only where the library counts failures
        self.rest: list[Any] = []

    # Sorting.

    def sort(self, asked: Sequence[Any]) -> None:
        """Say how each metric is computed."""
        # The library asks in any order; in the same order Spark knows its code again.
        for metric in sorted(asked, key=lambda metric: str(metric.id)):
            try:
                taken = self._take(metric)
            except Exception:  # noqa: BLE001 - the library tells what is wrong with it
                _LOG.debug("handed to the library: %s", metric.metric_name, exc_info=True)
                taken = False
            if not taken:
                self.rest.append(metric)

    def _take(self, metric: Any) -> bool:
        name = str(metric.metric_name)
        needs = metric.metric_dependencies
        if name == ROW_COUNT:
            self.row_counts.append((metric, self._domain(metric.metric_domain_kwargs)))
            return True
        condition = needs.get("unexpected_condition")
        if condition is None and name.endswith(".unexpected_count"):
            # The count of a column is an aggregate that hangs on the condition.
            partial = needs.get("metric_partial_fn")
            condition = partial and partial.metric_dependencies.get("unexpected_condition")
        if condition is not None:
            return self._take_rule(metric, name, condition)
        if name == QUERY_ROWS:
            self.later.append(metric)
            return True
        if not is_own(metric, self.engine):
            return False
        if name in AGGREGATES:
            column, kwargs, accessor = self.known[needs["metric_partial_fn"].id]
            domain = self._domain(kwargs)
            if domain.where is not None:
                column = self._conditional(metric, domain, accessor)
            self.aggregates.append((metric, column, domain))
            return True
        return self.keys.take(metric, self.known, self._domain) or self.quantiles.take(
            metric, self._domain
        )

    def _take_rule(self, metric: Any, name: str, condition: Any) -> bool:
        shown = name.endswith(_SHOWN)
        if not name.endswith((".unexpected_count", ".filtered_row_count")) and not shown:
            return False
        if condition.metric_name in UNIQUE:
            return self.keys.take_unique(metric, condition, self.known[condition.id], self._domain)
        if not can_be_fused(condition, self.engine):
            if shown and is_own(metric, self.engine):
                self.later.append(metric)
                return True
            return False
        rule = self.rules.get(condition.id)
        if rule is None:
            column, kwargs, accessor = self.known[condition.id]
            by_column = "column" in accessor
            domain = self._domain(kwargs if by_column else {**kwargs, **accessor})
            rule = _Rule(column, domain, accessor, by_column, runs_python(condition))
            self.rules[condition.id] = rule
        if shown:
            rule.shown.append(metric)
        elif name.endswith(".filtered_row_count"):
            rule.domains.append(metric)
        else:
            rule.counts.append(metric)
        return True

    def _domain(self, kwargs: Mapping[str, Any]) -> Domain:
        domain = domain_of(self.engine, kwargs)
        return self.domains.setdefault(domain.id, domain)

    def _conditional(self, metric: Any, domain: Domain, accessor: Mapping[str, Any]) -> Column:
        """Say the library's aggregate about values that are null in other rows."""
        from great_expectations.expectations.registry import get_metric_provider

        partial = metric.metric_dependencies["metric_partial_fn"]
        provider, function = get_metric_provider(partial.metric_name, self.engine)
        name = accessor["column"]
        said: Column = inspect.unwrap(function)(
            provider,
            column=domain.only(F.col(name)),
            **metric.metric_value_kwargs,
            _table=self.frame(domain),
            _column_name=name,
            _metrics={},
        )
        return said

    # Computing.

    def frame(self, domain: Domain) -> Any:
        """All rows of the batch that a domain lies in."""
        return self.engine.get_domain_records({"batch_id": domain.batch})

    def run(self) -> None:
        """Compute everything."""
        broken = self._fused(python=False)
        if any(rule.python for rule in self.rules.values()):
            broken += self._fused(python=True)
        # These wait for the counts, but not for each other.
        found = side_by_side(
            self.engine.spark,
            lambda: self._counted(self.keys),
            lambda: self._counted(self.quantiles),
            lambda: sample(self.engine, broken, self._domain_rows),
        )
        for answers, rest in found:
            self.answers |= answers
            for metric in rest:
                (self.later if metric.metric_name.endswith(_SHOWN) else self.rest).append(metric)
        library = Library(self.engine, self.configuration, self.answers, self.failures)
        library.compute(self.rest, self.known)
        library.show(self.later, self.known)

    def _domain_rows(self, domain: Domain) -> int:
        return int(self.counted[domain.id])

    def _fused(self, *, python: bool) -> list[Broken]:
        """Count everything that judges rows by themselves; return what some row fails."""
        rules = {
            str(at): rule for at, rule in enumerate(self.rules.values()) if rule.python is python
        }
        if not python:
            self.counted: dict[str, int] = {}
        broken: list[Broken] = []
        for batch in {domain.batch for domain in self.domains.values()}:
            own = {name: rule for name, rule in rules.items() if rule.domain.batch == batch}
            parts = self._parts(batch, own, python=python)
            frame = self.engine.get_domain_records({"batch_id": batch})
            values, errors = run_fused(frame, parts)
            if not python:
                self._read_values(batch, values, errors)
            broken += self._read_rules(own, values, errors)
        return broken

    def _parts(
        self, batch: Any, rules: Mapping[str, _Rule], *, python: bool
    ) -> dict[str, dict[str, Column]]:
        parts = {
            f"rule {name}": {f"rule {name}": rows_where(rule.domain.only(rule.condition))}
            for name, rule in rules.items()
        }
        if python:
            return parts
        for id_, domain in self.domains.items():
            if domain.batch == batch:
                parts[f"rows {id_}"] = {f"rows {id_}": domain.rows}
        for at, (_, column, domain) in enumerate(self.aggregates):
            if domain.batch == batch:
                parts[f"aggregate {at}"] = {f"aggregate {at}": column}
        for name, column in self.quantiles.counts(batch).items():
            parts[name] = {name: column}
        for name, column in self.keys.counts(batch).items():
            parts[name] = {name: column}
        return parts

    def _read_values(
        self, batch: Any, values: Mapping[str, Any], errors: Mapping[str, Exception]
    ) -> None:
        for id_, domain in self.domains.items():
            if domain.batch == batch and f"rows {id_}" in values:
                self.counted[id_] = values[f"rows {id_}"]
        for metric, domain in self.row_counts:
            if domain.batch != batch:
                continue
            if domain.id in self.counted:
                self.answers[metric.id] = self.counted[domain.id]
            else:
                self.rest.append(metric)
        for at, (metric, _, domain) in enumerate(self.aggregates):
            if domain.batch != batch:
                continue
            if f"aggregate {at}" in errors:
                self.rest.append(metric)
            else:
                value = values[f"aggregate {at}"]
                self.answers[metric.id] = convert_to_json_serializable(value)
        self.quantiles.counted(values)
        self.keys.counted(values)

    def _read_rules(
        self,
        rules: Mapping[str, _Rule],
        values: Mapping[str, Any],
        errors: Mapping[str, Exception],
    ) -> list[Broken]:
        broken = []
        for name, rule in rules.items():
            if f"rule {name}" in errors or rule.domain.id not in self.counted:
                self.rest += [*rule.counts, *rule.domains]
                self.later += rule.shown
                continue
            failed, rows = values[f"rule {name}"], self.counted[rule.domain.id]
            for metric in rule.counts:
                # A sum over no row is null.
                self.answers[metric.id] = None if rule.by_column and not rows else failed
            for metric in rule.domains:
                self.answers[metric.id] = rows
            if failed and rule.shown:
                broken.append(
                    Broken(rule.condition, rule.domain, rule.accessor, failed, tuple(rule.shown))
                )
            else:
                self.answers |= {metric.id: nothing_shown(metric) for metric in rule.shown}
        return broken

    def _counted(self, part: KeyWork | QuantileWork) -> tuple[dict[Any, Any], list[Any]]:
        """Keys or quantiles, which need the counts; what is left is the library's to do."""
        try:
            return part.run(self.counted)
        except Exception:  # noqa: BLE001 - the library tells what is wrong with it
            _LOG.warning("a pass failed; the library computes its metrics", exc_info=True)
            return {}, part.metrics
