"""The local engine: rules of a table whose files one machine reads, judged by DuckDB.

Spark is the reference: verdicts and counts are the same. What cannot be said in the same sense
(a pattern that only Java's engine knows, SQL beyond comparisons) is left to Spark, by name.
"""

from __future__ import annotations

from crisp_spark.understanding.local.engine import chosen_engine, evaluate_locally, table_of
from crisp_spark.understanding.local.judge import LocalJudgement, LocalTable, judge_files

__all__ = [
    "LocalJudgement",
    "LocalTable",
    "chosen_engine",
    "evaluate_locally",
    "judge_files",
    "table_of",
]
