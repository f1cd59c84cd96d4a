"""Failing values of the rules that some row fails, in one scan where few do, and one look."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from great_expectations.constants import MAX_RESULT_RECORDS
from pyspark.sql import Column
from pyspark.sql import functions as F

from crisp_spark.spec.columns import quoted
from crisp_spark.understanding.expectations.suite_metrics import Domain
from crisp_spark.understanding.passes_fused import FAILURES

_LOG = logging.getLogger(__name__)
_MOST_ROWS = 20_000
_FREQUENT = 5e-4
_FEW_ROWS = 100_000
_SPARE = 4
_MOST_ASKED = 1_000


@dataclass(frozen=True, eq=False)
class Broken:
    """A rule that some row fails, and the metrics that show failing values."""

    condition: Column
    domain: Domain
    accessor: Mapping[str, Any]
    failed: int
    shown: tuple[Any, ...]

    @property
    def fails(self) -> Column:
        """Condition: the row counts and fails."""
        return F.coalesce(self.domain.only(self.condition), F.lit(False))


def most_shown(metric: Any) -> int:
    """Return how many failing values the library shows."""
    asked = metric.metric_value_kwargs["result_format"]
    if asked["result_format"] == "COMPLETE":
        return int(MAX_RESULT_RECORDS)
    return min(int(asked["partial_unexpected_count"]), int(MAX_RESULT_RECORDS))


def sample(
    engine: Any, broken: Sequence[Broken], rows_of: Callable[[Domain], int]
) -> tuple[dict[Any, Any], list[Any]]:
    """Find failing values.

    Rules that few rows fail share one scan. Those that many rows fail share a look that ends with
    the first rows found, thinned so that no rule crowds out another.

    Returns:
        Values by metric id, and the metrics that the library has to compute.
    """
    answers: dict[Any, Any] = {}
    rest: list[Any] = []
    for batch in {one.domain.batch for one in broken}:
        few: list[Broken] = []
        many: list[Broken] = []
        frame = engine.get_domain_records({"batch_id": batch})
        own = [one for one in broken if one.domain.batch == batch]
        for one in sorted(own, key=lambda one: one.failed):
            rows = rows_of(one.domain)
            frequent = one.failed > _FREQUENT * rows and rows > _FEW_ROWS
            total = sum(other.failed for other in few) + one.failed
            if not _plain(one, frame.columns):
                rest += one.shown
            elif frequent or total > _MOST_ROWS:
                many.append(one)
            else:
                few.append(one)
        for look, some in ((_scan, few), (_first, many)):
            try:
                found, left = look(frame, some) if some else ({}, [])
            except FAILURES:
                _LOG.warning("failing values were not found; the library looks", exc_info=True)
                found, left = {}, [metric for one in some for metric in one.shown]
            answers |= found
            rest += left
    return answers, rest


def _plain(one: Broken, columns: Sequence[str]) -> bool:
    """Say whether all that is shown are columns of the table."""
    names = _names(one.accessor)
    for metric in one.shown:
        indexed = metric.metric_value_kwargs["result_format"].get("unexpected_index_column_names")
        if indexed and any(name.startswith("`") for name in _names(one.accessor)):
            return False  # the library has its own words for such names
        names += indexed or []
    plain = [_unquoted(name) for name in names]
    return all(name in columns for name in plain) and len(set(columns)) == len(columns)


def _names(accessor: Mapping[str, Any]) -> list[str]:
    if "column" in accessor:
        return [str(accessor["column"])]
    if "column_list" in accessor:
        return [str(name) for name in accessor["column_list"]]
    return [str(accessor["column_A"]), str(accessor["column_B"])]


def _scan(frame: Any, few: Sequence[Broken]) -> tuple[dict[Any, Any], list[Any]]:
    """Find all rows that fail."""
    fails = [one.fails for one in few]
    found = _rows(frame.where(reduce(or_, fails)), few)
    columns = list(frame.columns)
    return {
        metric.id: _shown(metric, one, rows, columns)
        for one, rows in zip(few, found, strict=True)
        for metric in one.shown
    }, []


def _first(frame: Any, many: Sequence[Broken]) -> tuple[dict[Any, Any], list[Any]]:
    """Find the first few rows that fail; a rule that is left short is the library's to do."""
    own = [one for one in many if max(map(_asked, one.shown)) <= _MOST_ASKED]
    rest = [metric for one in many if one not in own for metric in one.shown]
    if not own:
        return {}, rest
    asked = [min(max(map(_asked, one.shown)), one.failed) for one in own]
    enough = _SPARE * int(max(asked))
    # As many rows of each rule; all rows of those that few fail.
    even = max(enough, min(one.failed for one in own))
    thinned = [one.fails & (F.rand(at) <= even / one.failed) for at, one in enumerate(own)]
    columns = list(frame.columns)
    answers: dict[Any, Any] = {}
    found = _rows(frame.where(reduce(or_, thinned)), own, 2 * len(own) * enough)
    for one, rows, most in zip(own, found, asked, strict=True):
        if len(rows) < most:
            rest += one.shown
            continue
        answers |= {metric.id: _shown(metric, one, rows, columns) for metric in one.shown}
    return answers, rest


def _asked(metric: Any) -> float:
    """Return how many failing rows a metric needs to see."""
    asked = metric.metric_value_kwargs["result_format"]
    if asked["result_format"] == "COMPLETE":
        return math.inf
    # The library bounds values, but not the list of indices.
    listed = str(metric.metric_name).endswith(".unexpected_index_list")
    return int(asked["partial_unexpected_count"]) if listed else most_shown(metric)


def _rows(
    failing: Any, broken: Sequence[Broken], most: int | None = None
) -> list[list[dict[str, Any]]]:
    """Return the failing rows of each rule."""
    wanted = _wanted(broken, list(failing.columns))
    flags = [one.fails.alias(f"f{at}") for at, one in enumerate(broken)]
    values = [F.col(quoted(name)).alias(f"v{at}") for at, name in enumerate(wanted)]
    shown = failing.select(*flags, *values)
    found = (shown if most is None else shown.limit(most)).collect()
    return [
        [dict(zip(wanted, row[len(broken) :], strict=True)) for row in found if row[at]]
        for at in range(len(broken))
    ]


def _wanted(few: Sequence[Broken], columns: Sequence[str]) -> list[str]:
    """Columns that are read."""
    names: list[str] = []
    for one in few:
        for metric in one.shown:
            if metric.metric_name.endswith(".unexpected_rows"):
                return list(columns)
            asked = metric.metric_value_kwargs["result_format"]
            names += [_unquoted(name) for name in _names(one.accessor)]
            names += asked.get("unexpected_index_column_names") or []
    return list(dict.fromkeys(names))


def _unquoted(name: str) -> str:
    return name[1:-1].replace("``", "`") if name.startswith("`") else name


def _shown(
    metric: Any, one: Broken, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]
) -> Any:
    """Bring failing rows into the form of the metric."""
    name, own = str(metric.metric_name), _names(one.accessor)
    if name.endswith(".unexpected_rows"):
        return [{column: row[column] for column in columns} for row in rows[: most_shown(metric)]]
    if name.endswith(".unexpected_index_list"):
        return _index_list(metric, own, rows)
    some = rows[: most_shown(metric)]
    if "column" in one.accessor:
        return [row[_unquoted(own[0])] for row in some]
    if "column_list" in one.accessor:
        return [{column: row[_unquoted(column)] for column in own} for row in some]
    return [tuple(row[_unquoted(column)] for column in own) for row in some]


def _index_list(metric: Any, own: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Any:
    asked = metric.metric_value_kwargs["result_format"]
    named = asked.get("unexpected_index_column_names")
    if not named:
        return None
    if asked["result_format"] != "COMPLETE":
        rows = rows[: asked["partial_unexpected_count"]]
    if asked.get("exclude_unexpected_values", False):
        return [{column: [row[column] for row in rows] for column in named}]
    return [{column: row[_unquoted(column)] for column in (*named, *own)} for row in rows]
