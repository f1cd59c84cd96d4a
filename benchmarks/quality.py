"""Quality rules: this project against Great Expectations' own Spark engine, an expert, a scan.

Prints what was measured, run by run, and ends with one JSON line. The alternatives are interleaved
in one process; ratios are those of medians. `--full` takes 5 million rows and more repeats.
`benchmarks/growth.py` shows how ours grows with rows and rules.
"""

from __future__ import annotations

# ruff: noqa: ANN001, ANN201, ANN204, D102, E402, E501, F541, PLR2004
import argparse
import json
import logging
import math
import sys
import tempfile
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
warnings.simplefilter("ignore")

import great_expectations as gx
import great_expectations.expectations as gxe
from great_expectations.expectations.expectation import (
    ColumnMapExpectation,
    ColumnPairMapExpectation,
    MulticolumnMapExpectation,
)
from measuring import BYTES, Runs
from pydantic import TypeAdapter
from pyspark.sql import functions as F

import crisp_spark.understanding.expectations.engine  # noqa: F401 - adds the data source
from crisp_spark.engine.session import build_session
from crisp_spark.spec.quality import RuleSpec, bind_rules
from crisp_spark.understanding.quality import evaluate_rules


def generate(spark, rows, folder):
    """Write the table: 20 columns, some bad rows, some nulls."""
    noise = "xxhash64(id, {0})"
    share = "(pmod(xxhash64(id, {0}), 1000000) / 1000000D)"
    spark.range(0, rows, numPartitions=8).selectExpr(
        "id as order_id",
        "concat('c-', lpad(string(id), 12, '0')) as code",
        f"pmod({noise.format(2)}, {max(rows // 8, 1)}) as customer_id",
        f"cast(pmod({noise.format(3)}, 50) as int) as quantity",
        f"if({share.format(40)} < 0.005, null, {share.format(4)} * 1000) as price",
        f"if({share.format(41)} < 0.0003, -1D, {share.format(5)}) as discount",
        f"element_at(array('DE','FR','IT','ES','PL','AT'), cast(pmod({noise.format(6)}, 6) as int) + 1) as country",
        f"element_at(array('new','paid','sent','done'), cast(pmod({noise.format(7)}, 4) as int) + 1) as status",
        f"if({share.format(42)} < 0.001, null, concat('u', id, if({share.format(8)} < 0.0002, '#', '@'), 'example.org')) as email",
        f"concat('+49', lpad(string(pmod({noise.format(9)}, 100000000)), 8, '0')) as phone",
        f"timestamp_seconds(1704067200 + pmod({noise.format(10)}, 31536000)) as ordered_at",
        f"date_add(date'2024-01-01', cast(pmod({noise.format(11)}, 366) as int)) as shipped_on",
        f"pmod({noise.format(12)}, 2) = 0 as express",
        f"{share.format(13)} * 100 as weight",
        f"{share.format(14)} * 100 + 100 as volume",
        f"cast(pmod({noise.format(15)}, 100) as int) as score",
        f"repeat('x', 1 + cast(pmod({noise.format(16)}, 20) as int)) as note",
        f"randn(17) * 10 + 50 as temperature",
        f"cast(pmod({noise.format(18)}, 10) as int) as region",
        f"cast(id % 1000 as int) as line",
    ).write.parquet(folder)
    return spark.read.parquet(folder)


def rules():
    """Forty rules of all kinds; four of them fail."""
    some = {"row_condition": "country = 'DE'", "condition_parser": "spark"}
    not_null = ["order_id", "code", "customer_id", "quantity", "country", "status"]
    return [
        *[gxe.ExpectColumnValuesToNotBeNull(column=name) for name in not_null],
        gxe.ExpectColumnValuesToNotBeNull(column="price", mostly=0.99),
        gxe.ExpectColumnValuesToNotBeNull(column="email"),
        gxe.ExpectColumnValuesToBeUnique(column="order_id"),
        gxe.ExpectColumnValuesToBeUnique(column="code"),
        gxe.ExpectCompoundColumnsToBeUnique(column_list=["order_id", "line"]),
        gxe.ExpectColumnValuesToBeInSet(
            column="country", value_set=["DE", "FR", "IT", "ES", "PL", "AT"]
        ),
        gxe.ExpectColumnValuesToBeInSet(column="status", value_set=["new", "paid", "sent", "done"]),
        gxe.ExpectColumnValuesToNotBeInSet(column="status", value_set=["lost"]),
        gxe.ExpectColumnValuesToBeBetween(column="quantity", min_value=0, max_value=49),
        gxe.ExpectColumnValuesToBeBetween(column="price", min_value=0, max_value=1000),
        gxe.ExpectColumnValuesToBeBetween(column="discount", min_value=0, max_value=1),
        gxe.ExpectColumnValuesToBeBetween(column="weight", min_value=0, max_value=100),
        gxe.ExpectColumnValuesToBeBetween(column="score", min_value=0, max_value=98),
        gxe.ExpectColumnValuesToBeBetween(column="price", min_value=0, max_value=1000, **some),
        gxe.ExpectColumnValuesToNotBeNull(column="phone", **some),
        gxe.ExpectColumnValuesToMatchRegex(column="email", regex="^[^@]+@[^@]+$"),
        gxe.ExpectColumnValuesToMatchRegex(column="phone", regex="^\\+49[0-9]{8}$"),
        gxe.ExpectColumnValuesToMatchRegex(column="code", regex="^c-[0-9]+$"),
        gxe.ExpectColumnValueLengthsToBeBetween(column="note", min_value=1, max_value=20),
        gxe.ExpectColumnValueLengthsToEqual(column="phone", value=11),
        gxe.ExpectColumnMeanToBeBetween(column="price", min_value=490, max_value=510),
        gxe.ExpectColumnMinToBeBetween(column="weight", min_value=0),
        gxe.ExpectColumnMaxToBeBetween(column="volume", max_value=200),
        gxe.ExpectColumnStdevToBeBetween(column="temperature", min_value=9, max_value=11),
        gxe.ExpectColumnSumToBeBetween(column="quantity", min_value=1),
        gxe.ExpectColumnMaxToBeBetween(column="shipped_on", max_value="2025-01-01"),
        gxe.ExpectColumnQuantileValuesToBeBetween(
            column="price",
            quantile_ranges={
                "quantiles": [0.05, 0.5, 0.95],
                "value_ranges": [[40, 60], [480, 520], [940, 960]],
            },
        ),
        gxe.ExpectColumnMedianToBeBetween(column="temperature", min_value=49, max_value=51),
        gxe.ExpectColumnUniqueValueCountToBeBetween(column="country", min_value=6, max_value=6),
        gxe.ExpectColumnDistinctValuesToEqualSet(
            column="status", value_set=["new", "paid", "sent", "done"]
        ),
        gxe.ExpectColumnPairValuesAToBeGreaterThanB(column_A="volume", column_B="weight"),
        gxe.ExpectMulticolumnSumToEqual(column_list=["region", "line"], sum_total=-1, mostly=0.0),
        gxe.ExpectTableRowCountToBeBetween(min_value=1),
        gxe.ExpectTableColumnCountToEqual(value=20),
    ]


def row_rules():
    """Those of the forty that judge a row by itself."""
    found = [
        one
        for one in rules()
        if isinstance(
            one, ColumnMapExpectation | ColumnPairMapExpectation | MulticolumnMapExpectation
        )
    ]
    return [one for one in found if "unique" not in one.expectation_type]


def expert(df):
    """The same outputs, fused by hand."""
    c, n = F.col, F.count_if
    some = c("country") == "DE"
    row = df.agg(
        F.count(F.lit(1)),
        *[n(c(x).isNull()) for x in ("order_id", "code", "customer_id", "quantity", "country", "status",
                                     "price", "email", "discount", "weight", "score", "phone", "note")],
        n(~c("country").isin("DE", "FR", "IT", "ES", "PL", "AT")),
        n(~c("status").isin("new", "paid", "sent", "done")),
        n(c("status").isin("lost")),
        n(~c("quantity").between(0, 49)), n(~c("price").between(0, 1000)), n(~c("discount").between(0, 1)),
        n(~c("weight").between(0, 100)), n(~c("score").between(0, 98)),
        n(some & ~c("price").between(0, 1000)), n(some & c("phone").isNull()), n(some),
        n(~c("email").rlike("^[^@]+@[^@]+$")), n(~c("phone").rlike("^\\+49[0-9]{8}$")),
        n(~c("code").rlike("^c-[0-9]+$")),
        n(~F.length("note").between(1, 20)), n(F.length("phone") != 11),
        F.mean("price"), F.min("weight"), F.max("volume"), F.stddev_samp("temperature"), F.sum("quantity"),
        F.max("shipped_on"), n(c("volume") <= c("weight")), n(c("region") + c("line") != -1),
    ).collect()  # fmt: skip
    for key in (
        ["order_id"],
        [F.xxhash64("code").alias("code")],
        ["order_id", "line"],
        ["country"],
        ["status"],
    ):
        df.select(*key).groupBy(*df.select(*key).columns).count().agg(
            F.count(F.lit(1)), F.sum(F.when(c("count") > 1, c("count")))
        ).collect()
    df.approxQuantile(["price", "temperature"], [0.05, 0.5, 0.95], 0.0)
    fails = {
        "score": c("score") > 98,
        "email": ~c("email").rlike("^[^@]+@[^@]+$"),
        "discount": ~c("discount").between(0, 1),
    }
    for name, failing in fails.items():
        df.where(failing).select(name).limit(20).collect()
    df.where(c("email").isNull()).select("email").limit(20).collect()
    df.select("region", "line").limit(20).collect()
    return row


def scan(df):
    """Read every column that a rule names."""
    return df.agg(*[F.count(name) for name in df.columns]).collect()


def dropping(df):
    """Judge rules that send rows to quarantine; return kept and quarantined rows."""
    rule = TypeAdapter(RuleSpec)
    declared = {
        "discount": [{"between": {"min": 0, "max": 1, "severity": "drop"}}],
        "email": [{"matches": {"pattern": "^[^@]+@[^@]+$", "severity": "drop"}}, "not_null"],
        "price": [{"between": {"min": 0, "max": 1000, "severity": "drop"}}],
    }
    bound = bind_rules(
        "t", {name: [rule.validate_python(one) for one in own] for name, own in declared.items()}
    )
    return evaluate_rules(df, bound, source="t").split("bench")


def write_split(kept, quarantined, folder):
    """Write kept and quarantined rows."""
    kept.write.mode("overwrite").parquet(f"{folder}/kept")
    quarantined.write.mode("overwrite").parquet(f"{folder}/quarantined")


def more_rules(times):
    """So many times forty rules; the same rule twice is one rule, so bounds differ."""
    many = [one for _ in range(times) for one in rules()]
    for at, one in enumerate(many):
        one.meta = {"number": at}
        if getattr(one, "max_value", None) and isinstance(one.max_value, float | int):
            one.max_value += at // len(rules())
    return many


class Bench(Runs):
    """Measures alternatives on one table."""

    def __init__(self, spark):
        super().__init__(spark)
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}
        sources = context.data_sources
        made = {"gx": sources.add_spark("gx"), "ours": sources.add_crisp_spark("ours")}
        self.batches = {
            name: source.add_dataframe_asset("t").add_batch_definition_whole_dataframe("all")
            for name, source in made.items()
        }

    def judge(self, engine, df, expectations, result_format):
        suite = gx.ExpectationSuite(name="bench")
        suite.expectations = expectations
        batch = self.batches[engine].get_batch({"dataframe": df})
        found = batch.validate(suite, result_format=result_format)
        self.spark.catalog.clearCache()
        return found


def told(found):
    """What must be equal: verdict, counts, observed value."""
    numbers = {}
    for one in found.results:
        config = one.expectation_config
        key = json.dumps(
            [config.type, {k: str(v) for k, v in config.kwargs.items() if k != "batch_id"}]
        )
        result = dict(one.result)
        shown = {name: len(value) for name, value in result.items() if name.startswith("partial")}
        plain = {name: value for name, value in result.items() if not name.startswith("partial")}
        numbers[key] = (bool(one.success), plain, shown)
    return numbers


def alike(left, right):
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(alike(left[k], right[k]) for k in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(alike, left, right))
    if isinstance(left, float) or isinstance(right, float):
        return left is not None and right is not None and math.isclose(left, right, rel_tol=1e-9)
    return left == right


def same_verdicts(found):
    """Say whether ours tells the same as theirs; print what differs."""
    equal = 1
    for kind in ("basic", "boolean"):
        theirs, ours = told(found[f"gx_{kind}"]), told(found[f"ours_{kind}"])
        for key in theirs:
            if not alike(theirs[key], ours[key]):
                equal = 0
                print("differs", key, theirs[key], ours[key])
    return equal


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=13)
    parser.add_argument("--full", action="store_true")
    arguments = parser.parse_args()
    if arguments.full:
        arguments.rows, arguments.repeats, arguments.minutes = 5_000_000, 5, 600
    started = time.perf_counter()
    logging.getLogger("great_expectations").setLevel(logging.CRITICAL)
    spark = build_session(
        "bench",
        master="local[2]",
        conf={
            "spark.driver.memory": "6g",
            "spark.sql.shuffle.partitions": "4",
            # Hadoop counts what a task's own thread reads; vectored reads are other threads'.
            "spark.hadoop.parquet.hadoop.vectored.io.enabled": "false",
        },
    )
    spark.sparkContext.setLogLevel("ERROR")
    with tempfile.TemporaryDirectory(prefix="bench-quality-") as folder:
        generate(spark, 20_000, f"{folder}/small")
        df = generate(spark, arguments.rows, f"{folder}/table")
        small = spark.read.parquet(f"{folder}/small")
        bench = Bench(spark)
        for name in ("ours", "gx"):
            bench.judge(name, small, rules(), "BASIC")
        expert(small)
        scan(small)
        print(
            f"warm after {time.perf_counter() - started:.0f} s; {arguments.rows:,} rows x {len(df.columns)}"
            f" columns, {len(rules())} rules; spark {spark.version}, great_expectations {gx.__version__}",
            flush=True,
        )
        equal, longest = 1, 0.0
        parts = dropping(df)
        for turn in range(arguments.repeats):
            before = time.perf_counter()
            if before - started + longest > arguments.minutes * 60:
                break
            found = {}
            for result_format in ("BASIC", "BOOLEAN_ONLY"):
                for engine in ("ours", "gx") if turn % 2 else ("gx", "ours"):
                    name = f"{engine}_{'basic' if result_format == 'BASIC' else 'boolean'}"
                    found[name] = bench.measure(
                        name,
                        lambda engine=engine, f=result_format: bench.judge(engine, df, rules(), f),
                    )
            bench.measure("ours_rows", lambda: bench.judge("ours", df, row_rules(), "BOOLEAN_ONLY"))
            bench.measure("expert", lambda: expert(df))
            bench.measure("scan", lambda: scan(df))
            bench.measure("write", lambda: df.write.mode("overwrite").parquet(f"{folder}/plain"))
            bench.measure("write_split", lambda: write_split(*parts, folder))
            equal &= same_verdicts(found)
            longest = max(longest, time.perf_counter() - before)
        print(f"seconds in all: {time.perf_counter() - started:.0f}")
        print(json.dumps({
            "vs_gx_basic": bench.ratio("gx_basic", "ours_basic"),
            "vs_gx_boolean": bench.ratio("gx_boolean", "ours_boolean"),
            "vs_expert": bench.ratio("ours_basic", "expert"),
            "vs_scan": bench.ratio("ours_basic", "scan"),
            "row_rules_vs_scan": bench.ratio("ours_rows", "scan"),
            "vs_write": bench.ratio("write_split", "write"),
            "jobs": int(bench.median("ours_basic", 2)),
            "jobs_gx": int(bench.median("gx_basic", 2)),
            "verdicts_equal": equal,
            "cpu_vs_gx_basic": bench.ratio("gx_basic", "ours_basic", 1),
            "cpu_vs_gx_boolean": bench.ratio("gx_boolean", "ours_boolean", 1),
            "cpu_vs_expert": bench.ratio("ours_basic", "expert", 1),
            "cpu_vs_write": bench.ratio("write_split", "write", 1),
            "cpu_vs_scan": bench.ratio("ours_basic", "scan", 1),
            "mib_read": int(bench.median("ours_basic", BYTES) / 2**20),
            "mib_read_gx": int(bench.median("gx_basic", BYTES) / 2**20),
            "mib_read_scan": int(bench.median("scan", BYTES) / 2**20),
            "rows": arguments.rows,
            "repeats": len(bench.runs["scan"]),
        }))  # fmt: skip
    spark.stop()


if __name__ == "__main__":
    main()
