"""A profile: ours against `DataFrame.summary()` with hand-written queries, and ydata-profiling.

    python benchmarks/profiles.py --rows 1000000 --columns 20 --repeats 3 --ydata ENV/bin/python

`summary` is what one writes by hand for the same statistics: `DataFrame.summary()`, missing and
distinct values in one query, a query per column for its frequent values or its histogram, lengths
and blanks of texts, duplicate rows, the key, and correlations of a sample in pandas. `summary_only`
is `DataFrame.summary()` alone: counts, moments, quartiles. The alternatives take turns in one
process; ratios are those of medians, above one where ours takes less.

ydata-profiling has dependencies of its own, so it runs where `--ydata` says: the interpreter of an
environment with `ydata-profiling` and `pyspark` (4.18.4 was seen to work with pyspark 4.1.1, ANSI mode off). It
gets a process and a session of its own on the same files, a warm-up included in neither figure.
Without `--ydata` it is left out, and the output says so. Ends with one line of JSON.

Not called `profile`: Python has a module of that name, which pyspark imports.
"""

from __future__ import annotations

# ruff: noqa: E501, PLR2004
import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from measuring import CPU, JOBS, READ, Runs
from pyspark.sql import functions as F

from crisp_spark.engine.session import build_session
from crisp_spark.spec.data import CsvSource
from crisp_spark.understanding.profile import profile_table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

NOISE = "pmod(xxhash64(id, {0}), 1000000)"
KINDS = (
    "id AS {1}",
    "if({0} < 20000, null, {0} / 7D) AS {1}",
    "CAST({0} % 50 AS int) AS {1}",
    "element_at(array('DE', 'FR', 'IT', 'ES', null), CAST({0} % 5 AS int) + 1) AS {1}",
    "concat('c-', lpad(string(id), 12, '0')) AS {1}",
    "timestamp_seconds(1704067200 + {0} * 31) AS {1}",
    "CAST({0} AS decimal(12, 2)) / 8 AS {1}",
    "{0} % 2 = 0 AS {1}",
    "date_add(date'2024-01-01', CAST({0} % 366 AS int)) AS {1}",
    "repeat('x', 1 + CAST({0} % 20 AS int)) AS {1}",
)
SAMPLE = 20_000


def generate(spark: SparkSession, rows: int, columns: int, folder: str) -> DataFrame:
    """Write a table whose columns take turns in kind; the first is its key."""
    spark.range(0, rows, numPartitions=8 if rows > 10_000 else 1).selectExpr(
        *[KINDS[n % len(KINDS)].format(NOISE.format(n), f"c{n}") for n in range(columns)]
    ).write.parquet(folder)
    return spark.read.parquet(folder)


def by_hand(df: DataFrame) -> dict[str, Any]:
    """Statistics of a table by `summary()` and a query for each further question."""
    found: dict[str, Any] = {"summary": df.summary().collect()}
    kinds = dict(df.dtypes)
    numbers = [
        n for n, kind in kinds.items() if kind in {"bigint", "int", "double"} or "decimal" in kind
    ]
    texts = [name for name, kind in kinds.items() if kind == "string"]
    counts = df.agg(
        F.count(F.lit(1)).alias("rows"),
        *[F.count(name).alias(f"known_{name}") for name in df.columns],
        *[F.approx_count_distinct(name).alias(f"distinct_{name}") for name in df.columns],
        *[F.min(name).alias(f"min_{name}") for name in df.columns],
        *[F.max(name).alias(f"max_{name}") for name in df.columns],
    ).collect()[0]
    found["counts"] = counts
    if numbers:
        found["moments"] = df.agg(
            *[
                f(name).alias(f"{f.__name__}_{name}")
                for name in numbers
                for f in (F.skewness, F.kurtosis)
            ],
            *[F.count_if(F.col(name) == 0).alias(f"zero_{name}") for name in numbers],
        ).collect()
    if texts:
        found["lengths"] = df.agg(
            *[f(F.length(name)) for name in texts for f in (F.min, F.max, F.avg)],
            *[F.count_if(F.trim(F.col(name)) == "") for name in texts],
        ).collect()
    for name in df.columns:
        if name in numbers and counts[f"distinct_{name}"] > 50:
            low, high = float(counts[f"min_{name}"]), float(counts[f"max_{name}"])
            bar = F.floor((F.col(name) - low) / ((high - low) or 1.0) * 30)
            found[name] = df.groupBy(bar.alias("bar")).count().collect()
        else:
            found[name] = df.groupBy(name).count().orderBy(F.desc("count")).limit(20).collect()
    found["duplicates"] = (
        df.groupBy(F.xxhash64(*df.columns).alias("h")).count().where("count > 1").count()
    )
    found["key"] = df.groupBy(df.columns[0]).count().where("count > 1").count()
    drawn = df.select(*[F.col(name).cast("double") for name in numbers]).sample(
        min(1.0, SAMPLE / max(1, counts["rows"])), seed=1
    )
    sample = drawn.toPandas()
    found |= {kind: sample.corr(kind) for kind in ("pearson", "spearman")}
    return found


def ydata(python: str, folder: str, warm: str, runs: Runs) -> None:
    """Run ydata-profiling in its own environment; where it fails, its last words are printed."""
    script = Path(__file__).with_name("profiles_ydata.py")
    ran = subprocess.run(
        [python, str(script), folder, warm], capture_output=True, text=True, check=False
    )
    if ran.returncode:
        print(f"ydata-profiling failed: {(ran.stderr.strip().splitlines() or ['no words'])[-1]}")
        return
    wall, cpu, jobs, read = json.loads(ran.stdout.splitlines()[-1])
    runs.runs.setdefault("ydata", []).append((wall, cpu, jobs, read))
    print(
        f"{'ydata':<12} {wall:7.1f} s {cpu:7.1f} cpu-s {jobs:4d} jobs {read:11,d} rows read",
        flush=True,
    )


def told(runs: Runs, arguments: argparse.Namespace) -> dict[str, Any]:
    """What the runs come to."""
    found: dict[str, Any] = {
        "vs_summary": runs.ratio("summary", "ours"),
        "jobs": int(runs.median("ours", JOBS)),
        "scans": round(runs.median("ours", READ) / arguments.rows, 2),
        "cpu_vs_summary": runs.ratio("summary", "ours", CPU),
        "vs_summary_only": runs.ratio("summary_only", "ours"),
        "jobs_summary": int(runs.median("summary", JOBS)),
        "scans_summary": round(runs.median("summary", READ) / arguments.rows, 2),
        "rows": arguments.rows,
        "columns": arguments.columns,
        "repeats": len(runs.runs["ours"]),
    }
    if "ydata" in runs.runs:
        found |= {
            "vs_ydata": runs.ratio("ydata", "ours"),
            "cpu_vs_ydata": runs.ratio("ydata", "ours", CPU),
            "jobs_ydata": int(runs.median("ydata", JOBS)),
        }
    return found


def main() -> None:
    """Measure, and print one line of JSON at the end."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--ydata", metavar="PYTHON", help="interpreter that has ydata-profiling")
    arguments = parser.parse_args()
    begun = time.perf_counter()
    spark = build_session(
        "bench",
        master="local[2]",
        conf={"spark.driver.memory": "6g", "spark.sql.shuffle.partitions": "4"},
    )
    spark.sparkContext.setLogLevel("ERROR")
    runs = Runs(spark)
    key = CsvSource(path="bench.csv", key="c0")
    with tempfile.TemporaryDirectory(prefix="bench-profile-") as folder:
        # Enough rows for the way of large tables, so that it is warm as well.
        warm = generate(spark, 12_000, arguments.columns, f"{folder}/warm")
        df = generate(spark, arguments.rows, arguments.columns, f"{folder}/table")
        rows = df.count()
        works = {
            "ours": lambda: profile_table(df, "bench", key, rows=rows),
            "summary": lambda: by_hand(df),
            "summary_only": lambda: df.summary().collect(),
        }
        profile_table(warm, "bench", key)
        profile_table(warm.limit(500), "bench", key)
        by_hand(warm)
        print(
            f"warm after {time.perf_counter() - begun:.0f} s; {rows:,} rows x {len(df.columns)} columns; spark {spark.version}"
        )
        if not arguments.ydata:
            print("ydata-profiling: left out; --ydata names the interpreter that has it")
        for turn in range(arguments.repeats):
            for name in sorted(works, reverse=bool(turn % 2)):
                runs.measure(name, works[name])
            if arguments.ydata:
                ydata(arguments.ydata, f"{folder}/table", f"{folder}/warm", runs)
        print(json.dumps(told(runs, arguments)))
    spark.stop()


if __name__ == "__main__":
    main()
