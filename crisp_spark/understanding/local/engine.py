"""Which engine judges a source, and the local engine beside Spark."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from crisp_spark.errors import SpecError
from crisp_spark.understanding.local.judge import LocalTable, judge_files, open_duckdb

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from crisp_spark.results.quality import RuleResult
    from crisp_spark.spec.quality import BoundRule
    from crisp_spark.understanding.quality import Evaluation
    from crisp_spark.understanding.quality_checks import Compiled
    from crisp_spark.understanding.quality_rows import BrokenRules

_LOG = logging.getLogger(__name__)
MOST_BYTES = 2 << 30
"""Up to this size of its files, ``engine: auto`` judges a source locally."""


def chosen_engine(
    wanted: str, table: LocalTable | None, parents: Sequence[LocalTable | None]
) -> bool:
    """Say whether a source is judged locally.

    Args:
        wanted: ``spark``, ``local`` or ``auto``.
        table: The source's files; None where they are not on this machine.
        parents: The same of the sources that its rules refer to.

    Raises:
        SpecError: ``local`` is wanted and cannot be had.
    """
    if wanted == "spark":
        return False
    reachable = table is not None and None not in parents
    if wanted == "local":
        if not reachable:
            raise SpecError(
                "data.engine: local, but a source's table is not on this machine's disk",
                hint="set data.engine to auto or spark",
            )
        open_duckdb()
        return True
    if table is None or not reachable:
        return False
    try:
        open_duckdb()
    except SpecError:
        return False
    return sum(Path(file).stat().st_size for file in table.files) <= MOST_BYTES


def table_of(df: DataFrame) -> LocalTable | None:
    """Return the files behind a frame that was read from Parquet; None where they are elsewhere."""
    types = {one.name: one.dataType.simpleString() for one in df.schema.fields}
    files = []
    for uri in df.inputFiles():
        parts = urlsplit(uri)
        if parts.scheme not in {"", "file"} or not parts.path.endswith(".parquet"):
            return None
        files.append(unquote(parts.path))
    return LocalTable(tuple(sorted(files)), types) if files else None


def evaluate_locally(
    df: DataFrame,
    rules: Sequence[BoundRule],
    *,
    source: str = "",
    parents: Mapping[str, DataFrame] | None = None,
    engine: str = "auto",
    **options: Any,
) -> Evaluation:
    """Judge the rules of a source locally where that is wanted and possible, else with Spark.

    Rules that the local engine leaves out are judged by Spark; verdicts and counts are the same.

    Args:
        df: The source's rows, read from Parquet files.
        rules: Its rules.
        source: Name of the source.
        parents: Sources that ``relationships`` refer to.
        engine: ``spark``, ``local`` or ``auto``.
        options: As of :func:`crisp_spark.understanding.quality.evaluate_rules`.

    Raises:
        SpecError: A rule does not fit the data, or ``local`` cannot be had.

    Rows: none. Adds: nothing. Drops: nothing. Jobs: those of the rules that are left to Spark.
    """
    from crisp_spark.understanding.quality import Evaluation, evaluate_rules
    from crisp_spark.understanding.quality_compile import compile_rules

    others = parents or {}
    table = table_of(df) if engine != "spark" else None
    tables = {name: table_of(frame) if table else None for name, frame in others.items()}
    if not rules or not chosen_engine(engine, table, list(tables.values())) or table is None:
        return evaluate_rules(df, rules, source=source, parents=others, **options)
    now = options.get("now") or datetime.now(tz=UTC)
    # Compiled all the same: the faults are the reference's, and so is the split of the rows.
    compiled = compile_rules(df, rules, parents=others, now=now)
    known = {name: one for name, one in tables.items() if one is not None}
    local = judge_files(table, rules, parents=known, **{**options, "now": now})
    rest = [bound for bound in rules if bound.name in local.left_out]
    for bound in rest:
        _LOG.info("%s.%s is left to Spark: %s", source, bound.name, local.left_out[bound.name])
    spark = evaluate_rules(df, rest, source=source, parents=others, **options) if rest else None
    results = local.results | {one.name: one for one in (spark.rules if spark else ())}
    _LOG.info("judged %s with DuckDB: %d rules, %d left to Spark", source, len(rules), len(rest))
    return Evaluation(
        source=source or rules[0].source,
        rows=local.rows,
        rules=tuple(results[bound.name] for bound in rules),
        passes=local.passes + (spark.passes if spark else 0),
        _df=df,
        _broken=_broken(compiled, results),
        _parents=others,
    )


def _broken(compiled: Compiled, results: Mapping[str, RuleResult]) -> BrokenRules:
    """What a split of the rows needs, with the local engine's counts."""
    from crisp_spark.understanding.quality_rows import BrokenRules

    failed = {name: one.failed for name, one in results.items() if one.failed}
    return BrokenRules(
        rows=[check for check in compiled.rows if check.bound.name in failed],
        keys=[
            (check, failed[check.bound.name] or 0)
            for check in compiled.keys
            if check.bound.name in failed
        ],
    )
