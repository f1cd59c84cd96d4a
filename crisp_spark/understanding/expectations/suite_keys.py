"""Unique, compound unique, distinct counts and value sets of a suite: one pass per key set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as T

from crisp_spark.understanding.expectations.suite_metrics import Domain
from crisp_spark.understanding.expectations.suite_samples import most_shown
from crisp_spark.understanding.passes_fused import rows_where
from crisp_spark.understanding.passes_keys import (
    Bounds,
    Key,
    KeyCount,
    bounds_of,
    bounds_sql,
    count_keys,
    repeated_keys,
)

_SETS = "column.distinct_values."
_NOT_IN = (f"{_SETS}not_in_set.count", f"{_SETS}not_in_set")
_MISSING = (f"{_SETS}missing_from_column.count", f"{_SETS}missing_from_column")
_DISTINCT = f"{_SETS}count"
_MOST_LITERALS = 1_000

DomainOf = Callable[[Mapping[str, Any]], Domain]


@dataclass(eq=False)
class _KeySet:
    """A key set and the metrics that are asked about it.

    Attributes:
        names: Its columns, as the library names them.
        domain: Rows that count.
        base: The same rows, before those with missing keys are left out.
        hashable: A hash may stand for the values.
        literal: Values may be written into a condition.
        whole: The key is one whole number.
        repeats: Metrics about repeated keys.
        distinct: Metrics about the number of distinct keys.
        flags: Metrics about distinct keys in or out of a set, with the condition.
        bounds: Bounds of a whole number, once they are counted.
    """

    names: tuple[str, ...]
    domain: Domain
    base: str
    hashable: bool
    literal: bool
    whole: bool
    repeats: list[Any] = field(default_factory=list)
    distinct: list[Any] = field(default_factory=list)
    flags: list[tuple[Any, Column]] = field(default_factory=list)
    bounds: Bounds | None = None

    @property
    def id(self) -> str:
        return f"{self.names} {self.domain.id}"

    @property
    def key(self) -> Key:
        """What is grouped."""
        counted = not self.distinct and not self.flags
        return Key(
            columns=tuple(F.col(name) for name in self.names),
            where=self.domain.counts,
            hashed=self.hashable and counted,
            listed=bool(self.repeats),
            flags=tuple(flag for _, flag in self.flags),
            bounds=self.bounds,
        )


class KeyWork:
    """All key sets of a suite."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.sets: dict[str, _KeySet] = {}
        self.missing: dict[str, int] = {}

    @property
    def metrics(self) -> list[Any]:
        """All metrics taken."""
        return [
            metric
            for one in self.sets.values()
            for metric in (*one.repeats, *one.distinct, *(metric for metric, _ in one.flags))
        ]

    # Sorting.

    def take_unique(
        self, metric: Any, condition: Any, known: tuple[Any, Any, Any], domain: DomainOf
    ) -> bool:
        """Take a metric about repeated keys."""
        _, kwargs, accessor = known
        if "column" in accessor:
            names = (str(accessor["column"]),)
            where = domain(kwargs)
        else:
            names = tuple(accessor["column_list"])
            where = domain({**kwargs, **accessor})
            if any("." in name for name in names):
                return False
        base = {
            name: value
            for name, value in kwargs.items()
            if name not in ("filter_conditions", "ignore_row_if")
        }
        self._set(names, where, domain(base).id, condition).repeats.append(metric)
        return True

    def take(self, metric: Any, known: Mapping[Any, Any], domain: DomainOf) -> bool:
        """Take a metric about distinct keys, if it is one."""
        name = metric.metric_name
        if name == _DISTINCT:
            _, kwargs, accessor = known[metric.metric_dependencies["metric_partial_fn"].id]
            self._single(metric, kwargs, accessor["column"], domain).distinct.append(metric)
            return True
        if name not in _NOT_IN + _MISSING:
            return False
        kwargs = metric.metric_domain_kwargs
        column, values = kwargs["column"], list(metric.metric_value_kwargs.get("value_set") or [])
        if "." in column or "`" in column or not values:
            return False
        one = self._single(metric, kwargs, column, domain)
        if not name.endswith(".count") and not self._plain(one, values):
            return False
        inside = F.col("k0").isin(values)
        one.flags.append((metric, ~inside if name in _NOT_IN else inside))
        return True

    def _single(
        self, metric: Any, kwargs: Mapping[str, Any], column: str, domain: DomainOf
    ) -> _KeySet:
        base = {name: value for name, value in kwargs.items() if name != "column"}
        known = self.engine.add_column_row_condition(base, column_name=column)
        return self._set((column,), domain(known), domain(base).id, metric)

    def _set(self, names: tuple[str, ...], domain: Domain, base: str, _: Any) -> _KeySet:
        kinds = [self._kind(name, domain) for name in names]
        text = [isinstance(kind, T.StringType) for kind in kinds]
        plain = all(kind is not None and "collate" not in kind.simpleString() for kind in kinds)
        found = _KeySet(
            names=names,
            domain=domain,
            base=base,
            hashable=plain and (len(names) > 1 or text[0]),
            literal=plain and (text[0] or isinstance(kinds[0], T.IntegralType)),
            whole=len(names) == 1 and isinstance(kinds[0], T.IntegralType),
        )
        return self.sets.setdefault(found.id, found)

    def _kind(self, name: str, domain: Domain) -> Any:
        schema = self.engine.get_domain_records({"batch_id": domain.batch}).schema
        plain = name[1:-1].replace("``", "`") if name.startswith("`") else name
        return schema[plain].dataType if plain in schema.names else None

    def _plain(self, one: _KeySet, values: list[Any]) -> bool:
        """Say whether Python compares the values as Spark does."""
        kind = self._kind(one.names[0], one.domain)
        if isinstance(kind, T.StringType):
            return all(isinstance(value, str) for value in values)
        whole = all(isinstance(value, int) and not isinstance(value, bool) for value in values)
        return isinstance(kind, T.IntegralType) and whole

    # Counting.

    def counts(self, batch: Any) -> dict[str, Column]:
        """Aggregates that are needed first: missing parts of compound keys, bounds of numbers."""
        found = {}
        for one in self.sets.values():
            if one.whole and one.repeats and one.domain.batch == batch:
                found[f"bounds {one.id}"] = bounds_sql(F.col(one.names[0]), one.domain.counts)
            part = self._part(one)
            if part is not None and one.domain.batch == batch:
                missing = one.domain.counts & F.col(part.names[0]).isNull()
                found[f"missing {one.id}"] = rows_where(missing)
        return found

    def counted(self, values: Mapping[str, Any]) -> None:
        """Read what was counted."""
        for one in self.sets.values():
            if f"missing {one.id}" in values:
                self.missing[one.id] = values[f"missing {one.id}"]
            one.bounds = bounds_of(values.get(f"bounds {one.id}")) or one.bounds

    def _part(self, one: _KeySet) -> _KeySet | None:
        """A single key within a compound key, looked at in all rows of the compound."""
        if len(one.names) == 1 or one.distinct or one.flags:
            return None
        for other in self.sets.values():
            within = len(other.names) == 1 and other.names[0] in one.names
            if within and other.base == one.base and other.repeats:
                return other
        return None

    def run(self, counted: Mapping[str, int]) -> tuple[dict[Any, Any], list[Any]]:
        """Count; return values and the metrics that the library has to compute."""
        answers: dict[Any, Any] = {}
        rest: list[Any] = []
        for batch in {one.domain.batch for one in self.sets.values()}:
            frame = self.engine.get_domain_records({"batch_id": batch})
            own = [one for one in self.sets.values() if one.domain.batch == batch]
            second = [one for one in own if self._part(one) is not None]
            first = [one for one in own if one not in second]
            most = max(counted.get(one.domain.id, 0) for one in own)
            counts = count_keys(frame, {one.id: one.key for one in first}, most)
            keys = {one.id: self._narrowed(one, counts) for one in second}
            rows = {one.id: one for one in own}
            proven = {id_ for id_, key in keys.items() if key is None}
            counts |= count_keys(frame, {id_: key for id_, key in keys.items() if key}, most)
            for id_, one in rows.items():
                count = KeyCount(0, 0, 0, 0) if id_ in proven else counts[id_]
                rest += self._answer(frame, one, keys.get(id_) or one.key, count, answers)
                answers |= {
                    metric.id: counted[one.domain.id]
                    for metric in one.repeats
                    if metric.metric_name.endswith(".filtered_row_count")
                }
        return answers, rest

    def _narrowed(self, one: _KeySet, counts: Mapping[str, KeyCount]) -> Key | None:
        """Look at a compound key only where its part repeats or is missing.

        Returns:
            What has to be grouped; None where no row is left.
        """
        part = self._part(one)
        if part is None or one.id not in self.missing:
            return one.key
        found, missing = counts[part.id], self.missing[one.id]
        if not found.repeated and not missing:
            return None
        few = found.groups is not None and len(found.groups) <= _MOST_LITERALS
        if missing * 20 > found.rows or (found.repeated and not (few and part.literal)):
            return one.key
        column = F.col(part.names[0])
        repeats = [group[0] for group, _ in found.groups or ()]
        where = column.isNull() | column.isin(repeats) if repeats else column.isNull()
        return Key(one.key.columns, one.domain.counts & where)

    def _answer(
        self, frame: Any, one: _KeySet, key: Key, count: KeyCount, answers: dict[Any, Any]
    ) -> list[Any]:
        answers |= {metric.id: count.distinct for metric in one.distinct}
        rest = []
        for (metric, _), found in zip(one.flags, count.flagged, strict=True):
            if metric.metric_name == _NOT_IN[0]:
                answers[metric.id] = found
            elif metric.metric_name == _MISSING[0]:
                answers[metric.id] = len(metric.metric_value_kwargs["value_set"]) - found
            elif self._none(metric, found):
                answers[metric.id] = []
            else:
                rest.append(metric)
        for metric in one.repeats:
            if metric.metric_name.endswith(".unexpected_count"):
                answers[metric.id] = count.repeated_rows
            elif metric.metric_name.endswith(".unexpected_values"):
                most = most_shown(metric)
                answers[metric.id] = _values(frame, one, key, count, most)
            elif not metric.metric_name.endswith(".filtered_row_count"):
                rest.append(metric)
        return rest

    def _none(self, metric: Any, found: int) -> bool:
        if metric.metric_name == _NOT_IN[1]:
            return not found
        return len(metric.metric_value_kwargs["value_set"]) == found


def _values(frame: Any, one: _KeySet, key: Key, count: KeyCount, most: int) -> list[Any]:
    """Values of rows whose key repeats, one per row."""
    groups = count.groups
    if not count.repeated or not most:
        return []
    if groups is None:
        found = repeated_keys(frame, key, count.repeated).limit(most).collect()
        groups = tuple((tuple(row[:-1]), row[-1]) for row in found)
    values: list[Any] = []
    for group, rows in groups:
        shown = group[0] if len(one.names) == 1 else dict(zip(one.names, group, strict=True))
        values += [shown] * min(rows, most - len(values))
        if len(values) >= most:
            break
    return values
