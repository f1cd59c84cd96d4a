# ruff: noqa: E501
"""The local engine against Great Expectations on Spark and against this project's own Spark engine.

    python benchmarks/quality_local.py --rows 1000000 --rounds 3

One table of 20 columns and 38 rules of all kinds; the suite for Great Expectations is this
project's own export, so all judge the same. The alternatives take turns in one process; CPU seconds
are those of the process and its JVM. The local engine starts no JVM and reads the same files.
Ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from measuring import cpu_seconds

NOW = datetime(2026, 1, 1, tzinfo=UTC)
COLUMNS = {
    "id": ["not_null", "unique", {"between": {"min": 0}}],
    "code": ["not_null", {"matches": "^[A-Z]{2}[0-9]{4}$"}, {"length_between": {"min": 6, "max": 6}}],
    "city": [{"accepted_values": [f"city {n}" for n in range(40)]}, {"rejected_values": ["nowhere"]}],
    "email": [{"matches": "^[^@ ]+@[^@ ]+\\.[a-z]{2,}$"}, {"not_null": {"mostly": 0.9}}],
    "amount": [
        "not_null", {"between": {"min": 0, "max": 1000}}, {"mean_between": {"min": 400, "max": 600}},
        {"stddev_between": {"min": 200, "max": 400}}, {"max_between": {"max": 1000}}, {"min_between": {"min": 0}},
        {"quantile_between": {"quantile": 0.5, "min": 400, "max": 600}},
    ],
    "price": [{"between": {"min": 0, "strict_min": True}}, {"sum_between": {"min": 0}}],
    "quantity": [{"between": {"min": 1, "max": 50}}, {"accepted_values": list(range(1, 51))}, {"mean_between": {"min": 20}}],
    "day": [{"between": {"min": "2020-01-01", "max": "2025-12-31"}}, "not_null"],
    "at": ["not_null", {"freshness": {"max_age_days": 3000}}],
    "customer": ["not_null", {"distinct_count_between": {"min": 1000}}],
    "status": [{"accepted_values": ["new", "paid", "sent", "back"]}, {"distinct_count_between": {"min": 4, "max": 4}}],
    "ratio": [{"between": {"min": 0, "max": 1, "mostly": 0.99}}, {"between": {"min": 0, "where": "quantity > 10", "name": "conditional"}}],
    "note": [{"length_between": {"max": 20}}],
    "flag": [{"accepted_values": [True, False]}],
}  # fmt: skip
RULES = [
    {"row_count": {"min": 1000}},
    {"unique": ["customer", "id"]},
    {"expression": "amount >= price"},
    {"expression": "quantity * 2 > 1"},
]


def make(spark: Any, folder: str, rows: int) -> None:
    """Write the table: 20 columns, gaps, some bad rows."""
    from pyspark.sql import functions as F

    draw = F.pmod(F.xxhash64("id", F.lit(7)), F.lit(10_000)).cast("int")
    bad = draw == 0
    df = spark.range(rows).withColumn("draw", draw)
    df = df.select(
        F.when(bad, F.col("id") - F.col("id") % 3).otherwise(F.col("id")).alias("id"),
        F.when(bad, "??").otherwise(F.format_string("AB%04d", "draw")).alias("code"),
        F.concat(F.lit("city "), (F.col("draw") % F.when(bad, 50).otherwise(40)).cast("string")).alias("city"),
        F.when(F.col("draw") % 50 == 1, None).when(bad, "x").otherwise(
            F.concat(F.lit("p"), F.col("id").cast("string"), F.lit("@example.org"))).alias("email"),
        F.when(bad, None).otherwise(F.col("draw") / 10.0).alias("amount"),
        (F.col("draw") / 20.0 + 0.5).alias("price"),
        (F.col("draw") % 50 + 1).alias("quantity"),
        F.date_add(F.lit("2020-01-01").cast("date"), F.col("draw") % 2000).alias("day"),
        F.timestamp_seconds(F.lit(1_500_000_000) + F.col("draw") * 10_000).alias("at"),
        (F.col("id") % 50_000).alias("customer"),
        F.element_at(F.array(*map(F.lit, ["new", "paid", "sent", "back"])), F.col("draw") % 4 + 1).alias("status"),
        (F.col("draw") / 9_950.0).alias("ratio"),
        F.repeat(F.lit("n"), F.col("draw") % 21).alias("note"),
        (F.col("draw") % 2 == 0).alias("flag"),
        *[(F.col("draw") * n).cast("double").alias(f"extra_{n}") for n in range(6)],
    )  # fmt: skip
    df.repartition(8).write.mode("overwrite").parquet(folder)


def rules() -> Any:
    from pydantic import TypeAdapter

    from crisp_spark.spec.quality import RuleSpec, bind_rules

    valid = TypeAdapter(RuleSpec).validate_python
    return bind_rules(
        "t",
        {name: [valid(rule) for rule in own] for name, own in COLUMNS.items()},
        list(map(valid, RULES)),
    )


def great_expectations(df: Any, bound: Any, form: str) -> dict[str, Any]:
    import great_expectations as gx

    from crisp_spark.understanding.expectations import configuration

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    definition = (
        context.data_sources.add_spark("s")
        .add_dataframe_asset("a")
        .add_batch_definition_whole_dataframe("b")
    )
    suite = gx.ExpectationSuite("s", [configuration(rule, NOW).to_domain_obj() for rule in bound])
    # Not stored: the library cannot write its own verdicts on quantiles.
    batch = definition.get_batch({"dataframe": df})
    found = batch.validate(suite, result_format=form)
    answers = {}
    for one in found.results:
        counts = (one.result or {}).get("unexpected_count")
        answers[one.expectation_config.meta["name"]] = (bool(one.success), counts)
    return answers


def ours(results: Any) -> dict[str, Any]:
    return {rule.name: (rule.holds, rule.failed) for rule in results}


def differences(theirs: Any, mine: Any, kinds: Any) -> list[str]:
    """Verdicts, and counts of rules for which Great Expectations counts rows."""
    found = []
    for name, (holds, failed) in mine.items():
        same = theirs[name][0] == holds
        counted = theirs[name][1]
        if counted is not None and kinds[name] not in {"expression", "relationships", "unique"}:
            same &= counted == failed
        if not same:
            found.append(f"{name}: {theirs[name]} and {(holds, failed)}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    import logging

    logging.disable(logging.WARNING)
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import duckdb
    import great_expectations as gx

    from crisp_spark.engine.session import build_session
    from crisp_spark.understanding.local import judge_files, table_of
    from crisp_spark.understanding.quality import evaluate_rules

    spark = build_session(
        "bench",
        master="local[2]",
        conf={"spark.sql.shuffle.partitions": "4", "spark.driver.memory": "3g"},
    )
    spark.sparkContext.setLogLevel("ERROR")
    bound = rules()
    kinds = {rule.name: rule.rule.kind for rule in bound}
    seen: dict[str, list[tuple[float, float]]] = {}
    answers: dict[str, dict] = {}
    with tempfile.TemporaryDirectory() as folder:
        make(spark, f"{folder}/t", options.rows)
        df = spark.read.parquet(f"{folder}/t")
        table = table_of(df)
        left_out = judge_files(table, bound, now=NOW).left_out
        alternatives = {
            "local": lambda: ours(judge_files(table, bound, now=NOW).results.values()),
            "spark": lambda: ours(evaluate_rules(df, bound, now=NOW).rules),
            "gx_basic": lambda: great_expectations(df, bound, "BASIC"),
            "gx_boolean": lambda: great_expectations(df, bound, "BOOLEAN_ONLY"),
        }
        for round_ in range(options.rounds + 1):  # the first warms up
            for name, work in alternatives.items():
                cpu, wall = cpu_seconds(), time.monotonic()
                answers[name] = work()
                spent = (time.monotonic() - wall, cpu_seconds() - cpu)
                spark.catalog.clearCache()
                print(
                    f"round {round_} {name}: {spent[0]:.2f} s wall, {spent[1]:.2f} s CPU",
                    flush=True,
                )
                if round_:
                    seen.setdefault(name, []).append(spent)
    apart = {
        name: differences(answers["gx_basic"], answers[name], kinds) for name in ("local", "spark")
    }
    median = {
        name: [statistics.median(one[at] for one in spent) for at in (0, 1)]
        for name, spent in seen.items()
    }
    print(
        f"load average {os.getloadavg()}, Python {platform.python_version()},"
        f" Spark {spark.version}, Great Expectations {gx.__version__}, DuckDB {duckdb.__version__}"
    )
    for name, (wall, cpu) in median.items():
        print(f"{name:>12} {wall:8.2f} s wall {cpu:8.2f} s CPU")
    print(
        json.dumps(
            {
                "rows": options.rows,
                "rules": len(bound),
                "left_to_spark": left_out,
                "vs_gx_basic": round(median["gx_basic"][0] / median["local"][0], 1),
                "vs_gx_boolean": round(median["gx_boolean"][0] / median["local"][0], 1),
                "vs_gx_basic_cpu": round(median["gx_basic"][1] / median["local"][1], 1),
                "vs_spark": round(median["spark"][0] / median["local"][0], 1),
                "verdicts_equal": int(not any(apart.values())),
                "differences": apart,
            }
        )
    )
    spark.stop()


if __name__ == "__main__":
    main()
